/* The TCP decoder: header inside the contiguous part, and what it takes, written and read again, is written the same.
 */
#include "wire/tcp.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    size_t seg_len = in.n + fuzz_u16(&in);

    struct wi_wire_tcp h;
    if (wi_wire_tcp_parse(&h, in.p, in.n, seg_len) != WEIR_DROP_NONE)
        return 0;
    FUZZ_ASSERT(h.hdr_len >= WI_TCP_HDR_MIN && h.hdr_len <= in.n);
    FUZZ_ASSERT((size_t)h.data_off + h.data_len == seg_len);
    FUZZ_ASSERT(h.sack_n <= WI_TCP_SACK_MAX && h.accecn_n <= 3 && h.fo_len <= WI_TCP_FO_COOKIE_MAX);
    FUZZ_ASSERT(h.wscale <= WI_TCP_WSCALE_MAX);

    uint8_t once[WI_TCP_HDR_MAX], twice[WI_TCP_HDR_MAX];
    size_t len = wi_wire_tcp_put(once, sizeof once, &h);
    if (len == 0) { /* weir pads the options otherwise, so that they may not fit */
        FUZZ_ASSERT(wi_wire_tcp_hdr_len(&h) > WI_TCP_HDR_MAX);
        return 0;
    }
    FUZZ_ASSERT(len == wi_wire_tcp_hdr_len(&h));
    FUZZ_ASSERT(wi_wire_tcp_parse(&h, once, len, len) == WEIR_DROP_NONE);
    FUZZ_ASSERT(wi_wire_tcp_put(twice, sizeof twice, &h) == len && memcmp(once, twice, len) == 0);
    return 0;
}
