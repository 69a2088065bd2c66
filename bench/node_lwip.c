/*
 * lwIP as a node (node.h): Debian's liblwip, driven through its raw API without its thread.
 *
 * The library is one stack in global variables, so each node loads a copy of its own (from a memfd: the loader takes
 * two files for two libraries). The few functions that this program exports take the place of the library's, in both
 * copies: the clock, which has to be the harness's; its allocator, so that it can be counted; and the sum of the
 * checksum, which is the library's own for the stack "lwip" and one in AVX2 for "lwip-avx2".
 */
#include "node.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <lwip/init.h>
#include <lwip/ip4.h>
#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define LIBRARY        "liblwip.so.0"
#define FIRST_OWN_PORT 1024
#define OUT_CAP        4096 /* packets; what both windows hold is 90 */

#define API(X)                                                                                                         \
    X(lwip_init)                                                                                                       \
    X(sys_check_timeouts)                                                                                              \
    X(netif_add)                                                                                                       \
    X(netif_set_up)                                                                                                    \
    X(netif_set_link_up)                                                                                               \
    X(ip_input)                                                                                                        \
    X(pbuf_alloc)                                                                                                      \
    X(pbuf_cat)                                                                                                        \
    X(pbuf_copy_partial)                                                                                               \
    X(pbuf_free)                                                                                                       \
    X(pbuf_free_header)                                                                                                \
    X(tcp_new)                                                                                                         \
    X(tcp_arg)                                                                                                         \
    X(tcp_accept)                                                                                                      \
    X(tcp_recv)                                                                                                        \
    X(tcp_err)                                                                                                         \
    X(tcp_bind)                                                                                                        \
    X(tcp_listen_with_backlog)                                                                                         \
    X(tcp_connect)                                                                                                     \
    X(tcp_write)                                                                                                       \
    X(tcp_output)                                                                                                      \
    X(tcp_recved)                                                                                                      \
    X(tcp_close)                                                                                                       \
    X(lwip_standard_chksum)

u16_t lwip_standard_chksum(const void *data, int len); /* in none of its headers */

#define API_MEMBER(name) __typeof__(name) *name;
struct api {
    API(API_MEMBER)
};
#undef API_MEMBER

struct conn {
    struct bench_node *node;
    struct tcp_pcb *pcb;
    struct pbuf *unread;
    struct conn *next; /* of those that wait to be accepted */
};

struct bench_node {
    struct api lib;
    struct netif netif;
    struct bench_node *peer;
    ip4_addr_t addr, peer_addr;
    struct conn *waiting;
    unsigned bound_n; /* connections whose port was not lwIP's choice */
    unsigned out_n;
    struct pbuf *out[OUT_CAP]; /* flat, of the peer's library */
};

static uint32_t clock_ms;
static bool is_counting;
static uint64_t counted_bytes;
static u16_t (*sum_in_use)(const void *, int);

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench-stacks: lwip: %s: %s\n", what, why);
    exit(1);
}

static void must(const char *what, err_t err)
{
    if (err != ERR_OK)
        fail(what, "refused");
}

/* ---- What takes the place of the library's ---- */

u32_t sys_now(void)
{
    return clock_ms;
}

u16_t lwip_standard_chksum(const void *data, int len)
{
    return sum_in_use(data, len);
}

/* As the library's own does where MEM_LIBC_MALLOC is on. */
void *mem_malloc(mem_size_t size)
{
    void *p = malloc(size);
    if (is_counting)
        counted_bytes += malloc_usable_size(p);
    return p;
}

void mem_free(void *mem)
{
    if (is_counting)
        counted_bytes -= malloc_usable_size(mem);
    free(mem);
}

static u16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16_t)sum;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static u16_t sum_avx2(const void *data, int len)
{
    const uint8_t *p = data;
    const __m256i zero = _mm256_setzero_si256();
    __m256i even = zero, odd = zero;
    uint64_t lanes[4], sum = 0;
    size_t left = (size_t)len;
    for (; left >= 32; p += 32, left -= 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)p);
        even = _mm256_add_epi64(even, _mm256_unpacklo_epi32(v, zero));
        odd = _mm256_add_epi64(odd, _mm256_unpackhi_epi32(v, zero));
    }
    _mm256_storeu_si256((__m256i *)lanes, _mm256_add_epi64(even, odd));
    for (unsigned i = 0; i < 4; i++)
        sum += lanes[i];
    for (; left >= 4; p += 4, left -= 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        sum += word;
    }
    uint32_t tail = 0;
    memcpy(&tail, p, left);
    return fold(sum + tail);
}
#endif

/* ---- Two copies of the library ---- */

