/* TIME-WAIT entries: see timewait.h. */
#include "tcp/timewait.h"

#include "base/pkt.h"
#include "base/str.h"
#include "tcp/send.h"

#define NEXT_ISS_GAP (65535u + 2) /* Linux: beyond any window that was not scaled */

static bool matches(const struct wi_hnode *node, const void *arg)
{
    const struct wi_tcp_timewait *tw =
        WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_tcp_timewait, node);
    const struct wi_tcp_key *key = arg;
    return wi_tcp_tuple_equal(&tw->tuple, &key->tuple) && (!tw->netif || !key->netif || tw->netif == key->netif);
}

struct wi_tcp_timewait *wi_tcp_timewait_find(const struct wi_tcp *tcp, const struct wi_tcp_key *key)
{
    struct wi_hnode *node = wi_htable_find(&tcp->timewaits, key->hash, matches, key);
    return node ? WI_CONTAINER_OF(node, struct wi_tcp_timewait, node) : NULL;
}

/* ---- Life ---- */

static void arm_for_first(struct wi_tcp *tcp)
{
    struct wi_tcp_timewait *first = wi_list_first(&tcp->timewait_fifo, struct wi_tcp_timewait, fifo_link);
    wi_timer_arm(&tcp->core->wheel, &tcp->timewait_timer, first ? first->due : WEIR_NEVER);
}

/* To the end of the queue: it lasts 2 MSL from now on. */
static void restart(struct wi_tcp *tcp, struct wi_tcp_timewait *tw)
{
    wi_list_del(&tw->fifo_link);
    tw->due = tcp->core->now + WI_TCP_TIMEWAIT;
    wi_list_add_tail(&tcp->timewait_fifo, &tw->fifo_link);
    if (!wi_timer_armed(&tcp->timewait_timer))
        arm_for_first(tcp);
}

static void free_entry(struct wi_tcp *tcp, struct wi_tcp_timewait *tw)
{
    if (tw->is_fin_wait_2)
        wi_timer_cancel(&tcp->core->wheel, &((struct wi_tcp_fin_wait *)tw)->timer);
    wi_slab_free(tw->is_fin_wait_2 ? &tcp->fin_wait_slab : &tcp->timewait_slab, tw);
}

static void drop_entry(struct wi_tcp *tcp, struct wi_tcp_timewait *tw)
{
    wi_htable_remove(&tcp->timewaits, &tw->node);
    wi_list_del(&tw->fifo_link);
    wi_ports_vacate(&tcp->ports, &tw->tuple.local, tw->tuple.local_port, tw->port_reuse);
    free_entry(tcp, tw);
}

static enum weir_tcp_state state_of(const struct wi_tcp_timewait *tw)
{
    return tw->is_fin_wait_2 ? WEIR_TCP_FIN_WAIT_2 : WEIR_TCP_TIME_WAIT;
}

/* The timer stands as it is: when it finds nothing due it looks for the next. */
void wi_tcp_timewait_kill(struct wi_tcp *tcp, struct wi_tcp_timewait *tw, const char *cause)
{
    wi_tcp_event_stray_state(tcp, &tw->tuple, tw->conn_id, state_of(tw), WEIR_TCP_CLOSED, cause);
    drop_entry(tcp, tw);
    if (wi_list_empty(&tcp->timewait_fifo))
        arm_for_first(tcp);
}

static void on_timer(struct wi_timer *timer, weir_ns now)
{
    struct wi_tcp *tcp = WI_CONTAINER_OF(timer, struct wi_tcp, timewait_timer);
    for (struct wi_tcp_timewait *tw;
         (tw = wi_list_first(&tcp->timewait_fifo, struct wi_tcp_timewait, fifo_link)) && tw->due <= now;) {
        wi_tcp_event_stray_timer(tcp, &tw->tuple, tw->conn_id, WEIR_TIMER_TIME_WAIT, 0);
        wi_tcp_event_stray_state(tcp, &tw->tuple, tw->conn_id, WEIR_TCP_TIME_WAIT, WEIR_TCP_CLOSED, "2 MSL are over");
        drop_entry(tcp, tw);
    }
    arm_for_first(tcp);
}

