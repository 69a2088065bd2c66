/*
 * Captures in pcapng form, weir's own among them (draft-ietf-opsawg-pcapng-02).
 */
#include "trace/frames.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX      (16u << 20)
#define INTERFACES_MAX 256u
#define COMMENT_CAP    512

enum { BLOCK_SHB = 0x0A0D0D0A, BLOCK_IDB = 1, BLOCK_SPB = 3, BLOCK_EPB = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, IF_TSRESOL = 9, IF_TSOFFSET = 14 };

struct interface {
    uint32_t linktype;
    uint8_t tsresol;
    uint64_t offset_s;
};

struct reader {
    FILE *in;
    wtr_frame_fn *fn;
    void *ctx;
    struct wtr_frames *read;
    bool is_swapped;
    struct interface interfaces[INTERFACES_MAX];
    uint32_t interface_n;
    uint8_t *block;
    size_t cap;
};

static uint32_t get32(const struct reader *rd, const uint8_t *b)
{
    uint32_t v;
    memcpy(&v, b, sizeof v);
    return rd->is_swapped ? __builtin_bswap32(v) : v;
}

static uint16_t get16(const struct reader *rd, const uint8_t *b)
{
    uint16_t v;
    memcpy(&v, b, sizeof v);
    return rd->is_swapped ? __builtin_bswap16(v) : v;
}

static int bad(struct reader *rd, const char *what)
{
    snprintf(rd->read->err, sizeof rd->read->err, "%s (after packet %" PRIu64 ")", what, rd->read->taken);
    return -1;
}

/* Find an option; NULL: there is none. */
static const uint8_t *option(const struct reader *rd, const uint8_t *at, size_t len, uint16_t code, uint16_t *out_len)
{
    while (len >= 4) {
        uint16_t c = get16(rd, at), n = get16(rd, at + 2);
        size_t padded = ((size_t)n + 3) & ~(size_t)3;
        if (c == OPT_END || padded > len - 4)
            return NULL;
        if (c == code) {
            *out_len = n;
            return at + 4;
        }
        at += 4 + padded;
        len -= 4 + padded;
    }
    return NULL;
}

static weir_ns stamp_ns(const struct interface *i, uint64_t units)
{
    unsigned power = i->tsresol & 0x7f;
    if (i->tsresol & 0x80)
        return power < 64 ? (weir_ns)((double)units / (double)(UINT64_C(1) << power) * 1e9) : 0;
    for (; power < 9; power++)
        units *= 10;
    for (; power > 9; power--)
        units /= 10;
    return units;
}

static int take_interface(struct reader *rd, const uint8_t *b, size_t len)
{
    uint16_t n;
    const uint8_t *o;
    if (len < 8 || rd->interface_n == INTERFACES_MAX)
        return bad(rd, "an interface block is damaged, or there are too many");
    struct interface *i = &rd->interfaces[rd->interface_n++];
    *i = (struct interface){.linktype = get16(rd, b), .tsresol = 6};
    if ((o = option(rd, b + 8, len - 8, IF_TSRESOL, &n)) && n == 1)
        i->tsresol = o[0];
    if ((o = option(rd, b + 8, len - 8, IF_TSOFFSET, &n)) && n == 8)
        i->offset_s = rd->is_swapped ? (uint64_t)get32(rd, o) << 32 | get32(rd, o + 4)
                                     : (uint64_t)get32(rd, o + 4) << 32 | get32(rd, o);
    return 0;
}

static int take_packet(struct reader *rd, const uint8_t *b, size_t len)
{
    char comment[COMMENT_CAP] = "";
    uint16_t n;
    if (len < 20)
        return bad(rd, "a packet block is too short");
    uint32_t interface = get32(rd, b), captured = get32(rd, b + 12);
    size_t padded = ((size_t)captured + 3) & ~(size_t)3;
    rd->read->taken++;
    if (interface >= rd->interface_n || padded > len - 20)
        return bad(rd, "a packet block is damaged");
    const uint8_t *o = option(rd, b + 20 + padded, len - 20 - padded, OPT_COMMENT, &n);
    if (o)
        snprintf(comment, sizeof comment, "%.*s", (int)n, (const char *)o);
    const struct interface *i = &rd->interfaces[interface];
    uint64_t units = (uint64_t)get32(rd, b + 4) << 32 | get32(rd, b + 8);
    struct wtr_frame f = {.at = stamp_ns(i, units) + WEIR_SEC(i->offset_s),
                          .number = rd->read->taken,
                          .linktype = i->linktype,
                          .interface = interface,
                          .bytes = b + 20,
                          .captured = captured,
                          .len = get32(rd, b + 16),
                          .comment = comment};
    rd->fn(rd->ctx, &f);
    return 0;
}

static int take_block(struct reader *rd, uint32_t type, const uint8_t *b, size_t len)
{
    switch (type) {
    case BLOCK_SHB: rd->interface_n = 0; return 0;
    case BLOCK_IDB: return take_interface(rd, b, len);
    case BLOCK_EPB: return take_packet(rd, b, len);
    case BLOCK_SPB: rd->read->taken++, rd->read->without_time++; return 0;
    default: return 0;
    }
}

/* The next block's body into rd->block. 1: it is there; 0: the file has ended; -1: it is damaged. */
static int next_block(struct reader *rd, uint32_t *type, size_t *len)
{
    uint8_t head[12];
    size_t got = fread(head, 1, 8, rd->in);
    if (got < 8) {
        rd->read->is_cut = got > 0;
        return 0;
    }
    size_t more = 0;
    if (memcmp(head, "\n\r\r\n", 4) == 0) { /* a section says its byte order before its length can be read */
        static const uint8_t little[] = {0x4d, 0x3c, 0x2b, 0x1a}, big[] = {0x1a, 0x2b, 0x3c, 0x4d};
        more = fread(head + 8, 1, 4, rd->in);
        const uint32_t one = 1;
        bool is_little_here = *(const uint8_t *)&one == 1;
        if (more < 4 || (memcmp(head + 8, little, 4) != 0 && memcmp(head + 8, big, 4) != 0))
            return bad(rd, "a section header has no byte order");
        rd->is_swapped = (memcmp(head + 8, little, 4) == 0) != is_little_here;
    }
    *type = get32(rd, head);
    uint32_t total = get32(rd, head + 4);
    if (total < 12 + more || total % 4 != 0 || total > BLOCK_MAX)
        return bad(rd, "a block's length makes no sense");
    size_t rest = total - 8 - more;
    if (rest > rd->cap) {
        uint8_t *bigger = realloc(rd->block, rest);
        if (!bigger)
            return bad(rd, "out of memory");
        rd->block = bigger;
        rd->cap = rest;
    }
    if (fread(rd->block, 1, rest, rd->in) < rest) {
        rd->read->is_cut = true;
        return 0;
    }
    *len = rest - 4;
    return 1;
}

int wtr_frames_pcapng(FILE *in, wtr_frame_fn *fn, void *ctx, struct wtr_frames *read)
{
    struct reader *rd = calloc(1, sizeof *rd);
    uint32_t type;
    size_t len;
    int got = -1;

    if (rd) {
        rd->in = in;
        rd->fn = fn;
        rd->ctx = ctx;
        rd->read = read;
        while ((got = next_block(rd, &type, &len)) == 1)
            if ((got = take_block(rd, type, rd->block, len)) < 0)
                break;
        free(rd->block);
    } else {
        snprintf(read->err, sizeof read->err, "out of memory");
    }
    free(rd);
    return got;
}
