/* What the two ends of weir rr agree on (perf/rr.h). */
#include "perf/rr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int reread(const struct wpf_rr_hello *h, struct wpf_rr_hello *out)
{
    uint8_t bytes[WPF_RR_HELLO_LEN];
    wpf_rr_hello_write(h, bytes);
    return wpf_rr_hello_read(out, bytes);
}

static void test_hello_comes_back(void **state)
{
    (void)state;
    struct wpf_rr_hello h = {WPF_RR_CONNECTS, 1, WPF_RR_SIZE_MAX}, out;
    assert_int_equal(reread(&h, &out), 0);
    assert_int_equal(out.kind, WPF_RR_CONNECTS);
    assert_int_equal(out.request_len, 1);
    assert_int_equal(out.response_len, WPF_RR_SIZE_MAX);
    h = (struct wpf_rr_hello){.kind = WPF_RR_CONTROL};
    assert_int_equal(reread(&h, &out), 0);
    assert_int_equal(out.kind, WPF_RR_CONTROL);
}

static void test_hello_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct wpf_rr_hello bad[] = {
        {(enum wpf_rr_kind)0, 1, 1},
        {(enum wpf_rr_kind)4, 1, 1},
        {WPF_RR_REQUESTS, 0, 1},
        {WPF_RR_REQUESTS, 1, 0},
        {WPF_RR_CONNECTS, WPF_RR_SIZE_MAX + 1, 1},
        {WPF_RR_REQUESTS, 1, UINT32_MAX},
        {WPF_RR_CONTROL, 1, 0},
    };
    struct wpf_rr_hello out = {.request_len = 77};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(reread(&bad[i], &out), -EPROTO);
    uint8_t bytes[WPF_RR_HELLO_LEN];
    wpf_rr_hello_write(&(struct wpf_rr_hello){WPF_RR_REQUESTS, 1, 1}, bytes);
    bytes[7] = '2';
    assert_int_equal(wpf_rr_hello_read(&out, bytes), -EPROTO);
    assert_int_equal(out.request_len, 77);
}

static void test_bytes_are_all_of_one_value(void **state)
{
    (void)state;
    uint8_t buf[64];
    memset(buf, 9, sizeof buf);
    assert_true(wpf_rr_is_all(buf, sizeof buf, 9));
    assert_true(wpf_rr_is_all(buf, 1, 9));
    assert_true(wpf_rr_is_all(buf, 0, 9));
    assert_false(wpf_rr_is_all(buf, sizeof buf, 8));
    for (size_t i = 0; i < sizeof buf; i++) {
        buf[i] = 8;
        assert_false(wpf_rr_is_all(buf, sizeof buf, 9));
        buf[i] = 9;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_comes_back),
        cmocka_unit_test(test_hello_that_is_none_is_refused),
        cmocka_unit_test(test_bytes_are_all_of_one_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
