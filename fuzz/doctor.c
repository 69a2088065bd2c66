/* The doctor: any packets, of any link type, cut anywhere, at any times; each connection is told of once, within
 * bounds. */
#include "fuzz.h"

#include "doctor/doctor.h"

#include <stdlib.h>
#include <string.h>

struct told {
    uint64_t conns, others;
};

static void on_result(void *ctx, const struct wdc_result *r)
{
    struct told *told = ctx;
    told->conns += !r->is_network;
    told->others += r->is_network;
    FUZZ_ASSERT(r->finding_n <= WDC_FINDINGS_MAX);
    FUZZ_ASSERT(r->is_network || (r->first <= r->last && r->packets > 0));
    for (uint32_t i = 0; i < r->finding_n; i++) {
        const struct wdc_finding *f = &r->findings[i];
        FUZZ_ASSERT(f->id < WDC_VERDICTS_N && f->sure <= WDC_CERTAIN && f->whose <= WDC_PATH);
        FUZZ_ASSERT(f->frame_n <= WDC_FRAMES_MAX && f->what[0] && strlen(f->what) < sizeof f->what);
        FUZZ_ASSERT(i == 0 || wdc_verdict_weight(r->findings[i - 1].id) >= wdc_verdict_weight(f->id));
    }
    for (unsigned side = 0; side < 2; side++) {
        unsigned sum = 0;
        for (unsigned i = 0; i < WDC_LIMITS_N; i++)
            sum += r->shares[side][i];
        FUZZ_ASSERT(sum == (r->has_shares[side] ? 100 : 0));
    }
}

/* A TCP packet between few ends, with numbers near each other, so that there is something to say. */
static size_t make_tcp(struct fuzz_in *in, uint8_t *b)
{
    uint8_t how = fuzz_u8(in), flags = fuzz_u8(in), near = fuzz_u8(in);
    uint16_t seq = fuzz_u16(in), ack = fuzz_u16(in), len = fuzz_u16(in), win = fuzz_u16(in);
    size_t options = (size_t)(how >> 5) * 4, total = 40 + options + len;
    bool is_up = how & 1;
    if (total > UINT16_MAX) {
        len = 1000;
        total = 1040 + options;
    }
    memset(b, 0, 40 + 28);
    b[0] = 0x45;
    b[2] = (uint8_t)(total >> 8), b[3] = (uint8_t)total;
    b[5] = near;
    b[8] = 64, b[9] = 6;
    b[12] = b[16] = 10;
    b[15] = is_up ? 1 : 2, b[19] = is_up ? 2 : 1;
    b[20] = is_up ? 0x9c : 0, b[21] = is_up ? (uint8_t)(how >> 1 & 1) : 80;
    b[22] = is_up ? 0 : 0x9c, b[23] = is_up ? 80 : (uint8_t)(how >> 1 & 1);
    b[24] = how & 4 ? 0xff : 0, b[25] = b[24];
    b[26] = (uint8_t)(seq >> 8), b[27] = (uint8_t)seq;
    b[28] = how & 8 ? 0xff : 0, b[29] = b[28];
    b[30] = (uint8_t)(ack >> 8), b[31] = (uint8_t)ack;
    b[32] = (uint8_t)((20 + options) / 4 << 4);
    b[33] = flags;
    b[34] = (uint8_t)(win >> 8), b[35] = (uint8_t)win;
    for (size_t i = 0; i < options; i++)
        b[40 + i] = fuzz_u8(in);
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint32_t types[] = {0, 1, 12, 101, 108, 113, 228, 229, 276, 101, 101, 101, 101, 101, 101, 101};
    struct fuzz_in in = {data, n};
    struct told told = {0};
    uint8_t made[256];
    uint64_t number = 0;
    struct wdc *doc =
        wdc_new(&(struct wdc_config){.conns_max = 1 + fuzz_u8(&in) % 8u, .on_result = on_result, .ctx = &told});
    weir_ns at = WEIR_SEC(fuzz_u8(&in));
    FUZZ_ASSERT(doc);
    while (in.n) {
        uint8_t how = fuzz_u8(&in);
        const uint8_t *b = made;
        size_t captured, len;
        at += (weir_ns)1 << (how >> 4 | (how & 1 ? 16 : 0));
        if (how & 8) {
            len = make_tcp(&in, made);
            captured = len < sizeof made ? len : sizeof made;
            how = 3;
        } else {
            size_t want = fuzz_u8(&in);
            b = fuzz_bytes(&in, want, &captured);
            len = captured + (how & 2 ? 1000 : 0);
        }
        uint8_t *copy = malloc(captured ? captured : 1); /* no larger, so that a sanitizer sees a byte too many */
        FUZZ_ASSERT(copy);
        memcpy(copy, b, captured);
        wdc_packet(doc, &(struct wdc_frame){.at = at,
                                            .number = ++number,
                                            .linktype = types[how & 15],
                                            .interface = how == 15,
                                            .bytes = copy,
                                            .captured = (uint32_t)captured,
                                            .len = (uint32_t)len});
        free(copy);
    }
    wdc_finish(doc);
    FUZZ_ASSERT(told.conns == wdc_counts(doc)->conns && wdc_counts(doc)->packets == number);
    wdc_free(doc);
    return 0;
}
