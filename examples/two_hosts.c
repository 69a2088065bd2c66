/* Two hosts in one process, each a weir stack: a TCP connection from one to the other, and an echo over it. */
#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

struct cable { /* one direction of the link: what was sent and has not yet arrived */
    struct weir_pkt *pkts[64];
    unsigned n;
};

static void *take(void *ctx, size_t size)
{
    return (void)ctx, malloc(size);
}

static void give(void *ctx, void *ptr, size_t size)
{
    (void)ctx, (void)size, free(ptr);
}

static unsigned xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct cable *out = driver;
    unsigned taken = 0;
    while (taken < n && out->n < 64)
        out->pkts[out->n++] = pkts[taken++];
    return taken;
}

static struct weir *host(uint8_t number, struct cable *out)
{
    static const struct weir_netif_ops ops = {.xmit = xmit};
    struct weir_config cfg = {.alloc = {.alloc = take, .free = give}, .seed = number};
    struct weir_netif_config netif = {.name = "cable", .type = WEIR_LINK_RAW_IP, .mtu = 1500};
    struct weir_addr addr = weir_addr_v4(10, 0, 0, number);
    struct weir *w = weir_new(&cfg);
    int index = weir_netif_add(w, &ops, out, &netif);
    weir_addr_add(w, index, &addr, 24);
    return w;
}

static void deliver(struct cable *from, struct weir *to)
{
    weir_input(to, 2, from->pkts, from->n, weir_now(to)); /* 2: the first interface after loopback */
    while (from->n)
        weir_pkt_unref(from->pkts[--from->n]);
}

int main(void)
{
    struct cable ab = {.n = 0}, ba = {.n = 0};
    struct weir *a = host(1, &ab), *b = host(2, &ba);
    struct weir_sockaddr echo = {.addr = weir_addr_v4(10, 0, 0, 2), .family = WEIR_AF_INET, .port = 7};
    char text[32] = "";

    weir_fd listener = weir_socket(b, WEIR_AF_INET, WEIR_SOCK_STREAM, 0), server = -1;
    weir_fd client = weir_socket(a, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    weir_bind(b, listener, &echo);
    weir_listen(b, listener, 1);
    weir_connect(a, client, &echo);

    while (weir_recv(a, client, text, sizeof text, 0) <= 0) {
        deliver(&ab, b);
        deliver(&ba, a);
        if (server < 0 && (server = weir_accept(b, listener, NULL)) >= 0)
            weir_send(a, client, "hello, weir", 12, 0);
        int64_t n = weir_recv(b, server, text, sizeof text, 0);
        if (n > 0)
            weir_send(b, server, text, (size_t)n, 0);
    }
    printf("the echo of 10.0.0.2 is: %s\n", text);
    deliver(&ab, b); /* its acknowledgement */
    weir_free(a);
    weir_free(b);
}
