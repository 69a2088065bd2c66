/*
 * The receiving side's part of a connection: in-order data, out-of-order data, the window's tuning, urgent data.
 */
#ifndef WI_TCP_RCVQ_H
#define WI_TCP_RCVQ_H

#include "base/list.h"
#include "base/rbtree.h"
#include "base/seq.h"
#include <weir/types.h>

struct wi_tcp_rcvq {
    struct wi_list chunks; /* in order, from copied_seq on */
    struct wi_rb_root ooo; /* out of order, by sequence number */
    uint32_t mem_bytes;    /* charged against opts.rcvbuf_bytes */
    struct wi_seq fin_seq; /* valid while has_fin */
    bool has_fin;
};

#endif
