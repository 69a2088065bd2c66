/*
 * From a packet to what it belongs to, and the table of connections. Decodes and checks the segment; what it means is
 * for input.c, listen.c, timewait.c and reset.c. RFC 9293 3.10.7.
 */
#include "tcp/demux.h"

#include "base/pkt.h"
#include "base/siphash.h"
#include "base/str.h"
#include "tcp/listen.h"
#include "tcp/timewait.h"

#define TABLE_INITIAL 16

/* ---- Keys ---- */

uint64_t wi_tcp_tuple_hash(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t)
{
    if (weir_addr_is_v4(&t->local) && weir_addr_is_v4(&t->remote)) {
        uint64_t addrs = (uint64_t)wi_get32(t->local.b + 12) << 32 | wi_get32(t->remote.b + 12);
        return wi_siphash13_2u64(tcp->hash_key, addrs, (uint64_t)t->local_port << 16 | t->remote_port);
    }
    uint8_t in[36];
    memcpy(in, t->local.b, 16);
    memcpy(in + 16, t->remote.b, 16);
    wi_put16(in + 32, t->local_port);
    wi_put16(in + 34, t->remote_port);
    return wi_siphash13(tcp->hash_key, in, sizeof in);
}

struct wi_tcp_tuple wi_tcp_tuple_of(const struct wi_sk *sk)
{
    return (struct wi_tcp_tuple){sk->local.addr, sk->remote.addr, sk->local.port, sk->remote.port};
}

struct wi_tcp_key wi_tcp_key_of(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t, int netif)
{
    return (struct wi_tcp_key){*t, wi_tcp_tuple_hash(tcp, t), netif};
}

struct weir_sockaddr wi_tcp_sockaddr(const struct weir_addr *addr, uint16_t port)
{
    return (struct weir_sockaddr){
        .addr = *addr,
        .family = weir_addr_is_v4(addr) ? WEIR_AF_INET : WEIR_AF_INET6,
        .port = port,
    };
}

/* ---- The table of connections ---- */

static bool conn_matches(const struct wi_hnode *node, const void *arg)
{
    return wi_tcp_conn_is(WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_tcp_conn, hnode), arg);
}

struct wi_tcp_conn *wi_tcp_conn_find(const struct wi_tcp *tcp, const struct wi_tcp_key *key)
{
    struct wi_hnode *node = wi_htable_find(&tcp->conns, key->hash, conn_matches, key);
    return node ? WI_CONTAINER_OF(node, struct wi_tcp_conn, hnode) : NULL;
}

void wi_tcp_demux_insert(struct wi_tcp_conn *c)
{
    WI_ASSERT(!c->is_hashed);
    struct wi_tcp_tuple t = wi_tcp_tuple_of(&c->sk);
    wi_htable_insert(&c->tcp->conns, &c->hnode, wi_tcp_tuple_hash(c->tcp, &t));
    c->is_hashed = true;
}

/* Linux's tcp_set_state: a port that the user chose stays his when the connection ends, so that he may connect again.
 * The number stays in any case: for the reset that may be owed, and for getsockname. */
void wi_tcp_demux_remove(struct wi_tcp_conn *c)
{
    uint16_t port = c->sk.local.port;
    if (c->is_hashed)
        wi_htable_remove(&c->tcp->conns, &c->hnode);
    c->is_hashed = false;
    if (!c->sk.owner || !c->sk.port_by_bind)
        wi_ports_release(&c->tcp->ports, &c->sk);
    c->sk.local.port = port;
}

/* ---- Events of what has no connection ---- */

