/* A socket in ss's words, in ss's order: iproute2 6.1. */
#include "ss/print.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netdb.h>
#include <string.h>

/* tcpi_options */
#define OPT_TIMESTAMPS 1u
#define OPT_SACK       2u
#define OPT_WSCALE     4u
#define OPT_ECN        8u
#define OPT_ECN_SEEN   16u
#define OPT_SYN_DATA   32u

#define SSTHRESH_SHOWN 0xffffu /* from here on it is not set, for ss */
#define REORDERING     3u      /* the usual, not worth a word */

const char *wss_state_name(unsigned state)
{
    static const char *const names[WEIR_SOCK_STATE_N] = {
        [WEIR_SOCK_ESTABLISHED] = "ESTAB",     [WEIR_SOCK_SYN_SENT] = "SYN-SENT",
        [WEIR_SOCK_SYN_RECV] = "SYN-RECV",     [WEIR_SOCK_FIN_WAIT_1] = "FIN-WAIT-1",
        [WEIR_SOCK_FIN_WAIT_2] = "FIN-WAIT-2", [WEIR_SOCK_TIME_WAIT] = "TIME-WAIT",
        [WEIR_SOCK_CLOSE] = "UNCONN",          [WEIR_SOCK_CLOSE_WAIT] = "CLOSE-WAIT",
        [WEIR_SOCK_LAST_ACK] = "LAST-ACK",     [WEIR_SOCK_LISTEN] = "LISTEN",
        [WEIR_SOCK_CLOSING] = "CLOSING",
    };
    return state < WEIR_SOCK_STATE_N && names[state] ? names[state] : "UNKNOWN";
}

/* ---- Endpoints ---- */

const char *wss_host_text(const struct weir_sock_info *s, const struct weir_sockaddr *at, char *buf, size_t cap)
{
    char addr[WEIR_ADDR_TEXT_CAP];
    bool is_v4 = weir_addr_is_v4(&at->addr);
    weir_addr_format(&at->addr, addr, sizeof addr);
    if (s->family == WEIR_AF_INET)
        snprintf(buf, cap, "%s", is_v4 ? addr : "0.0.0.0");
    else if (weir_addr_is_any(&at->addr))
        snprintf(buf, cap, "%s", s->is_v6only ? "[::]" : "*");
    else
        snprintf(buf, cap, is_v4 ? "[::ffff:%s]" : "[%s]", addr);
    return buf;
}

const char *wss_port_text(const struct weir_sock_info *s, const struct weir_sockaddr *at, bool is_numeric, char *buf,
                          size_t cap)
{
    const struct servent *known = is_numeric || !at->port
                                      ? NULL
                                      : getservbyport(htons(at->port), s->protocol == WEIR_IPPROTO_TCP ? "tcp" : "udp");
    if (!at->port)
        snprintf(buf, cap, "*");
    else if (known)
        snprintf(buf, cap, "%s", known->s_name);
    else
        snprintf(buf, cap, "%u", at->port);
    return buf;
}

/* ---- The last column ---- */

