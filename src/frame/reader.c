/*
 * From a stream's bytes to messages (weir/frame.h).
 */
#include <string.h>
#include <weir/frame.h>

int weir_frame_reader_init(struct weir_frame_reader *r, const struct weir_frame_config *cfg, void *buf, size_t cap)
{
    size_t need = weir_frame_buffer_bytes(cfg);
    if (need == 0 || cap < need || !buf)
        return -WEIR_EINVAL;
    *r = (struct weir_frame_reader){.cfg = *cfg, .buf = buf, .cap = cap};
    return 0;
}

void *weir_frame_room(struct weir_frame_reader *r, size_t *len)
{
    /* A message's part moves once: it stands in front until it is whole. */
    if (r->start > 0) {
        memmove(r->buf, r->buf + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    *len = r->cap - r->end;
    return r->buf + r->end;
}

int weir_frame_filled(struct weir_frame_reader *r, size_t len)
{
    if (len > r->cap - r->end)
        return -WEIR_EINVAL;
    r->end += len;
    return 0;
}

/* A message of `len` at `head` bytes behind the start, all of it `whole` bytes on the wire. */
static int hand_out(struct weir_frame_reader *r, size_t head, size_t len, size_t whole, const uint8_t **msg,
                    size_t *msg_len)
{
    *msg = r->buf + r->start + head;
    *msg_len = len;
    r->start += whole;
    r->scanned = r->kept = 0;
    return 1;
}

static int next_fixed(struct weir_frame_reader *r, const uint8_t **msg, size_t *len)
{
    size_t n = r->cfg.max_bytes;
    return r->end - r->start < n ? 0 : hand_out(r, 0, n, n, msg, len);
}

static uint64_t read_length(const struct weir_frame_config *cfg, const uint8_t *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < cfg->header_bytes; i++)
        v = v << 8 | p[cfg->is_little_endian ? cfg->header_bytes - 1 - i : i];
    return v;
}

static int next_length(struct weir_frame_reader *r, const uint8_t **msg, size_t *len)
{
    size_t have = r->end - r->start, head = r->cfg.header_bytes;
    if (have < head)
        return 0;
    uint64_t n = read_length(&r->cfg, r->buf + r->start);
    if (n > r->cfg.max_bytes)
        return r->err = -WEIR_EMSGSIZE;
    return have - head < n ? 0 : hand_out(r, head, (size_t)n, head + (size_t)n, msg, len);
}

/* An escape, with what it escapes behind it: that moves down over what the escapes before have left free. */
static int take_escaped(struct weir_frame_reader *r, uint8_t *p)
{
    uint8_t c = p[r->scanned + 1];
    if (c != r->cfg.delimiter[0] && c != r->cfg.escape)
        return r->err = -WEIR_EPROTO;
    p[r->kept++] = c;
    r->scanned += 2;
    return 0;
}

static int next_delimited(struct weir_frame_reader *r, const uint8_t **msg, size_t *len)
{
    const struct weir_frame_config *cfg = &r->cfg;
    uint8_t *p = r->buf + r->start;
    size_t have = r->end - r->start;
    while (r->scanned < have) {
        size_t left = have - r->scanned, n = left < cfg->delimiter_len ? left : cfg->delimiter_len;
        bool is_start = p[r->scanned] == cfg->delimiter[0] && memcmp(p + r->scanned, cfg->delimiter, n) == 0;
        if (is_start && n == cfg->delimiter_len)
            return hand_out(r, 0, r->kept, r->scanned + n, msg, len);
        bool is_escape = p[r->scanned] == cfg->escape;
        if (is_start || (is_escape && left < 2))
            return 0; /* what comes next decides */
        if (r->kept == cfg->max_bytes)
            return r->err = -WEIR_EMSGSIZE;
        if (!is_escape)
            p[r->kept++] = p[r->scanned++];
        else if (take_escaped(r, p) < 0)
            return r->err;
    }
    return 0;
}

int weir_frame_next(struct weir_frame_reader *r, const uint8_t **msg, size_t *len)
{
    if (r->err)
        return r->err;
    switch (r->cfg.framing) {
    case WEIR_FRAME_FIXED: return next_fixed(r, msg, len);
    case WEIR_FRAME_DELIMITER: return next_delimited(r, msg, len);
    case WEIR_FRAME_LENGTH: return next_length(r, msg, len);
    }
    return -WEIR_EINVAL;
}

int weir_frame_end(const struct weir_frame_reader *r)
{
    if (r->err)
        return r->err;
    return r->end > r->start ? -WEIR_EPROTO : 0;
}
