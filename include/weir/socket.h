/*
 * Sockets: POSIX's names, flags, constants and error numbers (Linux's values), on handles of one stack.
 *
 * No call blocks: where POSIX would, it returns -EAGAIN (connect: -EINPROGRESS). Every call returns a count, a handle
 * or 0, or a negative errno of <weir/errno.h>; -EBADF for a stale handle, -ENOTSOCK for an epoll object and -ENOBUFS
 * for a TCP connection that idles and now lacks the memory to do more (try later; poll, recv, close and abort do
 * without) are common to all and not repeated below.
 *
 * No call takes the time: it is what weir_input or weir_advance said last, so call weir_advance first if that is long
 * ago. What a call gives cause to send leaves through the interfaces' xmit before it returns.
 */
#ifndef WEIR_SOCKET_H
#define WEIR_SOCKET_H

#include <weir/errno.h>
#include <weir/ledger.h>
#include <weir/pkt.h>
#include <weir/stack.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_SOCK_STREAM 1
#define WEIR_SOCK_DGRAM  2
#define WEIR_IPPROTO_TCP 6
#define WEIR_IPPROTO_UDP 17

#define WEIR_SHUT_RD   0
#define WEIR_SHUT_WR   1
#define WEIR_SHUT_RDWR 2

/* Flags of send and recv, as Linux's MSG_*. MSG_DONTWAIT, MSG_WAITALL and MSG_NOSIGNAL are taken and change nothing:
 * weir never waits nor signals. */
#define WEIR_MSG_OOB      0x1
#define WEIR_MSG_PEEK     0x2
#define WEIR_MSG_TRUNC    0x20
#define WEIR_MSG_DONTWAIT 0x40
#define WEIR_MSG_EOR      0x80
#define WEIR_MSG_WAITALL  0x100
#define WEIR_MSG_ERRQUEUE 0x2000
#define WEIR_MSG_NOSIGNAL 0x4000
#define WEIR_MSG_MORE     0x8000
#define WEIR_MSG_ZEROCOPY 0x4000000  /* TCP, with SO_ZEROCOPY: tell by MSG_ERRQUEUE when the bytes are acknowledged */
#define WEIR_MSG_FASTOPEN 0x20000000 /* TCP: connect to the message's name, the bytes in the SYN (RFC 7413) */

/* Levels and options, as Linux's. Their values are the same C types as Linux's (int unless noted). */
#define WEIR_SOL_SOCKET 1
#define WEIR_SOL_IP     0
#define WEIR_SOL_IPV6   41
#define WEIR_SOL_TCP    6
#define WEIR_SOL_UDP    17
#define WEIR_SOL_WEIR   0x7765 /* weir's own, below */

#define WEIR_SO_REUSEADDR       2
#define WEIR_SO_TYPE            3
#define WEIR_SO_ERROR           4
#define WEIR_SO_BROADCAST       6
#define WEIR_SO_SNDBUF          7
#define WEIR_SO_RCVBUF          8
#define WEIR_SO_KEEPALIVE       9
#define WEIR_SO_OOBINLINE       10
#define WEIR_SO_LINGER          13 /* struct weir_linger */
#define WEIR_SO_REUSEPORT       15
#define WEIR_SO_RCVLOWAT        18
#define WEIR_SO_SNDLOWAT        19 /* get only: 1 */
#define WEIR_SO_BINDTODEVICE    25 /* a name */
#define WEIR_SO_ACCEPTCONN      30
#define WEIR_SO_SNDBUFFORCE     32
#define WEIR_SO_RCVBUFFORCE     33
#define WEIR_SO_TIMESTAMPING    37 /* TCP: enum weir_timestamping */
#define WEIR_SO_PROTOCOL        38
#define WEIR_SO_DOMAIN          39
#define WEIR_SO_MAX_PACING_RATE 47 /* bytes a second, unsigned int or uint64_t; all ones: no limit */
#define WEIR_SO_MEMINFO         55 /* uint32_t [9], enum weir_meminfo */
#define WEIR_SO_COOKIE          57 /* get only, uint64_t: as WEIR_OPT_CONN_ID */
#define WEIR_SO_ZEROCOPY        60 /* TCP: MSG_ZEROCOPY counts */
#define WEIR_SO_BINDTOIFINDEX   62
#define WEIR_SO_BUF_LOCK        72 /* 1: SO_SNDBUF is the user's, 2: SO_RCVBUF; else it grows with the need */
#define WEIR_SO_TXREHASH        74 /* TCP: a timeout changes the flow label, to try another path; -1: the default */

