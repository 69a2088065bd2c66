/*
 * What the doctor keeps of a connection: for each of its two senders ("halves") the numbers that it has sent and that
 * were acknowledged, what is still in flight, what is missing, and counts from which the verdicts are made. All of it
 * is bounded.
 *
 * Sequence numbers are 64-bit offsets here: WDC_OFF0 is the SYN's, or the one before the first byte seen.
 */
#ifndef WDC_CONN_H
#define WDC_CONN_H

#include "doctor/doctor.h"
#include "io/frame.h"
#include "trace/dissect.h"

#include <sys/queue.h>

#define WDC_OFF0         (UINT64_C(1) << 33)
#define WDC_TIMER_MIN    WEIR_MS(150) /* no sender's timer is shorter, but where it was tuned */
#define WDC_UNSCALED_MIN 5u           /* times that a sender stops at the unscaled window: no coincidence */
#define WDC_HOLES_MAX    16
#define WDC_AGAINS_MAX   8
#define WDC_VIEWS_MAX    24
#define WDC_SEGS_MAX     4096
#define WDC_PRINTS_MAX   4

/* Packets that show something: the first ones and the last. */
struct wdc_evidence {
    uint32_t n;
    uint32_t frames[WDC_FRAMES_MAX];
};

/* A range that the capture has not seen, below the highest that it has. */
struct wdc_hole {
    uint64_t lo, hi;
    weir_ns at; /* when what lies above was seen */
    uint64_t frame;
    weir_ns acked_at; /* 0: it was not */
    uint32_t next_tsval;
    uint16_t next_id;
    bool has_next_ts, is_counted;
    bool is_old;    /* right behind the beginning of a capture: it may be about what was before that */
    weir_ns waited; /* nothing was sent for that long before what lies above */
};

/* A segment in flight. */
struct wdc_seg {
    uint64_t lo, frame;
    weir_ns at, again_at; /* again_at: of its last retransmission */
    uint32_t len, tsval;
    uint32_t flight; /* with it */
    uint8_t again_n;
    bool has_ts;
};

/* A retransmission, whose need shows later. */
struct wdc_again {
    uint64_t lo, hi, frame;
    weir_ns at, waited; /* waited: by a timer, 0: none */
    uint32_t first_ts, ts, segs;
    bool has_ts, is_tail, is_head; /* head: nothing before it was missing */
    enum { WDC_AGAIN_UNUSED, WDC_AGAIN_PENDING, WDC_AGAIN_NEEDED, WDC_AGAIN_NEEDLESS } what;
};

/* The peer's acknowledgements, as a sender comes to know them. */
struct wdc_view {
    weir_ns at;
    uint64_t una, edge;
    uint32_t ts; /* its timestamp, which the sender will echo */
    bool had_data, has_ts;
};

/* What a packet looked like, to know a copy of it. */
struct wdc_print {
    weir_ns at;
    uint64_t hash;
};

/* Where a sender's time went. */
struct wdc_pace {
    weir_ns spent[WDC_LIMITS_N];
    weir_ns since;     /* nothing before this is unaccounted for; 0: not begun */
    weir_ns sent_at;   /* of the last new data */
    uint32_t sent_len; /* its length */
    bool was_again, was_zero;
    uint64_t round_end, round_most; /* a round lasts until what was in flight at its beginning is acknowledged */
    uint64_t plateau;               /* the most in flight, in each of the last rounds_flat rounds */
    uint32_t rounds_flat;
    weir_ns plateau_spent; /* charged to the network meanwhile */
    uint32_t refill_n;     /* pauses that were the sender's own */
    uint32_t sent_tsecr, sent_tsval, first_tsval;
    weir_ns first_at; /* of first_tsval; 0: none */
    bool sent_has_ts;
    uint32_t raw_blocked_n, over_raw_n; /* stopped at the window as it would be unscaled, and went beyond it */
    struct wdc_evidence raw_blocked;
    weir_ns delayed_ns; /* Nagle and a delayed ACK */
    struct wdc_evidence delayed;
};

/* How the round trip changes with what is in flight. */
struct wdc_rtt {
    weir_ns min; /* from the capture to the receiver and back; 0: unknown */
    weir_ns min_from_data;
    uint64_t n;
    double mean, var, flight_mean, flight_var, cov;
    weir_ns max;
    uint64_t max_frame;
    double smooth;
    weir_ns smooth_max;
    uint64_t smooth_max_frame;
};

