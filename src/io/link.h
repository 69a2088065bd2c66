/*
 * The link: a wire in memory between two stacks, clean or impaired as tc netem would.
 *
 * Each end is the driver of one interface. `up` is what the near end sends, `down` what the far end sends; each
 * direction has a configuration, a queue and random streams of its own. Decisions follow from the packets, their order
 * and the seed alone, never from a clock, so a run in virtual time and one in real time lose the same packets.
 *
 * A direction works in this order: the script's rules, duplication, loss, corruption, the policer, the queue before the
 * transmitter (rate, marking, tail drop), propagation (delay, jitter, reordering).
 *
 * Both stacks, and the link, belong to one thread: packets cross from one to the other by reference.
 */
#ifndef WIO_LINK_H
#define WIO_LINK_H

#include <weir/stack.h>

enum wio_side { WIO_NEAR, WIO_FAR };
enum wio_dir { WIO_UP, WIO_DOWN }; /* WIO_UP: from WIO_NEAR to WIO_FAR */

#define WIO_PROB_ONE 1000000000u /* a probability is in units of 1e-9 */

enum wio_dist { WIO_DIST_UNIFORM, WIO_DIST_NORMAL };

/* One direction of a link. All zero: a clean one. */
struct wio_dir_config {
    uint64_t rate_bps; /* bits per second of packet bytes, link-layer header included; 0: no transmitter */
    /* What may wait for or be in the transmitter; 0: 1,000 packets of the MTU, as netem's limit is. Without a rate:
     * what may be under way, 0 for hold_max_bytes. */
    uint64_t queue_bytes;
    weir_ns delay;        /* one way */
    weir_ns jitter;       /* uniform: +/- this; normal: the standard deviation. Without a rate it may reorder, as in
                           * netem; with one the order is kept */
    uint32_t jitter_corr; /* probability units: how much a delay resembles the last one */
    enum wio_dist dist;
    uint32_t loss;        /* probability that a packet is lost */
    uint32_t burst_milli; /* mean run of losses, in thousandths of a packet (Gilbert-Elliott); below 1,000: i.i.d. */
    uint32_t reorder;     /* probability that a packet at its turn skips the delay */
    uint32_t reorder_gap; /* turns are every gap-th packet; 0 counts as 1: every packet */
    uint32_t duplicate;
    uint32_t corrupt;      /* one bit, anywhere in the packet */
    uint64_t police_bps;   /* a token bucket before the queue drops what is beyond this rate; 0: none */
    uint64_t bucket_bytes; /* its depth; 0: 32 KiB */
    uint64_t ecn_bytes; /* packets that find more than this before the transmitter are marked; 0: none. Wants a rate */
    weir_ns ecn_wait;   /* those that will wait for longer than this are; 0: none. Wants a rate */
    weir_ns codel_target;   /* CoDel (RFC 8289) marks, and drops what can't be marked; 0: off. Wants a rate */
    weir_ns codel_interval; /* 0: 100 ms */
    uint32_t ce; /* probability that a packet that may be marked is; only ECT ones are marked by any of these */
    uint64_t hold_max_bytes; /* what may be under way at once; more is dropped (HOLD_FULL). 0: 256 MiB */
};

enum wio_action { WIO_DROP, WIO_DELAY, WIO_DUP, WIO_CORRUPT, WIO_MARK, WIO_ACTION_N };

/* What a rule counts. A segment may be of several sorts: the last data with FIN is DATA and FIN. */
enum wio_match {
    WIO_MATCH_PKT,
    WIO_MATCH_SYN, /* without ACK */
    WIO_MATCH_SYNACK,
    WIO_MATCH_DATA, /* with payload */
    WIO_MATCH_FIN,
    WIO_MATCH_RST,
    WIO_MATCH_ACK, /* nothing but an acknowledgement */
    WIO_MATCH_UDP,
    WIO_MATCH_OTHER, /* ARP, ICMP, a fragment that is not the first … */
    WIO_MATCH_N,
};

/* "drop data 3 of conn 1": the wanted packets are those that count first..last, in each direction for itself. */
struct wio_rule {
    enum wio_action action;
    enum wio_match match;
    uint32_t first, last; /* counted from 1, retransmissions included; last UINT32_MAX: no end */
    uint32_t every;       /* of those, each every-th alone; 0 counts as 1 */
    uint32_t conn;        /* counts within the n-th connection on the link alone (by its first SYN); 0: all of them */
    uint8_t dirs;         /* bits 1 << WIO_UP, 1 << WIO_DOWN */
    weir_ns delay;        /* WIO_DELAY: added to its delay. It may be overtaken */
};

#define WIO_RULES_MAX     64
#define WIO_RULE_CONN_MAX 1024

struct wio_link_config {
    struct wio_dir_config dir[2]; /* by enum wio_dir */
    struct wio_rule rules[WIO_RULES_MAX];
    unsigned rule_n;
    enum weir_link_type type;
    uint32_t mtu;     /* of both interfaces; 0: 1,500 */
    bool is_captured; /* a capture wants packets as a wire has them: no super-segments, checksums complete */
};

