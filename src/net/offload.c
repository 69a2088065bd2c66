/*
 * What a driver without offloads needs done at the edge: finishing a transport checksum, cutting a super-segment. As
 * hardware does it: RFC 9293 3.1 for the header, IPv4 identification counted up.
 */
#include "base/checksum.h"
#include "base/str.h"
#include "net/net_internal.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define IPV4_LEN_OFF     2
#define IPV4_ID_OFF      4
#define IPV4_PROTO_OFF   9
#define IPV4_CSUM_OFF    10
#define IPV6_LEN_OFF     4
#define IPV6_NEXT_OFF    6
#define TCP_SEQ_OFF      4
#define TCP_DATA_OFF_OFF 12
#define TCP_FLAGS_OFF    13

uint64_t wi_pkt_csum(const struct weir_pkt *pkt, size_t off, size_t len)
{
    const struct wi_csum_form *form = wi_pool_csum(pkt->pool);
    uint64_t sum = 0;
    if (off < pkt->head_len) {
        size_t n = wi_min_size(len, pkt->head_len - off);
        sum = wi_csum_add(sum, pkt->room + pkt->head_off + off, n);
        len -= n;
        off = 0;
    } else {
        off -= pkt->head_len;
    }
    for (unsigned i = 0; i < pkt->frag_n && len; i++) {
        const struct weir_frag *f = &pkt->frags[i];
        if (off >= f->len) {
            off -= f->len;
            continue;
        }
        size_t n = wi_min_size(len, f->len - off);
        sum = wi_csum_add_by(form, sum, f->block->data + f->off + off, n);
        len -= n;
        off = 0;
    }
    return sum;
}

/* The transport of a packet that the stack wrote, whose headers lie in the head; -1 when they don't. */
static int head_proto(const struct weir_pkt *pkt)
{
    const uint8_t *head = pkt->room + pkt->head_off;
    if (pkt->l4_off < pkt->l3_off + WI_IPV4_HDR || pkt->l4_off > pkt->head_len)
        return -1;
    const uint8_t *ip = head + pkt->l3_off;
    if (ip[0] >> 4 == 4)
        return ip[IPV4_PROTO_OFF];
    return pkt->l4_off == pkt->l3_off + WI_IPV6_HDR ? ip[IPV6_NEXT_OFF] : -1;
}

static int csum_field_off(int proto)
{
    switch (proto) {
    case WI_IP_TCP: return WI_TCP_CSUM_OFF;
    case WI_IP_UDP: return WI_UDP_CSUM_OFF;
    case WI_IP_ICMPV6: return WI_ICMP_CSUM_OFF;
    default: return -1;
    }
}

/* The checksum as the field has it. */
static uint16_t csum_of(int proto, uint64_t sum)
{
    uint16_t csum = wi_csum_finish(sum);
    return proto == WI_IP_UDP && csum == 0 ? 0xffff : csum; /* RFC 768: 0 says that there is none */
}

int weir_pkt_checksum(struct weir_pkt *pkt)
{
    if (!(pkt->flags & WEIR_PKT_CSUM_PARTIAL))
        return 0;
    int proto = head_proto(pkt), field = csum_field_off(proto);
    if (field < 0 || pkt->l4_off + (unsigned)field + 2 > pkt->head_len)
        return -WEIR_EINVAL;
    bool is_summed = pkt->flags & WEIR_PKT_DATA_SUM;
    uint64_t sum = wi_pkt_csum(pkt, pkt->l4_off, (is_summed ? pkt->head_len : pkt->len) - pkt->l4_off);
    if (is_summed)
        sum = wi_csum_join(sum, pkt->frag_sum);
    wi_put16(wi_pkt_head(pkt) + pkt->l4_off + field, csum_of(proto, sum));
    pkt->flags &= (uint8_t)~WEIR_PKT_CSUM_PARTIAL;
    return 0;
}

/* ---- Cutting ---- */

