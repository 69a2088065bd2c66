/*
 * A segment's headers, field by field: where each lies, its bytes, its value, what it means.
 */
#include "lab/lab.h"

#include <inttypes.h>
#include <string.h>

#define IPV4_HDR 20u
#define TCP_HDR  20u

static uint32_t get(const uint8_t *p, unsigned len)
{
    uint32_t v = 0;
    while (len-- > 0)
        v = v << 8 | *p++;
    return v;
}

static void line(FILE *out, const uint8_t *p, unsigned off, unsigned len, const char *name, const char *value,
                 const char *about)
{
    char hex[16] = "";
    for (unsigned i = 0; i < len && i < 5; i++)
        snprintf(hex + 3 * i, sizeof hex - 3 * i, "%02x ", p[off + i]);
    fprintf(out, "  %3u  %-13s %-22s %-16s %s\n", off, hex, name, value, about);
}

static void number(FILE *out, const uint8_t *p, unsigned off, unsigned len, const char *name, const char *about)
{
    char value[16];
    snprintf(value, sizeof value, "%" PRIu32, get(p + off, len));
    line(out, p, off, len, name, value, about);
}

static void address(FILE *out, const uint8_t *p, unsigned off, const char *name)
{
    char value[16];
    snprintf(value, sizeof value, "%u.%u.%u.%u", p[off], p[off + 1], p[off + 2], p[off + 3]);
    line(out, p, off, 4, name, value, "");
}

static bool dissect_ip(FILE *out, const uint8_t *p)
{
    char value[16];
    fputs("IP header (RFC 791)\n", out);
    snprintf(value, sizeof value, "%u, %u bytes", p[0] >> 4, (p[0] & 15u) * 4);
    line(out, p, 0, 1, "version, length", value, "of this header, in words of 4 bytes");
    number(out, p, 1, 1, "DSCP and ECN", "the last two bits: may it be marked for congestion?");
    number(out, p, 2, 2, "total length", "headers and data");
    number(out, p, 4, 2, "identification", "matters to fragments alone");
    line(out, p, 6, 2, "flags, offset", p[6] & 0x40 ? "don't fragment" : "", "");
    number(out, p, 8, 1, "time to live", "each router takes one off; at 0 the packet dies");
    number(out, p, 9, 1, "protocol", p[9] == 6 ? "TCP" : "");
    snprintf(value, sizeof value, "0x%04x", get(p + 10, 2));
    line(out, p, 10, 2, "header checksum", value, "of this header alone");
    address(out, p, 12, "source");
    address(out, p, 16, "destination");
    return p[0] == 0x45 && p[9] == 6;
}

static void flags_line(FILE *out, const uint8_t *p)
{
    static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
    char value[48] = "";
    for (unsigned i = 0; i < 8; i++) {
        if (p[13] >> i & 1)
            snprintf(value + strlen(value), sizeof value - strlen(value), "%s%s", value[0] ? " " : "", names[i]);
    }
    line(out, p, 13, 1, "flags", value, "");
}

static void option_line(FILE *out, const uint8_t *p, unsigned off, unsigned len)
{
    char value[48] = "";
    const uint8_t *o = p + off;
    if (o[0] == 2 && len == 4)
        snprintf(value, sizeof value, "%" PRIu32, get(o + 2, 2));
    else if (o[0] == 3 && len == 3)
        snprintf(value, sizeof value, "%u: times %u", o[2], 1u << (o[2] < 15 ? o[2] : 14));
    else if (o[0] == 8 && len == 10)
        snprintf(value, sizeof value, "%" PRIu32 ", %" PRIu32, get(o + 2, 4), get(o + 6, 4));
    else if (o[0] == 5)
        snprintf(value, sizeof value, "%u blocks", (len - 2) / 8);
    static const struct {
        uint8_t kind;
        const char *name, *about;
    } options[] = {
        {0, "end of options", ""},
        {1, "no operation", "fills up to a word"},
        {2, "maximum segment size", "the most data that I can take in one segment (RFC 9293 3.7.1)"},
        {3, "window scale", "my windows are to be shifted by this (RFC 7323)"},
        {4, "SACK permitted", "I understand selective acknowledgements (RFC 2018)"},
        {5, "SACK", "what I have beyond the first hole"},
        {8, "timestamps", "mine, and the last of yours that I saw (RFC 7323)"},
        {34, "Fast Open", "a cookie, or the wish for one (RFC 7413)"},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].kind == o[0]) {
            line(out, p, off, len, options[i].name, value, options[i].about);
            return;
        }
    }
    line(out, p, off, len, "an option", "", "unknown ones are passed over");
}

static void dissect_options(FILE *out, const uint8_t *p, unsigned hdr_len)
{
    for (unsigned off = TCP_HDR; off < hdr_len;) {
        unsigned len = p[off] <= 1 ? 1 : off + 1 < hdr_len ? p[off + 1] : 0;
        if (len == 0 || off + len > hdr_len)
            return;
        option_line(out, p, off, len);
        off += len;
    }
}

static void dissect_tcp(FILE *out, const uint8_t *p, unsigned len)
{
    char value[16];
    unsigned hdr_len = (p[12] >> 4) * 4u;
    fputs("TCP header (RFC 9293 3.1)\n", out);
    number(out, p, 0, 2, "source port", "the program that sends");
    number(out, p, 2, 2, "destination port", "the program that it is for");
    number(out, p, 4, 4, "sequence number", "of the first byte; a SYN's is where the count begins");
    number(out, p, 8, 4, "acknowledgement", p[13] & 0x10 ? "the next byte that I expect" : "means nothing without ACK");
    snprintf(value, sizeof value, "%u bytes", hdr_len);
    line(out, p, 12, 1, "data offset", value, "where the data begin: length of this header");
    flags_line(out, p);
    number(out, p, 14, 2, "window", "how many bytes I have room for (before scaling)");
    snprintf(value, sizeof value, "0x%04x", get(p + 16, 2));
    line(out, p, 16, 2, "checksum", value, "of header, data and addresses");
    number(out, p, 18, 2, "urgent pointer", "means nothing without URG");
    dissect_options(out, p, hdr_len < len ? hdr_len : len);
}

void wlb_dissect_print(const struct wlb_entry *e, FILE *out)
{
    fprintf(out, "%.3f ms, from %s, %.0f bytes of data\n", (double)e->at / 1e6, e->host, e->len);
    fputs("   at  bytes         field                  value            meaning\n", out);
    if (e->head_len >= IPV4_HDR + TCP_HDR && dissect_ip(out, e->head))
        dissect_tcp(out, e->head + IPV4_HDR, e->head_len - IPV4_HDR);
    fputc('\n', out);
}
