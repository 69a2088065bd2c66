/*
 * Fast Open, the client: the cache of cookies (RFC 7413 4.1.3), what a SYN carries (4.2.2), what the SYN-ACK teaches,
 * and when to let it be (4.1.3.1). Linux's tcp_fastopen.c and tcp_send_syn_data are the reference.
 */
#include "tcp/fastopen.h"

#include "base/siphash.h"
#include "base/str.h"
#include "tcp/send.h"

#define PEERS_INITIAL 8
#define PEERS_MAX     1024
#define OPTIONS_MAX   40u /* the SYN keeps room for all: Linux's MAX_TCP_OPTION_SPACE */
#define IOV_CAP       16u /* pieces that a SYN takes */
#define HOLE_DOUBLE   6u  /* Linux: the pause grows to 2^6 times the tunable */
#define FAILS_BAD     2u  /* lost SYNs in a row that mean the path, not chance */
#define FAIL_PAUSE    WEIR_SEC(60)

enum fail { NO_COOKIE = 1, DATA_NOT_ACKED, SYN_RETRANSMITTED };

struct wi_tcp_fo_peer {
    struct wi_hnode node; /* wi_tcp_fo_stack.peers */
    struct wi_list link;  /* wi_tcp_fo_stack.peers_lru, the one used last at the end */
    struct weir_addr local, remote;
    struct wi_tcp_fo_cookie cookie; /* len 0: none */
    uint16_t mss;                   /* of its SYN-ACK, 0: unknown */
    uint8_t try_exp;                /* no cookie came for: 1 option 34, 2 option 254 either */
    uint8_t fail_n;                 /* SYNs with the option that got lost, in a row */
    weir_ns fail_at;                /* the last; valid while fail_n */
};

/* ---- The cache ---- */

static uint64_t hash_of(const struct wi_tcp_conn *c)
{
    uint8_t in[32];
    memcpy(in, c->sk.local.addr.b, 16);
    memcpy(in + 16, c->sk.remote.addr.b, 16);
    return wi_siphash13(c->tcp->hash_key, in, sizeof in);
}

static bool is_peer_of(const struct wi_hnode *node, const void *arg)
{
    const struct wi_tcp_conn *c = arg;
    const struct wi_tcp_fo_peer *p = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_tcp_fo_peer, node);
    return weir_addr_equal(&p->remote, &c->sk.remote.addr) && weir_addr_equal(&p->local, &c->sk.local.addr);
}

static struct wi_tcp_fo_peer *peer_find(const struct wi_tcp_conn *c)
{
    struct wi_hnode *node = wi_htable_find(&c->tcp->fo.peers, hash_of(c), is_peer_of, c);
    return node ? WI_CONTAINER_OF(node, struct wi_tcp_fo_peer, node) : NULL;
}

static void peer_free(struct wi_tcp *tcp, struct wi_tcp_fo_peer *p)
{
    wi_htable_remove(&tcp->fo.peers, &p->node);
    wi_list_del(&p->link);
    wi_slab_free(&tcp->fo.peer_slab, p);
}

/* The entry for the connection's peer, made if need be; NULL: no memory, and it is simply not remembered. */
static struct wi_tcp_fo_peer *peer_get(const struct wi_tcp_conn *c)
{
    struct wi_tcp_fo_stack *fo = &c->tcp->fo;
    struct wi_tcp_fo_peer *p = peer_find(c);
    if (!p) {
        if (wi_htable_count(&fo->peers) >= PEERS_MAX)
            peer_free(c->tcp, wi_list_first(&fo->peers_lru, struct wi_tcp_fo_peer, link));
        p = wi_slab_alloc(&fo->peer_slab);
        if (!p)
            return NULL;
        p->local = c->sk.local.addr;
        p->remote = c->sk.remote.addr;
        wi_list_init(&p->link);
        wi_htable_insert(&fo->peers, &p->node, hash_of(c));
    }
    wi_list_del(&p->link);
    wi_list_add_tail(&fo->peers_lru, &p->link);
    return p;
}

bool wi_tcp_fo_peers_init(struct wi_tcp *tcp)
{
    wi_list_init(&tcp->fo.peers_lru);
    wi_slab_init(&tcp->fo.peer_slab, tcp->core->mem, sizeof(struct wi_tcp_fo_peer), "Fast Open cookies");
    return wi_htable_init(&tcp->fo.peers, tcp->core->mem, PEERS_INITIAL);
}

