/* The calls of weir/socket.h that make, name, connect, feed and end sockets: checks that are common to the transports,
 * then their operations. */
#include "net/ports.h"
#include "sock/sock.h"
#include "tcp/conn.h"
#include "udp/udp.h"

static void on_park(void *owner, struct wi_tcp_parked *parked)
{
    struct wi_handle *h = owner;
    h->kind = WI_HANDLE_PARKED;
    h->parked = parked;
}

static void on_wake(void *owner, struct wi_sk *sk)
{
    struct wi_handle *h = owner;
    h->kind = WI_HANDLE_SOCKET;
    h->sk = sk;
    wi_epoll_resume(h);
}

void wi_sock_init(struct wi_sock *s, struct wi_core *core, struct wi_net *net, struct wi_tcp *tcp, struct wi_udp *udp,
                  uint32_t sockets_max)
{
    *s = (struct wi_sock){.core = core, .net = net, .tcp = tcp, .udp = udp};
    wi_handles_init(&s->handles, core, sockets_max);
    wi_epolls_init(&s->epolls, core);
    tcp->park.on_park = on_park;
    tcp->park.on_wake = on_wake;
}

/* The handle goes, and what watches it; the object behind it is left. */
static void detach(struct wi_sock *s, struct wi_handle *h)
{
    wi_epoll_forget(&s->epolls, h);
    if (h->kind == WI_HANDLE_SOCKET) {
        h->sk->owner = NULL;
        h->sk->on_ready = NULL;
    }
    wi_handle_release(&s->handles, h);
}

void wi_sock_fini(struct wi_sock *s)
{
    uint32_t index = 0;
    for (struct wi_handle *h; (h = wi_handle_next(&s->handles, &index));)
        detach(s, h);
    wi_epolls_fini(&s->epolls);
}

int wi_sock_find(const struct wi_sock *s, weir_fd fd, struct wi_handle **out)
{
    struct wi_handle *h = wi_handle_find(&s->handles, fd);
    if (!h)
        return -WEIR_EBADF;
    if (h->kind == WI_HANDLE_PARKED && !wi_tcp_wake(s->tcp, h->parked))
        return -WEIR_ENOBUFS;
    if (h->kind != WI_HANDLE_SOCKET)
        return -WEIR_ENOTSOCK;
    *out = h;
    return 0;
}

static int find_sk(const struct wi_sock *s, weir_fd fd, struct wi_sk **out)
{
    struct wi_handle *h;
    int err = wi_sock_find(s, fd, &h);
    if (!err)
        *out = h->sk;
    return err;
}

static void give(struct wi_handle *h, struct wi_sk *sk)
{
    h->kind = WI_HANDLE_SOCKET;
    h->sk = sk;
    sk->owner = h;
}

/* ---- Beginning ---- */

static int check_socket_args(int family, int type, int protocol)
{
    if (family != WEIR_AF_INET && family != WEIR_AF_INET6)
        return -WEIR_EAFNOSUPPORT;
    if (type != WEIR_SOCK_STREAM && type != WEIR_SOCK_DGRAM)
        return -WEIR_ESOCKTNOSUPPORT;
    if (protocol && protocol != (type == WEIR_SOCK_STREAM ? WEIR_IPPROTO_TCP : WEIR_IPPROTO_UDP))
        return -WEIR_EPROTONOSUPPORT;
    return 0;
}

/* The handle first: an endpoint is not made for nothing when there is none left. */
weir_fd wi_sock_socket(struct wi_sock *s, int family, int type, int protocol)
{
    struct wi_handle *h;
    int err = check_socket_args(family, type, protocol);
    if (!err)
        err = wi_handle_take(&s->handles, &h);
    if (err)
        return err;

    struct wi_sk *sk = type == WEIR_SOCK_STREAM ? wi_tcp_sk_new(s->tcp, family) : wi_udp_sk_new(s->udp, family);
    if (!sk) {
        wi_handle_release(&s->handles, h);
        return -WEIR_ENOMEM;
    }
    give(h, sk);
    return h->fd;
}

