/* Captures (io/pcapng.h): read back by a parser of their own, by tshark where there is one, and from a full disk. */
#include "io_test.h"

#include "io/pcapng.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FILE_CAP (1 << 20)

static struct weir_pool *pool;

/* A file read back, and a walk over its blocks. */
struct reader {
    uint8_t bytes[FILE_CAP];
    size_t len, at;
    uint32_t type, block_len;
    const uint8_t *body;
};

static struct reader rd;

static uint32_t word(const uint8_t *b)
{
    uint32_t v;
    memcpy(&v, b, 4);
    return v;
}

static uint16_t half(const uint8_t *b)
{
    uint16_t v;
    memcpy(&v, b, 2);
    return v;
}

static void read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    rd.len = fread(rd.bytes, 1, sizeof rd.bytes, f);
    rd.at = 0;
    fclose(f);
}

/* Step to the next block, checking that both its lengths agree. false at the end. */
static bool next_block(void)
{
    if (rd.at == rd.len)
        return false;
    assert_true(rd.at + 12 <= rd.len);
    rd.type = word(rd.bytes + rd.at);
    rd.block_len = word(rd.bytes + rd.at + 4);
    assert_int_equal(rd.block_len % 4, 0);
    assert_true(rd.at + rd.block_len <= rd.len);
    assert_int_equal(word(rd.bytes + rd.at + rd.block_len - 4), rd.block_len);
    rd.body = rd.bytes + rd.at + 8;
    rd.at += rd.block_len;
    return true;
}

/* The option `code` among those from `off` of the body on, as text. "" when it isn't there. */
static const char *option(size_t off, uint16_t code, char *buf, size_t cap)
{
    const uint8_t *o = rd.body + off, *end = rd.body + rd.block_len - 12;
    buf[0] = '\0';
    while (o + 4 <= end && half(o) != 0) {
        uint16_t len = half(o + 2);
        if (half(o) == code)
            snprintf(buf, cap, "%.*s", (int)len, (const char *)o + 4);
        o += 4 + (len + 3u) / 4 * 4;
    }
    return buf;
}

