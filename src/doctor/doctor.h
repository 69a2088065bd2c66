/*
 * The doctor: packets of a capture go in, one after the other; for each TCP connection comes out what happened to it,
 * the packets that show it, why, how sure that is, and what to do. One pass, bounded memory. docs/doctor.md tells how
 * each verdict is reached.
 */
#ifndef WDC_DOCTOR_H
#define WDC_DOCTOR_H

#include <weir/types.h>

/* X(enumerator, the name that scripts see, weight: what a person wants to see first) */
#define WDC_VERDICTS(X)                                                                                                \
    X(REFUSED, "refused", 90)                                                                                          \
    X(NO_ANSWER_FILTERED, "no-answer-filtered", 92)                                                                    \
    X(NO_ANSWER_DEAD, "no-answer-dead", 92)                                                                            \
    X(NO_ANSWER, "no-answer", 91)                                                                                      \
    X(SYN_RETRIES, "syn-retries", 60)                                                                                  \
    X(BACKLOG_OVERFLOW, "backlog-overflow", 93)                                                                        \
    X(RESET_CLOSED_SOCKET, "reset-closed-socket", 70)                                                                  \
    X(RESET_HALF_OPEN, "reset-half-open", 84)                                                                          \
    X(RESET_BACKLOG, "reset-backlog", 93)                                                                              \
    X(RESET_IDLE_NAT, "reset-idle-nat", 84)                                                                            \
    X(RESET_UNREAD, "reset-unread", 80)                                                                                \
    X(RESET_ABORT, "reset-abort", 72)                                                                                  \
    X(CLOSED, "closed", 0)                                                                                             \
    X(NEVER_CLOSED, "never-closed", 40)                                                                                \
    X(OPEN, "open", 0)                                                                                                 \
    X(PATH_LOSS, "path-loss", 66)                                                                                      \
    X(CAPTURE_LOSS, "capture-loss", 20)                                                                                \
    X(SPURIOUS_RETRANSMISSION, "spurious-retransmission", 36)                                                          \
    X(REORDERING, "reordering", 34)                                                                                    \
    X(LIMIT_RECEIVER, "limit-receiver", 12)                                                                            \
    X(LIMIT_SENDER, "limit-sender", 12)                                                                                \
    X(LIMIT_CONGESTION, "limit-congestion", 8)                                                                         \
    X(LIMIT_APPLICATION, "limit-application", 4)                                                                       \
    X(ZERO_WINDOW, "zero-window", 62)                                                                                  \
    X(NAGLE_DELAYED_ACK, "nagle-delayed-ack", 64)                                                                      \
    X(TAIL_LOSS, "tail-loss", 65)                                                                                      \
    X(RTO, "rto", 68)                                                                                                  \
    X(BUFFERBLOAT, "bufferbloat", 58)                                                                                  \
    X(MTU_BLACK_HOLE, "mtu-black-hole", 88)                                                                            \
    X(WINDOW_SCALING_BROKEN, "window-scaling-broken", 86)                                                              \
    X(IP_CONFLICT, "ip-conflict", 95)                                                                                  \
    X(CHECKSUM_OFFLOAD, "checksum-offload", 0)                                                                         \
    X(CORRUPTED, "corrupted", 67)                                                                                      \
    X(KEEPALIVE_DEATH, "keepalive-death", 82)                                                                          \
    X(PORT_REUSE, "port-reuse", 10)

enum wdc_verdict {
#define X(id, name, weight) WDC_##id,
    WDC_VERDICTS(X)
#undef X
        WDC_VERDICTS_N
};

/* Whose doing it is. */
enum wdc_whose { WDC_CLIENT, WDC_SERVER, WDC_PATH };

enum wdc_sure { WDC_POSSIBLE, WDC_LIKELY, WDC_CERTAIN };

/* What held a sender up, in shares of its time. */
enum wdc_limit { WDC_BY_RECEIVER, WDC_BY_SENDER, WDC_BY_CONGESTION, WDC_BY_APPLICATION, WDC_LIMITS_N };

#define WDC_FRAMES_MAX   8
#define WDC_FINDINGS_MAX 20

struct wdc_finding {
    enum wdc_verdict id;
    enum wdc_whose whose;
    enum wdc_sure sure;
    uint32_t frame_n;
    uint64_t frames[WDC_FRAMES_MAX]; /* packets that show it: the first ones, and the last */
    char what[320], cause[320];
    const char *remedy; /* what to do; "" where there is nothing to do */
};

/* A connection, or (is_network) what belongs to none. */
struct wdc_result {
    bool is_network;
    struct weir_sockaddr client, server;
    uint64_t first, last; /* packets */
    weir_ns began, ended;
    uint64_t packets;
    uint64_t bytes[2]; /* payload from client to server and back, each byte once */
    bool has_shares[2];
    uint8_t shares[2][WDC_LIMITS_N]; /* per cent of the time in which that side had something to send or said nothing */
    const char *vantage;             /* where the capture was made, as far as can be told; "" if it can't */
    uint32_t finding_n;
    struct wdc_finding findings[WDC_FINDINGS_MAX]; /* what matters most first */
};

/* The next packet. */
struct wdc_frame {
    weir_ns at;
    uint64_t number; /* as evidence names it, from 1 */
    uint32_t linktype, interface;
    const uint8_t *bytes;
    uint32_t captured, len; /* bytes that there are, and that were on the wire */
};

struct wdc_config {
    uint32_t conns_max;                                      /* held at a time; 0: the default */
    uint64_t seed;                                           /* of the hash table */
    void (*on_result)(void *ctx, const struct wdc_result *); /* lent for the length of the call */
    void *ctx;
};

/* What went in, and what was left out. */
struct wdc_counts {
    uint64_t packets, tcp, udp, other;
    uint64_t conns, evicted;  /* connections, and those that were told of before the end for want of room */
    uint64_t other_interface; /* packets that another interface had shown already */
    uint64_t copies;          /* packets that the capture has twice */
    uint64_t unread;          /* not IP, damaged, or cut before its ports */
    uint64_t fragments;       /* that were not put together */
    uint64_t bad_sums;        /* packets with a wrong checksum that belong to no connection */
    uint64_t conns_refused;   /* connections without memory to hold them */
    uint64_t histories_cut;   /* connections with more in flight than is kept of them */
    weir_ns began, ended;
};

struct wdc;

struct wdc *wdc_new(const struct wdc_config *); /* NULL: out of memory */
void wdc_packet(struct wdc *, const struct wdc_frame *);
void wdc_finish(struct wdc *); /* tells of all that is still held */
const struct wdc_counts *wdc_counts(const struct wdc *);
void wdc_free(struct wdc *);

const char *wdc_verdict_name(enum wdc_verdict);
unsigned wdc_verdict_weight(enum wdc_verdict); /* 0: nothing is wrong */

#define WDC_WEIGHT_PROBLEM 30 /* from this weight on something is wrong */

/* Is nothing wrong with it? */
bool wdc_result_is_healthy(const struct wdc_result *);

#endif
