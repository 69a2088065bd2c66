/* Bound ports: see ports.h. Owns the two tables (by number; by number and address) and the rules of bind conflicts. */
#include "net/ports.h"

#include "base/bytes.h"
#include "base/str.h"

#define PORTS_INITIAL 16

/* What an address at a port is looked up by. */
struct port_id {
    const struct weir_addr *addr;
    uint16_t port;
};

static uint64_t hash_port(const struct wi_ports *ports, const struct port_id *id)
{
    if (weir_addr_is_v4(id->addr))
        return wi_siphash13_2u64(ports->key, wi_get32(id->addr->b + 12), id->port);
    uint8_t in[18];
    memcpy(in, id->addr->b, 16);
    wi_put16(in + 16, id->port);
    return wi_siphash13(ports->key, in, sizeof in);
}

static bool port_equal(const struct wi_hnode *node, const void *key)
{
    const struct wi_port *port = WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_port, link);
    const struct port_id *id = key;
    return port->number->port == id->port && weir_addr_equal(&port->addr, id->addr);
}

static struct wi_port *port_find(const struct wi_ports *ports, uint16_t number, const struct weir_addr *addr)
{
    struct port_id id = {addr, number};
    struct wi_hnode *node = wi_htable_find(&ports->ports, hash_port(ports, &id), port_equal, &id);
    return node ? WI_CONTAINER_OF(node, struct wi_port, link) : NULL;
}

static bool number_equal(const struct wi_hnode *node, const void *key)
{
    const struct wi_port_number *number =
        WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_port_number, link);
    return number->port == *(const uint16_t *)key;
}

/* The number alone needs no key: a peer cannot choose many that share a bucket. */
static uint64_t hash_number(uint16_t port)
{
    return port * UINT64_C(0x9e3779b97f4a7c15) >> 16;
}

static struct wi_port_number *number_find(const struct wi_ports *ports, uint16_t port)
{
    struct wi_hnode *node = wi_htable_find(&ports->numbers, hash_number(port), number_equal, &port);
    return node ? WI_CONTAINER_OF(node, struct wi_port_number, link) : NULL;
}

static struct wi_port_number *number_get(struct wi_ports *ports, uint16_t port)
{
    struct wi_port_number *number = number_find(ports, port);
    if (number)
        return number;
    number = wi_mem_zalloc(ports->core->mem, sizeof *number); /* a slab would cost an idle connection 32 bytes more */
    if (!number)
        return NULL;
    number->port = port;
    wi_list_init(&number->ports);
    wi_htable_insert(&ports->numbers, &number->link, hash_number(port));
    return number;
}

static void number_put(struct wi_ports *ports, struct wi_port_number *number)
{
    if (!wi_list_empty(&number->ports))
        return;
    wi_htable_remove(&ports->numbers, &number->link);
    wi_core_free(ports->core, number, sizeof *number);
}

static bool port_is_unused(const struct wi_port *port)
{
    return !port->receiver_n && !(port->holder_n[0] | port->holder_n[1] | port->holder_n[2] | port->holder_n[3]);
}

static struct wi_port *port_get(struct wi_ports *ports, uint16_t port_number, const struct weir_addr *addr)
{
    struct wi_port *port = port_find(ports, port_number, addr);
    if (port)
        return port;
    struct wi_port_number *number = number_get(ports, port_number);
    if (!number)
        return NULL;
    port = wi_mem_zalloc(ports->core->mem, sizeof *port);
    if (!port) {
        number_put(ports, number);
        return NULL;
    }
    port->number = number;
    port->addr = *addr;
    wi_list_add_tail(&number->ports, &port->number_link);
    struct port_id id = {addr, port_number};
    wi_htable_insert(&ports->ports, &port->link, hash_port(ports, &id));
    return port;
}

static void port_put(struct wi_ports *ports, struct wi_port *port)
{
    if (!port_is_unused(port))
        return;
    struct wi_port_number *number = port->number;
    wi_htable_remove(&ports->ports, &port->link);
    wi_list_del(&port->number_link);
    wi_core_free(ports->core, port->receivers, port->receiver_cap * sizeof(struct wi_sk *));
    wi_core_free(ports->core, port, sizeof *port);
    number_put(ports, number);
}

