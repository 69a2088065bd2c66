/*
 * Two instances of a stack, joined in memory, in one process, one thread and virtual time, doing a fixed count of work
 * (node.h). Both ends are counted, and every byte that arrives is verified. Or several such pairs, each in a thread
 * that has a core to itself.
 *
 *   bench-stacks --stack NAME --work WORK [OPTION N]...     bench-stacks alone lists them
 *
 * What is counted is what bench_work calls: set-up, warm-up and verification are outside of it. So
 * `valgrind --tool=callgrind --instr-atstart=no --toggle-collect='bench_work*'` counts the instructions of just the
 * work.
 */
#include "node.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#endif

/* Of the bytes sent: whole cache lines, as a program's buffer begins at one; and no round number of bytes or segments
 * is a multiple of it, so that a shift by any shows. */
#define PERIOD          65472u
#define PIECE           (128u * 1024) /* an application's write: iperf3's */
#define PILE            (4 * PIECE)   /* what is received before it is verified, at most */
#define REQUEST         64u
#define PER_PORT        20000u /* connections to a port: there are 28,232 ephemeral ports */
#define FIRST_PORT      1000u
#define LISTENERS_MAX   60000u
#define LISTENER_STRIDE 7919u /* each is called in turn, but not one beside the last */
#define BATCH_MAX       64u
#define START_NS        3000000000u
#define BULK_TURN_NS    10000u
#define REQUEST_NS      1000u
#define TIME_WAIT_NS    60000000000u /* weir's and Linux's; lwIP's is twice that */
#define STALL_NS        10000000000u
#define THREADS_MAX     64u
#define IDLE_TURN_NS    2000000u
#define IDLE_TURNS      10000u

struct bench;

struct work {
    const char *name;
    enum bench_join join;
    uint64_t count, conns; /* if nothing is said */
    uint64_t unit_bytes;   /* payload of a unit, all directions */
    void (*set_up)(struct bench *);
    uint64_t (*slice)(struct bench *, uint64_t units); /* do at most so many, or a little more; returns how many */
    void (*verify)(struct bench *);                    /* what the last slice received */
};

struct bench {
    const struct bench_stack *stack;
    const struct work *work;
    struct bench_node *nodes[2]; /* 0 connects and asks, 1 listens and answers */
    uint64_t conns, batch, armed, listeners, threads;
    uint64_t count;             /* units to be done */
    unsigned shard;             /* of as many as there are threads */
    pthread_barrier_t *started; /* by all threads; NULL: there is one */
    uint64_t now_ns;
    bench_conn *ears;        /* the listeners */
    bench_conn *ends[2];     /* of each connection */
    uint64_t sent, received; /* bulk: bytes. Requests: how many were begun, and verified */
    uint64_t pkts;
    uint8_t *pile[2]; /* what each node received in this slice */
    size_t pile_len[2];
    uint64_t units; /* done, in `spent` seconds of the core, and `wall` seconds */
    double spent, wall;
    double *latency; /* of each unit from now on, in seconds. NULL: not asked for */
    uint64_t latency_n;
};

static _Alignas(64) uint8_t pattern[PERIOD + PIECE];

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

/* At least PIECE bytes of the stream that `side` of a connection sends, from `off` on. */
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

/* Only where latencies are asked for: the clock costs as much as some of what it would measure. */
static double stamp(const struct bench *b)
{
    return b->latency ? seconds(CLOCK_MONOTONIC) : 0;
}

static void unit_done(struct bench *b, double began)
{
    if (b->latency)
        b->latency[b->latency_n++] = seconds(CLOCK_MONOTONIC) - began;
}

/* ---- Connections ---- */

static void open_one(struct bench *b, uint64_t listener, bench_conn *client, bench_conn *server)
{
    *client = b->stack->connect(b->nodes[0], (uint16_t)(FIRST_PORT + listener));
    settle(b);
    *server = b->stack->accept(b->nodes[1], b->ears[listener]);
    if (*server < 0)
        fail("a connection was not accepted");
}

static void listen_at(struct bench *b, uint64_t n)
{
    b->ears = room(n, sizeof *b->ears);
    for (uint64_t i = 0; i < n; i++)
        b->ears[i] = b->stack->listen(b->nodes[1], (uint16_t)(FIRST_PORT + i));
}

