/*
 * Memory that a call names and that may not be there: a script may pass any pointer.
 */
#ifndef WDR_SO_MEMORY_H
#define WDR_SO_MEMORY_H

#include "drill/posix.h"

/* Look at what the call reads or writes: 0, or -EFAULT when any of it is not there. The kernel takes what comes before
 * the fault where that fills a buffer of its own; no script is that large. A Fast Open sends its SYN all the same: its
 * buffer is NULL then. */
int wdr_so_check_memory(struct wdr_op *);

#endif
