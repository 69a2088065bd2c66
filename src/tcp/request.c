/*
 * Requests: half-open connections in SYN-RECEIVED, before there is a connection (RFC 9293 3.10.7.4 for that state, as
 * Linux's tcp_check_req has it), their SYN-ACKs and timers.
 */
#include "tcp/listen.h"

#include "base/str.h"
#include "tcp/savedsyn.h"

#define SYNACK_RTO_MAX WEIR_SEC(120)

/* ---- The table ---- */

static bool matches(const struct wi_hnode *node, const void *arg)
{
    const struct wi_tcp_request *req = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_tcp_request, node);
    const struct wi_tcp_key *key = arg;
    return wi_tcp_tuple_equal(&req->tuple, &key->tuple) && (!key->netif || !req->netif || key->netif == req->netif);
}

struct wi_tcp_request *wi_tcp_request_find(const struct wi_tcp *tcp, const struct wi_tcp_key *key)
{
    struct wi_hnode *node = wi_htable_find(&tcp->requests, key->hash, matches, key);
    return node ? WI_CONTAINER_OF(node, struct wi_tcp_request, node) : NULL;
}

/* Whose options a request is answered with. */
static struct wi_tcp_conn *options_of(const struct wi_tcp_request *req)
{
    return req->held ? req->held->child : req->listener;
}

void wi_tcp_request_drop(struct wi_tcp *tcp, struct wi_tcp_request *req)
{
    wi_timer_cancel(&tcp->core->wheel, &req->timer);
    wi_htable_remove(&tcp->requests, &req->node);
    if (req->listener) {
        struct wi_tcp_listener *l = req->listener->listener;
        wi_list_del(&req->link);
        l->request_n--;
        l->young_n -= req->timeout_n == 0;
    }
    if (req->held) {
        req->held->child->held = NULL;
        if (req->held->syn)
            weir_pkt_unref(req->held->syn);
        wi_core_free(tcp->core, req->held, sizeof *req->held);
    }
    wi_tcp_syn_forget(tcp->core, req->saved_syn);
    wi_slab_free(&tcp->request_slab, req);
}

void wi_tcp_listen_fini(struct wi_tcp *tcp)
{
    struct wi_htable_iter it;
    wi_htable_iter_begin(&it, &tcp->requests);
    for (struct wi_hnode *n; (n = wi_htable_iter_next(&it));) {
        struct wi_tcp_request *req = WI_CONTAINER_OF(n, struct wi_tcp_request, node);
        req->listener = NULL; /* listeners and children are gone already */
        if (req->held) {
            if (req->held->syn)
                weir_pkt_unref(req->held->syn);
            wi_core_free(tcp->core, req->held, sizeof *req->held);
            req->held = NULL;
        }
        wi_tcp_request_drop(tcp, req);
    }
    wi_htable_iter_end(&it);
    wi_slab_fini(&tcp->request_slab);
    wi_slab_fini(&tcp->listener_slab);
}

/* ---- SYN-ACK ---- */

uint16_t wi_tcp_advmss_for(const struct wi_tcp_conn *l, const struct wi_dst *dst)
{
    uint32_t hdrs = (weir_addr_is_v4(&dst->dst) ? WI_IPV4_HDR : WI_IPV6_HDR) + WI_TCP_HDR_MIN;
    uint32_t mss = dst->adv_mtu > hdrs + WI_TCP_MSS_MIN ? dst->adv_mtu - hdrs : WI_TCP_MSS_MIN;
    if (dst->advmss && dst->advmss < mss)
        mss = dst->advmss;
    if (l->user_mss && l->user_mss < mss)
        mss = l->user_mss;
    return (uint16_t)wi_min_u32(mss, 0xffff);
}

/* Back to where it came from, with the address that was asked for as source, ours or not (a transparent gateway). */
int wi_tcp_route_back(const struct wi_tcp *tcp, const struct wi_tcp_conn *from, const struct wi_tcp_tuple *t, int netif,
                      struct wi_dst *dst)
{
    int bound_if = weir_addr_is_linklocal(&t->remote) && !weir_addr_is_v4(&t->remote) ? netif : from->sk.opts.bound_if;
    return wi_net_route(tcp->net, &t->remote, &t->local, bound_if, true, dst);
}

