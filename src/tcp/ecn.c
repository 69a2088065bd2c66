/*
 * ECN: what the handshake agrees on, classic feedback, and the marks of what leaves (ecn.h).
 */
#include "tcp/ecn.h"

#include "tcp/send.h"
#include "wire/ip.h"

#define ACE_NONE    0u
#define ACE_CLASSIC 3u /* of a SYN: RFC 3168 6.1.1 */
#define ACE_ECE     1u
#define ACE_BROKEN  7u /* of a SYN-ACK: it only mirrors */

/* tcp_ecn, Linux's numbers: 0 never, 1 classic both ways, 2 classic when asked; 3 to 5 accurate when asked, and asking
 * for accurate, classic or nothing. */
static enum wi_tcp_ecn_mode mode_in(const struct wi_core *core)
{
    int64_t v = core->sysctl.tcp_ecn;
    return v >= 3 ? WI_TCP_ECN_ACCURATE : v >= 1 ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_NONE;
}

static enum wi_tcp_ecn_mode mode_out(const struct wi_core *core)
{
    switch (core->sysctl.tcp_ecn) {
    case 3: return WI_TCP_ECN_ACCURATE;
    case 1:
    case 4: return WI_TCP_ECN_CLASSIC;
    default: return WI_TCP_ECN_NONE;
    }
}

/* ---- Agreement ---- */

/* RFC 3168 6.1.1.1: a SYN that gets no answer may be one that something drops for its flags. RFC 9768 3.1.4.1 tries
 * twice. */
uint16_t wi_tcp_ecn_syn_flags(struct wi_tcp_conn *c, unsigned rexmit_n)
{
    if (rexmit_n == 0) {
        enum wi_tcp_ecn_mode mode = mode_out(c->sk.core);
        c->ecn.asked = (uint8_t)(mode == WI_TCP_ECN_NONE && c->cc->needs_ecn ? WI_TCP_ECN_CLASSIC : mode);
    }
    bool is_accurate = c->ecn.asked == WI_TCP_ECN_ACCURATE;
    bool falls_back = c->sk.core->sysctl.tcp_ecn_fallback && rexmit_n > (is_accurate ? 1 : 0);
    if (c->ecn.asked == WI_TCP_ECN_NONE || falls_back)
        return 0;
    return (uint16_t)(WI_TH_ECE | WI_TH_CWR | (is_accurate ? WI_TH_AE : 0));
}

/* RFC 9768 3.1.2: whatever else the flags may come to mean, they ask for no less than AccECN. */
static bool asks_accurate(unsigned ace)
{
    return ace != ACE_NONE && ace != ACE_CLASSIC;
}

void wi_tcp_ecn_read_syn(const struct wi_core *core, const struct wi_tcp_seg *s, bool needs_ecn, struct wi_tcp_syn *syn)
{
    unsigned ace = wi_tcp_ace(s->h.flags);
    syn->ecn = WI_TCP_ECN_NONE;
    if (mode_in(core) == WI_TCP_ECN_ACCURATE && asks_accurate(ace)) {
        syn->ecn = WI_TCP_ECN_ACCURATE;
        return;
    }
    /* A classic SYN is itself not marked (RFC 3168 6.1.1), an accurate one may be: to us, who don't know that, its AE
     * is a reserved bit. */
    bool may_be_marked = s->h.flags & WI_TH_AE;
    bool is_right = (ace & ACE_CLASSIC) == ACE_CLASSIC && (s->ip->ecn == WI_ECN_NOT_ECT || may_be_marked);
    if (is_right && (mode_in(core) != WI_TCP_ECN_NONE || needs_ecn))
        syn->ecn = WI_TCP_ECN_CLASSIC;
}

/* RFC 9768 3.1.4.2: the first repetition goes without the option, the next ones without any sign of ECN. */
void wi_tcp_ecn_put_synack(const struct wi_core *core, enum wi_tcp_ecn_mode mode, unsigned field, unsigned rexmit_n,
                           struct wi_wire_tcp *h)
{
    switch (mode) {
    case WI_TCP_ECN_NONE: return;
    case WI_TCP_ECN_CLASSIC: h->flags |= WI_TH_ECE; return;
    case WI_TCP_ECN_ACCURATE: break;
    }
    if (rexmit_n > 1)
        return;
    h->flags |= wi_tcp_ace_flags(wi_tcp_accecn_ace_of(field));
    if (rexmit_n > 0 || !core->sysctl.tcp_ecn_option)
        return;
    int n = wi_tcp_accecn_fit(h, 0);
    if (n < 0)
        return;
    h->accecn_kind = WI_TCPOPT_ACCECN1;
    h->accecn_n = (uint8_t)n;
    h->accecn[0] = h->accecn[2] = 1; /* RFC 9768 3.2.1: not zero, so that zeroing shows */
    h->accecn[1] = 0;
}

