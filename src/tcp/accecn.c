/*
 * Accurate ECN, RFC 9768: each mark is counted and told, by three bits in every segment (ACE) and, where it gets
 * through, by byte counters in an option. How the counts are read when ACKs were lost is Linux's.
 */
#include "tcp/ecn.h"

#include "tcp/send.h"
#include "wire/ip.h"

#define ACE_MASK     7u
#define ACE_INIT     5u /* RFC 9768 3.2.1 */
#define OPT_SPACE    40u
#define OPT_BASE     2u
#define OPT_COUNTER  3u
#define COUNTER_MASK 0xffffffu
#define TELL_EVERY   22 /* at least an option for each 2^22 bytes: a counter of 24 bits must not wrap unseen */
#define TOO_LATE     ((1u << 23) - 1) /* so many bytes sent without an option: it can't be begun with any more */
#define EWMA_SHIFT   6
#define ACKS_THINNED 4u /* segments that an ACK acknowledges where something thins out ACKs */
#define CE_ON_ACKS   6u /* RFC 9768 3.2.2.5.1: marks on pure ACKs that are told by an ACK */
#define CE_ON_DATA   2u

/* ---- What fields and their codes mean ---- */

/* RFC 9768 3.1.2, table 2, and 3.2.2.1, table 3. */
unsigned wi_tcp_accecn_ace_of(unsigned field)
{
    static const uint8_t ace[] = {[WI_ECN_NOT_ECT] = 2, [WI_ECN_ECT1] = 3, [WI_ECN_ECT0] = 4, [WI_ECN_CE] = 6};
    return ace[field & 3];
}

unsigned wi_tcp_accecn_field_of(unsigned ace)
{
    switch (ace) {
    case 3: return WI_ECN_ECT1;
    case 4: return WI_ECN_ECT0;
    case 6: return WI_ECN_CE;
    default: return WI_ECN_NOT_ECT;
    }
}

bool wi_tcp_accecn_is_valid(unsigned sent, unsigned arrived)
{
    if (sent == arrived)
        return true;
    return sent != WI_ECN_NOT_ECT && arrived != WI_ECN_NOT_ECT && sent != WI_ECN_CE;
}

/* Which field the i-th counter of an option counts: kind 172 ECT(0), CE, ECT(1); kind 174 the other way round. */
static unsigned field_at(uint8_t kind, unsigned i)
{
    if (i == 1)
        return WI_ECN_CE;
    return (i == 0) == (kind == WI_TCPOPT_ACCECN1) ? WI_ECN_ECT1 : WI_ECN_ECT0;
}

/* What a counter began with. */
static uint32_t initial(unsigned field)
{
    return field == WI_ECN_CE ? 0 : 1;
}

/* ---- Receiving the option ---- */

/* RFC 9768 3.2.3.2.4: counters of ECT begin with 1, so one of zeroes was made so. */
enum wi_tcp_ecn_opt wi_tcp_accecn_look(const struct wi_wire_tcp *h)
{
    if (h->accecn_n == 0)
        return WI_TCP_ECN_OPT_EMPTY;
    bool is_zeroed = h->accecn[0] == 0 || (h->accecn_n == WI_TCP_ECN_FIELDS && h->accecn[2] == 0);
    return is_zeroed ? WI_TCP_ECN_OPT_BROKEN : WI_TCP_ECN_OPT_COUNTERS;
}

static void set_seen(struct wi_tcp_conn *c, enum wi_tcp_ecn_opt seen)
{
    c->ecn.opt_seen = (uint8_t)seen;
    if (seen == WI_TCP_ECN_OPT_BROKEN)
        c->ecn.fail |= WI_TCP_ECN_OPT_FAIL_RECV;
}

void wi_tcp_accecn_saw(struct wi_tcp_conn *c, const struct wi_wire_tcp *h)
{
    if (c->ecn.opt_seen < WI_TCP_ECN_OPT_COUNTERS)
        set_seen(c, wi_tcp_accecn_look(h));
}

/* What has been acknowledged without an option is taken to have had the field that options told of before. */
static bool take_no_option(struct wi_tcp_conn *c, uint32_t delivered_bytes)
{
    struct wi_tcp_ecn *e = &c->ecn;
    if (e->opt_seen == WI_TCP_ECN_OPT_NONE) {
        if (c->bytes_sent >= TOO_LATE)
            set_seen(c, WI_TCP_ECN_OPT_BROKEN);
        return false;
    }
    if (e->estimate)
        e->delivered_bytes[e->estimate - 1] += delivered_bytes;
    return e->estimate != 0;
}

