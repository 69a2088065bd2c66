/*
 * Socket options that don't depend on the transport: one table names each with its kind, range and place. Values,
 * ranges and errors are Linux's (net/core/sock.c, net/ipv4/ip_sockglue.c, net/ipv6/ipv6_sockglue.c). The transport is
 * told of each that was set, for some need more than a changed member (SO_KEEPALIVE arms a timer).
 */
#include "base/str.h"
#include "sock/sock.h"

#define ECN_BITS   3u   /* of the TOS octet; TCP's own affair (RFC 3168) */
#define SNDBUF_MIN 4608 /* Linux's SOCK_MIN_SNDBUF and SOCK_MIN_RCVBUF on a 64-bit machine */
#define RCVBUF_MIN 2304

/* One call on one option. */
struct access {
    struct wi_sock *s;
    struct wi_handle *h;
    struct wi_sk *sk;
};

enum field { FIELD_NONE, FIELD_BOOL, FIELD_U8, FIELD_I16, FIELD_INT, FIELD_U32 };

enum flag {
    OPT_BYTE = 1 << 0,         /* a value of one byte will do */
    OPT_DGRAM = 1 << 1,        /* not of a stream: stream_err */
    OPT_UNBOUND = 1 << 2,      /* only before the socket is bound: -EINVAL */
    OPT_MINUS_ONE_IS = 1 << 3, /* -1 stands for minus_one */
    OPT_READ_ONLY = 1 << 4,
    OPT_STREAM = 1 << 5, /* of a stream alone */
    OPT_SOME = 1 << 6,   /* with OPT_BYTE: no value at all won't do */
};

struct option {
    int level, name;
    enum field field; /* where the value lies in struct wi_sk_opts, unless set or get says otherwise */
    size_t off;
    unsigned flags; /* enum flag */
    int64_t min, max;
    int minus_one;
    int stream_err;
    int (*set)(const struct access *, int value);
    int (*get)(const struct access *, int *value);
    int (*set_raw)(const struct access *, const void *value, uint32_t len);
    int (*get_raw)(const struct access *, void *value, uint32_t *len);
};

/* ---- Members of struct wi_sk_opts ---- */

static void field_store(struct wi_sk_opts *opts, const struct option *o, int value)
{
    char *at = (char *)opts + o->off;
    switch (o->field) {
    case FIELD_BOOL: *(bool *)at = value != 0; return;
    case FIELD_U8: *(uint8_t *)at = (uint8_t)value; return;
    case FIELD_I16: *(int16_t *)at = (int16_t)value; return;
    case FIELD_INT: *(int *)at = value; return;
    case FIELD_U32: *(uint32_t *)at = (uint32_t)value; return;
    case FIELD_NONE: return;
    }
}

static int field_load(const struct wi_sk_opts *opts, const struct option *o)
{
    const char *at = (const char *)opts + o->off;
    switch (o->field) {
    case FIELD_BOOL: return *(const bool *)at;
    case FIELD_U8: return *(const uint8_t *)at;
    case FIELD_I16: return *(const int16_t *)at;
    case FIELD_INT: return *(const int *)at;
    case FIELD_U32: return (int)*(const uint32_t *)at;
    case FIELD_NONE: break;
    }
    return 0;
}

/* Copy a value out, cut to the caller's room, as getsockopt does. */
static int give_bytes(const void *from, size_t have, void *value, uint32_t *len)
{
    if (*len > have)
        *len = (uint32_t)have;
    if (*len)
        memcpy(value, from, *len);
    return 0;
}

/* ---- SOL_SOCKET ---- */

static int get_type(const struct access *a, int *value)
{
    *value = a->sk->type;
    return 0;
}

static int get_protocol(const struct access *a, int *value)
{
    *value = a->sk->protocol;
    return 0;
}

static int get_domain(const struct access *a, int *value)
{
    *value = a->sk->family;
    return 0;
}

static int get_error(const struct access *a, int *value)
{
    *value = wi_sk_take_err(a->sk);
    return 0;
}

