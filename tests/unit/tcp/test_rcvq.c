/*
 * The receive queue against a naive model: whatever order, overlap and shape segments come in, the reader gets the
 * stream, once. RFC 9293 3.10.7.4 (seventh check), RFC 2018, RFC 2883.
 */
#include "tcp/conn.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STREAM = 20000, WINDOW = 60000 };

static size_t outstanding;

static void *count_alloc(void *ctx, size_t size)
{
    (void)ctx;
    outstanding += size;
    return malloc(size);
}

static void count_free(void *ctx, void *p, size_t size)
{
    (void)ctx;
    outstanding -= size;
    free(p);
}

struct rig {
    struct wi_core core;
    struct wi_tcp tcp;
    struct wi_tcp_conn c;
    struct wi_seq start;
    struct wi_rng rng;
};

static uint8_t byte_at(uint32_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static struct rig *rig_new(uint32_t start, uint64_t seed)
{
    struct rig *r = calloc(1, sizeof *r);
    struct weir_config cfg = {.alloc = {.alloc = count_alloc, .free = count_free}, .now = WEIR_SEC(1)};

    outstanding = 0;
    assert_int_equal(wi_core_init(&r->core, &cfg), 0);
    r->tcp.core = &r->core;
    wi_list_init(&r->tcp.pending);
    wi_slab_init(&r->tcp.chunk_slab, r->core.mem, sizeof(struct wi_tcp_chunk), "chunks");
    wi_slab_init(&r->tcp.ooo_slab, r->core.mem, sizeof(struct wi_tcp_ooo), "runs");
    r->c.tcp = &r->tcp;
    r->c.sk.core = &r->core;
    r->c.state = WEIR_TCP_ESTABLISHED;
    r->c.sack_ok = true;
    r->c.advmss = 1460;
    r->c.sk.opts.rcvbuf_bytes = 1 << 20;
    r->start = r->c.rcv_nxt = r->c.rcv_wup = r->c.copied_seq = (struct wi_seq){start};
    r->c.rcv_wnd_bytes = WINDOW;
    wi_list_init(&r->c.pend_link);
    wi_tcp_rcvq_init(&r->c);
    wi_rng_init(&r->rng, seed);
    return r;
}

static void rig_free(struct rig *r)
{
    wi_tcp_rcvq_purge(&r->c);
    assert_null(wi_tcp_rcvq_check(&r->c));
    assert_int_equal(r->c.rcvq.mem_bytes, 0);
    wi_slab_fini(&r->tcp.chunk_slab);
    wi_slab_fini(&r->tcp.ooo_slab);
    wi_core_fini(&r->core);
    assert_int_equal(outstanding, 0);
    free(r);
}

/* A packet with stream bytes [lo, hi): some in the head, the rest in fragments of random size. */
static struct weir_pkt *stream_pkt(struct rig *r, uint32_t lo, uint32_t hi)
{
    struct weir_pkt *p = weir_pkt_new(r->core.pool, 60);
    uint32_t in_head = (uint32_t)wi_rng_below(&r->rng, 3) == 0 ? wi_min_u32(hi - lo, 50) : 0;
    uint8_t *head = weir_pkt_put(p, in_head);

    for (uint32_t i = 0; i < in_head; i++)
        head[i] = byte_at(lo + i);
    for (uint32_t at = lo + in_head; at < hi;) {
        uint32_t n = wi_min_u32(hi - at, 200 + (uint32_t)wi_rng_below(&r->rng, 3000));
        if (p->frag_n == WEIR_PKT_FRAGS - 1)
            n = hi - at;
        struct weir_block *b = weir_block_new(r->core.pool, n * (1 + (uint32_t)wi_rng_below(&r->rng, 6)));
        for (uint32_t i = 0; i < n; i++)
            b->data[i] = byte_at(at + i);
        assert_int_equal(weir_pkt_append(p, b, 0, n), 0);
        weir_block_unref(b);
        at += n;
    }
    return p;
}

static enum weir_drop arrive(struct rig *r, uint32_t lo, uint32_t hi, uint16_t flags)
{
    static const struct wi_ip ip = {.ttl = 64};
    struct weir_pkt *p = stream_pkt(r, lo, hi);
    struct wi_tcp_seg seg = {.pkt = p,
                             .ip = &ip,
                             .seq = wi_seq_add(r->start, lo),
                             .data_len = hi - lo,
                             .gso_size = 1460,
                             .h = {.flags = flags | WI_TH_ACK}};

    seg.h.seq = seg.seq;
    seg.end = wi_seq_add(r->start, hi + (flags & WI_TH_FIN ? 1 : 0));
    enum weir_drop why = wi_tcp_rcvq_data(&r->c, &seg);
    weir_pkt_unref(p);
    const char *broken = wi_tcp_rcvq_check(&r->c);
    if (broken)
        fail_msg("%s after [%u, %u)", broken, lo, hi);
    return why;
}

/* Read up to `max` bytes one way or another and hold them against the stream. */
static void read_some(struct rig *r, uint32_t max)
{
    uint8_t buf[4096], again[4096];
    uint32_t at = (uint32_t)wi_seq_diff(r->c.copied_seq, r->start), got = 0;
    struct weir_iovec iov[2] = {{buf, max / 3}, {buf + max / 3, max - max / 3}};
    struct weir_msg msg = {.iov = iov, .iov_n = 2};

    if (wi_rng_below(&r->rng, 2)) {
        struct weir_iovec one = {again, max};
        struct weir_msg look = {.iov = &one, .iov_n = 1};
        int64_t seen = wi_tcp_rcvq_read(&r->c, &look, WEIR_MSG_PEEK);
        got = (uint32_t)wi_tcp_rcvq_read(&r->c, &msg, 0);
        assert_int_equal(seen, got);
        assert_memory_equal(buf, again, got);
    } else {
        struct weir_frag f[3];
        size_t bytes;
        int64_t n = wi_tcp_rcvq_read_frags(&r->c, f, 3, max, &bytes);
        for (int64_t i = 0; i < n; i++) {
            memcpy(buf + got, f[i].block->data + f[i].off, f[i].len);
            got += f[i].len;
            weir_block_unref(f[i].block);
        }
        assert_int_equal(got, bytes);
    }
    for (uint32_t i = 0; i < got; i++)
        assert_int_equal(buf[i], byte_at(at + i));
    assert_null(wi_tcp_rcvq_check(&r->c));
}

/* Out-of-order data is kept. The start makes sequence numbers wrap in the middle. Rows: SHLD-31 9293-S22 */
static void test_random_arrival_order_gives_the_stream_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rig *r = rig_new(UINT32_MAX - STREAM / 2, seed);

        for (unsigned step = 0; step < 20000 && wi_seq_diff(r->c.copied_seq, r->start) < STREAM; step++) {
            uint32_t edge = (uint32_t)wi_seq_diff(r->c.rcv_nxt, r->start);
            uint32_t lo = edge + (uint32_t)wi_rng_below(&r->rng, 4000);
            lo = wi_rng_below(&r->rng, 4) == 0 ? edge : lo > 1500 ? lo - 1500 : 0;
            uint32_t hi = wi_min_u32(STREAM, lo + 1 + (uint32_t)wi_rng_below(&r->rng, 3000));
            if (lo < hi)
                (void)arrive(r, lo, hi, hi == STREAM ? WI_TH_FIN : 0);
            if (wi_rng_below(&r->rng, 3) == 0)
                read_some(r, 1 + (uint32_t)wi_rng_below(&r->rng, 4000));
        }
        assert_int_equal(wi_seq_diff(r->c.copied_seq, r->start), STREAM);
        assert_int_equal(r->c.bytes_received, STREAM);
        assert_true(wi_tcp_rcvq_fin_due(&r->c));
        assert_false(wi_tcp_rcvq_has_ooo(&r->c));
        rig_free(r);
    }
}