struct wdc_half {
    /* What it is. */
    bool has_base, has_sent, has_syn, has_fin, has_sack_ok, has_ts;
    int8_t wscale; /* -1: it has none */
    uint16_t mss;
    uint8_t ttl;
    bool is_outgoing; /* the capture was made at its host */
    uint32_t interface;
    bool is_seen_elsewhere; /* also on an interface that is not the one we follow */
    uint32_t base;
    uint64_t pkts, data_pkts, segs;
    uint32_t len_max;
    weir_ns last_at, last_data_at;
    uint64_t last_frame;
    uint64_t data_frame; /* of the last one that had data */
    uint32_t ack_raw;    /* its last one */
    uint32_t ts_newest;
    uint16_t id_last;
    uint32_t id_steps, id_jumps; /* does its IP identification count up? */

    /* Numbers. */
    uint64_t nxt, una, fin_off, edge; /* edge: up to where the peer's window allows to send */
    weir_ns una_at;
    uint32_t dup_n;
    uint64_t sack_high, recover; /* recover: until then round trips can't be measured */
    struct wdc_hole holes[WDC_HOLES_MAX];
    uint32_t hole_n;
    struct wdc_seg *segs_ring; /* in flight, oldest first */
    uint32_t seg_cap, seg_head, seg_n;
    bool is_history_cut;
    bool is_una_guess; /* the capture begins within the connection, and no ACK was seen yet */
    struct wdc_again agains[WDC_AGAINS_MAX];
    uint32_t again_next;
    struct wdc_view views[WDC_VIEWS_MAX];
    uint32_t view_n;    /* how many there have been */
    weir_ns view_apart; /* at least so much time lies between two */
    struct wdc_print prints[WDC_PRINTS_MAX];

    /* What became of segments. */
    uint64_t lost_segs, upstream_segs, needless_segs, reordered, copies;
    uint64_t burst, burst_max, burst_hi, burst_n; /* lost segments next to each other */
    uint64_t missed_bytes;                        /* acknowledged and never seen */
    weir_ns reorder_late_max;
    struct wdc_evidence lost, needless, reorder, missed, timeouts, tails, probes, offload, corrupt;
    uint64_t corrupt_n, offload_n, good_sum_n, bad_sum_n;
    weir_ns timeouts_ns, tails_ns;
    uint32_t timeout_run, timeout_run_max;
    weir_ns vain_wait; /* for a timer whose retransmission was needless, of a flight up to vain_until; 0: none */
    uint64_t vain_frame, vain_until;
    uint32_t chain_lost, chain_tails; /* since the last acknowledgement of anything new */
    weir_ns chain_tails_ns;
    weir_ns stuck_at;
    uint32_t seg_len_acked_max;
    uint64_t stuck_lo; /* the segment that was retransmitted last, how often, and its size */
    uint32_t stuck_n, stuck_len;
    uint32_t stuck_n_max, stuck_len_max; /* of the one that was so most often */
    struct wdc_evidence stuck;
    struct wdc_evidence icmp_big;
    uint32_t icmp_mtu;
    uint32_t keepalive_n, keepalive_run, keepalive_run_max;
    weir_ns keepalive_at;

    /* The window that it offers. */
    uint32_t win_raw, win_raw_max;
    uint64_t win, win_max;
    weir_ns zero_at, zero_ns, zero_max_ns;
    uint32_t zero_n;
    struct wdc_evidence zero;

    struct wdc_rtt rtt;      /* to its receiver and back */
    struct wdc_rtt rtt_back; /* to itself and back, by the timestamps that it echoes */
    struct wdc_pace pace;
};

enum wdc_reset_by { WDC_RESET_NONE = -1 };

struct wdc_conn {
    LIST_ENTRY(wdc_conn) in_bucket;
    TAILQ_ENTRY(wdc_conn) in_age;
    uint64_t hash;
    struct weir_sockaddr ends[2]; /* client, server */
    uint32_t interface;
    bool is_done, is_mid; /* mid: the capture begins within it */
    uint64_t first, last, packets;
    weir_ns began, last_at;
    struct wdc_half half[2]; /* what the client sends, what the server sends */

    /* The handshake. */
    uint32_t syn_n, syn_ack_n, syn_ack_again_after_ack;
    weir_ns syn_at, syn_last_at, syn_ack_at, syn_ack_last_at, ack_at;
    struct wdc_evidence syns, syn_acks, acks;
    bool is_established;
    uint64_t ack_frame;
    struct wdc_evidence odd;