static void print_users(FILE *out, const struct wir_view *v, const struct wss_owners *owners)
{
    size_t n;
    const struct wss_owner *o = wss_owners_of(owners, v->inode, &n);
    if (!o)
        return;
    fputs(" users:(", out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%s(\"%s\",pid=%d,fd=%d)", i ? "," : "", o[i].name, (int)o[i].pid, o[i].fd);
    putc(')', out);
}

/* From ten minutes on whole minutes, from ten seconds on whole seconds. */
static void print_duration(FILE *out, uint64_t ms)
{
    uint64_t minutes = ms / 60000, seconds = ms / 1000 % 60, rest = ms % 1000;
    if (minutes)
        fprintf(out, "%" PRIu64 "min", minutes);
    seconds = minutes > 9 ? 0 : seconds;
    rest = minutes || seconds > 9 ? 0 : rest;
    if (seconds)
        fprintf(out, rest ? "%" PRIu64 "." : "%" PRIu64 "sec", seconds);
    if (rest)
        fprintf(out, "%03" PRIu64 "ms", rest);
}

static void print_timer(FILE *out, const struct weir_sock_info *i)
{
    static const char *const names[] = {[WEIR_SOCK_TIMER_NONE] = "off",
                                        [WEIR_SOCK_TIMER_RETRANSMIT] = "on",
                                        [WEIR_SOCK_TIMER_KEEPALIVE] = "keepalive",
                                        [WEIR_SOCK_TIMER_TIME_WAIT] = "timewait",
                                        [WEIR_SOCK_TIMER_PERSIST] = "persist"};
    if (!i->timer)
        return;
    fprintf(out, " timer:(%s,", names[i->timer]);
    print_duration(out, i->timer_left / WEIR_MS(1));
    fprintf(out, ",%u)", i->timer_tries);
}

static void print_extended(FILE *out, const struct wir_view *v)
{
    const struct weir_sock_info *i = &v->info;
    if (v->inode)
        fprintf(out, " ino:%" PRIu64, v->inode);
    fprintf(out, " sk:%" PRIx64, i->id);
    if (i->family == WEIR_AF_INET6 && (i->state == WEIR_SOCK_LISTEN || i->state == WEIR_SOCK_CLOSE))
        fprintf(out, " v6only:%d", i->is_v6only);
    fprintf(out, " %c-%c", i->shutdown & 1 ? '-' : '<', i->shutdown & 2 ? '-' : '>');
    if (i->is_parked)
        fputs(" parked", out);
}

/* ---- The lines below ---- */

static void print_memory(FILE *out, const uint32_t *mem)
{
    fprintf(out, " skmem:(r%u,rb%u,t%u,tb%u,f%u,w%u,o%u,bl%u,d%u)", mem[WEIR_MEMINFO_RMEM_ALLOC],
            mem[WEIR_MEMINFO_RCVBUF], mem[WEIR_MEMINFO_WMEM_ALLOC], mem[WEIR_MEMINFO_SNDBUF],
            mem[WEIR_MEMINFO_FWD_ALLOC], mem[WEIR_MEMINFO_WMEM_QUEUED], mem[WEIR_MEMINFO_OPTMEM],
            mem[WEIR_MEMINFO_BACKLOG], mem[WEIR_MEMINFO_DROPS]);
}

const char *wss_rate_text(double bps, bool is_numeric, char *buf, size_t cap)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    unsigned unit = 0;
    while (!is_numeric && bps > 1000 && unit < 4) {
        bps /= 1000;
        unit++;
    }
    snprintf(buf, cap, is_numeric ? "%.0f%s" : "%.3g%s", bps, units[unit]);
    return buf;
}

/* What the line is made with. */
struct line {
    FILE *out;
    const struct wss_show *show;
};

static void number(const struct line *l, const char *name, uint64_t v)
{
    if (v)
        fprintf(l->out, " %s:%" PRIu64, name, v);
}

static void millis(const struct line *l, const char *name, double us)
{
    if (us > 0)
        fprintf(l->out, " %s:%g", name, us / 1000);
}

static void rate(const struct line *l, const char *name, double bytes_per_s)
{
    char text[48];
    if (bytes_per_s > 0)
        fprintf(l->out, " %s %sbps", name, wss_rate_text(bytes_per_s * 8, l->show->is_numeric, text, sizeof text));
}

