/*
 * Receive offload in software (what Linux calls GRO): consecutive segments of one TCP flow in one batch become a
 * super-segment before anybody looks up whose they are, so that the stack's cost is paid once for all of them.
 *
 * What is merged is what Linux merges: same addresses, ports, TTL, traffic class (so a CE mark is never spread), flow
 * label, ACK, window, flags and options to the byte, numbers that follow each other, one size but for a shorter last.
 * PSH and a shorter segment end it. Each one's checksum is verified first. Packets of a flow stay in their order.
 *
 * IPv4's identification is not compared: this host forwards nothing, so nobody has to be able to cut it up again.
 */
#include "base/str.h"
#include "net/net_internal.h"
#include "wire/tcp.h"

/* Flows that segments are held of at a time; the oldest gives way. */
#define FLOWS 8

#define TCP_NEVER_MERGED (WI_TH_FIN | WI_TH_SYN | WI_TH_RST | WI_TH_URG)

enum kind {
    KIND_OTHER, /* nothing that could belong to a flow that is held */
    KIND_FLOW,  /* TCP, to be kept in order with its flow, but not merged */
    KIND_DATA,  /* nothing but the next payload, as far as can be seen without the sum */
};

/* A packet's headers, where they lie: contiguous, `hdr_len` bytes of them from the packet's start. */
struct seg {
    struct weir_pkt *pkt;
    const uint8_t *p, *ip, *tcp;
    uint32_t hdr_len; /* valid for KIND_DATA, as what follows */
    uint32_t data_len;
    bool is_v6;
};

/* The longest headers that are merged: Ethernet, IPv6, TCP with all its options; in whole words. */
#define HDR_MAX 120
_Static_assert(WI_ETH_HDR + WI_IPV6_HDR + WI_TCP_HDR_MAX <= HDR_MAX, "a flow's headers have room");

/* What is held of one flow: its first segment, and once there is a second, a packet of ours with both. */
struct flow {
    struct seg first;
    struct weir_pkt *merged; /* NULL: the first is alone */
    uint32_t data_len;
    bool is_pushed;
    uint64_t pseudo_sum;
    uint8_t next[HDR_MAX], fixed[HDR_MAX]; /* the next segment's headers, and which of their bits are known */
};

struct batch {
    struct wi_netif *netif;
    const struct wi_csum_form *csum;
    unsigned n;
    struct flow flows[FLOWS]; /* oldest first */
};

/* ---- What a packet is ---- */

static bool find_ip(const struct wi_netif *netif, struct seg *s, uint32_t len)
{
    if (netif->type == WEIR_LINK_RAW_IP) {
        s->ip = s->p;
        return len >= WI_IPV4_HDR + WI_TCP_HDR_MIN;
    }
    s->ip = s->p + WI_ETH_HDR;
    if (len < WI_ETH_HDR + WI_IPV4_HDR + WI_TCP_HDR_MIN || memcmp(s->p, netif->mac, WI_ETH_ADDR_LEN) != 0)
        return false;
    return wi_get16(s->p + 12) == (s->ip[0] >> 4 == 4 ? WI_ETHERTYPE_IPV4 : WI_ETHERTYPE_IPV6);
}

/* The IP header, when it is plain: without options or extensions, whole, and its sum right. */
static bool read_ip(struct seg *s, uint32_t lin_len, uint32_t *l4_len)
{
    uint32_t ip_off = (uint32_t)(s->ip - s->p), left = s->pkt->len - ip_off;
    s->is_v6 = s->ip[0] >> 4 == 6;
    if (s->is_v6) {
        *l4_len = wi_get16(s->ip + 4);
        s->tcp = s->ip + WI_IPV6_HDR;
        return lin_len >= ip_off + WI_IPV6_HDR + WI_TCP_HDR_MIN && s->ip[6] == WI_IP_TCP &&
               *l4_len <= left - WI_IPV6_HDR;
    }
    uint32_t total = wi_get16(s->ip + 2);
    bool is_plain = s->ip[0] == 0x45 && s->ip[9] == WI_IP_TCP && (wi_get16(s->ip + 6) & 0x3fff) == 0;
    if (!is_plain || total < WI_IPV4_HDR || total > left ||
        wi_csum_fold(wi_csum_add_words(0, s->ip, WI_IPV4_HDR / 4)) != 0xffff)
        return false;
    *l4_len = total - WI_IPV4_HDR;
    s->tcp = s->ip + WI_IPV4_HDR;
    return true;
}

