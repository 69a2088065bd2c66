/*
 * One test of weir iperf, of a client or of a server: its control connection, its streams, what was counted.
 */
#ifndef WPF_IPERF_H
#define WPF_IPERF_H

#include "perf/iperf_msg.h"
#include "perf/iperf_options.h"
#include "perf/net.h"

#include <sys/queue.h>

struct wpf_iperf;
struct json_t;

/* What was counted between two reports. Times in seconds since the test began. */
struct wpf_iperf_interval {
    double start, end;
    uint64_t bytes;
    int64_t retransmits; /* -1: not known here */
    bool is_omitted;
};

struct wpf_iperf_stream {
    struct wpf_source source; /* first: events find the stream by it */
    TAILQ_ENTRY(wpf_iperf_stream) link;
    struct wpf_iperf *test;
    int64_t fd; /* -1: closed */
    uint32_t id;
    bool is_sender;
    bool is_parked;  /* it waits until its rate allows more */
    size_t cookie_n; /* bytes of the cookie that have passed */
    char cookie[WPF_IPERF_COOKIE_LEN];
    weir_ns cookie_due;
    struct weir_sockaddr local, peer;

    uint64_t all_bytes;                                    /* moved by it, ever */
    uint64_t bytes, interval_bytes;                        /* since the test, or the interval, began */
    uint32_t retransmits, retransmits_base, interval_base; /* a sender's, in segments */
    struct weir_tcp_info tcp;                              /* the last that was seen */
    uint32_t max_cwnd_bytes, max_wnd_bytes;                /* of what the reports saw */
    uint32_t max_rtt, min_rtt, rtt_n;                      /* microseconds */
    uint64_t sum_rtt;
    struct wpf_iperf_interval interval;
    struct wpf_iperf_stream_result remote; /* what the other end says */
};

TAILQ_HEAD(wpf_iperf_streams, wpf_iperf_stream);

/* The control connection: bytes in and out that did not pass yet. */
struct wpf_iperf_control {
    struct wpf_source source; /* first */
    struct wpf_iperf *test;
    int64_t fd; /* -1: none */
    struct weir_sockaddr peer;
    uint8_t *in, *out;
    size_t in_len, in_cap, out_len, out_cap;
};

struct wpf_iperf_usage {
    weir_ns wall, user, system;
};

/* How a test is told: as text or as JSON. A server goes through accepted to ended or failed for each of its tests. */
struct wpf_iperf_report {
    void (*listening)(struct wpf_iperf *);
    void (*connecting)(struct wpf_iperf *);
    void (*accepted)(struct wpf_iperf *);
    void (*started)(struct wpf_iperf *);  /* all streams are there */
    void (*interval)(struct wpf_iperf *); /* each stream's `interval` is new */
    void (*ended)(struct wpf_iperf *);    /* the counts, with the other end's when has_remote */
    void (*finish)(struct wpf_iperf *);   /* last of all: `error`, if there is one */
};

extern const struct wpf_iperf_report wpf_iperf_text, wpf_iperf_json;

struct wpf_iperf {
    const struct wpf_iperf_options *opts;
    struct wpf_net *net;
    const struct wpf_iperf_report *report;
    bool is_server;
    struct weir_sockaddr server; /* client: who it is */

    enum wpf_iperf_state state; /* what was said last, by the server but for TEST_END */
    bool is_over;
    char error[256]; /* "": none */
    weir_ns due;     /* when what is waited for must have come; WEIR_NEVER */
    char cookie[WPF_IPERF_COOKIE_LEN];
    struct wpf_iperf_params params;
    struct wpf_iperf_control control;
    struct wpf_iperf_streams streams;
    unsigned stream_n, stream_want;
    uint64_t limit_bytes; /* 0: by time */
    uint8_t *block;       /* what is sent, and room for what is received */

    bool is_counting; /* bytes count */
    bool was_run;     /* there is something to report */
    bool has_remote;  /* the other end's results are here */
    weir_ns started;  /* with what is omitted */
    weir_ns began, ended;
    weir_ns omit_until; /* 0: nothing is omitted, or not any more */
    weir_ns interval_began, interval_due;
    weir_ns received_at;     /* when bytes came last */
    uint64_t sent, received; /* bytes of all streams since it began */
    struct wpf_iperf_usage usage;
    struct wpf_iperf_results own, remote;

    bool has_told_interval;
    struct json_t *json_start, *json_intervals, *json_end; /* the JSON report's */
};

/* ---- iperf_control.c ---- */

int wpf_iperf_control_open(struct wpf_iperf_control *, struct wpf_iperf *, int64_t fd, bool is_connecting,
                           void (*ready)(struct wpf_source *, uint32_t events));