/* RFC 2018 4: the first block holds the segment that triggered the ACK, the others the most recent before it.
 * Rows: 2018-4 */
static void test_sack_blocks_are_the_runs_latest_first(void **state)
{
    (void)state;
    struct rig *r = rig_new(1000, 1);
    struct wi_sack_block b[4];

    arrive(r, 1000, 2000, 0);
    arrive(r, 5000, 6000, 0);
    arrive(r, 3000, 4000, 0);
    arrive(r, 4000, 4500, 0); /* extends the last */
    assert_int_equal(wi_tcp_rcvq_sacks(&r->c, b, 4), 3);
    assert_int_equal(b[0].lo.v, 4000);
    assert_int_equal(b[0].hi.v, 5500);
    assert_int_equal(b[1].lo.v, 6000);
    assert_int_equal(b[2].lo.v, 2000);
    arrive(r, 0, 1000, 0);
    assert_int_equal(wi_tcp_rcvq_sacks(&r->c, b, 4), 2);
    assert_int_equal(r->c.rcv_nxt.v, 3000);
    rig_free(r);
}

/* RFC 2883 4: a duplicate is told once, in the first block; of a partial one, what was there before. Rows: 2883-2
 * 2883-3 */
static void test_dsack_names_the_duplicate_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(0, 1);
    struct wi_sack_block b[4];

    arrive(r, 0, 1000, 0);
    assert_int_equal(arrive(r, 200, 700, 0), WEIR_DROP_TCP_OLD_SEQ);
    assert_int_equal(wi_tcp_rcvq_sacks(&r->c, b, 4), 1);
    assert_int_equal(b[0].lo.v, 200);
    assert_int_equal(b[0].hi.v, 700);
    assert_int_equal(wi_tcp_rcvq_sacks(&r->c, b, 4), 0);
    arrive(r, 2000, 3000, 0);
    assert_int_equal(arrive(r, 2100, 2200, 0), WEIR_DROP_TCP_OOO_DUP);
    assert_int_equal(wi_tcp_rcvq_sacks(&r->c, b, 4), 2);
    assert_int_equal(b[0].lo.v, 2100);
    assert_int_equal(b[1].lo.v, 2000);
    arrive(r, 500, 1500, 0);
    assert_int_equal(wi_tcp_rcvq_sacks(&r->c, b, 4), 2);
    assert_int_equal(b[0].lo.v, 500);
    assert_int_equal(b[0].hi.v, 1000);
    rig_free(r);
}

