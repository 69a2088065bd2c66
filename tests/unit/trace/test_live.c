/* A report that is told piece by piece, to several who have come to different places, while the oldest is forgotten. */
#include "trace_test.h"

#include "trace/report.h"

#include <jansson.h>

#define WINDOW 64u

static struct wtr_report *new_report(void)
{
    struct wtr_report_config cfg = {.title = "t", .rows_max = WINDOW, .conns_max = 10, .is_window = true};
    struct wtr_report *r = wtr_report_new(&cfg);
    assert_non_null(r);
    assert_int_equal(wtr_report_host(r, "program"), 0);
    assert_int_equal(wtr_report_host(r, "gateway"), 1);
    return r;
}

/* Sent by the program and, unless it is lost, at the gateway. */
static void send_one(struct wtr_report *r, uint64_t n, bool arrives)
{
    struct weir_event ev = seg_event(WEIR_MS(n), n, WEIR_WHY_NONE, 100);
    struct weir_pkt pkt = {.serial = n};
    ev.u.seg.seq_rel = (uint32_t)(1 + 100 * n);
    ev.u.seg.sack_n = n % 3 == 0;
    ev.u.seg.sack[0].lo_rel = 10;
    ev.u.seg.sack[0].hi_rel = 20;
    wtr_report_event(r, 0, &ev);
    if (!arrives)
        return;
    ev.kind = WEIR_EV_SEG_IN;
    ev.local = &far_end;
    ev.remote = &near_end;
    ev.conn_id = 8;
    ev.u.seg.pkt = &pkt;
    wtr_report_event(r, 1, &ev);
}

static json_t *chunk(struct wtr_report *r, struct wtr_report_place *at, uint32_t rows_max)
{
    char *text = NULL;
    size_t len = 0;
    json_error_t err;
    FILE *out = open_memstream(&text, &len);
    assert_true(wtr_report_chunk(r, at, rows_max, out));
    fclose(out);
    assert_null(strchr(text, '\n'));
    json_t *o = json_loads(text, 0, &err);
    if (!o)
        fail_msg("%s in %s", err.text, text);
    free(text);
    return o;
}

static int number(const json_t *o, const char *name)
{
    return (int)json_integer_value(json_object_get(o, name));
}

/* What the object says of connection 1. */
static int of_conn(const json_t *o, const char *name)
{
    size_t i;
    const json_t *conn;
    json_array_foreach(json_object_get(o, "conns"), i, conn)
    {
        if (number(conn, "id") == 1)
            return number(conn, name);
    }
    return -1;
}

static void test_live_pieces_follow_each_other(void **state)
{
    struct wtr_report *r = new_report();
    struct wtr_report_place at = {0};
    (void)state;
    for (uint64_t n = 1; n <= 5; n++)
        send_one(r, n, true);
    json_t *o = chunk(r, &at, 6);
    assert_true(json_is_true(json_object_get(o, "begin")));
    assert_non_null(json_object_get(o, "columns"));
    assert_int_equal(number(o, "rows"), 6);
    assert_int_equal(of_conn(o, "first"), 0);
    json_decref(o);
    assert_true(wtr_report_is_behind(r, &at, 3));
    assert_false(wtr_report_is_behind(r, &at, 4));
    o = chunk(r, &at, 100);
    assert_null(json_object_get(o, "begin"));
    assert_int_equal(number(o, "rows"), 4);
    assert_int_equal(of_conn(o, "first"), 6);
    assert_int_equal(json_array_size(json_object_get(o, "texts")), 0);
    json_decref(o);
    assert_false(wtr_report_has_news(r, &at));
    wtr_report_free(r);
}