/* The connections that are worked with, and behind them those that only have a timer armed at each end. */
static void open_all(struct bench *b)
{
    uint64_t n = b->conns + b->armed;
    listen_at(b, n / PER_PORT + 1);
    b->ends[0] = room(n, sizeof *b->ends[0]);
    b->ends[1] = room(n, sizeof *b->ends[1]);
    for (uint64_t i = 0; i < n; i++) {
        open_one(b, i / PER_PORT, &b->ends[0][i], &b->ends[1][i]);
        for (unsigned side = 0; side < 2 && i >= b->conns; side++)
            b->stack->arm(b->nodes[side], b->ends[side][i]);
        pass(b, REQUEST_NS);
    }
    settle(b);
}

/* ---- Bulk: one direction over one connection, a PIECE a write; a unit is 1,460 bytes ---- */

static void bulk_turn(struct bench *b)
{
    b->sent += b->stack->send(b->nodes[0], b->ends[0][0], bytes_of(0, 0, b->sent), PIECE);
    settle(b);
    size_t n = 1;
    while (n > 0 && b->pile_len[1] < PILE) {
        n = b->stack->recv(b->nodes[1], b->ends[1][0], b->pile[1] + b->pile_len[1], PILE - b->pile_len[1]);
        b->pile_len[1] += n;
    }
    settle(b);
    pass(b, BULK_TURN_NS);
}

