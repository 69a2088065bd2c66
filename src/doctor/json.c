/*
 * Results as JSON lines.
 */
#include "doctor/print.h"

#include <inttypes.h>

static void put_text(FILE *out, const char *t)
{
    putc('"', out);
    for (; *t; t++) {
        unsigned char c = (unsigned char)*t;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

static void put_field(FILE *out, const char *name, const char *value)
{
    fprintf(out, "\"%s\":", name);
    put_text(out, value);
}

static void put_finding(FILE *out, const struct wdc_finding *f)
{
    static const char *const whose[] = {"client", "server", "path"};
    static const char *const sure[] = {"possible", "likely", "certain"};
    fprintf(out, "{\"id\":\"%s\",\"side\":\"%s\",\"sure\":\"%s\",\"packets\":[", wdc_verdict_name(f->id),
            whose[f->whose], sure[f->sure]);
    for (uint32_t i = 0; i < f->frame_n; i++)
        fprintf(out, "%s%" PRIu64, i ? "," : "", f->frames[i]);
    fputs("],", out);
    put_field(out, "what", f->what);
    putc(',', out);
    put_field(out, "cause", f->cause);
    putc(',', out);
    put_field(out, "do", f->remedy);
    putc('}', out);
}

static void put_findings(FILE *out, const struct wdc_result *r)
{
    fputs("\"verdicts\":[", out);
    for (uint32_t i = 0; i < r->finding_n; i++) {
        if (i)
            putc(',', out);
        put_finding(out, &r->findings[i]);
    }
    fputs("]}\n", out);
}

static void put_shares(FILE *out, const char *name, const uint8_t *s)
{
    fprintf(out, "\"%s\":{\"receiver\":%u,\"sender\":%u,\"congestion\":%u,\"application\":%u}", name,
            s[WDC_BY_RECEIVER], s[WDC_BY_SENDER], s[WDC_BY_CONGESTION], s[WDC_BY_APPLICATION]);
}

void wdc_json_result(FILE *out, const char *file, const struct wdc_result *r)
{
    char name[WEIR_ADDR_TEXT_CAP];
    fprintf(out, "{\"type\":\"%s\",", r->is_network ? "network" : "connection");
    put_field(out, "file", file);
    putc(',', out);
    if (r->is_network) {
        put_field(out, "address", weir_addr_format(&r->client.addr, name, sizeof name));
        putc(',', out);
        put_findings(out, r);
        return;
    }
    put_field(out, "client", weir_sockaddr_format(&r->client, name, sizeof name));
    putc(',', out);
    put_field(out, "server", weir_sockaddr_format(&r->server, name, sizeof name));
    fprintf(out,
            ",\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"began\":%.9f,\"ended\":%.9f,\"packets\":%" PRIu64
            ",\"bytes\":[%" PRIu64 ",%" PRIu64 "],",
            r->first, r->last, (double)r->began / 1e9, (double)r->ended / 1e9, r->packets, r->bytes[0], r->bytes[1]);
    put_field(out, "vantage", r->vantage);
    fputs(",\"shares\":{", out);
    if (r->has_shares[0])
        put_shares(out, "client", r->shares[0]);
    if (r->has_shares[0] && r->has_shares[1])
        putc(',', out);
    if (r->has_shares[1])
        put_shares(out, "server", r->shares[1]);
    fputs("},", out);
    put_findings(out, r);
}

void wdc_json_counts(FILE *out, const char *file, const struct wdc_counts *n)
{
    fputs("{\"type\":\"capture\",", out);
    put_field(out, "file", file);
    fprintf(out,
            ",\"packets\":%" PRIu64 ",\"tcp\":%" PRIu64 ",\"udp\":%" PRIu64 ",\"other\":%" PRIu64
            ",\"connections\":%" PRIu64 ",\"seconds\":%.6f",
            n->packets, n->tcp, n->udp, n->other, n->conns,
            n->ended > n->began ? (double)(n->ended - n->began) / 1e9 : 0.0);
    fprintf(out,
            ",\"left_out\":{\"unread\":%" PRIu64 ",\"bad_checksum\":%" PRIu64 ",\"copies\":%" PRIu64
            ",\"other_interface\":%" PRIu64 ",\"fragments\":%" PRIu64 ",\"connections_told_early\":%" PRIu64
            ",\"connections\":%" PRIu64 ",\"histories_cut\":%" PRIu64 "}}\n",
            n->unread, n->bad_sums, n->copies, n->other_interface, n->fragments, n->evicted, n->conns_refused,
            n->histories_cut);
}
