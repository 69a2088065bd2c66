/*
 * The ledger: one function decides for what a connection waits, one charges the time since the last change to it. The
 * decision needs no memory of its own: between two changes the connection's state says all, but for two causes that
 * begin by the clock (an acknowledgement becomes overdue, the peer's data ceases), so a stretch has at most two parts.
 */
#include "tcp/ledger.h"

#include "tcp/send.h"

/* What holds at first, and from `since` on. */
struct verdict {
    enum weir_cause first, later;
    weir_ns since; /* WEIR_NEVER: `first` goes on */
};

static struct verdict always(enum weir_cause cause)
{
    return (struct verdict){cause, cause, WEIR_NEVER};
}

static struct verdict until_overdue(const struct wi_tcp_conn *c, enum weir_cause cause)
{
    const struct wi_tcp_rec *head = wi_tcp_rec_head_sent(c);
    return (struct verdict){cause, WEIR_CAUSE_RTO_WAIT, head ? head->sent_at + wi_tcp_pto(c) : WEIR_NEVER};
}

/* Data is queued that has not been sent: what keeps it? The order is output.c's. */
static enum weir_cause what_holds(const struct wi_tcp_conn *c, weir_ns at)
{
    const struct wi_tcp_rec *r = c->sndq.send_head;
    uint32_t mss = c->snd_mss, len = wi_tcp_rec_len(r);
    if (c->snd_wnd_bytes == 0)
        return WEIR_CAUSE_ZERO_WINDOW;
    if (wi_tcp_in_flight(c) >= c->cwnd)
        return WEIR_CAUSE_CWND;
    struct wi_seq wnd_end = wi_tcp_wnd_end(c), end = len > mss ? wi_seq_add(r->seq, mss) : r->end;
    if (wi_seq_gt(end, wnd_end))
        return WEIR_CAUSE_RCV_WINDOW;
    if (c->pace_at > at && wi_tcp_is_paced(c))
        return WEIR_CAUSE_PACING;
    if (len < mss)
        return WEIR_CAUSE_NAGLE;
    /* Whole segments that both windows would let go wait for a larger super-segment: the narrower one has them wait. */
    uint32_t cwnd_bytes = (c->cwnd - wi_tcp_in_flight(c)) * mss;
    return (uint32_t)wi_seq_diff(wnd_end, r->seq) < cwnd_bytes ? WEIR_CAUSE_RCV_WINDOW : WEIR_CAUSE_CWND;
}

/* Something is queued or under way. */
static struct verdict while_sending(const struct wi_tcp_conn *c, weir_ns at)
{
    const struct wi_tcp_loss *l = &c->loss;
    bool has_unsent = c->sndq.send_head != NULL;
    if (l->packets_out == 0)
        return always(what_holds(c, at));
    if (c->snd_wnd_bytes == 0)
        return always(WEIR_CAUSE_ZERO_WINDOW);
    if (l->retransmits > 0 || l->tlp_on)
        return always(WEIR_CAUSE_RTO_WAIT);
    if (l->ca >= WI_TCP_CA_RECOVERY)
        return until_overdue(c, l->ca == WI_TCP_CA_LOSS && l->is_pmtu ? WEIR_CAUSE_PATH_MTU : WEIR_CAUSE_RECOVERY);
    if (has_unsent)
        return until_overdue(c, what_holds(c, at));
    if (c->fin_queued)
        return until_overdue(c, WEIR_CAUSE_CLOSING);
    return until_overdue(c, c->sndq.was_refused ? WEIR_CAUSE_SEND_BUFFER : WEIR_CAUSE_APPLICATION);
}

/* Nothing to send, nothing under way. The peer's data "arrives" while the last of it is no older than a round trip and
 * its variation: RFC 6298's RTO without its floor. */
static struct verdict while_quiet(const struct wi_tcp_conn *c)
{
    if (c->state == WEIR_TCP_CLOSE_WAIT)
        return always(WEIR_CAUSE_APPLICATION);
    if (wi_tcp_rcvq_readable(c) > 0 && wi_tcp_window_left(c) < c->rcv_mss_est)
        return always(WEIR_CAUSE_READER);
    enum weir_cause rest = c->fin_queued ? WEIR_CAUSE_CLOSING : WEIR_CAUSE_IDLE;
    if (c->data_segs_in == 0)
        return always(rest);
    weir_ns recent = WEIR_US((weir_ns)(c->rtt.srtt_us8 >> 3) + c->rtt.mdev_us4);
    return (struct verdict){WEIR_CAUSE_RECEIVING, rest, c->last_rcv_at + recent};
}

/* For what it waits from `at` on, until something changes. */
static struct verdict decide(const struct wi_tcp_conn *c, weir_ns at)
{
    switch (c->state) {
    case WEIR_TCP_SYN_SENT: return always(c->fo.deferred ? WEIR_CAUSE_APPLICATION : WEIR_CAUSE_HANDSHAKE);
    case WEIR_TCP_SYN_RCVD: return always(WEIR_CAUSE_HANDSHAKE);
    case WEIR_TCP_ESTABLISHED:
    case WEIR_TCP_FIN_WAIT_1:
    case WEIR_TCP_FIN_WAIT_2:
    case WEIR_TCP_CLOSE_WAIT:
    case WEIR_TCP_CLOSING:
    case WEIR_TCP_LAST_ACK: return c->loss.packets_out || c->sndq.send_head ? while_sending(c, at) : while_quiet(c);
    case WEIR_TCP_CLOSED:
    case WEIR_TCP_LISTEN:
    case WEIR_TCP_TIME_WAIT:
    case WEIR_TCP_STATE_N: break;
    }
    WI_UNREACHABLE("a connection that is over has no time to spend");
}

static bool is_living(const struct wi_tcp_conn *c)
{
    return c->state != WEIR_TCP_CLOSED && c->state != WEIR_TCP_LISTEN && c->state != WEIR_TCP_TIME_WAIT;
}

static void charge_to(const struct wi_tcp_conn *c, struct wi_tcp_ledger *l, weir_ns now)
{
    struct verdict v = decide(c, l->at);
    weir_ns since = v.since < l->at ? l->at : v.since < now ? v.since : now;
    l->spent[v.first] += since - l->at;
    l->spent[v.later] += now - since;
    l->at = now;
}

void wi_tcp_ledger_begin(struct wi_tcp_conn *c)
{
    c->ledger = (struct wi_tcp_ledger){.at = c->opened_at};
}

void wi_tcp_ledger_charge_since(struct wi_tcp_conn *c)
{
    if (is_living(c))
        charge_to(c, &c->ledger, c->sk.core->now);
}

struct weir_ledger wi_tcp_ledger_read(const struct wi_tcp_conn *c)
{
    struct wi_tcp_ledger l = c->ledger;
    struct weir_ledger sums = {0};
    if (l.at != c->sk.core->now && is_living(c))
        charge_to(c, &l, c->sk.core->now);
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++)
        sums.spent[i] = l.spent[i];
    sums.life = l.at - c->opened_at;
    return sums;
}

const char *wi_tcp_ledger_check(const struct wi_tcp_conn *c)
{
    weir_ns sum = 0;
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++)
        sum += c->ledger.spent[i];
    return sum == c->ledger.at - c->opened_at ? NULL : "the ledger's parts don't sum to the connection's life";
}
