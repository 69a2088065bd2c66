/*
 * Reassembly, IPv4 and IPv6 alike (RFC 791 3.2, RFC 8200 4.5). Bounded in bytes (ipfrag_high_thresh, the oldest
 * datagram goes first), in pieces and in time; each fragment costs O(log n) of its datagram's.
 *
 * Any overlap ends the whole datagram, and what comes of it later goes too (RFC 5722); a fragment that repeats another
 * byte for byte is no overlap. Pieces are copied out of their packets, so that tiny fragments don't hold large buffers.
 */
#include "base/str.h"
#include "net/net_internal.h"

#define FRAGS_INITIAL 8
#define PIECES_MAX    2048         /* more than a 64 KiB datagram over any real link makes */
#define TIMEOUT_V6    WEIR_SEC(60) /* RFC 8200 4.5 */

struct datagram {
    struct wi_hnode link;
    struct wi_list age_link;
    struct wi_net *net;
    struct wi_rx rx;
    struct weir_addr src, dst;
    uint32_t id;
    uint8_t proto; /* IPv4: part of the key */
    bool is_v6;
    bool is_dead; /* overlapped: waits for its time to run out, holding nothing */
    uint8_t ecns; /* bits 1 << enum wi_ip_ecn: those of its fragments */
    bool is_end_known;
    uint32_t end; /* valid when is_end_known: bytes in all */
    uint32_t have;
    uint32_t piece_n;
    size_t bytes; /* what it holds of net->frag_bytes */
    struct wi_rb_root pieces;
    struct weir_pkt *first; /* the fragment with offset 0, for its header and for ICMP; NULL until it came */
    struct wi_ip first_ip;
    struct wi_timer timer;
};

struct piece {
    struct wi_rb_node node;
    uint32_t off, len;
    uint8_t data[];
};

static struct piece *piece_of(struct wi_rb_node *node)
{
    return node ? WI_CONTAINER_OF(node, struct piece, node) : NULL;
}

static int piece_cmp(const struct wi_rb_node *a, const struct wi_rb_node *b)
{
    uint32_t x = piece_of((struct wi_rb_node *)(uintptr_t)a)->off;
    uint32_t y = piece_of((struct wi_rb_node *)(uintptr_t)b)->off;
    return x < y ? -1 : x > y;
}

static int piece_seek(const void *key, const struct wi_rb_node *node)
{
    uint32_t x = *(const uint32_t *)key, y = piece_of((struct wi_rb_node *)(uintptr_t)node)->off;
    return x < y ? -1 : x > y;
}

/* ---- Datagrams ---- */

static bool datagram_equal(const struct wi_hnode *node, const void *key)
{
    const struct datagram *d = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct datagram, link);
    const struct wi_ip *ip = key;
    return d->id == ip->frag_id && d->is_v6 == ip->is_v6 && (d->is_v6 || d->proto == ip->proto) &&
           weir_addr_equal(&d->src, &ip->src) && weir_addr_equal(&d->dst, &ip->dst);
}

static uint64_t datagram_hash(const struct wi_net *net, const struct wi_ip *ip)
{
    uint8_t in[36];
    memcpy(in, ip->src.b, 16);
    memcpy(in + 16, ip->dst.b, 16);
    wi_put32(in + 32, ip->frag_id);
    return wi_siphash13(net->key, in, sizeof in);
}

static void charge(struct datagram *d, size_t bytes)
{
    d->bytes += bytes;
    d->net->frag_bytes += bytes;
}

static size_t piece_size(const struct piece *p)
{
    return sizeof *p + p->len;
}

/* Let go of all that the datagram holds but itself. */
static void datagram_empty(struct datagram *d)
{
    for (struct piece *p; (p = piece_of(wi_rb_first(&d->pieces)));) {
        wi_rb_erase(&d->pieces, &p->node);
        wi_core_free(d->net->core, p, piece_size(p));
    }
    if (d->first)
        weir_pkt_unref(d->first);
    d->first = NULL;
    d->piece_n = 0;
    d->have = 0;
    d->net->frag_bytes -= d->bytes - sizeof *d;
    d->bytes = sizeof *d;
}

