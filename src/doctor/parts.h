/*
 * The doctor's parts, and what they call of each other.
 */
#ifndef WDC_PARTS_H
#define WDC_PARTS_H

#include "doctor/conn.h"

/* ---- track.c: numbers ---- */
void wdc_track_base(struct wdc_step *);
void wdc_track_ack(struct wdc_step *);
void wdc_track_window(struct wdc_step *);
void wdc_track_data(struct wdc_step *);
void wdc_track_end(struct wdc_conn *, unsigned side); /* what is still open is settled */
void wdc_track_free(struct wdc *, struct wdc_half *);

/* ---- segs.c: what is in flight ---- */
bool wdc_segs_push(struct wdc *, struct wdc_half *, const struct wdc_seg *);
struct wdc_seg *wdc_segs_at(struct wdc_half *, uint32_t i); /* from the oldest */
struct wdc_seg *wdc_segs_find(struct wdc_half *, uint64_t off);
void wdc_segs_drop(struct wdc *, struct wdc_half *, uint64_t una);

/* ---- again.c: retransmissions, holes ---- */
void wdc_again_fill(struct wdc_step *, struct wdc_hole *, uint64_t lo, uint64_t hi); /* a hole's place is filled */
void wdc_again_seen(struct wdc_step *, uint64_t lo, uint64_t hi);                    /* bytes that were seen before */
void wdc_again_acked(struct wdc_step *, uint64_t una);
void wdc_again_dsack(struct wdc_step *, uint64_t lo, uint64_t hi);
void wdc_again_overtaken(
    struct wdc_step *); /* before the ACK moves: did segments overtake each other behind the capture? */
void wdc_again_end(struct wdc_half *);
void wdc_again_tail(struct wdc_step *); /* new data that may be a retransmission of what the capture did not see */

/* ---- rtt.c ---- */
void wdc_rtt_sample(struct wdc_rtt *, uint64_t frame, weir_ns sample, uint64_t flight, bool is_data);

/* ---- pace.c: what held the sender up ---- */
void wdc_pace_ack(struct wdc_step *);                             /* behind the numbers */
void wdc_pace_data(struct wdc_step *);                            /* before the numbers move */
weir_ns wdc_pace_acked_at(const struct wdc_half *, uint64_t off); /* about when; 0: longer ago than is kept */
void wdc_pace_end(struct wdc_conn *, unsigned side);

/* ---- open.c, end.c: the handshake and the end ---- */
void wdc_open_syn(struct wdc_step *);
void wdc_open_other(struct wdc_step *); /* any segment without SYN */
void wdc_end_reset(struct wdc_step *);
void wdc_end_fin(struct wdc_step *);

/* ---- hosts.c: hosts and ports, ARP, ND, ICMP ---- */
struct wdc_host *wdc_host_find(const struct wdc *, const struct weir_addr *, uint16_t port); /* NULL: unknown */
struct wdc_host *wdc_host_get(struct wdc *, const struct weir_addr *, uint16_t port);        /* NULL: no room */
void wdc_host_heard(struct wdc *, const struct weir_addr *); /* it is there: requests for it are answered */
void wdc_hosts_neighbour(struct wdc *, const struct wtr_dissect *, const struct wdc_frame *);
void wdc_hosts_icmp(struct wdc *, const struct wtr_dissect *, const struct wdc_frame *);
void wdc_hosts_finish(struct wdc *);

/* ---- engine.c ---- */
struct wdc_conn *wdc_find(struct wdc *, const struct weir_sockaddr *from, const struct weir_sockaddr *to,
                          unsigned *side);

/* ---- judge*.c: the verdicts ---- */
struct wdc_case {
    const struct wdc *doc;
    struct wdc_conn *conn;
    struct wdc_result *result;
};
void wdc_judge(struct wdc *, struct wdc_conn *, struct wdc_result *);
void wdc_judge_sort(struct wdc_result *);
void wdc_judge_open(struct wdc_case *);
void wdc_judge_end(struct wdc_case *);
void wdc_judge_loss(struct wdc_case *);
bool wdc_is_black_hole(const struct wdc_conn *, unsigned side);
void wdc_judge_path(struct wdc_case *);
void wdc_judge_rate(struct wdc_case *);

/* A new finding, to be filled; never NULL (the last one is used again when there are too many). */
struct wdc_finding *wdc_find_add(struct wdc_result *, enum wdc_verdict, enum wdc_whose, enum wdc_sure);
void wdc_find_show(struct wdc_finding *, const struct wdc_evidence *);
void wdc_find_frame(struct wdc_finding *, uint64_t frame);
__attribute__((format(printf, 2, 3))) void wdc_find_what(struct wdc_finding *, const char *, ...);
__attribute__((format(printf, 2, 3))) void wdc_find_cause(struct wdc_finding *, const char *, ...);
const char *wdc_side_name(unsigned side);             /* "the client", "the server" */
const char *wdc_span(weir_ns, char *buf, size_t cap); /* "1.20 s", "35 ms" */

#endif
