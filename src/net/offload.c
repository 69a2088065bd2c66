/*
 * What a driver without offloads needs done at the edge: finishing a transport checksum, cutting a super-segment. As
 * hardware does it: RFC 9293 3.1 for the header, IPv4 identification counted up.
 */
#include "base/checksum.h"
#include "base/str.h"
#include "net/net_internal.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define IPV4_PROTO_OFF   9
#define IPV4_CSUM_OFF    10
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

int weir_pkt_checksum(struct weir_pkt *pkt)
{
    if (!(pkt->flags & WEIR_PKT_CSUM_PARTIAL))
        return 0;
    int proto = head_proto(pkt), field = csum_field_off(proto);
    if (field < 0 || pkt->l4_off + (unsigned)field + 2 > pkt->head_len)
        return -WEIR_EINVAL;
    uint16_t csum = wi_csum_finish(wi_pkt_csum(pkt, pkt->l4_off, pkt->len - pkt->l4_off));
    if (proto == WI_IP_UDP && csum == 0)
        csum = 0xffff; /* RFC 768: 0 says that there is none */
    wi_put16(wi_pkt_head(pkt) + pkt->l4_off + field, csum);
    pkt->flags &= (uint8_t)~WEIR_PKT_CSUM_PARTIAL;
    return 0;
}

bool wi_cut_begin(struct wi_cut *cut, const struct weir_pkt *pkt)
{
    if (!pkt->gso_size || head_proto(pkt) != WI_IP_TCP || pkt->l4_off + WI_TCP_HDR_MIN > pkt->head_len)
        return false;
    const uint8_t *head = pkt->room + pkt->head_off;
    uint32_t hdr_len = pkt->l4_off + (uint32_t)(head[pkt->l4_off + TCP_DATA_OFF_OFF] >> 4) * 4;
    if (hdr_len < (uint32_t)pkt->l4_off + WI_TCP_HDR_MIN || hdr_len > pkt->head_len)
        return false;
    cut->pkt = pkt;
    cut->hdr_len = hdr_len;
    memcpy(cut->hdr, head, hdr_len);
    return true;
}

/* Append views of src's bytes [off, off + len), those in its head copied: they come first, so the new head has no
 * fragment yet. */
static int view_bytes(struct weir_pkt *to, const struct weir_pkt *src, uint32_t off, uint32_t len)
{
    if (off < src->head_len) {
        uint32_t n = wi_min_u32(len, src->head_len - off);
        uint8_t *room = weir_pkt_put(to, n);
        if (!room)
            return -WEIR_ENOBUFS;
        memcpy(room, src->room + src->head_off + off, n);
        len -= n;
        off = src->head_len;
    }
    off -= src->head_len;
    for (unsigned i = 0; i < src->frag_n && len; i++) {
        const struct weir_frag *f = &src->frags[i];
        if (off >= f->len) {
            off -= f->len;
            continue;
        }
        uint32_t n = wi_min_u32(len, f->len - off);
        if (weir_pkt_append(to, f->block, f->off + off, n) < 0)
            return -WEIR_ENOBUFS;
        len -= n;
        off = 0;
    }
    return 0;
}

/* The i-th packet's headers, but for the TCP checksum. */
static void cut_fix_headers(const struct wi_cut *cut, uint8_t *hdr, unsigned i, uint32_t payload_len, bool is_last)
{
    const struct weir_pkt *pkt = cut->pkt;
    uint8_t *ip = hdr + pkt->l3_off, *tcp = hdr + pkt->l4_off;
    uint32_t total_len = cut->hdr_len - pkt->l3_off + payload_len;
    if (ip[0] >> 4 == 4) {
        wi_put16(ip + 2, (uint16_t)total_len);
        wi_put16(ip + 4, (uint16_t)(wi_get16(ip + 4) + i));
        wi_put16(ip + IPV4_CSUM_OFF, 0);
        wi_put16(ip + IPV4_CSUM_OFF, wi_csum_finish(wi_csum_add(0, ip, pkt->l4_off - pkt->l3_off)));
    } else {
        wi_put16(ip + 4, (uint16_t)(total_len - WI_IPV6_HDR));
    }
    wi_put32(tcp + TCP_SEQ_OFF, wi_get32(tcp + TCP_SEQ_OFF) + i * pkt->gso_size);
    if (!is_last)
        tcp[TCP_FLAGS_OFF] &= (uint8_t) ~(WI_TH_FIN | WI_TH_PSH);
    if (i > 0 && !(pkt->flags & WEIR_PKT_CWR_ALL))
        tcp[TCP_FLAGS_OFF] &= (uint8_t)~WI_TH_CWR;
}

