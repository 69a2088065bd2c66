/*
 * A segment's making: header fields from the connection, options, payload as views, the event, the hand-over to the
 * network layer. What to send, and when, is output.c's.
 */
#include "tcp/notice.h"
#include "tcp/send.h"

#include "base/str.h"
#include "tcp/fastopen.h"
#include "wire/ip.h"

/* TCP's longest header, and room before it for IP's and the link's. */
#define HEADROOM 128

uint32_t wi_tcp_ts_clock(const struct wi_core *core)
{
    return (uint32_t)(core->now / WEIR_MS(1));
}

static void put_timestamps(const struct wi_tcp_conn *c, struct wi_wire_tcp *h)
{
    h->has_ts = true;
    h->tsval = wi_tcp_ts_clock(c->sk.core) + c->ts_off;
    h->tsecr = c->ts_recent;
}

/* The options of a SYN: what we offer; of a SYN-ACK (simultaneous open): what both have offered. RFC 7323 1.3, 2.2. */
static void put_syn_options(struct wi_tcp_conn *c, const struct wi_tcp_rec *r, struct wi_wire_tcp *h)
{
    const struct wi_sysctl *s = &c->sk.core->sysctl;
    bool is_reply = h->flags & WI_TH_ACK;
    h->mss = c->advmss;
    h->has_wscale = is_reply ? c->wscale_ok : s->tcp_window_scaling != 0;
    h->wscale = c->rcv_wscale;
    h->sack_ok = is_reply ? c->sack_ok : s->tcp_sack != 0;
    if (is_reply ? c->ts_ok : s->tcp_timestamps != 0)
        put_timestamps(c, h);
    if (!is_reply)
        h->tsecr = 0; /* RFC 7323 3.2 */
    if (is_reply)
        wi_tcp_ecn_put_synack(c->sk.core, (enum wi_tcp_ecn_mode)c->ecn.mode, c->ecn.syn_field, c->loss.retransmits, h);
    else
        h->flags |= wi_tcp_ecn_syn_flags(c, r->was_sent ? r->rexmit_n + 1u : 0);
    h->wnd = wi_tcp_window_advertise(c, true);
}

/* payload: of each segment, bytes. */
static void put_options(struct wi_tcp_conn *c, struct wi_wire_tcp *h, uint32_t payload)
{
    if (c->ts_ok)
        put_timestamps(c, h);
    if (c->sack_ok)
        h->sack_n = (uint8_t)wi_tcp_rcvq_sacks(c, h->sacks, c->ts_ok ? WI_TCP_SACK_MAX - 1 : WI_TCP_SACK_MAX);
    if (c->ecn.mode == WI_TCP_ECN_ACCURATE)
        wi_tcp_accecn_put(c, h, payload);
    h->wnd = wi_tcp_window_advertise(c, false);
}

/* The pointer names the byte behind the urgent one, as everybody sends it (RFC 6093 3.1). */
static void put_urgent(const struct wi_tcp_conn *c, struct wi_wire_tcp *h)
{
    if (!c->urg_snd_on || wi_seq_leq(c->snd_up, h->seq))
        return;
    uint32_t ahead = (uint32_t)wi_seq_diff(c->snd_up, h->seq);
    if (ahead > 0xffff) {
        if (!wi_seq_gt(wi_seq_add(h->seq, 0xffff), c->snd_nxt))
            return;
        ahead = 0xffff;
    }
    h->flags |= WI_TH_URG;
    h->urg = (uint16_t)ahead;
}

static struct wi_wire_tcp header_for(const struct wi_tcp_conn *c, struct wi_seq seq, uint16_t flags)
{
    return (struct wi_wire_tcp){
        .src_port = c->sk.local.port,
        .dst_port = c->sk.remote.port,
        .seq = seq,
        .ack = flags & WI_TH_ACK ? c->rcv_nxt : (struct wi_seq){0},
        .flags = flags,
    };
}

/* The network's header for a segment of the connection. */
static struct wi_net_hdr net_header(const struct wi_tcp_conn *c, uint8_t field)
{
    const struct wi_sk_opts *o = &c->sk.opts;
    return (struct wi_net_hdr){
        .src = c->sk.local.addr,
        .dst = c->sk.remote.addr,
        .proto = WI_IP_TCP,
        .ttl = o->ttl > 0 ? (uint8_t)o->ttl : 0,
        .tos = (uint8_t)((o->tos & ~3u) | field),
        .flow_salt = c->rehash + c->dup_rehash,
        .df = wi_sk_forbids_fragments(o),
    };
}

/* Write the header before the payload that `pkt` views, sum owed. */
static void put_header(struct weir_pkt *pkt, uint8_t *p, size_t hdr_len, const struct wi_wire_tcp *h,
                       const struct weir_addr *src, const struct weir_addr *dst)
{
    size_t wrote = wi_wire_tcp_put(p, hdr_len, h);
    WI_ASSERT(wrote == hdr_len);
    wi_put16(p + WI_TCP_CSUM_OFF, (uint16_t)wi_ip_pseudo_csum(src, dst, WI_IP_TCP, pkt->len));
    pkt->flags |= WEIR_PKT_CSUM_PARTIAL;
}

