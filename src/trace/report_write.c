/*
 * Writes a report: the page that is built from viewer/, with the data put in where it has its mark.
 *
 * The data are one <script type="application/json" id="weir-report"> with the connections and all names, and one
 * <script type="text/plain" id="weir-NAME"> for each column of the rows (`columns` below). Rows are sorted by
 * connection, then by time; connection i has the next conns[i].rows of them, connection 0 is what belongs to none.
 *
 * A column is base64 of varints (7 bits a byte, the lowest first, the top bit says that more follow). A value that is
 * not zero is its varint; n zeros in a row are a 0 and the varint of n-1. A column has values for rows of its kinds
 * only, the others have zero and are not written. What changes little from row to row is written as the difference to
 * the last row of the same connection and context (the end that tells, or the end that sent), zigzag: 0, -1, 1, -2 ...
 * as 0, 1, 2, 3.
 *
 * `columns` of the JSON says for each its name, its kinds (bits), and 0: as it is, 1: difference to the row before,
 * whatever connection that is of, 2: context is the end that tells, 3: the end that sent.
 *
 *   at    ns from the start (start_ns: Unix time, or 0)     kind, side, host, num, mark, text   as in report_rows.h
 *   from  how many rows earlier the packet was sent, 0: unknown
 *   a, b  seg_out, seg_in: gso_size, dupacks; state: from, to; rtt: the sample in us; cwnd: cwnd before; timer:
 * backoff; icmp_in: type, code; pmtu: size before, size; drop, link: bytes sack  for each of sack_n ranges: its left
 * edge minus ack (zigzag), its length
 */
#include "trace/report_rows.h"
#include "trace/viewer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/errno.h>

#define MARK "<!--weir-data-->"

/* ---- JSON ---- */

/* Bytes that are no UTF-8 become U+FFFD, and nothing can end the <script>. */
static size_t utf8_len(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

void wtr_report_put_string(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    putc('"', out);
    while (*s) {
        size_t n = utf8_len(s);
        if (n == 0)
            fputs("\\ufffd", out);
        else if (n > 1)
            fwrite(s, 1, n, out);
        else if (*s < 0x20 || *s == '"' || *s == '\\' || *s == '<' || *s == '>' || *s == '&')
            fprintf(out, "\\u%04x", *s);
        else
            putc(*s, out);
        s += n ? n : 1;
    }
    putc('"', out);
}

static void member(FILE *out, const char *name, const char *text)
{
    fprintf(out, "\"%s\":", name);
    wtr_report_put_string(out, text);
    putc(',', out);
}

static void names(FILE *out, const char *name, const char *const *texts, size_t n)
{
    fprintf(out, "\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? "," : "", out);
        wtr_report_put_string(out, texts[i]);
    }
    fputs("],", out);
}

/* Names of what rows and ends have as numbers. */
static void put_number_names(const struct wtr_report *r, FILE *out)
{
    static const char *const kinds[WTR_ROW_KIND_N] = {
        [WEIR_EV_STATE] = "state",         [WEIR_EV_SEG_OUT] = "seg_out",   [WEIR_EV_SEG_IN] = "seg_in",
        [WEIR_EV_REXMIT] = "rexmit",       [WEIR_EV_DROP] = "drop",         [WEIR_EV_RTT] = "rtt",
        [WEIR_EV_CWND] = "cwnd",           [WEIR_EV_TIMER] = "timer",       [WEIR_EV_NEIGH] = "neigh",
        [WEIR_EV_DGRAM_OUT] = "dgram_out", [WEIR_EV_DGRAM_IN] = "dgram_in", [WEIR_EV_ICMP_IN] = "icmp_in",
        [WEIR_EV_CLOSE] = "close",         [WEIR_EV_PMTU] = "pmtu",         [WTR_ROW_LINK] = "link",
    };
    const char *states[WEIR_TCP_STATE_N], *causes[WEIR_CAUSE_N];
    for (unsigned i = 0; i < WEIR_TCP_STATE_N; i++)
        states[i] = weir_tcp_state_name((enum weir_tcp_state)i);
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++)
        causes[i] = weir_cause_text((enum weir_cause)i);
    names(out, "kinds", kinds, WTR_ROW_KIND_N);
    names(out, "states", states, WEIR_TCP_STATE_N);
    names(out, "causes", causes, WEIR_CAUSE_N);
    fputs("\"hosts\":[", out);
    for (uint32_t i = 0; i < r->host_n; i++) {
        fputs(i ? "," : "", out);
        wtr_report_put_string(out, r->hosts[i].name);
    }
    fputs("],", out);
}

