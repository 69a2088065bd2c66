/*
 * A TCP connection, and what TCP holds for a stack. Every file of this folder works on these two structs; the
 * prototypes below are grouped by the file that owns them.
 *
 * Names are RFC 9293's (snd_una, rcv_nxt), units are in the names. Counts of segments are what Linux counts: a
 * super-segment of n MSS counts n. Input, timers and API calls don't transmit: they note what is owed (wi_tcp_owe), and
 * wi_tcp_flush lets output decide. (Window and keepalive probes leave from their timers.)
 */
#ifndef WI_TCP_CONN_H
#define WI_TCP_CONN_H

#include "base/bytes.h"
#include "base/core.h"
#include "base/htable.h"
#include "base/list.h"
#include "base/rbtree.h"
#include "base/seq.h"
#include "base/slab.h"
#include "net/net.h"
#include "net/ports.h"
#include "net/sk.h"
#include "tcp/cc.h"
#include "tcp/chrono.h"
#include "tcp/ecn.h"
#include "tcp/ledger.h"
#include "tcp/park.h"
#include "tcp/rcvq.h"
#include "wire/tcp.h"

#define WI_TCP_MSS_DEFAULT_V4 536         /* RFC 9293 MUST-15 */
#define WI_TCP_TS_SPACE       12u         /* what timestamps take of a segment: the option and two NOPs */
#define WI_TCP_MSS_DEFAULT_V6 1220        /* RFC 9293 MUST-15 */
#define WI_TCP_MSS_MIN        48          /* Linux's tcp_min_snd_mss: below it a peer could make us send headers only */
#define WI_TCP_RTO_INIT       WEIR_SEC(1) /* RFC 6298 2.1 */
#define WI_TCP_RTO_FALLBACK   WEIR_SEC(3) /* RFC 6298 5.7 */
#define WI_TCP_DELACK_MAX     WEIR_MS(200)             /* Linux; RFC 1122 4.2.3.2 allows 500 ms */
#define WI_TCP_DELACK_MIN     WEIR_MS(40)              /* Linux's TCP_ATO_MIN */
#define WI_TCP_INIT_CWND      10                       /* RFC 6928 */
#define WI_TCP_TIMEWAIT       WEIR_SEC(60)             /* Linux's 2 MSL */
#define WI_TCP_PAWS_24DAYS    WEIR_SEC(24 * 24 * 3600) /* RFC 7323 5.5: then ts_recent is outdated */
#define WI_TCP_SSTHRESH_INF   0x7fffffffu
#define WI_TCP_CC_STATE_WORDS 24
#define WI_TCP_REC_CHUNKS     16 /* so that a record fits a packet's WEIR_PKT_FRAGS */

struct wi_tcp_listener; /* listen.c */
struct wi_tcp_request;  /* listen.c */
struct wi_tcp_fo_cookie;
struct wi_tcp_saved_syn; /* savedsyn.h */
struct wi_tcp_timewait;  /* timewait.c */

/* ---- What waits to be done at the next flush (wi_tcp_conn.owed) ---- */

enum wi_tcp_owed {
    WI_TCP_OWE_SEND = 1 << 0, /* look whether data, FIN, SYN or retransmissions may go out */
    WI_TCP_OWE_ACK = 1 << 1,  /* an ACK, unless data that goes out carries it */
    WI_TCP_OWE_RST = 1 << 2,  /* a reset at snd_nxt; the connection is CLOSED already */
    WI_TCP_OWE_FREE = 1 << 3, /* CLOSED and without owner: free it */
    WI_TCP_OWE_SYN = 1 << 4,  /* the SYN again, with an ACK: simultaneous open */
};

/* ---- Send queue (sndq.c) ---- */

/* A run of bytes to send: a view, and where it lies in sequence space. */
struct wi_tcp_chunk {
    struct wi_list link; /* wi_tcp_sndq.chunks */
    struct weir_block *block;
    uint32_t off, len;    /* of the view in the block, bytes */
    struct wi_seq seq;    /* of its first byte */
    struct weir_pkt *pkt; /* in the receive queue: its bytes are this packet's views from `frag` on, of which block and
                             off are the first's; NULL: one view, of a block of its own */
    uint32_t frag;
    weir_ns at;      /* when it came; in the receive queue */
    uint32_t charge; /* in the receive queue: of the segment whose first chunk it is; else 0 */
    uint32_t room;   /* the same: what may be added to the segment without more charge */
    bool is_ours;    /* the block was made by the queue: free room behind the view may be filled */
};

enum wi_tcp_rec_mark {
    WI_TCP_REC_SACKED = 1 << 0,  /* the peer has it (SACK), or a dupack is ascribed to it (no SACK) */
    WI_TCP_REC_LOST = 1 << 1,    /* taken for lost */
    WI_TCP_REC_RETRANS = 1 << 2, /* its retransmission is under way */
    WI_TCP_REC_EVER = 1 << 3,    /* was retransmitted at some time (Karn) */
};

/*
 * What one transmission covers: [seq, end) with FIN or SYN counted in. Up to 64 KiB, cut where loss detection needs it,
 * as Linux's skb. In queue order from snd_una on; those before send_head have been sent and are in one of the two
 * trees.
 */
