/*
 * Where the sockets of a measurement come from: a weir stack on a device, or the kernel.
 *
 * One set of calls, so that the same program runs over both and a comparison compares nothing else. They are as
 * weir's: no call blocks, each returns a count, a handle or 0, or a negative errno (Linux's numbers). Levels, options,
 * flags and events are Linux's too, which weir shares. What is ready is told to sources, by wpf_net_turn.
 */
#ifndef WPF_NET_H
#define WPF_NET_H

#include "io/shards.h"

#include <weir/weir.h>

#define WPF_ADDRESSES_MAX 8
#define WPF_SYSCTLS_MAX   32

/* Who is told of a socket's readiness: WEIR_POLL*. It may close any socket, its own as well. */
struct wpf_source {
    void (*ready)(struct wpf_source *, uint32_t events);
};

struct wpf_address {
    struct weir_addr addr;
    unsigned prefix_len;
};

/* Filled from the words of a command line: perf/net_options.h. */
struct wpf_net_config {
    bool is_kernel;     /* and nothing of what follows */
    const char *device; /* "tap:NAME" and the like */
    struct wpf_address addresses[WPF_ADDRESSES_MAX];
    unsigned address_n;
    struct weir_addr gateways[2];
    unsigned gateway_n;
    const char *sysctls[WPF_SYSCTLS_MAX]; /* NAME=VALUE */
    unsigned sysctl_n;
};

struct wpf_net;

struct wpf_net_ops {
    int64_t (*socket)(struct wpf_net *, int family);
    int (*bind)(struct wpf_net *, int64_t fd, const struct weir_sockaddr *);
    int (*listen)(struct wpf_net *, int64_t fd, int backlog);
    int64_t (*accept)(struct wpf_net *, int64_t fd);
    int (*connect)(struct wpf_net *, int64_t fd, const struct weir_sockaddr *);
    int64_t (*send)(struct wpf_net *, int64_t fd, const void *, size_t, int flags);
    int64_t (*send_fixed)(struct wpf_net *, int64_t fd, size_t len);
    int64_t (*recv)(struct wpf_net *, int64_t fd, void *, size_t);
    int64_t (*discard)(struct wpf_net *, int64_t fd, void *scratch, size_t);
    int (*shutdown)(struct wpf_net *, int64_t fd);
    void (*close)(struct wpf_net *, int64_t fd);
    int (*getname)(struct wpf_net *, int64_t fd, bool is_peer, struct weir_sockaddr *);
    int (*getsockopt)(struct wpf_net *, int64_t fd, int level, int name, void *, uint32_t *len);
    int (*setsockopt)(struct wpf_net *, int64_t fd, int level, int name, const void *, uint32_t len);
    int (*watch)(struct wpf_net *, int64_t fd, bool is_new, uint32_t events, struct wpf_source *);
    int (*unsent)(struct wpf_net *, int64_t fd);
    void (*turn)(struct wpf_net *, weir_ns until);
    void (*free)(struct wpf_net *);
};

#define WPF_EVENTS 64 /* told in one turn */

struct wpf_event {
    struct wpf_source *source; /* NULL: it is gone, or nobody's */
    uint32_t events;
};

struct wpf_net {
    const struct wpf_net_ops *ops;
    struct wpf_event pending[WPF_EVENTS]; /* those of this turn */
    unsigned pending_n;
};

/* Make it. NULL after a line on stderr that begins with `who`. */
struct wpf_net *wpf_net_new(const struct wpf_net_config *, const char *who);
void wpf_net_free(struct wpf_net *);

/*
 * A device with several weir stacks, the shards of one host (io/shards.h). A shard is made, used and freed in the
 * thread that it belongs to. The device goes when all of them have. Errors as above.
 */
struct wpf_device;
struct wpf_device *wpf_device_new(const struct wpf_net_config *, unsigned shard_n, const char *who);
struct wpf_net *wpf_device_shard(struct wpf_device *, unsigned i, const char *who);
void wpf_device_free(struct wpf_device *);
bool wpf_device_is_steered(const struct wpf_device *); /* wio_shards_are_steered */

/* What a shard received, and passed on: of a network that wpf_device_shard made. */
struct wio_shard_stats wpf_shard_stats(const struct wpf_net *);

weir_ns wpf_clock(void); /* monotonic */

/* Tell the sources what is ready, or sleep until something is, until the time `until`, or until a signal asks to stop
 * (perf/stop.h). */
static inline void wpf_net_turn(struct wpf_net *n, weir_ns until)
{
    n->ops->turn(n, until);
}

/* A TCP socket of one family that listens at a port on every address (WEIR_AF_INET6: of both families). -EADDRINUSE,
 * -EAFNOSUPPORT, -EACCES, -EMFILE, -ENOMEM. */
