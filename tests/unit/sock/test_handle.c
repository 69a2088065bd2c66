/* The table of handles: reuse, staleness, growth and the return of memory. */
#include "fake.h"

/* Rows: attack-close-wait-rst-race-use-after-free */
static void test_handle_released_is_stale_for_ever(void **state)
{
    (void)state;
    struct rig r;
    struct wi_handle *h, *again;
    rig_init(&r, 0);
    assert_int_equal(wi_handle_take(&r.handles, &h), 0);
    weir_fd old = h->fd;
    assert_true(old > 0);
    assert_ptr_equal(wi_handle_find(&r.handles, old), h);
    wi_handle_release(&r.handles, h);
    assert_null(wi_handle_find(&r.handles, old));
    /* The same record, in a leaf that was freed in between, has another handle. */
    assert_int_equal(wi_handle_take(&r.handles, &again), 0);
    assert_int_equal(again->fd % WI_HANDLES_CAP, old % WI_HANDLES_CAP);
    assert_true(again->fd != old);
    assert_null(wi_handle_find(&r.handles, old));
    rig_fini(&r);
}

static void test_handle_that_never_was_is_not_found(void **state)
{
    (void)state;
    struct rig r;
    struct wi_handle *h;
    rig_init(&r, 0);
    assert_null(wi_handle_find(&r.handles, 0));
    assert_null(wi_handle_find(&r.handles, INT64_MAX));
    assert_int_equal(wi_handle_take(&r.handles, &h), 0);
    assert_null(wi_handle_find(&r.handles, -1));
    assert_null(wi_handle_find(&r.handles, INT64_MIN));
    assert_null(wi_handle_find(&r.handles, 0));
    assert_null(wi_handle_find(&r.handles, h->fd + 1));
    assert_null(wi_handle_find(&r.handles, h->fd + 64));
    assert_null(wi_handle_find(&r.handles, h->fd + (WI_HANDLES_CAP - 1)));
    rig_fini(&r);
}

static void test_handle_beyond_the_limit_is_emfile(void **state)
{
    (void)state;
    struct rig r;
    struct wi_handle *h, *other;
    rig_init(&r, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(wi_handle_take(&r.handles, &h), 0);
    assert_int_equal(wi_handle_take(&r.handles, &other), -WEIR_EMFILE);
    wi_handle_release(&r.handles, h);
    assert_int_equal(wi_handle_take(&r.handles, &other), 0);
    rig_fini(&r);
}

/* Each allocation on the way to a first handle is refused in turn; none of them leaves anything behind. */
static void test_handle_without_memory_is_enomem_and_leaves_nothing(void **state)
{
    (void)state;
    struct rig r;
    struct wi_handle *h;
    rig_init(&r, 0);
    size_t before = r.heap.bytes;
    for (size_t n = 1; n <= 3; n++) {
        r.heap.fail_at = r.heap.alloc_n + n;
        assert_int_equal(wi_handle_take(&r.handles, &h), -WEIR_ENOMEM);
        assert_int_equal(r.heap.bytes, before);
        assert_null(wi_handles_check(&r.handles));
    }
    r.heap.fail_at = 0;
    assert_int_equal(wi_handle_take(&r.handles, &h), 0);
    rig_fini(&r);
}

#define MANY 70000 /* more than one directory of leaves spans */

static void test_handle_many_come_and_go_and_memory_returns(void **state)
{
    (void)state;
    struct rig r;
    struct wi_handle *h;
    weir_fd *fds = malloc(MANY * sizeof(*fds));
    assert_non_null(fds);
    rig_init(&r, 0);
    size_t before = r.heap.bytes;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(wi_handle_take(&r.handles, &h), 0);
        fds[i] = h->fd;
    }
    assert_null(wi_handles_check(&r.handles));
    /* Every other one goes, and the holes are filled before the table grows again. */
    size_t full = r.heap.bytes;
    for (int i = 0; i < MANY; i += 2)
        wi_handle_release(&r.handles, wi_handle_find(&r.handles, fds[i]));
    for (int i = 0; i < MANY; i += 2) {
        assert_null(wi_handle_find(&r.handles, fds[i]));
        assert_int_equal(wi_handle_take(&r.handles, &h), 0);
        fds[i] = h->fd;
    }
    assert_int_equal(r.heap.bytes, full);
    assert_null(wi_handles_check(&r.handles));
    for (int i = MANY - 1; i >= 0; i--)
        wi_handle_release(&r.handles, wi_handle_find(&r.handles, fds[i]));
    assert_int_equal(r.heap.bytes, before);
    free(fds);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handle_released_is_stale_for_ever),
        cmocka_unit_test(test_handle_that_never_was_is_not_found),
        cmocka_unit_test(test_handle_beyond_the_limit_is_emfile),
        cmocka_unit_test(test_handle_without_memory_is_enomem_and_leaves_nothing),
        cmocka_unit_test(test_handle_many_come_and_go_and_memory_returns),
    };
    return cmocka_run_group_tests_name("sock/handle", tests, NULL, NULL);
}