/* Where the packet's first bytes lie, and how many are contiguous there. */
static inline const uint8_t *first_bytes(struct weir_pkt *pkt, uint32_t *len)
{
    if (pkt->head_len || !pkt->frag_n) {
        *len = pkt->head_len;
        return wi_pkt_head(pkt);
    }
    *len = pkt->frags[0].len;
    return pkt->frags[0].block->data + pkt->frags[0].off;
}

static enum kind look(const struct wi_netif *netif, struct weir_pkt *pkt, struct seg *s)
{
    uint32_t lin_len, l4_len;
    *s = (struct seg){.pkt = pkt};
    s->p = first_bytes(pkt, &lin_len);
    if (!find_ip(netif, s, lin_len) || !read_ip(s, lin_len, &l4_len))
        return KIND_OTHER;
    uint32_t tcp_len = (uint32_t)(s->tcp[12] >> 4) * 4;
    s->hdr_len = (uint32_t)(s->tcp - s->p) + tcp_len;
    bool is_data = tcp_len >= WI_TCP_HDR_MIN && l4_len > tcp_len && s->hdr_len <= lin_len &&
                   s->hdr_len >= pkt->head_len && /* all of its payload can be viewed */
                   (s->tcp[13] & (TCP_NEVER_MERGED | WI_TH_ACK)) == WI_TH_ACK && !pkt->gso_size;
    s->data_len = is_data ? l4_len - tcp_len : 0;
    return is_data ? KIND_DATA : KIND_FLOW;
}

/* pseudo_sum: wi_hdr_pseudo_csum of its IP header. */
static inline bool is_sum_good(const struct batch *b, struct seg *s, uint64_t pseudo_sum)
{
    struct weir_pkt *pkt = s->pkt;
    if ((pkt->flags & WEIR_PKT_CSUM_OK) || (b->netif->caps & WEIR_CAP_RX_CSUM))
        return true;
    uint32_t l4_off = (uint32_t)(s->tcp - s->p), l4_len = s->hdr_len - l4_off + s->data_len;
    uint64_t sum = wi_csum_add32(pseudo_sum, l4_len);
    if (pkt->head_len == 0 && l4_off + l4_len <= pkt->frags[0].len)
        sum = wi_csum_add_by(b->csum, sum, s->tcp, l4_len);
    else
        sum += wi_pkt_csum(pkt, l4_off, l4_len) & ~WI_CSUM_ODD;
    if (wi_csum_fold(sum) != 0xffff)
        return false;
    pkt->flags |= WEIR_PKT_CSUM_OK; /* said once */
    return true;
}

/* ---- Flows ---- */

static bool is_same_flow(const struct seg *a, const struct seg *b)
{
    if (memcmp(a->tcp, b->tcp, 4) != 0 || a->is_v6 != b->is_v6)
        return false;
    return a->is_v6 ? memcmp(a->ip + 8, b->ip + 8, 32) == 0 : memcmp(a->ip + 12, b->ip + 12, 8) == 0;
}

static struct flow *flow_of(struct batch *b, const struct seg *s)
{
    for (unsigned i = 0; i < b->n; i++) {
        if (is_same_flow(&b->flows[i].first, s))
            return &b->flows[i];
    }
    return NULL;
}

