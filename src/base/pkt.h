/* What the core knows of packets beyond weir/pkt.h. */
#ifndef WI_BASE_PKT_H
#define WI_BASE_PKT_H

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/slab.h"
#include <stdbool.h>
#include <weir/pkt.h>

/* The accounts that a pool allocates on: one limit for the packets and all else of a stack. Lives as long as the pool.
 */
struct wi_mem *wi_pool_mem(struct weir_pool *);

/* Tell the time now and then: when nothing has been taken from the pool for a second, what it holds in reserve goes
 * back.
 */
void wi_pool_idle(struct weir_pool *, weir_ns now);

/* A slab on the pool's accounts, for what is taken with every packet: what it holds in reserve goes back with the
 * pool's. wi_slab_fini comes before weir_pool_free. */
void wi_pool_slab_init(struct weir_pool *, struct wi_slab *, size_t obj_size, const char *name);

/* How sums over payload are made here. */
const struct wi_csum_form *wi_pool_csum(const struct weir_pool *);

/* Fragments of a packet that was widened: 64 KiB in segments of 1,100 bytes or more. */
#define WI_PKT_FRAGS_WIDE 64

/* Let a packet have WI_PKT_FRAGS_WIDE fragments. It may be handed up the stack, never to a driver. False: no memory. */
bool wi_pkt_widen(struct weir_pkt *);

/* Append a view where there is room for it: what weir_pkt_append does for all. */
static inline void wi_pkt_add_view(struct weir_pkt *p, struct weir_block *block, uint32_t off, uint32_t len)
{
    block->refs++;
    p->frags[p->frag_n++] = (struct weir_frag){.block = block, .off = off, .len = len};
    p->len += len;
}

/* weir_pkt_pull, where nearly always nothing need be gathered. */
static inline const uint8_t *wi_pkt_pull(struct weir_pkt *p, size_t len)
{
    if (len <= p->head_len)
        return p->room + p->head_off;
    if (p->head_len == 0 && p->frag_n > 0 && len <= p->frags[0].len)
        return p->frags[0].block->data + p->frags[0].off;
    return weir_pkt_pull(p, len);
}

/* The bytes of a packet's head: headers, contiguous, writable while the packet has one reference. */
static inline uint8_t *wi_pkt_head(struct weir_pkt *p)
{
    return p->room + p->head_off;
}

#endif