void wtr_report_put_texts(const struct wtr_report *r, uint32_t from, FILE *out)
{
    names(out, "texts", (const char *const *)r->texts + from, r->text_n - from);
}

static void put_claims(const struct wtr_report *r, FILE *out)
{
    fputs("\"claims\":[", out);
    for (uint32_t i = 0; i < r->claim_n; i++) {
        fprintf(out, "%s[%s,", i ? "," : "", r->claims[i].holds ? "true" : "false");
        wtr_report_put_string(out, r->claims[i].text);
        putc(']', out);
    }
    fputs("],", out);
}

static void write_end(const struct wtr_end *e, bool has_addr, FILE *out)
{
    char addr[WEIR_ADDR_TEXT_CAP];
    const char *comma = "";
    putc('{', out);
    member(out, "addr", has_addr ? weir_sockaddr_format(&e->addr, addr, sizeof addr) : "");
    member(out, "error", e->err ? weir_errno_name(e->err) : "");
    fprintf(out,
            "\"host\":%d,\"iss\":%" PRIu32 ",\"bytes\":%" PRIu64 ",\"segs\":%" PRIu64 ",\"again\":%" PRIu64
            ",\"lost\":%" PRIu64 ",\"state\":%d,\"life\":%" PRIu64 ",\"spent\":[",
            e->host == WTR_NO_HOST ? -1 : (int)e->host, e->iss, e->bytes_out, e->segs_out, e->again, e->lost,
            (int)e->state, e->has_ledger ? e->ledger.life : 0);
    for (unsigned i = 0; e->has_ledger && i < WEIR_CAUSE_N; i++) {
        if (e->ledger.spent[i] == 0)
            continue;
        fprintf(out, "%s[%u,%" PRIu64 "]", comma, i, e->ledger.spent[i]);
        comma = ",";
    }
    fputs("]}", out);
}

void wtr_report_put_flow(const struct wtr_report *r, uint32_t i, weir_ns start, FILE *out)
{
    const struct wtr_flow *f = &r->flows[i];
    char text[256] = "";
    member(out, "verdict", i ? wtr_report_verdict(r, f, text, sizeof text) : "none");
    member(out, "text", text);
    fprintf(out, "\"udp\":%s,\"began\":%" PRIu64 ",\"ended\":%" PRIu64 ",\"rtt\":%" PRIu32 ",\"ends\":[",
            f->is_udp ? "true" : "false", i && f->began > start ? f->began - start : 0,
            f->ended > start ? f->ended - start : 0, f->min_rtt_us);
    write_end(&f->ends[0], i > 0, out);
    putc(',', out);
    write_end(&f->ends[1], i > 0, out);
    putc(']', out);
}

/* ---- Columns ---- */

#define KIND(k)  (1u << (k))
#define SEGMENTS (KIND(WEIR_EV_SEG_OUT) | KIND(WEIR_EV_SEG_IN) | KIND(WTR_ROW_LINK) | KIND(WEIR_EV_DROP))
#define PIECES   (SEGMENTS | KIND(WEIR_EV_REXMIT) | KIND(WEIR_EV_DGRAM_OUT) | KIND(WEIR_EV_DGRAM_IN))
#define TCP_HOST                                                                                                       \
    (KIND(WEIR_EV_STATE) | KIND(WEIR_EV_SEG_OUT) | KIND(WEIR_EV_SEG_IN) | KIND(WEIR_EV_REXMIT) | KIND(WEIR_EV_RTT) |   \
     KIND(WEIR_EV_CWND) | KIND(WEIR_EV_TIMER) | KIND(WEIR_EV_PMTU) | KIND(WEIR_EV_CLOSE))