/* The merged packet's headers are the first one's; what they say of all of it. */
static void finish_headers(const struct flow *f)
{
    struct weir_pkt *pkt = f->merged;
    const struct seg *s = &f->first;
    uint8_t *head = wi_pkt_head(pkt);
    uint8_t *ip = head + (s->ip - s->p), *tcp = head + (s->tcp - s->p);
    uint16_t len = (uint16_t)(s->hdr_len - (uint32_t)(s->ip - s->p) + f->data_len - (s->is_v6 ? WI_IPV6_HDR : 0u));
    wi_put16(ip + (s->is_v6 ? 4 : 2), len);
    if (!s->is_v6) {
        wi_put16(ip + 10, 0);
        wi_put16(ip + 10, wi_csum_finish(wi_csum_add(0, ip, WI_IPV4_HDR)));
    }
    if (f->is_pushed)
        tcp[13] |= WI_TH_PSH;
    pkt->flags = (uint8_t)(s->pkt->flags | WEIR_PKT_CSUM_OK);
    pkt->serial = s->pkt->serial;
    pkt->gso_size = (uint16_t)s->data_len;
    pkt->l3_off = (uint16_t)(s->ip - s->p);
    pkt->l4_off = (uint16_t)(s->tcp - s->p);
}

static void flow_end(struct batch *b, struct flow *f)
{
    if (f->merged) {
        finish_headers(f);
        wi_link_input(b->netif, f->merged);
        weir_pkt_unref(f->merged);
    } else {
        wi_link_input(b->netif, f->first.pkt);
    }
    b->n--;
    memmove(f, f + 1, (size_t)(b->flows + b->n - f) * sizeof *f);
}

static void flows_end(struct batch *b)
{
    while (b->n)
        flow_end(b, &b->flows[0]);
}

/* What the next segment's headers will be: the first one's, but for lengths, sums, IPv4's identification and PSH. */
static void expect_next(struct flow *f)
{
    const struct seg *s = &f->first;
    uint32_t ip_off = (uint32_t)(s->ip - s->p), tcp_off = (uint32_t)(s->tcp - s->p);
    memcpy(f->next, s->p, s->hdr_len);
    memset(f->fixed, 0xff, s->hdr_len);
    memset(f->fixed + ip_off + (s->is_v6 ? 4 : 2), 0, 2);
    if (!s->is_v6) {
        memset(f->fixed + ip_off + 4, 0, 2);
        memset(f->fixed + ip_off + 10, 0, 2);
    }
    f->fixed[tcp_off + 13] = (uint8_t)~WI_TH_PSH;
    memset(f->fixed + tcp_off + WI_TCP_CSUM_OFF, 0, 4); /* and the urgent pointer, which means nothing without URG */
    wi_put32(f->next + tcp_off + 4, wi_get32(s->tcp + 4) + s->data_len);
}

static void flow_begin(struct batch *b, const struct seg *s, uint64_t pseudo_sum)
{
    if (b->n == FLOWS)
        flow_end(b, &b->flows[0]);
    struct flow *f = &b->flows[b->n++];
    f->first = *s;
    f->merged = NULL;
    f->data_len = s->data_len;
    f->is_pushed = false;
    f->pseudo_sum = pseudo_sum;
    expect_next(f);
}

/* ---- Merging ---- */

/* Views of a segment's payload behind what the merged packet has. */
static inline bool add_payload(struct weir_pkt *to, const struct seg *s)
{
    const struct weir_pkt *pkt = s->pkt;
    uint32_t skip = s->hdr_len - pkt->head_len, left = s->data_len;
    if (to->frag_n + pkt->frag_n > to->frag_cap)
        return false;
    for (const struct weir_frag *f = pkt->frags; left > 0; f++) {
        uint32_t past = wi_min_u32(skip, f->len), n = wi_min_u32(f->len - past, left);
        if (n > 0)
            wi_pkt_add_view(to, f->block, f->off + past, n);
        left -= n;
        skip -= past;
    }
    return true;
}

static struct weir_pkt *merged_new(struct wi_netif *netif, const struct seg *first)
{
    struct weir_pkt *pkt = weir_pkt_new(netif->net->core->pool, 0);
    uint8_t *head = pkt ? weir_pkt_put(pkt, first->hdr_len) : NULL;
    if (head && wi_pkt_widen(pkt)) {
        memcpy(head, first->p, first->hdr_len);
        if (add_payload(pkt, first))
            return pkt;
    }
    if (pkt)
        weir_pkt_unref(pkt);
    return NULL;
}

static inline bool is_word_next(const struct flow *f, const uint8_t *p, uint32_t off)
{
    uint64_t word, next, fixed;
    memcpy(&word, p + off, sizeof word);
    memcpy(&next, f->next + off, sizeof next);
    memcpy(&fixed, f->fixed + off, sizeof fixed);
    return ((word ^ next) & fixed) == 0;
}