static enum wi_tcp_ecn_mode mode_of_synack(enum wi_tcp_ecn_mode asked, uint16_t flags)
{
    unsigned ace = wi_tcp_ace(flags);
    if (asked == WI_TCP_ECN_CLASSIC)
        return (ace & ACE_CLASSIC) == ACE_ECE ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_NONE;
    if (ace == ACE_NONE || ace == ACE_BROKEN) /* RFC 9768 3.1.2, table 2 */
        return WI_TCP_ECN_NONE;
    return (ace & ACE_CLASSIC) == ACE_ECE ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_ACCURATE;
}

/* Both opened at once: what both have asked for. */
static enum wi_tcp_ecn_mode mode_of_crossing(enum wi_tcp_ecn_mode asked, uint16_t flags)
{
    unsigned ace = wi_tcp_ace(flags);
    if (asked == WI_TCP_ECN_ACCURATE && asks_accurate(ace))
        return WI_TCP_ECN_ACCURATE;
    return (ace & ACE_CLASSIC) == ACE_CLASSIC ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_NONE;
}

static bool check_syn_feedback(struct wi_tcp_conn *c, unsigned ace)
{
    if (!c->sk.core->sysctl.tcp_ecn_fallback || wi_tcp_accecn_is_valid(WI_ECN_NOT_ECT, wi_tcp_accecn_field_of(ace)))
        return true;
    c->ecn.fail |= WI_TCP_ECN_ACE_FAIL_RECV;
    return false;
}

void wi_tcp_ecn_take_syn(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    struct wi_tcp_ecn *e = &c->ecn;
    enum wi_tcp_ecn_mode asked = (enum wi_tcp_ecn_mode)e->asked;
    bool is_reply = s->h.flags & WI_TH_ACK;
    if (asked == WI_TCP_ECN_NONE)
        return;
    e->mode = (uint8_t)(is_reply ? mode_of_synack(asked, s->h.flags) : mode_of_crossing(asked, s->h.flags));
    if (e->mode == WI_TCP_ECN_CLASSIC && asked == WI_TCP_ECN_CLASSIC && c->total_rto > 0)
        wi_tcp_ecn_queue_cwr(c); /* the SYN's timeout has reduced the window, and Linux says so */
    if (e->mode != WI_TCP_ECN_ACCURATE)
        return;
    e->syn_field = s->ip->ecn;
    if (!is_reply) {
        e->last_field = s->ip->ecn;
        return;
    }
    e->reflect = true;
    if (s->h.accecn_kind) {
        wi_tcp_accecn_saw(c, &s->h);
        e->opt_demand = 2;
    }
    if (check_syn_feedback(c, wi_tcp_ace(s->h.flags)) && s->ip->ecn == WI_ECN_CE) {
        e->received_ce++;
        e->ce_pending++;
    }
}

/* Our ACK was lost, and with it how the first SYN-ACK came: that is told again. RFC 9768 3.2.2.1. */
void wi_tcp_ecn_synack_again(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    struct wi_tcp_ecn *e = &c->ecn;
    if (e->mode != WI_TCP_ECN_ACCURATE || !c->is_active || !(s->h.flags & WI_TH_ACK) || !wi_seq_eq(s->h.seq, c->irs))
        return;
    e->reflect = true;
    if (s->h.accecn_kind)
        wi_tcp_accecn_saw(c, &s->h);
}

/* RFC 9768 5.1: after a SYN-ACK that agreed to AccECN, the ACE field of the answer is never 0 or 1. */
enum wi_tcp_ecn_mode wi_tcp_ecn_from_cookie(const struct wi_core *core, uint16_t flags, bool has_classic, bool has_ts)
{
    bool was_asked = has_ts ? has_classic : true;
    if (was_asked && mode_in(core) == WI_TCP_ECN_ACCURATE && wi_tcp_ace(flags) > ACE_ECE)
        return WI_TCP_ECN_ACCURATE;
    return has_classic && mode_in(core) != WI_TCP_ECN_NONE ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_NONE;
}

void wi_tcp_ecn_open_passive(struct wi_tcp_conn *c, const struct wi_tcp_syn *syn)
{
    c->ecn.mode = syn->ecn;
    if (syn->ecn != WI_TCP_ECN_ACCURATE)
        return;
    c->ecn.syn_field = c->ecn.last_field = syn->tos & 3u;
    c->ecn.opt_demand = 1;
}

/* RFC 9768 3.2.2.1, table 4, and 3.2.2.3: what the client says of our SYN-ACK, which we sent Not-ECT. */
void wi_tcp_ecn_third_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    struct wi_tcp_ecn *e = &c->ecn;
    unsigned ace = wi_tcp_ace(s->h.flags);
    bool is_pure = s->h.data_len == 0 && !(s->h.flags & WI_TH_FIN) && s->h.sack_n == 0;
    if (e->mode != WI_TCP_ECN_ACCURATE)
        return;
    if (s->h.accecn_kind)
        wi_tcp_accecn_saw(c, &s->h);
    e->is_checked = true;
    if (ace == ACE_NONE) {
        e->fail |= WI_TCP_ECN_ACE_FAIL_RECV;
        return;
    }
    e->skip_ace = is_pure;
    bool is_used = ace != 1 && ace != 5 && ace != 7;
    if (is_pure && is_used && check_syn_feedback(c, ace) && wi_tcp_accecn_field_of(ace) == WI_ECN_CE)
        c->delivered_ce = 1;
}

