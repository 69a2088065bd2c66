/*
 * Addresses between the program, weir and the host kernel; and where loopback goes.
 *
 * The hosts of the link live in 198.18.0.0/15 (set aside for measuring networks, RFC 2544) and in a unique local IPv6
 * prefix (RFC 4193), which nothing real should use. The host's loopback can't be a destination on a link (RFC 1122
 * 3.2.1.3), so a stand-in is used there: 127.0.x.y is 198.19.x.y and ::1 is fd77:6569:7200:1::1. Programs see the
 * loopback addresses only.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "run/run.h"

static const struct weir_addr loop6 = {{[15] = 1}};
static const struct weir_addr stand_in6 = {{0xfd, 0x77, 0x65, 0x69, 0x72, 0x00, 0x00, 0x01, [15] = 1}};
static const struct weir_addr program6 = {{0xfd, 0x77, 0x65, 0x69, 0x72, 0x00, 0x00, 0x00, [15] = 2}};
static const struct weir_addr gateway6 = {{0xfd, 0x77, 0x65, 0x69, 0x72, 0x00, 0x00, 0x00, [15] = 1}};

struct weir_addr wir_addr_program(int family)
{
    return family == WEIR_AF_INET6 ? program6 : weir_addr_v4(198, 18, 0, 2);
}

struct weir_addr wir_addr_gateway(int family)
{
    return family == WEIR_AF_INET6 ? gateway6 : weir_addr_v4(198, 18, 0, 1);
}

struct weir_addr wir_addr_onto_link(struct weir_addr a)
{
    if (weir_addr_is_v4(&a) && a.b[12] == 127 && a.b[13] == 0)
        return weir_addr_v4(198, 19, a.b[14], a.b[15]);
    return weir_addr_equal(&a, &loop6) ? stand_in6 : a;
}

struct weir_addr wir_addr_off_link(struct weir_addr a)
{
    if (weir_addr_is_v4(&a) && a.b[12] == 198 && a.b[13] == 19)
        return weir_addr_v4(127, 0, a.b[14], a.b[15]);
    return weir_addr_equal(&a, &stand_in6) ? loop6 : a;
}

/* ---- Layouts ---- */

socklen_t wir_addr_to_os(int family, const struct weir_sockaddr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        in6->sin6_scope_id = a->scope_id;
        memcpy(&in6->sin6_addr, a->addr.b, 16);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(a->port);
    memcpy(&in->sin_addr, a->addr.b + 12, 4);
    return sizeof *in;
}

void wir_addr_from_os(const struct sockaddr_storage *os, struct weir_sockaddr *out)
{
    memset(out, 0, sizeof *out);
    out->family = os->ss_family;
    if (os->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)os;
        memcpy(out->addr.b, &in6->sin6_addr, 16);
        out->port = ntohs(in6->sin6_port);
        out->scope_id = in6->sin6_scope_id;
    } else if (os->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)os;
        const uint8_t *b = (const uint8_t *)&in->sin_addr;
        out->addr = weir_addr_v4(b[0], b[1], b[2], b[3]);
        out->port = ntohs(in->sin_port);
    }
}

int wir_addr_parse_os(const struct sockaddr_storage *os, uint64_t len, struct weir_sockaddr *out)
{
    if (len < sizeof os->ss_family)
        return -EINVAL;
    if (os->ss_family == AF_UNSPEC) {
        memset(out, 0, sizeof *out);
        return 0;
    }
    if (os->ss_family != AF_INET && os->ss_family != AF_INET6)
        return -EAFNOSUPPORT;
    size_t least = os->ss_family == AF_INET ? sizeof(struct sockaddr_in) : offsetof(struct sockaddr_in6, sin6_scope_id);
    if (len < least)
        return -EINVAL;
    wir_addr_from_os(os, out);
    return 0;
}

int wir_addr_read(const struct wir_call *call, uint64_t addr, uint64_t len, struct weir_sockaddr *out)
{
    struct sockaddr_storage os;
    memset(&os, 0, sizeof os);
    if (len > sizeof os)
        return -EINVAL;
    if (wir_mem_read((pid_t)call->req.pid, addr, &os, len) < 0)
        return -EFAULT;
    return wir_addr_parse_os(&os, len, out);
}

int wir_addr_write(const struct wir_call *call, int family, const struct weir_sockaddr *a, uint64_t addr,
                   uint64_t len_addr)
{
    struct sockaddr_storage os;
    pid_t pid = (pid_t)call->req.pid;
    int room;

    if (wir_mem_read(pid, len_addr, &room, sizeof room) < 0)
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    int len = (int)wir_addr_to_os(family, a, &os);
    if (wir_mem_write(pid, addr, &os, (size_t)(room < len ? room : len)) < 0)
        return -EFAULT;
    return wir_mem_write(pid, len_addr, &len, sizeof len);
}
