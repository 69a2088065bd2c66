/* The neighbour discovery decoder: what it takes, written and read again, is written the same. */
#include "wire/nd.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    uint8_t how = fuzz_u8(&in);
    struct wi_ip ip = {.is_v6 = true, .ttl = how & 1 ? WI_ND_HOP_LIMIT : how, .has_frag_hdr = (how & 6) == 6};
    ip.src.b[0] = how & 8 ? 0 : 0xfe;
    ip.src.b[1] = how & 8 ? 0 : 0x80;
    ip.dst.b[0] = how & 16 ? 0xff : 0xfe;
    ip.dst.b[1] = how & 16 ? 0x02 : 0x80;

    struct wi_nd h;
    if (wi_nd_parse(&h, &ip, in.p, in.n) != WEIR_DROP_NONE)
        return 0;
    FUZZ_ASSERT(h.prefix_n <= WI_ND_PREFIX_MAX);

    uint8_t once[WI_ND_LEN_MAX], twice[WI_ND_LEN_MAX];
    size_t len = wi_nd_put(once, &h);
    FUZZ_ASSERT(len <= sizeof once);
    FUZZ_ASSERT(wi_nd_parse(&h, &ip, once, len) == WEIR_DROP_NONE);
    FUZZ_ASSERT(wi_nd_put(twice, &h) == len && memcmp(once, twice, len) == 0);
    return 0;
}
