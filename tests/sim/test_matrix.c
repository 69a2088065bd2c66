/*
 * A sample of the matrix (weir sim matrix plays the whole) and of the table of goodput.
 */
#include "trial/goodput.h"
#include "trial/matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define STRIDE         16 /* each seed plays other cells, so 16 seeds play each cell once */
#define SEEDS          8
#define GOODPUT_STRIDE 17

static void test_matrix_sample_holds(void **state)
{
    (void)state;
    static struct wtl_cell cells[WTL_CELLS_MAX];
    unsigned n = wtl_matrix_cells(NULL, cells, WTL_CELLS_MAX);
    assert_true(n > 500 && n < WTL_CELLS_MAX);
    struct wtl_matrix_plan plan = {.seed_n = SEEDS, .stride = STRIDE, .jobs = 1, .complaints = stderr};
    struct wtl_matrix_result r;
    assert_int_equal(wtl_matrix_run(cells, n, &plan, NULL, &r), 0);
    assert_int_equal(r.failed, 0);
    assert_true(r.passed >= n / STRIDE * SEEDS);
}

/* A policer that never finds its bucket empty is none. */
static void test_matrix_policer_drops_at_every_rate(void **state)
{
    (void)state;
    static struct wtl_cell cells[WTL_CELLS_MAX];
    unsigned n = wtl_matrix_cells("cubic", cells, WTL_CELLS_MAX), policed = 0;
    for (unsigned i = 0; i < n; i++) {
        struct wtl_outcome o;
        if (strcmp(cells[i].trouble, "policer") != 0)
            continue;
        assert_true(wtl_cell_play(&cells[i], 1, &o));
        assert_true(o.drops > 0 && o.retransmits > 0);
        policed++;
    }
    assert_int_equal(policed, 20);
}

static void test_matrix_processes_find_what_one_finds(void **state)
{
    (void)state;
    struct wtl_cell cells[5] = {{0}};
    for (unsigned i = 0; i < 5; i++)
        cells[i] = (struct wtl_cell){.rate_bps = 10000000,
                                     .rtt = WEIR_MS(10 * (i + 1)),
                                     .trouble = "loss",
                                     .words = i == 3 ? "loss=100%" : "loss=2%", /* it can't end */
                                     .cc = "reno",
                                     .bytes = 20000};
    uint64_t figures[2][15];
    for (unsigned jobs = 1; jobs <= 2; jobs++) {
        FILE *complaints = tmpfile();
        struct wtl_matrix_plan plan = {.first_seed = 1, .seed_n = 3, .jobs = jobs, .complaints = complaints};
        struct wtl_matrix_result r;
        assert_int_equal(wtl_matrix_run(cells, 5, &plan, figures[jobs - 1], &r), 0);
        assert_int_equal(r.passed, 12);
        assert_int_equal(r.failed, 3);
        fclose(complaints);
    }
    assert_memory_equal(figures[0], figures[1], sizeof figures[0]);
    for (unsigned i = 0; i < 15; i++)
        assert_true((figures[0][i] == 0) == (i / 3 == 3));
}

/* Half of what should come through is no goodput that passes. */
static void test_goodput_figure_that_is_off_is_found(void **state)
{
    (void)state;
    char name[] = "/tmp/weir-goodput-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    FILE *page = fdopen(fd, "w");
    fputs("| rate | round trip | loss | reno |\n|---|---|---|---:|\n| 10mbit | 10ms | 0 | 4.5 |\n", page);
    fclose(page);
    unsigned compared = 0;
    int off = wtl_goodput_compare(name, 10000, 1, &compared); /* the first cell alone: that one, with reno */
    unlink(name);
    assert_int_equal(compared, 1);
    assert_int_equal(off, 1);
}

static void test_goodput_is_what_the_page_says(void **state)
{
    (void)state;
    char path[512];
    unsigned compared = 0;
    snprintf(path, sizeof path, "%s/docs/goodput.md", getenv("WEIR_SOURCE") ? getenv("WEIR_SOURCE") : ".");
    assert_int_equal(wtl_goodput_compare(path, GOODPUT_STRIDE, 1, &compared), 0);
    assert_true(compared > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_sample_holds),
        cmocka_unit_test(test_matrix_policer_drops_at_every_rate),
        cmocka_unit_test(test_matrix_processes_find_what_one_finds),
        cmocka_unit_test(test_goodput_figure_that_is_off_is_found),
        cmocka_unit_test(test_goodput_is_what_the_page_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
