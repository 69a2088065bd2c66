/*
 * LISTEN: what a segment to a listener does (RFC 9293 3.10.7.2), with SYN cookies and Linux's answers to full queues;
 * the calls listen, accept, admit and refuse. Requests are request.c's, children child.c's.
 */
#include "tcp/listen.h"

#include "base/pkt.h"
#include "base/str.h"
#include "tcp/cookie.h"
#include "tcp/isn.h"

/* ---- What a SYN says ---- */

static void read_syn(const struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, struct wi_tcp_syn *syn)
{
    const struct wi_sysctl *s = &l->sk.core->sysctl;
    const struct wi_wire_tcp *h = &seg->h;
    syn->irs = seg->seq;
    syn->tos = seg->ip->tos;
    syn->snd_wnd_bytes = h->wnd; /* RFC 7323 2.2: a SYN's window is never scaled */
    syn->peer_mss = l->user_mss && l->user_mss < h->mss ? l->user_mss : h->mss;
    syn->ts_ok = s->tcp_timestamps && h->has_ts;
    syn->ts_recent = h->tsval;
    syn->sack_ok = s->tcp_sack && h->sack_ok;
    syn->wscale_ok = s->tcp_window_scaling && h->has_wscale;
    syn->snd_wscale = syn->wscale_ok ? h->wscale : 0;
    wi_tcp_ecn_read_syn(l->sk.core, seg, l->cc->needs_ecn, syn);
}

/* Our side of the answer: what window and scale the SYN-ACK offers. */
static void choose_window(const struct wi_tcp_conn *l, const struct wi_dst *dst, struct wi_tcp_syn *syn)
{
    uint32_t mss = wi_tcp_advmss_for(l, dst);
    if (syn->ts_ok && mss > 12)
        mss -= 12;
    wi_tcp_window_first(l->sk.core, &l->sk.opts, l->window_clamp_bytes, mss, syn->wscale_ok, &syn->rcv_wnd_bytes,
                        &syn->rcv_wscale);
}

/* ---- Cookies ---- */

static uint16_t mss_or_default(uint16_t mss, const struct wi_tcp_tuple *t)
{
    if (mss)
        return mss;
    return weir_addr_is_v4(&t->remote) ? WI_TCP_MSS_DEFAULT_V4 : WI_TCP_MSS_DEFAULT_V6;
}

/* Answer a SYN and remember nothing. RFC 4987 3.6. */
static enum weir_drop answer_with_cookie(struct wi_tcp_conn *l, const struct wi_tcp_key *key, struct wi_tcp_syn *syn,
                                         int netif)
{
    struct wi_tcp *tcp = l->tcp;
    l->listener->overflow_at = tcp->core->now;
    l->listener->has_overflowed = true;
    if (!syn->ts_ok) { /* no place to keep them */
        if (syn->wscale_ok)
            syn->rcv_wnd_bytes = wi_min_u32(syn->rcv_wnd_bytes, 0xffff);
        syn->wscale_ok = syn->sack_ok = false;
        if (syn->ecn == WI_TCP_ECN_CLASSIC) /* AccECN tells of itself by the answer */
            syn->ecn = WI_TCP_ECN_NONE;
        syn->snd_wscale = syn->rcv_wscale = 0;
    }
    uint16_t mss = mss_or_default(syn->peer_mss, &key->tuple);
    syn->iss = wi_tcp_cookie_make(tcp, &key->tuple, syn->irs, &mss);
    struct wi_tcp_synack a = {
        .tuple = &key->tuple,
        .syn = syn,
        .from = l,
        .tsval = wi_tcp_cookie_ts_put(wi_tcp_ts_clock(tcp->core), syn) + syn->ts_off,
        .netif = netif,
        .why = WEIR_WHY_SYN_ACK,
    };
    if (wi_tcp_synack_send(tcp, &a) == 0)
        wi_count(tcp->core, WI_STAT_SyncookiesSent);
    return WEIR_DROP_NONE;
}

/* Were cookies sent so lately that one may come back? */
static bool expects_cookie(const struct wi_tcp_conn *l)
{
    int64_t mode = l->sk.core->sysctl.tcp_syncookies;
    return mode == 2 ||
           (mode && l->listener->has_overflowed && l->sk.core->now - l->listener->overflow_at < WI_TCP_COOKIE_VALID);
}