static void datagram_free(struct datagram *d)
{
    struct wi_net *net = d->net;
    datagram_empty(d);
    net->frag_bytes -= d->bytes;
    wi_timer_cancel(&net->core->wheel, &d->timer);
    wi_htable_remove(&net->frags, &d->link);
    wi_list_del(&d->age_link);
    wi_core_free(net->core, d, sizeof *d);
}

/* RFC 1122 3.3.2, RFC 8200 4.5: the sender hears of it if the first fragment is here to be quoted. */
static void datagram_timeout(struct wi_timer *timer, weir_ns now)
{
    struct datagram *d = WI_CONTAINER_OF(timer, struct datagram, timer);
    struct wi_net *net = d->net;
    (void)now;
    if (!d->is_dead) {
        wi_count(net->core, WI_STAT_IpReasmTimeout);
        wi_count(net->core, WI_STAT_IpReasmFails);
        if (d->first) {
            const struct wi_icmp_owed owed = {.kind = WI_ICMP_TIME_EXCEEDED, .code = WI_ICMP_REASSEMBLY};
            wi_icmp_send_error(net, &owed, d->first, &d->first_ip, &d->rx);
        }
        wi_drop(net->core, WEIR_DROP_FRAG_TIMEOUT, d->first, d->rx.netif->index);
    }
    datagram_free(d);
}

static struct datagram *datagram_new(struct wi_net *net, const struct wi_ip *ip, const struct wi_rx *rx)
{
    struct datagram *d = wi_mem_zalloc(net->core->mem, sizeof *d);
    if (!d)
        return NULL;
    d->net = net;
    d->rx = *rx;
    d->src = ip->src;
    d->dst = ip->dst;
    d->id = ip->frag_id;
    d->proto = ip->proto;
    d->is_v6 = ip->is_v6;
    charge(d, sizeof *d);
    wi_timer_init(&d->timer, datagram_timeout);
    weir_ns timeout = d->is_v6 ? TIMEOUT_V6 : WEIR_SEC((weir_ns)net->core->sysctl.ipfrag_time);
    wi_timer_arm(&net->core->wheel, &d->timer, net->core->now + timeout);
    wi_list_add_tail(&net->frag_age, &d->age_link);
    wi_htable_insert(&net->frags, &d->link, datagram_hash(net, ip));
    return d;
}

/* Make the room that one more fragment needs; other datagrams go, the oldest first. */
static bool make_room(struct wi_net *net, const struct datagram *keep, size_t bytes)
{
    size_t limit = (size_t)net->core->sysctl.ipfrag_high_thresh;
    while (net->frag_bytes + bytes > limit) {
        struct datagram *oldest = wi_list_first(&net->frag_age, struct datagram, age_link);
        if (!oldest || oldest == keep)
            return false;
        wi_count(net->core, WI_STAT_IpReasmFails);
        wi_drop(net->core, WEIR_DROP_FRAG_LIMIT, oldest->first, oldest->rx.netif->index);
        datagram_free(oldest);
    }
    return true;
}

/* ---- Pieces ---- */

static bool is_same_bytes(const struct piece *p, const struct weir_pkt *pkt, const struct wi_ip *ip)
{
    uint8_t chunk[256];
    for (uint32_t off = 0; off < p->len; off += sizeof chunk) {
        uint32_t n = wi_min_u32(sizeof chunk, p->len - off);
        if (weir_pkt_copy(pkt, pkt->l4_off + off, chunk, n) != n || memcmp(chunk, p->data + off, n) != 0)
            return false;
    }
    return p->len == ip->l4_len;
}

/* Does the fragment fit among those that are here? FRAG_DUP: it is one of them. */
static enum weir_drop judge_place(const struct datagram *d, const struct weir_pkt *pkt, const struct wi_ip *ip)
{
    struct wi_rb_node *node = wi_rb_lower_bound(&d->pieces, &ip->frag_off, piece_seek);
    const struct piece *after = piece_of(node);
    const struct piece *before = piece_of(node ? wi_rb_prev(node) : wi_rb_last(&d->pieces));
    uint32_t end = ip->frag_off + ip->l4_len;

    bool is_end = d->is_end_known && d->end == end;
    if (after && after->off == ip->frag_off && after->len == ip->l4_len && is_end == !ip->mf &&
        is_same_bytes(after, pkt, ip))
        return WEIR_DROP_FRAG_DUP;
    if ((after && after->off < end) || (before && before->off + before->len > ip->frag_off))
        return WEIR_DROP_FRAG_OVERLAP;
    return WEIR_DROP_NONE;
}

