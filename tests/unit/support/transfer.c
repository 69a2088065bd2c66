/* One transfer between the stacks of a world. See transfer.h. */
#include "unit/support/transfer.h"

#define PORT 80

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 31 + i / 253 + i / 65521);
}

void transfer_send(struct transfer *t)
{
    static uint8_t buf[65536];
    while (t->sent < t->total) {
        size_t n = t->total - t->sent < sizeof buf ? (size_t)(t->total - t->sent) : sizeof buf;
        for (size_t i = 0; i < n; i++)
            buf[i] = byte_at(t->sent + i);
        int64_t took = weir_send(t->w.side[0].stack, t->client, buf, n, 0);
        if (took == -WEIR_EAGAIN)
            return;
        assert_true(took > 0);
        t->sent += (uint64_t)took;
    }
    if (!t->is_closed) {
        t->is_closed = true;
        assert_int_equal(weir_shutdown(t->w.side[0].stack, t->client, WEIR_SHUT_WR), 0);
    }
}

void transfer_recv(struct transfer *t)
{
    static uint8_t buf[65536];
    while (!t->is_done) {
        int64_t n = weir_recv(t->w.side[1].stack, t->server, buf, sizeof buf, 0);
        if (n == -WEIR_EAGAIN)
            return;
        assert_true(n >= 0);
        for (int64_t i = 0; i < n; i++) {
            if (buf[i] != byte_at(t->got + (uint64_t)i))
                fail_msg("byte %llu is wrong", (unsigned long long)(t->got + (uint64_t)i));
        }
        t->got += (uint64_t)n;
        t->is_done = n == 0;
    }
}

void transfer_run(struct transfer *t, weir_ns limit)
{
    weir_ns until = t->w.now + limit;
    transfer_send(t);
    while (!t->is_done && world_step(&t->w, until)) {
        transfer_send(t);
        transfer_recv(t);
    }
    if (!t->is_done)
        fail_msg("stalled at %llu of %llu bytes", (unsigned long long)t->got, (unsigned long long)t->total);
    assert_true(t->got == t->total);
}

void transfer_begin_tuned(struct transfer *t, const struct world_opts *opts, int family, uint64_t total,
                          const char *const *tunables)
{
    *t = (struct transfer){.total = total};
    world_init(&t->w, opts);
    for (; tunables && tunables[0]; tunables += 2) {
        for (int i = 0; i < 2; i++)
            assert_int_equal(weir_sysctl_set(t->w.side[i].stack, tunables[0], tunables[1]), 0);
    }
    weir_fd listener = world_listen(&t->w, 1, family, PORT, 8);
    world_connect(&t->w, listener, family, PORT, &t->client, &t->server);
    assert_int_equal(weir_close(t->w.side[1].stack, listener), 0);
}

void transfer_begin(struct transfer *t, const struct world_opts *opts, int family, uint64_t total)
{
    transfer_begin_tuned(t, opts, family, total, NULL);
}

void transfer_end(struct transfer *t)
{
    assert_int_equal(weir_close(t->w.side[1].stack, t->server), 0);
    assert_int_equal(weir_close(t->w.side[0].stack, t->client), 0);
    world_idle(&t->w);
    world_fini(&t->w);
}
