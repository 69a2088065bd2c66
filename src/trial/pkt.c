/*
 * Writing scripts (pkt.h). The host's calls and packets are written down as they happen, in the language's words and
 * the connection's own numbers: sequence numbers from 0, time stamps from a round one.
 */
#include "trial/pkt.h"

#include "drill/print.h"
#include "drill/wire.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define LINE_CAP    (WDR_PACKET_TEXT_CAP + 128)
#define LINES_MAX   50000
#define STAMP_LOCAL 1000 /* what the first time stamp of each side is called */
#define STAMP_PEER  5000
#define ETH_HDR     14

/* One side's numbers. */
struct origin {
    bool has_seq, has_stamp;
    uint32_t seq, stamp, called;
};

struct writer {
    const struct wtl_shrunk *shrunk;
    enum wio_side side; /* under test */
    const struct wsim_flow *flow;
    weir_ns zero;
    struct origin local, peer;
    char **lines;
    size_t n, cap;
    size_t call_at; /* the line of the call under way, n where there is none */
    enum wsim_call call;
    int64_t asked;
    bool is_short;
};

/* ---- Lines ---- */

__attribute__((format(printf, 2, 3))) static void add(struct writer *wr, const char *form, ...)
{
    char line[LINE_CAP];
    va_list args;
    if (wr->n == LINES_MAX)
        return;
    if (wr->n == wr->cap) {
        size_t cap = wr->cap ? wr->cap * 2 : 256;
        char **lines = realloc(wr->lines, cap * sizeof *lines);
        if (!lines) {
            wr->is_short = true;
            return;
        }
        wr->lines = lines;
        wr->cap = cap;
    }
    va_start(args, form);
    vsnprintf(line, sizeof line, form, args);
    va_end(args);
    wr->lines[wr->n] = strdup(line);
    wr->is_short = wr->is_short || !wr->lines[wr->n];
    wr->n += wr->lines[wr->n] != NULL;
}

/* "1.250000000": the whole nanosecond, so that the script is the simulation. */
static const char *at_text(const struct writer *wr, weir_ns at, char *buf, size_t cap)
{
    weir_ns t = at - wr->zero;
    snprintf(buf, cap, "%" PRIu64 ".%09" PRIu64, t / WEIR_SEC(1), t % WEIR_SEC(1));
    return buf;
}

/* ---- Packets ---- */

/* Of a number that the wire has: how far it is from where its side began. */
static void rebase(struct origin *o, uint32_t *v)
{
    *v -= o->seq;
}

static void rebase_stamp(struct origin *o, uint32_t *v, bool is_own)
{
    if (is_own && !o->has_stamp) {
        o->has_stamp = true;
        o->stamp = *v;
    }
    if (is_own || (*v && o->has_stamp))
        *v += o->called - o->stamp;
}

static void rename_numbers(struct writer *wr, struct wdr_packet *p)
{
    bool is_out = p->dir == WDR_OUT;
    struct origin *own = is_out ? &wr->local : &wr->peer, *other = is_out ? &wr->peer : &wr->local;
    if (p->flags & WDR_SYN && !own->has_seq) {
        own->has_seq = true;
        own->seq = p->seq;
    }
    rebase(own, &p->seq);
    if (p->has_ack)
        rebase(other, &p->ack);
    for (unsigned i = 0; i < p->opt_n; i++) {
        struct wdr_opt *o = &p->opts[i];
        for (unsigned k = 0; o->kind == WDR_OPT_SACK && k < o->sack_n; k++) {
            rebase(other, &o->sack[k].lo);
            rebase(other, &o->sack[k].hi);
        }
        if (o->kind == WDR_OPT_TS && o->len == 10) {
            rebase_stamp(own, &o->a, true);
            rebase_stamp(other, &o->b, false);
        }
    }
}

/* The packet in the script's words; false: it is not the connection's. */
static bool packet_text(struct writer *wr, const struct weir_pkt *pkt, enum wdr_dir dir, char *buf, size_t cap)
{
    static uint8_t bytes[WDR_PACKET_MAX + ETH_HDR];
    struct wdr_sent sent;
    const char *why;
    size_t link_hdr = wr->shrunk->scenario.link.type == WEIR_LINK_ETHERNET ? ETH_HDR : 0;
    size_t len = weir_pkt_copy(pkt, 0, bytes, sizeof bytes);
    memset(&sent, 0, sizeof sent);
    if (len <= link_hdr || !wdr_wire_read(&sent, bytes + link_hdr, len - link_hdr, 0, &why) || sent.p.proto != WDR_TCP)
        return false;
    struct wdr_packet *p = &sent.p;
    p->dir = dir;
    p->has_tos = p->has_ttl = p->has_flowlabel = p->has_ports = false;
    if (dir == WDR_OUT || p->ecn == WDR_ECN_NONE)
        p->ecn = WDR_ECN_ANY;
    p->has_win = dir == WDR_IN; /* what this host advertises depends on where its memory comes from */
    rename_numbers(wr, p);
    wdr_print_packet(p, NULL, buf, cap);
    return true;
}

