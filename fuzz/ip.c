/*
 * The IPv4 and IPv6 decoders: headers stay inside the contiguous part and the payload inside the packet, also after the
 * walk through the extension headers of what was reassembled, and in the lenient reading of an ICMP quote.
 */
#include "wire/ip.h"
#include "fuzz.h"

static void check(const struct wi_ip *h, size_t lin_len, size_t len)
{
    FUZZ_ASSERT(h->l4_off <= lin_len);
    FUZZ_ASSERT((size_t)h->l4_off + h->l4_len <= len);
    FUZZ_ASSERT(h->total_len <= len);
    FUZZ_ASSERT(h->frag_off % 8 == 0);
    FUZZ_ASSERT(h->is_frag == (h->mf || h->frag_off != 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    bool check_csum = fuzz_u8(&in) & 1;
    size_t more = fuzz_u16(&in);
    size_t len = in.n + more;

    struct wi_ip h;
    if (wi_ip_parse(&h, in.p, in.n, len, check_csum) == WEIR_DROP_NONE)
        check(&h, in.n, len);

    struct wi_ip quoted;
    if (wi_ip_skim(&quoted, in.p, in.n))
        FUZZ_ASSERT(quoted.l4_len == 0 || (size_t)quoted.l4_off + quoted.l4_len <= in.n);

    struct wi_ip whole = {.is_v6 = true, .hdr_len = WI_IPV6_HDR, .proto = (uint8_t)more, .l4_len = (uint32_t)len};
    if (wi_ipv6_walk(&whole, in.p, in.n) == WEIR_DROP_NONE)
        FUZZ_ASSERT(whole.l4_off <= in.n && (size_t)whole.l4_off + whole.l4_len <= len);
    return 0;
}