/* Room for one receiver more. */
static int receivers_reserve(struct wi_ports *ports, struct wi_port *port)
{
    if (port->receiver_n < port->receiver_cap)
        return 0;
    uint32_t cap = port->receiver_cap ? port->receiver_cap * 2 : 1;
    struct wi_sk **grown = wi_core_alloc(ports->core, cap * sizeof(struct wi_sk *));
    if (!grown)
        return -WEIR_ENOMEM;
    if (port->receiver_n)
        memcpy(grown, port->receivers, port->receiver_n * sizeof(struct wi_sk *));
    wi_core_free(ports->core, port->receivers, port->receiver_cap * sizeof(struct wi_sk *));
    port->receivers = grown;
    port->receiver_cap = cap;
    return 0;
}

/* Put sk at a port, as a receiver or a holder. Only reserving can fail, and it comes first. */
static int port_enter(struct wi_ports *ports, struct wi_sk *sk, struct wi_port *port, bool is_held)
{
    if (!is_held) {
        if (receivers_reserve(ports, port) < 0)
            return -WEIR_ENOMEM;
        port->receivers[port->receiver_n++] = sk;
        port->receiver_if_n += sk->opts.bound_if != 0;
    } else {
        port->holder_n[sk->port_reuse]++;
    }
    port->number->sock_n++;
    port->number->bound_n += sk->port_by_bind;
    sk->port = port;
    sk->port_is_held = is_held;
    return 0;
}

static void count_bound_to_netif(struct wi_port *port)
{
    port->receiver_if_n = 0;
    for (uint32_t i = 0; i < port->receiver_n; i++)
        port->receiver_if_n += port->receivers[i]->opts.bound_if != 0;
}

void wi_ports_bound_if_changed(struct wi_sk *sk)
{
    if (sk->port)
        count_bound_to_netif(sk->port);
}

static void receiver_remove(struct wi_port *port, const struct wi_sk *sk)
{
    uint32_t i = port->receiver_n;
    while (i > 0 && port->receivers[i - 1] != sk)
        i--;
    WI_ASSERT(i > 0);
    memmove(&port->receivers[i - 1], &port->receivers[i], (port->receiver_n - i) * sizeof(struct wi_sk *));
    port->receiver_n--;
    count_bound_to_netif(port);
}

static void port_leave(struct wi_ports *ports, struct wi_sk *sk)
{
    struct wi_port *port = sk->port;
    if (sk->port_is_held)
        port->holder_n[sk->port_reuse]--;
    else
        receiver_remove(port, sk);
    port->number->sock_n--;
    port->number->bound_n -= sk->port_by_bind;
    sk->port = NULL;
    port_put(ports, port);
}

static uint8_t reuse_of(const struct wi_sk *sk)
{
    return (uint8_t)((sk->opts.reuseaddr ? WI_PORT_REUSEADDR : 0) | (sk->opts.reuseport ? WI_PORT_REUSEPORT : 0));
}

/* ---- Conflicts ---- */

static bool is_any6(const struct weir_addr *addr)
{
    return weir_addr_is_any(addr) && !weir_addr_is_v4(addr);
}

/* Would two sockets at these addresses compete for a packet? v6only concerns those at ::. Linux: inet_rcv_saddr_equal.
 */
static bool addrs_overlap(const struct weir_addr *a, bool a_v6only, const struct weir_addr *b, bool b_v6only)
{
    if (weir_addr_equal(a, b))
        return true;
    if (!weir_addr_is_any(a) && !weir_addr_is_any(b))
        return false;
    if (weir_addr_is_v4(a) == weir_addr_is_v4(b))
        return true;
    return (is_any6(a) && !a_v6only) || (is_any6(b) && !b_v6only);
}

/* Linux: inet_csk_bind_conflict, udp_lib_lport_inuse. SO_REUSEADDR does not help against a listener. */
static bool reuse_allows(uint8_t ours, uint8_t theirs, bool is_listening)
{
    uint8_t both = ours & theirs;
    return (both & WI_PORT_REUSEPORT) || ((both & WI_PORT_REUSEADDR) && !is_listening);
}

static bool interfaces_overlap(const struct wi_sk *a, const struct wi_sk *b)
{
    return !a->opts.bound_if || !b->opts.bound_if || a->opts.bound_if == b->opts.bound_if;
}

