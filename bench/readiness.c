/*
 * What it costs to ask which of N connections is ready, when one is: select and poll look at all of them, epoll at
 * those that have something to tell. One stack, its loopback, virtual time; the clock runs during the question alone.
 *
 *   bench-readiness [CONNECTIONS]     up to so many; 100,000 if nothing is said
 *
 * Prints the median of each cell in nanoseconds, and fails when epoll is not flat or the other two do not grow.
 */
#include "heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <weir/weir.h>

#define MOST        1000000u
#define PER_PORT    20000u /* of the ephemeral ports, towards one listener */
#define REPEATS_MAX 1001
#define FLAT        8.0 /* epoll may cost so much more at the most than at the least: caches are not flat */

struct bench {
    struct weir *w;
    weir_ns now;
    uint32_t n;
    weir_fd *here, *there; /* the two ends of each connection */
    struct weir_pollfd *polled;
    weir_fd *set, *all; /* what select cuts down, and what it is made of */
    weir_fd epoll;
};

static int64_t must(const char *what, int64_t ret)
{
    if (ret < 0) {
        fprintf(stderr, "bench-readiness: %s: %s\n", what, weir_strerror((int)ret));
        exit(1);
    }
    return ret;
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        must("memory", -WEIR_ENOMEM);
    return p;
}

static uint64_t nanoseconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A little time passes, and what is under way arrives. */
static void turn(struct bench *b)
{
    b->now += 1000;
    weir_advance(b->w, b->now);
}

static weir_fd listen_at(struct bench *b, struct weir_sockaddr *at)
{
    weir_fd l = (weir_fd)must("socket", weir_socket(b->w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0));
    must("bind", weir_bind(b->w, l, at));
    must("listen", weir_listen(b->w, l, 128));
    return l;
}

static void open_one(struct bench *b, weir_fd listener, const struct weir_sockaddr *at)
{
    weir_fd c = (weir_fd)must("socket", weir_socket(b->w, WEIR_AF_INET, WEIR_SOCK_STREAM, 0));
    int err = weir_connect(b->w, c, at);
    if (err != -WEIR_EINPROGRESS)
        must("connect", err);
    weir_fd s = -1;
    for (int i = 0; i < 1000 && (s = weir_accept(b->w, listener, NULL)) < 0; i++)
        turn(b);
    b->here[b->n] = (weir_fd)must("accept", s);
    b->there[b->n++] = c;
}

/* Until there are n connections, PER_PORT to a listener. */
static void grow_to(struct bench *b, uint32_t n)
{
    static weir_fd listener = -1;
    static struct weir_sockaddr at = {.family = WEIR_AF_INET, .port = 1000};
    at.addr = weir_addr_v4(127, 0, 0, 1);
    while (b->n < n) {
        if (b->n % PER_PORT == 0) {
            at.port++;
            listener = listen_at(b, &at);
        }
        open_one(b, listener, &at);
    }
}

/* ---- The three questions: how many are ready ---- */

static int64_t ask_select(struct bench *b, uint32_t n)
{
    struct weir_fd_set readable = {.fds = b->set, .n = n};
    for (uint32_t i = 0; i < n; i++)
        b->set[i] = b->all[i]; /* every caller of select has to */
    return weir_select(b->w, &readable, NULL, NULL);
}

static int64_t ask_poll(struct bench *b, uint32_t n)
{
    return weir_poll(b->w, b->polled, n);
}

static int64_t ask_epoll(struct bench *b, uint32_t n)
{
    struct weir_epoll_event events[16];
    (void)n;
    return weir_epoll_wait(b->w, b->epoll, events, 16);
}

static const struct {
    const char *name;
    int64_t (*ask)(struct bench *, uint32_t n);
} questions[] = {{"select", ask_select}, {"poll", ask_poll}, {"epoll", ask_epoll}};

#define QUESTIONS (sizeof questions / sizeof questions[0])

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The median of one question: another connection is ready each time, so that no cache makes it look better. */
static double measure(struct bench *b, uint32_t n, int64_t (*ask)(struct bench *, uint32_t))
{
    static uint64_t took[REPEATS_MAX];
    unsigned repeats = n >= 10000 ? 51 : REPEATS_MAX;
    uint64_t lcg = 1;
    for (unsigned i = 0; i < repeats; i++) {
        char byte = 1;
        lcg = lcg * 6364136223846793005u + 1442695040888963407u;
        uint32_t which = (uint32_t)((lcg >> 33) % n);
        must("send", weir_send(b->w, b->there[which], &byte, 1, 0));
        turn(b);
        uint64_t began = nanoseconds();
        int64_t ready = ask(b, n);
        took[i] = nanoseconds() - began;
        if (ready != 1) {
            fprintf(stderr, "bench-readiness: %lld are ready, not one\n", (long long)ready);
            exit(1);
        }
        must("recv", weir_recv(b->w, b->here[which], &byte, 1, 0));
    }
    qsort(took, repeats, sizeof took[0], by_value);
    unsigned middle = repeats / 2;
    return (double)took[middle];
}

static void watch(struct bench *b, uint32_t n)
{
    b->epoll = (weir_fd)must("epoll_create", weir_epoll_create(b->w));
    for (uint32_t i = 0; i < n; i++) {
        struct weir_epoll_event ev = {.events = WEIR_POLLIN, .data = i};
        must("epoll_ctl", weir_epoll_ctl(b->w, b->epoll, WEIR_EPOLL_CTL_ADD, b->here[i], &ev));
        b->polled[i] = (struct weir_pollfd){.fd = b->here[i], .events = WEIR_POLLIN};
        b->all[i] = b->here[i];
    }
}

int main(int argc, char **argv)
{
    uint32_t most = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    if (most < 10 || most > MOST) {
        fprintf(stderr, "usage: bench-readiness [10-%u]\n", MOST);
        return 2;
    }
    struct weir_config c = {.alloc = {bench_alloc, bench_free, NULL}, .seed = 1};
    struct bench b = {.w = weir_new(&c)};
    if (!b.w)
        must("weir_new", -WEIR_ENOMEM);
    b.here = room(most, sizeof *b.here);
    b.there = room(most, sizeof *b.there);
    b.polled = room(most, sizeof *b.polled);
    b.set = room(most, sizeof *b.set);
    b.all = room(most, sizeof *b.all);

    double first[QUESTIONS] = {0}, last[QUESTIONS] = {0};
    printf("%11s %12s %12s %12s   nanoseconds a wait, one ready\n", "connections", "select", "poll", "epoll");
    for (uint32_t n = 10; n <= most; n *= 10) {
        grow_to(&b, n);
        watch(&b, n);
        printf("%11u", n);
        for (size_t q = 0; q < QUESTIONS; q++) {
            last[q] = measure(&b, n, questions[q].ask);
            first[q] = n == 10 ? last[q] : first[q];
            printf(" %12.0f", last[q]);
        }
        printf("\n");
        must("close", weir_close(b.w, b.epoll));
    }
    weir_free(b.w);
    free(b.here);
    free(b.there);
    free(b.polled);
    free(b.set);
    free(b.all);
    bool grows = most < 1000 || (last[0] > 10 * first[0] && last[1] > 10 * first[1]);
    if (last[2] > FLAT * first[2] || !grows) {
        printf("epoll is not flat, or select and poll do not grow\n");
        return 1;
    }
    return 0;
}