static int get_acceptconn(const struct access *a, int *value)
{
    *value = wi_sock_tcp_state(a->sk) == WI_SOCK_TCP_LISTEN;
    return 0;
}

/* Twice what was asked for: the second half is for bookkeeping, as on Linux. */
static uint32_t buffer_size(int value, int64_t max, uint32_t min)
{
    int64_t half = (uint32_t)value > max ? max : (uint32_t)value;
    if (half > INT32_MAX / 2)
        half = INT32_MAX / 2;
    return half * 2 < min ? min : (uint32_t)(half * 2);
}

static int set_sndbuf(const struct access *a, int value)
{
    a->sk->opts.sndbuf_bytes = buffer_size(value, a->s->core->sysctl.wmem_max, SNDBUF_MIN);
    a->sk->opts.sndbuf_locked = true;
    return 0;
}

static int set_rcvbuf(const struct access *a, int value)
{
    a->sk->opts.rcvbuf_bytes = buffer_size(value, a->s->core->sysctl.rmem_max, RCVBUF_MIN);
    a->sk->opts.rcvbuf_locked = true;
    return 0;
}

static int force_sndbuf(const struct access *a, int value)
{
    a->sk->opts.sndbuf_bytes = buffer_size(value < 0 ? 0 : value, INT32_MAX, SNDBUF_MIN);
    a->sk->opts.sndbuf_locked = true;
    return 0;
}

static int force_rcvbuf(const struct access *a, int value)
{
    a->sk->opts.rcvbuf_bytes = buffer_size(value < 0 ? 0 : value, INT32_MAX, RCVBUF_MIN);
    a->sk->opts.rcvbuf_locked = true;
    return 0;
}

static int set_rcvlowat(const struct access *a, int value)
{
    a->sk->opts.rcvlowat = value < 0 ? INT32_MAX : value ? (uint32_t)value : 1;
    return 0;
}

static int set_linger(const struct access *a, const void *value, uint32_t len)
{
    struct weir_linger linger;
    if (len < sizeof(linger))
        return -WEIR_EINVAL;
    memcpy(&linger, value, sizeof(linger));
    a->sk->opts.linger_on = linger.onoff != 0;
    if (linger.onoff)
        a->sk->opts.linger_s = linger.seconds < 0 ? INT32_MAX : linger.seconds;
    return 0;
}

static int get_linger(const struct access *a, void *value, uint32_t *len)
{
    struct weir_linger linger = {.onoff = a->sk->opts.linger_on, .seconds = a->sk->opts.linger_s};
    return give_bytes(&linger, sizeof(linger), value, len);
}

/* An unsigned int, all ones for no limit, or eight bytes: Linux's sk_setsockopt. Only TCP paces. */
static int set_max_pacing(const struct access *a, const void *value, uint32_t len)
{
    uint64_t rate;
    uint32_t narrow;
    if (a->sk->type != WEIR_SOCK_STREAM)
        return -WEIR_ENOPROTOOPT;
    if (len < sizeof(narrow))
        return -WEIR_EINVAL;
    memcpy(&narrow, value, sizeof(narrow));
    rate = narrow == UINT32_MAX ? UINT64_MAX : narrow;
    if (len >= sizeof(rate))
        memcpy(&rate, value, sizeof(rate));
    a->sk->opts.max_pacing_bps = rate;
    return 0;
}

static int get_max_pacing(const struct access *a, void *value, uint32_t *len)
{
    uint64_t rate = a->sk->opts.max_pacing_bps;
    uint32_t narrow = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
    if (*len >= sizeof(rate))
        return give_bytes(&rate, sizeof(rate), value, len);
    return give_bytes(&narrow, sizeof(narrow), value, len);
}

static int set_ifindex(const struct access *a, int value)
{
    wi_sock_bind_netif(a->sk, value);
    return 0;
}

static int get_ifindex(const struct access *a, int *value)
{
    *value = a->sk->opts.bound_if;
    return 0;
}

static int get_sndlowat(const struct access *a, int *value)
{
    (void)a;
    *value = 1; /* Linux knows no other */
    return 0;
}

#define SNDBUF_LOCKED 1 /* Linux's SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK */
#define RCVBUF_LOCKED 2

