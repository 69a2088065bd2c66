/* SipHash (Aumasson and Bernstein, 2012): a keyed hash of short inputs. 2-4 where an output is shown to peers (initial
 * sequence numbers, ports, cookies), 1-3 where it only picks a bucket. */
#ifndef WI_BASE_SIPHASH_H
#define WI_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define WI_SIPHASH_KEY_LEN 16

/* SipHash-2-4, as the paper's test vectors have it. */
uint64_t wi_siphash24(const uint8_t key[WI_SIPHASH_KEY_LEN], const void *data, size_t len);

/* SipHash-1-3: about twice as fast, for hash tables. */
uint64_t wi_siphash13(const uint8_t key[WI_SIPHASH_KEY_LEN], const void *data, size_t len);

/* wi_siphash24 over the 16 bytes of `a` and `b`, each little endian, without the loop. */
uint64_t wi_siphash_2u64(const uint8_t key[WI_SIPHASH_KEY_LEN], uint64_t a, uint64_t b);

/* The same of wi_siphash13: for tables. */
uint64_t wi_siphash13_2u64(const uint8_t key[WI_SIPHASH_KEY_LEN], uint64_t a, uint64_t b);

#endif