/* The SYN as it must have been, from the cookie and the timestamp that came back with it. */
static bool syn_from_cookie(const struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                            struct wi_tcp_syn *syn)
{
    syn->iss = wi_seq_sub(seg->h.ack, 1);
    syn->irs = wi_seq_sub(seg->seq, 1);
    syn->snd_wnd_bytes = seg->h.wnd;
    if (!seg->h.has_ts || !seg->h.tsecr) {
        syn->ecn = (uint8_t)wi_tcp_ecn_from_cookie(l->sk.core, seg->h.flags, false, false);
        return true;
    }
    syn->ts_ok = true;
    syn->ts_recent = seg->h.tsval;
    syn->ts_off = wi_tcp_ts_off(l->tcp, &key->tuple);
    bool is_right = wi_tcp_cookie_ts_get(l->sk.core, seg->h.tsecr - syn->ts_off, syn);
    syn->ecn = (uint8_t)wi_tcp_ecn_from_cookie(l->sk.core, seg->h.flags, syn->ecn != WI_TCP_ECN_NONE, true);
    return is_right;
}

/* An ACK that no request knows: is it the answer to a cookie? */
static enum weir_drop on_cookie(struct wi_tcp_conn *l, struct wi_tcp_seg *seg, const struct wi_tcp_key *key)
{
    struct wi_core *core = l->sk.core;
    struct wi_tcp_syn syn = {0};
    syn.peer_mss = wi_tcp_cookie_check(l->tcp, &key->tuple, wi_seq_sub(seg->seq, 1), wi_seq_sub(seg->h.ack, 1));
    if (!syn.peer_mss || !syn_from_cookie(l, seg, key, &syn)) {
        wi_count(core, WI_STAT_SyncookiesFailed);
        wi_tcp_event_stray_in(l->tcp, seg, 0, (struct wi_seq){0}, (struct wi_seq){0});
        wi_tcp_reset_reply(l->tcp, seg, WEIR_WHY_RST_ACK);
        return WEIR_DROP_TCP_COOKIE_BAD;
    }
    wi_count(core, WI_STAT_SyncookiesRecv);
    if (wi_tcp_accept_queue_is_full(l->listener)) {
        wi_count(core, WI_STAT_ListenOverflows);
        wi_count(core, WI_STAT_ListenDrops);
        return WEIR_DROP_TCP_ACCEPT_QUEUE_FULL;
    }
    syn.id = ++core->conn_id_next;
    syn.tos = seg->ip->tos & (uint8_t)~3u;
    struct wi_tcp_conn *child = wi_tcp_child_new(l, &key->tuple, seg->netif, syn.id);
    if (!child) {
        wi_count(core, WI_STAT_ListenDrops);
        return WEIR_DROP_NO_MEMORY;
    }
    choose_window(l, &child->dst, &syn);
    wi_tcp_event_stray_state(l->tcp, &key->tuple, syn.id, WEIR_TCP_LISTEN, WEIR_TCP_SYN_RCVD, "SYN cookie came back");
    wi_tcp_child_enqueue(l->listener, child);
    enum weir_drop why = wi_tcp_child_establish(child, &syn, seg);
    wi_sk_ready(&l->sk, WEIR_POLLIN | WEIR_POLLRDNORM);
    return why;
}

/* ---- SYN ---- */

enum syn_fate { SYN_TAKE, SYN_COOKIE, SYN_DROP };

/* Linux's tcp_conn_request: the SYN queue is full when it is as long as accept's may be. */
static enum syn_fate judge_syn(const struct wi_tcp_conn *l, bool is_reopening, enum weir_drop *why)
{
    const struct wi_sysctl *s = &l->sk.core->sysctl;
    const struct wi_tcp_listener *q = l->listener;
    bool is_full = q->request_n > q->backlog; /* one more than asked for, as in the queue of accept (Linux 6.10) */
    *why = WEIR_DROP_TCP_SYN_QUEUE_FULL;
    bool want_cookie = (is_full || s->tcp_syncookies == 2) && !is_reopening;
    if (want_cookie && !s->tcp_syncookies)
        return SYN_DROP;
    if (wi_tcp_accept_queue_is_full(q)) {
        *why = WEIR_DROP_TCP_ACCEPT_QUEUE_FULL;
        return SYN_DROP;
    }
    if (want_cookie)
        return SYN_COOKIE;
    /* Without cookies the last quarter is kept for peers that are known to be there; none is known here. */
    int64_t left = s->tcp_max_syn_backlog - (int64_t)q->request_n;
    return !s->tcp_syncookies && left < s->tcp_max_syn_backlog >> 2 ? SYN_DROP : SYN_TAKE;
}

