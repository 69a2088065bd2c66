/* Messages on a byte stream: what is written comes back, in pieces of any length; what is too long or broken is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <weir/frame.h>

static struct weir_frame_config crlf(int escape, size_t max)
{
    return (struct weir_frame_config){.framing = WEIR_FRAME_DELIMITER,
                                      .max_bytes = max,
                                      .delimiter = {'\r', '\n'},
                                      .delimiter_len = 2,
                                      .escape = escape};
}

/* A reader with the least buffer. */
struct rig {
    struct weir_frame_reader r;
    uint8_t *buf;
};

static void rig_init(struct rig *g, const struct weir_frame_config *cfg)
{
    size_t cap = weir_frame_buffer_bytes(cfg);
    assert_true(cap > 0);
    g->buf = malloc(cap);
    assert_int_equal(weir_frame_reader_init(&g->r, cfg, g->buf, cap), 0);
}

/* Give it as much of the bytes as it has room for, `piece` at most; how many. */
static size_t give(struct rig *g, const void *bytes, size_t len, size_t piece)
{
    size_t room;
    void *at = weir_frame_room(&g->r, &room);
    size_t n = len < piece ? len : piece;
    n = n < room ? n : room;
    if (n > 0)
        memcpy(at, bytes, n);
    assert_int_equal(weir_frame_filled(&g->r, n), 0);
    return n;
}

static void expect(struct rig *g, const char *text)
{
    const uint8_t *msg;
    size_t len;
    assert_int_equal(weir_frame_next(&g->r, &msg, &len), 1);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(msg, text, len);
}

static void expect_result(struct rig *g, int result)
{
    const uint8_t *msg;
    size_t len;
    assert_int_equal(weir_frame_next(&g->r, &msg, &len), result);
}

/* ---- One framing after the other ---- */

static void test_fixed_cuts_every_n_bytes(void **state)
{
    (void)state;
    struct weir_frame_config cfg = weir_frame_fixed(4);
    struct rig g;
    rig_init(&g, &cfg);
    assert_int_equal(give(&g, "onetwo", 6, 6), 4);
    expect(&g, "onet");
    expect_result(&g, 0);
    assert_int_equal(weir_frame_end(&g.r), 0);
    give(&g, "wo", 2, 2);
    expect_result(&g, 0);
    assert_int_equal(weir_frame_end(&g.r), -WEIR_EPROTO);
    free(g.buf);
}

static void test_lines_two_in_one_read_and_one_in_two(void **state)
{
    (void)state;
    struct weir_frame_config cfg = weir_frame_lines(16);
    struct rig g;
    rig_init(&g, &cfg);
    give(&g, "hello\n\nwor", 10, 10);
    expect(&g, "hello");
    expect(&g, "");
    expect_result(&g, 0);
    give(&g, "ld\n", 3, 3);
    expect(&g, "world");
    expect_result(&g, 0);
    assert_int_equal(weir_frame_end(&g.r), 0);
    free(g.buf);
}

static void test_lines_of_max_pass_and_one_more_does_not(void **state)
{
    (void)state;
    struct weir_frame_config cfg = weir_frame_lines(4);
    struct rig g;
    rig_init(&g, &cfg);
    give(&g, "1234\n", 5, 5);
    expect(&g, "1234");
    give(&g, "12345", 5, 5); /* told before its end has come */
    expect_result(&g, -WEIR_EMSGSIZE);
    expect_result(&g, -WEIR_EMSGSIZE);
    assert_int_equal(weir_frame_end(&g.r), -WEIR_EMSGSIZE);
    free(g.buf);
}

static void test_delimiter_cut_by_the_read_is_found(void **state)
{
    (void)state;
    struct weir_frame_config cfg = crlf(WEIR_FRAME_NO_ESCAPE, 8);
    struct rig g;
    rig_init(&g, &cfg);
    give(&g, "a\rb\r", 4, 4);
    expect_result(&g, 0);
    give(&g, "\n", 1, 1);
    expect(&g, "a\rb");
    free(g.buf);
}

static void test_escape_restores_delimiter_and_itself(void **state)
{
    (void)state;
    struct weir_frame_config cfg = crlf('\\', 8);
    struct rig g;
    uint8_t out[64];
    rig_init(&g, &cfg);
    int64_t n = weir_frame_write(&cfg, "a\r\n\\", 4, out, sizeof out);
    assert_int_equal(n, 8);
    assert_memory_equal(out, "a\\\r\n\\\\\r\n", 8);
    for (size_t i = 0; i < 8; i++) {
        expect_result(&g, 0);
        give(&g, out + i, 1, 1);
    }
    expect(&g, "a\r\n\\");
    give(&g, "\\x", 2, 2);
    expect_result(&g, -WEIR_EPROTO);
    free(g.buf);
}

