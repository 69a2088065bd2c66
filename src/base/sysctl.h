/*
 * The tunables of a stack, by Linux's names. One table (sysctl.c) gives each its range, default and source; the rest of
 * the stack reads the members. Flags and numbers alike are int64_t, so that one setter serves all.
 */
#ifndef WI_BASE_SYSCTL_H
#define WI_BASE_SYSCTL_H

#include <stddef.h>
#include <stdint.h>

#define WI_SYSCTL_NAME_CAP 32

/* The controllers of src/tcp: this layer may not ask there. A test holds the two lists together. */
#define WI_SYSCTL_CC_NAMES "reno cubic bbr dctcp"

/* min, default, max of a buffer in bytes: tcp_rmem, tcp_wmem. */
struct wi_sysctl_mem {
    int64_t min, dflt, max;
};

/* Secret keys of 16 bytes, the current one first: tcp_fastopen_key. n is 0 until somebody sets them. */
struct wi_sysctl_keys {
    uint8_t key[2][16];
    uint32_t n;
};

struct wi_sysctl {
    int64_t ip_default_ttl;
    int64_t ip_no_pmtu_disc;
    int64_t ip_local_port_min, ip_local_port_max;
    int64_t ip_nonlocal_bind;
    int64_t ipfrag_high_thresh, ipfrag_time;
    int64_t icmp_echo_ignore_all, icmp_echo_ignore_broadcasts;
    int64_t icmp_ratelimit, icmp_msgs_per_sec, icmp_msgs_burst;
    int64_t route_min_pmtu, route_mtu_expires;
    int64_t neigh_gc_thresh3, neigh_unres_qlen, neigh_retrans_time_ms, neigh_base_reachable_time_ms,
        neigh_delay_first_probe_time, neigh_ucast_solicit, neigh_mcast_solicit;
    int64_t accept_ra;
    int64_t igmp_max_memberships;
    int64_t ipv6_bindv6only, ipv6_hop_limit;

    int64_t rmem_default, rmem_max, wmem_default, wmem_max, somaxconn;

    struct wi_sysctl_mem tcp_rmem, tcp_wmem;
    int64_t tcp_abort_on_overflow;
    int64_t tcp_adv_win_scale;
    int64_t tcp_base_mss;
    int64_t tcp_challenge_ack_limit;
    int64_t tcp_comp_sack_delay_ns, tcp_comp_sack_nr, tcp_comp_sack_slack_ns;
    int64_t tcp_dsack;
    int64_t tcp_early_retrans;
    int64_t tcp_ecn, tcp_ecn_fallback, tcp_ecn_option, tcp_ecn_option_beacon;
    int64_t tcp_fack;
    int64_t tcp_fastopen, tcp_fastopen_blackhole_timeout_sec;
    struct wi_sysctl_keys tcp_fastopen_key;
    int64_t tcp_fin_timeout;
    int64_t tcp_frto;
    int64_t tcp_invalid_ratelimit;
    int64_t tcp_keepalive_intvl, tcp_keepalive_probes, tcp_keepalive_time;
    int64_t tcp_max_orphans;
    int64_t tcp_max_reordering;
    int64_t tcp_max_syn_backlog;
    int64_t tcp_max_tw_buckets;
    int64_t tcp_min_rtt_wlen;
    int64_t tcp_min_snd_mss;
    int64_t tcp_min_tso_segs;
    int64_t tcp_moderate_rcvbuf;
    int64_t tcp_rst_ratelimit, tcp_tw_reuse_delay;
    int64_t tcp_mtu_probing, tcp_mtu_probe_floor, tcp_probe_interval, tcp_probe_threshold;
    int64_t tcp_notsent_lowat;
    int64_t tcp_orphan_retries;
    int64_t tcp_park_idle_ms;
    int64_t tcp_pacing_ca_ratio, tcp_pacing_ss_ratio;
    int64_t tcp_pingpong_thresh;
    int64_t tcp_recovery;
    int64_t tcp_reflect_tos;
    int64_t tcp_reordering;
    int64_t tcp_retries1, tcp_retries2;
    int64_t tcp_rfc1337;
    int64_t tcp_rto_max_ms, tcp_rto_min_us;
    int64_t tcp_sack;
    int64_t tcp_shrink_window;
    int64_t tcp_slow_start_after_idle;
    int64_t tcp_stdurg;
    int64_t tcp_syn_linear_timeouts, tcp_syn_retries, tcp_synack_retries;
    int64_t tcp_syncookies;
    int64_t tcp_thin_linear_timeouts;
    int64_t tcp_timestamps;
    int64_t tcp_tso_rtt_log, tcp_tso_win_divisor;
    int64_t tcp_tw_reuse;
    int64_t tcp_window_scaling;
    int64_t tcp_workaround_signed_windows;
    int64_t cubic_fast_convergence, cubic_hystart, cubic_hystart_detect, cubic_hystart_low_window,
        cubic_tcp_friendliness; /* parameters of Linux's module tcp_cubic */
    char tcp_congestion_control[WI_SYSCTL_NAME_CAP];
    char default_qdisc[WI_SYSCTL_NAME_CAP];
};

void wi_sysctl_init(struct wi_sysctl *);

/* As weir_sysctl_set and weir_sysctl_get. */
int wi_sysctl_set(struct wi_sysctl *, const char *name, const char *value);
int wi_sysctl_get(const struct wi_sysctl *, const char *name, char *buf, size_t cap);

#endif
