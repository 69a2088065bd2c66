/*
 * From messages to a stream's bytes (weir/frame.h), and what a framing is.
 */
#include <string.h>
#include <weir/frame.h>

struct weir_frame_config weir_frame_lines(size_t max_bytes)
{
    return (struct weir_frame_config){.framing = WEIR_FRAME_DELIMITER,
                                      .max_bytes = max_bytes,
                                      .delimiter = {'\n'},
                                      .delimiter_len = 1,
                                      .escape = WEIR_FRAME_NO_ESCAPE};
}

struct weir_frame_config weir_frame_lengths(uint8_t header_bytes, size_t max_bytes)
{
    return (struct weir_frame_config){
        .framing = WEIR_FRAME_LENGTH, .max_bytes = max_bytes, .header_bytes = header_bytes};
}

struct weir_frame_config weir_frame_fixed(size_t bytes)
{
    return (struct weir_frame_config){.framing = WEIR_FRAME_FIXED, .max_bytes = bytes};
}

static bool has_escape(const struct weir_frame_config *cfg)
{
    return cfg->escape != WEIR_FRAME_NO_ESCAPE;
}

static bool is_valid_delimiter(const struct weir_frame_config *cfg)
{
    if (cfg->delimiter_len == 0 || cfg->delimiter_len > WEIR_FRAME_DELIMITER_MAX)
        return false;
    for (unsigned i = 0; i < cfg->delimiter_len; i++) {
        if (cfg->delimiter[i] == cfg->escape)
            return false;
    }
    return cfg->escape >= WEIR_FRAME_NO_ESCAPE && cfg->escape <= 255;
}

size_t weir_frame_buffer_bytes(const struct weir_frame_config *cfg)
{
    if (cfg->max_bytes > SIZE_MAX / 4)
        return 0;
    switch (cfg->framing) {
    case WEIR_FRAME_FIXED: return cfg->max_bytes;
    case WEIR_FRAME_DELIMITER:
        if (!is_valid_delimiter(cfg))
            return 0;
        /* One more, so that a byte too many has room, and is found. */
        return cfg->max_bytes * (has_escape(cfg) ? 2 : 1) + cfg->delimiter_len + 1;
    case WEIR_FRAME_LENGTH:
        if (cfg->header_bytes == 0 || cfg->header_bytes > WEIR_FRAME_HEADER_MAX)
            return 0;
        return cfg->header_bytes + cfg->max_bytes;
    }
    return 0;
}

/* Can the reader find the end of the message, and no other, with the delimiter behind it? */
static bool is_clean(const struct weir_frame_config *cfg, const uint8_t *msg, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        size_t n = 0;
        while (n < cfg->delimiter_len &&
               (at + n < len ? msg[at + n] : cfg->delimiter[at + n - len]) == cfg->delimiter[n])
            n++;
        bool must_escape = has_escape(cfg) && (msg[at] == cfg->escape || msg[at] == cfg->delimiter[0]);
        if (n == cfg->delimiter_len || must_escape)
            return false;
    }
    return true;
}

static int check_len(const struct weir_frame_config *cfg, size_t len)
{
    if (weir_frame_buffer_bytes(cfg) == 0)
        return -WEIR_EINVAL;
    if (len > cfg->max_bytes || (cfg->framing == WEIR_FRAME_FIXED && len != cfg->max_bytes))
        return -WEIR_EMSGSIZE;
    bool is_short = cfg->framing == WEIR_FRAME_LENGTH && cfg->header_bytes < WEIR_FRAME_HEADER_MAX;
    return is_short && (uint64_t)len >> 8 * cfg->header_bytes ? -WEIR_EMSGSIZE : 0;
}

static void put_marks(const struct weir_frame_config *cfg, size_t len, struct weir_frame_marks *m)
{
    *m = (struct weir_frame_marks){0};
    if (cfg->framing == WEIR_FRAME_DELIMITER) {
        m->tail_len = cfg->delimiter_len;
        memcpy(m->tail, cfg->delimiter, cfg->delimiter_len);
    } else if (cfg->framing == WEIR_FRAME_LENGTH) {
        m->head_len = cfg->header_bytes;
        for (unsigned i = 0; i < cfg->header_bytes; i++)
            m->head[cfg->is_little_endian ? i : cfg->header_bytes - 1 - i] = (uint8_t)((uint64_t)len >> 8 * i);
    }
}

int weir_frame_marks(const struct weir_frame_config *cfg, const void *msg, size_t len, struct weir_frame_marks *m)
{
    int err = check_len(cfg, len);
    if (err)
        return err;
    if (cfg->framing == WEIR_FRAME_DELIMITER && !is_clean(cfg, msg, len))
        return -WEIR_EINVAL;
    put_marks(cfg, len, m);
    return 0;
}

/* The message with an escape before each byte that needs one; out NULL: how long that is. */
static size_t put_escaped(const struct weir_frame_config *cfg, const uint8_t *msg, size_t len, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_special = msg[i] == cfg->escape || msg[i] == cfg->delimiter[0];
        if (is_special && out)
            out[n] = (uint8_t)cfg->escape;
        n += is_special;
        if (out)
            out[n] = msg[i];
        n++;
    }
    return n;
}

int64_t weir_frame_write(const struct weir_frame_config *cfg, const void *msg, size_t len, void *out, size_t cap)
{
    struct weir_frame_marks m;
    bool is_escaped = cfg->framing == WEIR_FRAME_DELIMITER && has_escape(cfg);
    int err = is_escaped ? check_len(cfg, len) : weir_frame_marks(cfg, msg, len, &m);
    if (err)
        return err;
    put_marks(cfg, len, &m);
    size_t body = is_escaped ? put_escaped(cfg, msg, len, NULL) : len, all = m.head_len + body + m.tail_len;
    uint8_t *p = out;
    if (all > cap || !p)
        return (int64_t)all;
    memcpy(p, m.head, m.head_len);
    if (is_escaped)
        put_escaped(cfg, msg, len, p + m.head_len);
    else if (len > 0)
        memcpy(p + m.head_len, msg, len);
    memcpy(p + m.head_len + body, m.tail, m.tail_len);
    return (int64_t)all;
}
