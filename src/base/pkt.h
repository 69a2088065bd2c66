/* What the core knows of packets beyond weir/pkt.h. */
#ifndef WI_BASE_PKT_H
#define WI_BASE_PKT_H

#include "base/alloc.h"
#include "base/checksum.h"
#include <weir/pkt.h>

/* The accounts that a pool allocates on: one limit for the packets and all else of a stack. Lives as long as the pool.
 */
struct wi_mem *wi_pool_mem(struct weir_pool *);

/* How sums over payload are made here. */
const struct wi_csum_form *wi_pool_csum(const struct weir_pool *);

/* The bytes of a packet's head: headers, contiguous, writable while the packet has one reference. */
static inline uint8_t *wi_pkt_head(struct weir_pkt *p)
{
    return p->room + p->head_off;
}

#endif