/* What the first check let pass although it reaches beyond the window is taken whole, as Linux takes it. */
static void test_data_beyond_the_window_is_refused_or_taken_whole(void **state)
{
    (void)state;
    struct rig *r = rig_new(0, 1);

    r->c.rcv_wnd_bytes = 1000;
    assert_int_equal(arrive(r, 1000, 1100, 0), WEIR_DROP_TCP_BEYOND_WND);
    assert_int_equal(arrive(r, 500, 1500, WI_TH_FIN), WEIR_DROP_NONE);
    assert_true(r->c.rcvq.has_fin);
    assert_int_equal(arrive(r, 0, 600, 0), WEIR_DROP_NONE);
    assert_int_equal(r->c.rcv_nxt.v, 1500);
    rig_free(r);

    r = rig_new(0, 1);
    r->c.rcv_wnd_bytes = 0;
    assert_int_equal(arrive(r, 0, 1, 0), WEIR_DROP_TCP_ZERO_WND); /* a window probe */
    rig_free(r);
}

/* A super-segment of `n` frames of 1,000 bytes, in blocks of their own or all in one of 64 KiB as a driver may have it;
 * `lo` is its first byte's place. */
static struct weir_pkt *frames_pkt(struct rig *r, uint32_t lo, unsigned n, bool is_shared)
{
    struct weir_pkt *p = weir_pkt_new(r->core.pool, 0);
    struct weir_block *b = NULL;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t off = is_shared ? 1040 * k + 40 : 40;
        if (!b)
            b = weir_block_new(r->core.pool, is_shared ? 65536 : 1040);
        for (uint32_t i = 0; i < 1000; i++)
            b->data[off + i] = byte_at(lo + 1000 * k + i);
        assert_int_equal(weir_pkt_append(p, b, off, 1000), 0);
        if (is_shared && k + 1 < n)
            continue;
        weir_block_unref(b);
        b = NULL;
    }
    p->gso_size = 1000;
    return p;
}

