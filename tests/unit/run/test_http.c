/* Heads of requests, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "run/http.h"

static int parse(const char *text, struct wir_http_request *out)
{
    return wir_http_parse(text, strlen(text), out);
}

static void test_http_head_is_read(void **state)
{
    struct wir_http_request r;
    (void)state;
    assert_int_equal(parse("GET /abc/events HTTP/1.1\r\nhOST:  127.0.0.1:80 \r\nX: y\r\nLast-Event-ID: 1.2.3\r\n"
                           "Origin: http://127.0.0.1:80\r\nSec-Fetch-Site: same-origin\r\n\r\nbody",
                           &r),
                     1);
    assert_string_equal(r.method, "GET");
    assert_string_equal(r.path, "/abc/events");
    assert_string_equal(r.host, "127.0.0.1:80");
    assert_string_equal(r.last_event_id, "1.2.3");
    assert_string_equal(r.origin, "http://127.0.0.1:80");
    assert_string_equal(r.fetch_site, "same-origin");
    assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &r), 1);
    assert_string_equal(r.host, "");
}

/* Every beginning of a good one is not whole yet. */
static void test_http_head_comes_in_pieces(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct wir_http_request r;
    (void)state;
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_int_equal(wir_http_parse(text, n, &r), 0);
    assert_int_equal(wir_http_parse(text, sizeof text - 1, &r), 1);
}

static void test_http_nonsense_is_refused(void **state)
{
    static const char *const bad[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "OVERLONGMETHOD / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    };
    static char big[WIR_HTTP_HEAD_MAX], path[400];
    struct wir_http_request r;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i], &r) != -1)
            fail_msg("taken: %s", bad[i]);
    }
    memset(big, 'x', sizeof big);
    assert_int_equal(wir_http_parse(big, sizeof big - 1, &r), 0);
    assert_int_equal(wir_http_parse(big, sizeof big, &r), -1);
    snprintf(path, sizeof path, "GET /%0200d HTTP/1.1\r\n\r\n", 1);
    assert_int_equal(parse(path, &r), -1);
}

static void test_http_secrets_are_compared_whole(void **state)
{
    (void)state;
    assert_true(wir_http_same_secret("abc", "abc"));
    assert_false(wir_http_same_secret("abc", "abd"));
    assert_false(wir_http_same_secret("abc", "ab"));
    assert_false(wir_http_same_secret("", "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_head_is_read),
        cmocka_unit_test(test_http_head_comes_in_pieces),
        cmocka_unit_test(test_http_nonsense_is_refused),
        cmocka_unit_test(test_http_secrets_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
