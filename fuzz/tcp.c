/* The TCP decoder: header inside the contiguous part, and what it takes, written and read again, is written the same.
 */
#include "wire/tcp.h"
#include "fuzz.h"

#include <string.h>

/* What was written says all that was read. */
static void check_same(const struct wi_wire_tcp *a, const struct wi_wire_tcp *b)
{
    FUZZ_ASSERT(a->src_port == b->src_port && a->dst_port == b->dst_port && a->flags == b->flags);
    FUZZ_ASSERT(a->seq.v == b->seq.v && a->ack.v == b->ack.v && a->wnd == b->wnd && a->urg == b->urg);
    FUZZ_ASSERT(a->mss == b->mss && a->sack_ok == b->sack_ok);
    FUZZ_ASSERT(a->has_wscale == b->has_wscale && a->wscale == b->wscale);
    FUZZ_ASSERT(a->has_ts == b->has_ts && a->tsval == b->tsval && a->tsecr == b->tsecr);
    FUZZ_ASSERT(a->sack_n == b->sack_n && memcmp(a->sacks, b->sacks, sizeof a->sacks) == 0);
    FUZZ_ASSERT(a->has_fo == b->has_fo && a->fo_exp == b->fo_exp && a->fo_len == b->fo_len);
    FUZZ_ASSERT(memcmp(a->fo_cookie, b->fo_cookie, sizeof a->fo_cookie) == 0);
    FUZZ_ASSERT(a->accecn_kind == b->accecn_kind && a->accecn_n == b->accecn_n);
    FUZZ_ASSERT(memcmp(a->accecn, b->accecn, sizeof a->accecn) == 0);
}

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
    struct wi_wire_tcp again;
    FUZZ_ASSERT(wi_wire_tcp_parse(&again, once, len, len) == WEIR_DROP_NONE);
    check_same(&h, &again);
    FUZZ_ASSERT(wi_wire_tcp_put(twice, sizeof twice, &again) == len && memcmp(once, twice, len) == 0);
    return 0;
}
