/*
 * The report of a run: connections found from events, what the page says of them, and the files that it is read from.
 */
#include "trace_test.h"

#include "trace/json.h"
#include "trace/report_packet.h"
#include "trace/report_read.h"

#define SYN 0x02
#define RST 0x04
#define FIN 0x01
#define ACK 0x10

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void give_back(void *ctx, void *ptr, size_t size)
{
    (void)ctx, (void)size;
    free(ptr);
}

static const struct weir_alloc memory = {.alloc = take, .free = give_back};

static struct wtr_report *new_report(const char *title)
{
    struct wtr_report_config cfg = {.title = title};
    struct wtr_report *r = wtr_report_new(&cfg);
    assert_non_null(r);
    assert_int_equal(wtr_report_host(r, "client"), 0);
    assert_int_equal(wtr_report_host(r, "server"), 1);
    return r;
}

/* The page; the report is gone afterwards. */
static char *page_of(struct wtr_report *r)
{
    char *page = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&page, &len);
    assert_int_equal(wtr_report_write(r, out), 0);
    fclose(out);
    wtr_report_free(r);
    return page;
}

static void assert_says(const char *page, const char *text)
{
    if (!strstr(page, text))
        fail_msg("the page does not say %s", text);
}

/* A segment that an end sends or receives: the client is near_end. */
static struct weir_event segment(enum weir_event_kind kind, bool is_client, weir_ns at, uint64_t serial, uint16_t flags,
                                 uint32_t seq, uint32_t len)
{
    struct weir_event ev = seg_event(at, serial, WEIR_WHY_NONE, len);
    ev.kind = kind;
    ev.u.seg.flags = flags;
    ev.u.seg.seq_rel = seq;
    ev.u.seg.seq = 5000 + seq;
    if (!is_client) {
        ev.local = &far_end;
        ev.remote = &near_end;
        ev.conn_id = 3;
    }
    return ev;
}

/* What both hosts and the link between them tell of a short connection with a loss. */
struct sink {
    struct wtr_report *report;
    struct wtr_json *json;
};

static void give(const struct sink *s, int host, const struct weir_event *ev)
{
    if (s->report)
        wtr_report_event(s->report, host, ev);
    if (s->json)
        wtr_json_event(s->json, host == 0 ? "client" : "server", ev);
}

static void arrive(const struct sink *s, bool at_client, weir_ns at, uint64_t serial, uint64_t sender, uint16_t flags,
                   uint32_t seq, uint32_t len)
{
    struct weir_pkt pkt = {.serial = sender};
    struct weir_event ev = segment(WEIR_EV_SEG_IN, at_client, at, serial, flags, seq, len);
    ev.u.seg.pkt = &pkt;
    give(s, at_client ? 0 : 1, &ev);
}

static void lose(const struct sink *s, weir_ns at, uint64_t serial)
{
    static uint8_t bytes[40] = {0x45, 0,    0,  40, 0, 0, 0,    0,    64, 6, 0, 0, 10,   0,
                                0,    1,    10, 0,  0, 2, /* 40000 to 80 */
                                0x9c, 0x40, 0,  80, 0, 0, 0x13, 0x89, 0,  0, 0, 1, 0x50, 0x10};
    struct weir_pool *pool = weir_pool_new(&memory, 0);
    struct weir_pkt *pkt = weir_pkt_from(pool, bytes, sizeof bytes);
    assert_non_null(pkt);
    pkt->serial = serial;
    struct wio_link_note note = {.what = WIO_NOTE_SENT, .at = at, .pkt = pkt, .drop = WEIR_DROP_LINK_LOSS};
    if (s->report)
        wtr_report_link(s->report, 0, 1, &note, WEIR_LINK_RAW_IP);
    if (s->json)
        wtr_json_link(s->json, "link", &note, WEIR_LINK_RAW_IP);
    weir_pkt_unref(pkt);
    weir_pool_free(pool);
}