void wi_tcp_event_stray_in(const struct wi_tcp *tcp, const struct wi_tcp_seg *seg, uint64_t conn_id, struct wi_seq iss,
                           struct wi_seq irs)
{
    if (!wi_event_wanted(tcp->core, WEIR_EV_SEG_IN))
        return;
    struct weir_sockaddr local = wi_tcp_sockaddr(&seg->ip->dst, seg->h.dst_port);
    struct weir_sockaddr remote = wi_tcp_sockaddr(&seg->ip->src, seg->h.src_port);
    struct weir_event ev = {
        .kind = WEIR_EV_SEG_IN,
        .conn_id = conn_id,
        .local = &local,
        .remote = &remote,
        .u.seg = {.pkt = seg->pkt,
                  .seq = seg->h.seq.v,
                  .ack = seg->h.ack.v,
                  .seq_rel = seg->h.seq.v - irs.v,
                  .ack_rel = seg->h.flags & WI_TH_ACK ? seg->h.ack.v - iss.v : 0,
                  .len = seg->h.data_len,
                  .wnd_bytes = seg->h.wnd,
                  .flags = seg->h.flags,
                  .gso_size = seg->gso_size},
    };
    (void)wi_event_emit(tcp->core, &ev);
}

void wi_tcp_event_stray_state(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t, uint64_t conn_id,
                              enum weir_tcp_state from, enum weir_tcp_state to, const char *cause)
{
    if (!wi_event_wanted(tcp->core, WEIR_EV_STATE))
        return;
    struct weir_sockaddr local = wi_tcp_sockaddr(&t->local, t->local_port);
    struct weir_sockaddr remote = wi_tcp_sockaddr(&t->remote, t->remote_port);
    struct weir_event ev = {
        .kind = WEIR_EV_STATE,
        .conn_id = conn_id,
        .local = &local,
        .remote = &remote,
        .u.state = {.from = from, .to = to, .cause = cause},
    };
    (void)wi_event_emit(tcp->core, &ev);
}

void wi_tcp_event_stray_timer(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t, uint64_t conn_id,
                              enum weir_timer which, uint32_t backoff)
{
    if (!wi_event_wanted(tcp->core, WEIR_EV_TIMER))
        return;
    struct weir_sockaddr local = wi_tcp_sockaddr(&t->local, t->local_port);
    struct weir_sockaddr remote = wi_tcp_sockaddr(&t->remote, t->remote_port);
    struct weir_event ev = {
        .kind = WEIR_EV_TIMER,
        .conn_id = conn_id,
        .local = &local,
        .remote = &remote,
        .u.timer = {.which = which, .backoff = backoff},
    };
    (void)wi_event_emit(tcp->core, &ev);
}

/* ---- A segment's way ---- */

/* The header, options included, in one piece; NULL and *why when it is too short. */
static const uint8_t *pull_header(struct weir_pkt *pkt, const struct wi_ip *ip, size_t *len, enum weir_drop *why)
{
    *why = WEIR_DROP_TCP_SHORT;
    if (ip->l4_len < WI_TCP_HDR_MIN)
        return NULL;
    const uint8_t *p = wi_pkt_pull(pkt, pkt->l4_off + (size_t)WI_TCP_HDR_MIN);
    if (!p)
        return NULL;
    *why = WEIR_DROP_TCP_OFFSET;
    *len = (size_t)(p[pkt->l4_off + 12] >> 4) * 4;
    if (*len < WI_TCP_HDR_MIN || *len > ip->l4_len)
        return NULL;
    p = wi_pkt_pull(pkt, pkt->l4_off + *len);
    return p ? p + pkt->l4_off : NULL;
}

static enum weir_drop decode(struct wi_tcp_seg *seg, struct weir_pkt *pkt, const struct wi_ip *ip, int netif)
{
    enum weir_drop why;
    size_t len = 0;
    const uint8_t *p = pull_header(pkt, ip, &len, &why);
    if (!p)
        return why;
    if (!wi_net_csum_is_good(pkt, ip))
        return WEIR_DROP_TCP_CSUM;
    seg->pkt = pkt;
    seg->ip = ip;
    seg->netif = netif;
    why = wi_wire_tcp_parse(&seg->h, p, len, ip->l4_len);
    if (why != WEIR_DROP_NONE)
        return why;
    /* Neither is ever agreed here, and a segment that has one was not meant for an endpoint without (RFC 5925 7.3). */
    if (seg->h.has_md5 || seg->h.has_ao)
        return WEIR_DROP_TCP_MD5;
    if (!seg->h.src_port || !seg->h.dst_port)
        return WEIR_DROP_TCP_PORT_ZERO;
    seg->seq = seg->h.seq;
    seg->end = wi_seq_add(seg->h.seq, wi_wire_tcp_seg_len(&seg->h));
    seg->data_off = pkt->l4_off + seg->h.data_off;
    seg->data_len = seg->h.data_len;
    seg->gso_size = pkt->gso_size ? pkt->gso_size : (uint16_t)seg->data_len;
    return WEIR_DROP_NONE;
}

