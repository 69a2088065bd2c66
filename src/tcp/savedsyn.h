/* TCP_SAVE_SYN: the headers of the SYN that a connection began with, kept until its owner reads them. */
#ifndef WI_TCP_SAVEDSYN_H
#define WI_TCP_SAVEDSYN_H

#include "tcp/conn.h"

struct wi_tcp_saved_syn {
    uint32_t len;
    uint8_t bytes[]; /* the link's header if wanted, IP and TCP headers, options and extension headers included */
};

/* NULL: no memory. */
struct wi_tcp_saved_syn *wi_tcp_syn_save(struct wi_core *, const struct wi_tcp_seg *, bool with_link);
void wi_tcp_syn_forget(struct wi_core *, struct wi_tcp_saved_syn *); /* NULL is fine */

/* TCP_SAVED_SYN: once. *len 0: there is none. -EINVAL: too little room, *len says how much there is. */
int wi_tcp_syn_read(struct wi_tcp_conn *, void *value, uint32_t *len);

#endif