static void play(const struct sink *s)
{
    struct weir_event ev = segment(WEIR_EV_SEG_OUT, true, WEIR_MS(0), 1, SYN, 0, 0);
    give(s, 0, &ev);
    arrive(s, false, WEIR_MS(10), 1, 1, SYN, 0, 0);
    ev = segment(WEIR_EV_SEG_OUT, false, WEIR_MS(10), 2, SYN | ACK, 0, 0);
    give(s, 1, &ev);
    arrive(s, true, WEIR_MS(20), 2, 2, SYN | ACK, 0, 0);
    ev = segment(WEIR_EV_SEG_OUT, true, WEIR_MS(20), 3, ACK, 1, 1000);
    give(s, 0, &ev);
    lose(s, WEIR_MS(20), 3);
    ev = segment(WEIR_EV_SEG_OUT, true, WEIR_MS(220), 4, ACK, 1, 1000);
    ev.u.seg.why = WEIR_WHY_REXMIT_RTO;
    give(s, 0, &ev);
    arrive(s, false, WEIR_MS(230), 3, 4, ACK, 1, 1000);
    ev = segment(WEIR_EV_SEG_OUT, true, WEIR_MS(230), 5, FIN | ACK, 1001, 0);
    give(s, 0, &ev);
    ev = segment(WEIR_EV_SEG_OUT, false, WEIR_MS(240), 4, FIN | ACK, 1, 0);
    give(s, 1, &ev);

    static const struct weir_ledger spent = {.life = 300,
                                             .spent = {[WEIR_CAUSE_HANDSHAKE] = 100, [WEIR_CAUSE_RTO_WAIT] = 200}};
    ev = conn_event(WEIR_EV_CLOSE, WEIR_MS(250), 6);
    ev.u.close.ledger = &spent;
    ev.u.close.is_active = true;
    give(s, 0, &ev);
}

static void test_report_connection_with_a_loss_has_both_ends_and_its_verdict(void **state)
{
    (void)state;
    struct sink s = {.report = new_report("t")};
    play(&s);
    assert_int_equal(wtr_report_conns(s.report), 1);
    char *page = page_of(s.report);
    assert_says(page, "\"text\":\"Closed cleanly, client first\"");
    assert_says(page, "{\"addr\":\"10.0.0.1:40000\",\"error\":\"\",\"host\":0,\"iss\":5000,\"bytes\":1000,\"segs\":4,"
                      "\"again\":1,\"lost\":1,\"state\":0,\"life\":300,\"spent\":[[0,100],[9,200]]}");
    assert_says(page, "{\"addr\":\"10.0.0.2:80\",\"error\":\"\",\"host\":1");
    free(page);
}

/* A page made of a trace is the page made of the events themselves. */
static void test_report_of_trace_is_that_of_the_events(void **state)
{
    (void)state;
    char *lines = NULL;
    size_t len = 0;
    struct sink s = {.report = new_report("t"), .json = wtr_json_new(open_memstream(&lines, &len), 0)};
    play(&s);
    char *page = page_of(s.report);
    assert_int_equal(wtr_json_close(s.json), 0);

    struct wtr_report *again = new_report("t");
    struct wtr_read read = {0};
    FILE *in = fmemopen(lines, len, "r");
    assert_int_equal(wtr_read_format(in), WTR_FORMAT_TRACE);
    assert_int_equal(wtr_read_trace(again, in, &read), 0);
    assert_int_equal(read.skipped, 0);
    fclose(in);
    char *other = page_of(again);
    assert_string_equal(page, other);
    free(page);
    free(other);
    free(lines);
}

static void test_report_answer_with_a_reset_is_refused(void **state)
{
    (void)state;
    struct sink s = {.report = new_report("t")};
    struct weir_event ev = segment(WEIR_EV_SEG_OUT, true, 0, 1, SYN, 0, 0);
    give(&s, 0, &ev);
    ev = segment(WEIR_EV_SEG_OUT, false, 10, 1, RST | ACK, 0, 0);
    ev.conn_id = 0; /* no connection sends it */
    give(&s, 1, &ev);
    char *page = page_of(s.report);
    assert_says(page, "\"verdict\":\"refused\",\"text\":\"Refused by server: nothing listens there\"");
    free(page);
}

