/* Framing: any stream in any pieces gives the same messages or the same error, within the buffer; a message that was
 * read is written as it was read. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <weir/frame.h>

static struct weir_frame_config config(struct fuzz_in *in)
{
    uint8_t how = fuzz_u8(in), max = fuzz_u8(in), delimiter = fuzz_u8(in);
    struct weir_frame_config c = {.framing = (enum weir_framing)(how % 3),
                                  .max_bytes = max,
                                  .delimiter = {delimiter, how & 4 ? delimiter : 1},
                                  .delimiter_len = how & 8 ? 2 : 1,
                                  .escape = how & 16 ? fuzz_u8(in) : WEIR_FRAME_NO_ESCAPE,
                                  .header_bytes = how >> 5,
                                  .is_little_endian = how & 8};
    return c;
}

/* A message, written again and read again, is the same. */
static void check_again(const struct weir_frame_config *cfg, const uint8_t *msg, size_t len)
{
    uint8_t out[1024], buf[1024];
    struct weir_frame_reader r;
    const uint8_t *again;
    size_t again_len, room;
    int64_t n = weir_frame_write(cfg, msg, len, out, sizeof out);
    FUZZ_ASSERT(n > 0 || (n == 0 && len == 0));
    FUZZ_ASSERT(weir_frame_reader_init(&r, cfg, buf, sizeof buf) == 0);
    memcpy(weir_frame_room(&r, &room), out, (size_t)n);
    FUZZ_ASSERT(weir_frame_filled(&r, (size_t)n) == 0);
    FUZZ_ASSERT(weir_frame_next(&r, &again, &again_len) == 1 && again_len == len && memcmp(again, msg, len) == 0);
    FUZZ_ASSERT(weir_frame_end(&r) == 0);
}

/* Read the stream in pieces; a sum over what came out, and how it ended. */
static uint64_t read_all(const struct weir_frame_config *cfg, const uint8_t *p, size_t n, size_t piece, int *end)
{
    size_t cap = weir_frame_buffer_bytes(cfg);
    uint8_t *buf = malloc(cap); /* no larger, so that a sanitizer sees a byte too many */
    struct weir_frame_reader r;
    uint64_t sum = 0;
    FUZZ_ASSERT(buf && weir_frame_reader_init(&r, cfg, buf, cap) == 0);
    for (;;) {
        const uint8_t *msg;
        size_t len, room;
        int got = weir_frame_next(&r, &msg, &len);
        if (got == 1) {
            FUZZ_ASSERT(len <= cfg->max_bytes);
            check_again(cfg, msg, len);
            for (size_t i = 0; i < len; i++)
                sum = sum * 31 + msg[i];
            sum = sum * 31 + len + 1000;
            continue;
        }
        if (got < 0 || n == 0)
            break;
        uint8_t *at = weir_frame_room(&r, &room);
        FUZZ_ASSERT(room > 0);
        size_t take = piece < n ? piece : n;
        take = take < room ? take : room;
        memcpy(at, p, take);
        FUZZ_ASSERT(weir_frame_filled(&r, take) == 0);
        p += take;
        n -= take;
    }
    *end = weir_frame_end(&r);
    free(buf);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fuzz_in in = {data, n};
    struct weir_frame_config cfg = config(&in);
    size_t piece = 1u + fuzz_u8(&in);
    int one, many;
    if (weir_frame_buffer_bytes(&cfg) == 0)
        return 0;
    uint64_t sum = read_all(&cfg, in.p, in.n, 1, &one);
    FUZZ_ASSERT(sum == read_all(&cfg, in.p, in.n, piece, &many) && one == many);
    return 0;
}
