/* Events as comments, text and JSON lines. */
#include "trace_test.h"

#include "trace/json.h"
#include "trace/text.h"
#include "trace/why.h"

#include <unistd.h>

static const char *comment_of(struct weir_event ev, char *buf, size_t cap)
{
    struct wtr_why *y = wtr_why_new();
    struct weir_pkt p = {.serial = ev.serial};
    wtr_why_event(y, &ev);
    wtr_why_comment(y, &p, buf, cap);
    wtr_why_free(y);
    return buf;
}

static void test_why_retransmission_has_its_cause_and_numbers(void **state)
{
    (void)state;
    char buf[WTR_WHY_TEXT_CAP];
    struct weir_event ev = seg_event(0, 9, WEIR_WHY_REXMIT_DUPACK, 1460);
    ev.u.seg.dupacks = 3;
    assert_string_equal(comment_of(ev, buf, sizeof buf),
                        "retransmit: 3 dup ACKs; cwnd 14600, ssthresh 7300, rto 212 ms");
    assert_string_equal(comment_of(seg_event(0, 9, WEIR_WHY_REXMIT_RTO, 1460), buf, sizeof buf),
                        "retransmit: timeout; cwnd 14600, ssthresh 7300, rto 212 ms");
}

static void test_why_infinite_ssthresh_is_left_out(void **state)
{
    (void)state;
    char buf[WTR_WHY_TEXT_CAP];
    struct weir_event ev = seg_event(0, 9, WEIR_WHY_DATA, 1460);
    ev.conn.ssthresh_bytes = UINT32_MAX;
    assert_string_equal(comment_of(ev, buf, sizeof buf), "new data; cwnd 14600, flight 2920");
    assert_string_equal(comment_of(seg_event(0, 9, WEIR_WHY_ACK, 0), buf, sizeof buf), "acknowledge");
}

static void test_why_unknown_packet_has_no_comment(void **state)
{
    (void)state;
    char buf[WTR_WHY_TEXT_CAP] = "x";
    struct wtr_why *y = wtr_why_new();
    struct weir_event ev = seg_event(0, 1, WEIR_WHY_DATA, 10);
    wtr_why_event(y, &ev);
    assert_string_equal(wtr_why_comment(y, &(struct weir_pkt){.serial = 0}, buf, sizeof buf), "");
    assert_string_equal(wtr_why_comment(y, &(struct weir_pkt){.serial = 4097}, buf, sizeof buf), "");
    ev.serial = 4097; /* takes the first one's place */
    wtr_why_event(y, &ev);
    assert_string_equal(wtr_why_comment(y, &(struct weir_pkt){.serial = 1}, buf, sizeof buf), "");
    wtr_why_free(y);
}

static void test_why_short_buffer_cuts_the_comment(void **state)
{
    (void)state;
    char buf[30];
    comment_of(seg_event(0, 9, WEIR_WHY_REXMIT_RTO, 1460), buf, sizeof buf);
    assert_string_equal(buf, "retransmit: timeout; cwnd 146");
}

static void test_text_segment_is_one_line(void **state)
{
    (void)state;
    char buf[WTR_TEXT_CAP];
    struct weir_event ev = seg_event(1234567890, 9, WEIR_WHY_DATA, 1460);
    assert_string_equal(
        wtr_text_event(&ev, "client", buf, sizeof buf),
        "1.234567 client 10.0.0.1:40000 > 10.0.0.2:80 [P.] seq 1:1461 (1460) ack 1 win 64240: new data");
}

static void test_text_every_kind_fits_and_ends(void **state)
{
    (void)state;
    char buf[WTR_TEXT_CAP];
    struct weir_addr addr = weir_addr_v4(10, 0, 0, 2);
    for (int kind = 0; kind < WEIR_EV_KIND_N; kind++) {
        struct weir_event ev = conn_event((enum weir_event_kind)kind, 5, 1);
        if (kind == WEIR_EV_NEIGH)
            ev.u.neigh.addr = &addr;
        for (size_t cap = 1; cap <= sizeof buf; cap++) {
            wtr_text_event(&ev, "client", buf, cap);
            assert_true(strlen(buf) < cap);
        }
        assert_null(strchr(buf, '\n'));
    }
}

static const struct weir_ledger a_ledger = {
    .life = WEIR_MS(3200),
    .spent = {[WEIR_CAUSE_RCV_WINDOW] = WEIR_MS(1952),
              [WEIR_CAUSE_CWND] = WEIR_MS(960),
              [WEIR_CAUSE_HANDSHAKE] = WEIR_MS(280),
              [WEIR_CAUSE_IDLE] = WEIR_MS(8)},
};

/* The largest part first, and nothing below half of one percent. */
static void test_text_ledger_is_one_line_by_size(void **state)
{
    (void)state;
    char buf[WTR_TEXT_CAP];
    assert_string_equal(wtr_text_ledger(&a_ledger, buf, sizeof buf),
                        "in all 3.200 s: receiver window 61 %, congestion window 30 %, handshake 9 %");
    assert_string_equal(wtr_text_ledger(&(struct weir_ledger){0}, buf, sizeof buf), "in all 0.000 s");
    assert_string_equal(wtr_text_ledger(&a_ledger, buf, 20), "in all 3.200 s: rec");
}