static void test_report_reset_of_an_open_connection_names_who_and_why(void **state)
{
    (void)state;
    struct sink s = {.report = new_report("t")};
    struct weir_event ev = segment(WEIR_EV_SEG_OUT, true, 0, 1, SYN, 0, 0);
    give(&s, 0, &ev);
    ev = conn_event(WEIR_EV_STATE, 5, 2);
    ev.u.state.to = WEIR_TCP_ESTABLISHED;
    give(&s, 0, &ev);
    ev = segment(WEIR_EV_SEG_OUT, true, 10, 3, RST | ACK, 1, 0);
    ev.u.seg.why = WEIR_WHY_RST_UNREAD;
    give(&s, 0, &ev);
    char *page = page_of(s.report);
    assert_says(page, "\"text\":\"Reset by client: closed with unread data\"");
    free(page);
}

/* A port used again at once: two connections, though their ends are the same. */
static void test_report_same_ends_again_is_another_connection(void **state)
{
    (void)state;
    struct sink s = {.report = new_report("t")};
    for (uint64_t i = 0; i < 2; i++) {
        struct weir_event ev = segment(WEIR_EV_SEG_OUT, true, i * 1000, 1 + 10 * i, SYN, 0, 0);
        ev.conn_id = 7 + i;
        give(&s, 0, &ev);
        ev = segment(WEIR_EV_SEG_OUT, false, i * 1000 + 10, 1 + 10 * i, SYN | ACK, 0, 0);
        ev.conn_id = 30 + i;
        give(&s, 1, &ev);
    }
    assert_int_equal(wtr_report_conns(s.report), 2);
    wtr_report_free(s.report);
}

static void test_report_beyond_its_rows_counts_and_still_tells_the_end(void **state)
{
    (void)state;
    struct wtr_report_config cfg = {.title = "t", .rows_max = 3};
    struct wtr_report *r = wtr_report_new(&cfg);
    assert_int_equal(wtr_report_host(r, "client"), 0);
    assert_int_equal(wtr_report_host(r, "server"), 1);
    play(&(struct sink){.report = r});
    assert_true(wtr_report_left_out(r) > 3);
    char *page = page_of(r);
    assert_says(page, "Closed cleanly, client first");
    assert_says(page, "\"bytes\":1000");
    free(page);
}

static void test_report_texts_can_not_end_the_script(void **state)
{
    (void)state;
    struct wtr_report *r = new_report("</script><b>\xff\"");
    wtr_report_claim(r, true, "<!--");
    char *page = page_of(r);
    assert_says(page, "\"title\":\"\\u003c/script\\u003e\\u003cb\\u003e\\ufffd\\u0022\"");
    assert_says(page, "[true,\"\\u003c!--\"]");
    free(page);
}

/* ---- Captures ---- */

/* Ethernet, IPv4, TCP: SYN with window scale 7 from 10.0.0.1:40000 to 10.0.0.2:80. */
static const uint8_t syn[] = {2,    0, 0,  0, 0, 2, 2,    0, 0,    0,    0,  1, 8, 0, 0x45, 0,    0, 44, 0, 0,
                              0x40, 0, 64, 6, 0, 0, 10,   0, 0,    1,    10, 0, 0, 2, 0x9c, 0x40, 0, 80, 0, 0,
                              0x10, 0, 0,  0, 0, 0, 0x60, 2, 0xff, 0xff, 0,  0, 0, 0, 1,    3,    3, 7};

static void test_packet_syn_is_read(void **state)
{
    (void)state;
    struct wtr_packet p = {.number = 1};
    assert_true(wtr_packet_parse(&p, 1, syn, sizeof syn));
    assert_int_equal(p.src.port, 40000);
    assert_int_equal(p.dst.port, 80);
    assert_int_equal(p.seq, 0x1000);
    assert_int_equal(p.flags, SYN);
    assert_int_equal(p.wscale, 7);
    assert_int_equal(p.len, 0);
}