    /* The end. */
    int rst_side; /* -1: none */
    weir_ns rst_at, rst_idle;
    uint64_t rst_again_frame; /* bare, upon data that came long behind the first one */
    bool rst_has_ack, rst_answers, rst_in_handshake, rst_after_own_fin, rst_after_peer_fin, rst_unread, rst_ttl_differs;
    bool rst_by_stranger; /* whoever sent it has sent nothing else */
    bool rst_after_timeouts, rst_is_late;
    uint32_t rst_probes;
    uint64_t rst_frame, rst_prior_frame;
    struct wdc_evidence resets, fins;
    unsigned fin_first; /* who closed first, and when */
    weir_ns fin_at;

    /* Silence, and then only one side speaks. */
    weir_ns idle;
    unsigned idle_side;
    uint64_t idle_frame;

    /* Errors about it. */
    int icmp_type, icmp_code; /* -1: none */
    bool icmp_is_v6;
    uint64_t icmp_frame;
    struct weir_addr icmp_from;

    /* The same ends before. */
    bool is_reused, was_closed;
    weir_ns reuse_after;
    uint64_t reuse_frame;
};

TAILQ_HEAD(wdc_conns, wdc_conn);
LIST_HEAD(wdc_bucket, wdc_conn);

/* What is known of a host, or of a server's port. */
struct wdc_host {
    struct weir_addr addr;
    uint16_t port; /* 0: the host itself */
    bool is_used, is_alive, is_resolved, is_in_conflict, is_told;
    uint8_t mac[6], other_mac[6];
    bool has_mac;
    uint32_t asked_n; /* ARP or ND requests without an answer since */
    struct wdc_evidence asked, claims;
    uint64_t syn_n, answered_n, retried_n;
    weir_ns mac_at;
    uint64_t mac_frame;
    uint32_t flips;
};

struct wdc_hosts {
    struct wdc_host *slots;
    uint32_t cap, n;
    uint32_t asked_n; /* requests that are unanswered, of all hosts */
};

/* A first fragment that waits for the last one, or the other way round. */
struct wdc_frag {
    bool is_used, has_first;
    struct weir_addr src, dst;
    uint16_t id;
    uint32_t total; /* IP payload, 0: not known yet */
    struct wtr_dissect first;
    weir_ns at;
    uint64_t number;
};

#define WDC_FRAGS_MAX 32

struct wdc {
    struct wdc_config cfg;
    struct wdc_counts counts;
    struct wdc_bucket *buckets;
    uint32_t bucket_n, conn_n;
    struct wdc_conns live, done; /* least recently heard of first */
    uint64_t segs_held;
    struct wdc_hosts hosts;
    struct wdc_frag frags[WDC_FRAGS_MAX];
    uint32_t frag_next;
};

/* A TCP packet under work. */
struct wdc_step {
    struct wdc *doc;
    struct wdc_conn *conn;
    const struct wtr_dissect *d;
    weir_ns at;
    uint64_t number;
    unsigned side; /* who sent it */
    struct wdc_half *me, *peer;
    uint64_t lo, hi; /* offsets of what it carries, SYN and FIN included */
    uint64_t ack;    /* offset in the peer's numbers */
    bool
        is_odd; /* it acknowledges what this connection has not sent: it belongs to another one between the same ends */
};

void wdc_evidence_add(struct wdc_evidence *, uint64_t frame);

static inline uint64_t wdc_off(const struct wdc_half *h, uint32_t seq)
{
    uint32_t nxt = h->base + (uint32_t)h->nxt;
    return h->nxt + (uint64_t)(int64_t)(int32_t)(seq - nxt);
}

static inline weir_ns wdc_since(weir_ns now, weir_ns then)
{
    return now > then ? now - then : 0;
}

/* What a full segment of it carries, as far as is known. */
uint32_t wdc_mss(const struct wdc_conn *, unsigned side);

static inline uint32_t wdc_segs_of(uint64_t len, uint32_t mss)
{
    return mss == 0 || len <= mss ? 1 : (uint32_t)((len + mss - 1) / mss);
}

/* The whole round trip, both ways from the capture; 0: unknown. */
static inline weir_ns wdc_round_trip(const struct wdc_conn *c)
{
    return c->half[0].rtt.min && c->half[1].rtt.min ? c->half[0].rtt.min + c->half[1].rtt.min : 0;
}

/* From the capture to that side's host and back; 0 if it isn't known. */
static inline weir_ns wdc_near(const struct wdc_conn *c, unsigned side)
{
    return c->half[!side].rtt.min;
}

/* 0: near the client, 1: near the server, -1: between, or not known. */
int wdc_vantage(const struct wdc_conn *);

#endif