/* The last fragment says where the datagram ends; no other may contradict. */
static enum weir_drop judge_end(const struct datagram *d, const struct wi_ip *ip)
{
    uint32_t end = ip->frag_off + ip->l4_len;
    uint32_t hdr_len = ip->is_v6 ? 0 : WI_IPV4_HDR; /* of what comes out; IPv6's length field leaves it out */
    const struct piece *last = piece_of(wi_rb_last(&d->pieces));
    if (end + hdr_len > WI_IP_TOTAL_MAX)
        return WEIR_DROP_FRAG_TOO_LONG;
    if (d->is_end_known && (end > d->end || (!ip->mf && end != d->end)))
        return WEIR_DROP_FRAG_INCONSISTENT;
    return !ip->mf && last && last->off + last->len > end ? WEIR_DROP_FRAG_INCONSISTENT : WEIR_DROP_NONE;
}

static enum weir_drop piece_add(struct datagram *d, struct weir_pkt *pkt, const struct wi_ip *ip)
{
    struct wi_core *core = d->net->core;
    size_t size = sizeof(struct piece) + ip->l4_len;
    size_t first_size = ip->frag_off == 0 ? sizeof *pkt + pkt->len : 0;
    if (d->piece_n >= PIECES_MAX)
        return WEIR_DROP_FRAG_TOO_MANY;
    if (!make_room(d->net, d, size + first_size))
        return WEIR_DROP_FRAG_LIMIT;
    struct piece *p = wi_core_alloc(core, size);
    if (!p)
        return WEIR_DROP_NO_MEMORY;
    p->off = ip->frag_off;
    p->len = ip->l4_len;
    (void)weir_pkt_copy(pkt, pkt->l4_off, p->data, p->len);
    (void)wi_rb_insert(&d->pieces, &p->node, piece_cmp);
    charge(d, size + first_size);
    d->piece_n++;
    d->have += p->len;
    d->ecns |= (uint8_t)(1u << ip->ecn);
    if (!ip->mf) {
        d->is_end_known = true;
        d->end = p->off + p->len;
    }
    if (ip->frag_off == 0) {
        d->first = weir_pkt_ref(pkt);
        d->first_ip = *ip;
    }
    return WEIR_DROP_NONE;
}

/* ---- Whole ---- */

static struct weir_pkt *assemble(const struct datagram *d)
{
    struct wi_ip_out out = {.src = d->src,
                            .dst = d->dst,
                            .is_v6 = d->is_v6,
                            .proto = d->first_ip.proto,
                            .ttl = d->first_ip.ttl,
                            .tos = (uint8_t)(d->first_ip.tos | (d->ecns & 1u << WI_ECN_CE ? WI_ECN_CE : 0)),
                            .flow_label = d->first_ip.flow_label,
                            .frag_id = d->is_v6 ? 0 : d->id,
                            .l4_len = d->end};
    uint8_t *p;
    size_t hdr_len = wi_ip_out_len(&out);
    struct weir_pkt *pkt = wi_msg_new(d->net, hdr_len + d->end, &p);
    if (!pkt)
        return NULL;
    wi_ip_put(p, &out);
    for (struct wi_rb_node *n = wi_rb_first(&d->pieces); n; n = wi_rb_next(n)) {
        const struct piece *piece = piece_of(n);
        memcpy(p + hdr_len + piece->off, piece->data, piece->len);
    }
    pkt->flags |= d->first->flags & WEIR_PKT_CORRUPT;
    return pkt;
}

/* Fragments come to the shard that their addresses say, the flow may be another one's. It gets the datagram as if it
 * had come whole. */
