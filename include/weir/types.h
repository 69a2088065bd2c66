/*
 * The few types that every weir header shares: time, memory, addresses.
 */
#ifndef WEIR_TYPES_H
#define WEIR_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A point in time or a duration, in nanoseconds, on whatever clock the owner of the stack keeps. It only has to be
 * monotonic. */
typedef uint64_t weir_ns;

#define WEIR_NEVER  UINT64_MAX /* as a deadline: none */
#define WEIR_US(n)  ((weir_ns)(n)*1000u)
#define WEIR_MS(n)  ((weir_ns)(n)*1000000u)
#define WEIR_SEC(n) ((weir_ns)(n)*1000000000u)

/* A handle of a socket or an epoll object: index and generation. Never negative; a stale one gives -EBADF. */
typedef int64_t weir_fd;

/*
 * Where a stack's memory comes from.
 *
 * alloc  returns at least `size` bytes aligned as malloc would, or NULL: a refusal is handled everywhere
 * free   gets back the pointer and the size that was asked for
 */
struct weir_alloc {
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *ptr, size_t size);
    void *ctx;
};

/* An IPv6 address, or an IPv4 address in its mapped form ::ffff:a.b.c.d (RFC 4291 2.5.5.2), in network order. */
struct weir_addr {
    uint8_t b[16];
};

#define WEIR_AF_UNSPEC 0
#define WEIR_AF_INET   2
#define WEIR_AF_INET6  10

/* An endpoint. `family` says how it is shown to a person or a program; `addr` alone decides where packets go. */
struct weir_sockaddr {
    struct weir_addr addr;
    uint32_t scope_id; /* interface index of a link-local address, else 0 */
    uint16_t family;   /* WEIR_AF_INET or WEIR_AF_INET6 */
    uint16_t port;     /* host order */
};

/* One piece of a caller's memory, as struct iovec. */
struct weir_iovec {
    void *base;
    size_t len;
};

#define WEIR_ADDR_TEXT_CAP 64 /* room for any formatted address or "[address%scope]:port" */

/* The address a.b.c.d. */
struct weir_addr weir_addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);

/* The unspecified address of a family: 0.0.0.0 or ::. */
struct weir_addr weir_addr_any(int family);

bool weir_addr_is_v4(const struct weir_addr *);
bool weir_addr_is_any(const struct weir_addr *);      /* 0.0.0.0 or :: */
bool weir_addr_is_loopback(const struct weir_addr *); /* 127.0.0.0/8 or ::1 */
bool weir_addr_is_multicast(const struct weir_addr *);
bool weir_addr_is_linklocal(const struct weir_addr *); /* 169.254.0.0/16 or fe80::/10 */
bool weir_addr_equal(const struct weir_addr *, const struct weir_addr *);

/*
 * Read an address in dotted-quad or RFC 4291 text form; nothing may follow it.
 * Returns 0, or -EINVAL and leaves *out alone.
 */
int weir_addr_parse(struct weir_addr *out, const char *text);

/*
 * Write an address in dotted-quad or RFC 5952 form, NUL-terminated, cut to `cap`.
 * Returns `buf`, for use inside a call's arguments.
 */
const char *weir_addr_format(const struct weir_addr *, char *buf, size_t cap);

/* The same with the port: "192.0.2.1:80", "[2001:db8::1]:80". */
const char *weir_sockaddr_format(const struct weir_sockaddr *, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