static struct wi_tcp_conn *listener_find(const struct wi_tcp *tcp, const struct wi_tcp_key *key)
{
    struct wi_ports_key k = {
        .local = key->tuple.local,
        .remote = key->tuple.remote,
        .local_port = key->tuple.local_port,
        .remote_port = key->tuple.remote_port,
        .netif = key->netif,
    };
    struct wi_sk *sk = wi_ports_lookup(&tcp->ports, &k);
    return sk ? wi_tcp_conn_of(sk) : NULL;
}

/* RFC 9293 3.10.7.1, and the segment is told by nobody else. */
static enum weir_drop no_socket(struct wi_tcp *tcp, const struct wi_tcp_seg *seg)
{
    wi_tcp_event_stray_in(tcp, seg, 0, (struct wi_seq){0}, (struct wi_seq){0});
    if (seg->h.flags & WI_TH_RST)
        return WEIR_DROP_TCP_NO_SOCKET_RST;
    wi_tcp_reset_reply(tcp, seg, WEIR_WHY_RST_CLOSED);
    return WEIR_DROP_TCP_NO_SOCKET;
}

static enum weir_drop to_listener(struct wi_tcp *tcp, struct wi_tcp_seg *seg, const struct wi_tcp_key *key)
{
    struct wi_tcp_conn *listener = listener_find(tcp, key);
    return listener ? wi_tcp_listen_input(listener, seg, key, NULL) : no_socket(tcp, seg);
}

/* What no connection takes: half-open, TIME-WAIT, listening, nobody. */
static enum weir_drop to_others(struct wi_tcp *tcp, struct wi_tcp_seg *seg, const struct wi_tcp_key *key)
{
    /* RFC 9293 MUST-57, RFC 1122 4.2.3.10: a group can't be a peer. Connections are only ever made with a unicast. */
    if (weir_addr_is_multicast(&seg->ip->dst) || weir_addr_is_multicast(&seg->ip->src) ||
        wi_net_is_broadcast(tcp->net, &seg->ip->dst) || wi_net_is_broadcast(tcp->net, &seg->ip->src))
        return WEIR_DROP_TCP_NOT_UNICAST;

    struct wi_tcp_request *req = wi_tcp_request_find(tcp, key);
    if (req)
        return wi_tcp_request_input(tcp, req, seg);

    struct wi_tcp_timewait *tw = wi_tcp_timewait_find(tcp, key);
    if (!tw)
        return to_listener(tcp, seg, key);
    struct wi_tcp_conn *listener =
        wi_tcp_timewait_may_reopen(tw, &seg->h) && !(seg->h.flags & WI_TH_FIN) ? listener_find(tcp, key) : NULL;
    if (!listener)
        return wi_tcp_timewait_input(tcp, tw, seg);
    struct wi_seq iss = wi_tcp_timewait_next_iss(tw);
    wi_tcp_timewait_kill(tcp, tw, "new connection");
    return wi_tcp_listen_input(listener, seg, key, &iss);
}

static void input(void *ctx, struct weir_pkt *pkt, const struct wi_ip *ip, int netif)
{
    struct wi_tcp *tcp = ctx;
    struct wi_tcp_seg seg;
    wi_count(tcp->core, WI_STAT_TcpInSegs);
    enum weir_drop why = decode(&seg, pkt, ip, netif);
    if (why != WEIR_DROP_NONE) {
        wi_count(tcp->core, WI_STAT_TcpInErrs);
        wi_drop(tcp->core, why, pkt, netif);
        return;
    }
    struct wi_tcp_tuple tuple = {ip->dst, ip->src, seg.h.dst_port, seg.h.src_port};
    struct wi_tcp_key key = wi_tcp_key_of(tcp, &tuple, netif);
    struct wi_tcp_conn *c = wi_tcp_conn_find(tcp, &key);
    if (!c)
        c = wi_tcp_wake_for(tcp, &key, &why);
    if (c)
        why = wi_tcp_input(c, &seg);
    else if (why == WEIR_DROP_NONE)
        why = to_others(tcp, &seg, &key);
    if (why != WEIR_DROP_NONE)
        wi_drop(tcp->core, why, pkt, netif);
}