void wpf_iperf_control_close(struct wpf_iperf_control *);

/* Queue bytes, and send what goes. 0, or a negative errno as the connection has it. */
int wpf_iperf_control_send(struct wpf_iperf_control *, const void *, size_t);
int wpf_iperf_control_state(struct wpf_iperf_control *, enum wpf_iperf_state);
int wpf_iperf_control_json(struct wpf_iperf_control *, char *json); /* takes and frees it; NULL: -ENOMEM */

/* Go on with what is queued, and read what is there. 0, 1 when the other end has closed, or a negative errno. */
int wpf_iperf_control_run(struct wpf_iperf_control *, uint32_t events);

/* Forget the first bytes of what came in. */
void wpf_iperf_control_eat(struct wpf_iperf_control *, size_t);

/* Take JSON of at most `max` bytes from what came in; 0: not all there yet, or its length in bytes with it at *json, to
 * be eaten with the 4 before it; -EMSGSIZE. */
int64_t wpf_iperf_control_frame(const struct wpf_iperf_control *, size_t max, const char **json);

/* ---- iperf_stream.c ---- */

/* Options that the parameters ask for: before connect, or on what was accepted. Which of them failed, as iperf3 counts
 * errors, with test->error; or WPF_IPERF_ENONE. */
enum wpf_iperf_error wpf_iperf_stream_options(struct wpf_iperf *, int64_t fd);

struct wpf_iperf_stream *wpf_iperf_stream_new(struct wpf_iperf *, int64_t fd); /* NULL: no memory */
void wpf_iperf_stream_free(struct wpf_iperf_stream *);                         /* closes it too */

/* It is connected: put it at the end of the test's. */
void wpf_iperf_stream_join(struct wpf_iperf_stream *, bool is_sender);
void wpf_iperf_stream_look(struct wpf_iperf_stream *); /* at its TCP_INFO */

void wpf_iperf_streams_start(struct wpf_iperf *);
void wpf_iperf_streams_pace(struct wpf_iperf *, weir_ns now); /* wake those whose rate allows more */
weir_ns wpf_iperf_streams_due(const struct wpf_iperf *);
void wpf_iperf_streams_stop(struct wpf_iperf *); /* senders stop, receivers count what is there and only drain then */
int wpf_iperf_streams_unsent(struct wpf_iperf *);
void wpf_iperf_streams_close(struct wpf_iperf *); /* the connections; the streams stay, for the report */

/* ---- iperf_stats.c ---- */

void wpf_iperf_stats_begin(struct wpf_iperf *, weir_ns now);
void wpf_iperf_stats_run(struct wpf_iperf *, weir_ns now);
weir_ns wpf_iperf_stats_due(const struct wpf_iperf *);
void wpf_iperf_stats_end(struct wpf_iperf *, weir_ns now);
void wpf_iperf_stats_merge(struct wpf_iperf *); /* the other end's results into the streams */

/* One stream as the report has it at the end, whichever side sent. */
struct wpf_iperf_total {
    uint64_t sent, received; /* bytes */
    double sent_s, received_s;
    int64_t retransmits; /* -1: not known */
};
struct wpf_iperf_total wpf_iperf_stream_total(const struct wpf_iperf_stream *);

/* All streams of one direction: those that we send, or that we receive. n: how many there are. */
struct wpf_iperf_total wpf_iperf_sum(const struct wpf_iperf *, bool is_sender, unsigned *n);

/* ---- iperf_test.c: what client and server share ---- */

void wpf_iperf_init(struct wpf_iperf *, const struct wpf_iperf_options *, struct wpf_net *, bool is_server);
void wpf_iperf_fini(struct wpf_iperf *);

/* It is over, and why. The first reason stays. */
void wpf_iperf_fail(struct wpf_iperf *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void wpf_iperf_plan(struct wpf_iperf *);  /* the parameters are known: what follows from them. May fail */
void wpf_iperf_begin(struct wpf_iperf *); /* TEST_RUNNING */
void wpf_iperf_end(struct wpf_iperf *);   /* no more is counted */
int wpf_iperf_send_results(struct wpf_iperf *);
bool wpf_iperf_take_results(struct wpf_iperf *);      /* false: not there yet, or failed */
void wpf_iperf_tick(struct wpf_iperf *, weir_ns now); /* once a turn */
weir_ns wpf_iperf_due(const struct wpf_iperf *);

/* ---- The two ends: each returns the exit status ---- */

int wpf_iperf_client(const struct wpf_iperf_options *, struct wpf_net *);
int wpf_iperf_server(const struct wpf_iperf_options *, struct wpf_net *);

#endif
