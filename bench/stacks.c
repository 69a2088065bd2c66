/*
 * Two instances of a stack, joined in memory, in one process, one thread and virtual time, doing a fixed count of work
 * (node.h). Both ends are counted, and every byte that arrives is verified.
 *
 *   bench-stacks --stack NAME --work WORK [--conns N] [--count N] [--batch N]
 *
 * What is counted is what bench_work calls: set-up, warm-up and verification are outside of it. So
 * `valgrind --tool=callgrind --toggle-collect='bench_work*'` counts the instructions of just the work.
 */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD       65521u        /* of the bytes sent: a prime, so that a shift by any round number shows */
#define PIECE        65536u        /* an application's write, and how much it reads at most */
#define PILE         (256u * 1024) /* what is received before it is verified */
#define REQUEST      64u
#define PER_PORT     20000u /* connections to a port: there are 28,232 ephemeral ports */
#define FIRST_PORT   1000u
#define BATCH_MAX    64u
#define BULK_TURN_NS 10000u
#define REQUEST_NS   1000u
#define TIME_WAIT_NS 60000000000u /* weir's and Linux's; lwIP's is twice that */

struct bench;

struct work {
    const char *name;
    const char *unit;
    enum bench_join join;
    uint64_t count, conns; /* if nothing is said */
    uint64_t unit_bytes;   /* payload of a unit, all directions */
    void (*set_up)(struct bench *);
    uint64_t (*slice)(struct bench *, uint64_t units); /* do at most so many; returns how many */
    void (*verify)(struct bench *);                    /* what the last slice received */
};

struct bench {
    const struct bench_stack *stack;
    const struct work *work;
    struct bench_node *nodes[2]; /* 0 connects and sends, 1 listens */
    uint64_t conns, batch;
    uint64_t now_ns;
    bench_conn *ends[2];
    uint64_t sent, received; /* bulk: bytes. Requests: how many were begun, and verified */
    uint64_t pkts;
    uint8_t *pile[2]; /* what each node received in this slice */
    size_t pile_len[2];
};

static uint8_t pattern[PERIOD + PIECE];

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench-stacks: %s\n", what);
    exit(1);
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        fail("out of memory");
    return p;
}

static double seconds(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- The bytes: each stream has its own place in the pattern ---- */

static void make_pattern(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < PERIOD; i++) {
        x = x * 1664525u + 1013904223u;
        pattern[i] = (uint8_t)(x >> 24);
    }
    for (size_t i = PERIOD; i < sizeof pattern; i++)
        pattern[i] = pattern[i - PERIOD];
}

/* At least PIECE bytes of a stream from `off` on. Side: whose. */
static const uint8_t *bytes_of(uint64_t conn, unsigned side, uint64_t off)
{
    return pattern + (off + conn * 7919 + side * 31) % PERIOD;
}

static void expect(const uint8_t *got, uint64_t conn, unsigned side, uint64_t off, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t n = len - done < PIECE ? len - done : PIECE;
        if (memcmp(got + done, bytes_of(conn, side, off + done), n) != 0)
            fail("bytes arrived that were not sent");
        done += n;
    }
}

/* ---- Time and packets ---- */

static void pass(struct bench *b, uint64_t ns)
{
    b->now_ns += ns;
    b->stack->advance(b->nodes[0], b->now_ns);
    b->stack->advance(b->nodes[1], b->now_ns);
}

static void settle(struct bench *b)
{
    unsigned n;
    do {
        n = b->stack->pump(b->nodes[0]);
        n += b->stack->pump(b->nodes[1]);
        b->pkts += n;
    } while (n > 0);
}

/* ---- Connections ---- */

static void open_one(struct bench *b, uint16_t port, bench_conn *client, bench_conn *server)
{
    *client = b->stack->connect(b->nodes[0], port);
    settle(b);
    *server = b->stack->accept(b->nodes[1]);
    if (*server < 0)
        fail("a connection was not accepted");
}

static void open_all(struct bench *b)
{
    b->ends[0] = room(b->conns, sizeof *b->ends[0]);
    b->ends[1] = room(b->conns, sizeof *b->ends[1]);
    for (uint64_t i = 0; i < b->conns; i++) {
        uint16_t port = (uint16_t)(FIRST_PORT + i / PER_PORT);
        if (i % PER_PORT == 0)
            b->stack->listen(b->nodes[1], port);
        open_one(b, port, &b->ends[0][i], &b->ends[1][i]);
        pass(b, REQUEST_NS);
    }
    settle(b);
}

/* ---- Bulk: one direction over each connection in turn, 64 KiB a write; a unit is 1,460 bytes ---- */

static void bulk_turn(struct bench *b)
{
    b->sent += b->stack->send(b->nodes[0], b->ends[0][0], bytes_of(0, 0, b->sent), PIECE);
    settle(b);
    size_t n;
    while (b->pile_len[1] < PILE &&
           (n = b->stack->recv(b->nodes[1], b->ends[1][0], b->pile[1] + b->pile_len[1], PILE - b->pile_len[1])) > 0)
        b->pile_len[1] += n;
    settle(b);
    pass(b, BULK_TURN_NS);
}

