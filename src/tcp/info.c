/* TCP_INFO, member for member as Linux's tcp_get_info fills it. */
#include "base/str.h"
#include "tcp/listen.h"
#include "tcp/send.h"
#include "tcp/sock.h"

/* tcpi_options */
#define OPT_TIMESTAMPS 1u
#define OPT_SACK       2u
#define OPT_WSCALE     4u
#define OPT_ECN        8u
#define OPT_ECN_SEEN   16u
#define OPT_SYN_DATA   32u
#define OPT_TFO_CHILD  128u

/* Linux's numbers for the states. A socket whose TIME-WAIT entry lives on its own is closed. */
static uint8_t linux_state(const struct wi_tcp_conn *c)
{
    static const uint8_t number[WEIR_TCP_STATE_N] = {
        [WEIR_TCP_ESTABLISHED] = 1, [WEIR_TCP_SYN_SENT] = 2,  [WEIR_TCP_SYN_RCVD] = 3, [WEIR_TCP_FIN_WAIT_1] = 4,
        [WEIR_TCP_FIN_WAIT_2] = 5,  [WEIR_TCP_TIME_WAIT] = 7, [WEIR_TCP_CLOSED] = 7,   [WEIR_TCP_CLOSE_WAIT] = 8,
        [WEIR_TCP_LAST_ACK] = 9,    [WEIR_TCP_LISTEN] = 10,   [WEIR_TCP_CLOSING] = 11,
    };
    return c->held ? number[WEIR_TCP_SYN_RCVD] : number[c->state];
}

_Static_assert(offsetof(struct weir_tcp_info, ledger) == WEIR_TCP_INFO_LINUX_LEN, "Linux's part comes first");

static uint32_t ms_ago(const struct wi_tcp_conn *c, weir_ns at)
{
    weir_ns from = at ? at : c->established_at; /* as Linux's lsndtime, lrcvtime */
    return (uint32_t)((c->sk.core->now - from) / WEIR_MS(1));
}

static uint32_t us(weir_ns t)
{
    return (uint32_t)(t / WEIR_US(1));
}

static void fill_counts(const struct wi_tcp_conn *c, struct weir_tcp_info *i)
{
    i->total_retrans = (uint32_t)c->total_retrans;
    i->bytes_acked = c->bytes_acked;
    i->bytes_received = c->bytes_received + c->has_rcvd_fin; /* sequence numbers, as bytes_acked */
    i->bytes_sent = c->bytes_sent;
    i->bytes_retrans = c->bytes_retrans;
    i->segs_out = (uint32_t)c->segs_out;
    i->segs_in = (uint32_t)c->segs_in;
    i->data_segs_in = (uint32_t)c->data_segs_in;
    i->data_segs_out = (uint32_t)c->data_segs_out;
    i->delivered = c->delivered;
    i->delivered_ce = c->delivered_ce;
    i->dsack_dups = c->dsack_dups;
    i->reord_seen = c->reord_seen;
    i->rcv_ooopack = c->rcv_ooopack;
    i->total_rto = c->total_rto;
    i->total_rto_recoveries = c->total_rto_recoveries;
    i->total_rto_time = (uint32_t)((c->total_rto_time + (c->rto_at ? c->sk.core->now - c->rto_at : 0)) / WEIR_MS(1));
    i->rehash = c->rehash;
}

static void fill_limits(const struct wi_tcp_conn *c, struct weir_tcp_info *i)
{
    i->rwnd_limited = wi_tcp_chrono_read(c, WI_TCP_CHRONO_RWND) / WEIR_US(1);
    i->sndbuf_limited = wi_tcp_chrono_read(c, WI_TCP_CHRONO_SNDBUF) / WEIR_US(1);
    i->busy_time = wi_tcp_chrono_read(c, WI_TCP_CHRONO_BUSY) / WEIR_US(1) + i->rwnd_limited + i->sndbuf_limited;
    i->ledger = wi_tcp_ledger_read(c);
}