static int set_buf_lock(const struct access *a, int value)
{
    a->sk->opts.sndbuf_locked = value & SNDBUF_LOCKED;
    a->sk->opts.rcvbuf_locked = value & RCVBUF_LOCKED;
    return 0;
}

static int get_buf_lock(const struct access *a, int *value)
{
    *value = (a->sk->opts.sndbuf_locked ? SNDBUF_LOCKED : 0) | (a->sk->opts.rcvbuf_locked ? RCVBUF_LOCKED : 0);
    return 0;
}

static int get_cookie(const struct access *a, void *value, uint32_t *len)
{
    return *len < sizeof(a->sk->id) ? -WEIR_EINVAL : give_bytes(&a->sk->id, sizeof(a->sk->id), value, len);
}

#define NETIF_NAME_CAP 16 /* IFNAMSIZ */

static int set_device(const struct access *a, const void *value, uint32_t len)
{
    char name[NETIF_NAME_CAP] = {0};
    if (len)
        memcpy(name, value, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
    int netif = name[0] ? wi_net_netif_by_name(a->s->net, name) : 0;
    if (netif < 0)
        return netif;
    wi_sock_bind_netif(a->sk, netif);
    return 0;
}

static int get_device(const struct access *a, void *value, uint32_t *len)
{
    const char *name = a->sk->opts.bound_if ? wi_net_netif_name(a->s->net, a->sk->opts.bound_if) : NULL;
    uint32_t need = 0;
    while (name && name[need++])
        ;
    if (need && *len < NETIF_NAME_CAP)
        return -WEIR_EINVAL;
    return give_bytes(name, need, value, len);
}

/* What lies in the queues is the transport's to say. */
static int get_meminfo(const struct access *a, void *value, uint32_t *len)
{
    uint32_t words[WEIR_MEMINFO_N] = {0}, have = sizeof(words);
    int err = a->sk->ops->getsockopt(a->sk, WEIR_SOL_SOCKET, WEIR_SO_MEMINFO, words, &have);
    if (err)
        return err;
    words[WEIR_MEMINFO_RCVBUF] = a->sk->opts.rcvbuf_bytes;
    words[WEIR_MEMINFO_SNDBUF] = a->sk->opts.sndbuf_bytes;
    return give_bytes(words, sizeof(words), value, len);
}

/* ---- SOL_IP and SOL_IPV6 ---- */

static int set_tos(const struct access *a, int value)
{
    uint8_t tos = (uint8_t)value;
    if (a->sk->type == WEIR_SOCK_STREAM)
        tos = (uint8_t)((tos & ~ECN_BITS) | (a->sk->opts.tos & ECN_BITS));
    a->sk->opts.tos = tos;
    return 0;
}

static int get_ttl(const struct access *a, int *value)
{
    *value = a->sk->opts.ttl >= 0 ? a->sk->opts.ttl : (int)a->s->core->sysctl.ip_default_ttl;
    return 0;
}

static int get_hops(const struct access *a, int *value)
{
    *value = a->sk->opts.ttl >= 0 ? a->sk->opts.ttl : (int)a->s->core->sysctl.ipv6_hop_limit;
    return 0;
}

static int get_mtu(const struct access *a, int *value)
{
    struct wi_dst dst;
    if (!a->sk->remote.port)
        return -WEIR_ENOTCONN;
    int err = wi_net_route(a->s->net, &a->sk->remote.addr, &a->sk->local.addr, a->sk->opts.bound_if, true, &dst);
    if (!err)
        *value = (int)dst.mtu;
    return err;
}

static struct weir_addr addr_of_4(const uint8_t b[4])
{
    return weir_addr_v4(b[0], b[1], b[2], b[3]);
}

static struct weir_addr addr_of_16(const uint8_t b[16])
{
    struct weir_addr addr;
    memcpy(addr.b, b, sizeof(addr.b));
    return addr;
}

/* The interface that a struct weir_mreqn means: by index, by an address of it, or 0 for none in particular. */
static int mreqn_netif(const struct access *a, const struct weir_mreqn *req)
{
    struct weir_addr address = addr_of_4(req->address);
    if (req->ifindex)
        return wi_net_netif_name(a->s->net, req->ifindex) ? req->ifindex : -WEIR_ENODEV;
    return weir_addr_is_any(&address) ? 0 : wi_net_netif_of_addr(a->s->net, &address);
}

static int set_mcast_if4(const struct access *a, const void *value, uint32_t len)
{
    struct weir_mreqn req = {0};
    if (len >= sizeof(req.group) + sizeof(req.address))
        memcpy(&req, value, len < sizeof(req) ? sizeof(req.group) + sizeof(req.address) : sizeof(req));
    else if (len >= sizeof(req.address))
        memcpy(req.address, value, sizeof(req.address));
    else
        return -WEIR_EINVAL;

    int netif = mreqn_netif(a, &req);
    if (netif < 0)
        return req.ifindex ? netif : -WEIR_EADDRNOTAVAIL;
    if (netif && a->sk->opts.bound_if && netif != a->sk->opts.bound_if)
        return -WEIR_EINVAL;
    a->sk->opts.mcast_if = netif;
    return 0;
}

/* Linux gives back the address that was set, and nothing by which to see an index; the wildcard stands for that. */
static int get_mcast_if4(const struct access *a, void *value, uint32_t *len)
{
    static const uint8_t any[4];
    (void)a;
    return give_bytes(any, sizeof(any), value, len);
}

static int set_mcast_if6(const struct access *a, int value)
{
    if (value && !wi_net_netif_name(a->s->net, value))
        return -WEIR_ENODEV;
    if (value && a->sk->opts.bound_if && value != a->sk->opts.bound_if)
        return -WEIR_EINVAL;
    a->sk->opts.mcast_if = value;
    return 0;
}

typedef int group_change(struct wi_sk *, int netif, const struct weir_addr *group);

static int change4(const struct access *a, const void *value, uint32_t len, group_change *change)
{
    struct weir_mreqn req = {0};
    if (len < sizeof(req.group) + sizeof(req.address))
        return -WEIR_EINVAL;
    memcpy(&req, value, len < sizeof(req) ? sizeof(req.group) + sizeof(req.address) : sizeof(req));
    int netif = mreqn_netif(a, &req);
    struct weir_addr group = addr_of_4(req.group);
    return netif < 0 ? -WEIR_ENODEV : change(a->sk, netif, &group);
}

static int change6(const struct access *a, const void *value, uint32_t len, group_change *change)
{
    struct weir_ipv6_mreq req;
    if (len < sizeof(req))
        return -WEIR_EINVAL;
    memcpy(&req, value, sizeof(req));
    struct weir_addr group = addr_of_16(req.group);
    if (req.ifindex && (req.ifindex > INT32_MAX || !wi_net_netif_name(a->s->net, (int)req.ifindex)))
        return -WEIR_ENODEV;
    return weir_addr_is_v4(&group) ? -WEIR_EINVAL : change(a->sk, (int)req.ifindex, &group);
}

static int join4(const struct access *a, const void *value, uint32_t len)
{
    return change4(a, value, len, wi_sk_group_join);
}

static int leave4(const struct access *a, const void *value, uint32_t len)
{
    return change4(a, value, len, wi_sk_group_leave);
}

static int join6(const struct access *a, const void *value, uint32_t len)
{
    return change6(a, value, len, wi_sk_group_join);
}

static int leave6(const struct access *a, const void *value, uint32_t len)
{
    return change6(a, value, len, wi_sk_group_leave);
}

/* ---- SOL_WEIR ---- */

static int get_conn_id(const struct access *a, void *value, uint32_t *len)
{
    return give_bytes(&a->sk->id, sizeof(a->sk->id), value, len);
}

/* Only before listen: a listener's SYNs are either held or not. */
static int set_hold_syn(const struct access *a, int value)
{
    if (a->sk->type != WEIR_SOCK_STREAM)
        return -WEIR_EOPNOTSUPP;
    if (wi_sock_tcp_state(a->sk) != WI_SOCK_TCP_CLOSE)
        return -WEIR_EINVAL;
    a->sk->opts.hold_syn = value != 0;
    return 0;
}

/* ---- What only streams tell ---- */

static int set_zerocopy(const struct access *a, int value)
{
    if (a->sk->type != WEIR_SOCK_STREAM)
        return -WEIR_ENOPROTOOPT;
    a->sk->opts.zerocopy = value;
    return 0;
}

/* An int, or Linux's struct so_timestamping, whose second member names a hardware clock. The numbers of OPT_ID need a
 * connection to be counted in. */
static int set_timestamping(const struct access *a, int value)
{
    const int all = (1 << 19) - 1;
    int fresh = value & ~(int)a->sk->opts.timestamping;
    unsigned state = wi_sock_tcp_state(a->sk);
    if (a->sk->type != WEIR_SOCK_STREAM)
        return -WEIR_ENOPROTOOPT;
    if (value & ~all || (value & WEIR_TIMESTAMPING_OPT_ID_TCP && !(value & WEIR_TIMESTAMPING_OPT_ID)))
        return -WEIR_EINVAL;
    if (fresh & WEIR_TIMESTAMPING_OPT_ID && (state == WI_SOCK_TCP_CLOSE || state == WI_SOCK_TCP_LISTEN))
        return -WEIR_EINVAL;
    a->sk->opts.timestamping = (uint32_t)value;
    return 0;
}

/* Linux's struct so_timestamping: the flags, and the index of a hardware clock. */
static int get_timestamping(const struct access *a, void *value, uint32_t *len)
{
    uint32_t words[2] = {a->sk->opts.timestamping, 0};
    return a->sk->type == WEIR_SOCK_STREAM ? give_bytes(words, sizeof(words), value, len) : -WEIR_ENOPROTOOPT;
}

/* ---- The table ---- */

#define AT(member)   offsetof(struct wi_sk_opts, member)
#define BOOL(member) .field = FIELD_BOOL, .off = AT(member), .min = INT32_MIN, .max = INT32_MAX
#define ANY          .min = INT32_MIN, .max = INT32_MAX
#define SOCKET(opt)  .level = WEIR_SOL_SOCKET, .name = WEIR_SO_##opt
#define IP(opt)      .level = WEIR_SOL_IP, .name = WEIR_IP_##opt
#define IPV6(opt)    .level = WEIR_SOL_IPV6, .name = WEIR_IPV6_##opt
#define WEIR(opt)    .level = WEIR_SOL_WEIR, .name = WEIR_OPT_##opt

static const struct option table[] = {
    {SOCKET(REUSEADDR), BOOL(reuseaddr)},
    {SOCKET(TYPE), .flags = OPT_READ_ONLY, .get = get_type},
    {SOCKET(ERROR), .flags = OPT_READ_ONLY, .get = get_error},
    {SOCKET(BROADCAST), BOOL(broadcast)},
    {SOCKET(SNDBUF), .field = FIELD_U32, .off = AT(sndbuf_bytes), ANY, .set = set_sndbuf},
    {SOCKET(RCVBUF), .field = FIELD_U32, .off = AT(rcvbuf_bytes), ANY, .set = set_rcvbuf},
    {SOCKET(SNDBUFFORCE), ANY, .set = force_sndbuf},
    {SOCKET(RCVBUFFORCE), ANY, .set = force_rcvbuf},
    {SOCKET(KEEPALIVE), BOOL(keepalive)},
    {SOCKET(OOBINLINE), BOOL(oobinline)},
    {SOCKET(LINGER), .set_raw = set_linger, .get_raw = get_linger},
    {SOCKET(REUSEPORT), BOOL(reuseport)},
    {SOCKET(RCVLOWAT), .field = FIELD_U32, .off = AT(rcvlowat), ANY, .set = set_rcvlowat},
    {SOCKET(SNDLOWAT), .flags = OPT_READ_ONLY, .get = get_sndlowat},
    {SOCKET(BINDTODEVICE), .set_raw = set_device, .get_raw = get_device},
    {SOCKET(ACCEPTCONN), .flags = OPT_READ_ONLY, .get = get_acceptconn},
    {SOCKET(MAX_PACING_RATE), .set_raw = set_max_pacing, .get_raw = get_max_pacing},
    {SOCKET(TIMESTAMPING), .field = FIELD_U32, .off = AT(timestamping), ANY, .set = set_timestamping,
     .get_raw = get_timestamping},
    {SOCKET(ZEROCOPY), .field = FIELD_BOOL, .off = AT(zerocopy), .min = 0, .max = 1, .set = set_zerocopy},
    {SOCKET(BINDTOIFINDEX), .min = 0, .max = INT32_MAX, .set = set_ifindex, .get = get_ifindex},
    {SOCKET(BUF_LOCK), .min = 0, .max = SNDBUF_LOCKED | RCVBUF_LOCKED, .set = set_buf_lock, .get = get_buf_lock},
    {SOCKET(TXREHASH), .field = FIELD_BOOL, .off = AT(txrehash), .flags = OPT_STREAM | OPT_MINUS_ONE_IS, .min = 0,
     .max = 1, .minus_one = 1},
    {SOCKET(MEMINFO), .flags = OPT_READ_ONLY, .get_raw = get_meminfo},
    {SOCKET(COOKIE), .flags = OPT_READ_ONLY, .get_raw = get_cookie},
    {SOCKET(PROTOCOL), .flags = OPT_READ_ONLY, .get = get_protocol},
    {SOCKET(DOMAIN), .flags = OPT_READ_ONLY, .get = get_domain},

    {IP(TOS), .field = FIELD_U8, .off = AT(tos), .flags = OPT_BYTE, ANY, .set = set_tos},
    {IP(TTL), .field = FIELD_I16, .off = AT(ttl), .flags = OPT_BYTE | OPT_SOME | OPT_MINUS_ONE_IS, .min = 1, .max = 255,
     .minus_one = -1, .get = get_ttl},
    {IP(PKTINFO), BOOL(recv_pktinfo), .flags = OPT_BYTE},
    {IP(MTU_DISCOVER), .field = FIELD_U8, .off = AT(mtu_discover), .flags = OPT_BYTE, .min = 0,
     .max = WI_PMTUDISC_OMIT},
    {IP(RECVERR), BOOL(recverr), .flags = OPT_BYTE},
    {IP(RECVTTL), BOOL(recv_ttl), .flags = OPT_BYTE},
    {IP(RECVTOS), BOOL(recv_tos), .flags = OPT_BYTE},
    {IP(MTU), .flags = OPT_READ_ONLY, .get = get_mtu},
    {IP(TRANSPARENT), BOOL(transparent), .flags = OPT_BYTE},
    {IP(FREEBIND), BOOL(freebind), .flags = OPT_BYTE | OPT_SOME},
    {IP(MINTTL), .field = FIELD_U8, .off = AT(min_ttl), .flags = OPT_BYTE | OPT_SOME | OPT_STREAM, .min = 0,
     .max = 255},
    {IP(BIND_ADDRESS_NO_PORT), BOOL(bind_no_port), .flags = OPT_BYTE},
    {IP(MULTICAST_IF), .flags = OPT_DGRAM, .stream_err = -WEIR_EINVAL, .set_raw = set_mcast_if4,
     .get_raw = get_mcast_if4},
    {IP(MULTICAST_TTL), .field = FIELD_I16, .off = AT(mcast_ttl),
     .flags = OPT_BYTE | OPT_SOME | OPT_DGRAM | OPT_MINUS_ONE_IS, .min = 0, .max = 255, .minus_one = 1,
     .stream_err = -WEIR_EINVAL},
    {IP(MULTICAST_LOOP), BOOL(mcast_loop), .flags = OPT_BYTE | OPT_SOME},
    {IP(ADD_MEMBERSHIP), .flags = OPT_DGRAM, .stream_err = -WEIR_EPROTO, .set_raw = join4},
    {IP(DROP_MEMBERSHIP), .flags = OPT_DGRAM, .stream_err = -WEIR_EPROTO, .set_raw = leave4},

    {IPV6(UNICAST_HOPS), .field = FIELD_I16, .off = AT(ttl), .flags = OPT_MINUS_ONE_IS, .min = 1, .max = 255,
     .minus_one = -1, .get = get_hops},
    {IPV6(MULTICAST_IF), .field = FIELD_INT, .off = AT(mcast_if), .flags = OPT_DGRAM, .min = 0, .max = INT32_MAX,
     .stream_err = -WEIR_ENOPROTOOPT, .set = set_mcast_if6},
    {IPV6(MULTICAST_HOPS), .field = FIELD_I16, .off = AT(mcast_ttl), .flags = OPT_DGRAM | OPT_MINUS_ONE_IS, .min = 0,
     .max = 255, .minus_one = 1, .stream_err = -WEIR_ENOPROTOOPT},
    {IPV6(MULTICAST_LOOP), .field = FIELD_BOOL, .off = AT(mcast_loop), .min = 0, .max = 1},
    {IPV6(JOIN_GROUP), .flags = OPT_DGRAM, .stream_err = -WEIR_EPROTO, .set_raw = join6},
    {IPV6(LEAVE_GROUP), .flags = OPT_DGRAM, .stream_err = -WEIR_EPROTO, .set_raw = leave6},
    {IPV6(MTU_DISCOVER), .field = FIELD_U8, .off = AT(mtu_discover), .min = 0, .max = WI_PMTUDISC_OMIT},
    {IPV6(MTU), .flags = OPT_READ_ONLY, .get = get_mtu},
    {IPV6(RECVERR), BOOL(recverr)},
    {IPV6(V6ONLY), BOOL(v6only), .flags = OPT_UNBOUND},
    {IPV6(TRANSPARENT), BOOL(transparent)},
    {IPV6(FREEBIND), BOOL(freebind)},
    {IPV6(MINHOPCOUNT), .field = FIELD_U8, .off = AT(min_hops), .flags = OPT_STREAM, .min = 0, .max = 255},
    {IPV6(RECVPKTINFO), BOOL(recv_pktinfo)},
    {IPV6(RECVHOPLIMIT), BOOL(recv_ttl)},
    {IPV6(RECVTCLASS), BOOL(recv_tos)},
    {IPV6(TCLASS), .field = FIELD_U8, .off = AT(tos), .flags = OPT_MINUS_ONE_IS, .min = 0, .max = 255, .minus_one = 0,
     .set = set_tos},

    {WEIR(ANY_PORT), BOOL(any_port), .flags = OPT_UNBOUND},
    {WEIR(HOLD_SYN), BOOL(hold_syn), .set = set_hold_syn},
    {WEIR(RACK), .field = FIELD_I16, .off = AT(rack), .flags = OPT_STREAM, .min = -1, .max = 1},
    {WEIR(TLP), .field = FIELD_I16, .off = AT(tlp), .flags = OPT_STREAM, .min = -1, .max = 1},
    {WEIR(CONN_ID), .flags = OPT_READ_ONLY, .get_raw = get_conn_id},
};

/* An AF_INET6 socket takes IPv4's options as well, for it may carry IPv4; not the other way round. */
static bool is_ours(const struct wi_sk *sk, int level)
{
    return level == WEIR_SOL_SOCKET || level == WEIR_SOL_IP || level == WEIR_SOL_WEIR ||
           (level == WEIR_SOL_IPV6 && sk->family == WEIR_AF_INET6);
}

static const struct option *option_find(const struct wi_sk *sk, int level, int name)
{
    if (!is_ours(sk, level))
        return NULL;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].level == level && table[i].name == name)
            return table[i].flags & OPT_STREAM && sk->type != WEIR_SOCK_STREAM ? NULL : &table[i];
    }
    return NULL;
}