/* Add a 24-bit counter's news. Returns by how much it grew; negative for an older option than the last. */
static int32_t add_counter(uint32_t *count, uint32_t wire, uint32_t init)
{
    uint32_t more = (wire - *count - init) & COUNTER_MASK;
    int32_t delta = more & (COUNTER_MASK / 2 + 1) ? (int32_t)more - (int32_t)(COUNTER_MASK + 1) : (int32_t)more;
    *count += (uint32_t)delta;
    return delta;
}

/* The byte counters, as far as they are told. True: the change of delivered_bytes may be relied on. */
static bool take_option(struct wi_tcp_conn *c, const struct wi_wire_tcp *h, uint32_t delivered_bytes)
{
    struct wi_tcp_ecn *e = &c->ecn;
    if (e->fail & WI_TCP_ECN_OPT_FAIL_RECV)
        return false;
    if (!h->accecn_kind)
        return take_no_option(c, delivered_bytes);
    wi_tcp_accecn_saw(c, h);
    unsigned estimate = e->estimate, changed = 0;
    bool is_sure = estimate != 0, is_mixed = false;
    for (unsigned i = 0; i < h->accecn_n && i < WI_TCP_ECN_FIELDS; i++) {
        unsigned field = field_at(h->accecn_kind, i);
        int32_t delta = add_counter(&e->delivered_bytes[field - 1], h->accecn[i], initial(field));
        is_mixed |= delta < 0;
        if (delta == 0 || field == estimate)
            continue;
        is_mixed |= changed != 0;
        if (!changed)
            changed = field;
    }
    if (changed)
        e->estimate = (uint8_t)changed;
    if (is_mixed)
        e->estimate = 0;
    return is_sure && !is_mixed;
}

/* ---- Reading the ACE field ---- */

static void note_acked_per_ack(struct wi_tcp_ecn *e, uint32_t segs)
{
    if (segs == 0)
        return;
    uint32_t v = e->acked_ewma
                     ? (((uint32_t)e->acked_ewma << EWMA_SHIFT) - e->acked_ewma + (segs << EWMA_SHIFT)) >> EWMA_SHIFT
                     : segs << EWMA_SHIFT;
    e->acked_ewma = (uint16_t)wi_min_u32(v, UINT16_MAX);
}

/* So many segments were acknowledged that three bits may have gone round: how many marks is it most likely? RFC 9768
 * A.2. delta: what the field alone says; ceb: bytes told as marked, where is_told. */
static uint32_t marks_of_many(const struct wi_tcp_conn *c, uint32_t delta, const struct wi_tcp_ackinfo *a,
                              uint32_t segs, bool is_told, uint32_t ceb)
{
    uint32_t most = segs - ((segs - delta) & ACE_MASK);
    if (!is_told) /* where ACKs are thinned out on the way it is no sign of marks that so much came at once */
        return c->ecn.acked_ewma > ACKS_THINNED << EWMA_SHIFT ? delta : most;
    if (ceb == 0)
        return delta;
    bool counts_well = c->sack_ok || c->loss.ca == WI_TCP_CA_OPEN || c->loss.ca == WI_TCP_CA_CWR;
    if (segs >= (ACE_MASK + 1) * 2 && counts_well) {
        if (a->delivered_bytes <= ceb)
            return most;
        uint64_t share = ((uint64_t)ceb * segs + a->delivered_bytes - 1) / a->delivered_bytes;
        return wi_min_u32(most, delta + ((uint32_t)share & ~ACE_MASK));
    }
    if (ceb > delta * c->snd_mss)
        return most;
    return ceb < most * c->snd_mss / 2 ? delta : most;
}

/* The client's first feedback: a field of zeroes after fewer than three segments can't be a count. RFC 9768 3.2.2.4. */
static bool is_zeroed(struct wi_tcp_conn *c, unsigned ace)
{
    if (c->ecn.is_checked)
        return false;
    c->ecn.is_checked = true;
    return ace == 0 && c->segs_out <= 4 && c->sk.core->sysctl.tcp_ecn_fallback;
}

