/* The UDP decoder: what it takes lies inside the datagram, and is written back to the same bytes. */
#include "wire/udp.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    bool is_v6 = fuzz_u8(&in) & 1;
    size_t l4_len = in.n + fuzz_u8(&in); /* a packet may be longer than its contiguous part */

    struct wi_wire_udp h;
    if (wi_wire_udp_parse(&h, in.p, in.n, l4_len, is_v6) != WEIR_DROP_NONE)
        return 0;
    FUZZ_ASSERT(in.n >= WI_UDP_HDR && WI_UDP_HDR + (size_t)h.data_len <= l4_len);

    uint8_t out[WI_UDP_HDR];
    wi_wire_udp_put(out, &h);
    for (size_t i = 0; i < sizeof out; i++)
        FUZZ_ASSERT(out[i] == in.p[i]);
    return 0;
}
