/*
 * Options at SOL_TCP: ranges, errors and values are Linux's (do_tcp_setsockopt, do_tcp_getsockopt). An option that is
 * not in the table is refused: none is accepted and ignored.
 */
#include "base/str.h"
#include "tcp/cc.h"
#include "tcp/fastopen.h"
#include "tcp/notice.h"
#include "tcp/savedsyn.h"
#include "tcp/send.h"
#include "tcp/sock.h"
#include <weir/socket.h>

#define MSS_MIN             88 /* Linux's TCP_MIN_MSS */
#define MSS_MAX             32767
#define KEEP_MAX_S          32767
#define LINGER2_MAX_S       120
#define CLAMP_MIN           1152 /* half of Linux's SOCK_MIN_RCVBUF */
#define CC_NAME_CAP         16   /* Linux's TCP_CA_NAME_MAX */
#define DEFER_TIMEOUT_S     1    /* of the first SYN-ACK */
#define DEFER_TIMEOUT_MAX_S 120
#define RTO_MAX_MIN_MS      1000 /* Linux's TCP_RTO_MAX_MIN_SEC, TCP_RTO_MAX_SEC */
#define RTO_MAX_MAX_MS      120000
#define TIMEOUT_MIN_US      2000 /* two ticks of a clock of 1000 Hz: Linux's TCP_TIMEOUT_MIN */
#define TIMEOUT_MAX_US      200000

void wi_tcp_options_copy(struct wi_tcp_conn *to, const struct wi_tcp_conn *from)
{
    to->sk.opts = from->sk.opts;
    to->user_mss = from->user_mss;
    to->user_timeout_ms = from->user_timeout_ms;
    to->keepidle_s = from->keepidle_s;
    to->keepintvl_s = from->keepintvl_s;
    to->keepcnt = from->keepcnt;
    to->syn_retries = from->syn_retries;
    to->linger2_s = from->linger2_s;
    to->rto_max_ms = from->rto_max_ms;
    to->rto_min_us = from->rto_min_us;
    to->delack_max_us = from->delack_max_us;
    to->thin_linear = from->thin_linear;
    to->defer_accept_n = from->defer_accept_n;
    to->window_clamp_bytes = from->window_clamp_bytes;
    to->notsent_lowat_bytes = from->notsent_lowat_bytes;
    to->nodelay = from->nodelay;
    to->cork = from->cork;
    to->want_inq = from->want_inq;
    to->fo.queue_max = from->fo.queue_max;
    to->fo.connect = from->fo.connect;
    to->fo.no_cookie = from->fo.no_cookie;
    to->pingpong = from->pingpong;
    if (!from->is_cc_chosen)
        return; /* the tunable's of this moment, as Linux's tcp_ca_openreq_child has it */
    int err = wi_tcp_cc_set(to, from->cc->name);
    WI_ASSERT(err == 0); /* it is in the table, `from` has it */
    to->is_cc_chosen = true;
}

/* What was held back may go now. */
static void push(struct wi_tcp_conn *c)
{
    c->push_now = true;
    wi_tcp_owe(c, WI_TCP_OWE_SEND);
}

static int set_nodelay(struct wi_tcp_conn *c, int v)
{
    c->nodelay = v != 0;
    if (v)
        push(c);
    return 0;
}

static int get_nodelay(const struct wi_tcp_conn *c)
{
    return c->nodelay;
}

static int set_cork(struct wi_tcp_conn *c, int v)
{
    c->cork = v != 0;
    if (!v && c->nodelay)
        push(c);
    else if (!v)
        wi_tcp_owe(c, WI_TCP_OWE_SEND); /* Nagle may hold it still */
    return 0;
}

static int get_cork(const struct wi_tcp_conn *c)
{
    return c->cork;
}

static int set_maxseg(struct wi_tcp_conn *c, int v)
{
    if (v && (v < MSS_MIN || v > MSS_MAX))
        return -WEIR_EINVAL;
    c->user_mss = (uint16_t)v;
    return 0;
}

static int get_maxseg(const struct wi_tcp_conn *c)
{
    bool is_idle = c->state == WEIR_TCP_CLOSED || c->state == WEIR_TCP_LISTEN;
    return is_idle && c->user_mss ? c->user_mss : c->snd_mss;
}