static uint64_t bulk_slice(struct bench *b, uint64_t units)
{
    uint64_t goal = units * BENCH_MSS < PILE - PIECE ? units * BENCH_MSS : PILE - PIECE;
    while (b->pile_len[1] < goal) {
        size_t before = b->pile_len[1];
        uint64_t at = b->now_ns;
        while (b->pile_len[1] == before) {
            bulk_turn(b);
            if (b->now_ns - at > 10000000000u)
                fail("no byte has arrived for ten seconds of its time");
        }
    }
    return (b->pile_len[1] + BENCH_MSS - 1) / BENCH_MSS;
}

static void bulk_verify(struct bench *b)
{
    expect(b->pile[1], 0, 0, b->received, b->pile_len[1]);
    b->received += b->pile_len[1];
}

/* ---- Request and response, 64 bytes each, over each connection in turn; `batch` of them are under way at once ---- */

static void read_whole(struct bench *b, unsigned side, bench_conn conn)
{
    size_t n = b->stack->recv(b->nodes[side], conn, b->pile[side] + b->pile_len[side], REQUEST);
    if (n != REQUEST)
        fail("a request or a response did not arrive in one turn");
    b->pile_len[side] += n;
}

/* The k-th request of all goes over connection k % conns. */
static void ask(struct bench *b, unsigned side, uint64_t first, uint64_t n)
{
    for (uint64_t k = first; k < first + n; k++) {
        uint64_t conn = k % b->conns;
        if (b->stack->send(b->nodes[side], b->ends[side][conn], bytes_of(conn, side, k / b->conns * REQUEST),
                           REQUEST) != REQUEST)
            fail("64 bytes were not taken at once");
    }
    b->pkts += b->stack->pump(b->nodes[side]);
    for (uint64_t k = first; k < first + n; k++)
        read_whole(b, 1 - side, b->ends[1 - side][k % b->conns]);
}

static uint64_t rr_slice(struct bench *b, uint64_t units)
{
    uint64_t done = 0;
    while (done < units && b->pile_len[0] + BATCH_MAX * REQUEST <= PILE) {
        uint64_t n = units - done < b->batch ? units - done : b->batch;
        ask(b, 0, b->sent, n);
        ask(b, 1, b->sent, n);
        pass(b, n * REQUEST_NS);
        settle(b); /* acknowledgements whose delay is over */
        b->sent += n;
        done += n;
    }
    return done;
}

static void rr_verify(struct bench *b)
{
    for (size_t at = 0; at < b->pile_len[0]; at += REQUEST, b->received++) {
        uint64_t conn = b->received % b->conns, off = b->received / b->conns * REQUEST;
        expect(b->pile[1] + at, conn, 0, off, REQUEST);
        expect(b->pile[0] + at, conn, 1, off, REQUEST);
    }
}

/* ---- Connect, request, response, close: the client first, so that it keeps the TIME_WAIT, `conns` of them ---- */

static void crr_set_up(struct bench *b)
{
    b->stack->listen(b->nodes[1], FIRST_PORT);
}

static uint64_t crr_slice(struct bench *b, uint64_t units)
{
    uint64_t done = 0;
    for (; done < units && b->pile_len[0] + REQUEST <= PILE; done++, b->sent++) {
        bench_conn ends[2];
        open_one(b, FIRST_PORT, &ends[0], &ends[1]);
        for (unsigned side = 0; side < 2; side++) {
            if (b->stack->send(b->nodes[side], ends[side], bytes_of(b->sent, side, 0), REQUEST) != REQUEST)
                fail("64 bytes were not taken at once");
            settle(b);
            read_whole(b, 1 - side, ends[1 - side]);
        }
        b->stack->close(b->nodes[0], ends[0]);
        settle(b);
        b->stack->close(b->nodes[1], ends[1]);
        settle(b);
        pass(b, TIME_WAIT_NS / b->conns);
    }
    return done;
}

static void crr_verify(struct bench *b)
{
    for (size_t at = 0; at < b->pile_len[0]; at += REQUEST, b->received++) {
        expect(b->pile[1] + at, b->received, 0, 0, REQUEST);
        expect(b->pile[0] + at, b->received, 1, 0, REQUEST);
    }
}

/* ---- Running ---- */

static const struct work works[] = {
    {"bulk", "1,460 bytes", BENCH_WIRE, 2000000, 1, BENCH_MSS, open_all, bulk_slice, bulk_verify},
    {"bulk-super", "1,460 bytes", BENCH_SUPER, 10000000, 1, BENCH_MSS, open_all, bulk_slice, bulk_verify},
    {"rr", "request", BENCH_WIRE, 500000, 1, 2 * REQUEST, open_all, rr_slice, rr_verify},
    {"crr", "connection", BENCH_WIRE, 100000, 1000, 2 * REQUEST, crr_set_up, crr_slice, crr_verify},
    {"idle", "connection", BENCH_WIRE, 0, 10000, 0, NULL, NULL, NULL},
};

