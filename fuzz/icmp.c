/* The ICMP and ICMPv6 decoders, and the packet that an error quotes. */
#include "wire/icmp.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    bool is_v6 = fuzz_u8(&in) & 1;
    size_t len = in.n + fuzz_u8(&in);

    struct wi_icmp h;
    if (wi_icmp_parse(&h, in.p, in.n, len, is_v6) != WEIR_DROP_NONE)
        return 0;
    FUZZ_ASSERT(len >= WI_ICMP_HDR && h.is_v6 == is_v6);
    if (wi_icmp_is_error(h.kind))
        FUZZ_ASSERT(h.inner.ip.l4_len == 0 || (size_t)h.inner.l4_off + h.inner.ip.l4_len <= in.n);
    if (h.kind == WI_ICMP_ND || h.kind == WI_ICMP_MLD)
        return 0;

    /* The header written anew, before the same quote. */
    uint8_t out[WI_ICMP_HDR + WI_ICMP_ERROR_MAX_V6];
    struct wi_icmp again;
    size_t out_len = in.n < sizeof out ? in.n : sizeof out;
    memcpy(out, in.p, out_len);
    wi_icmp_put(out, &h);
    FUZZ_ASSERT(wi_icmp_parse(&again, out, out_len, len, is_v6) == WEIR_DROP_NONE);
    FUZZ_ASSERT(again.kind == h.kind && again.type == h.type && again.id == h.id && again.echo_seq == h.echo_seq);
    FUZZ_ASSERT(again.mtu == h.mtu && again.pointer == h.pointer);
    FUZZ_ASSERT(again.code == h.code || h.kind == WI_ICMP_TOO_BIG);
    return 0;
}