static bool pass_on(struct wi_net *net, struct weir_pkt *pkt, const struct wi_rx *rx)
{
    const struct weir_shard *shard = &net->core->shard;
    unsigned to = shard->rss && !rx->is_loop ? weir_steer(shard->rss, WEIR_LINK_RAW_IP, pkt) : shard->index;
    if (to == shard->index || to == WEIR_SHARD_ALL)
        return false;
    struct wi_eth eth = {.type = weir_pkt_pull(pkt, 1)[0] >> 4 == 4 ? WI_ETHERTYPE_IPV4 : WI_ETHERTYPE_IPV6};
    memcpy(eth.dst, rx->netif->mac, WI_ETH_ADDR_LEN);
    uint8_t *hdr = rx->netif->type == WEIR_LINK_ETHERNET ? weir_pkt_push(pkt, WI_ETH_HDR) : NULL;
    if (hdr)
        wi_eth_put(hdr, &eth);
    if (shard->pass)
        shard->pass(shard->pass_ctx, to, rx->netif->index, pkt);
    else
        wi_drop(net->core, WEIR_DROP_SHARD_OTHER, pkt, rx->netif->index);
    return true;
}

static void datagram_complete(struct datagram *d)
{
    struct wi_net *net = d->net;
    struct wi_rx rx = d->rx;
    /* Congestion that one met would be lost with a datagram that can't be marked: RFC 3168 5.3 drops it. */
    const uint8_t contrary = 1u << WI_ECN_CE | 1u << WI_ECN_NOT_ECT;
    bool is_contrary = (d->ecns & contrary) == contrary;
    struct weir_pkt *pkt = is_contrary ? NULL : assemble(d);
    datagram_free(d);
    if (!pkt) {
        wi_count(net->core, WI_STAT_IpReasmFails);
        wi_drop(net->core, is_contrary ? WEIR_DROP_FRAG_ECN : WEIR_DROP_NO_MEMORY, NULL, rx.netif->index);
        return;
    }
    wi_count(net->core, WI_STAT_IpReasmOKs);
    rx.is_reassembled = true;
    if (!pass_on(net, pkt, &rx))
        wi_ip_input(net, pkt, &rx);
    weir_pkt_unref(pkt);
}

static void datagram_kill(struct datagram *d)
{
    wi_count(d->net->core, WI_STAT_IpReasmFails);
    datagram_empty(d);
    d->is_dead = true;
}

static enum weir_drop datagram_add(struct datagram *d, struct weir_pkt *pkt, const struct wi_ip *ip)
{
    if (d->is_dead)
        return WEIR_DROP_FRAG_OVERLAP;
    enum weir_drop why = judge_place(d, pkt, ip);
    if (why == WEIR_DROP_FRAG_DUP)
        return why;
    if (why == WEIR_DROP_NONE)
        why = judge_end(d, ip);
    if (why != WEIR_DROP_NONE) {
        datagram_kill(d);
        return why;
    }
    return piece_add(d, pkt, ip);
}

void wi_frag_input(struct wi_net *net, struct weir_pkt *pkt, const struct wi_ip *ip, const struct wi_rx *rx)
{
    wi_count(net->core, WI_STAT_IpReasmReqds);
    struct wi_hnode *node = wi_htable_find(&net->frags, datagram_hash(net, ip), datagram_equal, ip);
    struct datagram *d = node ? WI_CONTAINER_OF(node, struct datagram, link) : NULL;
    enum weir_drop why = WEIR_DROP_NONE;
    if (!d && !make_room(net, NULL, sizeof *d))
        why = WEIR_DROP_FRAG_LIMIT;
    else if (!d && !(d = datagram_new(net, ip, rx)))
        why = WEIR_DROP_NO_MEMORY;
    if (why == WEIR_DROP_NONE)
        why = datagram_add(d, pkt, ip);
    if (why == WEIR_DROP_NONE && d->is_end_known && d->have == d->end)
        datagram_complete(d);
    else if (why != WEIR_DROP_NONE)
        wi_drop(net->core, why, pkt, rx->netif->index);
}

int wi_frags_init(struct wi_net *net)
{
    wi_list_init(&net->frag_age);
    return wi_htable_init(&net->frags, net->core->mem, FRAGS_INITIAL) ? 0 : -WEIR_ENOMEM;
}

void wi_frags_flush_netif(struct wi_net *net, struct wi_netif *netif)
{
    wi_list_for_each_safe (d, &net->frag_age, struct datagram, age_link) {
        if (d->rx.netif == netif)
            datagram_free(d);
    }
}

void wi_frags_fini(struct wi_net *net)
{
    WI_ASSERT(wi_htable_count(&net->frags) == 0 && net->frag_bytes == 0);
    wi_htable_fini(&net->frags);
}