struct wi_tcp_rec {
    struct wi_list link;        /* wi_tcp_sndq.recs */
    struct wi_rb_node node;     /* wi_tcp_sndq.unsacked or .sacked; valid while was_sent */
    struct wi_list ts_link;     /* wi_tcp_sndq.by_time, while it may be lost by time */
    struct wi_tcp_chunk *chunk; /* where its first byte lies; NULL while it has no payload */
    struct wi_seq seq, end;
    weir_ns sent_at;       /* last transmission; valid while was_sent */
    weir_ns first_sent_at; /* first transmission */
    weir_ns first_at;      /* when the flight that this transmission belongs to began (delivery rate) */
    weir_ns deliv_at;      /* wi_tcp_conn.delivered_at when it was sent (delivery rate) */
    uint32_t delivered;    /* wi_tcp_conn.delivered when it was sent */
    uint32_t lost_before;  /* wi_tcp_conn.lost_total when it was sent */
    uint32_t tx_in_flight; /* segments in the network with it */
    uint32_t tx_order;     /* of its last transmission, counted through: tells apart what left at one moment */
    uint16_t segs;         /* segments that it counts for; 0 until first sent */
    uint16_t mss;          /* of its last transmission: gso_size */
    uint16_t flags;        /* WI_TH_SYN, FIN, PSH of its last segment */
    uint8_t marks;         /* enum wi_tcp_rec_mark */
    uint8_t rexmit_n;      /* transmissions beyond the first, held at 255 */
    uint8_t chunk_n;       /* chunks that it touches, at most WI_TCP_REC_CHUNKS */
    bool was_sent;
    bool is_app_limited; /* the application gave less than fits when it was sent */
    bool is_rate_told;   /* it was delivered and has had its say in a delivery rate sample */
    bool is_eor;         /* MSG_EOR: nothing may be appended */
    bool is_summed;      /* data_sum is of all its payload */
    uint8_t zc_n;        /* pieces of MSG_ZEROCOPY in it, as many as Linux's would have */
    uint32_t zc;         /* the write with MSG_ZEROCOPY that it has bytes of (notice.h), 0: none */
    uint64_t data_sum;   /* partial sum (base/checksum.h), taken while the bytes were copied in */
};

struct wi_tcp_sndq {
    struct wi_list recs;
    struct wi_list chunks;
    struct wi_rb_root unsacked;   /* sent records by seq, those that are not marked SACKED; */
    struct wi_rb_root sacked;     /* and those that are */
    struct wi_list by_time;       /* sent records by their last transmission; without those SACKed or just lost */
    struct wi_tcp_rec *send_head; /* first unsent, NULL: none */
    uint32_t mem_bytes;           /* charged against opts.sndbuf_bytes: blocks, views, records */
    bool was_refused;             /* the last write got less than it wanted, and there has been no room since */
    bool was_full;                /* there was no room (wi_tcp_sndq_writable), and nobody was told of any since */
};

/* ---- A segment that arrived ---- */

struct wi_tcp_seg {
    struct weir_pkt *pkt; /* lent: take a reference, or its views, to keep it */
    const struct wi_ip *ip;
    int netif;
    struct wi_wire_tcp h;
    struct wi_seq seq, end; /* sequence space left to process; trimming moves them */
    uint32_t data_off;      /* of the payload left, from the packet's start */
    uint32_t data_len;
    uint16_t gso_size; /* payload bytes of one wire segment; data_len when it is not a super-segment */
};

/* ---- What a SYN said, and what was answered ---- */

struct wi_tcp_syn {
    struct wi_seq iss, irs;
    uint32_t snd_wnd_bytes; /* of the segment that completes the handshake or the SYN */
    uint16_t peer_mss;      /* 0: it named none */
    uint8_t snd_wscale, rcv_wscale;
    bool wscale_ok, sack_ok, ts_ok;
    uint8_t ecn;            /* enum wi_tcp_ecn_mode that is agreed to */
    uint32_t ts_recent;     /* valid when ts_ok */
    uint32_t ts_off;        /* added to our clock */
    uint32_t rcv_wnd_bytes; /* what the SYN-ACK offered, unscaled */
    weir_ns synack_at;      /* first SYN-ACK sent; 0: unknown (cookie): no RTT sample */
    uint8_t synack_rexmit_n;
    uint8_t tos; /* of the IP header that the peer's SYN came with, or without its ECN bits the ACK of a cookie */
    uint64_t id; /* wi_sk.id */
};

/* ---- Round-trip times (rtt.c) ---- */

struct wi_tcp_rtt {
    uint32_t srtt_us8;     /* 8 × smoothed, microseconds; 0: no sample yet */
    uint32_t mdev_us4;     /* 4 × mean deviation */
    uint32_t mdev_max_us4; /* its maximum in this round */
    uint32_t rttvar_us4;   /* 4 × what RTO is made of */
    struct wi_seq seq;     /* snd_nxt when the round began */
    weir_ns rto;           /* without back-off below it: the current value, back-off included */
    uint32_t min_us;       /* windowed minimum; UINT32_MAX: none */
    weir_ns min_at;
    uint8_t backoff; /* doublings in rto */
};

/* ---- Loss recovery (recovery.c, sack.c) ---- */

/* As Linux's tcp_ca_state, number for number (tcpi_ca_state). */
enum wi_tcp_ca {
    WI_TCP_CA_OPEN,     /* nothing suspicious */
    WI_TCP_CA_DISORDER, /* dupacks or SACKs, not yet taken for loss */
    WI_TCP_CA_CWR,      /* cwnd reduced for another reason than loss (ECN, local congestion) */
    WI_TCP_CA_RECOVERY, /* fast retransmit happened; until snd_una reaches high_seq */
    WI_TCP_CA_LOSS,     /* an RTO, or SACK reneging; until snd_una reaches high_seq */
};