void wi_tcp_timewait_init(struct wi_tcp *tcp)
{
    wi_pool_slab_init(tcp->core->pool, &tcp->timewait_slab, sizeof(struct wi_tcp_timewait), "TIME-WAIT");
    wi_pool_slab_init(tcp->core->pool, &tcp->fin_wait_slab, sizeof(struct wi_tcp_fin_wait), "FIN-WAIT-2");
    wi_list_init(&tcp->timewait_fifo);
    wi_list_init(&tcp->fin_waits);
    wi_timer_init(&tcp->timewait_timer, on_timer);
}

void wi_tcp_timewait_fini(struct wi_tcp *tcp)
{
    wi_list_for_each_safe (tw, &tcp->timewait_fifo, struct wi_tcp_timewait, fifo_link)
        drop_entry(tcp, tw);
    wi_list_for_each_safe (tw, &tcp->fin_waits, struct wi_tcp_timewait, fifo_link)
        drop_entry(tcp, tw);
    wi_timer_cancel(&tcp->core->wheel, &tcp->timewait_timer);
    wi_slab_fini(&tcp->timewait_slab);
    wi_slab_fini(&tcp->fin_wait_slab);
}

static void fill(struct wi_tcp_timewait *tw, const struct wi_tcp_conn *c)
{
    tw->tuple = wi_tcp_tuple_of(&c->sk);
    tw->rcv_nxt = c->rcv_nxt;
    tw->snd_nxt = c->snd_nxt;
    tw->has_ts = c->ts_ok;
    tw->ts_recent = c->ts_recent;
    tw->ts_off = c->ts_off;
    tw->iss = c->iss.v;
    tw->irs = c->irs.v;
    tw->conn_id = c->sk.id;
    uint32_t wnd_mask = (1u << c->rcv_wscale) - 1; /* the FIN took a number: rounded up, the window stays as it was */
    tw->wnd = (uint16_t)wi_min_u32((wi_tcp_window_left(c) + wnd_mask) >> c->rcv_wscale, 0xffff);
    tw->netif = (uint16_t)c->sk.opts.bound_if;
    tw->tos = c->sk.opts.tos;
    tw->rcv_wscale = c->rcv_wscale & 15u;
}

/* An entry of its kind, in the connection's place; NULL: no room. */
static struct wi_tcp_timewait *replace(struct wi_tcp_conn *c, struct wi_slab *slab)
{
    struct wi_tcp *tcp = c->tcp;
    bool is_full = wi_htable_count(&tcp->timewaits) >= (size_t)tcp->core->sysctl.tcp_max_tw_buckets;
    struct wi_tcp_timewait *tw = is_full || !c->sk.port ? NULL : wi_slab_alloc(slab);
    if (!tw) {
        wi_drop(tcp->core, WEIR_DROP_TCP_TIME_WAIT_FULL, NULL, 0);
        wi_tcp_demux_remove(c);
        return NULL;
    }
    fill(tw, c);
    tw->port_reuse = wi_ports_leave_place(&tcp->ports, &c->sk);
    c->sk.local.port = tw->tuple.local_port; /* getsockname goes on telling it */
    wi_tcp_demux_remove(c);
    wi_htable_insert(&tcp->timewaits, &tw->node, wi_tcp_tuple_hash(tcp, &tw->tuple));
    wi_list_init(&tw->fifo_link);
    return tw;
}

bool wi_tcp_timewait_enter(struct wi_tcp_conn *c)
{
    /* No room, as Linux: better no TIME-WAIT than no memory. The peer's FIN, should it come again, gets a reset. */
    struct wi_tcp_timewait *tw = replace(c, &c->tcp->timewait_slab);
    if (!tw)
        return false;
    restart(c->tcp, tw);
    wi_count(c->sk.core, WI_STAT_TWOpened);
    return true;
}

/* ---- FIN-WAIT-2 ---- */

