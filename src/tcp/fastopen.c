/*
 * Fast Open, the server: cookies, children that are in use before their handshake is over, and the bound on how many
 * (RFC 7413 4.1.2, 4.2.2, 5.1). Linux's tcp_fastopen.c is the reference.
 */
#include "tcp/fastopen.h"

#include "base/siphash.h"
#include "base/str.h"
#include "tcp/listen.h"
#include "tcp/savedsyn.h"
#include "tcp/send.h"

#define COOKIE_LEN     8u
#define RESET_COUNTS   WEIR_SEC(60) /* Linux; RFC 7413 5.1 asks for a time-out */
#define SYNACK_RTO_MAX WEIR_SEC(120)

/* ---- Cookies ---- */

const struct wi_sysctl_keys *wi_tcp_fo_keys(const struct wi_tcp_conn *c)
{
    return c->fo.keys ? c->fo.keys : &c->sk.core->sysctl.tcp_fastopen_key;
}

int wi_tcp_fo_set_keys(struct wi_tcp_conn *c, const void *value, uint32_t len)
{
    size_t one = sizeof c->fo.keys->key[0];
    if (len != one && len != 2 * one)
        return -WEIR_EINVAL;
    if (!c->fo.keys)
        c->fo.keys = wi_core_alloc(c->sk.core, sizeof *c->fo.keys);
    if (!c->fo.keys)
        return -WEIR_ENOMEM;
    *c->fo.keys = (struct wi_sysctl_keys){.n = (uint32_t)(len / one)};
    memcpy(c->fo.keys->key, value, len);
    return 0;
}

/* As Linux's, so that servers behind one address may share a key: SipHash over the SYN's source and destination. */
void wi_tcp_fo_make(const struct wi_tcp_conn *l, const struct wi_tcp_tuple *t, unsigned key,
                    struct wi_tcp_fo_cookie *cookie)
{
    bool is_v4 = weir_addr_is_v4(&t->remote);
    size_t skip = is_v4 ? 12 : 0, len = 16 - skip;
    uint8_t in[32];
    memcpy(in, t->remote.b + skip, len);
    memcpy(in + len, t->local.b + skip, len);
    uint64_t mac = wi_siphash24(wi_tcp_fo_keys(l)->key[key], in, 2 * len);
    *cookie = (struct wi_tcp_fo_cookie){.is_there = true, .len = COOKIE_LEN};
    wi_put_le64(cookie->b, mac);
}

/* Which of our keys made the peer's cookie: 1 the current, 2 the last one, 0 none. */
static unsigned key_of(const struct wi_tcp_conn *l, const struct wi_tcp_tuple *t, const struct wi_wire_tcp *h)
{
    for (unsigned i = 0; i < wi_tcp_fo_keys(l)->n; i++) {
        struct wi_tcp_fo_cookie cookie;
        wi_tcp_fo_make(l, t, i, &cookie);
        if (h->fo_len == cookie.len && memcmp(h->fo_cookie, cookie.b, cookie.len) == 0)
            return i + 1;
    }
    return 0;
}

void wi_tcp_fo_put(const struct wi_tcp_fo_cookie *cookie, struct wi_wire_tcp *h)
{
    h->has_fo = cookie->is_there;
    h->fo_exp = cookie->is_exp;
    h->fo_len = cookie->len;
    memcpy(h->fo_cookie, cookie->b, cookie->len);
    if (wi_wire_tcp_hdr_len(h) > WI_TCP_HDR_MAX)
        h->has_fo = false;
}

/* ---- How many ---- */

/* Room for another pending child? One that a reset ended makes room only when its time is over, or a forger's resets
 * would lift the bound: RFC 7413 5.1. */
static bool has_room(struct wi_tcp_conn *l)
{
    struct wi_tcp_listener *q = l->listener;
    if (l->fo.queue_max == 0)
        return false;
    if (q->fo_n < l->fo.queue_max)
        return true;
    struct wi_tcp_fo_pending *oldest = wi_list_first(&q->fo_resets, struct wi_tcp_fo_pending, link);
    if (!oldest || oldest->until > l->sk.core->now) {
        wi_count(l->sk.core, WI_STAT_TCPFastOpenListenOverflow);
        return false;
    }
    wi_list_del(&oldest->link);
    q->fo_n--;
    wi_slab_free(&l->tcp->fo.pending_slab, oldest);
    return true;
}