static int set_keepidle(struct wi_tcp_conn *c, int v)
{
    c->keepidle_s = (uint32_t)v;
    wi_tcp_keepalive_update(c);
    return 0;
}

static int get_keepidle(const struct wi_tcp_conn *c)
{
    return (int)(c->keepidle_s ? c->keepidle_s : c->sk.core->sysctl.tcp_keepalive_time);
}

static int set_keepintvl(struct wi_tcp_conn *c, int v)
{
    c->keepintvl_s = (uint32_t)v;
    return 0;
}

static int get_keepintvl(const struct wi_tcp_conn *c)
{
    return (int)(c->keepintvl_s ? c->keepintvl_s : c->sk.core->sysctl.tcp_keepalive_intvl);
}

static int set_keepcnt(struct wi_tcp_conn *c, int v)
{
    c->keepcnt = (uint8_t)v;
    return 0;
}

static int get_keepcnt(const struct wi_tcp_conn *c)
{
    return (int)(c->keepcnt ? c->keepcnt : c->sk.core->sysctl.tcp_keepalive_probes);
}

static int set_syncnt(struct wi_tcp_conn *c, int v)
{
    c->syn_retries = (uint8_t)v;
    return 0;
}

static int get_syncnt(const struct wi_tcp_conn *c)
{
    return (int)(c->syn_retries ? c->syn_retries : c->sk.core->sysctl.tcp_syn_retries);
}

static int set_linger2(struct wi_tcp_conn *c, int v)
{
    c->linger2_s = v < 0 ? -1 : v > LINGER2_MAX_S ? LINGER2_MAX_S : v;
    return 0;
}

static int get_linger2(const struct wi_tcp_conn *c)
{
    return c->linger2_s ? c->linger2_s : (int)c->sk.core->sysctl.tcp_fin_timeout;
}

/* Seconds as the number of SYN-ACK timeouts that they take, each twice the last: Linux's secs_to_retrans and back. */
static int set_defer_accept(struct wi_tcp_conn *c, int seconds)
{
    int n = 0, period = DEFER_TIMEOUT_S, timeout = DEFER_TIMEOUT_S;
    if (seconds > 0) {
        for (n = 1; seconds > period && n < (int)UINT8_MAX; n++) {
            timeout = timeout * 2 > DEFER_TIMEOUT_MAX_S ? DEFER_TIMEOUT_MAX_S : timeout * 2;
            period += timeout;
        }
    }
    c->defer_accept_n = (uint8_t)n;
    return 0;
}

static int get_defer_accept(const struct wi_tcp_conn *c)
{
    int period = 0, timeout = DEFER_TIMEOUT_S;
    for (unsigned n = 0; n < c->defer_accept_n; n++) {
        period += timeout;
        timeout = timeout * 2 > DEFER_TIMEOUT_MAX_S ? DEFER_TIMEOUT_MAX_S : timeout * 2;
    }
    return period;
}

/* What was let through stays so; what is offered from now on follows. Linux's tcp_set_window_clamp. */
static int set_window_clamp(struct wi_tcp_conn *c, int v)
{
    if (v == 0 && c->state != WEIR_TCP_CLOSED)
        return -WEIR_EINVAL;
    uint32_t clamp = v == 0 ? 0 : v < CLAMP_MIN ? CLAMP_MIN : (uint32_t)v, *ssthresh = &c->rcvq.rcv_ssthresh_bytes;
    c->window_clamp_bytes = clamp;
    if (clamp)
        *ssthresh = wi_min_u32(wi_max_u32(*ssthresh, c->rcv_wnd_bytes), clamp);
    return 0;
}

static int get_window_clamp(const struct wi_tcp_conn *c)
{
    bool is_idle = c->state == WEIR_TCP_CLOSED || c->state == WEIR_TCP_LISTEN;
    return (int)(is_idle ? c->window_clamp_bytes : wi_tcp_window_clamp(c));
}

/* 0: delay ACKs from now on; 1: send them at once, the one that waits first; other even values: that one only. */
static int set_quickack(struct wi_tcp_conn *c, int v)
{
    wi_tcp_pingpong_set(c, v == 0);
    if (v && c->is_ack_sched && (c->state == WEIR_TCP_ESTABLISHED || c->state == WEIR_TCP_CLOSE_WAIT)) {
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
        wi_tcp_pingpong_set(c, !(v & 1));
    }
    return 0;
}

