/*
 * Longest prefix match: an index over prefixes that others own. A trie of one byte a step; what lies alone below a step
 * hangs there itself, so that few prefixes take few nodes, and a lookup among many takes no more steps than the
 * prefixes that share bytes need: at most four for IPv4, as many as there are bytes for IPv6.
 */
#ifndef WI_NET_LPM_H
#define WI_NET_LPM_H

#include "base/alloc.h"
#include <weir/types.h>

/* A prefix that is in an index; its owner keeps it alive and unchanged until it is removed. */
struct wi_lpm_entry {
    _Alignas(8) struct weir_addr prefix; /* bits beyond the length are 0. Aligned: a bit of its address is the trie's */
    uint8_t len128;                      /* of the mapped form: 96 and more for IPv4 */
};

struct wi_lpm {
    struct wi_mem *mem;
    const struct wi_lpm_entry *whole[2]; /* the prefix of no bits, IPv6's and IPv4's (96 of the mapped form) */
    void *root[2];                       /* a step or an entry (lpm.c) */
};

void wi_lpm_init(struct wi_lpm *, struct wi_mem *);

/* The prefix must not be in the index. False: out of memory, and nothing has changed. */
bool wi_lpm_insert(struct wi_lpm *, const struct wi_lpm_entry *);

/*
 * Take the entry out, which is in the index. cover: the longest other prefix in the index that holds all of it and is
 * not shorter than wi_lpm_cover_min; NULL when there is none.
 */
void wi_lpm_remove(struct wi_lpm *, const struct wi_lpm_entry *, const struct wi_lpm_entry *cover);

/* The shortest that a prefix may be which takes the entry's place in its step: it ends in the same byte. */
unsigned wi_lpm_cover_min(const struct wi_lpm_entry *);

/* The longest prefix that holds the address (IPv4's are those of 96 bits and more), NULL when none does. */
const struct wi_lpm_entry *wi_lpm_find(const struct wi_lpm *, const struct weir_addr *);

#endif
