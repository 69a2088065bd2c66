/*
 * The IPv4 and IPv6 decoders: headers stay inside the contiguous part and the payload inside the packet, also after the
 * walk through the extension headers of what was reassembled, and in the lenient reading of an ICMP quote.
 */
#include "wire/ip.h"
#include "fuzz.h"

#include <string.h>

static void check(const struct wi_ip *h, size_t lin_len, size_t len)
{
    FUZZ_ASSERT(h->l4_off <= lin_len);
    FUZZ_ASSERT((size_t)h->l4_off + h->l4_len <= len);
    FUZZ_ASSERT(h->total_len <= len);
    FUZZ_ASSERT(h->frag_off % 8 == 0);
    FUZZ_ASSERT(h->is_frag == (h->mf || h->frag_off != 0));
    FUZZ_ASSERT(h->is_v6 != weir_addr_is_v4(&h->src) && h->is_v6 != weir_addr_is_v4(&h->dst));
    FUZZ_ASSERT(!h->owed.is_owed);
}

/* Written without the headers and options that a host has no use for, and read again, it is the same packet. */
static void check_round_trip(const struct wi_ip *h, const uint8_t *l4, size_t l4_lin)
{
    static uint8_t p[WI_IP_TOTAL_MAX + WI_IPV6_HDR + WI_IP_ALERT_LEN_6 + WI_IPV6_FRAG_HDR];
    struct wi_ip again;
    struct wi_ip_out o = {.src = h->src,
                          .dst = h->dst,
                          .is_v6 = h->is_v6,
                          .df = h->df,
                          .mf = h->mf,
                          .router_alert = h->is_router_alert,
                          .proto = h->proto,
                          .ttl = h->ttl,
                          .tos = h->tos,
                          .flow_label = h->flow_label,
                          .frag_id = h->frag_id,
                          .frag_off = h->frag_off,
                          .l4_len = h->l4_len};
    size_t hdr_len = wi_ip_put(p, &o);

    FUZZ_ASSERT(hdr_len == wi_ip_out_len(&o));
    memcpy(p + hdr_len, l4, l4_lin);
    FUZZ_ASSERT(wi_ip_parse(&again, p, hdr_len + l4_lin, hdr_len + h->l4_len, true) == WEIR_DROP_NONE);
    FUZZ_ASSERT(weir_addr_equal(&again.src, &h->src) && weir_addr_equal(&again.dst, &h->dst));
    FUZZ_ASSERT(again.is_v6 == h->is_v6 && again.df == h->df && again.mf == h->mf && again.is_frag == h->is_frag);
    FUZZ_ASSERT(again.proto == h->proto && again.ttl == h->ttl && again.tos == h->tos && again.ecn == h->ecn);
    FUZZ_ASSERT(again.flow_label == h->flow_label && again.frag_off == h->frag_off && again.l4_len == h->l4_len);
    FUZZ_ASSERT(again.frag_id == h->frag_id || (h->is_v6 && !h->is_frag));
    FUZZ_ASSERT(again.is_router_alert == o.router_alert);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    bool check_csum = fuzz_u8(&in) & 1;
    size_t more = fuzz_u16(&in);
    size_t len = in.n + more;

    struct wi_ip h;
    if (wi_ip_parse(&h, in.p, in.n, len, check_csum) == WEIR_DROP_NONE) {
        check(&h, in.n, len);
        check_round_trip(&h, in.p + h.l4_off, smaller(in.n - h.l4_off, h.l4_len));
    } else if (h.owed.is_owed) {
        FUZZ_ASSERT(h.is_v6 && h.owed.pointer < in.n);
    } else {
        FUZZ_ASSERT(h.total_len == 0);
    }

    struct wi_ip quoted;
    if (wi_ip_skim(&quoted, in.p, in.n))
        FUZZ_ASSERT(quoted.l4_len == 0 || (size_t)quoted.l4_off + quoted.l4_len <= in.n);
    return 0;
}