static void arrive_frames(struct rig *r, uint32_t lo, unsigned n, bool is_shared)
{
    struct weir_pkt *p = frames_pkt(r, lo, n, is_shared);
    struct wi_tcp_seg seg = {.pkt = p,
                             .seq = wi_seq_add(r->start, lo),
                             .end = wi_seq_add(r->start, lo + n * 1000),
                             .data_len = n * 1000,
                             .gso_size = 1000,
                             .h = {.flags = WI_TH_ACK}};
    assert_int_equal(wi_tcp_rcvq_data(&r->c, &seg), WEIR_DROP_NONE);
    assert_null(wi_tcp_rcvq_check(&r->c));
    weir_pkt_unref(p);
}

/* What was merged on its way in stays in its packet until it is read; few frames of a large block are copied out. */
static void test_merged_frames_stay_where_they_are_unless_they_pin_too_much(void **state)
{
    (void)state;
    for (int is_shared = 0; is_shared < 2; is_shared++) {
        struct rig *r = rig_new(0xffffff00, 3);
        r->c.rcv_wnd_bytes = 1 << 20;
        arrive_frames(r, 0, 17, is_shared); /* a quarter of 64 KiB, and more */
        struct wi_tcp_chunk *k = wi_list_first(&r->c.rcvq.chunks, struct wi_tcp_chunk, link);
        assert_non_null(k->pkt);
        assert_int_equal(k->len, 17000);
        arrive_frames(r, 18000, 3, is_shared); /* ahead of a hole */
        arrive_frames(r, 16000, 3, is_shared); /* overlaps both */
        k = wi_list_last(&r->c.rcvq.chunks, struct wi_tcp_chunk, link);
        assert_int_equal(k->pkt == NULL, is_shared);
        while (wi_tcp_rcvq_readable(&r->c))
            read_some(r, 700);
        assert_int_equal(wi_seq_diff(r->c.copied_seq, r->start), 21000);
        assert_int_equal(r->c.rcvq.mem_bytes, 0);
        rig_free(r);
    }
}

/* Without SACK the peer counts duplicate ACKs: as many as segments came, however they came up. RFC 5681 4.2. */
static void test_merged_frames_ahead_of_a_hole_owe_an_ack_each_without_sack(void **state)
{
    (void)state;
    for (int sack = 0; sack < 2; sack++) {
        struct rig *r = rig_new(0, 1);
        r->c.rcv_wnd_bytes = 1 << 20;
        r->c.sack_ok = sack;
        arrive_frames(r, 5000, 4, false);
        assert_int_equal(r->c.dup_acks_owed, sack ? 0 : 4);
        assert_true(r->c.is_ack_sched); /* with SACK wi_tcp_ack_check says when */
        rig_free(r);
    }
}

/* A stream of one-byte segments must not pin a frame each. Rows: attack-segmentsmack */
static void test_crumbs_share_blocks(void **state)
{
    (void)state;
    struct rig *r = rig_new(0, 1);

    for (uint32_t i = 0; i < 5000; i++)
        arrive(r, i, i + 1, 0);
    assert_int_equal(r->c.rcv_nxt.v, 5000);
    assert_true(r->c.rcvq.mem_bytes < 8 * 5000);
    while (wi_tcp_rcvq_readable(&r->c))
        read_some(r, 1000);
    rig_free(r);
}

