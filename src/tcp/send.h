/*
 * What the files of the sending half share among themselves: queue records, transmission, ACK processing, loss
 * recovery, RTT, timers.
 */
#ifndef WI_TCP_SEND_H
#define WI_TCP_SEND_H

#include "tcp/conn.h"

/* ---- sndq.c ---- */

static inline struct wi_tcp_rec *wi_tcp_rec_first(const struct wi_tcp_conn *c)
{
    return wi_list_first(&c->sndq.recs, struct wi_tcp_rec, link);
}

static inline struct wi_tcp_rec *wi_tcp_rec_last(const struct wi_tcp_conn *c)
{
    return wi_list_last(&c->sndq.recs, struct wi_tcp_rec, link);
}

static inline struct wi_tcp_rec *wi_tcp_rec_next(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    return wi_list_next(r, &c->sndq.recs, struct wi_tcp_rec, link);
}

static inline struct wi_tcp_rec *wi_tcp_rec_prev(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    return wi_list_prev(r, &c->sndq.recs, struct wi_tcp_rec, link);
}

/* The next one that has been sent, NULL: none. */
static inline struct wi_tcp_rec *wi_tcp_rec_next_sent(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    struct wi_tcp_rec *next = wi_tcp_rec_next(c, r);
    return next && next->was_sent ? next : NULL;
}

/* The oldest unacknowledged record, NULL: nothing is outstanding. */
static inline struct wi_tcp_rec *wi_tcp_rec_head_sent(const struct wi_tcp_conn *c)
{
    struct wi_tcp_rec *r = wi_tcp_rec_first(c);
    return r && r->was_sent ? r : NULL;
}

/* Fast Open: what leaves in the same packet as this SYN, for the first time; NULL: nothing. It is a record of its own,
 * so that it can be sent again without the SYN. */
static inline struct wi_tcp_rec *wi_tcp_syn_rider(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    return (r->flags & WI_TH_SYN) && !r->was_sent && c->fo.syn_data ? wi_tcp_rec_next(c, r) : NULL;
}

/* Payload bytes. */
static inline uint32_t wi_tcp_rec_len(const struct wi_tcp_rec *r)
{
    return (uint32_t)wi_seq_diff(r->end, r->seq) - ((r->flags & WI_TH_SYN) != 0) - ((r->flags & WI_TH_FIN) != 0);
}

/* How many segments of `mss` bytes it takes: at least 1. */
static inline uint16_t wi_tcp_rec_count(const struct wi_tcp_rec *r, uint32_t mss)
{
    uint32_t len = wi_tcp_rec_len(r);
    return (uint16_t)(len <= mss ? 1 : (len + mss - 1) / mss);
}

/* The sent record without SACK that holds `seq`, or the first such one behind it; NULL: none. O(log n). */
struct wi_tcp_rec *wi_tcp_rec_find(const struct wi_tcp_conn *, struct wi_seq);

/* The next sent record that is not SACKed, NULL: none. Amortised O(1), however much lies SACKed between. */
struct wi_tcp_rec *wi_tcp_rec_next_unsacked(const struct wi_tcp_rec *);

/* The peer has it, or takes that back. O(log n). */
void wi_tcp_rec_set_sacked(struct wi_tcp_conn *, struct wi_tcp_rec *, bool);

/* Enter the SYN. 0 or -ENOBUFS. */
int wi_tcp_sndq_syn(struct wi_tcp_conn *);

/* Queue the FIN: on the last unsent record, or on one of its own. 0 or -ENOBUFS. */
int wi_tcp_sndq_fin(struct wi_tcp_conn *);

/* Cut a record behind `len` payload bytes; counters of loss follow, each part counted in segments of `mss`. 0, -ENOBUFS
 * (nothing changed). */
int wi_tcp_rec_split(struct wi_tcp_conn *, struct wi_tcp_rec *, uint32_t len, uint32_t mss);

/* Forget the first `len` payload bytes: they are acknowledged. Counters are the caller's. */
void wi_tcp_rec_trim_front(struct wi_tcp_conn *, struct wi_tcp_rec *, uint32_t len);

/* Fill an unsent record up to `len` payload bytes from the one behind it, as far as that goes. */
void wi_tcp_rec_grow(struct wi_tcp_conn *, struct wi_tcp_rec *, uint32_t len);