void wi_tcp_fo_peers_fini(struct wi_tcp *tcp)
{
    wi_list_for_each_safe (p, &tcp->fo.peers_lru, struct wi_tcp_fo_peer, link) {
        peer_free(tcp, p);
    }
    wi_htable_fini(&tcp->fo.peers);
    wi_slab_fini(&tcp->fo.peer_slab);
}

/* ---- When to let it be ---- */

/* A pause for everybody after a black hole, twice as long after each (Linux's tcp_fastopen_active_should_disable). */
static bool is_paused(struct wi_tcp_conn *c)
{
    const struct wi_tcp_fo_stack *fo = &c->tcp->fo;
    int64_t s = c->sk.core->sysctl.tcp_fastopen_blackhole_timeout_sec;
    if (s == 0 || fo->hole_n == 0)
        return false;
    weir_ns pause = WEIR_SEC((weir_ns)s) << wi_min_u32(fo->hole_n - 1, HOLE_DOUBLE);
    if (c->sk.core->now - fo->hole_at < pause)
        return true;
    c->fo.is_trial = true;
    return false;
}

/* This peer, or the path to it, did not answer: RFC 7413 4.1.3.1's negative response. */
static bool is_avoided(const struct wi_tcp_conn *c, const struct wi_tcp_fo_peer *p)
{
    return p && p->fail_n >= FAILS_BAD &&
           c->sk.core->now - p->fail_at < FAIL_PAUSE << wi_min_u32(p->fail_n, HOLE_DOUBLE);
}

static void note_hole(struct wi_tcp_conn *c)
{
    struct wi_tcp_fo_stack *fo = &c->tcp->fo;
    if (c->sk.core->sysctl.tcp_fastopen_blackhole_timeout_sec == 0)
        return;
    fo->hole_at = c->sk.core->now;
    fo->hole_n++;
    wi_count(c->sk.core, WI_STAT_TCPFastOpenBlackhole);
}

void wi_tcp_fo_timed_out(struct wi_tcp_conn *c, bool is_over)
{
    if (is_over && c->state == WEIR_TCP_SYN_SENT)
        wi_tcp_fo_unanswered(c);
    /* The third RTO in a row, or the end: a middlebox may drop what Fast Open began, also after the handshake. */
    unsigned n = c->loss.retransmits;
    if ((c->fo.syn_opt || c->fo.syn_data || c->fo.syn_data_acked) && (n == 2 || (n < 2 && is_over)))
        note_hole(c);
}

void wi_tcp_fo_unanswered(struct wi_tcp_conn *c)
{
    struct wi_tcp_fo_peer *p = c->state == WEIR_TCP_SYN_SENT && c->fo.syn_opt ? peer_get(c) : NULL;
    if (!p)
        return;
    p->fail_n = (uint8_t)wi_min_u32(wi_max_u32(p->fail_n + 1u, FAILS_BAD), UINT8_MAX);
    p->fail_at = c->sk.core->now;
}

void wi_tcp_fo_strange_reset(struct wi_tcp_conn *c)
{
    if (c->fo.syn_opt && c->data_segs_in == 0 && c->state == WEIR_TCP_ESTABLISHED)
        note_hole(c);
}

/* Nothing but a FIN came, and that out of order: the data before it were swallowed. Data that came end the back-off. */
void wi_tcp_fo_client_end(struct wi_tcp_conn *c)
{
    if (!c->fo.syn_opt)
        return;
    if (c->data_segs_in == 0 && c->rcvq.has_fin && !c->has_rcvd_fin)
        note_hole(c);
    else if (c->data_segs_in && c->fo.is_trial && !c->dst.is_local)
        c->tcp->fo.hole_n = 0;
}

/* ---- The SYN ---- */

/* What the SYN's option is to be, and the peer's MSS if known. True: data may ride along. */
static bool look_up(struct wi_tcp_conn *c, struct wi_tcp_fo_cookie *cookie, uint16_t *mss)
{
    const struct wi_tcp_fo_peer *p = peer_find(c);
    *cookie = (struct wi_tcp_fo_cookie){.is_there = true};
    if (p) {
        if (p->mss)
            *mss = p->mss;
        *cookie = p->cookie;
        cookie->is_there = true;
        if (cookie->len == 0 && p->try_exp == 1)
            cookie->is_exp = true;
    }
    bool is_off = is_paused(c) || is_avoided(c, p);
    bool needs_none = (c->sk.core->sysctl.tcp_fastopen & WI_TCP_FO_CLIENT_NO_COOKIE) || c->fo.no_cookie;
    if (is_off || needs_none) {
        cookie->is_there = false;
        return !is_off;
    }
    if (cookie->len == 0)
        c->fo.client_fail = NO_COOKIE;
    return cookie->len > 0;
}