/* The headers at `p`, as many bytes as those of the flow's first segment, are what the next one's will be. */
static inline bool is_next_header(const struct flow *f, const uint8_t *p)
{
    uint32_t last = f->first.hdr_len - 8;
    for (uint32_t off = 0; off < last; off += 8)
        if (!is_word_next(f, p, off))
            return false;
    return is_word_next(f, p, last);
}

/* Is the packet the flow's next segment, but for its sum? Then it is `s`. */
static bool is_next_of(const struct flow *f, struct weir_pkt *pkt, struct seg *s)
{
    const struct seg *a = &f->first;
    uint32_t lin_len, ip_off = (uint32_t)(a->ip - a->p);
    s->p = first_bytes(pkt, &lin_len);
    if (lin_len < a->hdr_len || pkt->head_len > a->hdr_len || pkt->gso_size || !is_next_header(f, s->p))
        return false;
    s->pkt = pkt;
    s->ip = s->p + ip_off;
    s->tcp = s->p + (a->tcp - a->p);
    s->hdr_len = a->hdr_len;
    s->is_v6 = a->is_v6;
    uint32_t end = ip_off + (s->is_v6 ? WI_IPV6_HDR + wi_get16(s->ip + 4) : wi_get16(s->ip + 2));
    uint32_t tcp_len = s->hdr_len - (uint32_t)(s->tcp - s->p);
    s->data_len = end - s->hdr_len;
    if (end <= s->hdr_len || end > pkt->len || s->data_len > a->data_len ||
        tcp_len + f->data_len + s->data_len > WI_IP_TOTAL_MAX - WI_IPV4_HDR)
        return false;
    return s->is_v6 || wi_csum_fold(wi_csum_add_words(0, s->ip, WI_IPV4_HDR / 4)) == 0xffff;
}

/* False: there is no room for it. */
static bool merge(struct batch *b, struct flow *f, const struct seg *s)
{
    if (!f->merged)
        f->merged = merged_new(b->netif, &f->first);
    if (!f->merged || !add_payload(f->merged, s))
        return false;
    f->data_len += s->data_len;
    f->is_pushed = s->tcp[13] & WI_TH_PSH;
    wi_put32(f->next + (s->tcp - s->p) + 4, wi_get32(s->tcp + 4) + s->data_len);
    if (f->is_pushed || s->data_len < f->first.data_len)
        flow_end(b, f);
    return true;
}

static bool goes_on(struct batch *b, struct weir_pkt *pkt)
{
    for (unsigned i = b->n; i-- > 0;) {
        struct flow *f = &b->flows[i];
        struct seg s;
        if (is_next_of(f, pkt, &s))
            return is_sum_good(b, &s, f->pseudo_sum) && merge(b, f, &s);
    }
    return false;
}

static void input_one(struct batch *b, struct weir_pkt *pkt, bool is_last)
{
    struct seg s;
    if (goes_on(b, pkt))
        return;
    enum kind kind = look(b->netif, pkt, &s);
    if (kind == KIND_OTHER)
        flows_end(b);
    struct flow *f = kind == KIND_OTHER ? NULL : flow_of(b, &s);
    if (f)
        flow_end(b, f);
    bool may_begin = kind == KIND_DATA && !is_last && !(s.tcp[13] & WI_TH_PSH);
    uint64_t pseudo_sum = may_begin ? wi_hdr_pseudo_csum(s.ip) : 0;
    if (may_begin && is_sum_good(b, &s, pseudo_sum))
        flow_begin(b, &s, pseudo_sum);
    else
        wi_link_input(b->netif, pkt);
}

void wi_gro_input(struct wi_netif *netif, struct weir_pkt **pkts, unsigned n)
{
    struct batch b;
    b.netif = netif;
    b.csum = wi_pool_csum(netif->net->core->pool);
    b.n = 0;
    for (unsigned i = 0; i < n; i++)
        input_one(&b, pkts[i], i + 1 == n);
    flows_end(&b);
}