/* Count a sent record in segments of `mss` from now on. */
void wi_tcp_rec_recount(struct wi_tcp_conn *, struct wi_tcp_rec *, uint32_t mss);

/* It has been sent: into the tree, and out of it (acknowledged: freed with the chunks before the new head). */
void wi_tcp_rec_set_sent(struct wi_tcp_conn *, struct wi_tcp_rec *);
void wi_tcp_rec_free(struct wi_tcp_conn *, struct wi_tcp_rec *);
void wi_tcp_sndq_free_chunks(struct wi_tcp_conn *);

/* Views of payload [off, off + len) of a record, appended to a packet. False: too many pieces. */
bool wi_tcp_rec_view(const struct wi_tcp_conn *, const struct wi_tcp_rec *, uint32_t off, uint32_t len,
                     struct weir_pkt *);

/* The sum of a record's payload, when it is known. False: it has to be read for it. */
bool wi_tcp_rec_sum(const struct wi_tcp_conn *, const struct wi_tcp_rec *, uint16_t *sum);

/* The size that records grow to: whole segments, up to 64 KiB and half the peer's window. */
uint32_t wi_tcp_size_goal(const struct wi_tcp_conn *, uint32_t mss);

/* Grow the automatic send buffer with the congestion window. */
void wi_tcp_sndbuf_expand(struct wi_tcp_conn *);

/* ---- mss.c ---- */

/* The peer's SYN named this MSS, 0: none. RFC 9293 MUST-15, with a floor against tiny ones. */
void wi_tcp_take_peer_mss(struct wi_tcp_conn *, uint32_t mss);

/* Payload of a full segment at this moment: without the SACK blocks that the next segment carries. */
uint32_t wi_tcp_mss_now(const struct wi_tcp_conn *);

/* Not above half of the largest window that the peer ever offered. */
uint32_t wi_tcp_bound_to_half_wnd(const struct wi_tcp_conn *, uint32_t bytes);

/* Payload of a full segment in IP packets of `mtu` bytes, and back: with the options that every segment has, within
 * what the peer takes. */
uint32_t wi_tcp_mtu_to_mss(const struct wi_tcp_conn *, uint32_t mtu);
uint32_t wi_tcp_mss_to_mtu(const struct wi_tcp_conn *, uint32_t mss);

/* The path's MTU fell: cut and send again what is too large. */
void wi_tcp_mtu_reduced(struct wi_tcp_conn *, uint32_t mtu);

/* ---- mtup.c: path MTU probing ---- */

/* A connection begins: where the search is to go. Before wi_tcp_mss_sync. */
void wi_tcp_mtup_init(struct wi_tcp_conn *);

enum wi_tcp_mtup_do {
    WI_TCP_MTUP_NONE, /* no probe now: go on */
    WI_TCP_MTUP_WAIT, /* there will be one as soon as the window lets it: send nothing else */
    WI_TCP_MTUP_SEND, /* the next unsent record is one */
};

/* Is a probe due (Linux's tcp_mtu_probe)? If so, the next unsent record has its size. */
enum wi_tcp_mtup_do wi_tcp_mtup_prepare(struct wi_tcp_conn *, uint32_t mss);

/* That record was sent as the probe. */
void wi_tcp_mtup_sent(struct wi_tcp_conn *, const struct wi_tcp_rec *);

/* snd_una has moved: was the probe acknowledged, does the raised size hold? */
void wi_tcp_mtup_acked(struct wi_tcp_conn *);

/* Something was marked lost and a reduction is about to begin. True: it was the probe alone, which says nothing of
 * congestion (RFC 4821 7.6.2): it is going to be sent again, in pieces. */
bool wi_tcp_mtup_lost(struct wi_tcp_conn *);

/* Something is sent again while a probe is under way: it proves nothing any more (RFC 4821 7.6.4). */
void wi_tcp_mtup_inconclusive(struct wi_tcp_conn *);

/* A router has told of a smaller path: a probe above it is lost. Before wi_tcp_mss_sync. */
void wi_tcp_mtup_too_big(struct wi_tcp_conn *, uint32_t mtu);