/* The length of the headers that each frame repeats; 0: not a packet that can be cut. */
static uint32_t cut_hdr_len(const struct weir_pkt *pkt)
{
    if (!pkt->gso_size || head_proto(pkt) != WI_IP_TCP || pkt->l4_off + WI_TCP_HDR_MIN > pkt->head_len)
        return 0;
    const uint8_t *tcp = pkt->room + pkt->head_off + pkt->l4_off;
    uint32_t tcp_len = (uint32_t)(tcp[TCP_DATA_OFF_OFF] >> 4) * 4;
    return tcp_len >= WI_TCP_HDR_MIN && pkt->l4_off + tcp_len <= pkt->head_len ? pkt->l4_off + tcp_len : 0;
}

uint64_t wi_hdr_pseudo_csum(const uint8_t *ip)
{
    if (ip[0] >> 4 == 4)
        return wi_csum_add_words(ip[IPV4_PROTO_OFF], ip + 12, 2);
    return wi_csum_add_words(ip[IPV6_NEXT_OFF], ip + 8, 8);
}

/* A sum without a word that changes from frame to frame: its complement added (RFC 1624). */
static uint64_t csum_less16(uint64_t sum, uint16_t word)
{
    return wi_csum_add16(sum, (uint16_t)~word);
}

/* What stays the same in all frames: the headers' sums without length, identification, sequence number, flags. */
static void cut_sum_headers(struct weir_cut *cut)
{
    const struct weir_pkt *pkt = cut->pkt;
    const uint8_t *ip = pkt->room + pkt->head_off + pkt->l3_off, *tcp = pkt->room + pkt->head_off + pkt->l4_off;
    cut->seq = wi_get32(tcp + TCP_SEQ_OFF);
    if (ip[0] >> 4 == 4) {
        cut->is_v4 = true;
        cut->ip_id = wi_get16(ip + IPV4_ID_OFF);
        uint64_t sum = wi_csum_add(0, ip, (size_t)pkt->l4_off - pkt->l3_off);
        sum = csum_less16(csum_less16(sum, wi_get16(ip + IPV4_LEN_OFF)), cut->ip_id);
        cut->ip_sum = csum_less16(sum, wi_get16(ip + IPV4_CSUM_OFF));
    }
    uint64_t sum = wi_csum_add(wi_hdr_pseudo_csum(ip), tcp, cut->hdr_len - pkt->l4_off);
    sum = csum_less16(csum_less16(sum, (uint16_t)(cut->seq >> 16)), (uint16_t)cut->seq);
    sum = csum_less16(sum, wi_get16(tcp + TCP_DATA_OFF_OFF));
    cut->l4_sum = csum_less16(sum, wi_get16(tcp + WI_TCP_CSUM_OFF));
}

unsigned weir_pkt_segment_count(const struct weir_pkt *pkt)
{
    uint32_t hdr_len = cut_hdr_len(pkt);
    if (!hdr_len || pkt->len - hdr_len <= pkt->gso_size)
        return 1;
    return (pkt->len - hdr_len + pkt->gso_size - 1) / pkt->gso_size;
}

int weir_cut_begin(struct weir_cut *cut, const struct weir_pkt *pkt)
{
    uint32_t hdr_len = cut_hdr_len(pkt);
    cut->pkt = pkt;
    cut->frag = cut->frag_off = 0;
    cut->is_v4 = false;
    cut->is_begun = false;
    cut->at = cut->hdr_len = hdr_len && pkt->len - hdr_len > pkt->gso_size ? hdr_len : 0;
    if (cut->hdr_len)
        cut_sum_headers(cut);
    else if (pkt->flags & WEIR_PKT_CSUM_PARTIAL) {
        int field = csum_field_off(head_proto(pkt));
        if (field < 0 || pkt->l4_off + (unsigned)field + 2 > pkt->head_len)
            return -WEIR_EINVAL;
    }
    return 0;
}

static inline uint32_t cut_len(const struct weir_cut *cut)
{
    uint32_t left = cut->pkt->len - cut->at;
    if (!cut->hdr_len)
        return left;
    return left ? cut->hdr_len + wi_min_u32(left, cut->pkt->gso_size) : 0;
}