struct wi_tcp_loss {
    enum wi_tcp_ca ca;
    uint32_t packets_out;       /* segments sent and not cumulatively acknowledged */
    uint32_t sacked_out;        /* of these: marked SACKED; without SACK: dupacks */
    uint32_t lost_out;          /* marked LOST */
    uint32_t retrans_out;       /* marked RETRANS */
    uint32_t reordering;        /* DupThresh in segments, adaptive (tcp_reordering at first) */
    struct wi_seq high_seq;     /* snd_nxt when Recovery, Loss or CWR began */
    struct wi_seq high_sacked;  /* end of the highest SACKed record; valid while sacked_out and SACK */
    struct wi_seq retrans_hint; /* where the search for the next LOST record begins; >= snd_una */
    struct wi_seq undo_una;     /* snd_una when cwnd was reduced; valid while undo_on */
    bool undo_on;
    uint32_t newly_lost;                 /* segments marked lost by the ACK that is being processed */
    uint32_t undo_retrans;               /* retransmissions not yet shown spurious */
    uint32_t prior_cwnd, prior_ssthresh; /* segments, before the reduction */
    uint32_t prr_delivered, prr_out;     /* segments, RFC 9937 */
    uint8_t dupacks;                     /* in a row */
    struct wi_seq dup_bound;             /* Recovery without SACK: what lies below may have made dupacks by now */
    weir_ns dup_bound_at;                /* it was snd_nxt then */
    uint8_t retransmits;                 /* RTOs in a row: tcpi_retransmits */
    bool frto;                           /* F-RTO is deciding (RFC 5682) */
    bool frto_new;                       /* its step 2b: the next flush sends new data first */
    bool is_pmtu;                        /* Loss began with a smaller path MTU, not with a timeout */
    bool is_probe_loss;                  /* and that because a path MTU probe alone was lost */
    bool want_rexmit;                    /* the next flush sends again what is marked lost */
    bool is_reneging;                    /* the peer gave up what it had SACKed */
    weir_ns retrans_stamp;               /* first retransmission of the episode; 0: none */
    /* RACK (RFC 8985) */
    weir_ns rack_sent_at;   /* of the most recently sent record that was delivered; 0: none */
    uint32_t rack_order;    /* its tx_order */
    struct wi_seq rack_end; /* its end */
    uint32_t tx_order;      /* of the next transmission */
    uint32_t rack_rtt_us;
    struct wi_seq lost_upto; /* loss marking by SACK has dealt with everything below */
    bool rack_advanced, rack_dsack_seen;
    uint8_t rack_reo_steps;       /* the reordering window in quarters of the minimum RTT */
    uint8_t rack_reo_persist;     /* recoveries until it falls back to one */
    uint32_t rack_last_delivered; /* delivered when the window last grew */
    struct wi_seq tlp_high;       /* snd_nxt when the probe went; valid while tlp_on */
    bool tlp_on, tlp_is_rexmit;
    bool tlp_unsampled; /* no RTT was measured since the last probe: RFC 8985 7.3 allows no other */
};

/* ---- Path MTU probing (mtup.c; RFC 4821). Sizes are of IP packets, bytes ---- */

struct wi_tcp_mtup {
    bool is_on;                         /* tcp_mtu_probing 2, or 1 and a black hole was met */
    bool is_verifying;                  /* the size was raised a moment ago: does it hold (RFC 4821 7.8)? */
    uint32_t search_low, search_high;   /* works; may work at most */
    uint32_t probe_size;                /* of the probe under way, 0: none */
    struct wi_seq probe_seq, probe_end; /* what it carries */
    weir_ns begun_at;                   /* when the search began, last time */
    weir_ns not_before;                 /* no probe before this: the last one failed */
    /* Valid while is_verifying */
    uint32_t verified_low;             /* search_low before it was raised */
    struct wi_seq verify_end;          /* so much is looked at */
    uint32_t verify_sent, verify_lost; /* segments: lost_total and data_segs_out when it began */
};

/* ---- Fast Open (fastopen.c, fastopen_client.c; RFC 7413) ---- */

struct wi_tcp_fo_pending; /* fastopen.h */
struct wi_tcp_notices;    /* notice.c */

struct wi_tcp_fo {
    struct wi_tcp_fo_pending *pending; /* a child in use whose SYN-ACK is unacknowledged; NULL: not so */
    struct wi_sysctl_keys *keys;       /* TCP_FASTOPEN_KEY, NULL: the tunable's */
    uint32_t queue_max;                /* TCP_FASTOPEN: pending children at most, 0: off */
    bool connect, no_cookie;           /* TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE */
    bool asked;                        /* the SYN has, or is to have, the option */
    bool deferred;                     /* SYN-SENT, but the SYN waits for the first write */
    bool asks_anew;                    /* its data could not be read: our SYN asks for a cookie, whatever we have */
    bool syn_opt, syn_opt_exp;         /* our SYN had the option; in its experimental form */
    bool syn_data;                     /* our SYN had data */
    bool is_child;                     /* we took its SYN for a Fast Open request */
    bool syn_data_acked;               /* ours were taken, or we took the peer's */
    bool is_trial;                     /* sent after a pause for a black hole: success ends the back-off */
    uint8_t client_fail;               /* tcpi_fastopen_client_fail: 1 no cookie, 2 data not taken, 3 SYN sent again */
};

/* What a stack keeps for it. */
struct wi_tcp_fo_stack {
    struct wi_htable peers; /* client: struct wi_tcp_fo_peer by addresses */
    struct wi_list peers_lru;
    struct wi_slab peer_slab, pending_slab;
    uint32_t hole_n; /* black holes met in a row, 0: none */
    weir_ns hole_at; /* the last; valid while hole_n */
};

/* ---- The connection ---- */