/* The copy's own file: name it by its descriptor. */
static void *load_copy(void)
{
    void *once = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    Dl_info info;
    if (!once || !dladdr(dlsym(once, "lwip_init"), &info))
        fail(LIBRARY, "it is not installed (liblwip-dev)");
    int from = open(info.dli_fname, O_RDONLY | O_CLOEXEC), to = memfd_create("lwip", MFD_CLOEXEC);
    struct stat st;
    if (from < 0 || to < 0 || fstat(from, &st) < 0)
        fail(info.dli_fname, "it cannot be read");
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t)left);
        if (n <= 0)
            fail(info.dli_fname, "it cannot be copied");
        left -= n;
    }
    close(from);
    dlclose(once);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", to);
    void *copy = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!copy)
        fail(LIBRARY, dlerror());
    return copy; /* its descriptor stays open, so that the next one's name is another */
}

#define API_LOOK_UP(name)                                                                                              \
    api->name = (__typeof__(api->name))dlsym(library, #name);                                                          \
    if (!api->name)                                                                                                    \
        fail(#name, "the library does not have it");

static void look_up(struct api *api, void *library)
{
    API(API_LOOK_UP)
}

/* ---- The interface ---- */

static err_t output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
    (void)to;
    struct bench_node *n = netif->state;
    struct pbuf *frame = n->peer->lib.pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);
    if (!frame || n->out_n == OUT_CAP)
        fail("output", "no room for a packet");
    n->lib.pbuf_copy_partial(p, frame->payload, p->tot_len, 0);
    n->out[n->out_n++] = frame;
    return ERR_OK;
}

static err_t start_netif(struct netif *netif)
{
    netif->name[0] = 'm';
    netif->name[1] = 'e';
    netif->mtu = BENCH_MTU;
    netif->output = output;
    return ERR_OK;
}

static struct bench_node *open_with(unsigned side, u16_t (*sum)(const void *, int))
{
    struct bench_node *n = calloc(1, sizeof *n);
    if (!n)
        fail("memory", "refused");
    void *library = load_copy();
    look_up(&n->lib, library);
    sum_in_use = sum ? sum : n->lib.lwip_standard_chksum;
    n->lib.lwip_init();
    ip4_addr_t mask, none = {0};
    IP4_ADDR(&n->addr, 10, 0, 0, 1 + side);
    IP4_ADDR(&n->peer_addr, 10, 0, 0, 2 - side);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    if (!n->lib.netif_add(&n->netif, &n->addr, &mask, &none, n, start_netif, n->lib.ip_input))
        fail("netif_add", "refused");
    n->lib.netif_set_up(&n->netif);
    n->lib.netif_set_link_up(&n->netif);
    return n;
}

static struct bench_node *node_open(struct bench_place at, enum bench_join join)
{
    (void)join;
    return open_with(at.side, NULL);
}

#ifdef __x86_64__
/* Both nodes use it, so that a wrong sum would agree with itself: compare it with the library's. */
static void check_sum(const struct bench_node *n)
{
    uint8_t bytes[256];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 151 + 7);
    for (int from = 0; from < 3; from++) {
        for (int len = 0; len < 200; len++) {
            if (sum_avx2(bytes + from, len) != n->lib.lwip_standard_chksum(bytes + from, len))
                fail("sum_avx2", "it is not what the library calculates");
        }
    }
}

static struct bench_node *node_open_avx2(struct bench_place at, enum bench_join join)
{
    (void)join;
    struct bench_node *n = open_with(at.side, sum_avx2);
    check_sum(n);
    return n;
}
#endif

static void node_join(struct bench_node *a, struct bench_node *b)
{
    a->peer = b;
    b->peer = a;
}

/* lwIP has no way to end. */
static void node_end(struct bench_node *a, struct bench_node *b)
{
    free(a);
    free(b);
}

static void node_advance(struct bench_node *n, uint64_t now_ns)
{
    clock_ms = (uint32_t)(now_ns / 1000000);
    n->lib.sys_check_timeouts();
}

static unsigned node_pump(struct bench_node *n)
{
    unsigned count = n->out_n;
    for (unsigned i = 0; i < count; i++)
        n->peer->lib.ip_input(n->out[i], &n->peer->netif);
    n->out_n = 0;
    return count;
}

/* ---- Connections ---- */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct conn *c = arg;
    (void)pcb;
    (void)err;
    if (p && c->unread)
        c->node->lib.pbuf_cat(c->unread, p);
    else if (p)
        c->unread = p;
    return ERR_OK;
}

static void on_err(void *arg, err_t err)
{
    (void)arg;
    (void)err;
    fail("connection", "it has ended");
}

static struct conn *conn_new(struct bench_node *n, struct tcp_pcb *pcb)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c || !pcb)
        fail("memory", "refused");
    c->node = n;
    c->pcb = pcb;
    n->lib.tcp_arg(pcb, c);
    n->lib.tcp_recv(pcb, on_recv);
    n->lib.tcp_err(pcb, on_err);
    tcp_nagle_disable(pcb);
    return c;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct bench_node *n = arg;
    must("accept", err);
    struct conn *c = conn_new(n, pcb);
    c->next = n->waiting;
    n->waiting = c;
    return ERR_OK;
}