/* Nothing gets through, and no router says why: smaller segments, from tcp_base_mss on half as large each time (RFC
 * 4821 7.7, RFC 2923 2.1). */
void wi_tcp_suspect_black_hole(struct wi_tcp_conn *);

/* ---- segment.c: building and handing over ---- */

/* Send a record, or send it again. 0, -ENOBUFS (no memory for the packet: nothing happened), others as wi_net_output.
 */
int wi_tcp_transmit(struct wi_tcp_conn *, struct wi_tcp_rec *, enum weir_why);

/* An ACK without payload; `seq` is snd_nxt, or below it for probes. 0 or -ENOBUFS. */
int wi_tcp_send_ack(struct wi_tcp_conn *, struct wi_seq seq, enum weir_why);
void wi_tcp_send_rst(struct wi_tcp_conn *, enum weir_why);

/* The ACK that wi_tcp_conn.ack_prior is about. Lost for want of memory, it is missed like any other ACK. */
void wi_tcp_send_ack_prior(struct wi_tcp_conn *);

/* ---- output.c ---- */

struct wi_seq wi_tcp_wnd_end(const struct wi_tcp_conn *); /* snd_una + snd_wnd */

enum wi_tcp_xmit {
    WI_TCP_XMIT_ALL,
    WI_TCP_XMIT_ONE,   /* one super-segment */
    WI_TCP_XMIT_PROBE, /* one segment, whatever cwnd says (tail loss probe) */
};

/* Send as much new data as windows, Nagle and TSO deferral let. True: there is data, nothing is outstanding and nothing
 * could be sent: the window must be probed. */
bool wi_tcp_write_xmit(struct wi_tcp_conn *, uint32_t mss, bool hold_partial, enum wi_tcp_xmit);

/* A record is full and more is being written: what may go before the write is over. `all`: everything that is queued.
 */
void wi_tcp_write_ahead(struct wi_tcp_conn *, bool all);

/* Retransmit one record, at most `segs` segments of it. 0, -EAGAIN (the window has shrunk before it), -ENOBUFS. */
int wi_tcp_retransmit(struct wi_tcp_conn *, struct wi_tcp_rec *, uint32_t segs, enum weir_why);

/* The same for a tail loss probe, which recovery does not count. */
int wi_tcp_retransmit_probe(struct wi_tcp_conn *, struct wi_tcp_rec *);

/* Send the window probe that is due: a segment if one fits, else a byte below snd_una. 0 or an error of transmission;
 * >0: a probe without data went out. */
int wi_tcp_write_wakeup(struct wi_tcp_conn *, enum weir_why);

/* Segments a super-segment may have: about a millisecond at the pacing rate. */
uint32_t wi_tcp_tso_segs(const struct wi_tcp_conn *, uint32_t mss);

/* ---- rate.c ---- */

/* It is sent now: remember what a sample needs. Before the counters of what is in flight follow. */
void wi_tcp_rate_sent(struct wi_tcp_conn *, struct wi_tcp_rec *);

/* It was delivered, in whole or in part: take it for the ACK's sample if it was sent last of those delivered. */
void wi_tcp_rate_delivered(struct wi_tcp_conn *, struct wi_tcp_rec *, struct wi_tcp_rate *);

/* The ACK has been dealt with: make the sample. acked_sacked is set. */
void wi_tcp_rate_end(struct wi_tcp_conn *, struct wi_tcp_rate *, bool is_reneging);

/* The application is about to write: has it been slower than the network? And: it was. */
void wi_tcp_rate_check_app_limited(struct wi_tcp_conn *);
void wi_tcp_rate_app_limited(struct wi_tcp_conn *);

uint64_t wi_tcp_rate_bps(const struct wi_tcp_conn *); /* bytes a second, 0: no sample yet (tcpi_delivery_rate) */

/* ---- pace.c ---- */

bool wi_tcp_is_paced(const struct wi_tcp_conn *);
void wi_tcp_pacing_update(struct wi_tcp_conn *); /* window or RTT changed: the rate anew */
void wi_tcp_pacing_limit(struct wi_tcp_conn *);  /* the user's limit, or the controller, changed */

/* So many bytes left: when may the next? */
void wi_tcp_pace_sent(struct wi_tcp_conn *, uint32_t bytes);

