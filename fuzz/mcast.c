/* The IGMP and MLD decoders: a report or a leave that they take, written and read again, is the same. */
#include "wire/mcast.h"
#include "fuzz.h"
#include "wire/icmp.h"

#include <string.h>

static void check(const struct wi_mcast *h, bool is_v6)
{
    const struct wi_ip link = {.is_v6 = true, .ttl = 1, .is_router_alert = true, .src = {{0xfe, 0x80, [15] = 1}}};
    uint8_t out[WI_MCAST_LEN_MAX];
    struct weir_addr dst;
    struct wi_mcast again;

    FUZZ_ASSERT(h->version >= 1 && h->version <= (is_v6 ? 2 : 3));
    if (h->kind != WI_MCAST_REPORT && h->kind != WI_MCAST_LEAVE)
        return;
    size_t len = wi_mcast_put(out, &dst, is_v6, h->version,
                              h->kind == WI_MCAST_LEAVE ? WI_MCAST_TO_INCLUDE : WI_MCAST_TO_EXCLUDE, &h->group);
    FUZZ_ASSERT(len > 0 && len <= WI_MCAST_LEN_MAX && weir_addr_is_multicast(&dst));
    wi_icmp_seal(out, len, false, NULL, NULL);
    FUZZ_ASSERT((is_v6 ? wi_mld_parse(&again, &link, out, len) : wi_igmp_parse(&again, out, len)) == WEIR_DROP_NONE);
    FUZZ_ASSERT(again.kind == h->kind && again.version == h->version && weir_addr_equal(&again.group, &h->group));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    uint8_t how = fuzz_u8(&in);
    struct wi_ip ip = {.is_v6 = true, .ttl = how & 1 ? 1 : how, .is_router_alert = how & 2};
    ip.src.b[0] = 0xfe;
    ip.src.b[1] = how & 4 ? 0 : 0x80;

    struct wi_mcast h;
    if (wi_mld_parse(&h, &ip, in.p, in.n) == WEIR_DROP_NONE)
        check(&h, true);
    if (wi_igmp_parse(&h, in.p, in.n) == WEIR_DROP_NONE)
        check(&h, false);

    /* No fuzzer finds a checksum: set it right, so that what lies behind is reached. */
    uint8_t sealed[512];
    if (in.n < 4 || in.n > sizeof sealed)
        return 0;
    memcpy(sealed, in.p, in.n);
    wi_icmp_seal(sealed, in.n, false, NULL, NULL);
    if (wi_igmp_parse(&h, sealed, in.n) == WEIR_DROP_NONE)
        check(&h, false);
    return 0;
}