static const struct bench_stack *const stacks[] = {
    &bench_weir,
#ifdef BENCH_LWIP
    &bench_lwip,
#ifdef __x86_64__
    &bench_lwip_avx2,
#endif
#endif
};

/* The part that is counted. Its name is what callgrind's --toggle-collect knows it by. */
uint64_t bench_work(struct bench *b, uint64_t units);

__attribute__((noinline)) uint64_t bench_work(struct bench *b, uint64_t units)
{
    return b->work->slice(b, units);
}

static void run(struct bench *b, uint64_t count)
{
    uint64_t warm = count / 10 + 1, pkts = 0, units = 0;
    double took = 0, wall = 0, cpu = 0;
    b->work->set_up(b);
    for (uint64_t left = warm; left > 0;) {
        uint64_t n = b->work->slice(b, left);
        left -= n < left ? n : left;
        b->work->verify(b);
        b->pile_len[0] = b->pile_len[1] = 0;
    }
    pkts = b->pkts;
    wall = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (units < count) {
        double began = seconds(CLOCK_MONOTONIC);
        units += bench_work(b, count - units);
        took += seconds(CLOCK_MONOTONIC) - began;
        b->work->verify(b);
        b->pile_len[0] = b->pile_len[1] = 0;
    }
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    took *= cpu < wall ? cpu / wall : 1; /* what others had of the core is not ours */
    double rate = (double)units / took;
    printf("%s\t%s\tconns=%llu\tunits=%llu\tcpu_s=%.4f\tper_s=%.0f\tgbit_s=%.2f\tpkts_per_unit=%.3f\n", b->stack->name,
           b->work->name, (unsigned long long)b->conns, (unsigned long long)units, took, rate,
           rate * (double)b->work->unit_bytes * 8e-9, (double)(b->pkts - pkts) / (double)units);
}

static void run_idle(struct bench *b)
{
    b->stack->listen(b->nodes[1], FIRST_PORT - 1); /* whatever is made with the first connection alone is made now */
    bench_conn first[2];
    open_one(b, FIRST_PORT - 1, &first[0], &first[1]);
    pass(b, 1000000000u);
    settle(b);
    uint64_t before[2] = {b->stack->mem_bytes(b->nodes[0]), b->stack->mem_bytes(b->nodes[1])};
    open_all(b);
    for (unsigned i = 0; i < 100; i++) { /* ten seconds: what was kept for the handshake goes */
        pass(b, 100000000u);
        settle(b);
    }
    double per[2];
    for (unsigned side = 0; side < 2; side++)
        per[side] = (double)(b->stack->mem_bytes(b->nodes[side]) - before[side]) / (double)b->conns;
    printf("%s\t%s\tconns=%llu\tclient_bytes=%.1f\tserver_bytes=%.1f\n", b->stack->name, b->work->name,
           (unsigned long long)b->conns, per[0], per[1]);
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: bench-stacks --stack NAME --work WORK [--conns N] [--count N] [--batch N]\n"
                    "NAME:");
    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++)
        fprintf(stderr, " %s", stacks[i]->name);
    fprintf(stderr, "\nWORK:");
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++)
        fprintf(stderr, " %s", works[i].name);
    fprintf(stderr, "\n");
    exit(2);
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*end || n == 0)
        usage();
    return n;
}

int main(int argc, char **argv)
{
    struct bench b = {.batch = 32};
    uint64_t count = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--stack") == 0) {
            for (size_t k = 0; k < sizeof stacks / sizeof stacks[0]; k++)
                b.stack = strcmp(stacks[k]->name, value) == 0 ? stacks[k] : b.stack;
        } else if (strcmp(argv[i], "--work") == 0) {
            for (size_t k = 0; k < sizeof works / sizeof works[0]; k++)
                b.work = strcmp(works[k].name, value) == 0 ? &works[k] : b.work;
        } else if (strcmp(argv[i], "--conns") == 0) {
            b.conns = number(value);
        } else if (strcmp(argv[i], "--count") == 0) {
            count = number(value);
        } else if (strcmp(argv[i], "--batch") == 0) {
            b.batch = number(value);
        } else {
            usage();
        }
    }
    if (argc % 2 == 0 || !b.stack || !b.work || b.batch > BATCH_MAX)
        usage();
    if (!(b.stack->joins & 1u << b.work->join))
        fail("this stack has no super-segments");
    count = count ? count : b.work->count;
    b.conns = b.conns ? b.conns : b.work->conns;
    b.batch = b.batch < b.conns ? b.batch : b.conns;

    make_pattern();
    for (unsigned side = 0; side < 2; side++) {
        b.nodes[side] = b.stack->open(side, b.work->join);
        b.pile[side] = room(1, PILE);
    }
    b.stack->join(b.nodes[0], b.nodes[1]);
    if (b.work->slice)
        run(&b, count);
    else
        run_idle(&b);
    b.stack->free(b.nodes[0], b.nodes[1]);
    for (unsigned side = 0; side < 2; side++) {
        free(b.ends[side]);
        free(b.pile[side]);
    }
    return 0;
}