/* Must the next wait? Then the timer is armed for it. */
bool wi_tcp_pace_holds(struct wi_tcp_conn *);
void wi_tcp_pace_fire(struct wi_tcp_conn *);

/* ---- ack.c ---- */

/* What one ACK did; passed along the steps of ACK processing. */
struct wi_tcp_ackinfo {
    struct wi_seq prior_una, prior_fack; /* before it: snd_una, and the start of the highest SACKed record */
    uint32_t prior_packets, prior_in_flight, prior_delivered; /* segments */
    uint32_t acked_segs;                                      /* cumulatively acknowledged */
    weir_ns first_ack_at, last_ack_at;   /* when the first and the last of them, never retransmitted, were sent */
    weir_ns first_sack_at, last_sack_at; /* the same of what was SACKed; WEIR_NEVER: none */
    int64_t ack_rtt_us, sack_rtt_us, ca_rtt_us; /* -1: none */
    struct wi_seq reord;                        /* lowest number, never retransmitted, that was delivered late */
    bool has_reord;
    uint32_t delivered_bytes; /* of data, in order or by SACK */
    bool ts_advanced;         /* its timestamp is newer than any before */
    bool has_data;            /* the segment takes sequence space or carries payload */
    bool wnd_updated, una_advanced, data_acked, syn_acked;
    bool retrans_acked; /* something that was sent twice */
    bool orig_acked;    /* something at or below high_seq that was sent once: F-RTO's evidence */
    bool data_sacked, dsack, dsack_of_probe, ecn_echo, sack_reneging;
    uint32_t prior_lost, prior_ce; /* wi_tcp_conn.lost_total and delivered_ce before it */
    struct wi_tcp_rate rate;
    bool set_timer; /* the RTO is to be armed anew */
};

/* Step 5 for synchronised states: the ACK field, SACK, window, congestion. NONE, or why the segment must go no further
 * (an ACK or challenge is then noted). */