static void print_options(const struct line *l, const struct weir_sock_info *s, const struct weir_tcp_info *i)
{
    const struct {
        unsigned bit;
        const char *text;
    } words[] = {{OPT_TIMESTAMPS, " ts"},
                 {OPT_SACK, " sack"},
                 {OPT_ECN, " ecn"},
                 {OPT_ECN_SEEN, " ecnseen"},
                 {OPT_SYN_DATA, " fastopen"}};
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
        if (l->show->extended || words[k].bit == OPT_SYN_DATA)
            fputs(i->options & words[k].bit ? words[k].text : "", l->out);
    }
    if (s->congestion[0])
        fprintf(l->out, " %s", s->congestion);
    if (i->options & OPT_WSCALE)
        fprintf(l->out, " wscale:%u,%u", i->snd_wscale, i->rcv_wscale);
}

static void print_path(const struct line *l, const struct weir_tcp_info *i)
{
    if (i->rto != 3000000)
        millis(l, "rto", i->rto);
    number(l, "backoff", i->backoff);
    if (i->rtt)
        fprintf(l->out, " rtt:%g/%g", i->rtt / 1000.0, i->rttvar / 1000.0);
    millis(l, "ato", i->ato);
    number(l, "mss", i->snd_mss);
    number(l, "pmtu", i->pmtu);
    number(l, "rcvmss", i->rcv_mss);
    number(l, "advmss", i->advmss);
    number(l, "cwnd", i->snd_cwnd);
    number(l, "ssthresh", i->snd_ssthresh < SSTHRESH_SHOWN ? i->snd_ssthresh : 0);
}

static void print_counts(const struct line *l, const struct weir_tcp_info *i)
{
    number(l, "bytes_sent", i->bytes_sent);
    number(l, "bytes_retrans", i->bytes_retrans);
    number(l, "bytes_acked", i->bytes_acked);
    number(l, "bytes_received", i->bytes_received);
    number(l, "segs_out", i->segs_out);
    number(l, "segs_in", i->segs_in);
    number(l, "data_segs_out", i->data_segs_out);
    number(l, "data_segs_in", i->data_segs_in);
}

static void print_control(const struct line *l, const struct weir_sock_info *s)
{
    char bw[48];
    if (s->cc_info_len && strcmp(s->congestion, "bbr") == 0) {
        const struct weir_tcp_bbr_info *b = &s->cc_info.bbr;
        double bytes_per_s = (double)((uint64_t)b->bw_hi << 32 | b->bw_lo);
        fprintf(l->out, " bbr:(bw:%sbps,mrtt:%g", wss_rate_text(bytes_per_s * 8, l->show->is_numeric, bw, sizeof bw),
                b->min_rtt / 1000.0);
        if (b->pacing_gain)
            fprintf(l->out, ",pacing_gain:%g", b->pacing_gain / 256.0);
        if (b->cwnd_gain)
            fprintf(l->out, ",cwnd_gain:%g", b->cwnd_gain / 256.0);
        putc(')', l->out);
    } else if (s->cc_info_len && strcmp(s->congestion, "dctcp") == 0) {
        const struct weir_tcp_dctcp_info *d = &s->cc_info.dctcp;
        if (d->enabled)
            fprintf(l->out, " dctcp:(ce_state:%u,alpha:%u,ab_ecn:%u,ab_tot:%u)", d->ce_state, d->alpha, d->ab_ecn,
                    d->ab_tot);
        else
            fputs(" dctcp:fallback_mode", l->out);
    }
}

static void print_rates(const struct line *l, const struct weir_tcp_info *i)
{
    char most[48];
    if (i->rtt && i->snd_mss && i->snd_cwnd)
        rate(l, "send", (double)i->snd_cwnd * i->snd_mss * 1e6 / i->rtt);
    number(l, "lastsnd", i->last_data_sent);
    number(l, "lastrcv", i->last_data_recv);
    number(l, "lastack", i->last_ack_recv);
    if (i->pacing_rate && i->pacing_rate != UINT64_MAX) {
        rate(l, "pacing_rate", (double)i->pacing_rate);
        if (i->max_pacing_rate && i->max_pacing_rate != UINT64_MAX)
            fprintf(l->out, "/%sbps",
                    wss_rate_text((double)i->max_pacing_rate * 8, l->show->is_numeric, most, sizeof most));
    }
    rate(l, "delivery_rate", (double)i->delivery_rate);
    number(l, "delivered", i->delivered);
    number(l, "delivered_ce", i->delivered_ce);
    fputs(i->delivery_rate_app_limited ? " app_limited" : "", l->out);
}

