/*
 * A mirrored socket: the weir socket of a program's descriptor, our end of its mirror, and what the program's calls
 * left pending on it.
 */
#ifndef WIR_RUN_SOCK_H
#define WIR_RUN_SOCK_H

#include "run/pump.h"
#include "run/run.h"

enum wir_sock_phase {
    WIR_SOCK_FRESH,      /* neither connected nor listening; the mirror is choked */
    WIR_SOCK_CONNECTING, /* a stream whose handshake runs */
    WIR_SOCK_CONNECTED,  /* the pump moves its bytes */
    WIR_SOCK_LISTENING,
    WIR_SOCK_FAILED, /* a non-blocking connect failed: the mirror shows it, so_error says why */
    WIR_SOCK_DGRAM,  /* a datagram socket, for all of its life */
};

#define WIR_CONTROL_CAP 256

/* The datagram that lies in a mirror, unread: there is never more than one, so its source is known. */
struct wir_staged {
    bool is_there;
    int err; /* not 0: an empty datagram that stands for this error */
    struct weir_msg msg;
    struct weir_sockaddr src;
    size_t len;
};

/* What the program asked to be told with each datagram. */
enum wir_want {
    WIR_WANT_PKTINFO4 = 1 << 0,
    WIR_WANT_PKTINFO6 = 1 << 1,
    WIR_WANT_TTL = 1 << 2,
    WIR_WANT_HOPLIMIT = 1 << 3,
    WIR_WANT_TOS = 1 << 4,
    WIR_WANT_TCLASS = 1 << 5,
};

struct wir_sock {
    LIST_ENTRY(wir_sock) by_inode;
    LIST_ENTRY(wir_sock) by_bound;
    TAILQ_ENTRY(wir_sock) by_retired;
    bool is_bound_listed, is_retired;
    struct wir_run *run;
    uint64_t inode; /* of the program's end */
    int family, type;
    enum wir_sock_phase phase;
    struct wir_pump pump; /* pump.fd: our end of the mirror; pump.net: the weir socket */

    unsigned choke_n;           /* bytes that fill the mirror towards us until the handshake is done */
    bool is_connect_unreported; /* the next connect returns so_error once */
    int so_error;               /* positive, for SO_ERROR */
    unsigned tokens;            /* a listener: bytes in the program's end, one for each connection that waits */
    weir_fd twin;               /* a loopback listener's second ear, on the link's address; else -1 */
    struct wir_net_source twin_source;
    struct wir_sock *undelivered; /* accepted, but a signal took the call away: for the next accept */
    int undelivered_end;

    weir_ns rcv_timeout, snd_timeout; /* 0: for ever */
    struct weir_sockaddr peer;        /* as the program named it */
    bool has_peer;
    struct weir_sockaddr bound_to; /* as the program asked; family 0: it did not */
    bool is_loopback_outside;      /* its peer is on the host's loopback: our own address is shown as loopback too */

    uint32_t wants; /* enum wir_want */
    struct wir_staged staged;
    uint8_t *returned_data; /* a datagram whose receive a signal took away at the last moment: next in turn; or NULL */
    struct wir_staged returned;

    struct wir_waiter_list waiters;
    pid_t last_pid; /* who was last seen to hold it, and as which descriptor */
    int last_fd;
};

struct wir_sock *wir_sock_find(struct wir_run *, uint64_t inode);

/* Make a socket around a weir one, with its mirror; *program_end is the caller's to hand over and close. is_ready: a
 * stream that is connected already. NULL: out of memory or descriptors, and the weir socket is closed. */
struct wir_sock *wir_sock_new(struct wir_run *, int family, int type, weir_fd net, bool is_ready, int *program_end);

/* Give the mirror a new pair (after a failed connect). The program's end, or -errno. */
int wir_sock_renew(struct wir_sock *);

/* Let it go: our end closed, weir socket closed (abort: with a reset), memory buried. */
void wir_sock_free(struct wir_sock *, bool is_abort);

/* A duplicate of the program's end, for a moment; -1: it can't be had. */
int wir_sock_borrow(struct wir_sock *);

/* The handshake is done: empty the choked mirror, so that it turns writable, and start the pump. */
void wir_sock_open(struct wir_sock *);

/* Show a reset: reading gives what had arrived and then ECONNRESET, writing EPIPE. Our end is closed. */
void wir_sock_show_reset(struct wir_sock *);

/* Keep only what answers SO_ERROR, once our end of the mirror is closed. */
void wir_sock_retire(struct wir_sock *);

/* Our own address as the program is to see it: loopback, when its peer is on loopback. */
void wir_sock_show_local(const struct wir_sock *, struct weir_sockaddr *at);

/* Whether a call on it may wait: the descriptor's O_NONBLOCK. */
bool wir_sock_is_nonblocking(const struct wir_call *);

/* File into or out of the list of bound sockets that decide whom a loopback address means. */
void wir_sock_list_bound(struct wir_sock *);

/* Whether something in this run listens there. */
bool wir_sock_is_inside(struct wir_run *, int type, const struct weir_sockaddr *);

/* Where a destination that the program named lies: loopback of the host goes onto the link, unless it is inside. */
struct weir_sockaddr wir_sock_route(struct wir_run *, int type, const struct weir_sockaddr *);

/* A weir datagram socket has something: into the mirror with it, if that is empty. */
void wir_dgram_stage(struct wir_sock *);
void wir_dgram_start(struct wir_sock *);

/* Trapped calls, one for each. call->sock is set, but for socket. */
void wir_on_socket(struct wir_run *, struct wir_call *);
void wir_on_bind(struct wir_run *, struct wir_call *);
void wir_on_connect(struct wir_run *, struct wir_call *);
void wir_on_listen(struct wir_run *, struct wir_call *);
void wir_on_accept(struct wir_run *, struct wir_call *);
void wir_on_getsockname(struct wir_run *, struct wir_call *);
void wir_on_getpeername(struct wir_run *, struct wir_call *);
void wir_on_getsockopt(struct wir_run *, struct wir_call *);
void wir_on_setsockopt(struct wir_run *, struct wir_call *);
void wir_on_shutdown(struct wir_run *, struct wir_call *);
void wir_on_sendto(struct wir_run *, struct wir_call *);
void wir_on_recvfrom(struct wir_run *, struct wir_call *);
void wir_on_sendmsg(struct wir_run *, struct wir_call *);
void wir_on_recvmsg(struct wir_run *, struct wir_call *);
void wir_on_sendmmsg(struct wir_run *, struct wir_call *);
void wir_on_recvmmsg(struct wir_run *, struct wir_call *);
void wir_on_ioctl(struct wir_run *, struct wir_call *);

#endif
