/*
 * Messages on a byte stream.
 *
 * TCP carries bytes, not messages: what was written in two pieces may be read in one, and the other way round. Whoever
 * wants messages has to mark where each ends. There are three ways, and this is all three: every message has the same
 * length; a delimiter stands behind each; its length stands before it.
 *
 * The reader takes bytes as they come, in pieces of any length, from any stream. Messages are views into its buffer,
 * which is the caller's: nothing is copied but the part of a message that has to move to the buffer's front, once.
 * Each byte is looked at once. What is too long is an error as soon as it is known, so a peer can't make anybody keep
 * more than the buffer.
 *
 * No allocation, no I/O, nothing of the stack; from libc memcpy, memmove and memcmp.
 */
#ifndef WEIR_FRAME_H
#define WEIR_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/errno.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_framing {
    WEIR_FRAME_FIXED,     /* each message has max_bytes */
    WEIR_FRAME_DELIMITER, /* a delimiter stands behind each */
    WEIR_FRAME_LENGTH,    /* its length stands before it */
};

#define WEIR_FRAME_DELIMITER_MAX 8
#define WEIR_FRAME_HEADER_MAX    8
#define WEIR_FRAME_NO_ESCAPE     (-1)

struct weir_frame_config {
    enum weir_framing framing;
    size_t max_bytes; /* the longest message; FIXED: each one's length, not 0. At most SIZE_MAX / 4 */

    /* DELIMITER */
    uint8_t delimiter[WEIR_FRAME_DELIMITER_MAX];
    uint8_t delimiter_len; /* from 1 */
    /* A byte that is not in the delimiter: behind it, the delimiter's first byte or itself belongs to the message.
     * WEIR_FRAME_NO_ESCAPE: messages can't contain the delimiter. */
    int escape;

    /* LENGTH: counts the message alone */
    uint8_t header_bytes; /* 1 to 8 */
    bool is_little_endian;
};

/* Ready-made: "\n" behind each, no escape; a big-endian length of `header_bytes` before each; `bytes` in each. */
struct weir_frame_config weir_frame_lines(size_t max_bytes);
struct weir_frame_config weir_frame_lengths(uint8_t header_bytes, size_t max_bytes);
struct weir_frame_config weir_frame_fixed(size_t bytes);

/* The least buffer that a reader of it needs; 0: the configuration is not valid. */
size_t weir_frame_buffer_bytes(const struct weir_frame_config *);

/* ---- Reading ---- */

/* The members are the reader's own. */
struct weir_frame_reader {
    struct weir_frame_config cfg;
    uint8_t *buf;
    size_t cap;
    size_t start, end; /* of the bytes that no message was made of yet */
    size_t scanned;    /* of them, how far the delimiter was looked for */
    size_t kept;       /* of what was scanned, bytes of the message: escapes are gone */
    int err;
};

/*
 * Begin. `buf` stays the caller's and must live as long as the reader.
 *
 * 0; -WEIR_EINVAL: the configuration is not valid, or cap is below weir_frame_buffer_bytes.
 */
int weir_frame_reader_init(struct weir_frame_reader *, const struct weir_frame_config *, void *buf, size_t cap);

/*
 * Where the stream's next bytes go, at most *len of them, which is never 0 once weir_frame_next has returned 0.
 * Messages handed out before are not valid any more.
 */
void *weir_frame_room(struct weir_frame_reader *, size_t *len);

/* So many bytes were put there. 0; -WEIR_EINVAL: more than there was room for, and nothing is taken. */
int weir_frame_filled(struct weir_frame_reader *, size_t len);

/*
 * The next message, without what marks it: *msg, valid until the next weir_frame_room. It may be empty.
 *
 * 1; 0: it is not whole yet; -WEIR_EMSGSIZE: longer than max_bytes; -WEIR_EPROTO: an escape before what needs none.
 * After an error nobody knows where the next message begins, so it stays: close the stream.
 */
int weir_frame_next(struct weir_frame_reader *, const uint8_t **msg, size_t *len);

/* The stream has ended. 0: behind a whole message; -WEIR_EPROTO: within one; or the error from before. */
int weir_frame_end(const struct weir_frame_reader *);

/* ---- Writing ---- */

/* What stands around a message on the wire. */
struct weir_frame_marks {
    uint8_t head[WEIR_FRAME_HEADER_MAX];
    uint8_t tail[WEIR_FRAME_DELIMITER_MAX];
    uint8_t head_len, tail_len;
};

/*
 * The marks for a message that goes out as it is: write head, message, tail (weir_sendmsg takes all three at once).
 *
 * 0; -WEIR_EMSGSIZE: longer than max_bytes, or than its header can say, or for FIXED not of its length; -WEIR_EINVAL:
 * it contains the delimiter, or with an escape what has to be escaped (weir_frame_write does it), or the configuration
 * is not valid.
 */
int weir_frame_marks(const struct weir_frame_config *, const void *msg, size_t len, struct weir_frame_marks *);

/*
 * The message as it goes out, in `out`, escaped where it must be. out may be NULL when cap is 0.
 *
 * Its bytes there; with cap too small, the bytes that it needs, and nothing is written. Errors as weir_frame_marks.
 */
int64_t weir_frame_write(const struct weir_frame_config *, const void *msg, size_t len, void *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