int64_t wpf_net_listen(struct wpf_net *, int family, uint16_t port, int backlog);

static inline int64_t wpf_net_accept(struct wpf_net *n, int64_t fd)
{
    return n->ops->accept(n, fd);
}

static inline int64_t wpf_net_socket(struct wpf_net *n, int family)
{
    return n->ops->socket(n, family);
}

/* -EINPROGRESS: WEIR_POLLOUT follows, and wpf_net_error tells how it went. */
static inline int wpf_net_connect(struct wpf_net *n, int64_t fd, const struct weir_sockaddr *to)
{
    return n->ops->connect(n, fd, to);
}

/* flags: 0 or WEIR_MSG_MORE. Never a signal. */
static inline int64_t wpf_net_send(struct wpf_net *n, int64_t fd, const void *buf, size_t len, int flags)
{
    return n->ops->send(n, fd, buf, len, flags);
}

#define WPF_FIXED_MAX (1u << 20)

/* Send bytes that don't matter, at most WPF_FIXED_MAX, and without copying them: weir is lent the same memory again and
 * again, the kernel a file's pages (sendfile). */
static inline int64_t wpf_net_send_fixed(struct wpf_net *n, int64_t fd, size_t len)
{
    return n->ops->send_fixed(n, fd, len);
}

static inline int64_t wpf_net_recv(struct wpf_net *n, int64_t fd, void *buf, size_t len)
{
    return n->ops->recv(n, fd, buf, len);
}

/*
 * Read and forget. The kernel's bytes are copied to `scratch`, as every program that wants to see them must have them
 * copied. Those of weir are in this process already, and a program that embeds it would read them where they lie: all
 * that there are go, more than `len` too.
 */
static inline int64_t wpf_net_discard(struct wpf_net *n, int64_t fd, void *scratch, size_t len)
{
    return n->ops->discard(n, fd, scratch, len);
}

/* No more will be sent. */
static inline int wpf_net_shutdown(struct wpf_net *n, int64_t fd)
{
    return n->ops->shutdown(n, fd);
}

/* Close, and tell the socket's source no more (NULL: it had none): it may be freed. */
void wpf_net_close(struct wpf_net *, int64_t fd, const struct wpf_source *);

static inline int wpf_net_getname(struct wpf_net *n, int64_t fd, bool is_peer, struct weir_sockaddr *out)
{
    return n->ops->getname(n, fd, is_peer, out);
}

static inline int wpf_net_getsockopt(struct wpf_net *n, int64_t fd, int level, int name, void *value, uint32_t *len)
{
    return n->ops->getsockopt(n, fd, level, name, value, len);
}

static inline int wpf_net_setsockopt(struct wpf_net *n, int64_t fd, int level, int name, const void *value,
                                     uint32_t len)
{
    return n->ops->setsockopt(n, fd, level, name, value, len);
}

int wpf_net_setint(struct wpf_net *, int64_t fd, int level, int name, int value);
int wpf_net_error(struct wpf_net *, int64_t fd); /* what SO_ERROR has, negative; 0 for none */
int wpf_net_tcp_info(struct wpf_net *, int64_t fd, struct weir_tcp_info *);

/* Begin to tell a source of these events, by level; and of others from here on. Closing ends it. */
static inline int wpf_net_watch(struct wpf_net *n, int64_t fd, uint32_t events, struct wpf_source *s)
{
    return n->ops->watch(n, fd, true, events, s);
}

static inline int wpf_net_rewatch(struct wpf_net *n, int64_t fd, uint32_t events, struct wpf_source *s)
{
    return n->ops->watch(n, fd, false, events, s);
}

/*
 * After wpf_net_shutdown, and before the end of the process, which a weir stack does not outlive: let all that was
 * written arrive, and the other end close too, for a second at most. What it still says is forgotten.
 */
void wpf_net_drain(struct wpf_net *, int64_t fd);

/* Bytes that were written to a socket and are not acknowledged; 0 as well where it can't be said. */
static inline int wpf_net_unsent(struct wpf_net *n, int64_t fd)
{
    return n->ops->unsent(n, fd);
}

/* The address of a host and port, by the resolver of this machine. NULL, or why there is none. */
const char *wpf_net_resolve(const char *host, uint16_t port, struct weir_sockaddr *out);

/* For the two kinds: tell what is pending. */
void wpf_net_tell(struct wpf_net *);

/* The two kinds, for wpf_net_new. */
struct wpf_net *wpf_net_kernel_new(const char *who);
struct wpf_net *wpf_net_weir_new(const struct wpf_net_config *, const char *who);

#endif