static void test_length_header_in_both_orders(void **state)
{
    (void)state;
    for (uint8_t bytes = 1; bytes <= 8; bytes++) {
        for (int little = 0; little < 2; little++) {
            struct weir_frame_config cfg = weir_frame_lengths(bytes, 200);
            struct weir_frame_marks m;
            cfg.is_little_endian = little;
            assert_int_equal(weir_frame_marks(&cfg, "hello", 5, &m), 0);
            assert_int_equal(m.head_len, bytes);
            assert_int_equal(m.tail_len, 0);
            assert_int_equal(m.head[little ? 0 : bytes - 1], 5);
            struct rig g;
            rig_init(&g, &cfg);
            give(&g, m.head, bytes, bytes);
            expect_result(&g, 0);
            give(&g, "hello", 5, 5);
            expect(&g, "hello");
            free(g.buf);
        }
    }
}

static void test_length_beyond_max_is_told_by_its_header(void **state)
{
    (void)state;
    static const uint8_t huge[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, one_more[8] = {[7] = 101};
    struct weir_frame_config cfg = weir_frame_lengths(8, 100);
    struct rig g;
    rig_init(&g, &cfg);
    give(&g, huge, 8, 8);
    expect_result(&g, -WEIR_EMSGSIZE);
    free(g.buf);
    rig_init(&g, &cfg);
    give(&g, one_more, 8, 8);
    expect_result(&g, -WEIR_EMSGSIZE);
    free(g.buf);
}

/* ---- What is refused ---- */

static void test_write_refuses_what_would_not_come_back(void **state)
{
    (void)state;
    struct weir_frame_config line = weir_frame_lines(8), fixed = weir_frame_fixed(4), byte = weir_frame_lengths(1, 300);
    struct weir_frame_config twice = {.framing = WEIR_FRAME_DELIMITER,
                                      .max_bytes = 8,
                                      .delimiter = {'a', 'a'},
                                      .delimiter_len = 2,
                                      .escape = WEIR_FRAME_NO_ESCAPE};
    uint8_t out[512], long_msg[300] = {0};
    assert_int_equal(weir_frame_write(&line, "a\nb", 3, out, sizeof out), -WEIR_EINVAL);
    assert_int_equal(weir_frame_write(&line, "123456789", 9, out, sizeof out), -WEIR_EMSGSIZE);
    assert_int_equal(weir_frame_write(&fixed, "123", 3, out, sizeof out), -WEIR_EMSGSIZE);
    assert_int_equal(weir_frame_write(&byte, long_msg, 256, out, sizeof out), -WEIR_EMSGSIZE);
    assert_int_equal(weir_frame_write(&byte, long_msg, 255, out, sizeof out), 256);
    /* "xa" and "aa" behind it: the reader would see the end a byte too soon. */
    assert_int_equal(weir_frame_write(&twice, "xa", 2, out, sizeof out), -WEIR_EINVAL);
    assert_int_equal(weir_frame_write(&twice, "ax", 2, out, sizeof out), 4);
}

static void test_write_says_how_much_it_needs(void **state)
{
    (void)state;
    struct weir_frame_config cfg = weir_frame_lengths(4, 100);
    uint8_t out[9] = {0};
    assert_int_equal(weir_frame_write(&cfg, "hello", 5, NULL, 0), 9);
    assert_int_equal(weir_frame_write(&cfg, "hello", 5, out, 8), 9);
    assert_int_equal(out[3], 0); /* nothing is written */
    assert_int_equal(weir_frame_write(&cfg, "hello", 5, out, 9), 9);
    assert_memory_equal(out, "\0\0\0\5hello", 9);
}

static void test_marks_refuse_what_must_be_escaped(void **state)
{
    (void)state;
    struct weir_frame_config cfg = crlf('\\', 8);
    struct weir_frame_marks m;
    assert_int_equal(weir_frame_marks(&cfg, "a\\", 2, &m), -WEIR_EINVAL);
    assert_int_equal(weir_frame_marks(&cfg, "a\r", 2, &m), -WEIR_EINVAL);
    assert_int_equal(weir_frame_marks(&cfg, "a\n", 2, &m), 0);
    assert_int_equal(m.tail_len, 2);
    assert_memory_equal(m.tail, "\r\n", 2);
}

static void test_bad_configurations_are_refused(void **state)
{
    (void)state;
    struct weir_frame_reader r;
    uint8_t buf[64];
    struct weir_frame_config none = weir_frame_fixed(0), wide = weir_frame_lengths(9, 10),
                             zero = weir_frame_lengths(0, 10);
    struct weir_frame_config huge = weir_frame_lengths(8, SIZE_MAX), small = weir_frame_fixed(65);
    struct weir_frame_config own = crlf('\n', 8), byte = crlf(256, 8), empty = crlf(WEIR_FRAME_NO_ESCAPE, 8);
    const struct weir_frame_config *bad[] = {&none, &wide, &zero, &huge, &small, &own, &byte, &empty};
    empty.delimiter_len = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(weir_frame_reader_init(&r, bad[i], buf, sizeof buf), -WEIR_EINVAL);
    assert_int_equal(weir_frame_write(&wide, "", 0, NULL, 0), -WEIR_EINVAL);
}

static void test_filled_beyond_the_room_is_refused(void **state)
{
    (void)state;
    struct weir_frame_config cfg = weir_frame_fixed(4);
    struct rig g;
    rig_init(&g, &cfg);
    assert_int_equal(weir_frame_filled(&g.r, 5), -WEIR_EINVAL);
    expect_result(&g, 0);
    free(g.buf);
}

/* ---- All of it at random: every framing, pieces of every length ---- */

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static struct weir_frame_config any_config(uint32_t *seed)
{
    size_t max = 1 + next_random(seed) % 40;
    switch (next_random(seed) % 4) {
    case 0: return weir_frame_fixed(max);
    case 1: return weir_frame_lengths((uint8_t)(1 + next_random(seed) % 8), max);
    case 2: return weir_frame_lines(max);
    default: return crlf('\\', max);
    }
}

static void test_any_messages_in_any_pieces_come_back(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int turn = 0; turn < 3000; turn++) {
        struct weir_frame_config cfg = any_config(&seed);
        uint8_t sent[20][40], stream[20 * 90];
        size_t lens[20], n = 0, len = 0, at = 0;
        struct rig g;
        rig_init(&g, &cfg);
        while (n < 20) {
            lens[n] = cfg.framing == WEIR_FRAME_FIXED ? cfg.max_bytes : next_random(&seed) % (cfg.max_bytes + 1);
            for (size_t i = 0; i < lens[n]; i++)
                sent[n][i] = (uint8_t) "ab\r\n\\"[next_random(&seed) % 5];
            int64_t got = weir_frame_write(&cfg, sent[n], lens[n], stream + len, sizeof stream - len);
            if (got < 0) {
                assert_int_equal(got, -WEIR_EINVAL); /* a line with "\n" in it */
                continue;
            }
            len += (size_t)got;
            n++;
        }
        for (size_t k = 0; k < n;) {
            const uint8_t *msg;
            size_t msg_len;
            int got = weir_frame_next(&g.r, &msg, &msg_len);
            assert_true(got >= 0);
            if (got == 0) {
                size_t given = give(&g, stream + at, len - at, 1 + next_random(&seed) % 50);
                assert_true(given > 0); /* there is always room, and always something left */
                at += given;
                continue;
            }
            assert_int_equal(msg_len, lens[k]);
            assert_memory_equal(msg, sent[k], msg_len);
            k++;
        }
        assert_int_equal(at, len);
        assert_int_equal(weir_frame_end(&g.r), 0);
        free(g.buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_cuts_every_n_bytes),
        cmocka_unit_test(test_lines_two_in_one_read_and_one_in_two),
        cmocka_unit_test(test_lines_of_max_pass_and_one_more_does_not),
        cmocka_unit_test(test_delimiter_cut_by_the_read_is_found),
        cmocka_unit_test(test_escape_restores_delimiter_and_itself),
        cmocka_unit_test(test_length_header_in_both_orders),
        cmocka_unit_test(test_length_beyond_max_is_told_by_its_header),
        cmocka_unit_test(test_write_refuses_what_would_not_come_back),
        cmocka_unit_test(test_write_says_how_much_it_needs),
        cmocka_unit_test(test_marks_refuse_what_must_be_escaped),
        cmocka_unit_test(test_bad_configurations_are_refused),
        cmocka_unit_test(test_filled_beyond_the_room_is_refused),
        cmocka_unit_test(test_any_messages_in_any_pieces_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
