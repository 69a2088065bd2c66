/*
 * The scoreboard: SACK blocks (RFC 2018, DSACK RFC 2883) into marks on the records, and loss by RFC 6675's rule.
 *
 * What was SACKed and what was not are two trees: a block costs O(log n) and the records that it newly covers, however
 * often it is repeated and in whatever order blocks come.
 */
#include "tcp/send.h"

/* ---- DSACK ---- */

/* Does the first block report a duplicate (RFC 2883 4)? What was retransmitted for nothing is counted down. */
static bool take_dsack(struct wi_tcp_conn *c, const struct wi_wire_tcp *h, struct wi_tcp_ackinfo *a)
{
    const struct wi_sack_block *b = &h->sacks[0];
    bool is_dup = wi_seq_lt(b->lo, h->ack) ||
                  (h->sack_n > 1 && wi_seq_leq(b->hi, h->sacks[1].hi) && wi_seq_geq(b->lo, h->sacks[1].lo));
    if (!is_dup || !wi_seq_lt(b->lo, b->hi))
        return false;

    uint32_t bytes = (uint32_t)wi_seq_diff(b->hi, b->lo);
    uint32_t segs = (bytes + c->snd_mss - 1) / c->snd_mss;
    if (bytes > c->snd_wnd_max_bytes + c->snd_mss)
        return false; /* more than could ever have been sent at once */
    wi_count(c->sk.core, WI_STAT_TCPDSACKRecv);
    c->dsack_dups += segs;
    a->dsack = true;
    struct wi_tcp_loss *l = &c->loss;
    if (c->dsack_dups > c->total_retrans)
        return true; /* the network duplicates: it says nothing about our retransmissions */
    l->rack_dsack_seen = true;
    c->delivered += segs; /* what was sent needlessly has arrived as well (Linux) */
    a->dsack_of_probe = l->tlp_on && wi_seq_eq(b->hi, l->tlp_high);
    bool any = l->undo_retrans > 0 && l->undo_retrans != WI_TCP_UNDO_UNKNOWN;
    if (l->undo_on && any && wi_seq_leq(b->hi, a->prior_una) && wi_seq_gt(b->hi, l->undo_una))
        l->undo_retrans -= segs < l->undo_retrans ? segs : l->undo_retrans;
    return true;
}

/* ---- Marking ---- */

static void note_order(struct wi_tcp_conn *c, const struct wi_tcp_rec *r, struct wi_tcp_ackinfo *a)
{
    struct wi_seq fack = c->loss.sacked_out ? c->loss.high_sacked : c->snd_una;
    if (wi_seq_lt(r->seq, fack) && (!a->has_reord || wi_seq_lt(r->seq, a->reord))) {
        a->reord = r->seq;
        a->has_reord = true;
    }
    if (wi_seq_leq(r->end, c->loss.high_seq))
        a->orig_acked = true;
    if (a->first_sack_at == WEIR_NEVER)
        a->first_sack_at = r->sent_at;
    a->last_sack_at = r->sent_at;
}

static void mark_sacked(struct wi_tcp_conn *c, struct wi_tcp_rec *r, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_loss *l = &c->loss;
    wi_tcp_rack_advance(c, r);
    wi_tcp_rate_delivered(c, r, &a->rate);
    r->is_rate_told = true; /* its cumulative ACK will be no news */
    if (!(r->marks & (WI_TCP_REC_RETRANS | WI_TCP_REC_EVER)))
        note_order(c, r, a);
    if (r->marks & WI_TCP_REC_LOST)
        l->lost_out -= r->segs;
    if (r->marks & WI_TCP_REC_RETRANS)
        l->retrans_out -= r->segs;
    r->marks &= (uint8_t) ~(WI_TCP_REC_LOST | WI_TCP_REC_RETRANS);
    if (l->sacked_out == 0 || wi_seq_gt(r->end, l->high_sacked))
        l->high_sacked = r->end;
    wi_tcp_rec_set_sacked(c, r, true);
    wi_list_del(&r->ts_link);
    l->sacked_out += r->segs;
    c->delivered += r->segs;
    a->delivered_bytes += wi_tcp_rec_len(r);
    a->data_sacked = true;
}