/* Counted in packets, but where bytes are named. */
struct wio_link_stats {
    uint64_t sent_pkts, sent_bytes;
    uint64_t delivered_pkts, delivered_bytes;
    uint64_t lost, scripted; /* lost: at random; scripted: dropped by a rule */
    uint64_t reordered;      /* arrive before a packet sent earlier: reorder=, jitter, a rule's delay of the other */
    uint64_t duplicated, corrupted;
    uint64_t ce_marked; /* Congestion Experienced set on the way */
    uint64_t policed, queue_managed, queue_full, hold_full, no_memory, too_big; /* dropped */
};

/* What the link did. A packet that is sent gives one SENT, with its fate in it, and a DELIVERED for each copy that
 * arrives. */
struct wio_link_note {
    enum { WIO_NOTE_SENT, WIO_NOTE_DELIVERED } what;
    enum wio_dir dir;
    weir_ns at;
    const struct weir_pkt *pkt;                     /* SENT: as its sender made it; DELIVERED: as it arrives */
    enum weir_drop drop;                            /* SENT: WEIR_DROP_NONE, or why it will not arrive */
    bool is_duplicated, is_corrupted, is_reordered; /* SENT */
    bool is_marked;                                 /* SENT: arrives with Congestion Experienced, and left without */
    weir_ns due;                                    /* SENT: when it will arrive; not valid for a drop */
    /* SENT: how much later than by its delay alone (earlier: negative) each copy arrives that does so unharmed, ns. */
    unsigned copy_n;
    int64_t copy_shift[2];
};

struct wio_link;

/* A link, or NULL when memory is short. The configuration is copied. */
struct wio_link *wio_link_new(const struct wio_link_config *, uint64_t seed);

/* Let go of the link and of what is under way. Its ends must be gone from their stacks, or the stacks silent from here
 * on. NULL is fine. */
void wio_link_free(struct wio_link *);

/*
 * Make one end of the link an interface of `w`: weir_netif_add with the link's type, MTU and capabilities.
 *
 * name   of the interface
 * mac    for an Ethernet link; NULL: 02:00:00:00:00:01 for the near end, …:02 for the far one
 *
 * Returns the interface's index, or what weir_netif_add returns.
 */
int wio_link_attach(struct wio_link *, enum wio_side, struct weir *w, const char *name, const uint8_t mac[6]);

/* As wio_link_attach for an interface that the caller has added with wio_link_ops and wio_link_driver. */
void wio_link_bind(struct wio_link *, enum wio_side, struct weir *w, int netif);
void *wio_link_driver(struct wio_link *, enum wio_side);
const struct weir_netif_ops *wio_link_ops(void);

/*
 * Let packets that arrive at one side go to `sink` in place of a stack's weir_input: to a stack whose owner wants to
 * know when something comes, or to somebody without one. `sink` keeps no packet without a reference of its own. NULL:
 * to the stack.
 */
void wio_link_set_sink(struct wio_link *, enum wio_side,
                       void (*sink)(void *ctx, struct weir_pkt **, unsigned n, weir_ns now), void *ctx);

/* Send from one side at time `now`, as a stack there would. Takes the packets' references. */
void wio_link_send(struct wio_link *, enum wio_side, struct weir_pkt **, unsigned n, weir_ns now);

/*
 * enum weir_netif_cap. WEIR_CAP_TX_CSUM where it is not captured: nobody sees the checksums, so none is made or
 * verified, but of a packet that the link is about to corrupt. WEIR_CAP_TSO where it is clean as well (super-segments
 * pass whole); an impaired link loses what a real one would: packets of the MTU's size.
 */
uint32_t wio_link_caps(const struct wio_link *);

/* Does any word of the configuration impair anything? */
bool wio_link_is_clean(const struct wio_link_config *);

/* When wio_link_run has something to deliver; WEIR_NEVER when nothing is under way. O(1). */
weir_ns wio_link_deadline(const struct wio_link *);

/*
 * Deliver what is due to the stacks, in the order of its time, then of its sending. Packets sent meanwhile wait for the
 * next call, so a call ends even where the link has no delay and both ends answer for ever.
 *
 * Returns how many packets were delivered.
 */
unsigned wio_link_run(struct wio_link *, weir_ns now);

/* Change a direction while packets are under way: those stay as they are. Capabilities stay too, so a link that was
 * clean when it was made loses whole super-segments. */
void wio_link_set_dir(struct wio_link *, enum wio_dir, const struct wio_dir_config *);

/* See what the link does (a second call replaces the first; NULL: nobody does). It must not call into link or stack. */
void wio_link_set_tap(struct wio_link *, void (*tap)(void *ctx, const struct wio_link_note *), void *ctx);

/* What the rules, or a judge, want of a packet. */
struct wio_verdict {
    bool is_dropped, is_duplicated, is_corrupted;
    bool is_marked;     /* with Congestion Experienced, if it may be */
    int64_t delay;      /* more than the link's own, nanoseconds; less where negative, but never before it is sent */
    int64_t twin_delay; /* of the duplicate that a judge asks for */
};

/*
 * Let somebody else decide in place of the configuration's rules (NULL: nobody does). `judge` is called once for each
 * packet, in the order of sending, and must not call into link or stack. Before the first packet; the link must not be
 * clean, or super-segments would be judged whole.
 */
void wio_link_set_judge(struct wio_link *,
                        struct wio_verdict (*judge)(void *ctx, enum wio_dir, const struct weir_pkt *), void *ctx);

struct wio_link_stats wio_link_stats(const struct wio_link *, enum wio_dir);
size_t wio_link_held_bytes(const struct wio_link *); /* under way now, both directions */

#endif