static void on_fin_wait_timer(struct wi_timer *timer, weir_ns now)
{
    (void)now;
    struct wi_tcp_fin_wait *fw = WI_CONTAINER_OF(timer, struct wi_tcp_fin_wait, timer);
    wi_tcp_event_stray_timer(fw->tcp, &fw->tw.tuple, fw->tw.conn_id, WEIR_TIMER_FIN_WAIT_2, 0);
    wi_tcp_timewait_kill(fw->tcp, &fw->tw, "FIN-WAIT-2 timed out");
}

void wi_tcp_fin_wait_enter(struct wi_tcp_conn *c, weir_ns lasts)
{
    struct wi_tcp *tcp = c->tcp;
    struct wi_tcp_fin_wait *fw = (struct wi_tcp_fin_wait *)replace(c, &tcp->fin_wait_slab);
    if (!fw) {
        wi_tcp_event_state(c, WEIR_TCP_FIN_WAIT_2, WEIR_TCP_CLOSED, "no room for a FIN-WAIT-2 entry");
        return;
    }
    fw->tw.is_fin_wait_2 = true;
    fw->tcp = tcp;
    wi_list_add_tail(&tcp->fin_waits, &fw->tw.fifo_link);
    wi_timer_init(&fw->timer, on_fin_wait_timer);
    wi_timer_arm(&tcp->core->wheel, &fw->timer, tcp->core->now + lasts);
}

/* The peer's FIN has come: TIME-WAIT. False: there is no memory for it. */
static bool to_time_wait(struct wi_tcp *tcp, struct wi_tcp_timewait *fw)
{
    wi_tcp_event_stray_state(tcp, &fw->tuple, fw->conn_id, WEIR_TCP_FIN_WAIT_2, WEIR_TCP_TIME_WAIT, "FIN received");
    struct wi_tcp_timewait *tw = wi_slab_alloc(&tcp->timewait_slab);
    if (!tw)
        return false;
    wi_htable_remove(&tcp->timewaits, &fw->node);
    wi_list_del(&fw->fifo_link);
    *tw = *fw;
    tw->is_fin_wait_2 = false;
    wi_list_init(&tw->fifo_link);
    free_entry(tcp, fw);
    wi_htable_insert(&tcp->timewaits, &tw->node, wi_tcp_tuple_hash(tcp, &tw->tuple));
    restart(tcp, tw);
    wi_count(tcp->core, WI_STAT_TWOpened);
    return true;
}

/* ---- Reuse ---- */

struct wi_seq wi_tcp_timewait_next_iss(const struct wi_tcp_timewait *tw)
{
    return wi_seq_add(tw->snd_nxt, NEXT_ISS_GAP);
}

static bool paws_rejects(const struct wi_tcp_timewait *tw, const struct wi_wire_tcp *h)
{
    return tw->has_ts && h->has_ts && (int32_t)(h->tsval - tw->ts_recent) < 0;
}

bool wi_tcp_timewait_may_reopen(const struct wi_tcp_timewait *tw, const struct wi_wire_tcp *h)
{
    if ((h->flags & (WI_TH_SYN | WI_TH_RST | WI_TH_ACK)) != WI_TH_SYN || tw->is_fin_wait_2 || paws_rejects(tw, h))
        return false;
    bool is_later = tw->has_ts && h->has_ts && (int32_t)(h->tsval - tw->ts_recent) > 0;
    return is_later || wi_seq_gt(h->seq, tw->rcv_nxt);
}

bool wi_tcp_timewait_reusable(const struct wi_tcp *tcp, const struct wi_tcp_timewait *tw)
{
    int64_t reuse = tcp->core->sysctl.tcp_tw_reuse;
    bool is_allowed = reuse == 1 || (reuse == 2 && weir_addr_is_loopback(&tw->tuple.local) &&
                                     weir_addr_is_loopback(&tw->tuple.remote));
    weir_ns age = tcp->core->now + WI_TCP_TIMEWAIT - tw->due;
    return is_allowed && tw->has_ts && !tw->is_fin_wait_2 && age >= WEIR_MS(tcp->core->sysctl.tcp_tw_reuse_delay);
}

/* ---- Segments ---- */