/* A block covers part of a super-segment: cut it at the MSS boundary that is nearest inside the block. False: no whole
 * segment of it is covered. */
static bool cut_to_block(struct wi_tcp_conn *c, struct wi_tcp_rec *r, struct wi_seq lo, struct wi_seq hi)
{
    uint32_t mss = r->mss, len = wi_tcp_rec_len(r);
    if (r->segs <= 1 || mss == 0)
        return false;
    if (wi_seq_gt(lo, r->seq)) {
        uint32_t at = (uint32_t)wi_seq_diff(lo, r->seq);
        at = (at + mss - 1) / mss * mss;
        return at < len && wi_tcp_rec_split(c, r, at, mss) == 0; /* its second half is looked at next */
    }
    uint32_t at = (uint32_t)wi_seq_diff(hi, r->seq) / mss * mss;
    return at > 0 && at < len && wi_tcp_rec_split(c, r, at, mss) == 0;
}

/* Only what is not SACKed yet is looked at: it becomes so, or lies at an edge of the block. */
static void walk(struct wi_tcp_conn *c, struct wi_sack_block b, struct wi_tcp_ackinfo *a)
{
    uint64_t *work = &c->sk.core->stats.count[WI_STAT_TCPScoreboardSteps];
    struct wi_tcp_rec *r = wi_tcp_rec_find(c, b.lo), *next;
    for (; r && wi_seq_lt(r->seq, b.hi); r = next) {
        bool is_whole = wi_seq_leq(b.lo, r->seq) && wi_seq_geq(b.hi, r->end);
        if (!is_whole && cut_to_block(c, r, b.lo, b.hi))
            is_whole = wi_seq_leq(b.lo, r->seq) && wi_seq_geq(b.hi, r->end);
        next = wi_tcp_rec_next_unsacked(r);
        if (is_whole)
            mark_sacked(c, r, a);
        (*work)++;
    }
}

/* ---- Input ---- */

/* What may be believed, clipped to what is outstanding, in order of sequence. */
static unsigned take_blocks(struct wi_tcp_conn *c, const struct wi_wire_tcp *h, unsigned first,
                            struct wi_sack_block out[WI_TCP_SACK_MAX])
{
    unsigned n = 0;
    for (unsigned i = first; i < h->sack_n; i++) {
        struct wi_sack_block b = h->sacks[i];
        if (!wi_seq_lt(b.lo, b.hi) || wi_seq_gt(b.hi, c->snd_nxt)) {
            c->sk.core->stats.drop[WEIR_DROP_TCP_SACK_BAD]++;
            continue;
        }
        if (wi_seq_leq(b.hi, c->snd_una))
            continue;
        b.lo = wi_seq_max(b.lo, c->snd_una);
        unsigned at = n++;
        for (; at > 0 && wi_seq_gt(out[at - 1].lo, b.lo); at--)
            out[at] = out[at - 1];
        out[at] = b;
    }
    return n;
}

void wi_tcp_sack_input(struct wi_tcp_conn *c, const struct wi_wire_tcp *h, struct wi_tcp_ackinfo *a)
{
    struct wi_sack_block blocks[WI_TCP_SACK_MAX];
    unsigned first = take_dsack(c, h, a) ? 1 : 0;
    unsigned n = take_blocks(c, h, first, blocks);
    for (unsigned i = 0; i < n; i++)
        walk(c, blocks[i], a);
    if (a->has_reord && c->loss.ca != WI_TCP_CA_LOSS)
        wi_tcp_note_reordering(c, a->reord);
    a->has_reord = false;
}

void wi_tcp_sack_forget(struct wi_tcp_conn *c)
{
    for (struct wi_rb_node *n; (n = wi_rb_first(&c->sndq.sacked));)
        wi_tcp_rec_set_sacked(c, WI_CONTAINER_OF(n, struct wi_tcp_rec, node), false);
    c->loss.sacked_out = 0;
}

/* ---- Loss ---- */

