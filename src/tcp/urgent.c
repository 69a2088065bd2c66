/*
 * Urgent mode, receiving: RFC 9293 3.8.5 with the meaning that RFC 6093 recommends (one byte, out of band) and Linux's
 * reading of the pointer: at the byte after the urgent one, unless tcp_stdurg.
 */
#include "tcp/conn.h"

/* The announced byte may be in this very segment. */
static void take_byte(struct wi_tcp_conn *c, const struct wi_tcp_seg *seg)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    int32_t at = wi_seq_diff(q->urg_seq, seg->seq);

    if (at < 0 || (uint32_t)at >= seg->data_len)
        return;
    (void)weir_pkt_copy(seg->pkt, seg->data_off + (uint32_t)at, &q->urg_byte, 1);
    q->urg = WI_TCP_URG_VALID;
    wi_sk_ready(&c->sk, WEIR_POLLPRI);
}

/* A new urgent mark. What an earlier one named and nobody read as urgent becomes ordinary data; where it stands next to
 * be read it goes, as on Linux, so that of urgent bytes in a row the last alone is left. */
static void note_mark(struct wi_tcp_conn *c, const struct wi_tcp_seg *seg)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    uint32_t back = seg->h.urg > 0 && !c->sk.core->sysctl.tcp_stdurg ? 1 : 0;
    struct wi_seq mark = wi_seq_add(seg->h.seq, seg->h.urg - back);

    if (wi_seq_gt(c->copied_seq, mark) || wi_seq_lt(mark, c->rcv_nxt))
        return; /* read already, or an old announcement */
    if (q->urg != WI_TCP_URG_NONE && !wi_seq_gt(mark, q->urg_seq))
        return;
    wi_tcp_rcvq_skip_urgent(c);
    q->urg = WI_TCP_URG_NOT_YET;
    q->urg_seq = mark;
}

void wi_tcp_urgent_input(struct wi_tcp_conn *c, const struct wi_tcp_seg *seg)
{
    if (seg->h.flags & WI_TH_URG)
        note_mark(c, seg);
    if (c->rcvq.urg == WI_TCP_URG_NOT_YET)
        take_byte(c, seg);
}

/* Linux's tcp_recv_urg: a reset takes the byte away, the peer's end does not. */
int64_t wi_tcp_urgent_read(struct wi_tcp_conn *c, struct weir_msg *msg, int flags)
{
    struct wi_tcp_rcvq *q = &c->rcvq;
    bool is_closed = c->state == WEIR_TCP_CLOSED || c->is_shell;

    if (c->sk.opts.oobinline || q->urg == WI_TCP_URG_NONE || q->urg == WI_TCP_URG_READ)
        return -WEIR_EINVAL;
    if (is_closed && !c->has_rcvd_fin)
        return -WEIR_ENOTCONN;
    if (q->urg == WI_TCP_URG_NOT_YET)
        return is_closed || c->shut & 1 ? 0 : -WEIR_EAGAIN;
    if (!(flags & WEIR_MSG_PEEK))
        q->urg = WI_TCP_URG_READ;
    msg->flags |= WEIR_MSG_OOB;
    for (size_t i = 0; i < msg->iov_n; i++) {
        if (msg->iov[i].len == 0)
            continue;
        if (!(flags & WEIR_MSG_TRUNC))
            *(uint8_t *)msg->iov[i].base = q->urg_byte;
        return 1;
    }
    msg->flags |= WEIR_MSG_TRUNC;
    return 0;
}

bool wi_tcp_urgent_pending(const struct wi_tcp_conn *c)
{
    return c->rcvq.urg == WI_TCP_URG_VALID;
}

bool wi_tcp_urgent_at_mark(const struct wi_tcp_conn *c)
{
    return c->rcvq.urg != WI_TCP_URG_NONE && wi_seq_eq(c->rcvq.urg_seq, c->copied_seq);
}