/* Hand a whole packet over. A path MTU that fell is dealt with here; every other refusal is a loss like any other. */
static int hand_over(struct wi_tcp_conn *c, struct weir_pkt *pkt, uint8_t field, struct weir_pkt **copy)
{
    struct wi_net_hdr hdr = net_header(c, field);
    hdr.copy = copy;
    wi_count(c->sk.core, WI_STAT_TcpOutSegs);
    int err = wi_net_output(c->sk.net, &c->dst, &hdr, pkt);
    if (err == -WEIR_EMSGSIZE) {
        c->mtu_fell = true;
        wi_tcp_owe(c, WI_TCP_OWE_SEND);
    }
    return err;
}

/* What holds for everything that leaves with an ACK in it. */
static void note_sent(struct wi_tcp_conn *c, uint32_t segs, uint16_t flags)
{
    c->segs_out += segs;
    if (flags & WI_TH_ACK)
        wi_tcp_ack_sent(c);
}

/* A packet with room for a header of `h`'s length in its head, where *p points. NULL: no memory. */
static struct weir_pkt *packet_for(struct wi_core *core, const struct wi_wire_tcp *h, size_t *hdr_len, uint8_t **p)
{
    *hdr_len = wi_wire_tcp_hdr_len(h);
    struct weir_pkt *pkt = weir_pkt_new(core->pool, HEADROOM);
    if (!pkt)
        return NULL;
    *p = weir_pkt_put(pkt, *hdr_len);
    WI_ASSERT(*p != NULL);
    return pkt;
}

/* ---- Records ---- */

static void note_record_sent(struct wi_tcp_conn *c, struct wi_tcp_rec *r, uint32_t len)
{
    weir_ns now = c->sk.core->now;
    wi_tcp_rate_sent(c, r);
    r->sent_at = now;
    r->tx_order = c->loss.tx_order++;
    wi_list_del(&r->ts_link);
    wi_list_add_tail(&c->sndq.by_time, &r->ts_link);
    if (!r->was_sent)
        r->first_sent_at = now;
    c->bytes_sent += len;
    if (len > 0) {
        c->data_segs_out += r->segs;
        if (c->loss.packets_out == 0 && c->cc->event)
            c->cc->event(c, WI_TCP_CC_TX_START);
        wi_tcp_data_sent(c);
        c->last_send_at = now;
        wi_tcp_pace_sent(c, len);
    }
}

static bool is_new_data(const struct wi_tcp_rec *r)
{
    return !r->was_sent && wi_tcp_rec_len(r) > 0;
}

static struct wi_wire_tcp record_header(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    uint16_t flags = r->flags;
    /* Linux: a super-segment ends with PSH, so that the receiver's offload hands it up at once. Single segments are
     * left alone: they may be sent in congestion, where fewer ACKs are better. */
    if (r->segs > 1)
        flags |= WI_TH_PSH;
    if (c->state != WEIR_TCP_SYN_SENT) /* a SYN is a SYN-ACK once the peer's has come, even when we have closed since */
        flags |= WI_TH_ACK;
    uint32_t len = wi_tcp_rec_len(r);
    struct wi_wire_tcp h = header_for(c, r->seq, flags);
    h.data_len = len;
    if (flags & WI_TH_SYN) {
        put_syn_options(c, r, &h);
        if (c->fo.asked && !r->was_sent)
            wi_tcp_fo_put_syn(c, &h);
    } else {
        put_options(c, &h, r->segs > 1 ? r->mss : len);
        wi_tcp_ecn_put(c, &h, is_new_data(r));
    }
    put_urgent(c, &h);
    return h;
}