/* What connect() has come to, as Linux's socket_state: it outlives the connection, so that errors are told once. */
enum wi_tcp_sock_state { WI_TCP_UNCONNECTED, WI_TCP_CONNECTING, WI_TCP_CONNECTED };

struct wi_tcp_conn {
    struct wi_sk sk; /* first: a wi_sk is the conn */
    struct wi_tcp *tcp;
    enum weir_tcp_state state; /* written by state.c alone */
    uint8_t owed;              /* enum wi_tcp_owed */
    uint8_t dup_acks_owed;     /* out-of-order segments since rcv_nxt moved: each deserves its ACK (RFC 5681 4.2), and
                                  so does what came in order before them */
    enum weir_why ack_why;     /* why the owed ACK is sent; the first reason stays */
    enum weir_why rst_why;
    struct wi_list all_link;  /* wi_tcp.all */
    struct wi_list pend_link; /* wi_tcp.pending, while anything is owed */

    /* Identity (demux.c, listen.c) */
    struct wi_hnode hnode;            /* wi_tcp.conns, while is_hashed */
    struct wi_list queue_link;        /* a listener's accept queue or list of held SYNs */
    struct wi_tcp_listener *listener; /* LISTEN: ours. Else the listener whose queue holds us, NULL: none */
    struct wi_tcp_request *held;      /* the SYN that WEIR_OPT_HOLD_SYN surfaced us for, until its handshake is over */
    uint8_t sock_state;               /* enum wi_tcp_sock_state */
    bool is_hashed;
    bool is_active;    /* opened from here */
    bool is_orphan;    /* counted in wi_tcp.orphan_n: closed by its owner and still in the protocol */
    bool is_shell;     /* a TIME-WAIT entry has taken our place; only the unread data is left */
    bool close_told;   /* the CLOSE event went out */
    uint8_t shut;      /* 1: receiving, 2: sending (Linux's RCV_SHUTDOWN, SEND_SHUTDOWN) */
    bool has_rcvd_fin; /* the peer's FIN was consumed */
    struct wi_dst dst; /* the route; valid once the local address is known */

    /* Send sequence space (RFC 9293 3.3.1) */
    struct wi_seq iss, snd_una, snd_nxt;
    struct wi_seq write_seq;  /* behind the last byte queued, FIN included */
    struct wi_seq snd_wl1;    /* SEG.SEQ of the last window update; SEG.ACK is not kept: snd_una serves (Linux) */
    struct wi_seq snd_sml;    /* end of the last small segment sent: Minshall's Nagle */
    struct wi_seq snd_up;     /* behind the urgent byte; valid while urg_snd_on */
    struct wi_seq pushed_seq; /* end of the last record marked PSH */
    uint32_t snd_wnd_bytes, snd_wnd_max_bytes;
    uint8_t snd_wscale; /* shift of what the peer sends, 0 without the option */
    bool urg_snd_on, fin_queued;

    /* Receive sequence space */
    struct wi_seq irs, rcv_nxt, rcv_wup; /* rcv_wup: rcv_nxt when the window was last advertised */
    struct wi_seq copied_seq;            /* next byte that the owner reads */
    uint32_t rcv_wnd_bytes;              /* as advertised, counted from rcv_wup */
    uint8_t rcv_wscale;
    struct wi_tcp_rcvq rcvq; /* rcvq.h: queues, buffer accounting, window tuning, urgent data */

    /* Negotiated (valid from SYN-RCVD on) */
    bool wscale_ok, sack_ok, ts_ok;
    struct wi_tcp_ecn ecn;
    bool ack_prior_owed, ack_prior_ece; /* DCTCP: before the next ACK, one for what came before the marking changed */
    struct wi_seq ack_prior;            /* its number; valid while ack_prior_owed */
    uint16_t mss_clamp; /* the peer's MSS option, or the default: payload and options (RFC 9293 3.7.1) */
    uint16_t user_mss;  /* TCP_MAXSEG, 0: none */
    uint16_t advmss;    /* what our SYN says */
    uint16_t snd_mss;   /* payload bytes of a full segment now: options and path MTU taken off */
    bool mtu_fell;      /* a packet was refused as too large: see to it at the next output */
    uint32_t pmtu;      /* that snd_mss was made for */
    struct wi_tcp_mtup mtup;

    /* Timestamps (RFC 7323) */
    uint32_t ts_recent;   /* valid when ts_recent_at != 0 */
    weir_ns ts_recent_at; /* when it was taken over */
    uint32_t ts_off;      /* added to our clock, this connection's */
    uint32_t last_tsecr;  /* TSecr of the last ACK, 0: none */
    uint32_t ts_retrans;  /* TSval of the first retransmission of the episode, 0: none (Eifel) */

    struct wi_tcp_sndq sndq;
    struct wi_tcp_rtt rtt;
    struct wi_tcp_loss loss;

    /* Congestion control (cc.h). Segments, as Linux counts */
    const struct wi_tcp_cc *cc;
    bool is_cc_chosen; /* by TCP_CONGESTION: a listener's children have it too, whatever the tunable says then */
    uint32_t cwnd, ssthresh, cwnd_cnt; /* ssthresh: WI_TCP_SSTHRESH_INF while infinite */
    uint32_t cwnd_used, max_packets_out;
    struct wi_seq max_packets_seq; /* end of the round that max_packets_out was taken in */
    weir_ns cwnd_stamp;
    bool is_cwnd_limited;
    uint64_t pacing_bps; /* bytes a second: bounds super-segments to about 1 ms; UINT64_MAX before the first sample */
    weir_ns pace_at;     /* before this nothing more is sent, while it is paced (pace.c) */
    uint64_t cc_state[WI_TCP_CC_STATE_WORDS]; /* the controller's own */