/* ---- Feedback ---- */

/* A mark is echoed until the sender says that it has reacted: RFC 3168 6.1.2, 6.1.3. */
static void take_classic(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    struct wi_tcp_ecn *e = &c->ecn;
    if (s->ip->ecn == WI_ECN_NOT_ECT)
        return;
    e->is_seen = true;
    if (s->ip->ecn != WI_ECN_CE)
        return;
    if (!e->demand_cwr)
        wi_tcp_quickack_enter(c, 2);
    e->demand_cwr = true;
}

void wi_tcp_ecn_data(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    struct wi_tcp_ecn *e = &c->ecn;
    if (e->mode == WI_TCP_ECN_NONE || s->data_len == 0)
        return;
    bool is_classic = e->mode == WI_TCP_ECN_CLASSIC, is_new = wi_seq_gt(s->end, c->rcv_nxt);
    bool has_own_echo = is_classic && c->cc->arrived;
    if (is_classic && !has_own_echo && (s->h.flags & WI_TH_CWR)) {
        e->demand_cwr = false;
        c->ack_now = true; /* its window may be down to one segment (Linux) */
    }
    if (!is_new) {
        wi_tcp_accecn_spurious(c, s);
        return; /* RFC 3168 6.1.5: whoever guesses an old number could slow the connection down */
    }
    if (s->ip->ecn == WI_ECN_NOT_ECT && e->is_seen)
        wi_tcp_quickack_enter(c, 2); /* a retransmission, most likely: the sender waits for every ACK (Linux) */
    if (has_own_echo) {
        e->is_seen |= s->ip->ecn != WI_ECN_NOT_ECT;
        c->cc->arrived(c, s->ip->ecn == WI_ECN_CE);
    } else if (is_classic) {
        take_classic(c, s);
    }
}

void wi_tcp_ecn_received(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (c->ecn.mode == WI_TCP_ECN_ACCURATE)
        wi_tcp_accecn_received(c, s);
}

void wi_tcp_ecn_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s, struct wi_tcp_ackinfo *a)
{
    uint32_t before = c->delivered_ce;
    if (c->ecn.mode == WI_TCP_ECN_CLASSIC && a->ecn_echo)
        c->delivered_ce += c->delivered - a->prior_delivered;
    else if (c->ecn.mode == WI_TCP_ECN_ACCURATE)
        wi_tcp_accecn_ack(c, s, a);
    c->sk.core->stats.count[WI_STAT_TCPDeliveredCE] += c->delivered_ce - before;
}

void wi_tcp_ecn_queue_cwr(struct wi_tcp_conn *c)
{
    if (c->ecn.mode == WI_TCP_ECN_CLASSIC)
        c->ecn.queue_cwr = true;
}

/* ---- Output ---- */

/* The counter starts at 5, so that a field of zeroes is no count; the ACK of a SYN-ACK says how that came instead (RFC
 * 9768 3.2.2.1, only on an ACK without data and SACK). */
static void put_ace(struct wi_tcp_conn *c, struct wi_wire_tcp *h, bool has_text)
{
    struct wi_tcp_ecn *e = &c->ecn;
    bool reflects = e->reflect && !has_text && h->sack_n == 0;
    unsigned ace = reflects ? wi_tcp_accecn_ace_of(e->syn_field) : e->received_ce + 5;
    h->flags |= wi_tcp_ace_flags(ace);
    e->reflect = false;
    e->ce_pending = 0;
}

void wi_tcp_ecn_put(struct wi_tcp_conn *c, struct wi_wire_tcp *h, bool is_new_data)
{
    struct wi_tcp_ecn *e = &c->ecn;
    switch ((enum wi_tcp_ecn_mode)e->mode) {
    case WI_TCP_ECN_NONE: return;
    case WI_TCP_ECN_ACCURATE: put_ace(c, h, h->data_len > 0 || (h->flags & (WI_TH_FIN | WI_TH_RST))); return;
    case WI_TCP_ECN_CLASSIC: break;
    }
    /* RFC 3168 6.1: ECE until the peer says CWR; CWR once, on new data. */
    if (e->demand_cwr)
        h->flags |= WI_TH_ECE;
    if (is_new_data && e->queue_cwr) {
        h->flags |= WI_TH_CWR;
        e->queue_cwr = false;
    }
}

/* Classic: new data alone, for only what is lost or marked in them is answered (RFC 3168 6.1.4 to 6.1.6). With AccECN
 * marks on ACKs and retransmissions are counted too, so these may be marked as well, as Linux has it. */
uint8_t wi_tcp_ecn_field(const struct wi_tcp_conn *c, bool is_new_data)
{
    bool is_ect = c->ecn.mode == WI_TCP_ECN_ACCURATE ? !(c->ecn.fail & WI_TCP_ECN_ACE_FAIL_RECV)
                                                     : c->ecn.mode == WI_TCP_ECN_CLASSIC && is_new_data;
    return is_ect ? WI_ECN_ECT0 : WI_ECN_NOT_ECT;
}