#define WEIR_IP_TOS                  1
#define WEIR_IP_TTL                  2
#define WEIR_IP_PKTINFO              8
#define WEIR_IP_MTU_DISCOVER         10
#define WEIR_IP_RECVERR              11
#define WEIR_IP_RECVTTL              12
#define WEIR_IP_RECVTOS              13
#define WEIR_IP_MTU                  14
#define WEIR_IP_FREEBIND             15
#define WEIR_IP_TRANSPARENT          19
#define WEIR_IP_MINTTL               21 /* TCP: drop what comes with less (RFC 5082) */
#define WEIR_IP_BIND_ADDRESS_NO_PORT 24
#define WEIR_IP_MULTICAST_IF         32 /* struct weir_mreqn, or 4 bytes of address */
#define WEIR_IP_MULTICAST_TTL        33
#define WEIR_IP_MULTICAST_LOOP       34
#define WEIR_IP_ADD_MEMBERSHIP       35 /* struct weir_mreqn, or its first 8 bytes */
#define WEIR_IP_DROP_MEMBERSHIP      36

#define WEIR_IPV6_UNICAST_HOPS   16
#define WEIR_IPV6_MULTICAST_IF   17
#define WEIR_IPV6_MULTICAST_HOPS 18
#define WEIR_IPV6_MULTICAST_LOOP 19
#define WEIR_IPV6_JOIN_GROUP     20 /* struct weir_ipv6_mreq */
#define WEIR_IPV6_LEAVE_GROUP    21
#define WEIR_IPV6_MTU_DISCOVER   23
#define WEIR_IPV6_MTU            24
#define WEIR_IPV6_RECVERR        25
#define WEIR_IPV6_V6ONLY         26
#define WEIR_IPV6_RECVPKTINFO    49
#define WEIR_IPV6_RECVHOPLIMIT   51
#define WEIR_IPV6_RECVTCLASS     66
#define WEIR_IPV6_TCLASS         67
#define WEIR_IPV6_MINHOPCOUNT    73 /* TCP: drop what comes with less (RFC 5082) */
#define WEIR_IPV6_TRANSPARENT    75
#define WEIR_IPV6_FREEBIND       78

#define WEIR_TCP_NODELAY              1
#define WEIR_TCP_MAXSEG               2
#define WEIR_TCP_CORK                 3
#define WEIR_TCP_KEEPIDLE             4 /* seconds */
#define WEIR_TCP_KEEPINTVL            5 /* seconds */
#define WEIR_TCP_KEEPCNT              6
#define WEIR_TCP_SYNCNT               7
#define WEIR_TCP_LINGER2              8
#define WEIR_TCP_DEFER_ACCEPT         9
#define WEIR_TCP_WINDOW_CLAMP         10
#define WEIR_TCP_INFO                 11 /* struct weir_tcp_info, cut to the caller's length */
#define WEIR_TCP_QUICKACK             12
#define WEIR_TCP_CONGESTION           13 /* a name */
#define WEIR_TCP_THIN_LINEAR_TIMEOUTS 16 /* timeouts of a thin stream don't back off at first */
#define WEIR_TCP_USER_TIMEOUT         18 /* milliseconds */
#define WEIR_TCP_FASTOPEN             23 /* a listener: pending Fast Open requests at most, 0 off */
#define WEIR_TCP_TIMESTAMP            24
#define WEIR_TCP_NOTSENT_LOWAT        25
#define WEIR_TCP_CC_INFO              26 /* union weir_tcp_cc_info; no bytes for a controller that has nothing to tell */
#define WEIR_TCP_SAVE_SYN             27 /* a listener keeps the headers of SYNs: 1; 2: the link's too */
#define WEIR_TCP_SAVED_SYN            28 /* get: the headers, once */
#define WEIR_TCP_FASTOPEN_CONNECT     30 /* with a cookie, connect waits for the first write */
#define WEIR_TCP_FASTOPEN_KEY         33 /* 16 bytes, or 32: the current key and the last one */
#define WEIR_TCP_FASTOPEN_NO_COOKIE   34 /* neither asked for nor sent */
#define WEIR_TCP_INQ                  36
#define WEIR_TCP_RTO_MAX_MS           44
#define WEIR_TCP_RTO_MIN_US           45
#define WEIR_TCP_DELACK_MAX_US        46