void wi_tcp_accecn_ack(struct wi_tcp_conn *c, const struct wi_tcp_seg *s, struct wi_tcp_ackinfo *a)
{
    struct wi_tcp_ecn *e = &c->ecn;
    uint32_t segs = c->delivered - a->prior_delivered, ceb_before = e->delivered_bytes[WI_ECN_CE - 1];
    /* An ACK of our SYN alone may have the field's other meaning. */
    bool is_of_syn = e->skip_ace || a->syn_acked ||
                     (!c->is_active && wi_seq_eq(s->h.ack, wi_seq_add(c->iss, 1)) && s->h.data_len == 0);
    e->skip_ace = false;
    if (segs == 0 && a->acked_segs == 0 && !a->data_sacked && !a->ts_advanced)
        return; /* it may be older than the last one */
    bool is_told = take_option(c, &s->h, a->delivered_bytes);
    note_acked_per_ack(e, segs);
    if (is_of_syn)
        return;
    unsigned ace = wi_tcp_ace(s->h.flags);
    if (is_zeroed(c, ace))
        e->fail |= WI_TCP_ECN_ACE_FAIL_RECV;
    if (e->fail & WI_TCP_ECN_ACE_FAIL_RECV)
        return; /* RFC 9768 3.2.2.4: nothing of ours is ECT, so what the field says means nothing */
    uint32_t delta = (ace - ACE_INIT - c->delivered_ce) & ACE_MASK;
    if (segs > ACE_MASK)
        delta = marks_of_many(c, delta, a, segs, is_told, e->delivered_bytes[WI_ECN_CE - 1] - ceb_before);
    c->delivered_ce += delta;
    a->ecn_echo = delta > 0;
}

/* ---- Counting what arrives ---- */

static uint32_t packets_of(const struct wi_tcp_seg *s)
{
    uint32_t len = s->h.data_len;
    return s->gso_size && len > s->gso_size ? (len + s->gso_size - 1) / s->gso_size : 1;
}

static void count_bytes(struct wi_tcp_ecn *e, unsigned field, uint32_t len)
{
    /* Counters from the option's front up to the one that changed: ECT(1), CE, ECT(0). */
    static const uint8_t place[] = {[WI_ECN_ECT1] = 1, [WI_ECN_CE] = 2, [WI_ECN_ECT0] = 3};
    uint32_t *count = &e->received_bytes[field - 1], before = *count;
    *count += len;
    if (place[field] > e->opt_min)
        e->opt_min = place[field];
    if ((*count ^ before) >> TELL_EVERY && e->opt_demand == 0)
        e->opt_demand = 1;
}

void wi_tcp_accecn_received(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    struct wi_tcp_ecn *e = &c->ecn;
    unsigned field = s->ip->ecn;
    bool is_edge = field != e->last_field, is_ce = field == WI_ECN_CE;
    if (field != WI_ECN_NOT_ECT)
        e->is_seen = true;
    if (is_ce) {
        uint32_t n = packets_of(s);
        e->received_ce += n;
        e->ce_pending = (uint8_t)wi_min_u32(e->ce_pending + n, 15);
    }
    if (field != WI_ECN_NOT_ECT && s->h.data_len > 0)
        count_bytes(e, field, s->h.data_len);
    if (is_edge || is_ce)
        e->opt_demand = 2; /* the second one says without doubt which field it was */
    e->last_field = (uint8_t)field;
    /* RFC 9768 3.2.2.5.1: a change of marking is told at once, and so are marks before the field has gone round. */
    if (is_edge || (is_ce && e->ce_pending >= CE_ON_DATA))
        c->ack_now = true;
    if (is_ce && s->h.data_len == 0 && e->ce_pending >= CE_ON_ACKS)
        wi_tcp_owe_ack(c, WEIR_WHY_ACK);
}

/* ---- Sending the option ---- */

/* Bytes of the header that an option of n counters adds where so many of them may lie in other options' padding. */
static unsigned bytes_of(unsigned n, unsigned spare)
{
    unsigned size = OPT_BASE + OPT_COUNTER * n;
    return (size & 3) <= spare ? size & ~3u : (size + 3) & ~3u;
}

int wi_tcp_accecn_fit(const struct wi_wire_tcp *h, unsigned needed)
{
    unsigned taken = (unsigned)wi_wire_tcp_hdr_len(h) - WI_TCP_HDR_MIN;
    unsigned spare = (h->sack_ok && !h->has_ts) || h->sack_n ? 2 : h->has_wscale ? 1 : 0;
    for (unsigned n = WI_TCP_ECN_FIELDS + 1; n-- > needed;)
        if (taken + bytes_of(n, spare) <= OPT_SPACE)
            return (int)n;
    return -1;
}