uint32_t weir_cut_len(const struct weir_cut *cut)
{
    return cut_len(cut);
}

/* The next run of at most `max` bytes of the packet, contiguous. */
struct piece {
    const uint8_t *p;
    const struct weir_frag *frag; /* NULL: it lies in the head */
    uint32_t off;                 /* within the fragment's block */
    uint32_t len;
};

static inline struct piece piece_next(struct weir_cut *cut, uint32_t max)
{
    const struct weir_pkt *pkt = cut->pkt;
    if (cut->at < pkt->head_len) {
        struct piece piece = {.p = pkt->room + pkt->head_off + cut->at,
                              .len = wi_min_u32(max, pkt->head_len - cut->at)};
        cut->at += piece.len;
        return piece;
    }
    WI_ASSERT(cut->frag < pkt->frag_n); /* a packet's `len` is the sum of its parts */
    const struct weir_frag *f = &pkt->frags[cut->frag];
    struct piece piece = {.frag = f, .off = f->off + cut->frag_off, .len = wi_min_u32(max, f->len - cut->frag_off)};
    piece.p = f->block->data + piece.off;
    cut->at += piece.len;
    cut->frag_off += piece.len;
    if (cut->frag_off == f->len) {
        cut->frag++;
        cut->frag_off = 0;
    }
    return piece;
}

/* The next frame's headers; `sum`: of its payload, which piece_next has just gone through. */
static inline void put_headers(struct weir_cut *cut, uint8_t *hdr, uint32_t payload_len, uint64_t sum)
{
    const struct weir_pkt *pkt = cut->pkt;
    uint8_t *ip = hdr + pkt->l3_off, *tcp = hdr + pkt->l4_off;
    uint32_t l4_len = cut->hdr_len - pkt->l4_off + payload_len;
    memcpy(hdr, pkt->room + pkt->head_off, cut->hdr_len);
    if (cut->is_v4) {
        uint16_t len = (uint16_t)(pkt->l4_off - pkt->l3_off + l4_len);
        wi_put16(ip + IPV4_LEN_OFF, len);
        wi_put16(ip + IPV4_ID_OFF, cut->ip_id);
        wi_put16(ip + IPV4_CSUM_OFF, wi_csum_finish(cut->ip_sum + len + cut->ip_id));
        cut->ip_id++;
    } else {
        wi_put16(ip + IPV6_LEN_OFF, (uint16_t)(pkt->l4_off - pkt->l3_off + l4_len - WI_IPV6_HDR));
    }
    wi_put32(tcp + TCP_SEQ_OFF, cut->seq);
    if (cut->at < pkt->len)
        tcp[TCP_FLAGS_OFF] &= (uint8_t) ~(WI_TH_FIN | WI_TH_PSH);
    if (cut->is_begun && !(pkt->flags & WEIR_PKT_CWR_ALL))
        tcp[TCP_FLAGS_OFF] &= (uint8_t)~WI_TH_CWR;
    sum += wi_csum_add32(wi_csum_add32(cut->l4_sum, l4_len), cut->seq) + wi_get16(tcp + TCP_DATA_OFF_OFF);
    wi_put16(tcp + WI_TCP_CSUM_OFF, wi_csum_finish(sum));
    cut->seq += payload_len;
    cut->is_begun = true;
}

/* A packet that needs no cut, and the checksum that it owes. */
static uint32_t write_whole(struct weir_cut *cut, uint8_t *buf)
{
    const struct weir_pkt *pkt = cut->pkt;
    bool owes = pkt->flags & WEIR_PKT_CSUM_PARTIAL;
    uint32_t at = owes ? pkt->l4_off : pkt->len;
    weir_pkt_copy(pkt, 0, buf, at);
    if (owes) {
        uint64_t sum = 0;
        for (cut->at = at; cut->at < pkt->len;) {
            uint8_t *to = buf + cut->at;
            struct piece piece = piece_next(cut, pkt->len - cut->at);
            sum = wi_csum_copy_by(wi_pool_csum(pkt->pool), sum, to, piece.p, piece.len);
        }
        int proto = head_proto(pkt);
        wi_put16(buf + at + csum_field_off(proto), csum_of(proto, sum));
    }
    cut->at = pkt->len;
    return pkt->len;
}