static bool conflicts_at(const struct wi_ports *ports, const struct wi_port *port, const struct wi_sk *sk,
                         const struct weir_addr *addr, uint8_t reuse)
{
    bool is_plain = addrs_overlap(addr, sk->opts.v6only, &port->addr, false);
    for (uint8_t theirs = 0; is_plain && theirs < WI_ARRAY_LEN(port->holder_n); theirs++) {
        if (port->holder_n[theirs] > (sk->port == port && sk->port_is_held && sk->port_reuse == theirs) &&
            !reuse_allows(reuse, theirs, false))
            return true;
    }
    for (uint32_t i = 0; i < port->receiver_n; i++) {
        const struct wi_sk *other = port->receivers[i];
        bool is_listening = ports->receives && ports->receives(other);
        if (other != sk && interfaces_overlap(sk, other) &&
            addrs_overlap(addr, sk->opts.v6only, &port->addr, other->opts.v6only) &&
            !reuse_allows(reuse, other->port_reuse, is_listening))
            return true;
    }
    return false;
}

/* Does anybody stand against sk at this port and address? */
static bool conflicts(const struct wi_ports *ports, const struct wi_sk *sk, const struct weir_addr *addr, uint16_t port,
                      uint8_t reuse)
{
    const struct wi_port_number *number = number_find(ports, port);
    if (!number)
        return false;
    if (weir_addr_is_any(addr)) {
        wi_list_for_each (p, &number->ports, struct wi_port, number_link) {
            if (conflicts_at(ports, p, sk, addr, reuse))
                return true;
        }
        return false;
    }
    const struct weir_addr any4 = weir_addr_any(WEIR_AF_INET), any6 = weir_addr_any(WEIR_AF_INET6);
    const struct weir_addr *candidates[] = {addr, &any6, weir_addr_is_v4(addr) ? &any4 : NULL};
    for (size_t i = 0; i < WI_ARRAY_LEN(candidates); i++) {
        const struct wi_port *p = candidates[i] ? port_find(ports, port, candidates[i]) : NULL;
        if (p && conflicts_at(ports, p, sk, addr, reuse))
            return true;
    }
    return false;
}

int wi_ports_may_listen(const struct wi_ports *ports, const struct wi_sk *sk)
{
    return conflicts(ports, sk, &sk->port->addr, sk->port->number->port, sk->port_reuse) ? -WEIR_EADDRINUSE : 0;
}

/* ---- Binding ---- */

static void port_range(const struct wi_ports *ports, uint32_t *min, uint32_t *n)
{
    const struct wi_sysctl *sysctl = &ports->core->sysctl;
    *min = (uint32_t)sysctl->ip_local_port_min;
    *n = (uint32_t)(sysctl->ip_local_port_max - sysctl->ip_local_port_min + 1);
}

/* RFC 6056 3.3.2 (algorithm 2), from secret randomness: nothing is learnt from one port about the next. A port that
 * others hold only by SO_REUSEADDR or SO_REUSEPORT is not shared unasked: reuse counts as none here. */
static int choose_free(const struct wi_ports *ports, const struct wi_sk *sk, const struct weir_addr *addr,
                       uint16_t *chosen)
{
    uint32_t min, n;
    port_range(ports, &min, &n);
    uint32_t start = wi_secret_u32(&ports->core->secret) % n;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t port = (uint16_t)(min + (start + i) % n);
        if (!ports->perturb && !wi_shard_has_port(&ports->core->shard, port))
            continue; /* a datagram's answers go by this port alone; a stream's by its peer as well */
        if (!conflicts(ports, sk, addr, port, WI_PORT_REUSE_NONE)) {
            *chosen = port;
            return 0;
        }
    }
    return -WEIR_EADDRINUSE;
}

static int enter_at(struct wi_ports *ports, struct wi_sk *sk, const struct weir_addr *addr, uint16_t number,
                    bool is_held)
{
    struct wi_port *port = port_get(ports, number, addr);
    if (!port)
        return -WEIR_ENOMEM;
    int err = port_enter(ports, sk, port, is_held);
    if (err < 0)
        port_put(ports, port);
    return err;
}