static void temp_name(char name[32])
{
    strcpy(name, "/tmp/weir-pcap-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    close(fd);
}

static int set_up(void **state)
{
    (void)state;
    pool = weir_pool_new(&test_memory, 0);
    return pool ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    weir_pool_free(pool);
    return 0;
}

static void test_pcapng_blocks_hold_what_was_given(void **state)
{
    (void)state;
    char name[32], text[64];
    temp_name(name);
    struct wio_pcapng *p = wio_pcapng_open(
        name,
        &(struct wio_pcapng_config){.application = "weir test", .comment = "seed 1", .epoch_ns = WEIR_SEC(1700000000)});
    assert_non_null(p);
    assert_int_equal(wio_pcapng_interface(p, "client", "near end", WEIR_LINK_RAW_IP), 0);
    assert_int_equal(wio_pcapng_interface(p, "server", NULL, WEIR_LINK_ETHERNET), 1);
    struct weir_addr addr = weir_addr_v4(10, 0, 0, 1);
    wio_pcapng_name(p, &addr, "client.test");
    struct weir_pkt *pkt = test_segment(pool, true, 40000, 2, 1, 3);
    wio_pcapng_packet(p, 1, 123456789, pkt, WIO_PCAPNG_OUT, "open");
    wio_pcapng_packet(p, 0, 123456790, pkt, WIO_PCAPNG_UNKNOWN, NULL);
    struct wio_pcapng_stats stats;
    assert_int_equal(wio_pcapng_close(p, &stats), 0);
    assert_int_equal(stats.written_pkts, 2);
    assert_int_equal(stats.lost_pkts, 0);

    read_file(name);
    unlink(name);
    assert_int_equal(stats.written_bytes, rd.len);
    assert_true(next_block());
    assert_int_equal(rd.type, 0x0A0D0D0A);
    assert_int_equal(word(rd.body), 0x1A2B3C4D);
    assert_string_equal(option(16, 1, text, sizeof text), "seed 1");
    assert_string_equal(option(16, 4, text, sizeof text), "weir test");
    assert_true(next_block());
    assert_int_equal(rd.type, 1);
    assert_int_equal(half(rd.body), 101);
    assert_string_equal(option(8, 2, text, sizeof text), "client");
    assert_string_equal(option(8, 9, text, sizeof text), "\x09");
    assert_true(next_block());
    assert_int_equal(half(rd.body), 1);
    assert_true(next_block());
    assert_int_equal(rd.type, 4);
    assert_memory_equal(rd.body + 4, ((uint8_t[]){10, 0, 0, 1}), 4);
    assert_true(next_block());
    assert_int_equal(rd.type, 6);
    assert_int_equal(word(rd.body), 1);
    uint64_t stamp = (uint64_t)word(rd.body + 4) << 32 | word(rd.body + 8);
    assert_true(stamp == WEIR_SEC(1700000000) + 123456789);
    assert_int_equal(word(rd.body + 12), 43);
    assert_int_equal(word(rd.body + 16), 43);
    uint8_t bytes[43];
    weir_pkt_copy(pkt, 0, bytes, sizeof bytes);
    assert_memory_equal(rd.body + 20, bytes, sizeof bytes);
    assert_string_equal(option(20 + 44, 1, text, sizeof text), "open");
    assert_string_equal(option(20 + 44, 2, text, sizeof text), "\x02");
    assert_true(next_block());
    assert_string_equal(option(20 + 44, 1, text, sizeof text), "");
    assert_false(next_block());
    weir_pkt_unref(pkt);
}

static void test_pcapng_snaplen_cuts_the_bytes_but_not_the_length(void **state)
{
    (void)state;
    char name[32];
    temp_name(name);
    struct wio_pcapng *p = wio_pcapng_open(name, &(struct wio_pcapng_config){.snaplen = 42});
    wio_pcapng_interface(p, "a", NULL, WEIR_LINK_RAW_IP);
    struct weir_pkt *pkt = test_segment(pool, true, 40000, 2, 1, 1000);
    wio_pcapng_packet(p, 0, 0, pkt, WIO_PCAPNG_IN, NULL);
    weir_pkt_unref(pkt);
    assert_int_equal(wio_pcapng_close(p, NULL), 0);

    read_file(name);
    unlink(name);
    for (int i = 0; i < 3; i++)
        assert_true(next_block());
    assert_int_equal(word(rd.body + 12), 42);
    assert_int_equal(word(rd.body + 16), 1040);
}

static void test_pcapng_long_comment_is_cut_at_a_character(void **state)
{
    (void)state;
    char name[32], comment[4001], text[4000];
    for (size_t i = 0; i + 1 < sizeof comment; i += 2)
        memcpy(comment + i, "é", 2);
    comment[0] = 'x'; /* so that the limit falls within a character */
    comment[1] = 'x';
    comment[2] = 'x';
    memmove(comment + 3, comment + 4, sizeof comment - 4);
    comment[sizeof comment - 2] = '\0';
    temp_name(name);
    struct wio_pcapng *p = wio_pcapng_open(name, &(struct wio_pcapng_config){0});
    wio_pcapng_interface(p, "a", NULL, WEIR_LINK_RAW_IP);
    struct weir_pkt *pkt = test_segment(pool, true, 40000, 2, 1, 0);
    wio_pcapng_packet(p, 0, 0, pkt, WIO_PCAPNG_IN, comment);
    weir_pkt_unref(pkt);
    assert_int_equal(wio_pcapng_close(p, NULL), 0);

    read_file(name);
    unlink(name);
    for (int i = 0; i < 3; i++)
        assert_true(next_block());
    assert_int_equal(strlen(option(20 + 40, 1, text, sizeof text)), 1023);
}

/* A disk that fills up: RLIMIT_FSIZE gives the same short write and EFBIG as a full one gives ENOSPC. */
static void test_pcapng_full_disk_ends_the_capture_and_says_so(void **state)
{
    (void)state;
    char name[32];
    temp_name(name);
    struct rlimit old, limit = {.rlim_cur = 300000, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &old);
    limit.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    struct wio_pcapng *p = wio_pcapng_open(name, &(struct wio_pcapng_config){0});
    wio_pcapng_interface(p, "a", NULL, WEIR_LINK_RAW_IP);
    assert_int_equal(wio_pcapng_flush(p), 0);
    struct weir_pkt *pkt = test_segment(pool, true, 40000, 2, 1, 1000);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (unsigned i = 0; i < 1000; i++)
        wio_pcapng_packet(p, 0, i, pkt, WIO_PCAPNG_IN, "x");
    struct wio_pcapng_stats stats;
    assert_int_equal(wio_pcapng_close(p, &stats), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &old);
    weir_pkt_unref(pkt);

    assert_int_equal(stats.err, EFBIG);
    assert_int_equal(stats.written_pkts + stats.lost_pkts, 1000);
    assert_int_equal(stats.lost_bytes, stats.lost_pkts * 1040);
    assert_true(stats.written_pkts > 0 && stats.lost_pkts > 0);
    read_file(name);
    unlink(name);
    assert_int_equal(rd.len, stats.written_bytes);
    unsigned packets = 0;
    while (next_block())
        packets += rd.type == 6;
    assert_int_equal(packets, stats.written_pkts);
}

static void test_pcapng_no_such_directory_is_refused(void **state)
{
    (void)state;
    assert_null(wio_pcapng_open("/nonexistent/x.pcapng", &(struct wio_pcapng_config){0}));
    assert_int_equal(errno, ENOENT);
}

/* As killed: what was flushed is read, the buffered rest is not there, and nothing is half. */
static void test_pcapng_flushed_part_is_a_whole_file(void **state)
{
    (void)state;
    char name[32];
    temp_name(name);
    struct wio_pcapng *p = wio_pcapng_open(name, &(struct wio_pcapng_config){0});
    wio_pcapng_interface(p, "a", NULL, WEIR_LINK_RAW_IP);
    struct weir_pkt *pkt = test_segment(pool, true, 40000, 2, 1, 1000);
    wio_pcapng_packet(p, 0, 1, pkt, WIO_PCAPNG_IN, "kept");
    assert_int_equal(wio_pcapng_flush(p), 0);
    wio_pcapng_packet(p, 0, 2, pkt, WIO_PCAPNG_IN, "buffered");
    weir_pkt_unref(pkt);

    read_file(name);
    unsigned packets = 0;
    while (next_block())
        packets += rd.type == 6;
    assert_int_equal(packets, 1);
    assert_int_equal(wio_pcapng_close(p, NULL), 0);
    unlink(name);
}

static void test_pcapng_tshark_reads_comments_and_stamps(void **state)
{
    (void)state;
    if (system("command -v tshark >/dev/null") != 0)
        skip();
    char name[32], command[256], line[256] = "";
    temp_name(name);
    struct wio_pcapng *p = wio_pcapng_open(name, &(struct wio_pcapng_config){.epoch_ns = WEIR_SEC(1700000000)});
    wio_pcapng_interface(p, "client", NULL, WEIR_LINK_RAW_IP);
    struct weir_pkt *pkt = test_segment(pool, true, 40000, 2, 1, 0);
    wio_pcapng_packet(p, 0, 42, pkt, WIO_PCAPNG_OUT, "retransmit: 3 dup ACKs; cwnd 14600");
    weir_pkt_unref(pkt);
    assert_int_equal(wio_pcapng_close(p, NULL), 0);
    snprintf(command, sizeof command,
             "tshark -r %s -T fields -E separator='|' -e frame.interface_name -e frame.time_epoch -e frame.comment "
             "-e tcp.srcport 2>/dev/null",
             name);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    pclose(f);
    unlink(name);
    assert_string_equal(line, "client|1700000000.000000042|retransmit: 3 dup ACKs; cwnd 14600|40000\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcapng_blocks_hold_what_was_given),
        cmocka_unit_test(test_pcapng_snaplen_cuts_the_bytes_but_not_the_length),
        cmocka_unit_test(test_pcapng_long_comment_is_cut_at_a_character),
        cmocka_unit_test(test_pcapng_full_disk_ends_the_capture_and_says_so),
        cmocka_unit_test(test_pcapng_no_such_directory_is_refused),
        cmocka_unit_test(test_pcapng_flushed_part_is_a_whole_file),
        cmocka_unit_test(test_pcapng_tshark_reads_comments_and_stamps),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