static int get_quickack(const struct wi_tcp_conn *c)
{
    return !wi_tcp_in_pingpong(c);
}

static int set_user_timeout(struct wi_tcp_conn *c, int v)
{
    c->user_timeout_ms = (uint32_t)v;
    return 0;
}

static int get_user_timeout(const struct wi_tcp_conn *c)
{
    return (int)c->user_timeout_ms;
}

static int set_notsent_lowat(struct wi_tcp_conn *c, int v)
{
    c->notsent_lowat_bytes = (uint32_t)v;
    if (c->state == WEIR_TCP_ESTABLISHED && wi_tcp_sndq_writable(c))
        wi_sk_ready(&c->sk, WEIR_POLLOUT | WEIR_POLLWRNORM);
    return 0;
}

static int get_notsent_lowat(const struct wi_tcp_conn *c)
{
    return (int)c->notsent_lowat_bytes;
}

static int get_timestamp(const struct wi_tcp_conn *c)
{
    return (int)(wi_tcp_ts_clock(c->sk.core) + c->ts_off);
}

static int set_inq(struct wi_tcp_conn *c, int v)
{
    c->want_inq = v != 0;
    return 0;
}

static int get_inq(const struct wi_tcp_conn *c)
{
    return c->want_inq;
}

static int set_fastopen(struct wi_tcp_conn *c, int v)
{
    if (c->state != WEIR_TCP_CLOSED && c->state != WEIR_TCP_LISTEN)
        return -WEIR_EINVAL;
    c->fo.queue_max = wi_min_u32((uint32_t)v, (uint32_t)c->sk.core->sysctl.somaxconn);
    return 0;
}

static int get_fastopen(const struct wi_tcp_conn *c)
{
    return (int)c->fo.queue_max;
}

static int set_fastopen_connect(struct wi_tcp_conn *c, int v)
{
    if (!(c->sk.core->sysctl.tcp_fastopen & WI_TCP_FO_CLIENT))
        return -WEIR_EOPNOTSUPP;
    if (c->state != WEIR_TCP_CLOSED)
        return -WEIR_EINVAL;
    c->fo.connect = v;
    return 0;
}

static int get_fastopen_connect(const struct wi_tcp_conn *c)
{
    return c->fo.connect;
}

static int set_fastopen_no_cookie(struct wi_tcp_conn *c, int v)
{
    if (c->state != WEIR_TCP_CLOSED && c->state != WEIR_TCP_LISTEN)
        return -WEIR_EINVAL;
    c->fo.no_cookie = v;
    return 0;
}

static int get_fastopen_no_cookie(const struct wi_tcp_conn *c)
{
    return c->fo.no_cookie;
}

static int set_rto_max(struct wi_tcp_conn *c, int v)
{
    c->rto_max_ms = (uint32_t)v;
    return 0;
}

static int get_rto_max(const struct wi_tcp_conn *c)
{
    return (int)(wi_tcp_rto_max(c) / WEIR_MS(1));
}

static int set_rto_min(struct wi_tcp_conn *c, int v)
{
    c->rto_min_us = (uint32_t)v;
    return 0;
}

static int get_rto_min(const struct wi_tcp_conn *c)
{
    return (int)(wi_tcp_rto_min(c) / WEIR_US(1));
}

static int set_delack_max(struct wi_tcp_conn *c, int v)
{
    c->delack_max_us = (uint32_t)v;
    return 0;
}

static int get_delack_max(const struct wi_tcp_conn *c)
{
    return (int)(c->delack_max_us ? c->delack_max_us : WI_TCP_DELACK_MAX / WEIR_US(1));
}

static int set_thin_linear(struct wi_tcp_conn *c, int v)
{
    c->thin_linear = v != 0;
    return 0;
}

static int get_thin_linear(const struct wi_tcp_conn *c)
{
    return c->thin_linear;
}

static int set_save_syn(struct wi_tcp_conn *c, int v)
{
    c->save_syn = (uint8_t)v;
    return 0;
}

static int get_save_syn(const struct wi_tcp_conn *c)
{
    return c->save_syn;
}

