/* The four byte functions that a freestanding implementation still provides (C11 4.6 leaves <string.h> out). The core
 * may call these and no other library function. */
#ifndef WI_BASE_STR_H
#define WI_BASE_STR_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memmove(void *dst, const void *src, size_t len);
void *memset(void *dst, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

/* -ffreestanding takes the compiler's own knowledge of them away. Given back for these four alone: a copy of four bytes
 * is one load again, and no loop becomes a call of strlen. */
#if !__STDC_HOSTED__
#define memcpy(...)  __builtin_memcpy(__VA_ARGS__)
#define memmove(...) __builtin_memmove(__VA_ARGS__)
#define memset(...)  __builtin_memset(__VA_ARGS__)
#define memcmp(...)  __builtin_memcmp(__VA_ARGS__)
#endif

#endif
