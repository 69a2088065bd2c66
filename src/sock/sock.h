/*
 * Sockets as a caller sees them: handles over the transports' endpoints. The calls are those of weir/socket.h, on
 * struct wi_sock for struct weir; src/weir.c forwards to them and sends what they left owed.
 */
#ifndef WI_SOCK_SOCK_H
#define WI_SOCK_SOCK_H

#include "net/net.h"
#include "net/sk.h"
#include "sock/epoll.h"
#include "sock/handle.h"
#include <weir/diag.h>
#include <weir/socket.h>

struct wi_tcp;
struct wi_udp;

struct wi_sock {
    struct wi_core *core;
    struct wi_net *net;
    struct wi_tcp *tcp;
    struct wi_udp *udp;
    struct wi_handles handles;
    struct wi_epolls epolls;
};

void wi_sock_init(struct wi_sock *, struct wi_core *, struct wi_net *, struct wi_tcp *, struct wi_udp *,
                  uint32_t sockets_max);

/* Every handle goes, without a word to the transports: their endpoints stay, to be freed with them. Before they are. */
void wi_sock_fini(struct wi_sock *);

weir_fd wi_sock_socket(struct wi_sock *, int family, int type, int protocol);
int wi_sock_bind(struct wi_sock *, weir_fd, const struct weir_sockaddr *);
int wi_sock_listen(struct wi_sock *, weir_fd, int backlog);
weir_fd wi_sock_accept(struct wi_sock *, weir_fd, struct weir_sockaddr *peer);
int wi_sock_connect(struct wi_sock *, weir_fd, const struct weir_sockaddr *);
int wi_sock_admit(struct wi_sock *, weir_fd);
int wi_sock_refuse(struct wi_sock *, weir_fd, int how); /* how: an errno, see weir_tcp_refuse */
int64_t wi_sock_sendmsg(struct wi_sock *, weir_fd, const struct weir_msg *, int flags);
int64_t wi_sock_recvmsg(struct wi_sock *, weir_fd, struct weir_msg *, int flags);
int64_t wi_sock_send_frags(struct wi_sock *, weir_fd, const struct weir_frag *, unsigned n, int flags);
int64_t wi_sock_recv_frags(struct wi_sock *, weir_fd, struct weir_frag *, unsigned n, size_t max, size_t *bytes);
int wi_sock_shutdown(struct wi_sock *, weir_fd, int how);
int wi_sock_close(struct wi_sock *, weir_fd);
int wi_sock_abort(struct wi_sock *, weir_fd);
int wi_sock_getsockname(struct wi_sock *, weir_fd, struct weir_sockaddr *);
int wi_sock_getpeername(struct wi_sock *, weir_fd, struct weir_sockaddr *);
int wi_sock_getsockopt(struct wi_sock *, weir_fd, int level, int name, void *value, uint32_t *len);
int wi_sock_setsockopt(struct wi_sock *, weir_fd, int level, int name, const void *value, uint32_t len);
int wi_sock_ioctl(struct wi_sock *, weir_fd, enum weir_ioctl, int *value);

int wi_sock_poll(struct wi_sock *, struct weir_pollfd *, unsigned n);
int wi_sock_select(struct wi_sock *, struct weir_fd_set *readable, struct weir_fd_set *writable,
                   struct weir_fd_set *exceptional);
weir_fd wi_sock_epoll_create(struct wi_sock *);
int wi_sock_epoll_ctl(struct wi_sock *, weir_fd epoll, int op, weir_fd fd, const struct weir_epoll_event *);
int wi_sock_epoll_wait(struct wi_sock *, weir_fd epoll, struct weir_epoll_event *, int max);

/* weir_sock_next. */
int wi_sock_next(const struct wi_sock *, struct weir_sock_cursor *, struct weir_sock_info *, struct weir_tcp_info *);

/* NULL, or the first invariant of handles and epoll objects that is broken. */
const char *wi_sock_check(const struct wi_sock *);

/* ---- Between the files of this layer ---- */

/* The socket behind a handle. 0, -EBADF, or -ENOTSOCK for an epoll object. */
int wi_sock_find(const struct wi_sock *, weir_fd, struct wi_handle **out);

/* A TCP socket's state in Linux's numbers, of which these matter here; 0 of any other socket. */
enum { WI_SOCK_TCP_SYN_SENT = 2, WI_SOCK_TCP_CLOSE = 7, WI_SOCK_TCP_LISTEN = 10 };
unsigned wi_sock_tcp_state(struct wi_sk *);

/* What SO_BINDTODEVICE does: 0 lets go. */
void wi_sock_bind_netif(struct wi_sk *, int netif);

/* Is a caller's address one that this socket may be given (addr.c)? For bind, for connect, as sendmsg's destination.
 * The endpoint to use is written to *out: a wildcard destination means this host. */
int wi_sockaddr_for_bind(const struct wi_sk *, const struct weir_sockaddr *addr, struct weir_sockaddr *out);
int wi_sockaddr_for_peer(const struct wi_sk *, const struct weir_sockaddr *addr, struct weir_sockaddr *out);

/* Show an address as a socket's program expects it: on an AF_INET6 socket an IPv4 one is in its mapped form. */
static inline void wi_sockaddr_present(const struct wi_sk *sk, struct weir_sockaddr *addr)
{
    addr->family = sk->family;
}

#endif
