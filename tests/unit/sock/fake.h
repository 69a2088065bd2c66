/* An endpoint that is whatever a test says, to test what lies above the transports. */
#ifndef TEST_SOCK_FAKE_H
#define TEST_SOCK_FAKE_H

#include "unit/support/alloc.h"

#include "sock/sock.h"

struct fake_sk {
    struct wi_sk sk;
    uint32_t true_now; /* what poll says */
    unsigned polled_n;
};

static inline uint32_t fake_poll(const struct wi_sk *sk)
{
    struct fake_sk *f = (struct fake_sk *)(uintptr_t)sk;
    f->polled_n++;
    return f->true_now;
}

static const struct wi_sk_ops fake_ops = {.poll = fake_poll};

/* Something happens, which a transport tells. */
static inline void fake_event(struct fake_sk *f, uint32_t events)
{
    f->true_now |= events;
    wi_sk_ready(&f->sk, events);
}

/* What the layer needs of a stack. */
struct rig {
    struct heap heap;
    struct wi_core core;
    struct wi_handles handles;
    struct wi_epolls epolls;
};

static inline void rig_init(struct rig *r, uint32_t handles_max)
{
    *r = (struct rig){0};
    struct weir_config cfg = {.alloc = heap_owner(&r->heap), .seed = 1};
    assert_int_equal(wi_core_init(&r->core, &cfg), 0);
    wi_handles_init(&r->handles, &r->core, handles_max);
    wi_epolls_init(&r->epolls, &r->core);
}

static inline void rig_close(struct rig *r, struct wi_handle *h)
{
    wi_epoll_forget(&r->epolls, h);
    wi_handle_release(&r->handles, h);
}

/* Every handle closes, and nothing may be left. */
static inline void rig_fini(struct rig *r)
{
    uint32_t index = 0;
    for (struct wi_handle *h; (h = wi_handle_next(&r->handles, &index));)
        rig_close(r, h);
    assert_null(wi_handles_check(&r->handles));
    wi_epolls_fini(&r->epolls);
    wi_core_fini(&r->core);
    assert_int_equal(r->heap.bytes, 0);
}

static inline struct wi_handle *rig_socket(struct rig *r, struct fake_sk *f)
{
    struct wi_handle *h;
    assert_int_equal(wi_handle_take(&r->handles, &h), 0);
    *f = (struct fake_sk){.sk = {.ops = &fake_ops, .owner = h}};
    h->kind = WI_HANDLE_SOCKET;
    h->sk = &f->sk;
    return h;
}

static inline struct wi_handle *rig_epoll(struct rig *r)
{
    struct wi_handle *h;
    assert_int_equal(wi_handle_take(&r->handles, &h), 0);
    assert_int_equal(wi_epoll_open(&r->epolls, h), 0);
    return h;
}

static inline int rig_ctl(struct rig *r, struct wi_handle *ep, int op, struct wi_handle *h, uint32_t events,
                          uint64_t data)
{
    struct weir_epoll_event ev = {.events = events, .data = data};
    int result = wi_epoll_ctl(&r->epolls, ep, op, h, &ev);
    assert_null(wi_epoll_check(ep->epoll));
    return result;
}

#endif