void wi_sock_bind_netif(struct wi_sk *sk, int netif)
{
    if (sk->opts.bound_if == netif)
        return;
    sk->opts.bound_if = netif;
    wi_ports_bound_if_changed(sk);
}

static bool needs_scope(const struct weir_addr *addr)
{
    return !weir_addr_is_v4(addr) && weir_addr_is_linklocal(addr);
}

/* A link-local address ties the socket to its link from now on, as SO_BINDTODEVICE would. */
static void take_scope(struct wi_sk *sk, const struct weir_sockaddr *addr)
{
    if (addr->scope_id && needs_scope(&addr->addr))
        wi_sock_bind_netif(sk, (int)addr->scope_id);
}

/* The transport sees to it that an address is ours; that it is one of this link is seen to here. */
static bool is_on_its_link(const struct wi_sk *sk, const struct weir_addr *addr)
{
    return !needs_scope(addr) || sk->opts.transparent || wi_net_netif_of_addr(sk->net, addr) == sk->opts.bound_if;
}

int wi_sock_bind(struct wi_sock *s, weir_fd fd, const struct weir_sockaddr *addr)
{
    struct wi_sk *sk;
    struct weir_sockaddr checked;
    int err = find_sk(s, fd, &sk);
    if (!err)
        err = wi_sockaddr_for_bind(sk, addr, &checked);
    if (err)
        return err;

    int bound_if = sk->opts.bound_if;
    take_scope(sk, &checked);
    err = is_on_its_link(sk, &checked.addr) ? sk->ops->bind(sk, &checked) : -WEIR_EADDRNOTAVAIL;
    if (err)
        wi_sock_bind_netif(sk, bound_if);
    else if (sk->family == WEIR_AF_INET6 && !weir_addr_is_any(&checked.addr) && !weir_addr_is_v4(&checked.addr))
        sk->opts.v6only = true; /* it can't be anything else now, and getsockopt says so (Linux) */
    return err;
}

int wi_sock_listen(struct wi_sock *s, weir_fd fd, int backlog)
{
    struct wi_sk *sk;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    if (!sk->ops->listen)
        return -WEIR_EOPNOTSUPP;

    /* As Linux compares them: a negative backlog is the largest there is. */
    int64_t max = s->core->sysctl.somaxconn;
    return sk->ops->listen(sk, backlog < 0 || backlog > max ? (int)max : backlog);
}

/* The handle first: without one the connection stays where it waits. */
weir_fd wi_sock_accept(struct wi_sock *s, weir_fd fd, struct weir_sockaddr *peer)
{
    struct wi_sk *sk, *child = NULL;
    struct wi_handle *h;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    if (!sk->ops->accept)
        return -WEIR_EOPNOTSUPP;
    err = wi_handle_take(&s->handles, &h);
    if (err)
        return err;
    err = sk->ops->accept(sk, &child);
    if (err) {
        wi_handle_release(&s->handles, h);
        return err;
    }

    give(h, child);
    if (peer) {
        *peer = child->remote;
        wi_sockaddr_present(child, peer);
    }
    return h->fd;
}

int wi_sock_connect(struct wi_sock *s, weir_fd fd, const struct weir_sockaddr *addr)
{
    struct wi_sk *sk;
    struct weir_sockaddr peer = *addr;
    int err = find_sk(s, fd, &sk);
    if (!err && addr->family != WEIR_AF_UNSPEC)
        err = wi_sockaddr_for_peer(sk, addr, &peer);
    if (err)
        return err;

    int bound_if = sk->opts.bound_if;
    if (addr->family != WEIR_AF_UNSPEC)
        take_scope(sk, &peer);
    err = sk->ops->connect(sk, &peer);
    if (err && err != -WEIR_EINPROGRESS)
        wi_sock_bind_netif(sk, bound_if);
    return err;
}