static void share(const struct line *l, const char *name, uint64_t us, uint64_t busy_us)
{
    if (us)
        fprintf(l->out, " %s:%" PRIu64 "ms(%.1f%%)", name, us / 1000, 100.0 * (double)us / (double)busy_us);
}

static void print_losses(const struct line *l, const struct weir_tcp_info *i, bool is_listener)
{
    if (i->busy_time) {
        fprintf(l->out, " busy:%" PRIu64 "ms", i->busy_time / 1000);
        share(l, "rwnd_limited", i->rwnd_limited, i->busy_time);
        share(l, "sndbuf_limited", i->sndbuf_limited, i->busy_time);
    }
    number(l, "unacked", i->unacked);
    if (i->retrans || i->total_retrans)
        fprintf(l->out, " retrans:%u/%u", i->retrans, i->total_retrans);
    number(l, "lost", i->lost);
    number(l, "sacked", is_listener ? 0 : i->sacked);
    number(l, "dsack_dups", i->dsack_dups);
    number(l, "reordering", i->reordering == REORDERING ? 0 : i->reordering);
    number(l, "reord_seen", i->reord_seen);
}

static void print_receiver(const struct line *l, const struct weir_tcp_info *i)
{
    millis(l, "rcv_rtt", i->rcv_rtt);
    number(l, "rcv_space", i->rcv_space);
    number(l, "rcv_ssthresh", i->rcv_ssthresh);
    number(l, "notsent", i->notsent_bytes);
    if (i->min_rtt != UINT32_MAX)
        millis(l, "minrtt", i->min_rtt);
    number(l, "rcv_ooopack", i->rcv_ooopack);
    number(l, "snd_wnd", i->snd_wnd);
    number(l, "rcv_wnd", i->rcv_wnd);
    number(l, "rehash", i->rehash);
}

static void print_ledger(const struct line *l, const struct weir_ledger *ledger)
{
    const char *comma = "";
    if (!ledger->life)
        return;
    fputs(" ledger:(", l->out);
    for (unsigned c = 0; c < WEIR_CAUSE_N; c++) {
        if (!ledger->spent[c])
            continue;
        fprintf(l->out, "%s%s:%.1f%%", comma, weir_cause_text((enum weir_cause)c),
                100.0 * (double)ledger->spent[c] / (double)ledger->life);
        comma = ",";
    }
    putc(')', l->out);
}

void wss_print_details(FILE *out, const struct wir_view *v, const struct wss_show *show,
                       const struct wss_owners *owners)
{
    const struct line l = {out, show};
    const struct weir_sock_info *s = &v->info;
    bool is_held = s->state != WEIR_SOCK_TIME_WAIT && s->state != WEIR_SOCK_SYN_RECV;
    if (show->users)
        print_users(out, v, owners);
    if (show->timer)
        print_timer(out, s);
    if (show->extended)
        print_extended(out, v);
    if ((show->memory || show->info || show->ledger) && !show->is_one_line)
        fputs("\n\t", out);
    if (show->memory && is_held)
        print_memory(out, s->meminfo);
    if (show->info && s->has_tcp_info) {
        print_options(&l, s, &v->tcp);
        print_path(&l, &v->tcp);
        print_counts(&l, &v->tcp);
        print_control(&l, s);
        print_rates(&l, &v->tcp);
        print_losses(&l, &v->tcp, s->state == WEIR_SOCK_LISTEN);
        print_receiver(&l, &v->tcp);
    }
    if (show->ledger && s->has_tcp_info)
        print_ledger(&l, &v->tcp.ledger);
}