/* Holes without end cost bounded memory, and the data before the first hole still gets in. Rows: attack-segmentsmack */
static void test_flood_of_holes_is_bounded_and_in_order_data_wins(void **state)
{
    (void)state;
    struct rig *r = rig_new(0, 1);

    r->c.sk.opts.rcvbuf_bytes = 64 * 1024;
    r->c.sk.opts.rcvbuf_locked = true;
    for (uint32_t i = 0; i < WINDOW / 4; i++)
        arrive(r, 4 * i + 1, 4 * i + 2, 0);
    assert_true(r->c.rcvq.mem_bytes <= 64 * 1024 + 1024);
    assert_int_equal(arrive(r, 0, 1, 0), WEIR_DROP_NONE);
    assert_int_equal(r->c.rcv_nxt.v, 2);
    rig_free(r);
}

/* As many runs as the buffer's account has room for, and no more: each costs it more than the memory that it takes.
 * What makes no new run is refused as well, but for what comes next. Rows: attack-segmentsmack */
static void test_runs_are_bounded_by_what_the_buffer_is_charged(void **state)
{
    (void)state;
    static const uint32_t buffers[] = {64 << 10, 1 << 20, 4 << 20};
    for (unsigned k = 0; k < 3; k++) {
        struct rig *r = rig_new(0, 1);
        uint32_t n = 0;

        r->c.rcv_wnd_bytes = 1 << 20;
        r->c.sk.opts.rcvbuf_bytes = buffers[k];
        r->c.sk.opts.rcvbuf_locked = true;
        size_t before = r->core.mem->used;
        while (arrive(r, 4 * n + 1, 4 * n + 2, 0) == WEIR_DROP_NONE)
            n++;
        assert_int_equal(r->c.rcvq.ooo_n, n);
        assert_in_range(n, buffers[k] / 1000, buffers[k] / 800);
        assert_in_range(r->core.mem->used - before, 1,
                        r->c.rcvq.mem_bytes + 65536); /* and what a slab has in reserve */
        assert_int_equal(arrive(r, 4 * n + 1, 4 * n + 2, 0), WEIR_DROP_TCP_OOO_FULL);
        assert_int_equal(arrive(r, 0, 1, 0), WEIR_DROP_NONE);
        assert_int_equal(r->c.rcv_nxt.v, 2);
        rig_free(r);
    }
}

/* RFC 2018 8: what was SACKed may be thrown away when room is short; from then on only what is held is told, the newest
 * first. Rows: 2018-12 */
static void test_sack_blocks_name_only_what_is_held(void **state)
{
    (void)state;
    struct rig *r = rig_new(0, 1);
    r->c.sk.opts.rcvbuf_bytes = 32 * 1024;
    r->c.sk.opts.rcvbuf_locked = true;
    uint32_t high = 2000;
    while (arrive(r, high, high + 1400, 0) == WEIR_DROP_NONE)
        high += 2000;
    high -= 2000;
    assert_int_equal(arrive(r, 0, 1400, 0), WEIR_DROP_NONE); /* in order: the highest give way to it */
    r->c.sk.opts.rcvbuf_bytes = 1 << 20;                     /* from here on nothing is refused for want of room */
    struct wi_sack_block b[4];
    unsigned n = wi_tcp_rcvq_sacks(&r->c, b, 4);
    for (unsigned i = 0; i < n; i++) /* held: then it is a duplicate */
        assert_int_equal(arrive(r, b[i].lo.v, b[i].hi.v, 0), WEIR_DROP_TCP_OOO_DUP);
    assert_int_equal(arrive(r, high, high + 1400, 0), WEIR_DROP_NONE); /* it had been thrown away */
    n = wi_tcp_rcvq_sacks(&r->c, b, 4);
    assert_true(n > 0);
    assert_int_equal(b[0].lo.v, high);
    rig_free(r);
}

