/*
 * One connection in a state that the test names, in a stack core whose driver keeps what is sent. The peer is the test:
 * it says header fields relative to the initial numbers, and reads what came out the same way.
 */
#ifndef TEST_TCP_RIG_H
#define TEST_TCP_RIG_H

#include "unit/support/alloc.h"

#include "tcp/demux.h"
#include "tcp/listen.h"
#include "tcp/send.h"
#include "wire/ip.h"
#include "wire/tcp.h"

#define MSS       1000u
#define PEER_PORT 4000
#define OUR_PORT  80
#define RIG_START WEIR_SEC(1000)
#define OUT_MAX   256
#define AT_MS(n)  (RIG_START + WEIR_MS(n))

/* A segment that was sent: numbers relative to ISS and IRS. */
struct out {
    uint32_t seq, ack, len, wnd;
    uint16_t flags, gso_size;
    struct wi_wire_tcp h;
    uint8_t first; /* of the payload */
};

struct rig {
    struct wi_core core;
    struct wi_net *net;
    struct wi_tcp tcp;
    struct wi_tcp_conn *c;
    struct heap heap;
    int netif;
    struct weir_pkt *pkts[OUT_MAX];
    unsigned pkt_n;
    uint32_t iss, irs;
    uint32_t ready; /* what on_ready was called with, together */
    uint32_t tsval; /* of the peer's next segment, when timestamps are on */
    enum weir_why whys[OUT_MAX];
    unsigned why_n;
    const char *last_cause;
    uint64_t closed_out, closed_in; /* bytes, by the last CLOSE event */
};

static struct rig *the_rig; /* on_ready has no argument of its own */

static inline struct weir_addr rig_addr(int last)
{
    return weir_addr_v4(192, 0, 2, (uint8_t)last);
}

static inline unsigned rig_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct rig *r = driver;
    for (unsigned i = 0; i < n; i++) {
        assert_true(r->pkt_n < OUT_MAX);
        r->pkts[r->pkt_n++] = pkts[i];
    }
    return n;
}

static inline void rig_event(void *ctx, const struct weir_event *e)
{
    struct rig *r = ctx;
    if (e->kind == WEIR_EV_SEG_OUT && r->why_n < OUT_MAX)
        r->whys[r->why_n++] = e->u.seg.why;
    if (e->kind == WEIR_EV_STATE)
        r->last_cause = e->u.state.cause;
    if (e->kind == WEIR_EV_CLOSE) {
        r->closed_out = e->u.close.bytes_out;
        r->closed_in = e->u.close.bytes_in;
    }
}

static inline void rig_ready(struct wi_sk *sk, uint32_t events)
{
    (void)sk;
    the_rig->ready |= events;
}

static inline void rig_forget(struct rig *r)
{
    while (r->pkt_n)
        weir_pkt_unref(r->pkts[--r->pkt_n]);
    r->why_n = 0;
    r->ready = 0;
}

static inline void rig_flush(struct rig *r)
{
    do {
        wi_tcp_flush(&r->tcp);
        wi_net_flush(r->net);
    } while (!wi_list_empty(&r->tcp.pending));
    const char *bad = wi_tcp_check_all(&r->tcp);
    if (bad)
        fail_msg("%s", bad);
}

/* Time passes: timers fire one after the other, each at its moment. */
static inline void rig_until(struct rig *r, weir_ns at)
{
    for (weir_ns due; (due = wi_wheel_deadline(&r->core.wheel)) <= at;) {
        if (due > r->core.now)
            r->core.now = due;
        wi_wheel_advance(&r->core.wheel, r->core.now);
        rig_flush(r);
    }
    r->core.now = at;
    wi_wheel_advance(&r->core.wheel, at);
    rig_flush(r);
}

static inline struct rig *rig_new(void)
{
    static const struct weir_netif_ops ops = {.xmit = rig_xmit};
    struct rig *r = calloc(1, sizeof *r);
    struct weir_config cfg = {
        .alloc = heap_owner(&r->heap),
        .now = RIG_START,
        .seed = 1,
        .on_event = rig_event,
        .event_ctx = r,
        .event_mask = WEIR_EV_ALL,
    };
    struct weir_netif_config netif = {
        .name = "raw", .type = WEIR_LINK_RAW_IP, .mtu = MSS + 40, .caps = WEIR_CAP_TSO | WEIR_CAP_TX_CSUM};
    assert_int_equal(wi_core_init(&r->core, &cfg), 0);
    r->net = wi_net_new(&r->core);
    assert_non_null(r->net);
    assert_int_equal(wi_tcp_init(&r->tcp, &r->core, r->net), 0);
    r->netif = wi_net_netif_add(r->net, &ops, r, &netif);
    assert_true(r->netif > 1);
    struct weir_addr ours = rig_addr(1);
    assert_int_equal(wi_net_addr_add(r->net, r->netif, &ours, 24), 0);
    the_rig = r;
    wi_net_flush(r->net);
    rig_forget(r);
    return r;
}