/* An int, or at SOL_IP a single byte, or none, which is 0. */
static int take_int(const struct option *o, const void *value, uint32_t len, int *out)
{
    if (len >= sizeof(*out)) {
        memcpy(out, value, sizeof(*out));
        return 0;
    }
    if (!(o->flags & OPT_BYTE) || (!len && o->flags & OPT_SOME))
        return -WEIR_EINVAL;
    *out = len ? *(const uint8_t *)value : 0;
    return 0;
}

static int set_int(const struct option *o, const struct access *a, const void *value, uint32_t len)
{
    int v;
    int err = take_int(o, value, len, &v);
    if (err)
        return err;
    if (v == -1 && o->flags & OPT_MINUS_ONE_IS)
        v = o->minus_one;
    else if (v < o->min || v > o->max)
        return -WEIR_EINVAL;
    if (o->set)
        return o->set(a, v);
    field_store(&a->sk->opts, o, v);
    return 0;
}

static int option_set(struct wi_sock *s, struct wi_handle *h, int level, int name, const void *value, uint32_t len)
{
    const struct access a = {s, h, h->sk};
    const struct option *o = option_find(a.sk, level, name);

    if (!o || o->flags & OPT_READ_ONLY) /* at SOL_SOCKET Linux looks at the length before the name */
        return level == WEIR_SOL_SOCKET && len < sizeof(int) ? -WEIR_EINVAL : -WEIR_ENOPROTOOPT;
    if (o->flags & OPT_DGRAM && a.sk->type == WEIR_SOCK_STREAM)
        return o->stream_err;
    if (o->flags & OPT_UNBOUND && a.sk->port)
        return -WEIR_EINVAL;

    int err = o->set_raw ? o->set_raw(&a, value, len) : set_int(o, &a, value, len);
    if (!err)
        a.sk->ops->setsockopt(a.sk, level, name, value, len); /* told, not asked: what it makes of it is its affair */
    return err;
}

