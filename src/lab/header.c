/*
 * Draws headers as the RFCs do: rows of 32 bits, and in each box the field's name and what this packet has in it.
 */
#include "lab/picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LEFT     44.0
#define BIT      ((WLB_SVG_WIDTH - LEFT - 20) / 32)
#define ROW      40.0
#define IPV4_HDR 20u
#define TCP_HDR  20u
#define PACKETS  3

struct page {
    struct wlb_svg *s;
    double y; /* of the header's first row */
    const uint8_t *p;
    const char *area;
};

static uint32_t get(const uint8_t *p, unsigned len)
{
    uint32_t v = 0;
    while (len-- > 0)
        v = v << 8 | *p++;
    return v;
}

/* A field from one bit of a row to another. */
static void box(const struct page *g, unsigned row, unsigned from, unsigned bits, const char *name, const char *value)
{
    double x = LEFT + from * BIT, y = g->y + row * ROW, w = bits * BIT;
    wlb_svg_put(g->s,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" class=\"%s soft\"/>"
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" class=\"l\"/>\n",
                x, y, w, ROW, g->area, x, y, w, ROW);
    wlb_svg_text(g->s, x + w / 2, y + 14, "m s", WLB_CENTRE, "%s", name);
    wlb_svg_text(g->s, x + w / 2, y + 31, bits < 6 ? "f b s" : "f b", WLB_CENTRE, "%s", value);
}

static void number(const struct page *g, unsigned row, unsigned from, unsigned bits, const char *name, const char *form,
                   uint32_t v)
{
    char text[32];
    if (form[0] == 'x')
        snprintf(text, sizeof text, "0x%04" PRIx32, v);
    else
        snprintf(text, sizeof text, "%" PRIu32, v);
    box(g, row, from, bits, name, text);
}

static void ruler(const struct page *g)
{
    for (unsigned bit = 0; bit < 32; bit += 8)
        wlb_svg_text(g->s, LEFT + bit * BIT + 1, g->y - 4, "m s", WLB_LEFT, "bit %u", bit);
    wlb_svg_text(g->s, LEFT + 32 * BIT, g->y - 4, "m s", WLB_RIGHT, "31");
}

static void row_offsets(const struct page *g, unsigned rows)
{
    for (unsigned i = 0; i < rows; i++)
        wlb_svg_text(g->s, LEFT - 8, g->y + i * ROW + 24, "m s", WLB_RIGHT, "%u", 4 * i);
}

static void draw_ip(const struct page *g)
{
    const uint8_t *p = g->p;
    char text[32];
    number(g, 0, 0, 4, "version", "", p[0] >> 4);
    snprintf(text, sizeof text, "%u = 20 B", p[0] & 15u);
    box(g, 0, 4, 4, "length", text);
    number(g, 0, 8, 6, "DSCP", "", p[1] >> 2);
    number(g, 0, 14, 2, "ECN", "", p[1] & 3u);
    number(g, 0, 16, 16, "total length", "", get(p + 2, 2));
    number(g, 1, 0, 16, "identification", "", get(p + 4, 2));
    box(g, 1, 16, 3, "flags", p[6] & 0x40 ? "DF" : "");
    number(g, 1, 19, 13, "fragment offset", "", get(p + 6, 2) & 0x1fff);
    number(g, 2, 0, 8, "time to live", "", p[8]);
    box(g, 2, 8, 8, "protocol", p[9] == 6 ? "6: TCP" : "");
    number(g, 2, 16, 16, "header checksum", "x", get(p + 10, 2));
    snprintf(text, sizeof text, "%u.%u.%u.%u", p[12], p[13], p[14], p[15]);
    box(g, 3, 0, 32, "source address", text);
    snprintf(text, sizeof text, "%u.%u.%u.%u", p[16], p[17], p[18], p[19]);
    box(g, 4, 0, 32, "destination address", text);
}

static void draw_flags(const struct page *g, uint8_t flags)
{
    static const char *const names[] = {"CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"};
    for (unsigned i = 0; i < 8; i++) {
        bool is_set = flags & 0x80 >> i;
        double x = LEFT + (8 + i) * BIT, y = g->y + 3 * ROW;
        wlb_svg_rect(g->s, x + 0.5, y + 0.5, BIT - 1, ROW - 1, 0, is_set ? "fb" : "panel");
        wlb_svg_put(g->s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" class=\"l\"/>\n", x, y, BIT, ROW);
        wlb_svg_text(g->s, x + BIT / 2, y + 15, is_set ? "w s b" : "m s", WLB_CENTRE, "%.1s", names[i]);
        wlb_svg_text(g->s, x + BIT / 2, y + 26, is_set ? "w s b" : "m s", WLB_CENTRE, "%.1s", names[i] + 1);
        wlb_svg_text(g->s, x + BIT / 2, y + 37, is_set ? "w s b" : "m s", WLB_CENTRE, "%.1s", names[i] + 2);
    }
}

static const char *option_text(const uint8_t *o, unsigned len, char buf[64])
{
    buf[0] = '\0';
    if (o[0] == 0)
        return "end";
    if (o[0] == 1)
        return "nop";
    if (o[0] == 2 && len == 4)
        snprintf(buf, 64, "largest segment: %" PRIu32 " bytes", get(o + 2, 2));
    else if (o[0] == 3 && len == 3)
        snprintf(buf, 64, "window scale: %u (x %u)", o[2], 1u << (o[2] < 15 ? o[2] : 14));
    else if (o[0] == 4)
        return "SACK permitted";
    else if (o[0] == 5)
        snprintf(buf, 64, "SACK, %u block%s", (len - 2) / 8, len == 10 ? "" : "s");
    else if (o[0] == 8 && len == 10)
        snprintf(buf, 64, "timestamps: %" PRIu32 ", echo %" PRIu32, get(o + 2, 4), get(o + 6, 4));
    else
        return "an option";
    return buf;
}