#define ALL (KIND(WTR_ROW_KIND_N) - 1)

enum context { PLAIN, BEFORE, TELLER, SENDER };

static const struct column {
    const char *name;
    size_t at, size;
    uint32_t kinds;
    enum context context;
} columns[] = {
#define COLUMN(name, kinds, context)                                                                                   \
    {                                                                                                                  \
#name, offsetof(struct wtr_row, name), sizeof(((struct wtr_row *)0)->name), kinds, context                     \
    }
    COLUMN(at, ALL, BEFORE),
    COLUMN(kind, ALL, PLAIN),
    COLUMN(side, ALL, PLAIN),
    COLUMN(host, ALL, TELLER),
    COLUMN(num, ALL, TELLER),
    COLUMN(mark, ALL, PLAIN),
    COLUMN(text, ALL, PLAIN),
    COLUMN(from, SEGMENTS | KIND(WEIR_EV_DGRAM_IN), PLAIN),
    COLUMN(a, ALL, PLAIN),
    COLUMN(b, ALL, PLAIN),
    COLUMN(flags, SEGMENTS, PLAIN),
    COLUMN(seq, PIECES, SENDER),
    COLUMN(ack, SEGMENTS, SENDER),
    COLUMN(len, PIECES, PLAIN),
    COLUMN(win, KIND(WEIR_EV_SEG_OUT) | KIND(WEIR_EV_SEG_IN), SENDER),
    COLUMN(sack_n, SEGMENTS, PLAIN),
    COLUMN(cwnd, TCP_HOST, TELLER),
    COLUMN(ssthresh, TCP_HOST, TELLER),
    COLUMN(flight, TCP_HOST, TELLER),
    COLUMN(snd_wnd, TCP_HOST, TELLER),
    COLUMN(rcv_wnd, TCP_HOST, TELLER),
    COLUMN(srtt_us, TCP_HOST, TELLER),
    COLUMN(rttvar_us, TCP_HOST, TELLER),
    COLUMN(rto_us, TCP_HOST, TELLER),
#undef COLUMN
};

/* Bytes go out as base64. */
struct coder {
    FILE *out;
    uint32_t bits;
    unsigned bit_n;
    uint64_t zeros;
};

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put_byte(struct coder *c, uint8_t byte)
{
    c->bits = c->bits << 8 | byte;
    c->bit_n += 8;
    while (c->bit_n >= 6) {
        c->bit_n -= 6;
        putc_unlocked(digits[c->bits >> c->bit_n & 63], c->out);
    }
}

static void put_varint(struct coder *c, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put_byte(c, (uint8_t)(v | 0x80));
    put_byte(c, (uint8_t)v);
}

static void put_zeros(struct coder *c)
{
    if (c->zeros == 0)
        return;
    put_byte(c, 0);
    put_varint(c, c->zeros - 1);
    c->zeros = 0;
}

static void put_value(struct coder *c, uint64_t v)
{
    if (v == 0) {
        c->zeros++;
        return;
    }
    put_zeros(c);
    put_varint(c, v);
}

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static void put_rest(struct coder *c)
{
    put_zeros(c);
    if (c->bit_n > 0)
        putc(digits[c->bits << (6 - c->bit_n) & 63], c->out);
}

static uint64_t value_of(const struct column *col, const struct wtr_row *row)
{
    const char *at = (const char *)row + col->at;
    switch (col->size) {
    case 1: return *(const uint8_t *)at;
    case 2: return *(const uint16_t *)at;
    case 4: return *(const uint32_t *)at;
    default: return *(const uint64_t *)at;
    }
}

static unsigned context_of(const struct column *col, const struct wtr_row *row)
{
    if (col->context == TELLER)
        return row->side;
    if (col->context == SENDER) /* numbers of what arrives are those of the other end */
        return row->side ^ (row->kind == WEIR_EV_SEG_IN || row->kind == WEIR_EV_DROP);
    return 0;
}