/* weir's own options, at WEIR_SOL_WEIR, before bind or listen. */
enum weir_option {
    WEIR_OPT_ANY_PORT =
        1, /* bind: the socket takes what arrives for any port that nobody else has: a transparent gateway */
    WEIR_OPT_HOLD_SYN =
        2, /* a listener: don't answer a SYN, let accept return it held (weir_tcp_admit, weir_tcp_refuse) */
    WEIR_OPT_CONN_ID = 3, /* get only, uint64_t: the id that this socket's events carry */
    WEIR_OPT_RACK = 4,    /* TCP: loss detection by time: 0 off, 1 on, -1 as tcp_recovery says (RFC 8985) */
    WEIR_OPT_TLP = 5,     /* TCP: tail loss probes: 0 off, 1 on, -1 as tcp_early_retrans says (RFC 8985 7) */
};

/* SO_TIMESTAMPING, as Linux's SOF_TIMESTAMPING_*. TX_*: a notice in the error queue when the last byte of a write is
 * handed to the link's queue, to the link, and is acknowledged. SOFTWARE: with its time. OPT_ID: with the byte's
 * number, counted from snd_una (OPT_ID_TCP: from the next byte written) when it was set. */
enum weir_timestamping {
    WEIR_TIMESTAMPING_TX_SOFTWARE = 1 << 1,
    WEIR_TIMESTAMPING_RX_SOFTWARE = 1 << 3, /* recvmsg: WEIR_HAS_STAMP, when the last segment of what is read came */
    WEIR_TIMESTAMPING_SOFTWARE = 1 << 4,
    WEIR_TIMESTAMPING_OPT_ID = 1 << 7,
    WEIR_TIMESTAMPING_TX_SCHED = 1 << 8,
    WEIR_TIMESTAMPING_TX_ACK = 1 << 9,
    WEIR_TIMESTAMPING_OPT_CMSG = 1 << 10,
    WEIR_TIMESTAMPING_OPT_TSONLY = 1 << 11, /* else with the IP packet, and the payload that was acknowledged */
    WEIR_TIMESTAMPING_OPT_ID_TCP = 1 << 16,
};

/* SO_MEMINFO's words, Linux's SK_MEMINFO_*: bytes of a socket's buffers, used and allowed. A word that weir has nothing
 * to say in is 0. */
enum weir_meminfo {
    WEIR_MEMINFO_RMEM_ALLOC,
    WEIR_MEMINFO_RCVBUF,
    WEIR_MEMINFO_WMEM_ALLOC,
    WEIR_MEMINFO_SNDBUF,
    WEIR_MEMINFO_FWD_ALLOC,
    WEIR_MEMINFO_WMEM_QUEUED,
    WEIR_MEMINFO_OPTMEM,
    WEIR_MEMINFO_BACKLOG,
    WEIR_MEMINFO_DROPS,
    WEIR_MEMINFO_N,
};

struct weir_linger {
    int onoff;
    int seconds;
};

struct weir_mreqn { /* as struct ip_mreqn: addresses in network order */
    uint8_t group[4];
    uint8_t address[4];
    int32_t ifindex;
};

struct weir_ipv6_mreq {
    uint8_t group[16];
    uint32_t ifindex;
};

/* What recvmsg tells and sendmsg may be told about one datagram, beside its bytes. `has` says which members count.
 * recvmsg tells PKTINFO, TTL and TOS of every datagram; IP_PKTINFO, IP_RECVTTL, IP_RECVTOS and their IPv6 kin are kept
 * for getsockopt, so that whoever makes control messages of this knows which were asked for. */
