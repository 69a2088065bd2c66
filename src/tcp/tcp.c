/*
 * TCP of a stack: its tables' beginning and end, connections' birth and death, and the list of those that owe
 * something.
 */
#include "base/pkt.h"
#include "tcp/fastopen.h"
#include "tcp/notice.h"
#include "tcp/savedsyn.h"
#include "tcp/send.h"

static void slabs_fini(struct wi_tcp *t)
{
    wi_tcp_notice_fini(t);
    wi_slab_fini(&t->ooo_slab);
    wi_slab_fini(&t->chunk_slab);
    wi_slab_fini(&t->rec_slab);
    wi_slab_fini(&t->conn_slab);
}

int wi_tcp_init(struct wi_tcp *t, struct wi_core *core, struct wi_net *net)
{
    *t = (struct wi_tcp){.core = core, .net = net};
    wi_list_init(&t->pending);
    wi_list_init(&t->all);
    wi_pool_slab_init(core->pool, &t->conn_slab, sizeof(struct wi_tcp_conn), "tcp connections");
    wi_pool_slab_init(core->pool, &t->rec_slab, sizeof(struct wi_tcp_rec), "tcp send records");
    wi_pool_slab_init(core->pool, &t->chunk_slab, sizeof(struct wi_tcp_chunk), "tcp send chunks");
    wi_slab_init(&t->ooo_slab, core->mem, sizeof(struct wi_tcp_ooo), "tcp out-of-order runs");
    wi_tcp_notice_init(t);
    if (!wi_tcp_park_init(t))
        goto fail_park;
    if (wi_tcp_demux_init(t) < 0)
        goto fail_demux;
    return 0;

fail_demux:
    wi_tcp_park_fini(t);
fail_park:
    slabs_fini(t);
    return -WEIR_ENOMEM;
}

void wi_tcp_conn_end(struct wi_tcp_conn *c)
{
    wi_tcp_timers_stop(c);
    wi_tcp_fo_forget(c);
    wi_tcp_listen_forget(c);
    if (c->state == WEIR_TCP_LISTEN)
        wi_tcp_listen_stop(c);
    wi_tcp_demux_remove(c);
    wi_tcp_sndq_purge(c);
    wi_tcp_notice_free(c);
    wi_tcp_rcvq_purge(c);
    wi_tcp_syn_forget(c->sk.core, c->saved_syn);
    wi_ports_release(&c->tcp->ports, &c->sk);
    wi_list_del(&c->pend_link);
    wi_list_del(&c->all_link);
}

static void conn_free(struct wi_tcp_conn *c)
{
    wi_tcp_conn_end(c);
    wi_slab_free(&c->tcp->conn_slab, c);
}

void wi_tcp_fini(struct wi_tcp *t)
{
    wi_list_for_each_safe (l, &t->all, struct wi_tcp_conn, all_link) {
        if (l->state == WEIR_TCP_LISTEN)
            wi_tcp_listen_stop(l);
    }
    for (struct wi_tcp_conn *c; (c = wi_list_first(&t->all, struct wi_tcp_conn, all_link));)
        conn_free(c);
    wi_tcp_park_fini(t);
    wi_tcp_demux_fini(t);
    slabs_fini(t);
}

void wi_tcp_conn_init(struct wi_tcp_conn *c, struct wi_tcp *t, int family)
{
    const struct wi_sysctl *s = &t->core->sysctl;
    *c = (struct wi_tcp_conn){.tcp = t};
    wi_sk_init(&c->sk, t->core, t->net, &wi_tcp_sk_ops, family, WEIR_SOCK_STREAM, WEIR_IPPROTO_TCP);
    c->sk.opts.sndbuf_bytes = (uint32_t)s->tcp_wmem.dflt;
    c->sk.opts.rcvbuf_bytes = (uint32_t)s->tcp_rmem.dflt;
    wi_list_init(&c->pend_link);
    wi_list_init(&c->queue_link);
    wi_list_add_tail(&t->all, &c->all_link);
    wi_list_init(&c->sndq.recs);
    wi_list_init(&c->sndq.chunks);
    wi_list_init(&c->sndq.by_time);
    wi_tcp_timers_init(c);
    wi_tcp_rtt_init(c);
    wi_tcp_loss_init(c);
    wi_tcp_rcvq_init(c);
    c->cwnd = WI_TCP_INIT_CWND;
    c->ssthresh = WI_TCP_SSTHRESH_INF;
    c->pacing_bps = UINT64_MAX;
    c->is_rate_app_limited = true; /* until a sample says otherwise (Linux) */
    c->mss_clamp = c->snd_mss = WI_TCP_MSS_DEFAULT_V4;
    if (wi_tcp_cc_set(c, s->tcp_congestion_control) < 0)
        (void)wi_tcp_cc_set(c, wi_tcp_cc_reno.name);
}

struct wi_tcp_conn *wi_tcp_conn_new(struct wi_tcp *t, int family)
{
    struct wi_tcp_conn *c = wi_tcp_conn_room(t);
    if (c)
        wi_tcp_conn_init(c, t, family);
    return c;
}

struct wi_sk *wi_tcp_sk_new(struct wi_tcp *t, int family)
{
    struct wi_tcp_conn *c = wi_tcp_conn_new(t, family);
    return c ? &c->sk : NULL;
}

void wi_tcp_owe(struct wi_tcp_conn *c, enum wi_tcp_owed what)
{
    c->owed |= (uint8_t)what;
    if (wi_list_empty(&c->pend_link))
        wi_list_add_tail(&c->tcp->pending, &c->pend_link);
}

void wi_tcp_owe_ack(struct wi_tcp_conn *c, enum weir_why why)
{
    if (c->ack_why == WEIR_WHY_NONE)
        c->ack_why = why;
    /* One that is owed for what came in order is no dupack to the peer: it goes as well. */
    bool is_beside = c->dup_acks_owed == 0 && c->owed & WI_TCP_OWE_ACK;
    if (why == WEIR_WHY_ACK_DUP && c->dup_acks_owed < UINT8_MAX - 1)
        c->dup_acks_owed = (uint8_t)(c->dup_acks_owed + 1 + is_beside);
    c->is_ack_sched = true;
    wi_tcp_owe(c, WI_TCP_OWE_ACK);
}

void wi_tcp_flush(struct wi_tcp *t)
{
    /* Output may put a connection back (a packet was refused as too large): that round is the next one's. */
    for (unsigned rounds = 0; rounds < 2 && !wi_list_empty(&t->pending); rounds++) {
        struct wi_list batch;
        wi_list_init(&batch);
        wi_list_splice_tail(&batch, &t->pending);
        for (struct wi_tcp_conn *c; (c = wi_list_first(&batch, struct wi_tcp_conn, pend_link));) {
            wi_list_del(&c->pend_link);
            wi_tcp_output(c);
            wi_tcp_shrink_fin_wait_2(c);
            WI_DEBUG_ASSERT(wi_tcp_check(c) == NULL);
            if (c->owed & WI_TCP_OWE_FREE)
                conn_free(c);
        }
    }
}

const char *wi_tcp_check_all(const struct wi_tcp *t)
{
    wi_list_for_each (c, &t->all, const struct wi_tcp_conn, all_link) {
        const char *bad = wi_tcp_check(c);
        if (bad)
            return bad;
    }
    return wi_tcp_park_check(t);
}