static void release(struct wi_tcp_conn *c, bool is_reset)
{
    struct wi_tcp_fo_pending *p = c->fo.pending;
    if (!p)
        return;
    c->fo.pending = NULL;
    wi_list_del(&p->link);
    /* One that was not accepted still fills accept's queue, which is bound enough (Linux). */
    if (is_reset && p->listener && !c->listener) {
        p->until = c->sk.core->now + RESET_COUNTS;
        wi_list_add_tail(&p->listener->fo_resets, &p->link);
        return;
    }
    if (p->listener)
        p->listener->fo_n--;
    wi_slab_free(&c->tcp->fo.pending_slab, p);
}

void wi_tcp_fo_listen(struct wi_tcp_conn *c, uint32_t backlog)
{
    int64_t mode = c->sk.core->sysctl.tcp_fastopen, both = WI_TCP_FO_SERVER | WI_TCP_FO_EVERY_LISTENER;
    if ((mode & both) == both && c->fo.queue_max == 0)
        c->fo.queue_max = wi_min_u32(backlog, (uint32_t)c->sk.core->sysctl.somaxconn);
}

void wi_tcp_fo_listen_stop(struct wi_tcp_conn *c)
{
    struct wi_tcp_listener *l = c->listener;
    wi_list_for_each_safe (p, &l->fo_pending, struct wi_tcp_fo_pending, link) {
        wi_list_del(&p->link);
        p->listener = NULL;
    }
    wi_list_for_each_safe (p, &l->fo_resets, struct wi_tcp_fo_pending, link) {
        wi_list_del(&p->link);
        wi_slab_free(&c->tcp->fo.pending_slab, p);
    }
    l->fo_n = 0;
}

/* ---- SYN-ACK ---- */

static int send_synack(struct wi_tcp_conn *c, const struct wi_tcp_fo_cookie *cookie, enum weir_why why)
{
    const struct wi_tcp_fo_pending *p = c->fo.pending;
    struct wi_tcp_tuple t = wi_tcp_tuple_of(&c->sk);
    struct wi_tcp_synack a = {
        .tuple = &t,
        .syn = &p->syn,
        .from = c,
        .fo = cookie,
        .data_len = p->data_len,
        .tsval = wi_tcp_ts_clock(c->sk.core) + p->syn.ts_off,
        .netif = p->netif,
        .why = why,
    };
    return wi_tcp_synack_send(c->tcp, &a);
}

/* Without the option, and so that a middlebox which stumbles over either gets a plain one: RFC 7413 4.2.2. */
static void send_again(struct wi_tcp_conn *c)
{
    if (send_synack(c, NULL, WEIR_WHY_REXMIT_SYN) < 0)
        return;             /* as if it got lost */
    c->synack_rtt_from = 0; /* Karn */
    c->synack_rexmit_n = (uint8_t)wi_min_u32(c->synack_rexmit_n + 1u, UINT8_MAX);
    c->total_retrans++;
    wi_count(c->sk.core, WI_STAT_TcpRetransSegs);
}

static void arm(struct wi_tcp_conn *c)
{
    unsigned n = c->fo.pending->timeout_n;
    weir_ns wait = n < 16 ? WI_TCP_RTO_INIT << n : SYNACK_RTO_MAX;
    wi_tcp_arm_rtx(c, WEIR_TIMER_SYN_ACK, wait < SYNACK_RTO_MAX ? wait : SYNACK_RTO_MAX);
}

/* Linux's tcp_fastopen_synack_timer: once more than for a request, because the connection may be in use. */
void wi_tcp_fo_synack_timer(struct wi_tcp_conn *c)
{
    struct wi_tcp_fo_pending *p = c->fo.pending;
    struct wi_core *core = c->sk.core;
    uint32_t most = c->syn_retries ? c->syn_retries : (uint32_t)core->sysctl.tcp_synack_retries + 1;
    if (p->timeout_n >= most) {
        wi_count(core, WI_STAT_TCPAbortOnTimeout);
        wi_tcp_done(c, WEIR_ETIMEDOUT, WEIR_WHY_NONE, "handshake not completed");
        return;
    }
    if (p->timeout_n == 1) /* the second: as for a handshake that lost two segments */
        wi_tcp_enter_loss(c);
    wi_count(core, WI_STAT_TCPTimeouts);
    wi_tcp_note_rto(c);
    send_again(c);
    wi_tcp_note_retransmission(c); /* what is echoed tells whether it was needed */
    if (p->timeout_n < UINT8_MAX)
        p->timeout_n++;
    arm(c);
}