static void put_column(const struct wtr_rows *t, const struct column *col, FILE *out)
{
    struct coder c = {.out = out};
    uint64_t last[2] = {0, 0};
    uint32_t conn = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct wtr_row *row = &t->rows[t->order[i]];
        if (!(col->kinds & KIND(row->kind)))
            continue;
        if (row->conn != conn && col->context != BEFORE)
            last[0] = last[1] = 0;
        conn = row->conn;
        uint64_t v = value_of(col, row);
        if (col->context == PLAIN) {
            put_value(&c, v);
            continue;
        }
        unsigned k = context_of(col, row);
        put_value(&c, zigzag((int64_t)(v - last[k])));
        last[k] = v;
    }
    put_rest(&c);
}

static void put_sacks(const struct wtr_rows *t, FILE *out)
{
    struct coder c = {.out = out};
    for (uint32_t i = 0; i < t->n; i++) {
        const struct wtr_row *row = &t->rows[t->order[i]];
        for (uint32_t k = 0; k < row->sack_n; k++) {
            const uint32_t *pair = &t->report->sacks[row->sack_at + 2 * k];
            put_value(&c, zigzag((int32_t)(pair[0] - row->ack)));
            put_value(&c, pair[1] - pair[0]);
        }
    }
    put_rest(&c);
}

static void put_from_marks(const struct wtr_rows *t, FILE *out)
{
    struct coder c = {.out = out};
    for (uint32_t i = 0; i < t->n; i++)
        put_value(&c, t->from_marks[i]);
    put_rest(&c);
}

void wtr_report_put_columns(const struct wtr_rows *t, const struct wtr_brackets *brackets, FILE *out)
{
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        brackets->begin(out, columns[i].name);
        put_column(t, &columns[i], out);
        brackets->end(out);
    }
    brackets->begin(out, "sack");
    put_sacks(t, out);
    brackets->end(out);
    if (!t->from_marks)
        return;
    brackets->begin(out, "from_mark");
    put_from_marks(t, out);
    brackets->end(out);
}

void wtr_report_put_names(const struct wtr_report *r, FILE *out)
{
    put_number_names(r, out);
    fputs("\"columns\":[", out);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        fprintf(out, "%s[\"%s\",%u,%d]", i ? "," : "", columns[i].name, columns[i].kinds, (int)columns[i].context);
    fputs("],", out);
}

/* ---- Order ---- */

static int by_time(const void *a, const void *b, void *ctx)
{
    const struct wtr_row *rows = ctx;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    weir_ns ti = rows[i].at, tj = rows[j].at;
    return ti != tj ? (ti < tj ? -1 : 1) : i < j ? -1 : i > j;
}

/* Where each row goes: by connection, in the order in which they came; a capture may have them out of order. */
static uint32_t *make_order(const struct wtr_report *r)
{
    uint32_t *order = calloc((size_t)r->row_n + 1, sizeof *order), *next = calloc((size_t)r->flow_n + 1, sizeof *next);
    if (!order || !next) {
        free(order);
        free(next);
        return NULL;
    }
    next[0] = 0;
    for (uint32_t i = 0; i < r->flow_n; i++)
        next[i + 1] = next[i] + r->flows[i].row_n;
    for (uint32_t i = 0; i < r->row_n; i++)
        order[next[r->rows[i].conn]++] = i;
    free(next);
    for (uint32_t i = 0, n; i < r->row_n; i += n) {
        bool is_sorted = true;
        for (n = 1; i + n < r->row_n && r->rows[order[i + n]].conn == r->rows[order[i]].conn; n++)
            is_sorted = is_sorted && r->rows[order[i + n]].at >= r->rows[order[i + n - 1]].at;
        if (!is_sorted)
            qsort_r(order + i, n, sizeof *order, by_time, r->rows);
    }
    return order;
}