bool wi_tcp_fo_has_cookie(struct wi_tcp_conn *c)
{
    struct wi_tcp_fo_cookie cookie;
    uint16_t mss;
    return look_up(c, &cookie, &mss);
}

bool wi_tcp_fo_lacks_memory(const struct weir_iovec *iov, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!iov[i].base && iov[i].len > 0)
            return true;
    }
    return false;
}

int64_t wi_tcp_fo_fill_syn(struct wi_tcp_conn *c, const struct weir_iovec *iov, size_t n)
{
    struct wi_tcp_fo_cookie cookie;
    struct weir_iovec cut[IOV_CAP];
    uint16_t mss = c->advmss;
    if (!look_up(c, &cookie, &mss))
        return 0;
    if (wi_tcp_fo_lacks_memory(iov, n)) {
        c->fo.asks_anew = true;
        return 0;
    }
    c->mss_clamp = c->user_mss && c->user_mss < mss ? c->user_mss : mss;
    wi_tcp_mss_sync(c, c->dst.mtu);
    uint32_t space = c->snd_mss > OPTIONS_MAX ? c->snd_mss - OPTIONS_MAX : 0;
    size_t m = 0;
    for (; m < n && m < IOV_CAP && space > 0; m++) {
        cut[m] = (struct weir_iovec){iov[m].base, wi_min_size(iov[m].len, space)};
        space -= (uint32_t)cut[m].len;
    }
    int64_t taken = wi_tcp_sndq_write(c, cut, m, 0);
    c->fo.syn_data = taken > 0;
    return taken > 0 ? taken : 0;
}

void wi_tcp_fo_put_syn(struct wi_tcp_conn *c, struct wi_wire_tcp *h)
{
    struct wi_tcp_fo_cookie cookie;
    uint16_t mss;
    (void)look_up(c, &cookie, &mss);
    if (!cookie.is_there)
        return;
    if (c->fo.asks_anew)
        cookie.len = 0;
    wi_tcp_fo_put(&cookie, h);
    c->fo.syn_opt = h->has_fo;
    c->fo.syn_opt_exp = h->has_fo && cookie.is_exp;
}

/* ---- The SYN-ACK ---- */

/* Linux's tcp_fastopen_cache_set. */
static void learn(struct wi_tcp_conn *c, const struct wi_wire_tcp *h, bool is_syn_lost, uint8_t try_exp)
{
    struct wi_tcp_fo_peer *p = peer_get(c);
    if (!p)
        return;
    p->mss = h->mss ? h->mss : c->mss_clamp;
    if (c->fo.syn_opt && h->has_fo && h->fo_len > 0) {
        p->cookie = (struct wi_tcp_fo_cookie){.is_there = true, .is_exp = h->fo_exp, .len = h->fo_len};
        memcpy(p->cookie.b, h->fo_cookie, h->fo_len);
    } else if (try_exp > p->try_exp && p->cookie.len == 0 && !p->cookie.is_exp) {
        p->try_exp = try_exp;
    }
    p->fail_n = is_syn_lost ? (uint8_t)wi_min_u32(p->fail_n + 1u, UINT8_MAX) : 0;
    p->fail_at = c->sk.core->now;
}

void wi_tcp_fo_synack(struct wi_tcp_conn *c, const struct wi_wire_tcp *h)
{
    if (!c->fo.syn_opt && !c->fo.syn_data)
        return;
    bool is_data_left = c->fo.syn_data && wi_tcp_rec_head_sent(c);
    bool is_syn_lost = false;
    uint8_t try_exp = 0;
    if (c->fo.syn_opt && c->total_retrans) /* neither cookie nor data: the first SYN never arrived, it seems */
        is_syn_lost = !h->has_fo && is_data_left;
    else if (c->fo.syn_opt && !h->has_fo && !c->fo.syn_data)
        try_exp = c->fo.syn_opt_exp ? 2 : 1;
    learn(c, h, is_syn_lost, try_exp);

    if (is_data_left) { /* RFC 7413 4.2.2: it goes again, with the ACK that is due anyway */
        c->fo.client_fail = c->total_retrans ? SYN_RETRANSMITTED : DATA_NOT_ACKED;
        wi_count(c->sk.core, WI_STAT_TCPFastOpenActiveFail);
        wi_tcp_simple_retransmit(c, 0);
        return;
    }
    c->fo.syn_data_acked = c->fo.syn_data;
    if (!c->fo.syn_data)
        return;
    wi_count(c->sk.core, WI_STAT_TCPFastOpenActive);
    if (c->delivered > 1)
        c->delivered--; /* SYN and data are two records, and were one packet */
}