bool wi_tcp_fo_is_syn_again(const struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    uint16_t flags = s->h.flags & (WI_TH_SYN | WI_TH_ACK | WI_TH_RST | WI_TH_FIN);
    return flags == WI_TH_SYN && wi_seq_eq(s->seq, c->irs) && !wi_tcp_paws_rejects(c, &s->h);
}

enum weir_drop wi_tcp_fo_syn_again(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    (void)s;
    if (wi_tcp_oow_ack_allowed(c))
        send_again(c);
    return WEIR_DROP_TCP_SYN_DUP;
}

/* ---- A child from a SYN ---- */

/* The SYN's payload, as far as it fits the window that the SYN-ACK offers. */
static void take_data(struct wi_tcp_conn *c, const struct wi_tcp_seg *syn)
{
    struct wi_tcp_seg s = *syn;
    c->segs_in = 1;
    wi_tcp_seg_trim_front(&s, 1);
    if (s.data_len == 0)
        return;
    (void)wi_tcp_rcvq_data(c, &s); /* no memory: the SYN-ACK says what was taken */
    c->owed &= (uint8_t)~WI_TCP_OWE_ACK;
    c->ack_why = WEIR_WHY_NONE;
    c->dup_acks_owed = 0;
    c->is_ack_sched = false;
    c->fo.pending->data_len = (uint32_t)wi_seq_diff(c->rcv_nxt, wi_seq_add(c->irs, 1));
    if (c->fo.pending->data_len == 0)
        return;
    c->rcv_wup = c->rcv_nxt;
    c->data_segs_in = 1;
    c->last_rcv_at = c->sk.core->now;
    c->fo.syn_data_acked = true;
}

static void begin_pending(struct wi_tcp_conn *c, struct wi_tcp_conn *l, struct wi_tcp_fo_pending *p,
                          const struct wi_tcp_syn *syn, int netif)
{
    *p = (struct wi_tcp_fo_pending){.listener = l->listener, .syn = *syn, .netif = netif};
    wi_list_init(&p->link);
    wi_list_add_tail(&l->listener->fo_pending, &p->link);
    l->listener->fo_n++;
    c->fo.pending = p;
    c->fo.is_child = true;
}

/* NULL: no memory, or no route. */
static struct wi_tcp_conn *child_of(struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                                    const struct wi_tcp_syn *syn)
{
    struct wi_tcp *tcp = l->tcp;
    struct wi_tcp_fo_pending *p = wi_slab_alloc(&tcp->fo.pending_slab);
    struct wi_tcp_conn *c = p ? wi_tcp_child_new(l, &key->tuple, seg->netif, syn->id) : NULL;
    if (!c) {
        wi_slab_free(&tcp->fo.pending_slab, p);
        return NULL;
    }
    wi_tcp_event_stray_state(tcp, &key->tuple, syn->id, WEIR_TCP_LISTEN, WEIR_TCP_SYN_RCVD, "Fast Open SYN received");
    c->saved_syn = l->save_syn ? wi_tcp_syn_save(tcp->core, seg, l->save_syn == 2) : NULL;
    wi_tcp_open_passive(c, syn);
    wi_tcp_demux_insert(c);
    begin_pending(c, l, p, syn, seg->netif);
    wi_tcp_finish_established(c); /* the first window holds for what is sent before the ACK: RFC 7413 4.2.2 */
    take_data(c, seg);
    wi_tcp_child_enqueue(l->listener, c);
    return c;
}

static bool open_child(struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                       const struct wi_tcp_syn *syn, const struct wi_tcp_fo_cookie *cookie)
{
    struct wi_tcp_conn *c = child_of(l, seg, key, syn);
    if (!c) {
        wi_count(l->sk.core, WI_STAT_TCPFastOpenPassiveFail);
        return false;
    }
    wi_count(l->sk.core, WI_STAT_TCPFastOpenPassive);
    if (send_synack(c, cookie, WEIR_WHY_SYN_ACK) == 0)
        c->synack_rtt_from = l->sk.core->now ? l->sk.core->now : 1;
    arm(c);
    wi_sk_ready(&l->sk, WEIR_POLLIN | WEIR_POLLRDNORM);
    return true;
}