    /* Delivery rate (rate.c) */
    weir_ns delivered_at;  /* when `delivered` last grew */
    weir_ns first_tx_at;   /* when the flight began to be sent whose samples are taken now */
    uint32_t app_limited;  /* `delivered` when the writer's pause will be over, 0: it keeps up */
    uint32_t rate_segs;    /* the last sample: so much */
    weir_ns rate_interval; /* in this time; 0: none yet */
    bool is_rate_app_limited;

    /* ACK policy (ackpol.c) */
    uint32_t rcv_mss_est;  /* the peer's segment size as seen */
    weir_ns ato;           /* delayed-ACK estimate; 0: no data yet */
    weir_ns last_rcv_at;   /* data */
    uint32_t last_seg_len; /* of the last segment shorter than that */
    uint8_t ack_pushed;    /* short segments since the last ACK, at most 2: reading them out sends it */
    uint8_t quick_acks;    /* ACKs to be sent at once */
    uint8_t pingpong;      /* answers soon after data, held at 255: from tcp_pingpong_thresh on it is interactive */
    bool is_ack_sched;     /* an ACK is owed, sooner or later */
    bool ack_now;          /* and now, once */
    uint8_t dup_acks_told; /* ACKs for segments out of order since rcv_nxt became comp_rcv_nxt; held at 3 */
    uint8_t comp_acks;     /* further such segments that wait for one ACK: SACK compression */
    struct wi_seq comp_rcv_nxt;

    /* Timers (timers.c) */
    struct wi_timer timer_rtx;    /* RTO, persist, TLP, reordering: one at a time, rtx_kind says */
    struct wi_timer timer_delack; /* delayed ACK; SACK compression while comp_acks > 0 */
    struct wi_timer timer_pace;   /* waits for pace_at */
    struct wi_timer timer_keep;   /* keepalive */
    enum weir_timer rtx_kind;     /* valid while timer_rtx is armed */
    weir_ns probe_since;          /* first unanswered window probe; 0: none */
    uint8_t probes_out;           /* zero-window and keepalive probes unanswered */
    uint8_t probe_backoff;
    weir_ns last_ack_in_at; /* an acceptable ACK from the peer: keepalive counts from here */
    weir_ns last_send_at;   /* data */

    /* Options (options.c) */
    uint32_t user_timeout_ms;                       /* TCP_USER_TIMEOUT, 0: the retry counts decide */
    uint32_t keepidle_s, keepintvl_s;               /* 0: the tunable's */
    uint8_t keepcnt, syn_retries;                   /* 0: the tunable's */
    uint32_t rto_max_ms, rto_min_us, delack_max_us; /* TCP_RTO_MAX_MS and the like, 0: the tunable's, or 200 ms */
    bool thin_linear;                               /* TCP_THIN_LINEAR_TIMEOUTS */
    uint8_t save_syn;                               /* TCP_SAVE_SYN, a listener's */
    struct wi_tcp_saved_syn *saved_syn;             /* NULL: none, or read already */
    int32_t linger2_s;                              /* TCP_LINGER2; 0: the tunable's, negative: none */
    uint8_t defer_accept_n;                         /* TCP_DEFER_ACCEPT as SYN-ACK timeouts to wait for data; 0: none */
    uint32_t window_clamp_bytes;                    /* TCP_WINDOW_CLAMP, 0: none */
    uint32_t notsent_lowat_bytes;                   /* 0: the tunable's */
    bool nodelay, cork;
    bool more;     /* the last write had MSG_MORE: this flush sends full segments only */
    bool push_now; /* TCP_NODELAY or TCP_CORK changed: this flush holds nothing back */
    bool want_inq; /* TCP_INQ */

    struct wi_tcp_fo fo;
    struct wi_tcp_notices *notices; /* notice.h; NULL: nothing to tell the writer of */

    /* RFC 5961 7: challenge ACKs of this connection */
    weir_ns challenge_at; /* beginning of the current second */
    uint32_t challenge_n; /* sent in it */
    weir_ns oow_ack_at;   /* last ACK for an out-of-window segment (tcp_invalid_ratelimit) */

    struct wi_tcp_ledger ledger;
    struct wi_tcp_chrono chrono;

    /* Totals: events and TCP_INFO */
    weir_ns opened_at, established_at; /* the latter 0 before */
    uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
    uint64_t segs_out, segs_in, data_segs_out, data_segs_in, total_retrans;
    uint32_t delivered, delivered_ce; /* segments: Linux's tp->delivered */
    uint32_t lost_total;              /* segments marked lost, retransmissions too */
    uint32_t dsack_dups, reord_seen, rcv_ooopack;
    uint16_t total_rto, total_rto_recoveries; /* timeouts; rows of them without an ACK between */
    weir_ns rto_at;                           /* the row under way began, 0: none is */
    weir_ns total_rto_time;                   /* of those that are over */
    uint32_t rehash;                          /* timeouts after which another path was tried; */
    uint32_t dup_rehash; /* and retransmissions of the peer's that led to it: together the salt of the flow's hash */
    uint32_t rcv_flow_label; /* IPv6: of the last data */
    int end_err;             /* how it ended, an errno; valid in CLOSED and TIME-WAIT */
    weir_ns synack_rtt_from; /* when the SYN-ACK went, 0: no sample may be taken; valid in SYN-RCVD */
    uint8_t synack_rexmit_n;
};

/* ---- Resets for segments without a connection (reset.c) ---- */

