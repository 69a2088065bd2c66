/* Two stacks joined by a link, in virtual time. See world.h. */
#include "unit/support/world.h"

struct world_pkt {
    struct world_pkt *next;
    struct weir_pkt *pkt; /* of the receiving stack's pool */
    weir_ns due;
};

/* A copy in the receiver's memory, as if it had come over a wire. */
static struct weir_pkt *carry(struct world *w, struct world_side *from, const struct weir_pkt *p)
{
    struct weir *to = w->side[!from->index].stack;
    static uint8_t bytes[1 << 17];
    assert_true(p->len <= sizeof bytes);
    assert_int_equal(weir_pkt_copy(p, 0, bytes, p->len), p->len);
    if (w->mangle)
        w->mangle(w, from, bytes, p->len);
    struct weir_pkt *copy = weir_pkt_from(weir_stack_pool(to), bytes, p->len);
    if (!copy)
        return NULL; /* lost, for the receiver has no memory */
    copy->gso_size = p->gso_size;
    copy->serial = p->serial;
    if (w->opts.caps & (WEIR_CAP_TX_CSUM | WEIR_CAP_RX_CSUM))
        copy->flags |= WEIR_PKT_CSUM_OK;
    return copy;
}

/* In the order of arrival; what arrives at one moment, in that of sending. */
static void queue(struct world_side *from, struct weir_pkt *pkt, weir_ns due)
{
    struct world_pkt *p = malloc(sizeof *p);
    assert_non_null(p);
    struct world_pkt **at = from->last;
    if (from->first && due < from->last_due) {
        at = &from->first;
        while (*at && (*at)->due <= due)
            at = &(*at)->next;
    }
    *p = (struct world_pkt){.pkt = pkt, .due = due, .next = *at};
    *at = p;
    if (!p->next) {
        from->last = &p->next;
        from->last_due = due;
    }
}

static unsigned link_xmit(void *driver, struct weir_pkt **pkts, unsigned n)
{
    struct world_side *from = driver;
    struct world *w = from->world;

    for (unsigned i = 0; i < n && !from->takes_none; i++) {
        from->sent_n++;
        assert_true(w->opts.caps & WEIR_CAP_TSO || pkts[i]->gso_size == 0);
        assert_true(w->opts.caps & WEIR_CAP_TX_CSUM || !(pkts[i]->flags & WEIR_PKT_CSUM_PARTIAL));
        if (!w->drop || !w->drop(w, from, pkts[i], from->sent_n)) {
            struct weir_pkt *copy = carry(w, from, pkts[i]);
            if (copy)
                queue(from, copy, w->now + w->opts.delay + (w->hold ? w->hold(w, from) : 0));
        }
        weir_pkt_unref(pkts[i]);
    }
    return from->takes_none ? 0 : n;
}

static const struct weir_netif_ops link_ops = {.xmit = link_xmit};

static void side_init(struct world *w, int index)
{
    struct world_side *s = &w->side[index];
    *s = (struct world_side){.world = w, .index = index};
    s->last = &s->first;
    s->v4 = weir_addr_v4(10, 0, 0, (uint8_t)(index + 1));
    s->v6 = (struct weir_addr){{0xfd, [15] = (uint8_t)(index + 1)}};

    struct weir_config cfg = {
        .alloc = heap_owner(&s->heap),
        .mem_limit = w->opts.mem_limit,
        .now = w->now,
        .seed = (uint64_t)index + 1,
        .sockets_max = w->opts.sockets_max,
        .on_event = w->opts.on_event,
        .event_ctx = s,
        .event_mask = w->opts.event_mask,
        .hostname = index ? "b" : "a",
    };
    s->stack = weir_new(&cfg);
    assert_non_null(s->stack);

    struct weir_netif_config netif = {
        .name = "link0",
        .type = w->opts.is_ethernet ? WEIR_LINK_ETHERNET : WEIR_LINK_RAW_IP,
        .mac = {2, 0, 0, 0, 0, (uint8_t)(index + 1)},
        .mtu = w->opts.mtu ? w->opts.mtu : 1500,
        .caps = w->opts.caps,
    };
    s->netif = weir_netif_add(s->stack, &link_ops, s, &netif);
    assert_true(s->netif >= 2);
}

void world_init(struct world *w, const struct world_opts *opts)
{
    *w = (struct world){.now = WORLD_START};
    if (opts)
        w->opts = *opts;
    for (int i = 0; i < 2; i++)
        side_init(w, i);
    /* Both exist before either says a word. */
    for (int i = 0; i < 2; i++) {
        struct world_side *s = &w->side[i];
        assert_int_equal(weir_netif_set_up(s->stack, s->netif, true), 0);
        assert_int_equal(weir_addr_add(s->stack, s->netif, &s->v4, 24), 0);
        assert_int_equal(weir_addr_add(s->stack, s->netif, &s->v6, 64), 0);
    }
}

