/*
 * Messages over a byte stream, by a length before each: the bytes come in pieces that have nothing to do with them.
 *
 *   example-messages
 */
#include <stdio.h>
#include <string.h>
#include <weir/frame.h>

/* What read() would do: a few bytes of the stream at a time. */
static size_t read_some(const uint8_t **stream, const uint8_t *end, uint8_t *into, size_t room)
{
    size_t left = (size_t)(end - *stream), n = left < 7 ? left : 7;
    n = n < room ? n : room;
    memcpy(into, *stream, n);
    *stream += n;
    return n;
}

int main(void)
{
    static const char *const messages[] = {"three", "messages of", "different lengths"};
    struct weir_frame_config by_length = weir_frame_lengths(4, 100);
    uint8_t wire[256], buf[128];
    size_t len = 0;

    for (int i = 0; i < 3; i++) {
        int64_t n = weir_frame_write(&by_length, messages[i], strlen(messages[i]), wire + len, sizeof wire - len);
        if (n < 0)
            return 1;
        len += (size_t)n;
    }

    struct weir_frame_reader reader;
    const uint8_t *stream = wire;
    if (weir_frame_reader_init(&reader, &by_length, buf, sizeof buf) < 0)
        return 1;
    for (;;) {
        const uint8_t *msg;
        size_t msg_len, room;
        int got = weir_frame_next(&reader, &msg, &msg_len);
        if (got < 0)
            return 1; /* too long, or broken: close the stream */
        if (got == 1) {
            printf("%.*s\n", (int)msg_len, (const char *)msg);
            continue;
        }
        uint8_t *into = weir_frame_room(&reader, &room);
        size_t n = read_some(&stream, wire + len, into, room);
        if (n == 0)
            return weir_frame_end(&reader) < 0;
        weir_frame_filled(&reader, n);
    }
}