/* ---- An ICMP error's way ---- */

static void error(void *ctx, const struct wi_net_error *err, const struct wi_ip *inner, const uint8_t *l4,
                  size_t l4_len)
{
    struct wi_tcp *tcp = ctx;
    if (l4_len < 8) {
        wi_drop(tcp->core, WEIR_DROP_ICMP_INNER, NULL, 0);
        return;
    }
    struct wi_tcp_tuple tuple = {inner->src, inner->dst, wi_get16(l4), wi_get16(l4 + 2)};
    struct wi_tcp_key key = wi_tcp_key_of(tcp, &tuple, 0);
    struct wi_seq seq = {wi_get32(l4 + 4)};
    enum weir_drop why = WEIR_DROP_NONE;
    struct wi_tcp_conn *c = wi_tcp_conn_find(tcp, &key);
    if (!c)
        c = wi_tcp_wake_for(tcp, &key, &why);
    struct wi_tcp_request *req = c ? NULL : wi_tcp_request_find(tcp, &key);
    if (c)
        why = wi_tcp_icmp(c, err, seq);
    else if (req)
        why = wi_tcp_request_icmp(tcp, req, err, seq);
    else if (why == WEIR_DROP_NONE)
        why = WEIR_DROP_ICMP_NO_SOCKET;
    if (why != WEIR_DROP_NONE)
        wi_drop(tcp->core, why, NULL, 0);
}

/* ---- Life ---- */

static bool is_listening(const struct wi_sk *sk)
{
    return ((const struct wi_tcp_conn *)(const void *)sk)->state == WEIR_TCP_LISTEN;
}

static bool tables_init(struct wi_tcp *tcp)
{
    struct wi_mem *mem = tcp->core->mem;
    if (!wi_htable_init(&tcp->conns, mem, TABLE_INITIAL))
        return false;
    if (!wi_htable_init(&tcp->requests, mem, TABLE_INITIAL))
        goto fail_requests;
    if (!wi_htable_init(&tcp->timewaits, mem, TABLE_INITIAL))
        goto fail_timewaits;
    if (!wi_tcp_fo_init(tcp))
        goto fail_fo;
    return true;

fail_fo:
    wi_htable_fini(&tcp->timewaits);
fail_timewaits:
    wi_htable_fini(&tcp->requests);
fail_requests:
    wi_htable_fini(&tcp->conns);
    return false;
}

int wi_tcp_demux_init(struct wi_tcp *tcp)
{
    struct wi_secret *secret = &tcp->core->secret;
    wi_secret_bytes(secret, tcp->hash_key, sizeof tcp->hash_key);
    wi_secret_bytes(secret, tcp->isn_key, sizeof tcp->isn_key);
    wi_secret_bytes(secret, tcp->ts_key, sizeof tcp->ts_key);
    wi_secret_bytes(secret, tcp->cookie_key, sizeof tcp->cookie_key);
    if (wi_ports_init(&tcp->ports, tcp->core, is_listening, true) < 0)
        return -WEIR_ENOMEM;
    if (!tables_init(tcp)) {
        wi_ports_fini(&tcp->ports);
        return -WEIR_ENOMEM;
    }
    wi_tcp_listen_init(tcp);
    wi_tcp_timewait_init(tcp);
    struct wi_net_proto proto = {.ctx = tcp, .input = input, .error = error};
    wi_net_register(tcp->net, WI_IP_TCP, &proto);
    return 0;
}

void wi_tcp_demux_fini(struct wi_tcp *tcp)
{
    wi_tcp_listen_fini(tcp);
    wi_tcp_timewait_fini(tcp);
    wi_tcp_fo_fini(tcp);
    wi_htable_fini(&tcp->timewaits);
    wi_htable_fini(&tcp->requests);
    wi_htable_fini(&tcp->conns);
    wi_ports_fini(&tcp->ports);
}