uint32_t weir_cut_write(struct weir_cut *cut, void *buf, size_t cap)
{
    uint32_t len = cut_len(cut);
    if (len == 0 || len > cap)
        return 0;
    if (!cut->hdr_len)
        return write_whole(cut, buf);
    const struct wi_csum_form *form = wi_pool_csum(cut->pkt->pool);
    uint8_t *to = (uint8_t *)buf + cut->hdr_len, *end = (uint8_t *)buf + len;
    uint64_t sum = 0;
    while (to < end) {
        struct piece piece = piece_next(cut, (uint32_t)(end - to));
        sum = wi_csum_copy_by(form, sum, to, piece.p, piece.len);
        to += piece.len;
    }
    put_headers(cut, buf, len - cut->hdr_len, sum & ~WI_CSUM_ODD);
    return len;
}

/* One packet that needs no cut: a copy that owes nothing. */
static struct weir_pkt *view_whole(struct weir_cut *cut, struct weir_pool *pool)
{
    struct weir_pkt *copy = weir_pkt_clone(pool, cut->pkt);
    if (!copy)
        return NULL;
    copy->gso_size = 0;
    (void)weir_pkt_checksum(copy); /* weir_cut_begin has checked the headers */
    cut->at = cut->pkt->len;
    return copy;
}

struct weir_pkt *wi_cut_view(struct weir_cut *cut, struct weir_pool *pool)
{
    if (!cut->hdr_len)
        return view_whole(cut, pool);
    const struct weir_pkt *pkt = cut->pkt;
    const struct wi_csum_form *form = wi_pool_csum(pkt->pool);
    uint32_t len = cut_len(cut) - cut->hdr_len;
    struct weir_pkt *out = weir_pkt_new(pool, wi_min_u32(pkt->head_off, WEIR_PKT_HEAD_CAP - pkt->head_len));
    if (!out)
        return NULL;
    uint8_t *hdr = weir_pkt_put(out, cut->hdr_len);
    uint64_t sum = 0;
    for (uint32_t left = len; left > 0;) {
        struct piece piece = piece_next(cut, left);
        uint8_t *room = piece.frag ? NULL : weir_pkt_put(out, piece.len); /* the head's bytes come first */
        sum = wi_csum_add_by(form, sum, piece.p, piece.len);
        if (room)
            memcpy(room, piece.p, piece.len);
        else if (!piece.frag || weir_pkt_append(out, piece.frag->block, piece.off, piece.len) < 0)
            goto fail;
        left -= piece.len;
    }
    put_headers(cut, hdr, len, sum & ~WI_CSUM_ODD);
    out->serial = pkt->serial;
    out->l3_off = pkt->l3_off;
    out->l4_off = pkt->l4_off;
    out->flags = (uint8_t)(pkt->flags & WEIR_PKT_CORRUPT);
    return out;

fail:
    weir_pkt_unref(out);
    return NULL;
}

unsigned weir_pkt_segment(struct weir_pool *pool, const struct weir_pkt *pkt, struct weir_pkt **out, unsigned cap)
{
    struct weir_cut cut;
    unsigned n = weir_pkt_segment_count(pkt);
    if (n > cap || weir_cut_begin(&cut, pkt) < 0)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        out[i] = wi_cut_view(&cut, pool);
        if (out[i])
            continue;
        while (i > 0)
            weir_pkt_unref(out[--i]);
        return 0;
    }
    return n;
}

bool wi_net_csum_is_good(const struct weir_pkt *pkt, const struct wi_ip *ip)
{
    if (pkt->flags & WEIR_PKT_CSUM_OK)
        return true;
    uint64_t sum = wi_ip_pseudo_csum(&ip->src, &ip->dst, ip->proto, ip->l4_len);
    return wi_csum_fold(sum + wi_pkt_csum(pkt, pkt->l4_off, ip->l4_len)) == 0xffff;
}
