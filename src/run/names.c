/*
 * getsockname, getpeername, shutdown and the ioctls about addresses.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "run/sock.h"

void wir_sock_show_local(const struct wir_sock *s, struct weir_sockaddr *at)
{
    if (!s->is_loopback_outside)
        return;
    if (s->bound_to.family && weir_addr_is_loopback(&s->bound_to.addr))
        at->addr = s->bound_to.addr;
    else if (weir_addr_is_v4(&at->addr))
        at->addr = weir_addr_v4(127, 0, 0, 1);
    else
        at->addr = (struct weir_addr){{[15] = 1}};
}

void wir_on_getsockname(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    struct weir_sockaddr at;

    int err = weir_getsockname(r->prog.stack, s->pump.net, &at);
    if (err == 0) {
        wir_sock_show_local(s, &at);
        err = wir_addr_write(call, s->family, &at, WIR_ARG(call, 1), WIR_ARG(call, 2));
    }
    wir_call_finish(r, call, err);
}

void wir_on_getpeername(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    int err = -ENOTCONN;

    if (s->has_peer && s->phase != WIR_SOCK_CONNECTING && s->phase != WIR_SOCK_FAILED)
        err = wir_addr_write(call, s->family, &s->peer, WIR_ARG(call, 1), WIR_ARG(call, 2));
    wir_call_finish(r, call, err);
}

void wir_on_shutdown(struct wir_run *r, struct wir_call *call)
{
    struct wir_sock *s = call->sock;
    int how = (int)WIR_ARG(call, 1);

    switch (s->phase) {
    case WIR_SOCK_CONNECTED: wir_call_continue(r, call); return; /* the mirror carries it to us */
    case WIR_SOCK_LISTENING:
        if (how != SHUT_WR) {
            weir_shutdown(r->prog.stack, s->pump.net, how);
            wir_waiters_fail(r, s, EINVAL);
        }
        wir_call_return(r, call, 0);
        return;
    case WIR_SOCK_DGRAM:
        if (s->has_peer)
            wir_call_continue(r, call);
        else
            wir_call_fail(r, call, ENOTCONN);
        return;
    case WIR_SOCK_FRESH:
    case WIR_SOCK_CONNECTING:
    case WIR_SOCK_FAILED: wir_call_fail(r, call, ENOTCONN); return;
    }
}

/* The kernel answers most of these on any socket; four ask for an IPv4 address and want an AF_INET one. */
static bool asks_for_address(unsigned long request)
{
    return request == SIOCGIFADDR || request == SIOCGIFBRDADDR || request == SIOCGIFDSTADDR ||
           request == SIOCGIFNETMASK;
}

void wir_on_ioctl(struct wir_run *r, struct wir_call *call)
{
    unsigned long request = (unsigned long)WIR_ARG(call, 1);
    pid_t pid = (pid_t)call->req.pid;
    struct ifreq ifr;

    if (request == WEIR_SIOCOUTQNSD) {
        int value = 0;
        int err = weir_ioctl(r->prog.stack, call->sock->pump.net, WEIR_SIOCOUTQNSD, &value);
        if (err == 0)
            err = wir_mem_write(pid, WIR_ARG(call, 2), &value, sizeof value);
        wir_call_finish(r, call, err);
        return;
    }
    if (!asks_for_address(request)) {
        wir_call_continue(r, call);
        return;
    }
    int err = wir_mem_read(pid, WIR_ARG(call, 2), &ifr, sizeof ifr);
    int kernels = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (err == 0)
        err = kernels >= 0 && ioctl(kernels, request, &ifr) == 0 ? 0 : -errno;
    if (kernels >= 0)
        close(kernels);
    if (err == 0)
        err = wir_mem_write(pid, WIR_ARG(call, 2), &ifr, sizeof ifr);
    wir_call_finish(r, call, err);
}