/* At least tcp_ecn_option_beacon times a round trip. */
static bool is_beacon_due(const struct wi_tcp_conn *c)
{
    int64_t times = c->sk.core->sysctl.tcp_ecn_option_beacon;
    return times > 0 && (c->sk.core->now - c->ecn.opt_at) / 1000 * (weir_ns)times >= c->rtt.srtt_us8 >> 3;
}

static bool is_option_due(const struct wi_tcp_conn *c)
{
    const struct wi_tcp_ecn *e = &c->ecn;
    int64_t how =
        c->sk.core->sysctl.tcp_ecn_option; /* 0 never, 1 as little as RFC 9768 allows, 2 always, 3 come what may */
    if (e->mode != WI_TCP_ECN_ACCURATE || how == 0 || e->opt_seen == WI_TCP_ECN_OPT_NONE)
        return false;
    if ((e->fail & WI_TCP_ECN_OPT_FAIL_SEND) && how < 3)
        return false;
    return how >= 2 || e->opt_demand > 0 || is_beacon_due(c);
}

/* As many SACK blocks as leave room for what the option must say: two at least. Linux's tcp_options_fit_accecn. */
static int fit_beside_sacks(struct wi_wire_tcp *h, unsigned needed)
{
    unsigned all = h->sack_n;
    int n = wi_tcp_accecn_fit(h, needed);
    while (n < 0 && needed > 0 && h->sack_n > 2) {
        h->sack_n--;
        n = wi_tcp_accecn_fit(h, needed);
    }
    if (n < 0)
        h->sack_n = (uint8_t)all;
    return n;
}

uint32_t wi_tcp_accecn_len(const struct wi_tcp_conn *c, unsigned sack_n)
{
    if (!is_option_due(c))
        return 0;
    struct wi_wire_tcp h = {.has_ts = c->ts_ok, .sack_n = (uint8_t)sack_n};
    uint32_t before = (uint32_t)wi_wire_tcp_hdr_len(&h);
    int n = fit_beside_sacks(&h, c->ecn.opt_min);
    if (n < 0)
        return 0;
    h.accecn_kind = WI_TCPOPT_ACCECN1;
    h.accecn_n = (uint8_t)n;
    uint32_t after = (uint32_t)wi_wire_tcp_hdr_len(&h);
    return after > before ? after - before : 0;
}

void wi_tcp_accecn_put(struct wi_tcp_conn *c, struct wi_wire_tcp *h, uint32_t payload)
{
    struct wi_tcp_ecn *e = &c->ecn;
    uint8_t sacks = h->sack_n;
    int n = is_option_due(c) ? fit_beside_sacks(h, e->opt_min) : -1;
    e->has_dsacked = false;
    if (n < 0)
        return;
    h->accecn_kind = WI_TCPOPT_ACCECN1;
    h->accecn_n = (uint8_t)n;
    for (unsigned i = 0; i < WI_TCP_ECN_FIELDS; i++) {
        unsigned field = field_at(WI_TCPOPT_ACCECN1, i);
        h->accecn[i] = (e->received_bytes[field - 1] + initial(field)) & COUNTER_MASK;
    }
    /* A segment that was cut for a header without it has no room. */
    if (payload && wi_tcp_hdrs_len(c) - WI_TCP_HDR_MIN + wi_wire_tcp_hdr_len(h) + payload > c->pmtu) {
        h->accecn_kind = 0;
        h->sack_n = sacks;
        return;
    }
    e->opt_at = c->sk.core->now;
    e->opt_min = 0;
    if (e->opt_demand > 0)
        e->opt_demand--;
    e->has_dsacked = h->sack_n > 0 && wi_seq_lt(h->sacks[0].lo, h->ack);
    e->dsacked = h->sacks[0].lo;
}

/* RFC 9768 3.2.3.2.2: it comes again although a DSACK with the option has said that it came. */
void wi_tcp_accecn_spurious(struct wi_tcp_conn *c, const struct wi_tcp_seg *s)
{
    if (c->ecn.mode == WI_TCP_ECN_ACCURATE && c->ecn.has_dsacked && wi_seq_eq(s->h.seq, c->ecn.dsacked))
        c->ecn.fail |= WI_TCP_ECN_OPT_FAIL_SEND;
}