/* WEIR_OPT_HOLD_SYN: surface it, and say nothing yet. */
static enum weir_drop hold_syn(struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                               const struct wi_tcp_syn *syn)
{
    struct wi_tcp *tcp = l->tcp;
    if (l->listener->request_n >= tcp->core->sysctl.tcp_max_syn_backlog || wi_tcp_accept_queue_is_full(l->listener)) {
        wi_count(tcp->core, WI_STAT_ListenDrops);
        return WEIR_DROP_TCP_SYN_QUEUE_FULL;
    }
    struct wi_tcp_held *held = wi_core_alloc(tcp->core, sizeof *held);
    if (!held)
        return WEIR_DROP_NO_MEMORY;
    struct wi_tcp_conn *child = wi_tcp_child_new(l, &key->tuple, seg->netif, syn->id);
    struct wi_tcp_request *req = child ? wi_tcp_request_new(l, key, syn, seg) : NULL;
    if (!req) {
        if (child)
            wi_tcp_owe(child, WI_TCP_OWE_FREE);
        wi_core_free(tcp->core, held, sizeof *held);
        return WEIR_DROP_NO_MEMORY;
    }
    *held = (struct wi_tcp_held){child, weir_pkt_ref(seg->pkt), *seg->ip, seg->netif};
    req->held = held;
    child->held = req;
    wi_tcp_child_enqueue(l->listener, child);
    wi_sk_ready(&l->sk, WEIR_POLLIN | WEIR_POLLRDNORM);
    return WEIR_DROP_NONE;
}

static enum weir_drop take_syn(struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                               struct wi_tcp_syn *syn)
{
    struct wi_tcp_fo_cookie fo;
    if (wi_tcp_fo_take_syn(l, seg, key, syn, &fo))
        return WEIR_DROP_NONE;
    struct wi_tcp_request *req = wi_tcp_request_new(l, key, syn, seg);
    if (!req) /* no memory even for this: a cookie needs none */
        return l->sk.core->sysctl.tcp_syncookies ? answer_with_cookie(l, key, syn, seg->netif) : WEIR_DROP_NO_MEMORY;
    if (wi_tcp_request_answer(l->tcp, req, fo.is_there ? &fo : NULL) < 0) {
        wi_tcp_request_drop(l->tcp, req);
        return WEIR_DROP_NO_ROUTE;
    }
    return WEIR_DROP_NONE;
}

static enum weir_drop on_syn(struct wi_tcp_conn *l, const struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                             const struct wi_seq *iss)
{
    struct wi_tcp *tcp = l->tcp;
    struct wi_tcp_syn syn = {0};
    struct wi_dst dst;
    enum weir_drop why = WEIR_DROP_NONE;
    bool is_held = l->sk.opts.hold_syn;
    enum syn_fate fate = is_held ? SYN_TAKE : judge_syn(l, iss != NULL, &why);
    if (fate == SYN_DROP) {
        if (why == WEIR_DROP_TCP_ACCEPT_QUEUE_FULL)
            wi_count(tcp->core, WI_STAT_ListenOverflows);
        wi_count(tcp->core, WI_STAT_ListenDrops);
        return why;
    }
    if (wi_tcp_route_back(tcp, l, &key->tuple, seg->netif, &dst) < 0)
        return WEIR_DROP_NO_ROUTE;

    read_syn(l, seg, &syn);
    choose_window(l, &dst, &syn);
    syn.ts_off = syn.ts_ok ? wi_tcp_ts_off(tcp, &key->tuple) : 0;
    syn.iss = iss ? *iss : wi_tcp_isn(tcp, &key->tuple);
    if (fate == SYN_COOKIE) {
        wi_tcp_event_stray_in(tcp, seg, 0, (struct wi_seq){0}, syn.irs);
        return answer_with_cookie(l, key, &syn, seg->netif);
    }
    syn.id = ++tcp->core->conn_id_next;
    wi_tcp_event_stray_in(tcp, seg, syn.id, syn.iss, syn.irs);
    return is_held ? hold_syn(l, seg, key, &syn) : take_syn(l, seg, key, &syn);
}

/* RFC 9293 3.10.7.2, its steps in order. */
enum weir_drop wi_tcp_listen_input(struct wi_tcp_conn *l, struct wi_tcp_seg *seg, const struct wi_tcp_key *key,
                                   const struct wi_seq *iss)
{
    const struct wi_wire_tcp *h = &seg->h;
    if (wi_tcp_came_too_far(l, seg))
        return WEIR_DROP_TCP_MIN_TTL;
    if (h->flags & WI_TH_RST)
        return WEIR_DROP_TCP_LISTEN_RST;
    if (h->flags & WI_TH_ACK) {
        if (!(h->flags & WI_TH_SYN) && expects_cookie(l))
            return on_cookie(l, seg, key);
        wi_tcp_event_stray_in(l->tcp, seg, 0, (struct wi_seq){0}, (struct wi_seq){0});
        wi_tcp_reset_reply(l->tcp, seg, WEIR_WHY_RST_ACK);
        return WEIR_DROP_TCP_LISTEN_ACK;
    }
    if (!(h->flags & WI_TH_SYN))
        return WEIR_DROP_TCP_LISTEN_NO_SYN;
    if (h->flags & WI_TH_FIN) /* open and close in one makes no sense; Linux drops it too */
        return WEIR_DROP_TCP_FLAGS;
    if (key->tuple.local_port == key->tuple.remote_port && weir_addr_equal(&key->tuple.local, &key->tuple.remote))
        return WEIR_DROP_IP_SRC_OURS; /* the "land" attack, CVE-1999-0016 */
    return on_syn(l, seg, key, iss);
}

