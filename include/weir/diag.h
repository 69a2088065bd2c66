/*
 * All sockets of a stack, for whoever shows them to a person: what Linux tells by sock_diag(7) and ss(8) prints. Beside
 * the sockets that have a handle these are the connections that nobody holds: half-open ones, such as wait for accept,
 * closed ones whose protocol goes on, TIME-WAIT.
 */
#ifndef WEIR_DIAG_H
#define WEIR_DIAG_H

#include <weir/socket.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir;

/* Linux's numbers for the states of TCP, as weir_tcp_info.state has them. UDP: ESTABLISHED with a peer, else CLOSE. */
enum weir_sock_state {
    WEIR_SOCK_ESTABLISHED = 1,
    WEIR_SOCK_SYN_SENT,
    WEIR_SOCK_SYN_RECV,
    WEIR_SOCK_FIN_WAIT_1,
    WEIR_SOCK_FIN_WAIT_2,
    WEIR_SOCK_TIME_WAIT,
    WEIR_SOCK_CLOSE,
    WEIR_SOCK_CLOSE_WAIT,
    WEIR_SOCK_LAST_ACK,
    WEIR_SOCK_LISTEN,
    WEIR_SOCK_CLOSING,
    WEIR_SOCK_STATE_N,
};

/* What it waits for, Linux's idiag_timer. */
enum weir_sock_timer {
    WEIR_SOCK_TIMER_NONE,
    WEIR_SOCK_TIMER_RETRANSMIT, /* or a tail loss probe, or the reordering timer; a SYN-ACK's */
    WEIR_SOCK_TIMER_KEEPALIVE,
    WEIR_SOCK_TIMER_TIME_WAIT,
    WEIR_SOCK_TIMER_PERSIST,
};

#define WEIR_CC_NAME_CAP 16

struct weir_sock_info {
    weir_fd fd;  /* its handle; -1: nobody holds it */
    uint64_t id; /* weir_event.conn_id */
    uint16_t family;
    uint8_t protocol;    /* WEIR_IPPROTO_TCP, WEIR_IPPROTO_UDP */
    uint8_t state;       /* enum weir_sock_state */
    uint8_t timer;       /* enum weir_sock_timer */
    uint8_t timer_tries; /* how often it has fired in a row */
    bool is_parked;      /* an idle connection in its small form; it was not woken for this */
    bool is_v6only;
    uint8_t shutdown;                   /* 1: receiving has ended, 2: sending, 3: both */
    bool has_tcp_info;                  /* what was asked for as struct weir_tcp_info is filled in */
    struct weir_sockaddr local, remote; /* port 0: none */
    int netif;                          /* SO_BINDTODEVICE, 0: any */
    /* Bytes that wait to be read, and that are not acknowledged yet. LISTEN: connections that wait for accept, and how
     * many may (Linux's Recv-Q and Send-Q). */
    uint32_t recv_q, send_q;
    weir_ns timer_left;                /* until it fires; valid with a timer */
    uint32_t meminfo[WEIR_MEMINFO_N];  /* 0 where nobody holds buffers: SYN-RECV, TIME-WAIT */
    char congestion[WEIR_CC_NAME_CAP]; /* "" of what has none */
    union weir_tcp_cc_info cc_info;    /* of that control, */
    uint32_t cc_info_len;              /* if it is not 0 */
};

/* Where a walk over the sockets has come to. Begin with all of it 0, or a protocol that alone is wanted. */
struct weir_sock_cursor {
    uint8_t protocol; /* 0: all */
    uint8_t stage;
    uint32_t index, given_n;
    uint64_t at;
};

/*
 * The next socket, in no order. 1, or 0 past the last: *info and *tcp are as they were then.
 *
 * tcp   NULL, or filled with what WEIR_TCP_INFO tells, where info->has_tcp_info says so
 *
 * The stack may go on between two calls: a socket that exists from the first to the last is given exactly once; a
 * connection may be given a second time when it passes from one kind to another meanwhile (half-open to established,
 * closed to TIME-WAIT). It changes nothing, wakes nothing, and takes no memory. O(1) amortised over a walk.
 */
int weir_sock_next(const struct weir *, struct weir_sock_cursor *, struct weir_sock_info *info,
                   struct weir_tcp_info *tcp);

#ifdef __cplusplus
}
#endif
#endif