int wi_sock_admit(struct wi_sock *s, weir_fd fd)
{
    struct wi_sk *sk;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    return sk->ops->admit ? sk->ops->admit(sk) : -WEIR_EINVAL;
}

int wi_sock_refuse(struct wi_sock *s, weir_fd fd, int how)
{
    struct wi_handle *h;
    int err = wi_sock_find(s, fd, &h);
    if (err)
        return err;
    struct wi_sk *sk = h->sk;
    if (!sk->ops->refuse)
        return -WEIR_EINVAL;

    /* It may free the endpoint, and until it has said so the handle must not go. */
    void (*on_ready)(struct wi_sk *, uint32_t) = sk->on_ready;
    sk->on_ready = NULL;
    err = sk->ops->refuse(sk, how);
    if (err) {
        sk->on_ready = on_ready;
        return err;
    }
    h->kind = WI_HANDLE_NEW;
    detach(s, h);
    return 0;
}

/* ---- Bytes ---- */

int64_t wi_sock_sendmsg(struct wi_sock *s, weir_fd fd, const struct weir_msg *msg, int flags)
{
    struct wi_sk *sk;
    struct weir_sockaddr to;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    /* TCP pays the name no attention, as on Linux, unless it is to connect to it. */
    if (!msg->name || (sk->type == WEIR_SOCK_STREAM && !(flags & WEIR_MSG_FASTOPEN)))
        return sk->ops->sendmsg(sk, msg, flags);

    to = *msg->name;
    if (to.family != WEIR_AF_UNSPEC || sk->type != WEIR_SOCK_STREAM)
        err = wi_sockaddr_for_peer(sk, msg->name, &to);
    if (err)
        return err;
    struct weir_msg checked = *msg;
    checked.name = &to;
    return sk->ops->sendmsg(sk, &checked, flags);
}

/* Where memory lacks to wake a connection: nothing has come, or it would not be parked. */
static int find_sk_to_read(struct wi_sock *s, weir_fd fd, struct wi_sk **out)
{
    int err = find_sk(s, fd, out);
    return err == -WEIR_ENOBUFS ? -WEIR_EAGAIN : err;
}

int64_t wi_sock_recvmsg(struct wi_sock *s, weir_fd fd, struct weir_msg *msg, int flags)
{
    struct wi_sk *sk;
    int err = find_sk_to_read(s, fd, &sk);
    if (err)
        return err;
    msg->flags = 0;
    msg->has = 0;
    if (msg->name)
        *msg->name = (struct weir_sockaddr){0};

    int64_t n = sk->ops->recvmsg(sk, msg, flags);
    if (n >= 0 && msg->name && msg->name->family != WEIR_AF_UNSPEC)
        wi_sockaddr_present(sk, msg->name);
    if (n >= 0 && msg->has & WEIR_HAS_PKTINFO)
        wi_sockaddr_present(sk, &msg->dst);
    return n;
}

int64_t wi_sock_send_frags(struct wi_sock *s, weir_fd fd, const struct weir_frag *frags, unsigned n, int flags)
{
    struct wi_sk *sk;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    return sk->ops->send_frags ? sk->ops->send_frags(sk, frags, n, flags) : -WEIR_EOPNOTSUPP;
}

int64_t wi_sock_recv_frags(struct wi_sock *s, weir_fd fd, struct weir_frag *frags, unsigned n, size_t max,
                           size_t *bytes)
{
    struct wi_sk *sk;
    int err = find_sk_to_read(s, fd, &sk);
    *bytes = 0;
    if (err)
        return err;
    return sk->ops->recv_frags ? sk->ops->recv_frags(sk, frags, n, max, bytes) : -WEIR_EOPNOTSUPP;
}

/* ---- Ending ---- */

