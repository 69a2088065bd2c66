/* ss -s. What weir does not have (raw sockets, fragments as sockets) is left out. */
#include "ss/summary.h"

struct counts {
    unsigned v4, v6;
};

static void count(struct counts *c, const struct weir_sock_info *s)
{
    if (s->family == WEIR_AF_INET)
        c->v4++;
    else
        c->v6++;
}

static void line(FILE *out, const char *name, const struct counts *c)
{
    fprintf(out, "%-9s %-9u %-9u %-9u\n", name, c->v4 + c->v6, c->v4, c->v6);
}

void wss_summary_print(FILE *out, const struct wss_socks *socks)
{
    struct counts udp = {0}, tcp = {0}, all;
    unsigned n = 0, established = 0, closed = 0, orphans = 0, waiting = 0;

    for (size_t i = 0; i < socks->n; i++) {
        const struct weir_sock_info *s = &socks->at[i].view.info;
        if (s->protocol == WEIR_IPPROTO_UDP) {
            count(&udp, s);
            continue;
        }
        bool is_closed = s->state == WEIR_SOCK_CLOSE || s->state == WEIR_SOCK_TIME_WAIT;
        n++;
        established += s->state == WEIR_SOCK_ESTABLISHED;
        closed += is_closed;
        waiting += s->state == WEIR_SOCK_TIME_WAIT;
        orphans += s->fd < 0 && s->state != WEIR_SOCK_TIME_WAIT && s->state != WEIR_SOCK_SYN_RECV &&
                   s->state != WEIR_SOCK_ESTABLISHED && s->state != WEIR_SOCK_CLOSE_WAIT;
        if (!is_closed)
            count(&tcp, s);
    }
    all = (struct counts){udp.v4 + tcp.v4, udp.v6 + tcp.v6};
    fprintf(out, "Total: %zu\nTCP:   %u (estab %u, closed %u, orphaned %u, timewait %u)\n\n", socks->n, n, established,
            closed, orphans, waiting);
    fprintf(out, "%-9s %-9s %-9s %-9s\n", "Transport", "Total", "IP", "IPv6");
    line(out, "UDP", &udp);
    line(out, "TCP", &tcp);
    line(out, "INET", &all);
}