/* ---- Calls ---- */

static int begin_listening(struct wi_tcp_conn *c)
{
    struct wi_sk *sk = &c->sk;
    struct wi_ports *ports = &c->tcp->ports;
    int err = 0;
    if (!sk->port) {
        struct weir_sockaddr any = sk->local;
        any.port = 0;
        err = wi_ports_bind(ports, sk, &any);
    } else if (sk->port_is_held) {
        err = wi_ports_receive(ports, sk, &sk->local.addr);
    }
    if (!err)
        err = wi_ports_may_listen(ports, sk);
    if (err)
        return err;
    struct wi_tcp_listener *l = wi_slab_alloc(&c->tcp->listener_slab);
    if (!l)
        return -WEIR_ENOMEM;
    l->conn = c;
    wi_list_init(&l->requests);
    wi_list_init(&l->children);
    wi_list_init(&l->fo_pending);
    wi_list_init(&l->fo_resets);
    c->listener = l;
    wi_tcp_set_state(c, WEIR_TCP_LISTEN, "listen");
    return 0;
}

int wi_tcp_listen(struct wi_sk *sk, int backlog)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    if ((c->state != WEIR_TCP_CLOSED && c->state != WEIR_TCP_LISTEN) || c->sock_state != WI_TCP_UNCONNECTED || c->held)
        return -WEIR_EINVAL;
    if (c->state == WEIR_TCP_CLOSED) {
        int err = begin_listening(c);
        if (err)
            return err;
        c->shut = 0;
        wi_tcp_fo_listen(c, (uint32_t)backlog);
    }
    c->listener->backlog = (uint32_t)backlog;
    return 0;
}

int wi_tcp_accept(struct wi_sk *sk, struct wi_sk **out)
{
    struct wi_tcp_conn *c = wi_tcp_conn_of(sk);
    if (c->state != WEIR_TCP_LISTEN)
        return -WEIR_EINVAL;
    struct wi_tcp_conn *child = wi_list_first(&c->listener->children, struct wi_tcp_conn, queue_link);
    if (!child)
        return -WEIR_EAGAIN;
    wi_tcp_listen_forget(child);
    *out = &child->sk;
    return 0;
}

void wi_tcp_listen_forget(struct wi_tcp_conn *child)
{
    if (!child->listener || child->listener->conn == child)
        return;
    wi_list_del(&child->queue_link);
    child->listener->child_n--;
    child->listener = NULL;
}

/* A request whose held child was accepted goes on without its listener; all others end here, without a word (Linux). */
static void end_requests(struct wi_tcp *tcp, struct wi_tcp_listener *l)
{
    wi_list_for_each_safe (req, &l->requests, struct wi_tcp_request, link) {
        if (req->held && !req->held->child->listener) {
            wi_list_del(&req->link);
            req->listener = NULL;
            l->request_n--;
            l->young_n -= req->timeout_n == 0;
        } else if (!req->held) {
            wi_tcp_request_drop(tcp, req);
        }
    }
}

void wi_tcp_listen_stop(struct wi_tcp_conn *c)
{
    struct wi_tcp_listener *l = c->listener;
    if (!l || l->conn != c)
        return;
    end_requests(c->tcp, l);
    wi_list_for_each_safe (child, &l->children, struct wi_tcp_conn, queue_link) {
        if (child->held) {
            wi_tcp_held_abandon(child);
            continue;
        }
        wi_tcp_listen_forget(child);
        if (child->state == WEIR_TCP_CLOSED)
            wi_tcp_owe(child, WI_TCP_OWE_FREE);
        else
            wi_tcp_done(child, 0, WEIR_WHY_RST_ABORT, "listener closed");
    }
    wi_tcp_fo_listen_stop(c);
    WI_ASSERT(l->child_n == 0 && l->request_n == 0);
    c->listener = NULL;
    wi_slab_free(&c->tcp->listener_slab, l);
}

void wi_tcp_listen_init(struct wi_tcp *tcp)
{
    wi_pool_slab_init(tcp->core->pool, &tcp->request_slab, sizeof(struct wi_tcp_request), "SYN queue");
    wi_slab_init(&tcp->listener_slab, tcp->core->mem, sizeof(struct wi_tcp_listener), "listeners");
}