/* An option lies where it lies, over the end of rows too; its text stands in its widest piece. */
static void draw_option(const struct page *g, unsigned off, unsigned len)
{
    char text[64];
    unsigned best = 0, best_len = 0;
    for (unsigned at = off; at < off + len;) {
        unsigned n = 4 - at % 4 < off + len - at ? 4 - at % 4 : off + len - at;
        if (n > best_len) {
            best = at;
            best_len = n;
        }
        unsigned row = at / 4;
        double x = LEFT + at % 4 * 8 * BIT, y = g->y + row * ROW;
        wlb_svg_put(g->s,
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" class=\"fd soft\"/>"
                    "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" class=\"l\"/>\n",
                    x, y, n * 8 * BIT, ROW, x, y, n * 8 * BIT, ROW);
        at += n;
    }
    unsigned best_row = best / 4;
    wlb_svg_text(g->s, LEFT + best % 4 * 8 * BIT + best_len * 4 * BIT, g->y + best_row * ROW + 24, "f s", WLB_CENTRE,
                 "%s", option_text(g->p + off, len, text));
}

static unsigned draw_tcp(const struct page *g, unsigned have)
{
    const uint8_t *p = g->p;
    unsigned hdr_len = (p[12] >> 4) * 4u;
    char text[32];
    number(g, 0, 0, 16, "source port", "", get(p, 2));
    number(g, 0, 16, 16, "destination port", "", get(p + 2, 2));
    number(g, 1, 0, 32, "sequence number: of the first byte", "", get(p + 4, 4));
    number(g, 2, 0, 32, "acknowledgement number: the byte that I expect next", "", get(p + 8, 4));
    snprintf(text, sizeof text, "%u = %u B", p[12] >> 4, hdr_len);
    box(g, 3, 0, 4, "offset", text);
    box(g, 3, 4, 4, "unused", "");
    draw_flags(g, p[13]);
    number(g, 3, 16, 16, "window: so much room have I", "", get(p + 14, 2));
    number(g, 4, 0, 16, "checksum", "x", get(p + 16, 2));
    number(g, 4, 16, 16, "urgent pointer", "", get(p + 18, 2));
    for (unsigned off = TCP_HDR; off < hdr_len && off < have;) {
        unsigned len = p[off] <= 1 ? 1 : off + 1 < have ? p[off + 1] : 0;
        if (len == 0 || off + len > hdr_len || off + len > have)
            break;
        draw_option(g, off, len);
        off += len;
    }
    return hdr_len / 4;
}

static double draw_packet(struct wlb_svg *s, const struct wlb_entry *e, double y)
{
    char at[WLB_NUMBER_CAP];
    wlb_svg_text(s, LEFT, y + 14, "f b", WLB_LEFT, "%s of %s's segment, %s", "The envelope", e->host,
                 wlb_clock(e->at, at));
    struct page g = {s, y + 44, e->head, "fe"};
    if (e->head_len < IPV4_HDR + TCP_HDR || e->head[0] != 0x45 || e->head[9] != 6)
        return y + 20;
    wlb_svg_text(s, LEFT, y + 31, "e s b", WLB_LEFT, "IP header (RFC 791)");
    g.y += 12;
    ruler(&g);
    row_offsets(&g, 5);
    draw_ip(&g);
    g.y += 5 * ROW + 26;
    wlb_svg_text(s, LEFT, g.y - 8, "a s b", WLB_LEFT, "TCP header (RFC 9293 section 3.1)");
    g.p = e->head + IPV4_HDR;
    g.area = "fa";
    unsigned rows = draw_tcp(&g, e->head_len - IPV4_HDR);
    row_offsets(&g, rows);
    g.y += rows * ROW;
    if (e->len > 0) {
        g.area = "fc";
        char text[WLB_NUMBER_CAP], what[96], data[32] = "";
        unsigned off = IPV4_HDR + rows * 4;
        for (unsigned i = 0; i < 30 && off + i < e->head_len && i < e->len; i++)
            data[i] = e->head[off + i] >= ' ' && e->head[off + i] < 0x7f ? (char)e->head[off + i] : '.';
        snprintf(what, sizeof what, "data, %s bytes", wlb_commas(e->len, text));
        box(&g, 0, 0, 32, what, data);
        g.y += ROW;
    }
    return g.y + 18;
}

struct packets {
    struct wlb_svg *s;
    double y;
    unsigned n;
};

static void take(void *ctx, const struct wlb_entry *e, double value)
{
    struct packets *k = ctx;
    (void)value;
    if (e->kind == WLB_WIRE && k->n++ < PACKETS)
        k->y = draw_packet(k->s, e, k->y);
}

double wlb_draw_header(struct wlb_lab *lab, struct wlb_svg *s, const struct wlb_picture *p)
{
    struct packets k = {.s = s};
    weir_ns from, to;
    if (wlb_picture_span(lab, p, &from, &to))
        wlb_picture_select(lab, lab->scenario->dissect, NULL, from, to, take, &k);
    return k.y;
}