enum weir_msg_has {
    WEIR_HAS_PKTINFO =
        1 << 0, /* dst (recv: where it was sent to, port included; send: the source to use) and ifindex */
    WEIR_HAS_TTL = 1 << 1,
    WEIR_HAS_TOS = 1 << 2,
    WEIR_HAS_ERR = 1 << 3,   /* MSG_ERRQUEUE: err, err_type, err_code, err_origin, err_info, err_data, offender */
    WEIR_HAS_INQ = 1 << 4,   /* TCP_INQ: inq, the bytes that are left to read */
    WEIR_HAS_STAMP = 1 << 5, /* SO_TIMESTAMPING: stamp */
};

struct weir_msg {
    struct weir_sockaddr
        *name; /* send: destination, NULL for the connected one; recv: filled with the source, may be NULL */
    const struct weir_iovec *iov;
    size_t iov_n;
    int flags; /* recv: out, MSG_TRUNC and the like */
    uint32_t has;
    struct weir_sockaddr dst;
    int ifindex;
    int ttl;
    int tos;
    int err;
    uint8_t err_type, err_code, err_origin; /* origin: 1 local, 2 ICMP, 3 ICMPv6, 4 timestamping, 5 MSG_ZEROCOPY */
    uint32_t err_info;                      /* 4: Linux's SCM_TSTAMP_*; 5: the first of the writes that are done with */
    uint32_t err_data;                      /* 4: the byte's number, with OPT_ID; 5: the last of the writes */
    struct weir_sockaddr offender;
    uint32_t inq;
    weir_ns stamp;
};

/*
 * Make a socket. family: WEIR_AF_INET or _INET6 (dual-stack until IPV6_V6ONLY); type: SOCK_STREAM or SOCK_DGRAM;
 * protocol: 0 or the one that fits. Errors: -EAFNOSUPPORT, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EMFILE, -ENOMEM.
 */
weir_fd weir_socket(struct weir *, int family, int type, int protocol);

/* -EINVAL bound already; -EADDRINUSE; -EADDRNOTAVAIL not an address of this stack (and not IP_TRANSPARENT);
 * -EAFNOSUPPORT. Port 0: one is chosen (RFC 6056). */
int weir_bind(struct weir *, weir_fd, const struct weir_sockaddr *);

/* backlog: Linux's meaning, cut to net.core.somaxconn: connections that wait for accept, which may reach backlog + 1.
 * May be called again. -EOPNOTSUPP, -EADDRINUSE, -EINVAL. */
int weir_listen(struct weir *, weir_fd, int backlog);

/* peer may be NULL. -EAGAIN none waits; -EINVAL not listening; -EMFILE; -ENOMEM. */
weir_fd weir_accept(struct weir *, weir_fd, struct weir_sockaddr *peer);

/*
 * TCP: -EINPROGRESS, then EPOLLOUT and SO_ERROR tell; -EALREADY, -EISCONN, -ENETUNREACH, -EADDRNOTAVAIL, -EAFNOSUPPORT,
 * -ECONNREFUSED and the like once failed. UDP: 0; sets the peer (family AF_UNSPEC: unsets it).
 */
int weir_connect(struct weir *, weir_fd, const struct weir_sockaddr *);

/* A held connection of a WEIR_OPT_HOLD_SYN listener: answer its SYN. 0 or -EINVAL when it isn't held. */
int weir_tcp_admit(struct weir *, weir_fd);

/*
 * Turn a held connection away and close its handle: err ECONNREFUSED sends a reset, EHOSTUNREACH, ENETUNREACH, EACCES
 * the ICMP unreachable that makes the peer see it, 0 or ETIMEDOUT nothing at all. 0 or -EINVAL.
 */
int weir_tcp_refuse(struct weir *, weir_fd, int err);

/* Bytes taken (all or some), -EAGAIN, -EPIPE (no signal), -ENOTCONN, -ECONNRESET, -ETIMEDOUT and other ends of the
 * connection; UDP: all or nothing, -EMSGSIZE, -EDESTADDRREQ. TCP: -EFAULT where a piece that has bytes has no memory
 * (NULL); MSG_FASTOPEN then sends a SYN without data that asks for a cookie, as Linux does. */