static void fill_accecn(const struct wi_tcp_ecn *e, struct weir_tcp_info *i)
{
    i->received_ce = e->received_ce;
    i->received_e1_bytes = e->received_bytes[WI_ECN_ECT1 - 1];
    i->received_e0_bytes = e->received_bytes[WI_ECN_ECT0 - 1];
    i->received_ce_bytes = e->received_bytes[WI_ECN_CE - 1];
    i->delivered_e1_bytes = e->delivered_bytes[WI_ECN_ECT1 - 1];
    i->delivered_e0_bytes = e->delivered_bytes[WI_ECN_ECT0 - 1];
    i->delivered_ce_bytes = e->delivered_bytes[WI_ECN_CE - 1];
    i->accecn_fail_mode = e->fail;
    i->accecn_opt_seen = e->opt_seen;
}

static void fill_path(const struct wi_tcp_conn *c, struct weir_tcp_info *i)
{
    i->rto = us(c->rtt.rto);
    i->ato = us(c->ato);
    i->rtt = c->rtt.srtt_us8 >> 3;
    i->rttvar = c->rtt.mdev_us4 >> 2;
    i->min_rtt = c->rtt.min_us;
    /* Linux counts the timestamp option from the moment when it is offered. */
    bool offers_ts = c->state == WEIR_TCP_SYN_SENT && c->sk.core->sysctl.tcp_timestamps;
    i->snd_mss = c->snd_mss - (offers_ts ? WI_TCP_TS_SPACE : 0);
    i->rcv_mss = c->rcv_mss_est;
    i->advmss = c->advmss;
    i->pmtu = c->pmtu;
    i->snd_ssthresh = c->ssthresh;
    i->unacked = c->loss.packets_out;
    i->sacked = c->loss.sacked_out;
    i->lost = c->loss.lost_out;
    i->retrans = c->loss.retrans_out;
    i->delivery_rate = wi_tcp_rate_bps(c);
    i->delivery_rate_app_limited = c->is_rate_app_limited;
}

static void fill_windows(const struct wi_tcp_conn *c, struct weir_tcp_info *i)
{
    i->snd_wscale = c->wscale_ok ? c->snd_wscale & 15u : 0;
    i->rcv_wscale = c->wscale_ok ? c->rcv_wscale & 15u : 0;
    i->snd_wnd = c->snd_wnd_bytes;
    i->rcv_wnd = c->rcv_wnd_bytes;
    i->rcv_ssthresh = c->rcvq.rcv_ssthresh_bytes;
    i->rcv_rtt = c->rcvq.rtt_us;
    i->rcv_space = c->rcvq.drs_space_bytes;
    i->notsent_bytes = wi_tcp_sndq_unsent_bytes(c);
}

void wi_tcp_info(const struct wi_tcp_conn *c, struct weir_tcp_info *i)
{
    memset(i, 0, sizeof *i);
    i->state = linux_state(c);
    i->snd_cwnd = c->cwnd;
    i->reordering = c->loss.reordering;
    i->pacing_rate = c->pacing_bps;
    i->max_pacing_rate = c->sk.opts.max_pacing_bps;
    if (c->state == WEIR_TCP_LISTEN) { /* Linux tells the accept queue in these two */
        i->unacked = c->listener->child_n;
        i->sacked = c->listener->backlog;
        return;
    }
    i->ca_state = (uint8_t)c->loss.ca;
    i->retransmits = c->loss.retransmits;
    i->probes = c->probes_out;
    i->backoff = c->probe_backoff > c->rtt.backoff ? c->probe_backoff : c->rtt.backoff; /* Linux has one for both */
    i->options =
        (uint8_t)((c->ts_ok ? OPT_TIMESTAMPS : 0) | (c->sack_ok ? OPT_SACK : 0) | (c->wscale_ok ? OPT_WSCALE : 0) |
                  (c->ecn.mode ? OPT_ECN : 0) | (c->ecn.is_seen ? OPT_ECN_SEEN : 0) |
                  (c->fo.syn_data_acked ? OPT_SYN_DATA : 0) | (c->fo.is_child ? OPT_TFO_CHILD : 0));
    i->fastopen_client_fail = c->fo.client_fail & 3u;
    i->last_data_sent = ms_ago(c, c->last_send_at);
    i->last_data_recv = ms_ago(c, c->last_rcv_at);
    i->last_ack_recv = ms_ago(c, c->last_ack_in_at);
    fill_limits(c, i);
    fill_path(c, i);
    fill_windows(c, i);
    fill_counts(c, i);
    fill_accecn(&c->ecn, i);
}