int wi_sock_shutdown(struct wi_sock *s, weir_fd fd, int how)
{
    struct wi_sk *sk;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    if (how != WEIR_SHUT_RD && how != WEIR_SHUT_WR && how != WEIR_SHUT_RDWR)
        return -WEIR_EINVAL;
    return sk->ops->shutdown(sk, how);
}

/* For close and abort, which don't fail for want of memory: NULL, and the endpoint has gone already. */
static struct wi_sk *let_go(struct wi_sock *s, struct wi_handle *h)
{
    struct wi_tcp_parked *parked = h->kind == WI_HANDLE_PARKED ? h->parked : NULL;
    if (parked && !wi_tcp_wake(s->tcp, parked))
        wi_tcp_parked_abort(s->tcp, parked);
    struct wi_sk *sk = h->kind == WI_HANDLE_SOCKET ? h->sk : NULL;
    detach(s, h);
    return sk;
}

int wi_sock_close(struct wi_sock *s, weir_fd fd)
{
    struct wi_handle *h = wi_handle_find(&s->handles, fd);
    if (!h)
        return -WEIR_EBADF;
    struct wi_sk *sk = let_go(s, h);
    if (sk)
        sk->ops->close(sk);
    return 0;
}

int wi_sock_abort(struct wi_sock *s, weir_fd fd)
{
    struct wi_handle *h = wi_handle_find(&s->handles, fd);
    if (!h)
        return -WEIR_EBADF;
    if (h->kind == WI_HANDLE_EPOLL)
        return -WEIR_ENOTSOCK;
    struct wi_sk *sk = let_go(s, h);
    if (sk)
        sk->ops->abort(sk);
    return 0;
}

/* ---- Asking ---- */

unsigned wi_sock_tcp_state(struct wi_sk *sk)
{
    uint8_t state = 0; /* the first member of struct weir_tcp_info */
    uint32_t len = sizeof(state);
    if (sk->type != WEIR_SOCK_STREAM || sk->ops->getsockopt(sk, WEIR_SOL_TCP, WEIR_TCP_INFO, &state, &len))
        return 0;
    return state;
}

int wi_sock_getsockname(struct wi_sock *s, weir_fd fd, struct weir_sockaddr *out)
{
    struct wi_sk *sk;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    *out = sk->local;
    if (weir_addr_is_any(&out->addr) && !sk->has_addr)
        out->addr = weir_addr_any(sk->family);
    wi_sockaddr_present(sk, out);
    return 0;
}

int wi_sock_getpeername(struct wi_sock *s, weir_fd fd, struct weir_sockaddr *out)
{
    struct wi_sk *sk;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    unsigned state = wi_sock_tcp_state(sk);
    if (!sk->remote.port || state == WI_SOCK_TCP_SYN_SENT || state == WI_SOCK_TCP_CLOSE)
        return -WEIR_ENOTCONN;
    *out = sk->remote;
    wi_sockaddr_present(sk, out);
    return 0;
}

int wi_sock_ioctl(struct wi_sock *s, weir_fd fd, enum weir_ioctl what, int *value)
{
    struct wi_sk *sk;
    int err = find_sk(s, fd, &sk);
    if (err)
        return err;
    return sk->ops->ioctl ? sk->ops->ioctl(sk, what, value) : -WEIR_EINVAL;
}

static const char *check_handle(const struct wi_handle *h)
{
    switch (h->kind) {
    case WI_HANDLE_EPOLL: return wi_epoll_check(h->epoll);
    case WI_HANDLE_PARKED: return NULL; /* wi_tcp_park_check */
    case WI_HANDLE_SOCKET: return h->sk->owner == h ? NULL : "an endpoint does not know its handle";
    case WI_HANDLE_NEW: break;
    }
    return "a handle without an object";
}

const char *wi_sock_check(const struct wi_sock *s)
{
    const char *wrong = wi_handles_check(&s->handles);
    uint32_t index = 0;
    for (struct wi_handle *h; !wrong && (h = wi_handle_next(&s->handles, &index));)
        wrong = check_handle(h);
    return wrong;
}