int64_t weir_send(struct weir *, weir_fd, const void *, size_t, int flags);
int64_t weir_sendto(struct weir *, weir_fd, const void *, size_t, int flags, const struct weir_sockaddr *);
int64_t weir_sendmsg(struct weir *, weir_fd, const struct weir_msg *, int flags);

/* Bytes read, 0 at the peer's FIN (UDP: an empty datagram), -EAGAIN, and the connection's end as for send. */
int64_t weir_recv(struct weir *, weir_fd, void *, size_t, int flags);
int64_t weir_recvfrom(struct weir *, weir_fd, void *, size_t, int flags, struct weir_sockaddr *src);
int64_t weir_recvmsg(struct weir *, weir_fd, struct weir_msg *, int flags);

/*
 * The forms that don't copy (TCP). send_frags queues views (the stack takes references of its own) and returns the
 * bytes taken. recv_frags moves up to `max` queued bytes out as at most n views, whose references become the caller's
 * (weir_block_unref), and returns how many views; *bytes says how many bytes. 0 views with *bytes 0: the peer's FIN.
 * Errors as for send and recv.
 */
int64_t weir_send_frags(struct weir *, weir_fd, const struct weir_frag *, unsigned n, int flags);
int64_t weir_recv_frags(struct weir *, weir_fd, struct weir_frag *, unsigned n, size_t max, size_t *bytes);

int weir_shutdown(struct weir *, weir_fd, int how); /* -ENOTCONN, -EINVAL */

/* The handle is gone at once; the connection goes on to its orderly end (or a reset: unread data, SO_LINGER 0). Epoll
 * objects close with it too. */
int weir_close(struct weir *, weir_fd);

/* End a connection now with a reset, whatever SO_LINGER says, and free the handle. RFC 9293 3.10.5. */
int weir_abort(struct weir *, weir_fd);

int weir_getsockname(struct weir *, weir_fd, struct weir_sockaddr *);
int weir_getpeername(struct weir *, weir_fd, struct weir_sockaddr *); /* -ENOTCONN */

/* Lengths as in POSIX: *len in: the room, out: the value's length. -ENOPROTOOPT, -EINVAL, -EDOM, -EISCONN. An option
 * that returns 0 works. */
int weir_getsockopt(struct weir *, weir_fd, int level, int name, void *value, uint32_t *len);
int weir_setsockopt(struct weir *, weir_fd, int level, int name, const void *value, uint32_t len);

/* What ioctl tells on Linux. SIOCINQ, SIOCOUTQ, SIOCOUTQNSD (bytes), SIOCATMARK (0 or 1). -EINVAL in a state that has
 * none. */
enum weir_ioctl { WEIR_SIOCINQ = 0x541B, WEIR_SIOCOUTQ = 0x5411, WEIR_SIOCATMARK = 0x8905, WEIR_SIOCOUTQNSD = 0x894B };
int weir_ioctl(struct weir *, weir_fd, enum weir_ioctl, int *value);

/* ---- Readiness ---- */

#define WEIR_POLLIN     0x0001
#define WEIR_POLLPRI    0x0002
#define WEIR_POLLOUT    0x0004
#define WEIR_POLLERR    0x0008
#define WEIR_POLLHUP    0x0010
#define WEIR_POLLNVAL   0x0020
#define WEIR_POLLRDNORM 0x0040
#define WEIR_POLLWRNORM 0x0100
#define WEIR_POLLRDHUP  0x2000

#define WEIR_EPOLLEXCLUSIVE (1u << 28)
#define WEIR_EPOLLONESHOT   (1u << 30)
#define WEIR_EPOLLET        (1u << 31)

#define WEIR_EPOLL_CTL_ADD 1
#define WEIR_EPOLL_CTL_DEL 2
#define WEIR_EPOLL_CTL_MOD 3

struct weir_pollfd {
    weir_fd fd; /* negative: skipped */
    short events;
    short revents;
};

/* How many entries are ready now. O(n): see epoll for many. */
int weir_poll(struct weir *, struct weir_pollfd *, unsigned n);

/* A set of handles, for select: an array instead of bits, so there is no FD_SETSIZE. */
struct weir_fd_set {
    weir_fd *fds;
    unsigned n;
};

