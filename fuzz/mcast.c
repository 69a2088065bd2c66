/* The IGMP and MLD decoders. */
#include "wire/mcast.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    uint8_t how = fuzz_u8(&in);
    struct wi_ip ip = {.is_v6 = true, .ttl = how & 1 ? 1 : how, .is_router_alert = how & 2};
    ip.src.b[0] = 0xfe;
    ip.src.b[1] = how & 4 ? 0 : 0x80;

    struct wi_mcast h;
    if (wi_igmp_parse(&h, in.p, in.n) == WEIR_DROP_NONE)
        FUZZ_ASSERT(h.version >= 1 && h.version <= 3);
    if (wi_mld_parse(&h, &ip, in.p, in.n) == WEIR_DROP_NONE && h.kind == WI_MCAST_QUERY)
        FUZZ_ASSERT(h.version == 1 || h.version == 2);
    return 0;
}
