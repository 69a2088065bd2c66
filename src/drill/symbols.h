/*
 * The constants that scripts name, Linux's: AF_INET, O_NONBLOCK, TCP_NODELAY, EPOLLIN …
 */
#ifndef WDR_SYMBOLS_H
#define WDR_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

/* false: there is no such constant. */
bool wdr_symbol(const char *name, int64_t *value);

/* The errno of a name, 0 when there is none of it. */
int wdr_errno_number(const char *name);

/* "EAGAIN", or "E?" */
const char *wdr_errno_name(int number);

#endif