int wi_tcp_synack_send(struct wi_tcp *tcp, const struct wi_tcp_synack *a)
{
    struct wi_dst dst;
    const struct wi_tcp_syn *syn = a->syn;
    const struct wi_sk_opts *opts = &a->from->sk.opts;
    int err = wi_tcp_route_back(tcp, a->from, a->tuple, a->netif, &dst);
    if (err < 0)
        return err;
    struct wi_tcp_bare b = {
        .dst = &dst,
        .local = wi_tcp_sockaddr(&a->tuple->local, a->tuple->local_port),
        .remote = wi_tcp_sockaddr(&a->tuple->remote, a->tuple->remote_port),
        .h = {.src_port = a->tuple->local_port,
              .dst_port = a->tuple->remote_port,
              .seq = syn->iss,
              .ack = wi_seq_add(syn->irs, 1 + a->data_len),
              .flags = (uint16_t)(WI_TH_SYN | WI_TH_ACK),
              .wnd = (uint16_t)wi_min_u32(syn->rcv_wnd_bytes, 0xffff),
              .mss = wi_tcp_advmss_for(a->from, &dst),
              .has_wscale = syn->wscale_ok,
              .wscale = syn->rcv_wscale,
              .sack_ok = syn->sack_ok,
              .has_ts = syn->ts_ok,
              .tsval = a->tsval,
              .tsecr = syn->ts_recent},
        .why = a->why,
        .conn_id = syn->id,
        .iss = syn->iss,
        .irs = syn->irs,
        .tos = (uint8_t)((tcp->core->sysctl.tcp_reflect_tos ? syn->tos : opts->tos) & ~3u),
        .ttl = opts->ttl > 0 ? (uint8_t)opts->ttl : 0,
    };
    if (a->fo)
        wi_tcp_fo_put(a->fo, &b.h);
    wi_tcp_ecn_put_synack(tcp->core, (enum wi_tcp_ecn_mode)syn->ecn, syn->tos & 3u, a->rexmit_n, &b.h);
    return wi_tcp_send_bare(tcp, &b);
}

static weir_ns timeout_of(const struct wi_tcp_request *req)
{
    weir_ns t = req->timeout_n < 16 ? WI_TCP_RTO_INIT << req->timeout_n : SYNACK_RTO_MAX;
    return t < SYNACK_RTO_MAX ? t : SYNACK_RTO_MAX;
}

static int send_synack(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_fo_cookie *fo, bool by_timer)
{
    bool is_again = req->syn.synack_at != 0;
    struct wi_tcp_synack a = {
        .tuple = &req->tuple,
        .syn = &req->syn,
        .from = options_of(req),
        .fo = fo,
        .tsval = wi_tcp_ts_clock(tcp->core) + req->syn.ts_off,
        .rexmit_n = is_again ? wi_max_u32(1, req->timeout_n + (uint32_t)by_timer) : 0,
        .netif = req->netif,
        .why = is_again ? WEIR_WHY_REXMIT_SYN : WEIR_WHY_SYN_ACK,
    };
    int err = wi_tcp_synack_send(tcp, &a);
    if (err < 0)
        return err;
    req->tsval_last = a.tsval;
    if (!is_again) {
        req->tsval_first = a.tsval;
        req->syn.synack_at = tcp->core->now ? tcp->core->now : 1;
    } else {
        req->syn.synack_rexmit_n = (uint8_t)wi_min_u32(req->syn.synack_rexmit_n + 1u, UINT8_MAX);
        wi_count(tcp->core, WI_STAT_TcpRetransSegs);
    }
    return 0;
}

int wi_tcp_request_answer(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_fo_cookie *fo)
{
    int err = send_synack(tcp, req, fo, false);
    if (!err)
        wi_timer_arm(&tcp->core->wheel, &req->timer, tcp->core->now + timeout_of(req));
    return err;
}

/* ---- The timer ---- */

/* How often a SYN-ACK is sent again: less when the queue is over half full and most of it is old (RFC 4987 3.3). */
static uint32_t retries_allowed(const struct wi_tcp_request *req, uint32_t most)
{
    const struct wi_tcp_listener *l = req->listener ? req->listener->listener : NULL;
    if (!l || l->request_n << 1 <= wi_max_u32(8, l->backlog))
        return most;
    uint32_t young = l->young_n << 1;
    while (most > 2 && l->request_n >= young) {
        most--;
        young <<= 1;
    }
    return most;
}