/* Options that are an int; others below. */
static const struct option {
    int name, min, max;
    int (*set)(struct wi_tcp_conn *, int);
    int (*get)(const struct wi_tcp_conn *);
} options[] = {
    {WEIR_TCP_NODELAY, INT32_MIN, INT32_MAX, set_nodelay, get_nodelay},
    {WEIR_TCP_MAXSEG, INT32_MIN, INT32_MAX, set_maxseg, get_maxseg},
    {WEIR_TCP_CORK, INT32_MIN, INT32_MAX, set_cork, get_cork},
    {WEIR_TCP_KEEPIDLE, 1, KEEP_MAX_S, set_keepidle, get_keepidle},
    {WEIR_TCP_KEEPINTVL, 1, KEEP_MAX_S, set_keepintvl, get_keepintvl},
    {WEIR_TCP_KEEPCNT, 1, 127, set_keepcnt, get_keepcnt},
    {WEIR_TCP_SYNCNT, 1, 127, set_syncnt, get_syncnt},
    {WEIR_TCP_LINGER2, INT32_MIN, INT32_MAX, set_linger2, get_linger2},
    {WEIR_TCP_DEFER_ACCEPT, INT32_MIN, INT32_MAX, set_defer_accept, get_defer_accept},
    {WEIR_TCP_WINDOW_CLAMP, INT32_MIN, INT32_MAX, set_window_clamp, get_window_clamp},
    {WEIR_TCP_QUICKACK, INT32_MIN, INT32_MAX, set_quickack, get_quickack},
    {WEIR_TCP_USER_TIMEOUT, 0, INT32_MAX, set_user_timeout, get_user_timeout},
    {WEIR_TCP_NOTSENT_LOWAT, INT32_MIN, INT32_MAX, set_notsent_lowat, get_notsent_lowat},
    {WEIR_TCP_TIMESTAMP, 0, 0, NULL, get_timestamp},
    {WEIR_TCP_THIN_LINEAR_TIMEOUTS, 0, 1, set_thin_linear, get_thin_linear},
    {WEIR_TCP_SAVE_SYN, 0, 2, set_save_syn, get_save_syn},
    {WEIR_TCP_RTO_MAX_MS, RTO_MAX_MIN_MS, RTO_MAX_MAX_MS, set_rto_max, get_rto_max},
    {WEIR_TCP_RTO_MIN_US, TIMEOUT_MIN_US, TIMEOUT_MAX_US, set_rto_min, get_rto_min},
    {WEIR_TCP_DELACK_MAX_US, TIMEOUT_MIN_US, TIMEOUT_MAX_US, set_delack_max, get_delack_max},
    {WEIR_TCP_INQ, 0, 1, set_inq, get_inq},
    {WEIR_TCP_FASTOPEN, 0, INT32_MAX, set_fastopen, get_fastopen},
    {WEIR_TCP_FASTOPEN_CONNECT, 0, 1, set_fastopen_connect, get_fastopen_connect},
    {WEIR_TCP_FASTOPEN_NO_COOKIE, 0, 1, set_fastopen_no_cookie, get_fastopen_no_cookie},
};

static const struct option *find(int name)
{
    for (size_t i = 0; i < WI_ARRAY_LEN(options); i++) {
        if (options[i].name == name)
            return &options[i];
    }
    return NULL;
}

static int set_congestion(struct wi_tcp_conn *c, const void *value, uint32_t len)
{
    char name[CC_NAME_CAP] = {0};
    if (len < 1)
        return -WEIR_EINVAL;
    memcpy(name, value, wi_min_u32(len, CC_NAME_CAP - 1));
    int err = wi_tcp_cc_set(c, name);
    c->is_cc_chosen |= err == 0;
    return err;
}

/* SO_RCVLOWAT: at most half of the buffer, which grows to hold it. Linux's tcp_set_rcvlowat. */
static void follow_rcvlowat(struct wi_tcp_conn *c)
{
    struct wi_sk_opts *o = &c->sk.opts;
    uint32_t most = (o->rcvbuf_locked ? o->rcvbuf_bytes : (uint32_t)c->sk.core->sysctl.tcp_rmem.max) / 2;
    o->rcvlowat = wi_max_u32(wi_min_u32(o->rcvlowat, most), 1);
    if (o->rcvbuf_bytes < 2 * o->rcvlowat)
        (void)wi_tcp_window_expand(c, 2 * o->rcvlowat); /* as far as it may */
    wi_tcp_window_raise_clamp(c, o->rcvlowat);
    uint32_t ready = wi_tcp_rcvq_readable(c);
    if (ready && ready >= o->rcvlowat)
        wi_sk_ready(&c->sk, WEIR_POLLIN | WEIR_POLLRDNORM);
}