/* Cut anywhere, or of any other link type: refused, or read as far as it goes, and nothing beyond it (ASan looks). */
static void test_packet_cut_anywhere_is_not_read_beyond(void **state)
{
    (void)state;
    static const uint32_t types[] = {0, 1, 12, 14, 101, 108, 113, 228, 229, 276, 9999};
    for (size_t len = 0; len <= sizeof syn; len++) {
        uint8_t *copy = malloc(len ? len : 1);
        memcpy(copy, syn, len);
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            struct wtr_packet p = {0};
            bool is_read = wtr_packet_parse(&p, types[i], copy, len);
            assert_int_equal(is_read, types[i] == 1 && len >= 54);
        }
        free(copy);
    }
}

static void test_packet_lengths_that_lie_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
    } lies[] = {{14, 0x44}, {14, 0x4f}, {17, 30}, {23, 17}, {21, 1}, {46, 0x40}, {46, 0xf0}, {12, 9}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint8_t copy[sizeof syn];
        struct wtr_packet p = {0};
        memcpy(copy, syn, sizeof syn);
        copy[lies[i].at] = lies[i].value;
        assert_false(wtr_packet_parse(&p, 1, copy, sizeof copy));
    }
}

static void put32(uint8_t **at, uint32_t v)
{
    memcpy(*at, &v, sizeof v);
    *at += sizeof v;
}

/* A capture of one packet with a comment. Returns its length. */
static size_t make_capture(uint8_t *buf)
{
    uint8_t *at = buf;
    static const uint32_t section[] = {0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0xffffffff, 0xffffffff, 28};
    static const uint32_t interface[] = {1, 20, 1, 0, 20};
    memcpy(at, section, sizeof section);
    memcpy(at + sizeof section, interface, sizeof interface);
    at += sizeof section + sizeof interface;
    uint32_t padded = (sizeof syn + 3) / 4 * 4, total = 32 + padded + 8 + 4;
    put32(&at, 6);
    put32(&at, total);
    put32(&at, 0);
    put32(&at, 0);
    put32(&at, 1000);
    put32(&at, sizeof syn);
    put32(&at, sizeof syn);
    memset(at, 0, padded);
    memcpy(at, syn, sizeof syn);
    at += padded;
    put32(&at, 4u << 16 | 1);
    memcpy(at, "open", 4);
    at += 4;
    put32(&at, 0);
    put32(&at, total);
    return (size_t)(at - buf);
}

static int read_capture(const uint8_t *bytes, size_t len, struct wtr_read *read, char **page)
{
    struct wtr_report *r = new_report("t");
    FILE *in = fmemopen((void *)(uintptr_t)bytes, len, "r");
    int err = wtr_read_capture(r, in, WTR_FORMAT_PCAPNG, read);
    fclose(in);
    if (page)
        *page = page_of(r);
    else
        wtr_report_free(r);
    return err;
}

static void test_pcapng_packet_keeps_its_comment(void **state)
{
    (void)state;
    uint8_t buf[256];
    char *page;
    struct wtr_read read = {0};
    size_t len = make_capture(buf);
    assert_int_equal(read_capture(buf, len, &read, &page), 0);
    assert_int_equal(read.taken, 1);
    assert_says(page, "\"open\"");
    assert_says(page, "No answer to 1 SYN so far");
    free(page);
}

static void test_pcapng_cut_or_damaged_is_said(void **state)
{
    (void)state;
    uint8_t buf[256];
    size_t len = make_capture(buf);
    for (size_t n = 1; n < len; n++) {
        struct wtr_read read = {0};
        int err = read_capture(buf, n, &read, NULL);
        assert_true(err < 0 ? read.err[0] != 0 : read.is_cut || n == 28 || n == 48);
    }
    for (size_t i = 0; i < len; i++) { /* any word, of any value: never beyond what is there */
        struct wtr_read read = {0};
        uint8_t copy[256];
        memcpy(copy, buf, len);
        copy[i] ^= 0xff;
        read_capture(copy, len, &read, NULL);
    }
}