enum weir_drop wi_tcp_ack(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* Is its window, `wnd` bytes, news? */
bool wi_tcp_may_update_window(const struct wi_tcp_conn *, const struct wi_tcp_seg *, uint32_t wnd);

/* ---- sack.c ---- */

/* Read the segment's SACK option into the scoreboard. */
void wi_tcp_sack_input(struct wi_tcp_conn *, const struct wi_wire_tcp *, struct wi_tcp_ackinfo *);

/* Forget what the peer SACKed (an RTO's doubt, reneging). */
void wi_tcp_sack_forget(struct wi_tcp_conn *);

/* Mark what DupThresh SACKed segments above say is lost: RFC 6675 4. */
void wi_tcp_sack_mark_lost(struct wi_tcp_conn *);

/* Dupacks of a peer without SACK count as segments that left; what is acknowledged takes them back; and none. */
void wi_tcp_reno_dupack(struct wi_tcp_conn *, uint32_t n);
void wi_tcp_reno_acked(struct wi_tcp_conn *, uint32_t acked);
void wi_tcp_reno_reset(struct wi_tcp_conn *);

/* ---- recovery.c ---- */

#define WI_TCP_UNDO_UNKNOWN UINT32_MAX /* of undo_retrans: nothing was sent again yet, DSACKs prove nothing */

/* Segments in the network, by the scoreboard: RFC 6675's pipe. */
static inline uint32_t wi_tcp_in_flight(const struct wi_tcp_conn *c)
{
    return c->loss.packets_out - c->loss.sacked_out - c->loss.lost_out + c->loss.retrans_out;
}

static inline bool wi_tcp_in_slow_start(const struct wi_tcp_conn *c)
{
    return c->cwnd < c->ssthresh;
}

static inline bool wi_tcp_in_cwnd_reduction(const struct wi_tcp_conn *c)
{
    return c->loss.ca == WI_TCP_CA_CWR || c->loss.ca == WI_TCP_CA_RECOVERY;
}

void wi_tcp_loss_init(struct wi_tcp_conn *);

/* After the scoreboard is up to date: decide about loss, and what cwnd becomes. */
void wi_tcp_recovery_ack(struct wi_tcp_conn *, struct wi_tcp_ackinfo *);

/* The retransmission timer fired: everything outstanding is taken for lost. RFC 5681 3.1, 6298 5. */
void wi_tcp_enter_loss(struct wi_tcp_conn *);

/* Reduce once for a reason other than loss. */
void wi_tcp_enter_cwr(struct wi_tcp_conn *);

/* Everything too large for a new path MTU is lost, without a reduction; 0: everything. */
void wi_tcp_simple_retransmit(struct wi_tcp_conn *, uint32_t mss);

/* Send again what is marked lost, as cwnd allows. */
void wi_tcp_xmit_lost(struct wi_tcp_conn *);

/* Delivery out of order was seen, from this number on: DupThresh grows. */
void wi_tcp_note_reordering(struct wi_tcp_conn *, struct wi_seq low);

void wi_tcp_mark_lost(struct wi_tcp_conn *, struct wi_tcp_rec *);

/* A record was sent again: marks and counters. */
void wi_tcp_note_retransmitted(struct wi_tcp_conn *, struct wi_tcp_rec *);

/* The same of what is in no record, a SYN-ACK: when the episode's first retransmission went. */
void wi_tcp_note_retransmission(struct wi_tcp_conn *);

/* The SYN-ACK of a connection that is in use is acknowledged: a timeout of it that reduced the window is over, and
 * undone when the echoed timestamp shows that it was needless. */
void wi_tcp_synack_answered(struct wi_tcp_conn *);

/* cwnd or ssthresh changed: tell. */
void wi_tcp_event_cwnd(const struct wi_tcp_conn *, uint32_t cwnd_before, const char *cause);

/* A reordering timer found something lost: Recovery begins, if it has not. */
void wi_tcp_recover_by_time(struct wi_tcp_conn *);

/* A tail loss probe repaired a loss: the window falls once, at once. */
void wi_tcp_tlp_repaired(struct wi_tcp_conn *);

/* ---- rack.c ---- */

bool wi_tcp_rack_is_on(const struct wi_tcp_conn *);

/* This record was delivered: is it the one sent last of those (RFC 8985 6.2 step 2)? */
void wi_tcp_rack_advance(struct wi_tcp_conn *, const struct wi_tcp_rec *);

/* Was it sent so lately that its ACK can't be here yet? */
bool wi_tcp_rack_is_recent(const struct wi_tcp_conn *, const struct wi_tcp_rec *);

/* After the scoreboard: mark what is lost, arm the reordering timer for what may be. True: it is armed. */
bool wi_tcp_rack_mark_lost(struct wi_tcp_conn *);

/* Nothing was lost: take the marks away, and let time judge those records again. */
void wi_tcp_rack_unmark_all(struct wi_tcp_conn *);

/* Widen the reordering window by the DSACKs of an ACK, or let it fall back. */
void wi_tcp_rack_note_dsack(struct wi_tcp_conn *, const struct wi_tcp_rate *);
void wi_tcp_rack_fire(struct wi_tcp_conn *);

/* RFC 8985 7.2's probe timeout: an acknowledgement that takes longer is overdue. */
weir_ns wi_tcp_pto(const struct wi_tcp_conn *);

/* Arm the probe timer in place of the RTO; from_now: the RTO would be armed anew as well. False: no probe is due. */
bool wi_tcp_tlp_arm(struct wi_tcp_conn *, bool from_now);
void wi_tcp_tlp_fire(struct wi_tcp_conn *);
void wi_tcp_tlp_ack(struct wi_tcp_conn *, const struct wi_tcp_ackinfo *); /* while tlp_on */

/* ---- cwnd.c ---- */

void wi_tcp_cwnd_init(struct wi_tcp_conn *);                      /* the first window, once the options are known */
void wi_tcp_cwnd_validate(struct wi_tcp_conn *, bool is_limited); /* RFC 7661's question: is it used? */
void wi_tcp_cwnd_after_idle(struct wi_tcp_conn *);                /* RFC 5681 4.1 */
uint32_t wi_tcp_current_ssthresh(const struct wi_tcp_conn *);     /* to come back to */
bool wi_tcp_is_cwnd_limited(const struct wi_tcp_conn *);

/* ---- rtt.c ---- */

void wi_tcp_rtt_init(struct wi_tcp_conn *);
void wi_tcp_rtt_sample(struct wi_tcp_conn *, uint32_t us); /* RFC 6298 2; RTO follows, back-off is over */

/* Of the ACK of our SYN-ACK: sent once, its time; sent again, the timestamp tells which it answers. */
void wi_tcp_rtt_handshake(struct wi_tcp_conn *, const struct wi_wire_tcp *);

/* Of an ACK: from records never retransmitted, else from the echoed timestamp (RFC 7323 4). */
bool wi_tcp_rtt_ack(struct wi_tcp_conn *, const struct wi_wire_tcp *, struct wi_tcp_ackinfo *);
void wi_tcp_rto_update(struct wi_tcp_conn *); /* from the estimates, without back-off */
void wi_tcp_rtt_backoff(struct wi_tcp_conn *);
weir_ns wi_tcp_rto_min(const struct wi_tcp_conn *);
weir_ns wi_tcp_rto_max(const struct wi_tcp_conn *);

/* ---- timers.c ---- */

void wi_tcp_arm_rtx(struct wi_tcp_conn *, enum weir_timer, weir_ns delay);
void wi_tcp_rearm_rto(struct wi_tcp_conn *);       /* RFC 6298 5.1-5.3, as seen from the oldest record */
void wi_tcp_rearm_after_ack(struct wi_tcp_conn *); /* the RTO anew, or a tail loss probe before it */
void wi_tcp_stop_rtx(struct wi_tcp_conn *);
void wi_tcp_arm_probe(struct wi_tcp_conn *); /* a persist timer, unless something else will wake us */
void wi_tcp_arm_delack(struct wi_tcp_conn *, weir_ns delay);
void wi_tcp_stop_delack(struct wi_tcp_conn *);
void wi_tcp_arm_pace(struct wi_tcp_conn *); /* at pace_at */
void wi_tcp_stop_pace(struct wi_tcp_conn *);
void wi_tcp_event_timer(const struct wi_tcp_conn *, enum weir_timer);

/* A timeout happened; and what it began is repaired. For TCP_INFO. */
void wi_tcp_note_rto(struct wi_tcp_conn *);
void wi_tcp_note_rto_over(struct wi_tcp_conn *);

/* ---- ackpol.c ---- */

void wi_tcp_ackpol_init(struct wi_tcp_conn *); /* the connection stands */
/* A segment with data was taken, or its data was here already; what of it is left does not matter. */
void wi_tcp_ack_data(struct wi_tcp_conn *, const struct wi_tcp_seg *, bool in_order);
void wi_tcp_ack_check(struct wi_tcp_conn *); /* after input: an ACK now, or the delayed-ACK timer */
void wi_tcp_delack_fire(struct wi_tcp_conn *);
void wi_tcp_data_sent(struct wi_tcp_conn *); /* the application answers: interactive */

/* ---- input.c and its parts ---- */

enum weir_drop wi_tcp_input_syn_sent(struct wi_tcp_conn *, struct wi_tcp_seg *);
void wi_tcp_ts_recent_update(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* The options are known and the state is ESTABLISHED: sizes, windows, timers for it. */
void wi_tcp_finish_established(struct wi_tcp_conn *);

/* Sixth to eighth check for what came beside a SYN-ACK. */
enum weir_drop wi_tcp_input_text(struct wi_tcp_conn *, struct wi_tcp_seg *);

/* ---- event.c ---- */

/* Tell of a segment that goes out; returns the event's serial for the packet, 0 when nobody listens. */
uint64_t wi_tcp_event_seg_out(const struct wi_tcp_conn *, const struct wi_wire_tcp *, const struct weir_pkt *,
                              enum weir_why);
uint64_t wi_tcp_event_bare_out(struct wi_tcp *, const struct wi_tcp_bare *, const struct weir_pkt *);
void wi_tcp_event_rexmit(const struct wi_tcp_conn *, const struct wi_tcp_rec *, enum weir_why);
void wi_tcp_event_pmtu(const struct wi_tcp_conn *, uint32_t size_before, const char *cause);
void wi_tcp_event_rtt(const struct wi_tcp_conn *, weir_ns sample);
void wi_tcp_event_state(const struct wi_tcp_conn *, enum weir_tcp_state from, enum weir_tcp_state to,
                        const char *cause);

#endif