/* The peer that completed nothing is forgotten; a reset would only tell a spoofed address of it. */
static void give_up(struct wi_tcp *tcp, struct wi_tcp_request *req)
{
    struct wi_tcp_conn *child = req->held ? req->held->child : NULL;
    wi_tcp_event_stray_state(tcp, &req->tuple, req->syn.id, WEIR_TCP_SYN_RCVD, WEIR_TCP_CLOSED,
                             "handshake not completed");
    wi_count(tcp->core, WI_STAT_TcpAttemptFails);
    wi_tcp_request_drop(tcp, req);
    if (child)
        wi_tcp_held_fail(child, WEIR_ETIMEDOUT);
}

/* Linux's reqsk_timer_handler and syn_ack_recalc. */
static void on_timer(struct wi_timer *timer, weir_ns now)
{
    struct wi_tcp_request *req = WI_CONTAINER_OF(timer, struct wi_tcp_request, timer);
    const struct wi_tcp_conn *from = options_of(req);
    struct wi_tcp *tcp = from->tcp;
    uint32_t most = from->syn_retries ? from->syn_retries : (uint32_t)tcp->core->sysctl.tcp_synack_retries;
    uint32_t allowed = retries_allowed(req, most), defer = (uint32_t)from->defer_accept_n;
    bool is_over = req->timeout_n >= allowed, is_resending = true;
    wi_tcp_event_stray_timer(tcp, &req->tuple, req->syn.id, WEIR_TIMER_SYN_ACK, req->timeout_n);
    if (defer) {
        is_over = is_over && (!req->is_acked || req->timeout_n >= most);
        is_resending = !req->is_acked || req->timeout_n + 1u >= defer;
    }
    if (is_over || (is_resending && send_synack(tcp, req, NULL, true) < 0 && !req->is_acked)) {
        give_up(tcp, req);
        return;
    }
    if (req->timeout_n++ == 0 && req->listener)
        req->listener->listener->young_n--;
    wi_timer_arm(&tcp->core->wheel, &req->timer, now + timeout_of(req));
}

struct wi_tcp_request *wi_tcp_request_new(struct wi_tcp_conn *listener, const struct wi_tcp_key *key,
                                          const struct wi_tcp_syn *syn, const struct wi_tcp_seg *seg)
{
    struct wi_tcp *tcp = listener->tcp;
    struct wi_tcp_request *req = wi_slab_alloc(&tcp->request_slab);
    if (!req)
        return NULL;
    req->listener = listener;
    req->tuple = key->tuple;
    bool is_linklocal = !weir_addr_is_v4(&key->tuple.remote) && weir_addr_is_linklocal(&key->tuple.remote);
    req->netif = is_linklocal || listener->sk.opts.bound_if ? seg->netif : 0;
    req->syn = *syn;
    req->saved_syn = listener->save_syn ? wi_tcp_syn_save(tcp->core, seg, listener->save_syn == 2) : NULL;
    wi_timer_init(&req->timer, on_timer);
    wi_htable_insert(&tcp->requests, &req->node, key->hash);
    wi_list_init(&req->link);
    wi_list_add_tail(&listener->listener->requests, &req->link);
    listener->listener->request_n++;
    listener->listener->young_n++;
    wi_tcp_event_stray_state(tcp, &req->tuple, syn->id, WEIR_TCP_LISTEN, WEIR_TCP_SYN_RCVD, "SYN received");
    return req;
}

/* ---- Segments ---- */

/* May an ACK, or a SYN-ACK ahead of its time, answer this segment (tcp_invalid_ratelimit)? */
static bool answer_allowed(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_seg *seg)
{
    if (seg->data_len && !(seg->h.flags & WI_TH_SYN))
        return true;
    uint32_t now_ms = (uint32_t)(tcp->core->now / WEIR_MS(1));
    if (req->oow_ack_ms && now_ms - req->oow_ack_ms < (uint32_t)tcp->core->sysctl.tcp_invalid_ratelimit)
        return false;
    req->oow_ack_ms = now_ms ? now_ms : 1;
    return true;
}