static void test_text_close_ends_with_the_ledger(void **state)
{
    (void)state;
    char buf[WTR_TEXT_CAP];
    struct weir_event ev = conn_event(WEIR_EV_CLOSE, WEIR_MS(3200), 1);
    ev.u.close.ledger = &a_ledger;
    assert_string_equal(wtr_text_event(&ev, "client", buf, sizeof buf),
                        "3.200000 client 10.0.0.1:40000 > 10.0.0.2:80 closed after 3200 ms: 0 bytes out, 0 in, 0 "
                        "retransmissions: in order; in all 3.200 s: receiver window 61 %, congestion window 30 %, "
                        "handshake 9 %");
}

/* What a function wrote to a stream. */
static char *written(void (*write)(struct wtr_json *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct wtr_json *j = wtr_json_new(out, 1000);
    write(j);
    assert_int_equal(wtr_json_close(j), 0);
    return text;
}

static void write_segment(struct wtr_json *j)
{
    struct weir_event ev = seg_event(5, 9, WEIR_WHY_REXMIT_SACK, 1460);
    ev.u.seg.sack_n = 2;
    ev.u.seg.sack[0].lo_rel = 100;
    ev.u.seg.sack[0].hi_rel = 200;
    ev.u.seg.sack[1].lo_rel = 300;
    ev.u.seg.sack[1].hi_rel = 400;
    wtr_json_event(j, "cli\"ent\n", &ev);
}

static void test_json_segment_has_its_documented_fields(void **state)
{
    (void)state;
    char *text = written(write_segment);
    assert_string_equal(
        text, "{\"at_ns\":1005,\"event\":\"seg_out\",\"host\":\"cli\\\"ent\\u000a\",\"serial\":9,\"conn\":7,"
              "\"local\":\"10.0.0.1:40000\",\"remote\":\"10.0.0.2:80\",\"flags\":[\"PSH\",\"ACK\"],\"seq\":1,"
              "\"len\":1460,\"ack\":1,\"win\":64240,\"seq_raw\":5001,\"ack_raw\":901,\"sack\":[[100,200],[300,400]],"
              "\"why\":\"retransmit: SACK hole\",\"cwnd\":14600,\"ssthresh\":7300,\"flight\":2920,\"snd_wnd\":65535,"
              "\"rcv_wnd\":64240,\"srtt_ns\":20000000,\"rttvar_ns\":5000000,\"rto_ns\":212000000}\n");
    free(text);
}

static void write_close(struct wtr_json *j)
{
    struct weir_event ev = conn_event(WEIR_EV_CLOSE, WEIR_MS(3200), 1);
    ev.u.close.ledger = &a_ledger;
    wtr_json_event(j, "client", &ev);
}

static void test_json_close_has_the_ledgers_parts(void **state)
{
    (void)state;
    char *text = written(write_close);
    assert_non_null(strstr(text, ",\"life_ns\":3200000000,\"spent_ns\":{\"handshake\":280000000,\"receiver "
                                 "window\":1952000000,\"congestion window\":960000000,\"idle\":8000000}"));
    free(text);
}

static void write_all(struct wtr_json *j)
{
    static const struct weir_addr addr = {{[15] = 1}};
    for (int kind = 0; kind < WEIR_EV_KIND_N; kind++) {
        struct weir_event ev = conn_event((enum weir_event_kind)kind, 5, 1);
        if (kind == WEIR_EV_NEIGH)
            ev.u.neigh.addr = &addr;
        wtr_json_event(j, "client", &ev);
    }
    struct weir_pkt p = {.serial = 3};
    struct wio_link_note note = {.what = WIO_NOTE_SENT, .pkt = &p, .drop = WEIR_DROP_LINK_LOSS};
    wtr_json_link(j, "link1", &note, WEIR_LINK_RAW_IP);
    note.drop = WEIR_DROP_NONE; /* nothing happened to it: no line */
    wtr_json_link(j, "link1", &note, WEIR_LINK_RAW_IP);
}

/* Every line as a JSON parser sees it. */
static void test_json_every_kind_parses(void **state)
{
    (void)state;
    if (system("command -v python3 >/dev/null") != 0)
        skip();
    char *text = written(write_all);
    FILE *py = popen("python3 -c 'import json,sys\n"
                     "lines = [json.loads(l) for l in sys.stdin]\n"
                     "assert len(lines) == 15, len(lines)\n"
                     "assert len({l[\"event\"] for l in lines}) == 15\n"
                     "assert lines[-1][\"drop\"] == \"LINK_LOSS\"'",
                     "w");
    assert_non_null(py);
    fputs(text, py);
    assert_int_equal(pclose(py), 0);
    free(text);
}

static void test_json_full_disk_costs_lines_and_says_so(void **state)
{
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        skip();
    setvbuf(full, NULL, _IONBF, 0);
    struct wtr_json *j = wtr_json_new(full, 0);
    write_all(j);
    assert_int_equal(wtr_json_close(j), -28); /* ENOSPC */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_why_retransmission_has_its_cause_and_numbers),
        cmocka_unit_test(test_why_infinite_ssthresh_is_left_out),
        cmocka_unit_test(test_why_unknown_packet_has_no_comment),
        cmocka_unit_test(test_why_short_buffer_cuts_the_comment),
        cmocka_unit_test(test_text_segment_is_one_line),
        cmocka_unit_test(test_text_every_kind_fits_and_ends),
        cmocka_unit_test(test_text_ledger_is_one_line_by_size),
        cmocka_unit_test(test_text_close_ends_with_the_ledger),
        cmocka_unit_test(test_json_close_has_the_ledgers_parts),
        cmocka_unit_test(test_json_segment_has_its_documented_fields),
        cmocka_unit_test(test_json_every_kind_parses),
        cmocka_unit_test(test_json_full_disk_costs_lines_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
