/* The Ethernet decoder: what it takes is written back to the same bytes. */
#include "wire/eth.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wi_eth h;
    if (wi_eth_parse(&h, data, n) != WEIR_DROP_NONE)
        return 0;

    uint8_t out[WI_ETH_HDR];
    wi_eth_put(out, &h);
    FUZZ_ASSERT(n >= sizeof out && memcmp(out, data, sizeof out) == 0);
    return 0;
}
