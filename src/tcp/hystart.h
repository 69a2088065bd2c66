/*
 * HyStart: leaving slow start before the queue overflows. Classic HyStart as Linux's CUBIC has it (by the length of ACK
 * trains, by rising delay), or HyStart++ (RFC 9406): a delay that rises begins Conservative Slow Start, which goes back
 * when the rise was noise. Which of them: tcp_cubic.parameters.hystart_detect.
 */
#ifndef WI_TCP_HYSTART_H
#define WI_TCP_HYSTART_H

#include "tcp/cc.h"

struct wi_tcp_hystart {
    weir_ns round_at, train_at;         /* when this round began, and the last ACK of its train */
    struct wi_seq round_end;            /* snd_nxt then */
    uint32_t round_rtt_us, last_rtt_us; /* least of this round and of the last, UINT32_MAX: none */
    uint32_t css_base_us;               /* what the delay had risen to when CSS began; valid while css_round */
    uint8_t sample_n;                   /* RTT samples of this round, held at 8 */
    uint8_t css_round;                  /* 1 to 5 in Conservative Slow Start, else 0 */
    uint8_t css_rest;                   /* acknowledged segments that CSS has not counted yet */
    bool is_over;                       /* slow start was left */
};

/* A new connection, or slow start again after a timeout. */
void wi_tcp_hystart_begin(struct wi_tcp_conn *, struct wi_tcp_hystart *);

/* An ACK in slow start with this RTT; delay_min_us is the path's least. May end slow start: ssthresh is cwnd then. */
void wi_tcp_hystart_ack(struct wi_tcp_conn *, struct wi_tcp_hystart *, uint32_t rtt_us, uint32_t delay_min_us);

/* How many of these acknowledged segments count for slow start's growth: a quarter in CSS, else all. */
uint32_t wi_tcp_hystart_growth(struct wi_tcp_hystart *, uint32_t acked);

#endif
