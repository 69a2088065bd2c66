/*
 * libc's own calls, which the library's interposed ones hide.
 */
#ifndef WDR_SO_REAL_H
#define WDR_SO_REAL_H

#include <dlfcn.h>
#include <string.h>

/* libc's function of that name. Looked up each time: these calls are few, and no order of start-up matters. */
#define WDR_REAL(fn, name)                                                                                             \
    do {                                                                                                               \
        void *symbol_ = dlsym(RTLD_NEXT, name);                                                                        \
        memcpy(&(fn), &symbol_, sizeof symbol_);                                                                       \
    } while (0)

int wdr_real_close(int fd);

struct wdr_so;
struct wdr_so *wdr_so_owner(int fd); /* NULL: it is none of ours */

#endif
