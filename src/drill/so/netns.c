/*
 * Routes and queues by rtnetlink (netns.h).
 */
#include "drill/so/netns.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "drill/so/real.h"

#define REPLY_CAP 32768

struct request {
    struct nlmsghdr h;
    union {
        struct rtmsg route;
        struct tcmsg queue;
    } u;
};

typedef void (*reader)(struct wdr_netns *, const struct nlmsghdr *, unsigned ifindex);

static const struct rtattr *find(const struct rtattr *a, size_t len, unsigned short type)
{
    while (len >= sizeof *a && a->rta_len >= sizeof *a && a->rta_len <= len) {
        size_t step = RTA_ALIGN(a->rta_len);
        if ((a->rta_type & NLA_TYPE_MASK) == type)
            return a;
        len -= step < len ? step : len;
        a = (const void *)((const char *)a + step);
    }
    return NULL;
}

static uint32_t number(const struct rtattr *a)
{
    uint32_t v = 0;
    if (a && RTA_PAYLOAD(a) >= sizeof v)
        memcpy(&v, RTA_DATA(a), sizeof v);
    return v;
}

static void read_route(struct wdr_netns *n, const struct nlmsghdr *h, unsigned ifindex)
{
    const struct rtmsg *m = NLMSG_DATA(h);
    const struct rtattr *metrics = find(RTM_RTA(m), RTM_PAYLOAD(h), RTA_METRICS);
    if (!metrics || number(find(RTM_RTA(m), RTM_PAYLOAD(h), RTA_OIF)) != ifindex)
        return;
    const struct rtattr *first = RTA_DATA(metrics);
    uint32_t mtu = number(find(first, RTA_PAYLOAD(metrics), RTAX_MTU));
    uint32_t advmss = number(find(first, RTA_PAYLOAD(metrics), RTAX_ADVMSS));
    uint32_t initcwnd = number(find(first, RTA_PAYLOAD(metrics), RTAX_INITCWND));
    n->mtu = mtu ? mtu : n->mtu;
    n->advmss = advmss ? advmss : n->advmss;
    n->initcwnd = initcwnd ? initcwnd : n->initcwnd;
}

static void read_queue(struct wdr_netns *n, const struct nlmsghdr *h, unsigned ifindex)
{
    const struct tcmsg *m = NLMSG_DATA(h);
    const struct rtattr *first = (const void *)((const char *)m + NLMSG_ALIGN(sizeof *m));
    size_t len = h->nlmsg_len - NLMSG_LENGTH(sizeof *m);
    const struct rtattr *kind = find(first, len, TCA_KIND), *options = find(first, len, TCA_OPTIONS);
    if ((unsigned)m->tcm_ifindex != ifindex || m->tcm_parent != TC_H_ROOT || !kind)
        return;
    n->is_fq = strcmp(RTA_DATA(kind), "fq") == 0;
    bool is_fifo = strcmp(RTA_DATA(kind), "pfifo") == 0 || strcmp(RTA_DATA(kind), "bfifo") == 0;
    n->discards = is_fifo && options && RTA_PAYLOAD(options) >= sizeof(struct tc_fifo_qopt) && number(options) == 0;
}

/* All that a dump of that type says; false: an error. */
static bool dump(int fd, uint16_t type, struct wdr_netns *n, unsigned ifindex, reader take)
{
    struct request r = {.h = {.nlmsg_len = sizeof r, .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}};
    _Alignas(struct nlmsghdr) char reply[REPLY_CAP];
    if (type == RTM_GETQDISC)
        r.u.queue.tcm_ifindex = (int)ifindex;
    if (send(fd, &r, sizeof r, 0) < 0)
        return false;
    for (;;) {
        ssize_t len = recv(fd, reply, sizeof reply, 0);
        if (len <= 0)
            return false;
        const struct nlmsghdr *h = (const void *)reply;
        for (size_t left = (size_t)len; left >= sizeof *h && h->nlmsg_len >= sizeof *h && h->nlmsg_len <= left;) {
            size_t step = NLMSG_ALIGN(h->nlmsg_len);
            if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
                return h->nlmsg_type == NLMSG_DONE;
            take(n, h, ifindex);
            left -= step < left ? step : left;
            h = (const void *)((const char *)h + step);
        }
    }
}

bool wdr_netns_read(struct wdr_netns *n, unsigned ifindex)
{
    *n = (struct wdr_netns){0};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bool ok =
        fd >= 0 && dump(fd, RTM_GETROUTE, n, ifindex, read_route) && dump(fd, RTM_GETQDISC, n, ifindex, read_queue);
    if (fd >= 0)
        wdr_real_close(fd);
    return ok;
}