int wi_ports_bind(struct wi_ports *ports, struct wi_sk *sk, const struct weir_sockaddr *addr)
{
    if (sk->port)
        return -WEIR_EINVAL;
    uint16_t port = sk->opts.any_port ? 0 : addr->port;
    uint8_t reuse = reuse_of(sk);
    if (port == 0 && !sk->opts.any_port) {
        int err = choose_free(ports, sk, &addr->addr, &port);
        if (err < 0)
            return err;
    } else if (conflicts(ports, sk, &addr->addr, port, reuse)) {
        return -WEIR_EADDRINUSE;
    }
    sk->port_reuse = reuse;
    sk->port_by_bind = true;
    int err = enter_at(ports, sk, &addr->addr, port, false);
    if (err < 0)
        return err;
    sk->local.addr = addr->addr;
    sk->local.scope_id = addr->scope_id;
    sk->local.port = port;
    return 0;
}

/* RFC 6056 3.3.4: F, the offset of this destination, and G, its counter's place. */
static uint64_t hash_destination(const struct wi_ports *ports, const struct wi_sk *sk,
                                 const struct weir_sockaddr *remote)
{
    uint8_t in[34];
    memcpy(in, sk->local.addr.b, 16);
    memcpy(in + 16, remote->addr.b, 16);
    wi_put16(in + 32, remote->port);
    return wi_siphash24(ports->key, in, sizeof in);
}

/* A shard has to ask of each port whether its answers would come back to it; else a port that nobody has is free. */
static bool is_usable(const struct wi_ports *ports, uint16_t port, bool (*taken)(void *ctx, uint16_t port), void *ctx)
{
    const struct wi_port_number *number = number_find(ports, port);
    if (!number && !ports->core->shard.rss)
        return true;
    return (!number || !number->bound_n) && !taken(ctx, port);
}

int wi_ports_bind_ephemeral(struct wi_ports *ports, struct wi_sk *sk, const struct weir_sockaddr *remote,
                            bool (*taken)(void *ctx, uint16_t port), void *ctx)
{
    if (sk->port || !ports->perturb)
        return -WEIR_EINVAL;
    uint32_t min, n;
    port_range(ports, &min, &n);
    uint64_t hash = hash_destination(ports, sk, remote);
    uint16_t *counter = &ports->perturb[(hash >> 32) % WI_PORTS_PERTURB_N];
    uint32_t start = ((uint32_t)hash + *counter) % n;

    for (uint32_t i = 0; i < n; i++) {
        uint16_t port = (uint16_t)(min + (start + i) % n);
        if (!is_usable(ports, port, taken, ctx))
            continue;
        sk->port_reuse = reuse_of(sk);
        sk->port_by_bind = false;
        if (enter_at(ports, sk, &sk->local.addr, port, true) < 0)
            return -WEIR_ENOMEM;
        sk->local.port = port;
        /* The noise keeps two destinations that share a counter from telling each other's use of it (CVE-2022-1012). */
        *counter = (uint16_t)(*counter + i + 1 + wi_secret_u32(&ports->core->secret) % 8);
        return 0;
    }
    return -WEIR_EADDRNOTAVAIL;
}

int wi_ports_inherit(struct wi_ports *ports, struct wi_sk *child, const struct wi_sk *listener)
{
    child->port_reuse = listener->port_reuse;
    child->port_by_bind = false;
    return enter_at(ports, child, &child->local.addr, child->local.port, true);
}

/* Move sk to another address or role; what can fail comes first. */
static int port_move(struct wi_ports *ports, struct wi_sk *sk, const struct weir_addr *addr, bool is_held)
{
    struct wi_port *from = sk->port, *to = port_get(ports, from->number->port, addr);
    if (!to)
        return -WEIR_ENOMEM;
    if (!is_held && receivers_reserve(ports, to) < 0) {
        port_put(ports, to);
        return -WEIR_ENOMEM;
    }
    /* A count of its own keeps `to` in being while sk leaves, in case it is the same. */
    to->holder_n[WI_PORT_REUSE_NONE]++;
    port_leave(ports, sk);
    int err = port_enter(ports, sk, to, is_held);
    WI_ASSERT(err == 0);
    to->holder_n[WI_PORT_REUSE_NONE]--;
    sk->local.addr = *addr;
    return 0;
}

