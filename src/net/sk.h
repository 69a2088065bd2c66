/*
 * A transport endpoint as the layers above and below see it: what TCP's and UDP's sockets have in common. Each
 * transport embeds one as its first concern and fills in the operations; src/sock owns the handle and calls them.
 *
 * Ownership: the transport allocates and frees. While `owner` is set a handle refers to it; after close() the transport
 * keeps it for as long as the protocol needs, and frees it itself.
 */
#ifndef WI_NET_SK_H
#define WI_NET_SK_H

#include "base/core.h"
#include "base/list.h"
#include <weir/socket.h>

struct wi_net;
struct wi_sk;

struct wi_sk_ops {
    int (*bind)(struct wi_sk *, const struct weir_sockaddr *);
    int (*connect)(struct wi_sk *, const struct weir_sockaddr *); /* family AF_UNSPEC: dissolve */

    /* A stream's, NULL for others. */
    int (*listen)(struct wi_sk *, int backlog);
    int (*accept)(struct wi_sk *, struct wi_sk **child);
    int (*admit)(struct wi_sk *);           /* a held SYN: answer it */
    int (*refuse)(struct wi_sk *, int err); /* a held SYN: turn it away; the endpoint is gone afterwards */
    int64_t (*send_frags)(struct wi_sk *, const struct weir_frag *, unsigned n, int flags);
    int64_t (*recv_frags)(struct wi_sk *, struct weir_frag *, unsigned n, size_t max, size_t *bytes);

    int64_t (*sendmsg)(struct wi_sk *, const struct weir_msg *, int flags);
    int64_t (*recvmsg)(struct wi_sk *, struct weir_msg *, int flags);
    int (*shutdown)(struct wi_sk *, int how);
    void (*close)(struct wi_sk *);          /* owner is NULL already */
    void (*abort)(struct wi_sk *);          /* likewise */
    uint32_t (*poll)(const struct wi_sk *); /* WEIR_POLL* that are true now */
    int (*getsockopt)(struct wi_sk *, int level, int name, void *value, uint32_t *len);
    int (*setsockopt)(struct wi_sk *, int level, int name, const void *value, uint32_t len);
    int (*ioctl)(struct wi_sk *, enum weir_ioctl, int *value);
};

/* IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: Linux's IP_PMTUDISC_*, number for number. */
enum wi_pmtudisc {
    WI_PMTUDISC_DONT,      /* routers may fragment */
    WI_PMTUDISC_WANT,      /* don't fragment what fits the path; what does not is fragmented here */
    WI_PMTUDISC_DO,        /* never fragment */
    WI_PMTUDISC_PROBE,     /* the same, up to the link's MTU, whatever is known of the path */
    WI_PMTUDISC_INTERFACE, /* the link's MTU; routers may fragment, and what they say is not believed */
    WI_PMTUDISC_OMIT,      /* the same, and what does not fit the link is fragmented here */
};

/* Socket options that the transports and the network layer read; src/sock sets them (those of SOL_SOCKET, SOL_IP,
 * SOL_IPV6). */
struct wi_sk_opts {
    uint32_t sndbuf_bytes, rcvbuf_bytes; /* as getsockopt reports them: twice what was asked for, as on Linux */
    bool sndbuf_locked, rcvbuf_locked;   /* set by the user: no autotuning */
    uint32_t rcvlowat;
    int bound_if; /* SO_BINDTODEVICE, 0: any */
    int mcast_if;
    int16_t ttl;               /* -1: the default */
    int16_t mcast_ttl;         /* 1 by default */
    uint8_t tos;               /* or the traffic class */
    uint8_t mtu_discover;      /* enum wi_pmtudisc */
    int32_t linger_s;          /* valid when linger_on */
    uint32_t timestamping;     /* enum weir_timestamping */
    uint64_t max_pacing_bps;   /* bytes a second, UINT64_MAX: no limit, and nothing is paced for its sake */
    int16_t rack, tlp;         /* WEIR_OPT_RACK, WEIR_OPT_TLP: 0 off, 1 on, -1 as the tunables say */
    uint8_t min_ttl, min_hops; /* a stream: of what arrives by IPv4, by IPv6 (RFC 5082) */
    bool linger_on;
    bool reuseaddr, reuseport, v6only, broadcast, keepalive, oobinline, mcast_loop, recverr;
    bool recv_pktinfo, recv_ttl, recv_tos;
    bool transparent, freebind, txrehash, bind_no_port, any_port, hold_syn, zerocopy;
};

/* Does a stream have DF set, and follow what routers say of the path? */
static inline bool wi_sk_forbids_fragments(const struct wi_sk_opts *o)
{
    return o->mtu_discover >= WI_PMTUDISC_WANT && o->mtu_discover <= WI_PMTUDISC_PROBE;
}

static inline bool wi_sk_believes_too_big(const struct wi_sk_opts *o, bool is_v4)
{
    return o->mtu_discover < WI_PMTUDISC_INTERFACE && !(is_v4 && o->mtu_discover == WI_PMTUDISC_DONT);
}

struct wi_sk;

/* May it be bound to an address that is not ours? */
static inline bool wi_sk_may_bind_foreign(const struct wi_sk_opts *o, const struct wi_core *core)
{
    return o->transparent || o->freebind || core->sysctl.ip_nonlocal_bind;
}

struct wi_sk {
    struct wi_core *core;
    struct wi_net *net;
    const struct wi_sk_ops *ops;
    void *owner; /* src/sock's record; NULL: no handle */

    /*
     * Called by the transport each time that something happened (data came, room came, an error), with the events that
     * it may have made true; it is called again for more of the same, which is what edge-triggered epoll needs. NULL
     * when nobody cares. It must not call back into the transport.
     */
    void (*on_ready)(struct wi_sk *, uint32_t events);

    uint64_t id;                        /* weir_event.conn_id */
    struct weir_sockaddr local, remote; /* port 0: not bound, not connected */
    uint16_t family;
    uint8_t type;     /* SOCK_STREAM, SOCK_DGRAM */
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    bool has_addr;    /* bind named an address: local.addr was not just chosen by connect */
    int err;          /* pending, positive errno: SO_ERROR, and the next call's failure */
    int err_soft;     /* an ICMP error that did not end the connection: what a timeout will report */
    struct wi_sk_opts opts;
    struct wi_list groups; /* memberships: wi_sk_group_join */
    struct wi_port *port;  /* net/ports.h; NULL: not bound */
    bool port_is_held;     /* occupies the port, lookups pass it by */
    uint8_t port_reuse;    /* enum wi_port_reuse, as it stood at the binding */
    bool port_by_bind;     /* counts in wi_port_number.bound_n */
};

/* Give a new endpoint its stack, identity and default options. */
void wi_sk_init(struct wi_sk *, struct wi_core *, struct wi_net *, const struct wi_sk_ops *, int family, int type,
                int protocol);

/* The connection's state has changed: whoever watches looks again, whatever for (Linux's sk_state_change; an edge is
 * seen by it, also where nothing new is true). */
#define WI_SK_CHANGED 0xffffu

static inline void wi_sk_ready(struct wi_sk *sk, uint32_t events)
{
    if (sk->on_ready)
        sk->on_ready(sk, events);
}

/* Take the pending error, as SO_ERROR does: positive errno, 0 when there is none. */
int wi_sk_take_err(struct wi_sk *);

#endif
