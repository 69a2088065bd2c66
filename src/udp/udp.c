/* UDP of a stack: its making and end, and the table of connected sockets. */
#include "udp/udp.h"

#include "base/siphash.h"
#include "base/str.h"

int wi_udp_init(struct wi_udp *udp, struct wi_core *core, struct wi_net *net)
{
    static const struct wi_net_proto proto = {.input = wi_udp_input, .error = wi_udp_error};
    struct wi_net_proto mine = proto;

    *udp = (struct wi_udp){.core = core, .net = net};
    wi_list_init(&udp->all);
    wi_slab_init(&udp->sk_slab, core->mem, sizeof(struct wi_udp_sk), "UDP sockets");
    wi_slab_init(&udp->item_slab, core->mem, sizeof(struct wi_udp_item), "datagrams");
    wi_secret_bytes(&core->secret, udp->key, sizeof udp->key);
    if (!wi_htable_init(&udp->connected, core->mem, 0))
        return -WEIR_ENOMEM;
    if (wi_ports_init(&udp->ports, core, NULL, false)) {
        wi_htable_fini(&udp->connected);
        return -WEIR_ENOMEM;
    }
    mine.ctx = udp;
    wi_net_register(net, WI_IP_UDP, &mine);
    return 0;
}

void wi_udp_fini(struct wi_udp *udp)
{
    wi_list_for_each_safe (us, &udp->all, struct wi_udp_sk, all_link)
        wi_udp_sk_ops.close(&us->sk);
    wi_ports_fini(&udp->ports);
    wi_htable_fini(&udp->connected);
    wi_slab_fini(&udp->item_slab);
    wi_slab_fini(&udp->sk_slab);
}

struct wi_sk *wi_udp_sk_new(struct wi_udp *udp, int family)
{
    struct wi_udp_sk *us = wi_slab_alloc(&udp->sk_slab);
    if (!us)
        return NULL;
    wi_sk_init(&us->sk, udp->core, udp->net, &wi_udp_sk_ops, family, WEIR_SOCK_DGRAM, WEIR_IPPROTO_UDP);
    us->udp = udp;
    wi_list_init(&us->rxq);
    wi_list_init(&us->errq);
    wi_list_add_tail(&udp->all, &us->all_link);
    return &us->sk;
}

int wi_udp_autobind(struct wi_udp_sk *us)
{
    struct weir_sockaddr any = {.family = us->sk.family, .addr = weir_addr_any(us->sk.family)};

    return us->sk.port ? 0 : wi_ports_bind(&us->udp->ports, &us->sk, &any);
}

/* ---- Connected sockets by four-tuple ---- */

struct tuple {
    struct weir_addr local, remote;
    uint16_t local_port, remote_port;
};
_Static_assert(sizeof(struct tuple) == 36, "the tuple is hashed as bytes: no padding");

static uint64_t hash_of(const struct wi_udp *udp, const struct tuple *t)
{
    return wi_siphash24(udp->key, t, sizeof *t);
}

static struct tuple tuple_of(const struct wi_udp_sk *us)
{
    return (struct tuple){us->sk.local.addr, us->sk.remote.addr, us->sk.local.port, us->sk.remote.port};
}

static bool is_tuple(const struct wi_hnode *node, const void *key)
{
    struct tuple t = tuple_of(WI_CONTAINER_OF(node, struct wi_udp_sk, hnode));

    return memcmp(&t, key, sizeof t) == 0;
}

void wi_udp_connected_insert(struct wi_udp_sk *us)
{
    struct tuple t = tuple_of(us);

    wi_htable_insert(&us->udp->connected, &us->hnode, hash_of(us->udp, &t));
    us->is_connected = true;
}

void wi_udp_connected_remove(struct wi_udp_sk *us)
{
    if (us->is_connected)
        wi_htable_remove(&us->udp->connected, &us->hnode);
    us->is_connected = false;
}

struct wi_udp_sk *wi_udp_connected_find(const struct wi_udp *udp, const struct wi_ports_key *key)
{
    struct tuple t = {key->local, key->remote, key->local_port, key->remote_port};
    struct wi_hnode *node = wi_htable_find(&udp->connected, hash_of(udp, &t), is_tuple, &t);
    struct wi_udp_sk *us = node ? WI_CONTAINER_OF(node, struct wi_udp_sk, hnode) : NULL;

    bool is_here = us && (!us->sk.opts.bound_if || !key->netif || us->sk.opts.bound_if == key->netif);

    return is_here ? us : NULL;
}

/* ---- Invariants ---- */

static const char *check_sk(const struct wi_udp_sk *us)
{
    uint32_t charge = 0;

    wi_list_for_each (item, &us->rxq, struct wi_udp_item, link)
        charge += item->charge;
    wi_list_for_each (item, &us->errq, struct wi_udp_item, link)
        charge += item->charge;
    if (charge != us->rx_bytes)
        return "UDP: the account of a receive queue is wrong";
    if (us->is_connected && (!us->sk.port || !us->sk.remote.port))
        return "UDP: a connected socket without port or peer";
    return NULL;
}

const char *wi_udp_check(const struct wi_udp *udp)
{
    const char *broken = wi_ports_check(&udp->ports);

    wi_list_for_each (us, &udp->all, struct wi_udp_sk, all_link) {
        if (broken)
            return broken;
        broken = check_sk(us);
    }
    return broken;
}