static void add_sent(struct writer *wr, const struct wio_link_note *note, bool is_out)
{
    char text[WDR_PACKET_TEXT_CAP], at[32], shift[32] = "";
    if (!packet_text(wr, note->pkt, is_out ? WDR_OUT : WDR_IN, text, sizeof text))
        return;
    int64_t more = note->copy_n ? note->copy_shift[0] : 0;
    if (more)
        snprintf(shift, sizeof shift, "%" PRId64 " us %s", (more < 0 ? -more : more) / 1000,
                 more < 0 ? "early" : "late");
    const char *fate = note->drop ? "lost" : note->is_duplicated ? "arrives twice" : shift;
    at_text(wr, note->at, at, sizeof at);
    if (is_out)
        add(wr, "%s %s%s%s", at, text, fate[0] ? " // " : "", fate);
    else if (fate[0])
        add(wr, "// %s: %s: %s", at, fate, text);
}

static void on_note(void *ctx, const struct wio_link_note *note)
{
    struct writer *wr = ctx;
    char text[WDR_PACKET_TEXT_CAP], at[32];
    bool is_out = note->dir == (wr->side == WIO_NEAR ? WIO_UP : WIO_DOWN);
    if (!wr->flow)
        return;
    if (note->what == WIO_NOTE_SENT)
        add_sent(wr, note, is_out);
    else if (!is_out && packet_text(wr, note->pkt, WDR_IN, text, sizeof text))
        add(wr, "%s %s", at_text(wr, note->at, at, sizeof at), text);
}

/* ---- Calls ---- */

static int fd_of(const struct writer *wr)
{
    return wr->side == WIO_NEAR ? 3 : 4; /* a server's 3 is its listener */
}

/* The script's proof: what the connection says of itself at its end. */
static void add_proof(struct writer *wr, const struct wsim_end *e, const char *at)
{
    struct weir_tcp_info i;
    uint32_t len = sizeof i;
    if (weir_getsockopt(e->waiter.host->w, e->waiter.fd, WEIR_SOL_TCP, WEIR_TCP_INFO, &i, &len) != 0)
        return;
    add(wr, "%s %%{ assert tcpi_total_retrans == %u, tcpi_total_retrans }%%", at, i.total_retrans);
    add(wr, "%s %%{ assert tcpi_total_rto == %u, tcpi_total_rto }%%", at, i.total_rto);
}

static bool is_watched(const struct writer *wr, const struct wsim_end *e)
{
    return e == (wr->side == WIO_NEAR ? &wr->flow->client : &wr->flow->server);
}

static void on_call(void *ctx, const struct wsim_end *e, enum wsim_call what, int64_t asked)
{
    struct writer *wr = ctx;
    char at[32];
    if (!is_watched(wr, e))
        return;
    if (what == WSIM_CALL_CLOSE)
        add_proof(wr, e, at_text(wr, wsim_now(e->waiter.host->world), at, sizeof at));
    wr->call = what;
    wr->asked = asked;
    wr->call_at = wr->n;
    add(wr, "%s", ""); /* packets may go out before it returns */
}

