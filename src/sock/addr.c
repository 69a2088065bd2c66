/* Which addresses a socket may be given: the checks of Linux's inet_bind, inet6_bind and the connects. */
#include "sock/sock.h"

/* RFC 4007: a link-local address means nothing without its link, which the address, or SO_BINDTODEVICE, names. */
static int check_scope(const struct wi_sk *sk, const struct weir_sockaddr *addr)
{
    if (weir_addr_is_v4(&addr->addr) || !weir_addr_is_linklocal(&addr->addr))
        return 0;
    if (!addr->scope_id)
        return sk->opts.bound_if ? 0 : -WEIR_EINVAL;
    return sk->opts.bound_if && addr->scope_id != (uint32_t)sk->opts.bound_if ? -WEIR_EINVAL : 0;
}

/* An address's family and its bytes must agree: AF_INET is carried in the mapped form. */
static bool is_consistent(const struct weir_sockaddr *addr)
{
    if (addr->family == WEIR_AF_INET)
        return weir_addr_is_v4(&addr->addr);
    return addr->family == WEIR_AF_INET6;
}

int wi_sockaddr_for_bind(const struct wi_sk *sk, const struct weir_sockaddr *addr, struct weir_sockaddr *out)
{
    bool is_v4 = weir_addr_is_v4(&addr->addr);

    *out = *addr;
    /* Linux takes AF_UNSPEC for AF_INET as long as the address is a wildcard: old programs do so. */
    if (sk->family == WEIR_AF_INET && addr->family == WEIR_AF_UNSPEC && weir_addr_is_any(&addr->addr)) {
        out->addr = weir_addr_any(WEIR_AF_INET);
        out->family = WEIR_AF_INET;
        return 0;
    }
    if (addr->family != sk->family || !is_consistent(addr))
        return -WEIR_EAFNOSUPPORT;
    if (sk->family == WEIR_AF_INET6 && is_v4 && sk->opts.v6only)
        return -WEIR_EINVAL;
    return check_scope(sk, addr);
}

/* UDP over IPv6 takes AF_INET destinations as well (Linux: udpv6_sendmsg, ip6_datagram_connect); TCP does not. */
static int check_peer_family(const struct wi_sk *sk, const struct weir_sockaddr *addr)
{
    if (!is_consistent(addr))
        return -WEIR_EAFNOSUPPORT;
    if (sk->family == WEIR_AF_INET)
        return addr->family == WEIR_AF_INET ? 0 : -WEIR_EAFNOSUPPORT;
    if (addr->family == WEIR_AF_INET && sk->type == WEIR_SOCK_STREAM)
        return -WEIR_EAFNOSUPPORT;
    return weir_addr_is_v4(&addr->addr) && sk->opts.v6only ? -WEIR_ENETUNREACH : 0;
}

static struct weir_addr loopback_like(const struct wi_sk *sk, const struct weir_addr *any)
{
    struct weir_addr six = {{[15] = 1}};
    /* `::` on a socket that is bound to an IPv4 address can only mean 127.0.0.1. */
    bool is_v4 = weir_addr_is_v4(any) || (weir_addr_is_v4(&sk->local.addr) && !weir_addr_is_any(&sk->local.addr));
    return is_v4 ? weir_addr_v4(127, 0, 0, 1) : six;
}

int wi_sockaddr_for_peer(const struct wi_sk *sk, const struct weir_sockaddr *addr, struct weir_sockaddr *out)
{
    int err = check_peer_family(sk, addr);
    if (!err)
        err = check_scope(sk, addr);
    if (err)
        return err;
    *out = *addr;
    if (weir_addr_is_any(&addr->addr))
        out->addr = loopback_like(sk, &addr->addr);
    return 0;
}