int wi_tcp_transmit(struct wi_tcp_conn *c, struct wi_tcp_rec *r, enum weir_why why)
{
    if (!wi_tcp_route_refresh(c))
        return -WEIR_ENOBUFS;

    uint32_t len = wi_tcp_rec_len(r);
    struct wi_wire_tcp h = record_header(c, r);
    size_t hdr_len;
    uint8_t *p;
    struct weir_pkt *pkt = packet_for(c->sk.core, &h, &hdr_len, &p);
    if (!pkt)
        return -WEIR_ENOBUFS;
    struct wi_tcp_rec *rider = wi_tcp_syn_rider(c, r);
    uint32_t rider_len = rider ? wi_tcp_rec_len(rider) : 0;
    if (!wi_tcp_rec_view(c, r, 0, len, pkt) || (rider && !wi_tcp_rec_view(c, rider, 0, rider_len, pkt))) {
        weir_pkt_unref(pkt);
        WI_UNREACHABLE("a record holds no more chunks than a packet has fragments");
    }
    if (!rider && wi_tcp_rec_sum(c, r, &pkt->frag_sum))
        pkt->flags |= WEIR_PKT_DATA_SUM;
    put_header(pkt, p, hdr_len, &h, &c->sk.local.addr, &c->sk.remote.addr);
    h.data_len = len + rider_len;
    if (r->segs > 1)
        pkt->gso_size = r->mss;
    if (c->ecn.mode == WI_TCP_ECN_ACCURATE)
        pkt->flags |= WEIR_PKT_CWR_ALL;

    pkt->serial = wi_tcp_event_seg_out(c, &h, pkt, why);
    note_record_sent(c, r, len);
    if (rider) {
        wi_tcp_chrono_start(c, WI_TCP_CHRONO_BUSY);
        rider->segs = 1;
        rider->mss = (uint16_t)rider_len;
        note_record_sent(c, rider, rider_len);
    }
    note_sent(c, r->segs, h.flags);
    struct weir_pkt *copy = NULL;
    bool is_wanted = wi_tcp_stamp_wants_packet(c, r) || (rider && wi_tcp_stamp_wants_packet(c, rider));
    int err = hand_over(c, pkt, h.flags & WI_TH_SYN ? WI_ECN_NOT_ECT : wi_tcp_ecn_field(c, is_new_data(r)),
                        is_wanted ? &copy : NULL);
    wi_tcp_stamp_sent(c, r, copy);
    if (rider)
        wi_tcp_stamp_sent(c, rider, copy);
    if (copy)
        weir_pkt_unref(copy);
    return err == -WEIR_ENOBUFS ? -WEIR_ENETDOWN : err; /* it counts as sent: a full queue is a loss like any other */
}

/* ---- Bare segments ---- */

/* Build and send a segment without payload; the header has everything. */
static int send_empty(struct wi_tcp_conn *c, struct wi_wire_tcp *h, enum weir_why why)
{
    if (!wi_tcp_route_refresh(c))
        return -WEIR_EHOSTUNREACH;
    size_t hdr_len;
    uint8_t *p;
    struct weir_pkt *pkt = packet_for(c->sk.core, h, &hdr_len, &p);
    if (!pkt)
        return -WEIR_ENOBUFS;
    put_header(pkt, p, hdr_len, h, &c->sk.local.addr, &c->sk.remote.addr);
    pkt->serial = wi_tcp_event_seg_out(c, h, pkt, why);
    note_sent(c, 1, h->flags);
    return hand_over(c, pkt, wi_tcp_ecn_field(c, false), NULL);
}

int wi_tcp_send_ack(struct wi_tcp_conn *c, struct wi_seq seq, enum weir_why why)
{
    struct wi_wire_tcp h = header_for(c, seq, WI_TH_ACK);
    put_options(c, &h, 0);
    put_urgent(c, &h);
    wi_tcp_ecn_put(c, &h, false);
    return send_empty(c, &h, why);
}

void wi_tcp_send_ack_prior(struct wi_tcp_conn *c)
{
    struct wi_wire_tcp h = header_for(c, c->snd_nxt, WI_TH_ACK | (c->ack_prior_ece ? WI_TH_ECE : 0));
    uint32_t window = (uint32_t)wi_seq_diff(wi_seq_add(c->rcv_wup, c->rcv_wnd_bytes), c->ack_prior);
    h.ack = c->ack_prior;
    h.wnd = (uint16_t)wi_min_u32(window >> c->rcv_wscale, UINT16_MAX); /* the edge stays where it was advertised */
    if (c->ts_ok)
        put_timestamps(c, &h);
    c->ack_prior_owed = false;
    (void)send_empty(c, &h, WEIR_WHY_ACK);
}

void wi_tcp_send_rst(struct wi_tcp_conn *c, enum weir_why why)
{
    struct wi_wire_tcp h = header_for(c, c->snd_nxt, WI_TH_RST | WI_TH_ACK);
    if (c->ts_ok)
        put_timestamps(c, &h);                 /* RFC 7323 3.2 */
    h.wnd = wi_tcp_window_advertise(c, false); /* nobody heeds it; Linux has it */
    wi_tcp_ecn_put(c, &h, false);
    wi_count(c->sk.core, WI_STAT_TcpOutRsts);
    (void)send_empty(c, &h, why); /* a reset that can't be sent is like one that got lost */
}

int wi_tcp_send_bare(struct wi_tcp *t, const struct wi_tcp_bare *b)
{
    size_t hdr_len;
    uint8_t *p;
    struct weir_pkt *pkt = packet_for(t->core, &b->h, &hdr_len, &p);
    if (!pkt)
        return -WEIR_ENOBUFS;
    put_header(pkt, p, hdr_len, &b->h, &b->local.addr, &b->remote.addr);
    pkt->serial = wi_tcp_event_bare_out(t, b, pkt);

    struct wi_net_hdr hdr = {
        .src = b->local.addr,
        .dst = b->remote.addr,
        .proto = WI_IP_TCP,
        .ttl = b->ttl,
        .tos = b->tos,
        .df = true,
    };
    wi_count(t->core, WI_STAT_TcpOutSegs);
    if (b->h.flags & WI_TH_RST)
        wi_count(t->core, WI_STAT_TcpOutRsts);
    return wi_net_output(t->net, b->dst, &hdr, pkt);
}
