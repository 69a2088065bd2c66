/*
 * Control messages of datagrams: packet information, TTL, TOS and the error queue, as Linux lays them out.
 */
#include <errno.h>
#include <time.h> /* before errqueue.h, which uses its types */

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

#include "run/dgram.h"

#ifndef IPV6_HOPLIMIT
#define IPV6_HOPLIMIT 52
#endif

struct out {
    uint8_t *room;
    size_t cap, len;
    int flags;
};

static void put(struct out *o, int level, int type, const void *data, size_t len)
{
    size_t space = CMSG_SPACE(len);
    if (o->len + space > o->cap) {
        o->flags |= MSG_CTRUNC;
        return;
    }
    struct cmsghdr h = {.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    memset(o->room + o->len, 0, space);
    memcpy(o->room + o->len, &h, sizeof h);
    memcpy(o->room + o->len + CMSG_LEN(0), data, len);
    o->len += space;
}

static void put_pktinfo(struct out *o, const struct wir_sock *s, const struct weir_msg *m)
{
    if (s->wants & WIR_WANT_PKTINFO4 && weir_addr_is_v4(&m->dst.addr)) {
        struct in_pktinfo info = {.ipi_ifindex = m->ifindex};
        memcpy(&info.ipi_addr, m->dst.addr.b + 12, 4);
        info.ipi_spec_dst = info.ipi_addr;
        put(o, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
    if (s->wants & WIR_WANT_PKTINFO6) {
        struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)m->ifindex};
        memcpy(&info.ipi6_addr, m->dst.addr.b, 16);
        put(o, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static void put_error(struct out *o, const struct wir_sock *s, const struct weir_msg *m)
{
    struct {
        struct sock_extended_err ee;
        struct sockaddr_storage offender;
    } e;
    memset(&e, 0, sizeof e);
    e.ee.ee_errno = (uint32_t)m->err;
    e.ee.ee_origin = m->err_origin;
    e.ee.ee_type = m->err_type;
    e.ee.ee_code = m->err_code;
    e.ee.ee_info = m->err_info;
    socklen_t len = wir_addr_to_os(s->family, &m->offender, &e.offender);
    bool is_v6 = s->family == AF_INET6;
    put(o, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_RECVERR : IP_RECVERR, &e, sizeof e.ee + len);
}

size_t wir_cmsg_write(const struct wir_sock *s, const struct wir_staged *d, uint8_t *room, size_t cap, int *flags)
{
    struct out o = {.room = room, .cap = cap};
    const struct weir_msg *m = &d->msg;

    if (m->has & WEIR_HAS_PKTINFO)
        put_pktinfo(&o, s, m);
    if (m->has & WEIR_HAS_TTL && s->wants & WIR_WANT_TTL)
        put(&o, IPPROTO_IP, IP_TTL, &m->ttl, sizeof m->ttl);
    if (m->has & WEIR_HAS_TTL && s->wants & WIR_WANT_HOPLIMIT)
        put(&o, IPPROTO_IPV6, IPV6_HOPLIMIT, &m->ttl, sizeof m->ttl);
    if (m->has & WEIR_HAS_TOS && s->wants & WIR_WANT_TOS) {
        uint8_t tos = (uint8_t)m->tos;
        put(&o, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    }
    if (m->has & WEIR_HAS_TOS && s->wants & WIR_WANT_TCLASS)
        put(&o, IPPROTO_IPV6, IPV6_TCLASS, &m->tos, sizeof m->tos);
    if (m->has & WEIR_HAS_ERR)
        put_error(&o, s, m);
    *flags |= o.flags;
    return o.len;
}

/* ---- From the program ---- */

static int read_one(const struct cmsghdr *h, const uint8_t *data, size_t len, struct weir_msg *m)
{
    if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO && len >= sizeof(struct in_pktinfo)) {
        const uint8_t *a = data + offsetof(struct in_pktinfo, ipi_spec_dst);
        m->dst = (struct weir_sockaddr){.family = AF_INET, .addr = weir_addr_v4(a[0], a[1], a[2], a[3])};
        m->has |= WEIR_HAS_PKTINFO;
    } else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO && len >= sizeof(struct in6_pktinfo)) {
        m->dst = (struct weir_sockaddr){.family = AF_INET6};
        memcpy(m->dst.addr.b, data, 16);
        m->has |= WEIR_HAS_PKTINFO;
    } else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_TTL && len >= sizeof m->ttl) {
        memcpy(&m->ttl, data, sizeof m->ttl);
        m->has |= WEIR_HAS_TTL;
    } else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_TOS && len >= 1) {
        m->tos = data[0];
        m->has |= WEIR_HAS_TOS;
    } else if (h->cmsg_level == IPPROTO_IPV6 && len >= sizeof m->tos &&
               (h->cmsg_type == IPV6_HOPLIMIT || h->cmsg_type == IPV6_TCLASS)) {
        bool is_ttl = h->cmsg_type == IPV6_HOPLIMIT;
        memcpy(is_ttl ? &m->ttl : &m->tos, data, sizeof m->tos);
        m->has |= is_ttl ? WEIR_HAS_TTL : WEIR_HAS_TOS;
    } else if (h->cmsg_level != SOL_SOCKET) {
        return -EINVAL;
    }
    return 0;
}

int wir_cmsg_read(const uint8_t *control, size_t len, struct weir_msg *m)
{
    for (size_t off = 0; off + sizeof(struct cmsghdr) <= len;) {
        struct cmsghdr h;
        memcpy(&h, control + off, sizeof h);
        if (h.cmsg_len < CMSG_LEN(0) || h.cmsg_len > len - off)
            return -EINVAL;
        int err = read_one(&h, control + off + CMSG_LEN(0), h.cmsg_len - CMSG_LEN(0), m);
        if (err < 0)
            return err;
        off += CMSG_ALIGN(h.cmsg_len);
    }
    /* A source on loopback can't go across the link; the stack chooses. */
    if (m->has & WEIR_HAS_PKTINFO && (weir_addr_is_any(&m->dst.addr) || weir_addr_is_loopback(&m->dst.addr)))
        m->has &= ~(uint32_t)WEIR_HAS_PKTINFO;
    return 0;
}
