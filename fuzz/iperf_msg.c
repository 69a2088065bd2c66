/*
 * What comes over iperf3's control connection: parameters and results that are read are within their bounds and come
 * back the same when they are written and read again; what is refused says why, and a length is not believed.
 */
#include "perf/iperf_msg.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static void parse_params(const char *json, size_t len)
{
    struct wpf_iperf_params p, again;
    char err[128] = "";
    memset(&p, 0, sizeof p);
    memset(&again, 0, sizeof again);
    if (wpf_iperf_params_parse(&p, json, len, err, sizeof err) < 0) {
        FUZZ_ASSERT(err[0] != '\0' && memcmp(&p, &again, sizeof p) == 0);
        return;
    }
    FUZZ_ASSERT(p.stream_n >= 1 && p.stream_n <= WPF_IPERF_STREAMS_MAX);
    FUZZ_ASSERT(p.block_len >= 1 && p.block_len <= WPF_IPERF_BLOCK_MAX);
    p.is_udp = p.is_sctp = false; /* we don't write them */
    char *text = wpf_iperf_params_format(&p);
    FUZZ_ASSERT(text && wpf_iperf_params_parse(&again, text, strlen(text), err, sizeof err) == 0);
    FUZZ_ASSERT(again.bytes == p.bytes && again.blocks == p.blocks && again.rate_bps == p.rate_bps &&
                again.block_len == p.block_len && again.stream_n == p.stream_n && strcmp(again.cc, p.cc) == 0);
    free(text);
}

static void parse_results(const char *json, size_t len)
{
    static struct wpf_iperf_results r, again;
    char err[128] = "";
    if (wpf_iperf_results_parse(&r, json, len, err, sizeof err) < 0) {
        FUZZ_ASSERT(err[0] != '\0');
        return;
    }
    FUZZ_ASSERT(r.stream_n <= WPF_IPERF_STREAMS_MAX);
    char *text = wpf_iperf_results_format(&r);
    FUZZ_ASSERT(text && wpf_iperf_results_parse(&again, text, strlen(text), err, sizeof err) == 0);
    FUZZ_ASSERT(again.stream_n == r.stream_n);
    for (unsigned i = 0; i < r.stream_n; i++)
        FUZZ_ASSERT(again.streams[i].bytes == r.streams[i].bytes &&
                    again.streams[i].retransmits == r.streams[i].retransmits);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    bool is_results = fuzz_u8(&in) & 1;
    size_t max = is_results ? WPF_IPERF_RESULTS_MAX : WPF_IPERF_PARAMS_MAX;
    int64_t frame = wpf_iperf_frame(in.p, in.n, max);
    FUZZ_ASSERT(frame <= (int64_t)in.n);
    /* With its length, and as if it had the right one: else hardly any input would come that far. */
    const char *json = (const char *)in.p + (frame > 0 ? 4 : 0);
    size_t len = frame > 0 ? (size_t)frame - 4 : in.n;
    if (is_results)
        parse_results(json, len);
    else
        parse_params(json, len);
    return 0;
}