static void send_ack(struct wi_tcp *tcp, const struct wi_tcp_request *req, enum weir_why why)
{
    struct wi_dst dst;
    const struct wi_tcp_syn *syn = &req->syn;
    if (wi_tcp_route_back(tcp, options_of(req), &req->tuple, req->netif, &dst) < 0)
        return;
    struct wi_tcp_bare b = {
        .dst = &dst,
        .local = wi_tcp_sockaddr(&req->tuple.local, req->tuple.local_port),
        .remote = wi_tcp_sockaddr(&req->tuple.remote, req->tuple.remote_port),
        .h = {.src_port = req->tuple.local_port,
              .dst_port = req->tuple.remote_port,
              .seq = wi_seq_add(syn->iss, 1),
              .ack = wi_seq_add(syn->irs, 1),
              .flags = WI_TH_ACK,
              .wnd = (uint16_t)wi_min_u32(syn->rcv_wnd_bytes >> syn->rcv_wscale, 0xffff),
              .has_ts = syn->ts_ok,
              .tsval = syn->ts_ok ? wi_tcp_ts_clock(tcp->core) + syn->ts_off : 0,
              .tsecr = syn->ts_recent},
        .why = why,
        .conn_id = syn->id,
        .iss = syn->iss,
        .irs = syn->irs,
        .wscale = syn->rcv_wscale,
    };
    (void)wi_tcp_send_bare(tcp, &b); /* like one that got lost */
}

/* The same SYN again: our SYN-ACK was lost, or is late. A held one has nothing to repeat. */
static enum weir_drop on_same_syn(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_seg *seg)
{
    bool is_waiting = req->held && !req->syn.synack_at;
    if (!is_waiting && answer_allowed(tcp, req, seg))
        (void)wi_tcp_request_answer(tcp, req, NULL); /* the timer goes on if it can't be sent now */
    return WEIR_DROP_TCP_SYN_DUP;
}

/* While a SYN is held nothing was promised: a newer one from the same place simply takes over. */
static enum weir_drop on_segment_while_held(struct wi_tcp_request *req, const struct wi_tcp_seg *seg)
{
    uint16_t flags = seg->h.flags & (WI_TH_SYN | WI_TH_ACK | WI_TH_RST | WI_TH_FIN);
    if (flags != WI_TH_SYN)
        return flags & WI_TH_RST ? WEIR_DROP_TCP_OUT_OF_WND_RST : WEIR_DROP_TCP_NO_ACK;
    req->syn.irs = seg->seq;
    req->syn.snd_wnd_bytes = seg->h.wnd;
    req->syn.ts_ok = req->syn.ts_ok && seg->h.has_ts;
    req->syn.ts_recent = seg->h.tsval;
    return WEIR_DROP_TCP_SYN_DUP;
}

/* The peer gives up before it began: SYN-RECEIVED returns to LISTEN. */
static enum weir_drop on_reset(struct wi_tcp *tcp, struct wi_tcp_request *req, const char *cause, enum weir_drop why)
{
    struct wi_tcp_conn *child = req->held ? req->held->child : NULL;
    wi_tcp_event_stray_state(tcp, &req->tuple, req->syn.id, WEIR_TCP_SYN_RCVD, WEIR_TCP_LISTEN, cause);
    wi_count(tcp->core, WI_STAT_TcpAttemptFails);
    wi_tcp_request_drop(tcp, req);
    if (child)
        wi_tcp_held_fail(child, WEIR_ECONNRESET);
    return why;
}

/* Accept's queue is full: keep the request, and its SYN-ACKs will ask the peer again; or reset (Linux). */
static enum weir_drop on_overflow(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_seg *seg)
{
    wi_count(tcp->core, WI_STAT_ListenOverflows);
    wi_count(tcp->core, WI_STAT_ListenDrops);
    if (!tcp->core->sysctl.tcp_abort_on_overflow) {
        req->is_acked = true;
        return WEIR_DROP_TCP_ACCEPT_QUEUE_FULL;
    }
    wi_tcp_reset_reply(tcp, seg, WEIR_WHY_RST_ABORT);
    return on_reset(tcp, req, "accept's queue is full", WEIR_DROP_TCP_ACCEPT_QUEUE_FULL);
}

/* What comes for a request is told here, unless it goes on to the connection that the request becomes. */
static void tell(struct wi_tcp *tcp, const struct wi_tcp_request *req, const struct wi_tcp_seg *seg)
{
    wi_tcp_event_stray_in(tcp, seg, req->syn.id, req->syn.iss, req->syn.irs);
}

