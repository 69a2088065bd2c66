/*
 * Values with units as tc(8) writes them: "10mbit", "40ms", "1%", "64k". Case does not matter, exponents and signs are
 * not taken, and nothing may follow.
 */
#ifndef WIO_UNITS_H
#define WIO_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wio_unit {
    WIO_UNIT_RATE,    /* bits per second; kbit is 1,000 bits, kibit 1,024, kbps 1,000 bytes; bare: bits */
    WIO_UNIT_TIME,    /* nanoseconds; s, ms, us, ns; bare: microseconds, as tc has it */
    WIO_UNIT_PERCENT, /* units of 1e-9; the % may be left out */
    WIO_UNIT_SIZE,    /* bytes; k is 1,024 */
    WIO_UNIT_MILLI,   /* a plain number, in thousandths */
    WIO_UNIT_COUNT,   /* a whole number */
};

/* Read `len` bytes of text. false: no such value, or one beyond 64 bits. Digits below the resolution are cut off. */
bool wio_unit_parse(enum wio_unit, const char *text, size_t len, uint64_t *value);

/* Write the shortest text that reads as that value again. Returns buf; 32 bytes suffice. */
const char *wio_unit_format(enum wio_unit, uint64_t value, char *buf, size_t cap);

const char *wio_unit_name(enum wio_unit); /* "a rate" */

/* Which of n names is nearest to `len` bytes of text, or NULL when none is near (two edits at most). */
const char *wio_nearest(const char *const *names, size_t n, const char *text, size_t len);

#endif