/*
 * Cut each set (NULL: none) down to its handles that are ready now, in the order in which they stood. Returns how many
 * are left in all three; -EBADF when any is stale, and nothing is changed. O(n).
 */
int weir_select(struct weir *, struct weir_fd_set *readable, struct weir_fd_set *writable,
                struct weir_fd_set *exceptional);

struct weir_epoll_event {
    uint32_t events; /* WEIR_POLL* (the EPOLL* values are the same) and the three above */
    uint64_t data;
};

weir_fd weir_epoll_create(struct weir *); /* -EMFILE, -ENOMEM */

/*
 * ev may be NULL for DEL. A closed socket leaves by itself. WEIR_EPOLLEXCLUSIVE: of the epoll objects that watch a
 * socket with it, one that has no earlier event of it still waiting learns of the next.
 *
 * -EEXIST watched already; -ENOENT not watched; -EINVAL no epoll object, or itself, or no such operation, or what
 * WEIR_EPOLLEXCLUSIVE forbids; -ELOOP a circle of epoll objects or more than five in a chain; -ENOMEM.
 */
int weir_epoll_ctl(struct weir *, weir_fd epoll, int op, weir_fd fd, const struct weir_epoll_event *ev);

/* Up to max events that are ready now, 0 when none; -EINVAL. O(ready): what is watched and silent costs nothing. */
int weir_epoll_wait(struct weir *, weir_fd epoll, struct weir_epoll_event *events, int max);

/*
 * As Linux's struct tcp_info (linux/tcp.h), member for member, so that its bytes can be handed to a program; behind
 * that, what Linux doesn't know. A member that weir can't know is 0.
 */
struct weir_tcp_info {
    uint8_t state; /* Linux's numbers: 1 ESTABLISHED … 11 CLOSING */
    uint8_t ca_state, retransmits, probes, backoff, options;
    uint8_t snd_wscale : 4, rcv_wscale : 4;
    uint8_t delivery_rate_app_limited : 1, fastopen_client_fail : 2;
    uint32_t rto, ato, snd_mss, rcv_mss;                                   /* microseconds, bytes */
    uint32_t unacked, sacked, lost, retrans, fackets;                      /* segments */
    uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv; /* milliseconds ago */
    uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    uint32_t rcv_rtt, rcv_space, total_retrans;
    uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
    uint32_t delivered, delivered_ce;
    uint64_t bytes_sent, bytes_retrans;
    uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd, rcv_wnd, rehash;
    uint16_t total_rto, total_rto_recoveries;
    uint32_t total_rto_time; /* milliseconds */
    uint32_t received_ce;    /* segments; AccECN (RFC 9768), as all that follows */
    uint32_t delivered_e1_bytes, delivered_e0_bytes, delivered_ce_bytes;
    uint32_t received_e1_bytes, received_e0_bytes, received_ce_bytes;
    uint16_t accecn_fail_mode, accecn_opt_seen;
    struct weir_ledger ledger; /* where the connection's time went; not in Linux */
};
#define WEIR_TCP_INFO_LINUX_LEN 280 /* what of it Linux 6.18 has */

/* What a congestion control tells of itself (WEIR_TCP_CC_INFO), member for member as Linux's union tcp_cc_info. */
struct weir_tcp_bbr_info {
    uint32_t bw_lo, bw_hi;           /* the bandwidth that is paced by, bytes a second: its two halves */
    uint32_t min_rtt;                /* microseconds */
    uint32_t pacing_gain, cwnd_gain; /* in 1/256 */
};

struct weir_tcp_dctcp_info {
    uint16_t enabled;        /* ECN is in use; the rest is 0 without it */
    uint16_t ce_state;       /* the last data that arrived was marked */
    uint32_t alpha;          /* the share of marks, smoothed; 1024 is all */
    uint32_t ab_ecn, ab_tot; /* bytes acknowledged in this window: marked, all */
};

union weir_tcp_cc_info {
    struct weir_tcp_bbr_info bbr;
    struct weir_tcp_dctcp_info dctcp;
};

#ifdef __cplusplus
}
#endif
#endif