/* The child that a request becomes; NULL and *why: not now. */
static struct wi_tcp_conn *child_for(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_seg *seg,
                                     enum weir_drop *why)
{
    struct wi_tcp_conn *l = req->listener;
    if (req->held)
        return req->held->child;
    if (wi_tcp_accept_queue_is_full(l->listener)) {
        tell(tcp, req, seg);
        *why = on_overflow(tcp, req, seg);
        return NULL;
    }
    struct wi_tcp_conn *child = wi_tcp_child_new(l, &req->tuple, req->netif, req->syn.id);
    if (child) {
        wi_tcp_child_enqueue(l->listener, child);
        return child;
    }
    tell(tcp, req, seg);
    wi_count(tcp->core, WI_STAT_ListenDrops);
    req->is_acked = true;
    *why = WEIR_DROP_NO_MEMORY;
    return NULL;
}

/* The ACK of our SYN: a connection at last. */
static enum weir_drop on_ack(struct wi_tcp *tcp, struct wi_tcp_request *req, struct wi_tcp_seg *seg)
{
    struct wi_tcp_conn *l = req->held ? NULL : req->listener;
    enum weir_drop why = WEIR_DROP_TCP_DEFER_ACCEPT;
    if (seg->h.flags & WI_TH_SYN) /* its sequence number lies before the window */
        wi_tcp_seg_trim_front(seg, 1);
    if (req->timeout_n < options_of(req)->defer_accept_n && wi_seq_eq(seg->end, wi_seq_add(req->syn.irs, 1))) {
        tell(tcp, req, seg);
        req->is_acked = true;
        return why;
    }
    struct wi_tcp_conn *child = child_for(tcp, req, seg, &why);
    if (!child)
        return why;
    struct wi_tcp_syn syn = req->syn;
    syn.snd_wnd_bytes = (uint32_t)seg->h.wnd << syn.snd_wscale;
    child->saved_syn = req->saved_syn;
    req->saved_syn = NULL;
    wi_tcp_request_drop(tcp, req);
    why = wi_tcp_child_establish(child, &syn, seg);
    if (l)
        wi_sk_ready(&l->sk, WEIR_POLLIN | WEIR_POLLRDNORM);
    return why;
}

static bool ts_echo_is_ours(const struct wi_tcp_request *req, const struct wi_wire_tcp *h)
{
    if (!req->syn.ts_ok || !h->has_ts || !h->tsecr)
        return true;
    return h->tsecr - req->tsval_first <= req->tsval_last - req->tsval_first;
}

/* RFC 9293 3.10.7.4, first check, for a window that is the SYN-ACK's. */
static bool in_window(const struct wi_tcp_request *req, const struct wi_tcp_seg *seg)
{
    struct wi_seq lo = wi_seq_add(req->syn.irs, 1), hi = wi_seq_add(lo, req->syn.rcv_wnd_bytes);
    if (wi_seq_eq(seg->seq, lo) || wi_seq_between(lo, seg->seq, hi))
        return true;
    return wi_seq_gt(seg->end, lo) && wi_seq_lt(seg->seq, hi);
}

/*
 * An ACK of something that this request never sent: the listener resets it, unless a cookie went to the same peer
 * before there was room for a request; then that handshake has won.
 */
static enum weir_drop on_foreign_ack(struct wi_tcp *tcp, struct wi_tcp_request *req, struct wi_tcp_seg *seg)
{
    struct wi_tcp_key key = wi_tcp_key_of(tcp, &req->tuple, seg->netif);
    enum weir_drop why = wi_tcp_listen_input(req->listener, seg, &key, NULL);
    if (wi_tcp_conn_find(tcp, &key))
        wi_tcp_request_drop(tcp, req);
    return why;
}

static enum weir_drop on_strange(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_seg *seg,
                                 bool is_old)
{
    if (is_old)
        wi_count(tcp->core, WI_STAT_PAWSEstab);
    if (seg->h.flags & WI_TH_RST)
        return WEIR_DROP_TCP_OUT_OF_WND_RST;
    if (answer_allowed(tcp, req, seg))
        send_ack(tcp, req, WEIR_WHY_ACK_DUP);
    return is_old ? WEIR_DROP_TCP_PAWS : WEIR_DROP_TCP_BEYOND_WND;
}

