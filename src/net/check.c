/* The network layer's invariants, for tests, simulators and fuzzers: linear in what it holds. */
#include "net/net_internal.h"

static uint32_t queue_count(const struct wi_pktq *q)
{
    uint32_t n = 0;
    for (const struct weir_pkt *pkt = q->head; pkt; pkt = pkt->next)
        n++;
    return n;
}

static size_t list_count(const struct wi_list *head)
{
    size_t n = 0;
    for (const struct wi_list *l = head->next; l != head; l = l->next)
        n++;
    return n;
}

static const char *check_netif(const struct wi_netif *netif)
{
    if (queue_count(&netif->tx) != netif->tx.n || queue_count(&netif->loop) != netif->loop.n)
        return "an interface's queue does not have the packets that it counts";
    if (netif->tx.n > netif->tx_cap)
        return "an interface's transmit queue is longer than its limit";
    if ((netif->loop.n || (netif->tx.n && !netif->is_tx_blocked)) && wi_list_empty(&netif->active_link))
        return "an interface with work to do is not on the list of those";
    return NULL;
}

static const char *check_neigh(const struct wi_neigh *n)
{
    if (n->queue.n && n->state != WEIR_NEIGH_INCOMPLETE)
        return "packets wait for a neighbour that is not being asked for";
    if (queue_count(&n->queue) != n->queue.n)
        return "a neighbour's queue does not have the packets that it counts";
    bool has_end = n->state != WEIR_NEIGH_PERMANENT;
    return has_end != wi_timer_armed(&n->timer) ? "a neighbour's state and its timer disagree" : NULL;
}

const char *wi_net_check(const struct wi_net *net)
{
    size_t neigh_n = 0, group_n = 0;
    for (uint32_t i = WI_NETIF_LOOPBACK; i < net->netif_cap; i++) {
        const struct wi_netif *netif = net->netifs[i];
        if (!netif)
            continue;
        const char *broken = check_netif(netif);
        if (broken)
            return broken;
        for (struct wi_list *l = netif->neighs.next; l != &netif->neighs; l = l->next) {
            broken = check_neigh(WI_CONTAINER_OF(l, struct wi_neigh, netif_link));
            if (broken)
                return broken;
        }
        neigh_n += list_count(&netif->neighs);
        group_n += list_count(&netif->groups);
    }
    if (neigh_n != wi_htable_count(&net->neighs))
        return "the table of neighbours and the interfaces' lists differ";
    if (group_n != wi_htable_count(&net->groups))
        return "the table of groups and the interfaces' lists differ";
    if (list_count(&net->frag_age) != wi_htable_count(&net->frags))
        return "the table of datagrams under reassembly and its list differ";
    if (list_count(&net->pmtu_age) != wi_htable_count(&net->pmtus))
        return "the table of path MTUs and its list differ";
    return NULL;
}