static void send_ack(struct wi_tcp *tcp, const struct wi_tcp_timewait *tw)
{
    struct wi_dst dst;
    if (wi_net_route(tcp->net, &tw->tuple.remote, &tw->tuple.local, tw->netif, true, &dst) < 0)
        return;
    struct wi_tcp_bare b = {
        .dst = &dst,
        .local = wi_tcp_sockaddr(&tw->tuple.local, tw->tuple.local_port),
        .remote = wi_tcp_sockaddr(&tw->tuple.remote, tw->tuple.remote_port),
        .h = {.src_port = tw->tuple.local_port,
              .dst_port = tw->tuple.remote_port,
              .seq = tw->snd_nxt,
              .ack = tw->rcv_nxt,
              .flags = WI_TH_ACK,
              .wnd = tw->wnd,
              .has_ts = tw->has_ts,
              .tsval = tw->has_ts ? wi_tcp_ts_clock(tcp->core) + tw->ts_off : 0,
              .tsecr = tw->has_ts ? tw->ts_recent : 0},
        .why = tw->is_fin_wait_2 ? WEIR_WHY_ACK : WEIR_WHY_ACK_TIME_WAIT,
        .conn_id = tw->conn_id,
        .iss = {tw->iss},
        .irs = {tw->irs},
        .tos = tw->tos,
    };
    (void)wi_tcp_send_bare(tcp, &b); /* like one that got lost: the peer will ask again */
}

/* May this segment have its ACK? Empty ones are what ACK loops are made of (tcp_invalid_ratelimit). */
static bool ack_allowed(struct wi_tcp *tcp, struct wi_tcp_timewait *tw, const struct wi_tcp_seg *seg)
{
    if (!wi_seq_eq(seg->seq, seg->end) && !(seg->h.flags & WI_TH_SYN))
        return true; /* data or a FIN is no part of an ACK loop */
    uint32_t now_ms = (uint32_t)(tcp->core->now / WEIR_MS(1));
    if (tw->oow_ack_ms && now_ms - tw->oow_ack_ms < (uint32_t)tcp->core->sysctl.tcp_invalid_ratelimit)
        return false;
    tw->oow_ack_ms = now_ms ? now_ms : 1;
    return true;
}

/* At rcv_nxt and empty: the peer's last words, or a reset. */
static enum weir_drop on_edge(struct wi_tcp *tcp, struct wi_tcp_timewait *tw, const struct wi_tcp_seg *seg)
{
    if (seg->h.flags & WI_TH_RST) {
        /* RFC 1337: a reset must not end TIME-WAIT early; Linux lets it, unless tcp_rfc1337 is set. */
        if (!tcp->core->sysctl.tcp_rfc1337)
            wi_tcp_timewait_kill(tcp, tw, "reset received");
        return WEIR_DROP_TCP_TIME_WAIT_RST;
    }
    if (tw->has_ts && seg->h.has_ts)
        tw->ts_recent = seg->h.tsval;
    restart(tcp, tw);
    return WEIR_DROP_TCP_TIME_WAIT;
}

/* RFC 9293 3.10.7.4, first check. */
static bool in_window(const struct wi_tcp_timewait *tw, const struct wi_tcp_seg *seg)
{
    struct wi_seq end = wi_seq_add(tw->rcv_nxt, (uint32_t)tw->wnd << tw->rcv_wscale);
    if (wi_seq_eq(seg->seq, tw->rcv_nxt) || (wi_seq_gt(seg->end, tw->rcv_nxt) && wi_seq_lt(seg->seq, end)))
        return true;
    return wi_seq_eq(seg->seq, end) && wi_seq_eq(seg->seq, seg->end);
}

/* What is not in the window, a SYN, a reset that does not hit: an ACK sets an honest peer right. RFC 5961 3.2, 4.2. */
static enum weir_drop refuse(struct wi_tcp *tcp, struct wi_tcp_timewait *tw, const struct wi_tcp_seg *seg,
                             enum weir_drop why)
{
    if (ack_allowed(tcp, tw, seg))
        send_ack(tcp, tw);
    return why;
}