/* Without a row: a ledger is news of its connection. */
static void test_live_ledger_of_a_living_connection_is_told(void **state)
{
    struct weir_ledger spent = {.life = 100, .spent = {[WEIR_CAUSE_CWND] = 60, [WEIR_CAUSE_IDLE] = 40}};
    struct wtr_report *r = new_report();
    struct wtr_report_place at = {0};
    (void)state;
    send_one(r, 1, true);
    json_decref(chunk(r, &at, 100));
    wtr_report_ledger(r, 0, 999, &spent); /* of nobody */
    assert_false(wtr_report_has_news(r, &at));
    wtr_report_ledger(r, 0, 7, &spent);
    assert_true(wtr_report_has_news(r, &at));
    json_t *o = chunk(r, &at, 100);
    assert_int_equal(number(o, "rows"), 0);
    const json_t *end = json_array_get(json_object_get(json_array_get(json_object_get(o, "conns"), 0), "ends"), 0);
    assert_int_equal(number(end, "life"), 100);
    json_decref(o);

    struct weir_event ev = conn_event(WEIR_EV_CLOSE, WEIR_MS(9), 50);
    ev.u.close.ledger = &spent;
    wtr_report_event(r, 0, &ev);
    json_decref(chunk(r, &at, 100));
    spent.life = 7; /* it has said its last word */
    wtr_report_ledger(r, 0, 7, &spent);
    assert_false(wtr_report_has_news(r, &at));
    wtr_report_free(r);
}

/* Who is slow is told of what is left, and by `first` that some is not. */
static void test_live_window_forgets_the_oldest(void **state)
{
    struct wtr_report *r = new_report();
    struct wtr_report_place slow = {0}, fast = {0};
    unsigned told = 0;
    (void)state;
    for (uint64_t n = 1; n <= 1000; n++) {
        send_one(r, n, n % 7 != 0);
        json_t *o = chunk(r, &fast, 100);
        assert_int_equal(of_conn(o, "first"), (int)told);
        told += (unsigned)number(o, "rows");
        json_decref(o);
        if (n == 1)
            json_decref(chunk(r, &slow, 100));
    }
    assert_int_equal(told, 2000 - 1000 / 7);
    assert_true(fast.row == told);
    json_t *o = chunk(r, &slow, 1000);
    assert_true(number(o, "rows") >= (int)WINDOW / 2 && number(o, "rows") <= (int)WINDOW);
    assert_int_equal(of_conn(o, "first") + number(o, "rows"), (int)told);
    assert_int_equal(number(o, "all"), (int)told);
    json_decref(o);
    wtr_report_free(r);
}

/* A place that can't be one of this run begins anew; more connections than are kept are not told of. */
static void test_live_strange_places_begin_anew(void **state)
{
    struct wtr_report *r = new_report();
    struct wtr_report_place at = {.row = 1u << 30, .stamp = 5, .text = 1, .is_begun = true};
    struct weir_sockaddr peer = far_end;
    (void)state;
    for (uint16_t i = 0; i < 40; i++) {
        struct weir_event ev = seg_event(WEIR_MS(i), 1u + i, WEIR_WHY_NONE, 1);
        peer.port = (uint16_t)(1000 + i);
        ev.remote = &peer;
        ev.conn_id = 100u + i;
        wtr_report_event(r, 0, &ev);
    }
    assert_true(wtr_report_conns(r) <= 10);
    json_t *o = chunk(r, &at, 100);
    assert_true(json_is_true(json_object_get(o, "begin")));
    assert_int_equal(number(o, "rows"), 40);
    json_decref(o);
    wtr_report_free(r);
}

static void test_live_page_has_its_title_and_no_data(void **state)
{
    size_t len;
    char *page = wtr_report_live_page("a <b> \"c\"", &len);
    (void)state;
    assert_non_null(page);
    assert_int_equal(strlen(page), len);
    assert_non_null(strstr(page, "id=\"weir-live\">{\"title\":\"a \\u003cb\\u003e \\u0022c\\u0022\"}</script>"));
    assert_null(strstr(page, "<script type=\"application/json\" id=\"weir-report\""));
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live_pieces_follow_each_other),
        cmocka_unit_test(test_live_ledger_of_a_living_connection_is_told),
        cmocka_unit_test(test_live_window_forgets_the_oldest),
        cmocka_unit_test(test_live_strange_places_begin_anew),
        cmocka_unit_test(test_live_page_has_its_title_and_no_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