static bench_conn node_listen(struct bench_node *n, uint16_t port)
{
    struct tcp_pcb *pcb = n->lib.tcp_new();
    if (!pcb)
        fail("tcp_new", "refused");
    ip_addr_t any = IPADDR4_INIT(0);
    must("bind", n->lib.tcp_bind(pcb, &any, port));
    pcb = n->lib.tcp_listen_with_backlog(pcb, 128);
    if (!pcb)
        fail("listen", "refused");
    n->lib.tcp_arg(pcb, n);
    n->lib.tcp_accept(pcb, on_accept);
    return (bench_conn)pcb;
}

static bench_conn node_connect(struct bench_node *n, uint16_t port)
{
    struct conn *c = conn_new(n, n->lib.tcp_new());
    ip_addr_t to = IPADDR4_INIT(n->peer_addr.addr);
    err_t err = n->bound_n > 0 ? ERR_BUF : n->lib.tcp_connect(c->pcb, &to, port, NULL);
    if (err == ERR_BUF) { /* its 16,384 ephemeral ports are spent: take those below */
        ip_addr_t any = IPADDR4_INIT(0);
        must("bind", n->lib.tcp_bind(c->pcb, &any, (u16_t)(FIRST_OWN_PORT + n->bound_n++)));
        err = n->lib.tcp_connect(c->pcb, &to, port, NULL);
    }
    must("connect", err);
    return (bench_conn)c;
}

static bench_conn node_accept(struct bench_node *n, bench_conn listener)
{
    (void)listener; /* all of a node's wait in one place */
    struct conn *c = n->waiting;
    if (!c)
        return -1;
    n->waiting = c->next;
    return (bench_conn)c;
}

static size_t node_send(struct bench_node *n, bench_conn conn, const void *data, size_t len)
{
    struct conn *c = (struct conn *)conn;
    size_t room = tcp_sndbuf(c->pcb);
    u16_t take = (u16_t)(len < room ? len : room);
    if (take == 0)
        return 0;
    err_t err = n->lib.tcp_write(c->pcb, data, take, TCP_WRITE_FLAG_COPY);
    if (err == ERR_MEM)
        return 0;
    must("write", err);
    must("output", n->lib.tcp_output(c->pcb));
    return take;
}

static size_t node_recv(struct bench_node *n, bench_conn conn, void *buf, size_t cap)
{
    struct conn *c = (struct conn *)conn;
    if (!c->unread)
        return 0;
    u16_t take = (u16_t)(cap < c->unread->tot_len ? cap : c->unread->tot_len);
    n->lib.pbuf_copy_partial(c->unread, buf, take, 0);
    c->unread = n->lib.pbuf_free_header(c->unread, take);
    n->lib.tcp_recved(c->pcb, take);
    return take;
}

static void node_shut(struct bench_node *n, bench_conn conn)
{
    struct conn *c = (struct conn *)conn;
    n->lib.tcp_arg(c->pcb, NULL);
    n->lib.tcp_recv(c->pcb, NULL);
    n->lib.tcp_err(c->pcb, NULL);
    must("close", n->lib.tcp_close(c->pcb));
    free(c);
}

static void node_arm(struct bench_node *n, bench_conn conn)
{
    struct conn *c = (struct conn *)conn;
    (void)n;
    ip_set_option(c->pcb, SOF_KEEPALIVE);
}

/* Both nodes share the count: half of it is each one's. Counts from the first call on. */
static uint64_t mem_bytes(const struct bench_node *n)
{
    (void)n;
    is_counting = true;
    return counted_bytes / 2;
}

static void about(char *buf, size_t cap)
{
    snprintf(buf, cap,
             "%s, Debian's liblwip: no SACK, no timestamps, window and send buffer 64 KiB, libc's malloc, checksums "
             "made and checked in software",
             LWIP_VERSION_STRING);
}

#define NODE(its_name, its_open)                                                                                       \
    {                                                                                                                  \
        .name = (its_name), .joins = 1 << BENCH_WIRE, .about = about, .open = (its_open), .join = node_join,           \
        .free = node_end, .advance = node_advance, .pump = node_pump, .listen = node_listen, .connect = node_connect,  \
        .accept = node_accept, .send = node_send, .recv = node_recv, .close = node_shut, .arm = node_arm,              \
        .mem_bytes = mem_bytes,                                                                                        \
    }

const struct bench_stack bench_lwip = NODE("lwip", node_open);
#ifdef __x86_64__
const struct bench_stack bench_lwip_avx2 = NODE("lwip-avx2", node_open_avx2);
#endif