int wi_ports_hold(struct wi_ports *ports, struct wi_sk *sk, const struct weir_addr *addr)
{
    return port_move(ports, sk, addr, true);
}

int wi_ports_receive(struct wi_ports *ports, struct wi_sk *sk, const struct weir_addr *addr)
{
    return port_move(ports, sk, addr, false);
}

void wi_ports_release(struct wi_ports *ports, struct wi_sk *sk)
{
    if (!sk->port)
        return;
    port_leave(ports, sk);
    sk->local.port = 0;
}

uint8_t wi_ports_leave_place(struct wi_ports *ports, struct wi_sk *sk)
{
    WI_ASSERT(sk->port && sk->port_is_held);
    uint8_t reuse = sk->port_reuse;
    struct wi_port *port = sk->port;
    port->holder_n[reuse]++;
    port->number->sock_n++;
    port_leave(ports, sk);
    sk->local.port = 0;
    return reuse;
}

void wi_ports_vacate(struct wi_ports *ports, const struct weir_addr *addr, uint16_t number, uint8_t reuse)
{
    struct wi_port *port = port_find(ports, number, addr);
    WI_ASSERT(port && port->holder_n[reuse]);
    port->holder_n[reuse]--;
    port->number->sock_n--;
    port_put(ports, port);
}

/* ---- Lookup ---- */

static bool receiver_matches(const struct wi_ports *ports, const struct wi_sk *sk, const struct wi_ports_key *key)
{
    if (sk->opts.bound_if && key->netif && sk->opts.bound_if != key->netif)
        return false;
    if (is_any6(&sk->port->addr) && sk->opts.v6only && weir_addr_is_v4(&key->local))
        return false;
    return !ports->receives || ports->receives(sk);
}

static uint32_t hash_flow(const struct wi_ports *ports, const struct wi_ports_key *key)
{
    uint8_t in[36];
    memcpy(in, key->local.b, 16);
    memcpy(in + 16, key->remote.b, 16);
    wi_put16(in + 32, key->local_port);
    wi_put16(in + 34, key->remote_port);
    return (uint32_t)wi_siphash13(ports->key, in, sizeof in);
}

/* The first match from place `start` downwards, round the array; with want_if, only one that is bound to an interface.
 */
static struct wi_sk *pick_from(const struct wi_ports *ports, const struct wi_port *port, const struct wi_ports_key *key,
                               uint32_t start, bool want_if)
{
    for (uint32_t i = 0; i < port->receiver_n; i++) {
        struct wi_sk *sk = port->receivers[(start + port->receiver_n - i) % port->receiver_n];
        if ((!want_if || sk->opts.bound_if) && receiver_matches(ports, sk, key))
            return sk;
    }
    return NULL;
}

static struct wi_sk *pick(const struct wi_ports *ports, const struct wi_port *port, const struct wi_ports_key *key)
{
    if (!port || !port->receiver_n)
        return NULL;
    uint32_t last = port->receiver_n - 1;
    struct wi_sk *sk = NULL;
    if (port->receiver_if_n)
        sk = pick_from(ports, port, key, last, true);
    if (!sk)
        sk = pick_from(ports, port, key, last, false);
    if (!sk || !last || !(sk->port_reuse & WI_PORT_REUSEPORT))
        return sk;
    /* A group: all that share the port did so by SO_REUSEPORT, so any match will do; its place is the flow's. */
    uint32_t start = (uint32_t)(((uint64_t)hash_flow(ports, key) * port->receiver_n) >> 32);
    return pick_from(ports, port, key, start, sk->opts.bound_if != 0);
}

struct wi_sk *wi_ports_lookup(const struct wi_ports *ports, const struct wi_ports_key *key)
{
    const struct weir_addr any4 = weir_addr_any(WEIR_AF_INET), any6 = weir_addr_any(WEIR_AF_INET6);
    const struct weir_addr *candidates[] = {&key->local, weir_addr_is_v4(&key->local) ? &any4 : NULL, &any6};
    const uint16_t numbers[] = {key->local_port, 0};
    for (size_t n = 0; n < WI_ARRAY_LEN(numbers); n++) {
        const struct wi_port_number *number = number_find(ports, numbers[n]);
        for (size_t i = 0; number && i < WI_ARRAY_LEN(candidates); i++) {
            const struct wi_port *port = candidates[i] ? port_find(ports, numbers[n], candidates[i]) : NULL;
            struct wi_sk *sk = pick(ports, port, key);
            if (sk)
                return sk;
        }
    }
    return NULL;
}

