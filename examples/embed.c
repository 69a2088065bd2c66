/* One stack, no network: it opens a connection to a host that never answers, in a time that is ours to tell. */
#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

static void *take(void *ctx, size_t size)
{
    return (void)ctx, malloc(size);
}

static void give(void *ctx, void *ptr, size_t size)
{
    (void)ctx, (void)size, free(ptr);
}

static unsigned xmit(void *now, struct weir_pkt **pkts, unsigned n)
{
    for (unsigned i = 0; i < n; weir_pkt_unref(pkts[i++]))
        printf("%3.0f s: %u bytes leave\n", (double)*(weir_ns *)now / 1e9, pkts[i]->len);
    return n;
}

int main(void)
{
    static const struct weir_netif_ops ops = {.xmit = xmit};
    struct weir_config cfg = {.alloc = {.alloc = take, .free = give}};
    struct weir_netif_config netif = {.name = "wire", .type = WEIR_LINK_RAW_IP, .mtu = 1500};
    struct weir_addr mine = weir_addr_v4(192, 0, 2, 1);
    struct weir_sockaddr peer = {.addr = weir_addr_v4(192, 0, 2, 2), .family = WEIR_AF_INET, .port = 80};
    weir_ns now = 0;

    struct weir *w = weir_new(&cfg);
    weir_addr_add(w, weir_netif_add(w, &ops, &now, &netif), &mine, 24);
    weir_fd s = weir_socket(w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0);
    weir_connect(w, s, &peer); /* -EINPROGRESS; the SYN leaves through xmit */
    while ((now = weir_deadline(w)) != WEIR_NEVER)
        weir_advance(w, now); /* a received packet would go in by weir_input */

    int err = 0;
    weir_getsockopt(w, s, WEIR_SOL_SOCKET, WEIR_SO_ERROR, &err, &(uint32_t){sizeof err});
    printf("%s: %s\n", weir_errno_name(err), weir_strerror(err));
    weir_free(w);
}