static struct world_pkt *take(struct world_side *s)
{
    struct world_pkt *p = s->first;
    s->first = p->next;
    if (!s->first)
        s->last = &s->first;
    return p;
}

void world_fini(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        while (w->side[i].first) {
            struct world_pkt *p = take(&w->side[i]);
            weir_pkt_unref(p->pkt);
            free(p);
        }
    }
    for (int i = 0; i < 2; i++) {
        uint64_t sent_n = w->side[i].sent_n;
        weir_free(w->side[i].stack);
        assert_int_equal(w->side[i].sent_n, sent_n);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(w->side[i].heap.bytes, 0);
}

static void deliver(struct world *w, struct world_side *from)
{
    struct world_side *to = &w->side[!from->index];
    struct world_pkt *p = take(from);
    weir_input(to->stack, to->netif, &p->pkt, 1, w->now);
    weir_pkt_unref(p->pkt);
    free(p);
}

static void check(struct world *w)
{
    for (int i = 0; i < 2 && !w->opts.is_unchecked; i++) {
        const char *wrong = weir_check(w->side[i].stack);
        if (wrong)
            fail_msg("stack %s: %s", i ? "b" : "a", wrong);
    }
}

bool world_step(struct world *w, weir_ns until)
{
    struct world_side *arrives = NULL, *due = NULL;
    weir_ns at = WEIR_NEVER;

    for (int i = 0; i < 2; i++) {
        struct world_side *s = &w->side[i];
        if (s->first && s->first->due < at) {
            at = s->first->due;
            arrives = s;
        }
    }
    for (int i = 0; i < 2; i++) {
        weir_ns deadline = weir_deadline(w->side[i].stack);
        if (deadline < at) {
            at = deadline;
            due = &w->side[i];
        }
    }
    if (at == WEIR_NEVER || at > until)
        return false;
    if (at > w->now)
        w->now = at;
    if (due)
        weir_advance(due->stack, w->now);
    else
        deliver(w, arrives);
    check(w);
    return true;
}

/* What a test calls next is to happen at this time. */
static void tell(struct world *w)
{
    for (int i = 0; i < 2; i++)
        weir_advance(w->side[i].stack, w->now);
}

void world_run(struct world *w, weir_ns duration)
{
    weir_ns until = w->now + duration;
    while (world_step(w, until))
        ;
    w->now = until;
    tell(w);
}

void world_settle(struct world *w)
{
    while (w->side[0].first || w->side[1].first)
        assert_true(world_step(w, WEIR_NEVER - 1));
    tell(w);
}

void world_idle(struct world *w)
{
    weir_ns until = w->now + WEIR_SEC(3600);
    while (world_step(w, until))
        ;
    tell(w);
}

unsigned world_take(struct world *w, int side, struct weir_pkt **pkts, unsigned n)
{
    unsigned taken = 0;
    while (taken < n && w->side[side].first) {
        struct world_pkt *p = take(&w->side[side]);
        pkts[taken++] = p->pkt;
        free(p);
    }
    return taken;
}

struct weir_sockaddr world_addr(const struct world *w, int side, int family, uint16_t port)
{
    const struct world_side *s = &w->side[side];
    return (struct weir_sockaddr){
        .addr = family == WEIR_AF_INET ? s->v4 : s->v6, .family = (uint16_t)family, .port = port};
}

weir_fd world_listen(struct world *w, int side, int family, uint16_t port, int backlog)
{
    struct weir *stack = w->side[side].stack;
    struct weir_sockaddr any = {.addr = weir_addr_any(family), .family = (uint16_t)family, .port = port};
    weir_fd fd = weir_socket(stack, family, WEIR_SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(weir_bind(stack, fd, &any), 0);
    assert_int_equal(weir_listen(stack, fd, backlog), 0);
    return fd;
}

void world_connect(struct world *w, weir_fd listener, int family, uint16_t port, weir_fd *client, weir_fd *server)
{
    struct weir *a = w->side[0].stack, *b = w->side[1].stack;
    struct weir_sockaddr to = world_addr(w, 1, family, port);
    *client = weir_socket(a, family, WEIR_SOCK_STREAM, 0);
    assert_true(*client >= 0);
    assert_int_equal(weir_connect(a, *client, &to), -WEIR_EINPROGRESS);
    world_settle(w);
    *server = weir_accept(b, listener, NULL);
    assert_true(*server >= 0);
    assert_true(world_poll(w, 0, *client) & WEIR_POLLOUT);
}

int world_poll(struct world *w, int side, weir_fd fd)
{
    struct weir_pollfd p = {.fd = fd, .events = WEIR_POLLIN | WEIR_POLLOUT | WEIR_POLLPRI | WEIR_POLLRDHUP};
    weir_poll(w->side[side].stack, &p, 1);
    return p.revents;
}

uint64_t world_stat(const struct world *w, int side, const char *name)
{
    uint64_t value = 0;
    assert_int_equal(weir_stat_get(w->side[side].stack, name, &value), 0);
    return value;
}