/* What was set at SOL_SOCKET and wants more than a changed member; the rest is read where it matters. */
static int told_of(struct wi_tcp_conn *c, int level, int name)
{
    if (level == WEIR_SOL_SOCKET && name == WEIR_SO_KEEPALIVE)
        wi_tcp_keepalive_update(c);
    if (level == WEIR_SOL_SOCKET && name == WEIR_SO_RCVLOWAT)
        follow_rcvlowat(c);
    if (level == WEIR_SOL_SOCKET && name == WEIR_SO_TIMESTAMPING)
        wi_tcp_stamp_option(c);
    if (level == WEIR_SOL_SOCKET && name == WEIR_SO_MAX_PACING_RATE)
        wi_tcp_pacing_limit(c);
    return 0;
}

int wi_tcp_setsockopt(struct wi_sk *sk, int level, int name, const void *value, uint32_t len)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    wi_tcp_ledger_charge(c);
    if (level != WEIR_SOL_TCP)
        return told_of(c, level, name);
    if (name == WEIR_TCP_CONGESTION)
        return set_congestion(c, value, len);
    if (name == WEIR_TCP_FASTOPEN_KEY)
        return wi_tcp_fo_set_keys(c, value, len);
    const struct option *o = find(name);
    int v;
    if (len < sizeof v)
        return -WEIR_EINVAL; /* Linux looks at the length before the name */
    if (!o || !o->set)
        return -WEIR_ENOPROTOOPT;
    memcpy(&v, value, sizeof v);
    return v < o->min || v > o->max ? -WEIR_EINVAL : o->set(c, v);
}

static int give(void *value, uint32_t *len, const void *from, size_t have)
{
    *len = (uint32_t)wi_min_size(*len, have);
    memcpy(value, from, *len);
    return 0;
}

static int get_meminfo(const struct wi_tcp_conn *c, uint32_t *words, uint32_t len)
{
    if (len < WEIR_MEMINFO_N * sizeof *words)
        return -WEIR_EINVAL;
    words[WEIR_MEMINFO_RMEM_ALLOC] = c->rcvq.mem_bytes;
    words[WEIR_MEMINFO_WMEM_QUEUED] = c->sndq.mem_bytes;
    return 0;
}

int wi_tcp_getsockopt(struct wi_sk *sk, int level, int name, void *value, uint32_t *len)
{
    const struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    if (level == WEIR_SOL_SOCKET && name == WEIR_SO_MEMINFO)
        return get_meminfo(c, value, *len);
    if (level != WEIR_SOL_TCP)
        return -WEIR_ENOPROTOOPT;
    if (name == WEIR_TCP_INFO) {
        struct weir_tcp_info info;
        wi_tcp_info(c, &info);
        return give(value, len, &info, sizeof info);
    }
    if (name == WEIR_TCP_CONGESTION) {
        char padded[CC_NAME_CAP] = {0};
        for (size_t i = 0; i < sizeof padded - 1 && c->cc->name[i]; i++)
            padded[i] = c->cc->name[i];
        return give(value, len, padded, sizeof padded);
    }
    if (name == WEIR_TCP_FASTOPEN_KEY) {
        const struct wi_sysctl_keys *keys = wi_tcp_fo_keys(c);
        return give(value, len, keys->key, sizeof keys->key[0] * keys->n);
    }
    if (name == WEIR_TCP_CC_INFO) {
        union weir_tcp_cc_info info = {0};
        return give(value, len, &info, c->cc->info ? c->cc->info(c, &info) : 0);
    }
    if (name == WEIR_TCP_SAVED_SYN)
        return wi_tcp_syn_read(wi_tcp_conn_of(sk), value, len);
    const struct option *o = find(name);
    if (!o)
        return -WEIR_ENOPROTOOPT;
    int v = o->get(c);
    return give(value, len, &v, sizeof v);
}