/* At SOL_IP a caller with room for less than an int gets a byte (Linux's do_ip_getsockopt). */
static int give_int(const struct option *o, int v, void *value, uint32_t *len)
{
    uint8_t byte = (uint8_t)v;
    if (o->level == WEIR_SOL_IP && *len > 0 && *len < sizeof(v) && v >= 0 && v <= 255)
        return give_bytes(&byte, sizeof(byte), value, len);
    return give_bytes(&v, sizeof(v), value, len);
}

static int option_get(struct wi_sock *s, struct wi_handle *h, int level, int name, void *value, uint32_t *len)
{
    const struct access a = {s, h, h->sk};
    const struct option *o = option_find(a.sk, level, name);
    int v = 0;

    if (!o || (o->field == FIELD_NONE && !o->get && !o->get_raw))
        return -WEIR_ENOPROTOOPT;
    if (o->get_raw)
        return o->get_raw(&a, value, len);
    if (o->get) {
        int err = o->get(&a, &v);
        if (err)
            return err;
    } else {
        v = field_load(&a.sk->opts, o);
    }
    return give_int(o, v, value, len);
}

/* ---- By level ---- */

static bool is_transports(const struct wi_sk *sk, int level)
{
    return level == sk->protocol && (level == WEIR_SOL_TCP || level == WEIR_SOL_UDP);
}

int wi_sock_getsockopt(struct wi_sock *s, weir_fd fd, int level, int name, void *value, uint32_t *len)
{
    struct wi_handle *h;
    int err = wi_sock_find(s, fd, &h);
    if (err)
        return err;
    if (*len > INT32_MAX)
        return -WEIR_EINVAL;
    if (is_transports(h->sk, level))
        return h->sk->ops->getsockopt(h->sk, level, name, value, len);
    /* Linux has two answers to a level that it doesn't know, of which this is ip_getsockopt's. */
    if (!is_ours(h->sk, level) && h->sk->family == WEIR_AF_INET)
        return -WEIR_EOPNOTSUPP;
    return option_get(s, h, level, name, value, len);
}

int wi_sock_setsockopt(struct wi_sock *s, weir_fd fd, int level, int name, const void *value, uint32_t len)
{
    struct wi_handle *h;
    int err = wi_sock_find(s, fd, &h);
    if (err)
        return err;
    if (len > INT32_MAX)
        return -WEIR_EINVAL;
    if (!value && len)
        return -WEIR_EFAULT;
    if (is_transports(h->sk, level))
        return h->sk->ops->setsockopt(h->sk, level, name, value, len);
    return option_set(s, h, level, name, value, len);
}
