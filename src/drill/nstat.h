/*
 * nstat and the greps behind it, over the counters of a weir: what was counted since the last time.
 */
#ifndef WDR_NSTAT_H
#define WDR_NSTAT_H

#include <stdint.h>

struct weir;

/*
 * Carry out "nstat … | grep NAME …". *seen: each counter when nstat was last asked; NULL at first, the caller frees it.
 * 0; -ENODATA: grep finds nothing; -ENOSYS: a filter that isn't grep; -ENOMEM.
 */
int wdr_nstat(const struct weir *, uint64_t **seen, const char *pipeline);

#endif