static uint64_t bulk_slice(struct bench *b, uint64_t units)
{
    uint64_t goal = units * BENCH_MSS < PILE - PIECE ? units * BENCH_MSS : PILE - PIECE;
    uint64_t began = b->now_ns;
    while (b->pile_len[1] < goal) {
        bulk_turn(b);
        if (b->now_ns - began > STALL_NS)
            fail("the stream stands still");
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

/* n messages from `side`, all of them under way before the first is read. The k-th request goes over connection
 * k % conns. */
static void exchange(struct bench *b, unsigned side, uint64_t first, uint64_t n, double *began)
{
    for (uint64_t k = first; k < first + n; k++) {
        uint64_t conn = k % b->conns;
        const uint8_t *bytes = bytes_of(conn, side, k / b->conns * REQUEST);
        if (side == 0)
            began[k - first] = stamp(b);
        if (b->stack->send(b->nodes[side], b->ends[side][conn], bytes, REQUEST) != REQUEST)
            fail("64 bytes were not taken at once");
    }
    b->pkts += b->stack->pump(b->nodes[side]);
    for (uint64_t k = first; k < first + n; k++) {
        read_whole(b, 1 - side, b->ends[1 - side][k % b->conns]);
        if (side == 1)
            unit_done(b, began[k - first]);
    }
}

static uint64_t rr_slice(struct bench *b, uint64_t units)
{
    double began[BATCH_MAX];
    uint64_t done = 0;
    while (done < units && b->pile_len[0] + BATCH_MAX * REQUEST <= PILE) {
        uint64_t n = units - done < b->batch ? units - done : b->batch;
        exchange(b, 0, b->sent, n, began);
        exchange(b, 1, b->sent, n, began);
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
    listen_at(b, b->listeners);
}

static uint64_t crr_slice(struct bench *b, uint64_t units)
{
    uint64_t done = 0;
    for (; done < units && b->pile_len[0] + REQUEST <= PILE; done++, b->sent++) {
        bench_conn ends[2];
        double began = stamp(b);
        open_one(b, b->sent * LISTENER_STRIDE % b->listeners, &ends[0], &ends[1]);
        for (unsigned side = 0; side < 2; side++) {
            if (b->stack->send(b->nodes[side], ends[side], bytes_of(b->sent, side, 0), REQUEST) != REQUEST)
                fail("64 bytes were not taken at once");
            settle(b);
            read_whole(b, 1 - side, ends[1 - side]);
        }
        for (unsigned side = 0; side < 2; side++) {
            b->stack->close(b->nodes[side], ends[side]);
            settle(b);
        }
        unit_done(b, began);
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
    {"bulk", BENCH_WIRE, 2000000, 1, BENCH_MSS, open_all, bulk_slice, bulk_verify},
    {"bulk-super", BENCH_SUPER, 10000000, 1, BENCH_MSS, open_all, bulk_slice, bulk_verify},
    {"rr", BENCH_WIRE, 500000, 1, 2 * REQUEST, open_all, rr_slice, rr_verify},
    {"crr", BENCH_WIRE, 100000, 1000, 2 * REQUEST, crr_set_up, crr_slice, crr_verify},
    {"idle", BENCH_WIRE, 0, 10000, 0, open_all, NULL, NULL},
    {"about", BENCH_WIRE, 0, 1, 0, NULL, NULL, NULL}, /* the stack's version and options */
};

static const struct bench_stack *const stacks[] = {
    &bench_weir,      &bench_weir_ipv6, &bench_weir_ethernet, &bench_kernel,
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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const struct bench *b, double share)
{
    return b->latency[(uint64_t)(share * (double)(b->latency_n - 1))] * 1e6;
}

static void print_latency(struct bench *b)
{
    qsort(b->latency, b->latency_n, sizeof *b->latency, by_value);
    printf("\tp50_us=%.2f\tp99_us=%.2f\tp999_us=%.2f\n", percentile(b, 0.5), percentile(b, 0.99), percentile(b, 0.999));
}

static uint64_t slice_done(struct bench *b, uint64_t units)
{
    b->work->verify(b);
    b->pile_len[0] = b->pile_len[1] = 0;
    return units;
}

static void run(struct bench *b)
{
    b->work->set_up(b);
    for (uint64_t done = 0; done <= b->count / 10;)
        done += slice_done(b, b->work->slice(b, b->count / 10 + 1 - done));
    if (b->started)
        pthread_barrier_wait(b->started);

    b->pkts = b->latency_n = 0;
    CALLGRIND_START_INSTRUMENTATION;
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    while (b->units < b->count) {
        double began = seconds(CLOCK_MONOTONIC);
        uint64_t n = bench_work(b, b->count - b->units);
        b->spent += seconds(CLOCK_MONOTONIC) - began;
        b->units += slice_done(b, n);
    }
    cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    b->wall = seconds(CLOCK_MONOTONIC) - wall;
    b->spent *= cpu < b->wall ? cpu / b->wall : 1; /* what others had of the core is not ours */
}

/* Of all threads: the sum of what each did in a second of its core. */
static void print_run(struct bench *all, uint64_t n)
{
    struct bench *b = &all[0];
    double rate = 0, spent = 0, wall = 0;
    uint64_t units = 0, pkts = 0;
    for (uint64_t i = 0; i < n; i++) {
        rate += (double)all[i].units / all[i].spent;
        spent += all[i].spent;
        wall = all[i].wall > wall ? all[i].wall : wall;
        units += all[i].units;
        pkts += all[i].pkts;
    }
    printf("%s\t%s\tconns=%llu\tunits=%llu", b->stack->name, b->work->name, (unsigned long long)b->conns,
           (unsigned long long)units);
    if (b->latency) {
        print_latency(b);
        return;
    }
    printf("\tcpu_s=%.4f\tper_s=%.0f\tgbit_s=%.2f\tpkts_per_unit=%.3f", spent, rate,
           rate * (double)b->work->unit_bytes * 8e-9, (double)pkts / (double)units);
    printf("\tthreads=%llu\twall_per_s=%.0f\n", (unsigned long long)n, (double)units / wall);
}

/* What is had once for all of them (a listener, a table) is counted with the connections. */
static void run_idle(struct bench *b)
{
    uint64_t before[2];
    for (unsigned side = 0; side < 2; side++)
        before[side] = b->stack->mem_bytes(b->nodes[side]);
    b->work->set_up(b);
    for (unsigned i = 0; i < IDLE_TURNS; i++) { /* what was kept for the handshake goes, and what idles is parked */
        pass(b, IDLE_TURN_NS);
        settle(b);
    }
    printf("%s\t%s\tconns=%llu", b->stack->name, b->work->name, (unsigned long long)b->conns);
    for (unsigned side = 0; side < 2; side++)
        printf("\t%s_bytes=%.1f", side ? "server" : "client",
               (double)(b->stack->mem_bytes(b->nodes[side]) - before[side]) / (double)b->conns);
    printf("\n");
}

static void print_about(const struct bench *b)
{
    char text[256];
    b->stack->about(text, sizeof text);
    printf("%s\n", text);
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: bench-stacks --stack NAME --work WORK [OPTION N]...\n"
                    "  --conns N      connections in turn; crr: connections in TIME_WAIT\n"
                    "  --count N      units of work\n"
                    "  --batch N      rr: requests under way at once (32, but not more than there are connections)\n"
                    "  --armed N      bulk, rr: so many idle connections more, each with a timer armed at both ends\n"
                    "  --listeners N  crr: so many ports are listened at, and called in turn\n"
                    "  --threads N    so many pairs of shards, each in a thread with a core; counts are of each\n"
                    "  --latency 1    rr, crr: percentiles of a unit's latency, not the rate\n"
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

static void find_stack(struct bench *b, const char *name)
{
    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++)
        b->stack = strcmp(stacks[i]->name, name) == 0 ? stacks[i] : b->stack;
}

static void find_work(struct bench *b, const char *name)
{
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++)
        b->work = strcmp(works[i].name, name) == 0 ? &works[i] : b->work;
}

static void read_options(struct bench *b, int argc, char **argv)
{
    uint64_t count = 0, latency = 0;
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {
        {"--conns", &b->conns},         {"--count", &count},     {"--batch", &b->batch},    {"--armed", &b->armed},
        {"--listeners", &b->listeners}, {"--latency", &latency}, {"--threads", &b->threads}};
    if (argc % 2 == 0)
        usage();
    for (int i = 1; i < argc; i += 2) {
        bool is_known = true;
        if (strcmp(argv[i], "--stack") == 0)
            find_stack(b, argv[i + 1]);
        else if (strcmp(argv[i], "--work") == 0)
            find_work(b, argv[i + 1]);
        else
            is_known = false;
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            if (strcmp(argv[i], numbers[k].name) == 0) {
                *numbers[k].value = number(argv[i + 1]);
                is_known = true;
            }
        }
        if (!is_known)
            usage();
    }
    if (!b->stack || !b->work || b->batch > BATCH_MAX || b->listeners > LISTENERS_MAX || b->threads > THREADS_MAX ||
        (b->threads > 1 && latency))
        usage();
    count = count ? count : b->work->count;
    b->conns = b->conns ? b->conns : b->work->conns;
    b->batch = b->batch < b->conns ? b->batch : b->conns;
    if (latency)
        b->latency = room(count + count / 10 + 2, sizeof *b->latency);
    b->count = count;
}

/* A pair of nodes, from their beginning to their end. */
static void *run_pair(void *ctx)
{
    struct bench *b = ctx;
    for (unsigned side = 0; side < 2; side++) {
        struct bench_place at = {.side = side, .shard = b->shard, .shard_n = (unsigned)b->threads};
        b->nodes[side] = b->stack->open(at, b->work->join);
        b->pile[side] = room(1, PILE);
    }
    b->stack->join(b->nodes[0], b->nodes[1]);
    while (b->now_ns < START_NS) { /* addresses are tried, neighbours are looked for */
        pass(b, START_NS / 100);
        settle(b);
    }
    if (b->work->slice)
        run(b);
    else
        run_idle(b);
    b->stack->free(b->nodes[0], b->nodes[1]);
    for (unsigned side = 0; side < 2; side++) {
        free(b->ends[side]);
        free(b->pile[side]);
    }
    free(b->ears);
    return NULL;
}

/* The same in a thread that has core `shard` to itself, and memory that no other thread's lies beside. */
static void *run_on_core(void *ctx)
{
    struct bench *result = ctx, *b = room(1, sizeof *b + 4096);
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET(result->shard, &core);
    if (pthread_setaffinity_np(pthread_self(), sizeof core, &core) != 0)
        fail("there are fewer cores than threads");
    *b = *result;
    run_pair(b);
    *result = *b;
    free(b);
    return NULL;
}

static void run_threads(const struct bench *what)
{
    pthread_t threads[THREADS_MAX];
    pthread_barrier_t started;
    struct bench *all = room(what->threads, sizeof *all);
    pthread_barrier_init(&started, NULL, (unsigned)what->threads);
    for (unsigned i = 0; i < what->threads; i++) {
        all[i] = *what;
        all[i].shard = i;
        all[i].started = &started;
        if (pthread_create(&threads[i], NULL, run_on_core, &all[i]) != 0)
            fail("no thread");
    }
    for (unsigned i = 0; i < what->threads; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&started);
    print_run(all, what->threads);
    free(all);
}

int main(int argc, char **argv)
{
    struct bench b = {.batch = 32, .listeners = 1, .threads = 1};
    read_options(&b, argc, argv);
    if (!(b.stack->joins & 1u << b.work->join))
        fail("this stack has no super-segments");
    if (!b.work->set_up) {
        print_about(&b);
        return 0;
    }
    if (!b.work->slice && !b.stack->mem_bytes)
        fail("this stack's memory can't be counted");
    if (b.threads > 1 && (!b.stack->can_share || !b.work->slice))
        fail("this stack, or this work, is for one thread");

    make_pattern();
    if (b.threads > 1) {
        run_threads(&b);
        return 0;
    }
    run_pair(&b);
    if (b.work->slice)
        print_run(&b, 1);
    free(b.latency);
    return 0;
}