/* The sum of addresses, protocol and length, from a header as it stands. */
static uint64_t header_pseudo_csum(const uint8_t *ip, uint32_t l4_len)
{
    if (ip[0] >> 4 == 4)
        return wi_csum_add32(wi_csum_add16(wi_csum_add(0, ip + 12, 8), ip[IPV4_PROTO_OFF]), l4_len);
    return wi_csum_add32(wi_csum_add16(wi_csum_add(0, ip + 8, 32), ip[IPV6_NEXT_OFF]), l4_len);
}

struct weir_pkt *wi_cut_make(const struct wi_cut *cut, struct weir_pool *pool, unsigned i)
{
    const struct weir_pkt *pkt = cut->pkt;
    uint32_t payload_len = pkt->len - cut->hdr_len, off = i * (uint32_t)pkt->gso_size;
    uint32_t len = wi_min_u32(pkt->gso_size, payload_len - off);
    struct weir_pkt *out = weir_pkt_new(pool, wi_min_u32(pkt->head_off, WEIR_PKT_HEAD_CAP - pkt->head_len));
    if (!out)
        return NULL;
    uint8_t *hdr = weir_pkt_put(out, cut->hdr_len);
    memcpy(hdr, cut->hdr, cut->hdr_len);
    cut_fix_headers(cut, hdr, i, len, off + len == payload_len);
    if (view_bytes(out, pkt, cut->hdr_len + off, len) < 0) {
        weir_pkt_unref(out);
        return NULL;
    }
    out->serial = pkt->serial;
    out->l3_off = pkt->l3_off;
    out->l4_off = pkt->l4_off;
    uint32_t l4_len = out->len - out->l4_off;
    wi_put16(hdr + pkt->l4_off + WI_TCP_CSUM_OFF, wi_csum_fold(header_pseudo_csum(hdr + pkt->l3_off, l4_len)));
    out->flags = (uint8_t)((pkt->flags & WEIR_PKT_CORRUPT) | WEIR_PKT_CSUM_PARTIAL);
    (void)weir_pkt_checksum(out); /* wi_cut_begin has checked the headers */
    return out;
}

unsigned weir_pkt_segment_count(const struct weir_pkt *pkt)
{
    struct wi_cut cut;
    if (!wi_cut_begin(&cut, pkt) || pkt->len - cut.hdr_len <= pkt->gso_size)
        return 1;
    return (pkt->len - cut.hdr_len + pkt->gso_size - 1) / pkt->gso_size;
}

/* One packet that needs no cut: a copy that owes nothing. */
static unsigned segment_whole(struct weir_pool *pool, const struct weir_pkt *pkt, struct weir_pkt **out)
{
    struct weir_pkt *copy = weir_pkt_clone(pool, pkt);
    if (!copy)
        return 0;
    copy->gso_size = 0;
    if (weir_pkt_checksum(copy) < 0) {
        weir_pkt_unref(copy);
        return 0;
    }
    out[0] = copy;
    return 1;
}

unsigned weir_pkt_segment(struct weir_pool *pool, const struct weir_pkt *pkt, struct weir_pkt **out, unsigned cap)
{
    struct wi_cut cut;
    unsigned n = weir_pkt_segment_count(pkt);
    if (n > cap)
        return 0;
    if (n == 1)
        return segment_whole(pool, pkt, out);
    if (!wi_cut_begin(&cut, pkt))
        return 0;
    for (unsigned i = 0; i < n; i++) {
        out[i] = wi_cut_make(&cut, pool, i);
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