static inline void rig_end(struct rig *r)
{
    rig_forget(r);
    wi_tcp_fini(&r->tcp);
    wi_net_free(r->net);
    wi_core_fini(&r->core);
    assert_int_equal(r->heap.bytes, 0);
    free(r);
}

/* ---- The peer ---- */

struct in {
    uint32_t seq, ack; /* relative */
    uint16_t flags;
    uint32_t len;
    uint16_t wnd; /* as on the wire; 0: 65535, unless wnd_zero */
    bool wnd_zero;
    uint16_t mss;
    bool wscale, sack_ok, ts;
    uint8_t wscale_shift;
    uint32_t tsval, tsecr;
    uint8_t sack_n;
    uint32_t sacks[4][2]; /* relative to ISS */
    uint16_t urg;
    uint8_t ecn;
    uint8_t flip; /* the payload's bytes, XORed with this */
};

/* The peer's segment as a packet; the caller gives it to the stack and lets go of it. */
static inline struct weir_pkt *rig_segment(struct rig *r, struct in in)
{
    struct weir_pkt *p = weir_pkt_new(r->core.pool, 128);
    struct wi_wire_tcp h = {
        .src_port = PEER_PORT,
        .dst_port = OUR_PORT,
        .seq = {in.seq + r->irs},
        .ack = {in.flags & WI_TH_ACK ? in.ack + r->iss : 0},
        .flags = in.flags,
        .wnd = in.wnd_zero ? 0
               : in.wnd    ? in.wnd
                           : 65535,
        .urg = in.urg,
        .mss = in.mss,
        .has_wscale = in.wscale,
        .wscale = in.wscale_shift,
        .sack_ok = in.sack_ok,
        .has_ts = in.ts,
        .tsval = in.tsval,
        .tsecr = in.tsecr,
        .sack_n = in.sack_n,
    };
    for (unsigned i = 0; i < in.sack_n; i++)
        h.sacks[i] = (struct wi_sack_block){{in.sacks[i][0] + r->iss}, {in.sacks[i][1] + r->iss}};
    size_t len = wi_wire_tcp_hdr_len(&h);
    uint8_t *head = weir_pkt_put(p, len);
    assert_int_equal(wi_wire_tcp_put(head, len, &h), len);
    if (in.len) {
        struct weir_block *b = weir_block_new(r->core.pool, in.len);
        for (uint32_t i = 0; i < in.len; i++)
            b->data[i] = (uint8_t)(in.seq + i) ^ in.flip;
        assert_int_equal(weir_pkt_append(p, b, 0, in.len), 0);
        weir_block_unref(b);
    }
    struct wi_ip_out ip = {.src = rig_addr(2),
                           .dst = rig_addr(1),
                           .df = true,
                           .proto = WI_IP_TCP,
                           .ttl = 64,
                           .tos = in.ecn,
                           .l4_len = p->len};
    uint8_t *iph = weir_pkt_push(p, WI_IPV4_HDR);
    assert_int_equal(wi_ip_put(iph, &ip), WI_IPV4_HDR);
    p->flags |= WEIR_PKT_CSUM_OK;
    return p;
}

static inline void rig_in(struct rig *r, struct in in)
{
    struct weir_pkt *p = rig_segment(r, in);
    wi_net_input(r->net, r->netif, &p, 1);
    weir_pkt_unref(p);
    rig_flush(r);
}

/* A pure ACK. */
static inline void rig_ack(struct rig *r, uint32_t ack)
{
    rig_in(r, (struct in){.seq = 1, .ack = ack, .flags = WI_TH_ACK});
}

/* The i-th segment that was sent since the last rig_forget. */
static inline struct out rig_out(struct rig *r, unsigned i)
{
    if (i >= r->pkt_n)
        fail_msg("only %u segments were sent", r->pkt_n);
    struct weir_pkt *p = r->pkts[i];
    uint8_t bytes[2048];
    size_t n = weir_pkt_copy(p, p->l4_off, bytes, sizeof bytes);
    struct out o = {.gso_size = p->gso_size};
    assert_int_equal(wi_wire_tcp_parse(&o.h, bytes, n, p->len - p->l4_off), WEIR_DROP_NONE);
    o.seq = o.h.seq.v - r->iss;
    o.ack = o.h.flags & WI_TH_ACK ? o.h.ack.v - r->irs : 0;
    o.len = o.h.data_len;
    o.flags = o.h.flags;
    o.wnd = o.h.wnd;
    o.first = o.len ? bytes[o.h.hdr_len] : 0;
    return o;
}