/* RFC 6093, Linux: the urgent byte is out of the stream, reading stops before it. Rows: MUST-33 attack-winnuke */
static void test_urgent_byte_is_skipped_and_read_apart(void **state)
{
    (void)state;
    struct rig *r = rig_new(0, 1);
    struct weir_pkt *p = stream_pkt(r, 0, 100);
    struct wi_tcp_seg seg = {.pkt = p, .data_len = 100, .end = {100}, .h = {.flags = WI_TH_ACK | WI_TH_URG, .urg = 51}};
    uint8_t buf[200];
    struct weir_iovec iov = {buf, sizeof buf};
    struct weir_msg msg = {.iov = &iov, .iov_n = 1};

    wi_tcp_urgent_input(&r->c, &seg);
    assert_int_equal(wi_tcp_rcvq_data(&r->c, &seg), WEIR_DROP_NONE);
    weir_pkt_unref(p);
    assert_true(wi_tcp_urgent_pending(&r->c));
    assert_int_equal(wi_tcp_rcvq_readable(&r->c), 50);
    assert_int_equal(wi_tcp_urgent_read(&r->c, &msg, 0), 1);
    assert_int_equal(buf[0], byte_at(50));
    assert_int_equal(wi_tcp_urgent_read(&r->c, &msg, 0), -WEIR_EINVAL);
    assert_int_equal(wi_tcp_rcvq_read(&r->c, &msg, 0), 50);
    assert_true(wi_tcp_urgent_at_mark(&r->c));
    assert_int_equal(wi_tcp_rcvq_readable(&r->c), 49);
    assert_int_equal(wi_tcp_rcvq_read(&r->c, &msg, 0), 49);
    assert_int_equal(buf[0], byte_at(51));
    rig_free(r);
}

/* The n-th allocation fails, for every n: the segment is refused or taken in part, nothing breaks, nothing leaks. */
static void test_allocation_failure_leaves_the_queue_whole(void **state)
{
    (void)state;
    for (size_t room = 0; room < 40000; room += 512) {
        struct rig *r = rig_new(0, 3);
        struct weir_pkt *gap = stream_pkt(r, 3000, 9000), *all = stream_pkt(r, 0, 12000);
        struct wi_tcp_seg a = {.pkt = gap, .seq = {3000}, .end = {9000}, .data_len = 6000, .h = {.flags = WI_TH_ACK}};
        struct wi_tcp_seg b = {.pkt = all, .end = {12000}, .data_len = 12000, .h = {.flags = WI_TH_ACK}};

        r->core.mem->limit = r->core.mem->used + room;
        (void)wi_tcp_rcvq_data(&r->c, &a);
        assert_null(wi_tcp_rcvq_check(&r->c));
        (void)wi_tcp_rcvq_data(&r->c, &b);
        assert_null(wi_tcp_rcvq_check(&r->c));
        weir_pkt_unref(gap);
        weir_pkt_unref(all);
        rig_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_arrival_order_gives_the_stream_once),
        cmocka_unit_test(test_sack_blocks_are_the_runs_latest_first),
        cmocka_unit_test(test_dsack_names_the_duplicate_once),
        cmocka_unit_test(test_data_beyond_the_window_is_refused_or_taken_whole),
        cmocka_unit_test(test_merged_frames_stay_where_they_are_unless_they_pin_too_much),
        cmocka_unit_test(test_merged_frames_ahead_of_a_hole_owe_an_ack_each_without_sack),
        cmocka_unit_test(test_crumbs_share_blocks),
        cmocka_unit_test(test_sack_blocks_name_only_what_is_held),
        cmocka_unit_test(test_flood_of_holes_is_bounded_and_in_order_data_wins),
        cmocka_unit_test(test_runs_are_bounded_by_what_the_buffer_is_charged),
        cmocka_unit_test(test_urgent_byte_is_skipped_and_read_apart),
        cmocka_unit_test(test_allocation_failure_leaves_the_queue_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
