/*
 * libc's own calls, which the library's interposed ones hide.
 */
#ifndef WDR_SO_REAL_H
#define WDR_SO_REAL_H

int wdr_real_close(int fd);

#endif