static inline void expect_out(struct rig *r, unsigned i, uint16_t flags, uint32_t seq, uint32_t len)
{
    struct out o = rig_out(r, i);
    if (o.flags != flags || o.seq != seq || o.len != len)
        fail_msg("segment %u: flags %02x seq %u len %u, expected flags %02x seq %u len %u", i, o.flags, o.seq, o.len,
                 flags, seq, len);
}

/* ---- The connection ---- */

enum rig_opt { RIG_SACK = 1, RIG_TS = 2, RIG_NO_OWNER = 4, RIG_RENO = 8 };

/* An ESTABLISHED connection with an owner, initial numbers as given; everything is acknowledged both ways. */
static inline struct wi_tcp_conn *rig_establish(struct rig *r, uint32_t iss, uint32_t irs, unsigned opts)
{
    struct wi_tcp_conn *c = wi_tcp_conn_new(&r->tcp, WEIR_AF_INET);
    assert_non_null(c);
    r->c = c;
    r->iss = iss;
    r->irs = irs;
    struct weir_sockaddr here = {.addr = rig_addr(1), .family = WEIR_AF_INET, .port = OUR_PORT};
    assert_int_equal(wi_ports_bind(&r->tcp.ports, &c->sk, &here), 0);
    c->sk.remote = (struct weir_sockaddr){.addr = rig_addr(2), .family = WEIR_AF_INET, .port = PEER_PORT};
    assert_int_equal(wi_ports_hold(&r->tcp.ports, &c->sk, &c->sk.local.addr), 0);
    assert_int_equal(wi_net_route(r->net, &c->sk.remote.addr, &c->sk.local.addr, 0, false, &c->dst), 0);
    c->sk.owner = r;
    c->sk.on_ready = rig_ready;
    if (opts & RIG_RENO)
        assert_int_equal(wi_tcp_cc_set(c, "reno"), 0);
    struct wi_tcp_syn syn = {
        .iss = {iss},
        .irs = {irs},
        .snd_wnd_bytes = 65535,
        .peer_mss = MSS,
        .sack_ok = opts & RIG_SACK,
        .ts_ok = opts & RIG_TS,
        .rcv_wnd_bytes = 20000,
        .id = 1,
    };
    wi_tcp_open_passive(c, &syn);
    wi_tcp_demux_insert(c);
    rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK, .ts = opts & RIG_TS, .tsval = 1});
    assert_int_equal(c->state, WEIR_TCP_ESTABLISHED);
    c->rtt.rto = WI_TCP_RTO_INIT; /* as if an RTT of nothing had been measured */
    if (opts & RIG_NO_OWNER)
        c->sk.owner = NULL;
    rig_forget(r);
    return c;
}

static inline void rig_write(struct rig *r, uint32_t len)
{
    static uint8_t buf[1 << 20];
    for (uint32_t i = 0; i < len; i++)
        buf[i] = (uint8_t)(r->c->write_seq.v + i);
    struct weir_iovec iov = {buf, len};
    r->c->sk.opts.sndbuf_bytes = 4 << 20;
    assert_int_equal(wi_tcp_sndq_write(r->c, &iov, 1, 0), len);
    rig_flush(r);
}

/*
 * A connection in this state: nothing in flight but what the state implies. The peer's next number is 1, or 2 behind
 * its FIN; ours is 1, or 2 behind our FIN.
 */
static inline struct wi_tcp_conn *conn_in(struct rig *r, enum weir_tcp_state s, uint32_t iss, uint32_t irs)
{
    struct wi_tcp_conn *c = rig_establish(r, iss, irs, 0);
    bool fin_sent = s == WEIR_TCP_FIN_WAIT_1 || s == WEIR_TCP_FIN_WAIT_2 || s == WEIR_TCP_CLOSING;
    if (fin_sent)
        wi_tcp_end_send(c, "test");
    rig_flush(r);
    if (s == WEIR_TCP_FIN_WAIT_2)
        rig_ack(r, 2);
    if (s == WEIR_TCP_CLOSE_WAIT || s == WEIR_TCP_LAST_ACK || s == WEIR_TCP_CLOSING)
        rig_in(r, (struct in){.seq = 1, .ack = 1, .flags = WI_TH_ACK | WI_TH_FIN});
    if (s == WEIR_TCP_LAST_ACK)
        wi_tcp_end_send(c, "test");
    rig_flush(r);
    assert_int_equal(c->state, s);
    rig_forget(r);
    return c;
}

#endif