/* RFC 5961 3.2: a reset counts at the very edge of the window only. */
static enum weir_drop on_rst(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_seg *seg)
{
    if (wi_seq_eq(seg->seq, wi_seq_add(req->syn.irs, 1)))
        return on_reset(tcp, req, "reset received", WEIR_DROP_TCP_RST);
    if (!answer_allowed(tcp, req, seg))
        return WEIR_DROP_TCP_CHALLENGE_RATE;
    wi_count(tcp->core, WI_STAT_TCPChallengeACK);
    send_ack(tcp, req, WEIR_WHY_ACK_CHALLENGE);
    return WEIR_DROP_TCP_RST_CHALLENGE;
}

static bool acks_our_syn(const struct wi_tcp_request *req, const struct wi_wire_tcp *h)
{
    return h->flags & WI_TH_ACK && wi_seq_eq(h->ack, wi_seq_add(req->syn.iss, 1));
}

static enum weir_drop on_other(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_tcp_seg *seg,
                               bool is_old, bool is_placed)
{
    uint16_t flags = seg->h.flags & (WI_TH_SYN | WI_TH_ACK | WI_TH_RST | WI_TH_FIN);
    tell(tcp, req, seg);
    if (flags == WI_TH_SYN && wi_seq_eq(seg->seq, req->syn.irs) && !is_old)
        return on_same_syn(tcp, req, seg);
    if (req->held && !req->syn.synack_at)
        return on_segment_while_held(req, seg);
    if (flags & WI_TH_ACK && !(flags & WI_TH_RST) && !acks_our_syn(req, &seg->h)) {
        wi_tcp_reset_reply(tcp, seg, WEIR_WHY_RST_ACK); /* RFC 9293 3.10.7.4, fifth check */
        return WEIR_DROP_TCP_LISTEN_ACK;
    }
    if (!is_placed)
        return on_strange(tcp, req, seg, is_old);
    if (flags & WI_TH_RST)
        return on_rst(tcp, req, seg);
    if (flags & WI_TH_SYN) /* fourth check: opened passively, back to LISTEN */
        return on_reset(tcp, req, "another SYN received", WEIR_DROP_TCP_SYN_CHALLENGE);
    return WEIR_DROP_TCP_NO_ACK;
}

enum weir_drop wi_tcp_request_input(struct wi_tcp *tcp, struct wi_tcp_request *req, struct wi_tcp_seg *seg)
{
    const struct wi_wire_tcp *h = &seg->h;
    bool is_rst = h->flags & WI_TH_RST;
    bool is_old = req->syn.ts_ok && h->has_ts && !is_rst && (int32_t)(h->tsval - req->syn.ts_recent) < 0;
    bool is_placed = !is_old && in_window(req, seg) && (is_rst || ts_echo_is_ours(req, h));
    bool is_new_syn = h->flags & WI_TH_SYN && !wi_seq_eq(seg->seq, req->syn.irs);
    bool is_answered = req->syn.synack_at != 0;
    if (is_answered && is_placed && !is_rst && !is_new_syn && acks_our_syn(req, h))
        return on_ack(tcp, req, seg);
    if (req->listener && !req->held && h->flags & WI_TH_ACK && !is_rst && !acks_our_syn(req, h))
        return on_foreign_ack(tcp, req, seg);
    return on_other(tcp, req, seg, is_old, is_placed);
}

/* RFC 1122 4.2.3.9: nothing is lost by forgetting a half-open connection that can't be completed; the quoted number
 * must be our SYN-ACK's (RFC 5927 4.1). */
enum weir_drop wi_tcp_request_icmp(struct wi_tcp *tcp, struct wi_tcp_request *req, const struct wi_net_error *err,
                                   struct wi_seq seq)
{
    if (!wi_seq_eq(seq, req->syn.iss) || !req->syn.synack_at)
        return WEIR_DROP_ICMP_STALE;
    if (err->err != WEIR_EHOSTUNREACH && err->err != WEIR_ENETUNREACH)
        return WEIR_DROP_TCP_ICMP_SOFT;
    return on_reset(tcp, req, "unreachable", WEIR_DROP_NONE);
}
