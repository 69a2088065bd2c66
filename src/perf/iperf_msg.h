/*
 * What the two ends of iperf3 say to each other on the control connection, as iperf3 3.12 says it.
 *
 * The client sends a cookie of 37 bytes; then each side sends states of one byte, and some of them have something
 * behind them: PARAM_EXCHANGE the client's parameters, EXCHANGE_RESULTS the results, first the client's, SERVER_ERROR
 * two numbers of four bytes. Parameters and results are JSON behind their length in four bytes, big-endian. What comes
 * from the other end is believed in nothing.
 */
#ifndef WPF_IPERF_MSG_H
#define WPF_IPERF_MSG_H

#include <weir/types.h>

#define WPF_IPERF_PORT        5201
#define WPF_IPERF_COOKIE_LEN  37 /* the NUL at its end included */
#define WPF_IPERF_STREAMS_MAX 128
#define WPF_IPERF_BLOCK_MAX   (1 << 20) /* WPF_FIXED_MAX at most */
#define WPF_IPERF_BLOCK       (128 << 10)
#define WPF_IPERF_TIME_MAX    86400
#define WPF_IPERF_OMIT_MAX    600
#define WPF_IPERF_MSS_MAX     9216
#define WPF_IPERF_WINDOW_MAX  (512u << 20)
#define WPF_IPERF_PARAMS_MAX  (8u << 10) /* bytes of JSON */
#define WPF_IPERF_RESULTS_MAX (1u << 20)
#define WPF_IPERF_CC_CAP      16 /* Linux's TCP_CA_NAME_MAX */

enum wpf_iperf_state {
    WPF_IPERF_TEST_START = 1,
    WPF_IPERF_TEST_RUNNING = 2,
    WPF_IPERF_TEST_END = 4,
    WPF_IPERF_PARAM_EXCHANGE = 9,
    WPF_IPERF_CREATE_STREAMS = 10,
    WPF_IPERF_SERVER_TERMINATE = 11,
    WPF_IPERF_CLIENT_TERMINATE = 12,
    WPF_IPERF_EXCHANGE_RESULTS = 13,
    WPF_IPERF_DISPLAY_RESULTS = 14,
    WPF_IPERF_START = 15, /* before anything was said */
    WPF_IPERF_DONE = 16,
    WPF_IPERF_ACCESS_DENIED = -1,
    WPF_IPERF_SERVER_ERROR = -2,
};

/* iperf3's numbers of errors: those that a server of ours sends, or has words for. */
enum wpf_iperf_error {
    WPF_IPERF_ENONE = 0,
    WPF_IPERF_EUNIMP = 13,
    WPF_IPERF_ETOTALRATE = 27,
    WPF_IPERF_ELISTEN = 102,
    WPF_IPERF_ERECVPARAMS = 114,
    WPF_IPERF_ERECVRESULTS = 117,
    WPF_IPERF_ESETNODELAY = 122,
    WPF_IPERF_ESETMSS = 123,
    WPF_IPERF_ESETBUF = 124,
    WPF_IPERF_ESETTOS = 125,
    WPF_IPERF_ESETCONGESTION = 134,
    WPF_IPERF_ESTREAMACCEPT = 204,
};

/* What iperf3 would print for one of its numbers; "error N" for one that we have no words for. */
const char *wpf_iperf_strerror(int32_t error, char *buf, size_t cap);

/* A cookie that nobody else has, from 36 random bytes. */
void wpf_iperf_cookie(char out[WPF_IPERF_COOKIE_LEN], const uint8_t random[WPF_IPERF_COOKIE_LEN - 1]);

/*
 * JSON behind its length, at the beginning of `len` bytes.
 *
 * Returns how many bytes it takes with its length, 0 when it is not all there yet, -EMSGSIZE when it is longer than
 * `max` or empty.
 */
int64_t wpf_iperf_frame(const uint8_t *buf, size_t len, size_t max);

struct wpf_iperf_params {
    bool is_udp, is_sctp;
    bool is_reverse, is_bidir; /* the server sends; both do */
    bool is_nodelay;
    bool is_zerocopy; /* senders don't copy what they send */
    uint32_t omit_s, time_s;
    uint64_t bytes;  /* 0: by time. All streams together */
    uint64_t blocks; /* likewise, in blocks of block_len */
    uint32_t stream_n;
    uint32_t block_len;
    uint32_t mss;          /* 0: the path's */
    uint32_t window_bytes; /* 0: the system's */
    uint64_t rate_bps;     /* bits a second, by counting; 0: no limit */
    uint64_t pacing_bps;   /* bits a second, by pacing; 0: no limit */
    uint32_t tos;
    char cc[WPF_IPERF_CC_CAP]; /* "": the system's */
};

/* Read a client's. 0, or -EPROTO with a line in err that says what is wrong. */
int wpf_iperf_params_parse(struct wpf_iperf_params *, const char *json, size_t len, char *err, size_t err_cap);

/* Write them. The caller frees it; NULL: no memory. */
char *wpf_iperf_params_format(const struct wpf_iperf_params *);

struct wpf_iperf_stream_result {
    uint32_t id;
    uint64_t bytes;
    int64_t retransmits; /* -1: not known */
    double seconds;
};

struct wpf_iperf_results {
    double cpu_total, cpu_user, cpu_system; /* per cent of one processor */
    int has_retransmits;                    /* -1: it sends nothing; 0: they are not known */
    char cc[WPF_IPERF_CC_CAP];
    unsigned stream_n;
    struct wpf_iperf_stream_result streams[WPF_IPERF_STREAMS_MAX];
};

/* As for parameters. */
int wpf_iperf_results_parse(struct wpf_iperf_results *, const char *json, size_t len, char *err, size_t err_cap);
char *wpf_iperf_results_format(const struct wpf_iperf_results *);

/* The number of the n-th stream (from 0), as iperf3 counts them: 1, 3, 4, 5 and so on. */
static inline uint32_t wpf_iperf_stream_id(unsigned n)
{
    return n == 0 ? 1 : n + 2;
}

#endif
