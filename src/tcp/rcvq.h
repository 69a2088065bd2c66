/*
 * The receiving side's part of a connection: in-order data, out-of-order data, the window's tuning, urgent data. What
 * the rest of TCP calls is declared in conn.h; here is the struct, and what src/tcp/sock.c reads with.
 */
#ifndef WI_TCP_RCVQ_H
#define WI_TCP_RCVQ_H

#include "base/list.h"
#include "base/rbtree.h"
#include "base/seq.h"
#include "wire/tcp.h"
#include <weir/socket.h>

struct wi_tcp_conn;

/*
 * A run of out-of-order bytes without a hole. Runs never touch: their number is the number of holes, and each is a SACK
 * block.
 */
struct wi_tcp_ooo {
    struct wi_rb_node node; /* wi_tcp_rcvq.ooo */
    struct wi_list chunks;  /* struct wi_tcp_chunk */
    struct wi_seq lo, hi;
};

enum wi_tcp_urg {
    WI_TCP_URG_NONE,
    WI_TCP_URG_NOT_YET, /* announced, the byte has not come */
    WI_TCP_URG_VALID,   /* the byte is in urg_byte */
    WI_TCP_URG_READ,    /* and has been read with MSG_OOB */
};

struct wi_tcp_rcvq {
    struct wi_list chunks; /* struct wi_tcp_chunk, in order, from copied_seq on */
    struct wi_rb_root ooo; /* struct wi_tcp_ooo by sequence number */
    uint32_t ooo_n;
    uint32_t ooo_bytes;          /* payload in ooo */
    uint32_t mem_bytes;          /* charged against opts.rcvbuf_bytes: both queues */
    struct wi_seq collapsed_seq; /* in `chunks`, what is before was packed already; of no meaning outside of them */
    struct wi_seq fin_seq;       /* valid while has_fin */
    bool has_fin;

    /* SACK (RFC 2018, RFC 2883) */
    bool has_dsack;
    uint8_t sack_n;
    struct wi_sack_block dsack;
    struct wi_sack_block sacks[WI_TCP_SACK_MAX]; /* the run changed last comes first */

    /* Window and buffer tuning (window.c) */
    uint16_t ratio;              /* of bytes to charge in what arrives, in 1/256: how much of the buffer is window */
    uint32_t rcv_ssthresh_bytes; /* what the window may be for now: grows with well-filled arrivals, as Linux's */
    uint32_t clamp_bytes;        /* and what it may ever be with this buffer; 0 before the connection is established */
    uint32_t drs_space_bytes;    /* the most that was read in one round trip */
    struct wi_seq drs_seq;       /* copied_seq when the round began */
    weir_ns drs_at;
    uint32_t rtt_us;       /* as the receiver sees it; 0: unknown */
    struct wi_seq rtt_seq; /* without timestamps: when rcv_nxt reaches it, a round trip has passed */
    weir_ns rtt_at;
    uint32_t rtt_last_tsecr;

    /* Urgent data (urgent.c, RFC 6093) */
    enum wi_tcp_urg urg;
    struct wi_seq urg_seq; /* of the urgent byte; valid while urg != NONE */
    uint8_t urg_byte;      /* valid in VALID and READ */
};

/* Bytes in order that the reader may have now, up to an urgent mark (what SIOCINQ says). */
uint32_t wi_tcp_rcvq_readable(const struct wi_tcp_conn *);

/* What a segment with `len` bytes is charged, and what more would fit without a charge. */
uint32_t wi_tcp_rcvq_charge(const struct wi_tcp_conn *, uint32_t len, bool is_merged, uint32_t *room);

/* What we have comes again: an ACK is owed that says so (RFC 2883). */
void wi_tcp_rcvq_repeated(struct wi_tcp_conn *, struct wi_seq lo, struct wi_seq hi);

/* Is anything unread at all: does a close now lose data (RFC 9293 MUST-13, RFC 2525 2.17)? */
bool wi_tcp_rcvq_has_unread(const struct wi_tcp_conn *);

/* The urgent byte stands next and is not part of the stream: step over it. */
void wi_tcp_rcvq_skip_urgent(struct wi_tcp_conn *);

/*
 * Move bytes to the caller; MSG_PEEK leaves them, MSG_TRUNC moves none and counts them. Stops at an urgent mark, skips
 * the urgent byte (unless SO_OOBINLINE). Owes a window update when one is due. Returns the bytes, 0 when there are
 * none.
 */
int64_t wi_tcp_rcvq_read(struct wi_tcp_conn *, struct weir_msg *, int flags);

/* The same without copying: at most n views and `max` bytes, whose references become the caller's. Returns the views.
 */
int64_t wi_tcp_rcvq_read_frags(struct wi_tcp_conn *, struct weir_frag *, unsigned n, size_t max, size_t *bytes);

/* MSG_OOB: 1, 0 (nothing comes any more), -EAGAIN announced only, -EINVAL none, read already, or SO_OOBINLINE,
 * -ENOTCONN after a reset. */
int64_t wi_tcp_urgent_read(struct wi_tcp_conn *, struct weir_msg *, int flags);
bool wi_tcp_urgent_pending(const struct wi_tcp_conn *); /* POLLPRI */
bool wi_tcp_urgent_at_mark(const struct wi_tcp_conn *); /* SIOCATMARK */

/* NULL or the broken invariant. Linear. */
const char *wi_tcp_rcvq_check(const struct wi_tcp_conn *);

/*
 * The first window and scale for a receive buffer, as Linux's tcp_select_initial_window. clamp: TCP_WINDOW_CLAMP, 0
 * none; mss: what a full segment will hold. *wnd is in bytes; *wscale is 0 unless wscale_ok.
 */
void wi_tcp_window_first(const struct wi_core *, const struct wi_sk_opts *, uint32_t clamp, uint32_t mss,
                         bool wscale_ok, uint32_t *wnd, uint8_t *wscale);

/* Data of this size came, whose charge counts as used space or doesn't: may the window grow? Linux's tcp_grow_window.
 */
void wi_tcp_window_grow(struct wi_tcp_conn *, uint32_t len, uint32_t charge, bool is_counted);
void wi_tcp_window_measure(struct wi_tcp_conn *, uint32_t len,
                           uint32_t charge);                          /* the peer's segments have a new size */
void wi_tcp_window_reordered(struct wi_tcp_conn *);                   /* data came ahead of a hole */
void wi_tcp_window_raise_clamp(struct wi_tcp_conn *, uint32_t bytes); /* it may be at least so large */
void wi_tcp_window_read(struct wi_tcp_conn *);                        /* the reader took bytes: copied_seq has moved */
bool wi_tcp_window_expand(struct wi_tcp_conn *, uint32_t need); /* try to let the buffer hold `need`; false: it can't */

#endif