#define WI_TCP_RST_BUCKETS 256

/* How many went out lately, to whom: by a keyed hash of the peer's address that is not the same for long. */
struct wi_tcp_rst_limit {
    struct wi_tcp_rst_bucket {
        uint32_t second; /* that `left` is of, counted from 1 */
        uint32_t left;
    } buckets[WI_TCP_RST_BUCKETS];
};

/* ---- TCP of a stack ---- */

struct wi_tcp {
    struct wi_core *core;
    struct wi_net *net;
    struct wi_ports ports;
    struct wi_slab conn_slab, rec_slab, chunk_slab;
    struct wi_list pending;       /* struct wi_tcp_conn by pend_link: something is owed */
    struct wi_list all;           /* every connection that is not parked, by all_link */
    struct wi_htable conns;       /* struct wi_tcp_conn by four-tuple */
    struct wi_htable requests;    /* SYN queue entries (listen.c) */
    struct wi_htable timewaits;   /* compact entries (timewait.c) */
    struct wi_list timewait_fifo; /* the same, in the order of their ends */
    struct wi_list fin_waits;     /* the same, those in FIN-WAIT-2 */
    struct wi_timer timewait_timer;
    struct wi_slab request_slab, timewait_slab, fin_wait_slab, listener_slab, ooo_slab, notice_slab, notices_slab;
    uint8_t hash_key[16];
    uint8_t isn_key[16], ts_key[16];
    uint8_t cookie_key[2][16]; /* the secrets of this turn and the last one; which is which: cookie_turn % 2 */
    uint32_t cookie_turn;      /* counts the secrets */
    struct wi_tcp_rst_limit rst_limit;
    uint32_t orphan_n;
    struct wi_tcp_fo_stack fo;
    struct wi_tcp_park park;
};

static inline struct wi_tcp_conn *wi_tcp_conn_of(struct wi_sk *sk)
{
    return (struct wi_tcp_conn *)(void *)sk;
}

static inline void wi_tcp_ledger_charge(struct wi_tcp_conn *c)
{
    if (c->ledger.at != c->sk.core->now)
        wi_tcp_ledger_charge_since(c);
}

/* ---- tcp.c (A) ---- */

int wi_tcp_init(struct wi_tcp *, struct wi_core *, struct wi_net *); /* 0 or -ENOMEM */
void wi_tcp_fini(struct wi_tcp *);                                   /* frees every connection, silently */

/* Make it a CLOSED connection with default options, whatever it was; it owns nothing then but its place in `all`. */
void wi_tcp_conn_init(struct wi_tcp_conn *, struct wi_tcp *, int family);

/* Such a one, new, or NULL. */
struct wi_tcp_conn *wi_tcp_conn_new(struct wi_tcp *, int family);
struct wi_sk *wi_tcp_sk_new(struct wi_tcp *, int family);

/* Note what is owed and put the connection on the pending list. */
void wi_tcp_owe(struct wi_tcp_conn *, enum wi_tcp_owed);

/* Owe an ACK for a reason. */
void wi_tcp_owe_ack(struct wi_tcp_conn *, enum weir_why);

/* All that a connection has, but its own memory, goes; silently. */
void wi_tcp_conn_end(struct wi_tcp_conn *);

/* Send what is owed, free what is dead. */
void wi_tcp_flush(struct wi_tcp *);

/* After the flush of a call that told the time: is a look at idle connections due (park.h)? */
static inline void wi_tcp_park_idle(struct wi_tcp *t)
{
    if (t->core->now >= t->park.due)
        wi_tcp_park_sweep(t);
}

/* The invariants of every connection: NULL, or the first that is broken. */
const char *wi_tcp_check_all(const struct wi_tcp *);

/* ---- state.c (A) ---- */

/* The one writer of `state`. An edge that is not in the table is an assertion. Does what belongs to the state: timers,
 * counters, the TIME-WAIT entry, telling the owner. */
void wi_tcp_set_state(struct wi_tcp_conn *, enum weir_tcp_state, const char *cause);

/* FIN-WAIT-2, and nobody is left to read: the protocol's end is a compact entry's from the next flush on; with
 * TCP_LINGER2 below 0 it is now. Fine in any other case: nothing happens. */
void wi_tcp_bound_fin_wait_2(struct wi_tcp_conn *);

/* For wi_tcp_flush, when nothing is owed. */
void wi_tcp_shrink_fin_wait_2(struct wi_tcp_conn *);

/* connect has set addresses, route, port, iss, ts_off: send the SYN. 0 or -ENOBUFS. */
int wi_tcp_open_active(struct wi_tcp_conn *);

/* A listener's child, addresses and route set, from CLOSED to SYN-RCVD (silently: the request told LISTEN → SYN-RCVD).
 * The segment that completes the handshake is then given to wi_tcp_input. */
void wi_tcp_open_passive(struct wi_tcp_conn *, const struct wi_tcp_syn *);

/* The sending side ends (shutdown, close): the state after it, and the FIN queued. Fine when it has ended already.
 * SYN-SENT and LISTEN: no FIN; the caller ends those by wi_tcp_done. */
void wi_tcp_end_send(struct wi_tcp_conn *, const char *cause);

/* The connection ends here and now. err: positive errno that the owner gets, 0 none. reset: WEIR_WHY_NONE: silently,
 * else why a RST is sent. Unhashes, stops timers, drops the send queue (received data stays readable unless err).
 * Frees at the next flush when there is no owner. */
void wi_tcp_done(struct wi_tcp_conn *, int err, enum weir_why reset, const char *cause);

/* ---- input.c (A) ---- */

