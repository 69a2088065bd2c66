/* The story of a connection (trace/story.h), told from packets made by hand. */
#include "trace_test.h"

#include "trace/story.h"

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

static struct weir_pool *pool;
static struct wtr_story *story;
static weir_ns now;

static void *heap_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void heap_free(void *ctx, void *p, size_t size)
{
    (void)ctx;
    (void)size;
    free(p);
}

static int set_up(void **state)
{
    (void)state;
    const struct weir_alloc memory = {heap_alloc, heap_free, NULL};
    setenv("LC_ALL", "C", 1);
    pool = weir_pool_new(&memory, 0);
    story = wtr_story_new(WEIR_LINK_RAW_IP, 2);
    now = 0;
    return pool && story ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    wtr_story_free(story);
    weir_pool_free(pool);
    return 0;
}

static void put16(uint8_t *b, uint32_t v)
{
    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}

static void put32(uint8_t *b, uint32_t v)
{
    put16(b, v >> 16);
    put16(b + 2, v);
}

/* One packet crosses the link, or does not. ISNs: 1000 near, 9000 far. */
static void cross(enum wio_dir dir, uint8_t flags, uint32_t seq, uint32_t ack, uint16_t len, enum weir_drop drop)
{
    uint8_t b[40 + 1460] = {0x45, [8] = 64, 6};
    put16(b + 2, 40u + len);
    memcpy(b + (dir == WIO_UP ? 12 : 16), near_end.addr.b + 12, 4);
    memcpy(b + (dir == WIO_UP ? 16 : 12), far_end.addr.b + 12, 4);
    put16(b + (dir == WIO_UP ? 20 : 22), near_end.port);
    put16(b + (dir == WIO_UP ? 22 : 20), far_end.port);
    put32(b + 24, (dir == WIO_UP ? 1000 : 9000) + seq);
    put32(b + 28, (dir == WIO_UP ? 9000 : 1000) + ack);
    b[32] = 0x50;
    b[33] = flags;
    struct weir_pkt *p = weir_pkt_from(pool, b, 40u + len);
    p->serial = now / 1000 + 1;
    struct wio_link_note note = {.what = WIO_NOTE_SENT, .dir = dir, .at = now, .pkt = p, .drop = drop};
    wtr_story_link(story, &note);
    weir_pkt_unref(p);
    now += WEIR_US(1500);
}

static void become(enum weir_tcp_state to)
{
    struct weir_event ev = conn_event(WEIR_EV_STATE, now, 0);
    ev.u.state.to = to;
    wtr_story_event(story, WIO_NEAR, &ev);
}

static char *told(unsigned i)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_true(wtr_story_print(story, i, "client", "server", out, false));
    fclose(out);
    return text;
}

static void handshake(void)
{
    become(WEIR_TCP_SYN_SENT);
    cross(WIO_UP, SYN, 0, 0, 0, WEIR_DROP_NONE);
    cross(WIO_DOWN, SYN | ACK, 0, 1, 0, WEIR_DROP_NONE);
    become(WEIR_TCP_ESTABLISHED);
    cross(WIO_UP, ACK, 1, 1, 0, WEIR_DROP_NONE);
}

static void test_story_tells_handshake_loss_repair_and_close(void **state)
{
    (void)state;
    handshake();
    cross(WIO_UP, ACK, 1, 1, 100, WEIR_DROP_NONE);
    for (uint32_t i = 0; i < 10; i++)
        cross(WIO_DOWN, ACK, 1 + 1000 * i, 101, 1000, i == 3 ? WEIR_DROP_LINK_LOSS : WEIR_DROP_NONE);
    cross(WIO_UP, ACK, 101, 3001, 0, WEIR_DROP_NONE);
    struct weir_event why = seg_event(now, now / 1000 + 1, WEIR_WHY_REXMIT_DUPACK, 1000);
    why.u.seg.dupacks = 3;
    wtr_story_event(story, WIO_FAR, &why);
    cross(WIO_DOWN, ACK, 3001, 101, 1000, WEIR_DROP_NONE);
    cross(WIO_DOWN, FIN | ACK, 10001, 101, 0, WEIR_DROP_NONE);
    become(WEIR_TCP_LAST_ACK);
    cross(WIO_UP, FIN | ACK, 101, 10002, 0, WEIR_DROP_NONE);
    cross(WIO_DOWN, ACK, 10002, 102, 0, WEIR_DROP_NONE);
    become(WEIR_TCP_CLOSED);

    char *text = told(0);
    assert_string_equal(
        text, "connection 1: 10.0.0.1:40000 to 10.0.0.2:80\n"
              "100 bytes sent, 10000 bytes received, 1 packet lost on the link, 0 retransmissions, still open\n"
              "\n"
              "          ms               client                                  server\n"
              "       0.000  SYN-SENT     |-- SYN ------------------------------------>|\n"
              "       1.500               |<----------------------------- SYN, ACK 1 --|\n"
              "       3.000  ESTABLISHED  |-- ACK 1 ---------------------------------->|\n"
              "                           :   1 segment, 100 bytes                    > :\n"
              "                           : < 3 segments, 3,000 bytes                   :\n"
              "      10.500               |      X------------- 1,000 bytes at 3,001 --|\n"
              "                           |  ` lost by the impaired link\n"
              "                           :   1 acknowledgement                       > :\n"
              "                           : < 6 segments, 6,000 bytes                   :\n"
              "      22.500               |<------------ 1,000 bytes at 3,001, again --|\n"
              "                           |  ` retransmit: 3 dup ACKs; cwnd 14600, ssthresh 7300, rto 212 ms\n"
              "      24.000               |<--------------------------- FIN, ACK 101 --|\n"
              "      25.500  LAST-ACK     |-- FIN, ACK 10,002 ------------------------>|\n"
              "      27.000               |<-------------------------------- ACK 102 --|\n"
              "              CLOSED       |\n");
    free(text);
}

/* An hour of losses: the story stays short and its counts right. */
static void test_story_of_a_long_transfer_stays_short(void **state)
{
    (void)state;
    handshake();
    for (uint32_t i = 0; i < 100000; i++) {
        bool is_lost = i % 100 == 50;
        cross(WIO_DOWN, ACK, 1 + 1000 * i, 1, 1000, is_lost ? WEIR_DROP_LINK_LOSS : WEIR_DROP_NONE);
        if (is_lost)
            cross(WIO_DOWN, ACK, 1 + 1000 * i, 1, 1000, WEIR_DROP_NONE);
        cross(WIO_UP, ACK, 1, 1 + 1000 * i, 0, WEIR_DROP_NONE);
    }
    cross(WIO_UP, RST, 1, 1, 0, WEIR_DROP_NONE);
    char *text = told(0);
    unsigned lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_in_range(lines, 20, 60);
    assert_non_null(strstr(text, "994 lost, 994 again"));
    assert_non_null(strstr(text, "RST"));
    free(text);
}

static void test_story_keeps_to_its_connections(void **state)
{
    (void)state;
    handshake();
    assert_int_equal(wtr_story_count(story), 1);
    assert_false(wtr_story_print(story, 1, "a", "b", stdout, false));
    assert_int_equal(wtr_story_biggest(story), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_story_tells_handshake_loss_repair_and_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_story_of_a_long_transfer_stays_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_story_keeps_to_its_connections, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
