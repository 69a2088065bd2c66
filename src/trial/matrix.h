/*
 * The matrix: every kind of link by every congestion control by seeds, each a steady transfer that is checked
 * (play.h), and the table of goodput that is kept and compared.
 */
#ifndef WTL_MATRIX_H
#define WTL_MATRIX_H

#include "trial/play.h"

#define WTL_CC_MAX 8

struct wtl_cell {
    uint64_t rate_bps;
    weir_ns rtt;
    const char *trouble; /* its name: "loss 1%" */
    const char *words;   /* of it, for the link; "" for none */
    const char *cc;
    uint64_t bytes; /* to transfer: bounded, so that the packets are */
};

/* Cells, in a fixed order, for the congestion controls that this build has; `only` (may be NULL): for that one alone.
 */
unsigned wtl_matrix_cells(const char *only, struct wtl_cell *cells, unsigned cap);  /* of the matrix */
unsigned wtl_goodput_cells(const char *only, struct wtl_cell *cells, unsigned cap); /* of the table */
#define WTL_CELLS_MAX 4096

/* The congestion controls that the stack has, of those that weir knows. Returns how many; names are static. */
unsigned wtl_controls(const char *names[WTL_CC_MAX]);

/* The cell's link, as wio_link_spec_parse reads it. Returns buf. */
const char *wtl_cell_link(const struct wtl_cell *, char *buf, size_t cap);

/* Play one cell with one seed. Returns whether all held. */
bool wtl_cell_play(const struct wtl_cell *, uint64_t seed, struct wtl_outcome *);

/* Says what failed and how to play it again, a line each. */
void wtl_cell_complain(const struct wtl_cell *, uint64_t seed, const struct wtl_outcome *, FILE *);

struct wtl_matrix_plan {
    uint64_t first_seed, seed_n;
    unsigned stride; /* each stride-th cell alone, another set of them for each seed; 0 counts as 1 */
    unsigned jobs;   /* processes, 1 to 64 */
    FILE *complaints;
};

struct wtl_matrix_result {
    uint64_t passed, failed;
    bool is_interrupted; /* by SIGINT: there was more to play */
};

/*
 * Play cells by seeds.
 *
 * goodput   NULL, or a place for cell_n × seed_n figures (bits per second, 0: failed or not played): cell by cell
 *
 * Returns 0, or a negative errno where processes or memory are short.
 */
int wtl_matrix_run(const struct wtl_cell *cells, unsigned cell_n, const struct wtl_matrix_plan *, uint64_t *goodput,
                   struct wtl_matrix_result *);

#endif