bool wi_tcp_fo_take_syn(struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                        const struct wi_tcp_syn *syn, struct wi_tcp_fo_cookie *answer)
{
    struct wi_core *core = l->sk.core;
    const struct wi_wire_tcp *h = &seg->h;
    int64_t mode = core->sysctl.tcp_fastopen;
    *answer = (struct wi_tcp_fo_cookie){.is_there = false};
    if (h->has_fo && h->fo_len == 0)
        wi_count(core, WI_STAT_TCPFastOpenCookieReqd);
    if (!(mode & WI_TCP_FO_SERVER) || !(seg->data_len || h->has_fo) || !has_room(l))
        return false;
    if ((mode & WI_TCP_FO_SERVER_NO_COOKIE) || l->fo.no_cookie)
        return open_child(l, seg, key, syn, NULL);
    if (!h->has_fo)
        return false;

    wi_tcp_fo_make(l, &key->tuple, 0, answer);
    answer->is_exp = h->fo_exp;
    unsigned from = h->fo_len ? key_of(l, &key->tuple, h) : 0;
    if (from == 0) { /* asked for, or not ours: here is one, and the SYN alone is acknowledged */
        if (h->fo_len)
            wi_count(core, WI_STAT_TCPFastOpenPassiveFail);
        return false;
    }
    if (!open_child(l, seg, key, syn, from == 2 ? answer : NULL))
        return false;
    if (from == 2)
        wi_count(core, WI_STAT_TCPFastOpenPassiveAltKey);
    return true;
}

/* ---- The handshake's end ---- */

void wi_tcp_fo_reset(struct wi_tcp_conn *c)
{
    release(c, true);
}

void wi_tcp_fo_complete(struct wi_tcp_conn *c)
{
    wi_tcp_stop_rtx(c);
    release(c, false);
    if (c->synack_rexmit_n > 0)
        c->rtt.rto = WI_TCP_RTO_FALLBACK; /* RFC 6298 5.7 */
}

void wi_tcp_fo_completed(struct wi_tcp_conn *c)
{
    if (c->state == WEIR_TCP_CLOSED || c->is_shell)
        return;
    wi_tcp_keepalive_update(c);
    wi_tcp_synack_answered(c);
    if (!wi_timer_armed(&c->timer_rtx))
        wi_tcp_rearm_rto(c); /* for what was sent meanwhile */
    if (c->loss.lost_out > c->loss.retrans_out) {
        c->loss.want_rexmit = true;
        wi_tcp_owe(c, WI_TCP_OWE_SEND);
    }
    if (c->state == WEIR_TCP_ESTABLISHED && c->shut & 2)
        wi_tcp_end_send(c, "user shutdown"); /* it was asked for before */
}

/* ---- Life ---- */

void wi_tcp_fo_end(struct wi_tcp_conn *c)
{
    c->fo.deferred = false;
    release(c, false);
    wi_tcp_fo_client_end(c);
}

void wi_tcp_fo_forget(struct wi_tcp_conn *c)
{
    release(c, false);
    if (c->fo.keys)
        wi_core_free(c->sk.core, c->fo.keys, sizeof *c->fo.keys);
    c->fo.keys = NULL;
}

/* The stack's own key until the tunable is set: from a secret that is there, so that no draw of another changes. */
static void first_key(struct wi_tcp *tcp)
{
    struct wi_sysctl_keys *keys = &tcp->core->sysctl.tcp_fastopen_key;
    if (keys->n)
        return;
    keys->n = 1;
    for (uint8_t half = 0; half < 2; half++)
        wi_put_le64(keys->key[0] + (size_t)half * 8, wi_siphash24(tcp->cookie_key[0], &half, sizeof half));
}

bool wi_tcp_fo_init(struct wi_tcp *tcp)
{
    if (!wi_tcp_fo_peers_init(tcp))
        return false;
    wi_slab_init(&tcp->fo.pending_slab, tcp->core->mem, sizeof(struct wi_tcp_fo_pending), "Fast Open requests");
    first_key(tcp);
    return true;
}

void wi_tcp_fo_fini(struct wi_tcp *tcp)
{
    wi_tcp_fo_peers_fini(tcp);
    wi_slab_fini(&tcp->fo.pending_slab);
}
