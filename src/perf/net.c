/*
 * What both kinds of network share: see net.h.
 */
#include "perf/net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DRAIN_NS   WEIR_SEC(1)
#define DRAIN_STEP WEIR_MS(1)

weir_ns wpf_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return WEIR_SEC((uint64_t)ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

struct wpf_net *wpf_net_new(const struct wpf_net_config *cfg, const char *who)
{
    return cfg->is_kernel ? wpf_net_kernel_new(who) : wpf_net_weir_new(cfg, who);
}

void wpf_net_free(struct wpf_net *n)
{
    if (n)
        n->ops->free(n);
}

void wpf_net_close(struct wpf_net *n, int64_t fd, const struct wpf_source *s)
{
    n->ops->close(n, fd);
    for (unsigned i = 0; s && i < n->pending_n; i++)
        if (n->pending[i].source == s)
            n->pending[i].source = NULL;
}

void wpf_net_tell(struct wpf_net *n)
{
    for (unsigned i = 0; i < n->pending_n; i++) {
        struct wpf_event e = n->pending[i];
        if (e.source)
            e.source->ready(e.source, e.events);
    }
    n->pending_n = 0;
}

int wpf_net_setint(struct wpf_net *n, int64_t fd, int level, int name, int value)
{
    return wpf_net_setsockopt(n, fd, level, name, &value, sizeof value);
}

int wpf_net_error(struct wpf_net *n, int64_t fd)
{
    int value = 0;
    uint32_t len = sizeof value;
    int err = wpf_net_getsockopt(n, fd, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &value, &len);
    return err < 0 ? err : -value;
}

int wpf_net_tcp_info(struct wpf_net *n, int64_t fd, struct weir_tcp_info *info)
{
    uint32_t len = sizeof *info;
    memset(info, 0, sizeof *info);
    return wpf_net_getsockopt(n, fd, WEIR_SOL_TCP, WEIR_TCP_INFO, info, &len);
}

int64_t wpf_net_listen(struct wpf_net *n, int family, uint16_t port, int backlog)
{
    struct weir_sockaddr at = {.addr = weir_addr_any(family), .family = (uint16_t)family, .port = port};
    int64_t fd = wpf_net_socket(n, family);
    if (fd < 0)
        return fd;
    int err = wpf_net_setint(n, fd, WEIR_SOL_SOCKET, WEIR_SO_REUSEADDR, 1);
    if (err == 0)
        err = n->ops->bind(n, fd, &at);
    if (err == 0)
        err = n->ops->listen(n, fd, backlog);
    if (err == 0)
        return fd;
    wpf_net_close(n, fd, NULL);
    return err;
}

void wpf_net_drain(struct wpf_net *n, int64_t fd)
{
    uint8_t unread[4096];
    weir_ns until = wpf_clock() + DRAIN_NS;
    for (weir_ns now = wpf_clock(); now < until; now = wpf_clock()) {
        int64_t got = wpf_net_recv(n, fd, unread, sizeof unread);
        bool is_closed = got == 0 || (got < 0 && got != -EAGAIN);
        if (is_closed && wpf_net_unsent(n, fd) == 0)
            return;
        if (got <= 0)
            wpf_net_turn(n, now + DRAIN_STEP);
    }
}

const char *wpf_net_resolve(const char *host, uint16_t port, struct weir_sockaddr *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    *out = (struct weir_sockaddr){.port = port};
    int err = getaddrinfo(host, NULL, &hints, &found);
    if (err)
        return err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err);
    if (found->ai_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, found->ai_addr, sizeof in);
        const uint8_t *b = (const uint8_t *)&in.sin_addr;
        out->addr = weir_addr_v4(b[0], b[1], b[2], b[3]);
        out->family = WEIR_AF_INET;
    } else {
        struct sockaddr_in6 in6;
        memcpy(&in6, found->ai_addr, sizeof in6);
        memcpy(out->addr.b, &in6.sin6_addr, sizeof out->addr.b);
        out->scope_id = in6.sin6_scope_id;
        out->family = WEIR_AF_INET6;
    }
    freeaddrinfo(found);
    return NULL;
}