/* In the order of a capture: 1, 3, 2 within a millisecond is out of order; 2 after a round trip is sent again. */
static void test_capture_gap_filled_soon_is_no_retransmission(void **state)
{
    (void)state;
    for (unsigned late = 0; late < 2; late++) {
        struct wtr_report *r = new_report("t");
        struct wtr_flows *flows = wtr_flows_new(r);
        static const uint32_t seqs[] = {1, 201, 101};
        struct wtr_packet p = {.src = near_end, .dst = far_end, .flags = SYN, .seq = 1000, .wscale = -1};
        wtr_flows_packet(flows, &p);
        for (unsigned i = 0; i < 3; i++) {
            p.flags = ACK;
            p.seq = 1000 + seqs[i];
            p.len = 100;
            p.at = WEIR_MS(1) + WEIR_US(100) * i + (i == 2 && late ? WEIR_MS(50) : 0);
            wtr_flows_packet(flows, &p);
        }
        wtr_flows_free(flows);
        char *page = page_of(r);
        assert_says(page, late ? "\"bytes\":300,\"segs\":4,\"again\":1" : "\"bytes\":300,\"segs\":4,\"again\":0");
        assert_says(page, late ? "the first was not seen here" : "out of order");
        free(page);
    }
}

static int read_lines(const char *lines, struct wtr_read *read)
{
    struct wtr_report *r = new_report("t");
    FILE *in = fmemopen((void *)(uintptr_t)lines, strlen(lines), "r");
    int err = wtr_read_trace(r, in, read);
    fclose(in);
    wtr_report_free(r);
    return err;
}

static void test_trace_that_is_none_is_refused_with_its_line(void **state)
{
    (void)state;
    struct wtr_read read = {0};
    assert_int_equal(read_lines("{\"at_ns\":1,\"event\":\"rtt\",\"host\":\"a\"}\nhello\n", &read), -1);
    assert_non_null(strstr(read.err, "line 2 is no JSON object"));
    assert_int_equal(read_lines("{\"event\":\"rtt\"}\n", &read), -1);
    assert_string_equal(read.err, "line 1 is no event: it has no \"at_ns\"");
    assert_int_equal(read_lines("[1]\n", &read), -1);
}

static void test_trace_cut_in_its_last_line_is_taken_up_to_it(void **state)
{
    (void)state;
    struct wtr_read read = {0};
    assert_int_equal(read_lines("{\"at_ns\":1,\"event\":\"new\",\"host\":\"a\"}\n{\"at_ns\":2,\"ev", &read), 0);
    assert_true(read.is_cut);
    assert_int_equal(read.taken, 1);
    assert_int_equal(read.skipped, 1); /* "new" is of a weir to come */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_connection_with_a_loss_has_both_ends_and_its_verdict),
        cmocka_unit_test(test_report_of_trace_is_that_of_the_events),
        cmocka_unit_test(test_report_answer_with_a_reset_is_refused),
        cmocka_unit_test(test_report_reset_of_an_open_connection_names_who_and_why),
        cmocka_unit_test(test_report_same_ends_again_is_another_connection),
        cmocka_unit_test(test_report_beyond_its_rows_counts_and_still_tells_the_end),
        cmocka_unit_test(test_report_texts_can_not_end_the_script),
        cmocka_unit_test(test_packet_syn_is_read),
        cmocka_unit_test(test_packet_cut_anywhere_is_not_read_beyond),
        cmocka_unit_test(test_packet_lengths_that_lie_are_refused),
        cmocka_unit_test(test_pcapng_packet_keeps_its_comment),
        cmocka_unit_test(test_pcapng_cut_or_damaged_is_said),
        cmocka_unit_test(test_capture_gap_filled_soon_is_no_retransmission),
        cmocka_unit_test(test_trace_that_is_none_is_refused_with_its_line),
        cmocka_unit_test(test_trace_cut_in_its_last_line_is_taken_up_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