/* A segment for this connection, whose checksum is right. Not for LISTEN, TIME-WAIT, CLOSED. The caller counts and
 * tells a drop. */
enum weir_drop wi_tcp_input(struct wi_tcp_conn *, struct wi_tcp_seg *);

/* What a segment brings is here already: an ACK is owed that says so (RFC 2883), and the next ones go at once. */
void wi_tcp_spurious_rexmit(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* Did it pass more routers than IP_MINTTL, IPV6_MINHOPCOUNT allow (RFC 5082)? */
bool wi_tcp_came_too_far(const struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* Forget the first n units of sequence space (SYN before data), or all but the first n. */
void wi_tcp_seg_trim_front(struct wi_tcp_seg *, uint32_t n);
void wi_tcp_seg_trim_back(struct wi_tcp_seg *, uint32_t n);

/* PAWS (RFC 7323 5.3 R1): is the segment's timestamp older than ts_recent? */
bool wi_tcp_paws_rejects(const struct wi_tcp_conn *, const struct wi_wire_tcp *);

/* ---- icmp.c (A) ---- */

/* An ICMP error about a segment of this connection, its sequence number as quoted. RFC 5927 4, RFC 1122 4.2.3.9. */
enum weir_drop wi_tcp_icmp(struct wi_tcp_conn *, const struct wi_net_error *, struct wi_seq);

/* ---- mss.c (A) ---- */

/* Make snd_mss anew for a path MTU (IP packet bytes). */
void wi_tcp_mss_sync(struct wi_tcp_conn *, uint32_t pmtu);

/* What our SYN says: the route's, the user's, or the interface's MTU without headers. */
uint16_t wi_tcp_advmss(const struct wi_tcp_conn *);

/* IP and TCP headers without options, bytes: 40 or 60. */
uint32_t wi_tcp_hdrs_len(const struct wi_tcp_conn *);

/* Ask for the route again if it has changed. False: there is none. */
bool wi_tcp_route_refresh(struct wi_tcp_conn *);

/* ---- sndq.c (A) ---- */

/*
 * Queue bytes, copied or as views, up to what sndbuf allows; flags: MSG_MORE, MSG_OOB, MSG_EOR. Owes SEND.
 * Bytes taken, or -EAGAIN, -ENOBUFS. The caller has checked the state.
 */
int64_t wi_tcp_sndq_write(struct wi_tcp_conn *, const struct weir_iovec *, size_t n, int flags);
int64_t wi_tcp_sndq_write_frags(struct wi_tcp_conn *, const struct weir_frag *, unsigned n, int flags);

/* Is there room enough that poll says so (Linux's sk_stream_is_writeable, TCP_NOTSENT_LOWAT)? */
bool wi_tcp_sndq_writable(const struct wi_tcp_conn *);

uint32_t wi_tcp_sndq_unacked_bytes(const struct wi_tcp_conn *); /* SIOCOUTQ: without SYN and FIN */
uint32_t wi_tcp_sndq_unsent_bytes(const struct wi_tcp_conn *);  /* SIOCOUTQNSD */
void wi_tcp_sndq_purge(struct wi_tcp_conn *);
const char *wi_tcp_sndq_check(const struct wi_tcp_conn *); /* NULL or the broken invariant */

/* ---- ackpol.c (A) ---- */

/* The reader took data: does the peer deserve an ACK now (Linux's tcp_cleanup_rbuf)? */
bool wi_tcp_ack_due_on_read(const struct wi_tcp_conn *);

/* Is it interactive, so that ACKs may wait for an answer to ride on (Linux's pingpong mode)? */
bool wi_tcp_in_pingpong(const struct wi_tcp_conn *);
void wi_tcp_pingpong_set(struct wi_tcp_conn *, bool is_on);

/* A segment came ahead of a hole, and was perhaps queued. */
void wi_tcp_ack_ahead(struct wi_tcp_conn *);

void wi_tcp_ack_sent(struct wi_tcp_conn *);                     /* output sent a segment that carries an ACK */
#define WI_TCP_QUICKACKS_MAX 16u                                /* Linux's TCP_MAX_QUICKACKS */
void wi_tcp_quickack_enter(struct wi_tcp_conn *, unsigned max); /* Linux's tcp_enter_quickack_mode */

/* ---- output.c (A) ---- */

/* Header fields that every segment of the connection carries: ports, timestamps, SACK, window; bare ones too. */
void wi_tcp_output(struct wi_tcp_conn *); /* for wi_tcp_flush alone */

/*
 * Build a segment without payload that belongs to no queue, and send it: SYN-ACKs of requests, resets and ACKs without
 * a connection. `h` has everything but checksum. mark of the event: `why`, conn_id (0: none).
 */
struct wi_tcp_bare {
    const struct wi_dst *dst;
    struct weir_sockaddr local, remote;
    struct wi_wire_tcp h;
    enum weir_why why;
    uint64_t conn_id;
    struct wi_seq iss, irs; /* for the event's relative numbers; 0 where unknown */
    uint8_t tos, ttl, wscale;
};
int wi_tcp_send_bare(struct wi_tcp *, const struct wi_tcp_bare *); /* 0 or wi_net_output's error */

/* Our timestamp clock: milliseconds, as Linux's. */
uint32_t wi_tcp_ts_clock(const struct wi_core *);

/* ---- event.c (A) ---- */

/* An event of this kind with identity and windows filled in; the caller adds the rest and emits. */
void wi_tcp_event_begin(const struct wi_tcp_conn *, enum weir_event_kind, struct weir_event *);
void wi_tcp_event_seg_in(struct wi_tcp_conn *, const struct wi_tcp_seg *);
void wi_tcp_event_close(struct wi_tcp_conn *); /* once */

/* ---- timers.c (A) ---- */

void wi_tcp_timers_init(struct wi_tcp_conn *);
void wi_tcp_timers_stop(struct wi_tcp_conn *);

/* The keepalive timer of a parked connection has fired, and here is the connection again. */
void wi_tcp_keepalive_fire(struct wi_tcp_conn *);

/* SO_KEEPALIVE or its knobs changed, or the peer was heard. */
void wi_tcp_keepalive_update(struct wi_tcp_conn *);

/* ---- demux.c (B) ---- */

/* Keys, ports, the three tables and their slabs; registers with the network layer. For wi_tcp_init. 0 or -ENOMEM. */
int wi_tcp_demux_init(struct wi_tcp *);

/* Frees requests and TIME-WAIT entries. For wi_tcp_fini, after the connections have gone. */
void wi_tcp_demux_fini(struct wi_tcp *);

void wi_tcp_demux_insert(struct wi_tcp_conn *); /* sk.local and sk.remote are whole */

/* Fine when it is not in. Lets go of the port, unless the owner bound it and may connect again. */
void wi_tcp_demux_remove(struct wi_tcp_conn *);

/* ---- listen.c (B) ---- */

/* LISTEN ends: requests, held and unaccepted connections go. */
void wi_tcp_listen_stop(struct wi_tcp_conn *);

/* A child leaves a listener's queue, because it died there. */
void wi_tcp_listen_forget(struct wi_tcp_conn *child);

/* ---- timewait.c (B) ---- */

/* A compact entry takes the connection's place in the tables (it is unhashed by this). False: no room, the connection
 * is simply gone. */
bool wi_tcp_timewait_enter(struct wi_tcp_conn *);

/* The same for FIN-WAIT-2 without an owner, for so long; the connection goes at the next flush. */
void wi_tcp_fin_wait_enter(struct wi_tcp_conn *, weir_ns lasts);

/* ---- rcvq.c, window.c, urgent.c (B) ---- */

/*
 * Step 7 of 3.10.7.4: take the segment's payload and note its FIN. Data before rcv_nxt and beyond the window is cut off
 * or refused here. Advances rcv_nxt over what is in order now (not over the FIN), queues the rest, wakes the reader,
 * owes ACK_DUP for what is out of order or old (DSACK). Bytes go into bytes_received.
 */
enum weir_drop wi_tcp_rcvq_data(struct wi_tcp_conn *, struct wi_tcp_seg *);

/* Has everything before the FIN arrived, and the FIN? */
bool wi_tcp_rcvq_fin_due(const struct wi_tcp_conn *);

/* SACK blocks for the next ACK, a DSACK first (and then forgotten). Returns how many, at most max. */
unsigned wi_tcp_rcvq_sacks(struct wi_tcp_conn *, struct wi_sack_block *, unsigned max);
unsigned wi_tcp_rcvq_sack_count(const struct wi_tcp_conn *, unsigned max); /* what it would return */
bool wi_tcp_rcvq_has_ooo(const struct wi_tcp_conn *); /* is there anything beyond a hole, be it a FIN? */
void wi_tcp_rcvq_init(struct wi_tcp_conn *);
void wi_tcp_rcvq_purge(struct wi_tcp_conn *);

/* The window to advertise now: moves rcv_wnd_bytes and rcv_wup; never shrinks. Returns the header's field, scaled (a
 * SYN's: not scaled). */
uint16_t wi_tcp_window_advertise(struct wi_tcp_conn *, bool is_syn);

/* What would be advertised, bytes; where little is left quick ACKs end, as in Linux. And what is left of the window
 * already advertised. */
uint32_t wi_tcp_window_select(struct wi_tcp_conn *);
uint32_t wi_tcp_window_left(const struct wi_tcp_conn *);
uint32_t wi_tcp_window_clamp(const struct wi_tcp_conn *); /* the largest that would ever be */

/* Before our SYN: choose rcv_wscale and the first window. And once the options are known. */
void wi_tcp_window_init(struct wi_tcp_conn *);
void wi_tcp_window_established(struct wi_tcp_conn *);

/* A round-trip time for the receive buffer's tuning: of a segment that has not been queued yet, by its timestamp; and,
 * when it has been, no more than a window's worth took to come. */
void wi_tcp_window_rcv_rtt(struct wi_tcp_conn *, const struct wi_tcp_seg *);
void wi_tcp_window_rcv_rtt_bound(struct wi_tcp_conn *);

/* Step 6: the URG flag. */
void wi_tcp_urgent_input(struct wi_tcp_conn *, const struct wi_tcp_seg *);

/* ---- reset.c (B) ---- */

/* May a challenge ACK be sent now (RFC 5961 7)? Counts it. */
bool wi_tcp_challenge_allowed(struct wi_tcp_conn *);

/* May an ACK in answer to an out-of-window segment be sent now (tcp_invalid_ratelimit)? Counts it. */
bool wi_tcp_oow_ack_allowed(struct wi_tcp_conn *);

/* RST for a segment without a connection, or that a connection refuses by its sequence numbers: 3.10.7.1. */
void wi_tcp_reset_reply(struct wi_tcp *, const struct wi_tcp_seg *, enum weir_why);

/* ---- sock.c (B) ---- */

extern const struct wi_sk_ops wi_tcp_sk_ops;

/* ---- check.c (B) ---- */

/* Every invariant of a connection: NULL, or the first that is broken. Linear in its queues. */
const char *wi_tcp_check(const struct wi_tcp_conn *);

#endif