/* Data or FIN in the window. Nobody reads data any more: RFC 1122 4.2.2.13. */
static enum weir_drop on_fin_wait_text(struct wi_tcp *tcp, struct wi_tcp_timewait *tw, const struct wi_tcp_seg *seg)
{
    if (!(seg->h.flags & WI_TH_FIN) || !wi_seq_eq(seg->end, wi_seq_add(tw->rcv_nxt, 1))) {
        wi_count(tcp->core, WI_STAT_TCPAbortOnData);
        wi_tcp_reset_reply(tcp, seg, WEIR_WHY_RST_UNREAD);
        wi_tcp_timewait_kill(tcp, tw, "data after close");
        return WEIR_DROP_TCP_CLOSED_DATA;
    }
    tw->rcv_nxt = seg->end;
    if (tw->has_ts && seg->h.has_ts)
        tw->ts_recent = seg->h.tsval;
    send_ack(tcp, tw);
    if (!to_time_wait(tcp, tw))
        wi_tcp_timewait_kill(tcp, tw, "no room for a TIME-WAIT entry");
    return WEIR_DROP_NONE;
}

/* RFC 9293 3.10.7.4 for FIN-WAIT-2; Linux's tcp_timewait_state_process, but for RFC 5961. */
static enum weir_drop fin_wait_input(struct wi_tcp *tcp, struct wi_tcp_timewait *tw, const struct wi_tcp_seg *seg)
{
    bool is_rst = seg->h.flags & WI_TH_RST, is_old = paws_rejects(tw, &seg->h) && !is_rst;
    if (is_old)
        wi_count(tcp->core, WI_STAT_PAWSEstab);
    if (is_rst && wi_seq_eq(seg->seq, tw->rcv_nxt)) {
        wi_tcp_timewait_kill(tcp, tw, "reset received");
        return WEIR_DROP_TCP_RST;
    }
    if (is_old || !in_window(tw, seg))
        return is_rst ? WEIR_DROP_TCP_OUT_OF_WND_RST
                      : refuse(tcp, tw, seg, is_old ? WEIR_DROP_TCP_PAWS : WEIR_DROP_TCP_BEYOND_WND);
    if (is_rst || seg->h.flags & WI_TH_SYN)
        return refuse(tcp, tw, seg, is_rst ? WEIR_DROP_TCP_RST_CHALLENGE : WEIR_DROP_TCP_SYN_CHALLENGE);
    if (!(seg->h.flags & WI_TH_ACK))
        return WEIR_DROP_TCP_NO_ACK;
    bool has_text = wi_seq_gt(seg->end, tw->rcv_nxt) && !wi_seq_eq(seg->seq, seg->end);
    return has_text ? on_fin_wait_text(tcp, tw, seg) : WEIR_DROP_NONE;
}

/* Linux's tcp_timewait_state_process, which follows RFC 9293 3.10.7.4. */
enum weir_drop wi_tcp_timewait_input(struct wi_tcp *tcp, struct wi_tcp_timewait *tw, const struct wi_tcp_seg *seg)
{
    wi_tcp_event_stray_in(tcp, seg, tw->conn_id, (struct wi_seq){tw->iss}, (struct wi_seq){tw->irs});
    if (tw->is_fin_wait_2)
        return fin_wait_input(tcp, tw, seg);
    bool is_old = paws_rejects(tw, &seg->h) && !(seg->h.flags & WI_TH_RST);
    bool is_empty = wi_seq_eq(seg->seq, seg->end);
    if (!is_old && wi_seq_eq(seg->seq, tw->rcv_nxt) && (is_empty || seg->h.flags & WI_TH_RST))
        return on_edge(tcp, tw, seg);
    if (is_old)
        wi_count(tcp->core, WI_STAT_PAWSEstab);
    if (seg->h.flags & WI_TH_RST)
        return WEIR_DROP_TCP_TIME_WAIT_RST;
    /* A SYN alone may be an old one or a new one that the rules above turned away: 2 MSL don't begin anew for it. */
    if (is_old || seg->h.flags & WI_TH_ACK)
        restart(tcp, tw);
    if (ack_allowed(tcp, tw, seg))
        send_ack(tcp, tw);
    return WEIR_DROP_TCP_TIME_WAIT;
}