static void print_result(char *line, size_t cap, const struct writer *wr, const char *at, int64_t got)
{
    int fd = fd_of(wr);
    long long asked = (long long)wr->asked;
    switch (wr->call) {
    case WSIM_CALL_SOCKET:
        snprintf(line, cap, "%s socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n%s fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
                 at, at);
        return;
    case WSIM_CALL_LISTEN: {
        char rcvbuf[96] = "";
        if (asked)
            snprintf(rcvbuf, sizeof rcvbuf, "%s setsockopt(3, SOL_SOCKET, SO_RCVBUF, [%lld], 4) = 0\n", at, asked);
        snprintf(line, cap,
                 "%s socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n%s bind(3, ..., ...) = 0\n%s%s listen(3, 8) = 0", at,
                 at, rcvbuf, at);
        return;
    }
    case WSIM_CALL_ACCEPT:
        snprintf(line, cap, "%s accept(3, ..., ...) = 4\n%s fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n%s close(3) = 0",
                 at, at, at);
        return;
    case WSIM_CALL_SNDBUF:
        snprintf(line, cap, "%s setsockopt(%d, SOL_SOCKET, SO_SNDBUF, [%lld], 4) = 0", at, fd, asked);
        return;
    case WSIM_CALL_RCVBUF:
        snprintf(line, cap, "%s setsockopt(%d, SOL_SOCKET, SO_RCVBUF, [%lld], 4) = 0", at, fd, asked);
        return;
    case WSIM_CALL_NODELAY: snprintf(line, cap, "%s setsockopt(%d, SOL_TCP, TCP_NODELAY, [1], 4) = 0", at, fd); return;
    case WSIM_CALL_CONNECT: snprintf(line, cap, "%s connect(3, ..., ...) = -1 EINPROGRESS", at); return;
    case WSIM_CALL_SEND: snprintf(line, cap, "%s write(%d, ..., %lld) = %lld", at, fd, asked, (long long)got); return;
    case WSIM_CALL_RECV: snprintf(line, cap, "%s read(%d, ..., %lld) = %lld", at, fd, asked, (long long)got); return;
    case WSIM_CALL_SHUTDOWN: snprintf(line, cap, "%s shutdown(%d, SHUT_WR) = 0", at, fd); return;
    case WSIM_CALL_CLOSE: snprintf(line, cap, "%s close(%d) = 0", at, fd); return;
    }
}

static void on_result(void *ctx, const struct wsim_end *e, int64_t got)
{
    struct writer *wr = ctx;
    char at[32], line[LINE_CAP];
    if (!is_watched(wr, e) || wr->call_at >= wr->n)
        return;
    size_t where = wr->call_at;
    wr->call_at = SIZE_MAX;
    if (got < 0 && got != -WEIR_EINPROGRESS)
        return; /* it would have blocked: the host tries again when it is told to */
    print_result(line, sizeof line, wr, at_text(wr, wsim_now(e->waiter.host->world), at, sizeof at), got);
    char *text = strdup(line);
    wr->is_short = wr->is_short || !text;
    if (text) {
        free(wr->lines[where]);
        wr->lines[where] = text;
    }
}

static void on_begin(void *ctx, struct wsim_flow *flows, weir_ns at)
{
    struct writer *wr = ctx;
    flows[0].watch = (struct wsim_flow_watch){on_call, on_result, wr};
    wr->flow = &flows[0];
    wr->zero = at;
}

/* ---- The script ---- */

static void print_head(const struct wtl_shrunk *sh, enum wio_side side, const char *title, FILE *out)
{
    const struct wtl_scenario *s = &sh->scenario;
    fprintf(
        out,
        "// %s\n// %zu of the link's %zu decisions are enough. The host is the %s; its peer's packets come when the "
        "link brings them.\n\n",
        title, sh->decisions.n, sh->decisions_before, side == WIO_NEAR ? "client" : "server");
    fprintf(out, "--ip_version=%s\n--mtu=%" PRIu32 "\n--strict_segments\n--tolerance_usecs=1000\n\n",
            s->family == WEIR_AF_INET ? "ipv4" : "ipv6", s->link.mtu);
    for (size_t i = 0; wtl_patience[i][0]; i++)
        fprintf(out, "%s`sysctl -q %s=%s`\n", i ? "+0 " : "0 ", wtl_patience[i][0], wtl_patience[i][1]);
    if (s->cc[0])
        fprintf(out, "+0 `sysctl -q net.ipv4.tcp_congestion_control=%s`\n", s->cc);
    fputc('\n', out);
}

int wtl_pkt_write(const struct wtl_shrunk *sh, const char *title, FILE *out, char *err, size_t err_cap)
{
    const struct wtl_scenario *s = &sh->scenario;
    struct writer wr = {.shrunk = sh,
                        .side = s->client[0].bytes >= s->server[0].bytes ? WIO_NEAR : WIO_FAR,
                        .local.called = STAMP_LOCAL,
                        .peer.called = STAMP_PEER,
                        .call_at = SIZE_MAX};
    struct wtl_play_opts opts = {.on_note = on_note, .on_begin = on_begin, .ctx = &wr};
    struct wtl_outcome o;
    if (s->flow_n != 1) {
        snprintf(err, err_cap, "it takes %u connections to fail, and a script has one", s->flow_n);
        return -EINVAL;
    }
    wtl_shrunk_play(sh, &opts, &o);
    print_head(sh, wr.side, title, out);
    for (size_t i = 0; i < wr.n; i++) {
        if (wr.lines[i][0])
            fprintf(out, "%s\n", wr.lines[i]);
        free(wr.lines[i]);
    }
    free(wr.lines);
    if (wr.is_short)
        snprintf(err, err_cap, "no memory");
    return wr.is_short ? -ENOMEM : 0;
}