void wi_ports_each(const struct wi_ports *ports, const struct wi_ports_key *key,
                   void (*each)(void *ctx, struct wi_sk *), void *ctx)
{
    const struct weir_addr any4 = weir_addr_any(WEIR_AF_INET), any6 = weir_addr_any(WEIR_AF_INET6);
    const struct weir_addr *candidates[] = {&key->local, weir_addr_is_v4(&key->local) ? &any4 : NULL, &any6};
    for (size_t c = 0; c < WI_ARRAY_LEN(candidates); c++) {
        const struct wi_port *port = candidates[c] ? port_find(ports, key->local_port, candidates[c]) : NULL;
        for (uint32_t i = 0; port && i < port->receiver_n; i++) {
            if (receiver_matches(ports, port->receivers[i], key))
                each(ctx, port->receivers[i]);
        }
    }
}

/* ---- Life and checks ---- */

int wi_ports_init(struct wi_ports *ports, struct wi_core *core, bool (*receives)(const struct wi_sk *), bool connects)
{
    memset(ports, 0, sizeof *ports);
    ports->core = core;
    ports->receives = receives;
    wi_secret_bytes(&core->secret, ports->key, sizeof ports->key);
    if (!wi_htable_init(&ports->numbers, core->mem, PORTS_INITIAL))
        return -WEIR_ENOMEM;
    if (!wi_htable_init(&ports->ports, core->mem, PORTS_INITIAL))
        goto fail_ports;
    ports->perturb = connects ? wi_core_alloc(core, WI_PORTS_PERTURB_N * sizeof(uint16_t)) : NULL;
    if (connects && !ports->perturb)
        goto fail_perturb;
    if (connects)
        wi_secret_bytes(&core->secret, ports->perturb, WI_PORTS_PERTURB_N * sizeof(uint16_t));
    return 0;

fail_perturb:
    wi_htable_fini(&ports->ports);
fail_ports:
    wi_htable_fini(&ports->numbers);
    return -WEIR_ENOMEM;
}

void wi_ports_fini(struct wi_ports *ports)
{
    WI_ASSERT(wi_htable_count(&ports->ports) == 0 && wi_htable_count(&ports->numbers) == 0);
    if (ports->perturb)
        wi_core_free(ports->core, ports->perturb, WI_PORTS_PERTURB_N * sizeof(uint16_t));
    wi_htable_fini(&ports->ports);
    wi_htable_fini(&ports->numbers);
}

static const char *check_number(const struct wi_port_number *number)
{
    uint32_t sock_n = 0, bound_n = 0;
    wi_list_for_each (port, &number->ports, struct wi_port, number_link) {
        if (port->number != number)
            return "a port hangs on another number's list";
        if (port_is_unused(port))
            return "a port that nobody uses was kept";
        for (uint32_t i = 0; i < port->receiver_n; i++) {
            if (port->receivers[i]->port != port || port->receivers[i]->port_is_held)
                return "a port's receiver does not know of it";
            bound_n += port->receivers[i]->port_by_bind;
        }
        sock_n += port->receiver_n + port->holder_n[0] + port->holder_n[1] + port->holder_n[2] + port->holder_n[3];
    }
    if (sock_n != number->sock_n)
        return "a port number's count of sockets is off";
    return bound_n > number->bound_n || number->bound_n > sock_n ? "a port number's count of binds is off" : NULL;
}

const char *wi_ports_check(const struct wi_ports *ports)
{
    const char *broken = NULL;
    struct wi_htable_iter it;
    wi_htable_iter_begin(&it, (struct wi_htable *)(uintptr_t)&ports->numbers);
    for (struct wi_hnode *n; !broken && (n = wi_htable_iter_next(&it));)
        broken = check_number(WI_CONTAINER_OF(n, struct wi_port_number, link));
    wi_htable_iter_end(&it);
    return broken;
}