/* `from`, `at` as they are written: rows back, and ns from the start. The rows are not what they were afterwards. */
static bool make_relative(struct wtr_report *r, const uint32_t *order, weir_ns start)
{
    uint32_t *place = calloc((size_t)r->row_n + 1, sizeof *place);
    if (!place)
        return false;
    for (uint32_t i = 0; i < r->row_n; i++)
        place[order[i]] = i;
    for (uint32_t i = 0; i < r->row_n; i++) {
        struct wtr_row *row = &r->rows[order[i]];
        row->at -= start;
        if (row->from)
            row->from = place[row->from - 1] < i ? i - place[row->from - 1] : 0;
    }
    free(place);
    return true;
}

/* ---- The page ---- */

struct wtr_page wtr_report_page(void)
{
    const unsigned char *mark = memmem(wtr_viewer_page, wtr_viewer_page_len, MARK, strlen(MARK));
    struct wtr_page p = {.head = wtr_viewer_page, .head_len = (size_t)(mark - wtr_viewer_page)};
    p.tail = mark + strlen(MARK);
    p.tail_len = wtr_viewer_page_len - p.head_len - strlen(MARK);
    return p;
}

static void column_begin(FILE *out, const char *name)
{
    fprintf(out, "<script type=\"text/plain\" id=\"weir-%s\">", name);
}

static void column_end(FILE *out)
{
    fputs("</script>\n", out);
}

static void write_head(const struct wtr_report *r, weir_ns start, FILE *out)
{
    fputs("<script type=\"application/json\" id=\"weir-report\">{\"format\":1,\n", out);
    member(out, "title", r->title);
    member(out, "about", r->about ? r->about : "");
    fprintf(out, "\"start_ns\":\"%" PRIu64 "\",\"one_sided\":%s,\"left_out\":%" PRIu64 ",\"rows\":%" PRIu32 ",\n",
            start + r->cfg.epoch_ns, r->cfg.is_one_sided ? "true" : "false", r->left_out, r->row_n);
    wtr_report_put_names(r, out);
    put_claims(r, out);
    wtr_report_put_texts(r, 0, out);
    fputs("\"conns\":[", out);
    for (uint32_t i = 0; i < r->flow_n; i++) {
        fprintf(out, "%s\n{\"rows\":%" PRIu32 ",", i ? "," : "", r->flows[i].row_n);
        wtr_report_put_flow(r, i, start, out);
        putc('}', out);
    }
    fputs("]}</script>\n", out);
}

int wtr_report_write(struct wtr_report *r, FILE *out)
{
    static const struct wtr_brackets brackets = {column_begin, column_end};
    const struct wtr_page page = wtr_report_page();
    weir_ns start = WEIR_NEVER;
    uint32_t *order = make_order(r);

    if (!order || r->err) {
        free(order);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < r->row_n; i++)
        start = r->rows[i].at < start ? r->rows[i].at : start;
    if (start == WEIR_NEVER)
        start = 0;
    if (!make_relative(r, order, start)) {
        free(order);
        return -ENOMEM;
    }
    const struct wtr_rows all = {.report = r, .rows = r->rows, .order = order, .n = r->row_n};
    errno = 0;
    fwrite(page.head, 1, page.head_len, out);
    write_head(r, start, out);
    wtr_report_put_columns(&all, &brackets, out);
    fwrite(page.tail, 1, page.tail_len, out);
    free(order);
    if (fflush(out) != 0 || ferror(out))
        return errno ? -errno : -EIO;
    return 0;
}

int wtr_report_save(struct wtr_report *r, const char *path)
{
    struct stat st;
    bool is_plain = stat(path, &st) < 0 || S_ISREG(st.st_mode);
    char *fresh = NULL;

    if (asprintf(&fresh, is_plain ? "%s.new" : "%s", path) < 0)
        return -ENOMEM;
    FILE *out = fopen(fresh, "we");
    int err = out ? wtr_report_write(r, out) : -errno;
    if (out && fclose(out) != 0 && !err)
        err = -errno;
    if (!err && is_plain && rename(fresh, path) < 0)
        err = -errno;
    if (err && out && is_plain)
        unlink(fresh);
    free(fresh);
    return err;
}
