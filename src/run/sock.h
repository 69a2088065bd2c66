/*
 * A mirrored socket: the weir socket of a program's descriptor, our end of its mirror, and what the program's calls left
 * pending on it.
 */
#ifndef WI_RUN_SOCK_H
#define WI_RUN_SOCK_H

#include "run/pump.h"
#include "run/run.h"

enum wi_sock_phase {
    WI_SOCK_FRESH,      /* neither connected nor listening; the mirror is choked */
    WI_SOCK_CONNECTING, /* a stream whose handshake runs */
    WI_SOCK_CONNECTED,  /* the pump moves its bytes */
    WI_SOCK_LISTENING,
    WI_SOCK_FAILED, /* a non-blocking connect failed: the mirror shows it, so_error says why */
    WI_SOCK_DGRAM,  /* a datagram socket, for all of its life */
};

#define WI_CONTROL_CAP 256

/* The datagram that lies in a mirror, unread: there is never more than one, so its source is known. */
struct wi_staged {
    bool is_there;
    int err; /* not 0: an empty datagram that stands for this error */
    struct weir_msg msg;
    struct weir_sockaddr src;
    size_t len;
};

/* What the program asked to be told with each datagram. */
enum wi_want {
    WI_WANT_PKTINFO4 = 1 << 0,
    WI_WANT_PKTINFO6 = 1 << 1,
    WI_WANT_TTL = 1 << 2,
    WI_WANT_HOPLIMIT = 1 << 3,
    WI_WANT_TOS = 1 << 4,
    WI_WANT_TCLASS = 1 << 5,
};

struct wi_sock {
    LIST_ENTRY(wi_sock) by_inode;
    LIST_ENTRY(wi_sock) by_bound;
    bool is_bound_listed;
    struct wi_run *run;
    uint64_t inode; /* of the program's end */
    int family, type;
    enum wi_sock_phase phase;
    struct wi_pump pump; /* pump.fd: our end of the mirror; pump.net: the weir socket */

    unsigned choke_n;           /* bytes that fill the mirror towards us until the handshake is done */
    bool is_connect_unreported; /* the next connect returns so_error once */
    int so_error;               /* positive, for SO_ERROR */
    unsigned tokens;            /* a listener: bytes in the program's end, one for each connection that waits */
    weir_fd twin;               /* a loopback listener's second ear, on the link's address; else -1 */
    struct wi_net_source twin_source;
    struct wi_sock *undelivered; /* accepted, but a signal took the call away: for the next accept */

    weir_ns rcv_timeout, snd_timeout; /* 0: for ever */
    struct weir_sockaddr peer;        /* as the program named it */
    bool has_peer;
    struct weir_sockaddr bound_to; /* as the program asked; family 0: it did not */
    bool has_route_local;          /* talks over the link to the host's loopback: show a loopback address as our own */

    uint32_t wants; /* enum wi_want */
    struct wi_staged staged;

    struct wi_waiter_list waiters;
    pid_t last_pid; /* who was last seen to hold it, and as which descriptor */
    int last_fd;
};

struct wi_sock *wi_sock_find(struct wi_run *, uint64_t inode);

/* Make a socket around a weir one, with its mirror; *program_end is the caller's to hand over and close. is_ready: a
 * stream that is connected already. NULL: out of memory or descriptors, and the weir socket is closed. */
struct wi_sock *wi_sock_new(struct wi_run *, int family, int type, weir_fd net, bool is_ready, int *program_end);

/* Give the mirror a new pair (after a failed connect). The program's end, or -errno. */
int wi_sock_renew(struct wi_sock *);

/* Let it go: our end closed, weir socket closed (abort: with a reset), memory buried. */
void wi_sock_free(struct wi_sock *, bool is_abort);

/* A duplicate of the program's end, for a moment; -1: it can't be had. */
int wi_sock_borrow(struct wi_sock *);

/* The handshake is done: empty the choked mirror, so that it turns writable, and start the pump. */
void wi_sock_open(struct wi_sock *);

/* Show a reset: reading gives what had arrived and then ECONNRESET, writing EPIPE. Our end is closed. */
void wi_sock_show_reset(struct wi_sock *);

/* Whether a call on it may wait: the descriptor's O_NONBLOCK. */
bool wi_sock_is_nonblocking(const struct wi_call *);

/* File into or out of the list of bound sockets that decide whom a loopback address means. */
void wi_sock_list_bound(struct wi_sock *);

/* Whether something in this run listens there. */
bool wi_sock_is_inside(struct wi_run *, int type, const struct weir_sockaddr *);

/* Where a destination that the program named lies: loopback of the host goes onto the link, unless it is inside. */
struct weir_sockaddr wi_sock_route(struct wi_run *, int type, const struct weir_sockaddr *);

/* A weir datagram socket has something: into the mirror with it, if that is empty. */
void wi_dgram_stage(struct wi_sock *);
void wi_dgram_start(struct wi_sock *);

/* Our end of a listener's mirror shows one byte for each connection that waits. */
void wi_listener_take_token(struct wi_sock *);

/* Trapped calls, one for each. call->sock is set, but for socket. */
void wi_on_socket(struct wi_run *, struct wi_call *);
void wi_on_bind(struct wi_run *, struct wi_call *);
void wi_on_connect(struct wi_run *, struct wi_call *);
void wi_on_listen(struct wi_run *, struct wi_call *);
void wi_on_accept(struct wi_run *, struct wi_call *);
void wi_on_getsockname(struct wi_run *, struct wi_call *);
void wi_on_getpeername(struct wi_run *, struct wi_call *);
void wi_on_getsockopt(struct wi_run *, struct wi_call *);
void wi_on_setsockopt(struct wi_run *, struct wi_call *);
void wi_on_shutdown(struct wi_run *, struct wi_call *);
void wi_on_sendto(struct wi_run *, struct wi_call *);
void wi_on_recvfrom(struct wi_run *, struct wi_call *);
void wi_on_sendmsg(struct wi_run *, struct wi_call *);
void wi_on_recvmsg(struct wi_run *, struct wi_call *);
void wi_on_sendmmsg(struct wi_run *, struct wi_call *);
void wi_on_recvmmsg(struct wi_run *, struct wi_call *);
void wi_on_ioctl(struct wi_run *, struct wi_call *);

#endif
