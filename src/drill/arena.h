/*
 * Memory that goes all at once: what a script's parts live in.
 */
#ifndef WDR_ARENA_H
#define WDR_ARENA_H

#include <stddef.h>

struct wdr_arena;

struct wdr_arena *wdr_arena_new(void); /* NULL: out of memory */
void wdr_arena_free(struct wdr_arena *);

/* Zeroed, aligned for anything. Ends the process when there is no memory: a tool can do nothing better. */
void *wdr_arena_take(struct wdr_arena *, size_t);

/* A copy with a NUL behind it. */
char *wdr_arena_text(struct wdr_arena *, const char *, size_t len);

#endif