/* The start of the record that is DupThresh SACKed segments below the highest; *is_some false: not so many are. */
static struct wi_seq dupthresh_edge(const struct wi_tcp_conn *c, bool *is_some)
{
    struct wi_seq edge = c->snd_una;
    uint32_t above = 0;
    const struct wi_rb_node *n = wi_rb_last(&c->sndq.sacked);
    for (; n && above < c->loss.reordering; n = wi_rb_prev(n)) {
        const struct wi_tcp_rec *r = WI_CONTAINER_OF(n, const struct wi_tcp_rec, node);
        above += r->segs;
        edge = r->seq;
    }
    *is_some = above >= c->loss.reordering;
    return edge;
}

/*
 * RFC 6675 4, IsLost: DupThresh segments above have been SACKed: everything below them that is not SACKed is lost.
 * `lost_upto` remembers how far up that was done, so each record is looked at once.
 */
void wi_tcp_sack_mark_lost(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    bool is_some = false;
    struct wi_seq upto = dupthresh_edge(c, &is_some);
    if (!is_some || wi_seq_leq(upto, l->lost_upto))
        return;
    struct wi_tcp_rec *r = wi_tcp_rec_find(c, l->lost_upto);
    for (; r && wi_seq_lt(r->seq, upto); r = wi_tcp_rec_next_unsacked(r)) {
        wi_count(c->sk.core, WI_STAT_TCPScoreboardSteps);
        if (!(r->marks & WI_TCP_REC_LOST))
            wi_tcp_mark_lost(c, r);
    }
    l->lost_upto = upto;
}

/* ---- Without SACK ---- */

/* The hole that the dupacks are about can't have left: dupacks count for at most the rest. More of them are a sign of
 * reordering (or of duplication), as far as `acked` and what is out. Linux's tcp_check_reno_reordering. */
static void limit_reno_sacked(struct wi_tcp_conn *c, uint32_t acked)
{
    struct wi_tcp_loss *l = &c->loss;
    uint32_t holes = l->lost_out ? l->lost_out : 1;
    holes = holes < l->packets_out ? holes : l->packets_out;
    if (l->sacked_out + holes <= l->packets_out)
        return;
    l->sacked_out = l->packets_out - holes;
    l->reordering = wi_min_u32(l->packets_out + acked, (uint32_t)c->sk.core->sysctl.tcp_max_reordering);
    c->reord_seen++;
}

/* In Recovery, what has left within the least RTT can't have made a dupack. RFC 5681 3.2 step 4 allows such a bound;
 * without it each forged dupack would let go a segment, which would make room for another. */
static bool is_dupack_due(struct wi_tcp_conn *c)
{
    struct wi_tcp_loss *l = &c->loss;
    if (l->ca != WI_TCP_CA_RECOVERY)
        return true;
    if (c->sk.core->now - l->dup_bound_at >= WEIR_US((weir_ns)c->rtt.min_us)) {
        l->dup_bound = c->snd_nxt;
        l->dup_bound_at = c->sk.core->now;
    }
    uint32_t out = ((uint32_t)wi_seq_diff(l->dup_bound, c->snd_una) + c->snd_mss - 1) / c->snd_mss;
    return l->packets_out <= out || l->sacked_out + 1 < out;
}

void wi_tcp_reno_dupack(struct wi_tcp_conn *c, uint32_t n)
{
    uint32_t prior = c->loss.sacked_out;
    if (!is_dupack_due(c))
        return;
    c->loss.sacked_out += n;
    limit_reno_sacked(c, 0);
    if (c->loss.sacked_out > prior)
        c->delivered += c->loss.sacked_out - prior;
}

void wi_tcp_reno_acked(struct wi_tcp_conn *c, uint32_t acked)
{
    struct wi_tcp_loss *l = &c->loss;
    c->delivered += acked > l->sacked_out + 1 ? acked - l->sacked_out : 1;
    l->sacked_out = acked > l->sacked_out ? 0 : l->sacked_out - (acked - 1);
    limit_reno_sacked(c, acked);
}

void wi_tcp_reno_reset(struct wi_tcp_conn *c)
{
    c->loss.sacked_out = 0;
}
