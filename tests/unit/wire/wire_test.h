/*
 * What the tests of the codecs share: cmocka, addresses, and buffers whose end the sanitizer watches.
 */
#ifndef WIRE_TEST_H
#define WIRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include <weir/drop.h>
#include <weir/types.h>

/* A copy that ends where its allocation ends, so that a read beyond it is caught. free() it. */
static inline uint8_t *exact_copy(const void *p, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    if (len)
        memcpy(copy, p, len);
    return copy;
}

static inline struct weir_addr addr(const char *text)
{
    struct weir_addr a;

    assert_int_equal(weir_addr_parse(&a, text), 0);
    return a;
}

static inline void assert_addr(const struct weir_addr *a, const char *text)
{
    char buf[WEIR_ADDR_TEXT_CAP];

    assert_string_equal(weir_addr_format(a, buf, sizeof(buf)), text);
}

#endif
