/*
 * A connection as bytes (park.h). Two connections of a kind hold the same numbers almost everywhere once each is
 * written as its distance from one that it is near to: SND.NXT lies at SND.UNA, the moment of the last ACK at that of
 * the last event. That is the normal form; an image is what is left of its difference from another connection's, the
 * mould: for each word that differs the number of equal words before it, a bit for each byte of it, and those bytes.
 */
#include "base/str.h"
#include "tcp/isn.h"
#include "tcp/send.h"

/* ---- The normal form ---- */

enum fold_kind {
    FOLD_NUMBER,  /* 32 bits: the distance from the base; 0, which may stand for none, stays 0 */
    FOLD_TIME,    /* the same in 64 bits */
    FOLD_ADDRESS, /* 16 bytes: are they the base's? */
};

struct fold {
    enum fold_kind kind;
    size_t at, base;
};

#define AT(member) offsetof(struct wi_tcp_conn, member)
#define NUMBER(member, of)                                                                                             \
    {                                                                                                                  \
        FOLD_NUMBER, AT(member), AT(of)                                                                                \
    }
#define TIME(member, of)                                                                                               \
    {                                                                                                                  \
        FOLD_TIME, AT(member), AT(of)                                                                                  \
    }
#define ADDRESS(member, of)                                                                                            \
    {                                                                                                                  \
        FOLD_ADDRESS, AT(member), AT(of)                                                                               \
    }

/* What is a base stands behind all that is measured from it: so each is whole when it is used, both ways. */
static const struct fold folds[] = {
    NUMBER(snd_nxt, snd_una),
    NUMBER(write_seq, snd_una),
    NUMBER(snd_sml, snd_una),
    NUMBER(snd_up, snd_una),
    NUMBER(pushed_seq, snd_una),
    NUMBER(max_packets_seq, snd_una),
    NUMBER(rtt.seq, snd_una),
    NUMBER(loss.high_seq, snd_una),
    NUMBER(loss.high_sacked, snd_una),
    NUMBER(loss.retrans_hint, snd_una),
    NUMBER(loss.undo_una, snd_una),
    NUMBER(loss.rack_end, snd_una),
    NUMBER(loss.lost_upto, snd_una),
    NUMBER(loss.tlp_high, snd_una),
    NUMBER(snd_una, iss),
    NUMBER(snd_wl1, rcv_nxt),
    NUMBER(rcv_wup, rcv_nxt),
    NUMBER(copied_seq, rcv_nxt),
    NUMBER(ack_prior, rcv_nxt),
    NUMBER(comp_rcv_nxt, rcv_nxt),
    NUMBER(rcvq.drs_seq, rcv_nxt),
    NUMBER(rcvq.rtt_seq, rcv_nxt),
    NUMBER(rcvq.collapsed_seq, rcv_nxt),
    NUMBER(rcv_nxt, irs),
    NUMBER(rcvq.rtt_last_tsecr, last_tsecr),
    TIME(mtup.begun_at, opened_at),
    TIME(established_at, opened_at),
    TIME(synack_rtt_from, opened_at),
    TIME(rtt.min_at, established_at),
    TIME(ts_recent_at, ledger.at),
    TIME(cwnd_stamp, ledger.at),
    TIME(delivered_at, ledger.at),
    TIME(first_tx_at, ledger.at),
    TIME(last_rcv_at, ledger.at),
    TIME(last_ack_in_at, ledger.at),
    TIME(last_send_at, ledger.at),
    TIME(pace_at, ledger.at),
    TIME(loss.rack_sent_at, ledger.at),
    TIME(rcvq.drs_at, ledger.at),
    TIME(rcvq.rtt_at, ledger.at),
    TIME(chrono.since, ledger.at),
    ADDRESS(dst.next_hop, dst.dst),
    ADDRESS(dst.dst, sk.remote.addr),
    ADDRESS(dst.src, sk.local.addr),
};

static uint32_t read32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t read64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* A small distance in either direction becomes a small number. */
static uint64_t zigzag(uint64_t d)
{
    return d << 1 ^ (0 - (d >> 63));
}

static uint64_t unzigzag(uint64_t z)
{
    return z >> 1 ^ (0 - (z & 1));
}

static uint32_t zigzag32(uint32_t d)
{
    return d << 1 ^ (0 - (d >> 31));
}

static uint32_t unzigzag32(uint32_t z)
{
    return z >> 1 ^ (0 - (z & 1));
}

#define FARTHEST   ((uint64_t)1 << 63) /* the distance whose zigzag has no successor */
#define FARTHEST32 ((uint32_t)1 << 31)

/* 0 stays 0, and what would become 0 so takes its number. */
static void fold_time(void *p, uint64_t base)
{
    uint64_t t = read64(p), d = (t - base == FARTHEST ? 0 : t) - base;
    t = t == 0 ? 0 : zigzag(d) + 1;
    memcpy(p, &t, sizeof t);
}

static void unfold_time(void *p, uint64_t base)
{
    uint64_t z = read64(p), t = unzigzag(z - 1) + base;
    if (z == 0)
        return;
    t = t == 0 ? base + FARTHEST : t;
    memcpy(p, &t, sizeof t);
}

static void fold_number(void *p, uint32_t base)
{
    uint32_t n = read32(p), d = (n - base == FARTHEST32 ? 0 : n) - base;
    n = n == 0 ? 0 : zigzag32(d) + 1;
    memcpy(p, &n, sizeof n);
}

static void unfold_number(void *p, uint32_t base)
{
    uint32_t z = read32(p), n = unzigzag32(z - 1) + base;
    if (z == 0)
        return;
    n = n == 0 ? base + FARTHEST32 : n;
    memcpy(p, &n, sizeof n);
}

/* The base itself is written as 0, and 0 as the base. */
static void swap_address(void *p, const void *base)
{
    static const uint8_t none[16];
    if (memcmp(p, base, 16) == 0)
        memcpy(p, none, 16);
    else if (memcmp(p, none, 16) == 0)
        memcpy(p, base, 16);
}

static void fold_one(struct wi_tcp_conn *c, const struct fold *f)
{
    char *p = (char *)c + f->at, *base = (char *)c + f->base;
    switch (f->kind) {
    case FOLD_NUMBER: fold_number(p, read32(base)); return;
    case FOLD_TIME: fold_time(p, read64(base)); return;
    case FOLD_ADDRESS: swap_address(p, base); return;
    }
}

static void unfold_one(struct wi_tcp_conn *c, const struct fold *f)
{
    char *p = (char *)c + f->at, *base = (char *)c + f->base;
    switch (f->kind) {
    case FOLD_NUMBER: unfold_number(p, read32(base)); return;
    case FOLD_TIME: unfold_time(p, read64(base)); return;
    case FOLD_ADDRESS: swap_address(p, base); return;
    }
}

/* The controller says what its own are. */
static void fold_cc(struct wi_tcp_conn *c, bool is_back)
{
    void (*time)(void *, uint64_t) = is_back ? unfold_time : fold_time;
    void (*number)(void *, uint32_t) = is_back ? unfold_number : fold_number;
    for (unsigned i = 0; i < WI_TCP_CC_STATE_WORDS; i++) {
        if (c->cc->moments >> i & 1)
            time(&c->cc_state[i], c->ledger.at);
        if (c->cc->numbers >> i & 1)
            number(&c->cc_state[i], c->snd_una.v);
    }
}

/* What is told by the rest: the ledger's parts sum to the connection's life; our clock's offset is the four-tuple's,
 * and with it what the last ACK echoed was our clock when it came, or a little earlier. */
static void fold_derived(struct wi_tcp_conn *c, bool is_back)
{
    struct wi_tcp_tuple tuple = wi_tcp_tuple_of(&c->sk);
    weir_ns opened_at = c->ledger.at;
    for (unsigned i = 0; i < WEIR_CAUSE_N; i++)
        opened_at -= c->ledger.spent[i];
    uint32_t ts_off = c->ts_ok ? wi_tcp_ts_off(c->tcp, &tuple) : 0;
    uint32_t clock = (uint32_t)(c->ledger.at / WEIR_MS(1)) + ts_off;
    if (is_back) {
        c->opened_at += opened_at;
        c->ts_off += ts_off;
        unfold_number(&c->last_tsecr, clock);
        return;
    }
    c->opened_at -= opened_at;
    c->ts_off -= ts_off;
    fold_number(&c->last_tsecr, clock);
}

/* ---- What only its place says ---- */

static void drop_links(struct wi_tcp_conn *c)
{
    static const struct wi_list none;
    c->sk.owner = NULL;
    c->sk.on_ready = NULL;
    c->sk.groups = none;
    c->all_link = c->pend_link = c->queue_link = none;
    c->hnode = (struct wi_hnode){0};
    c->is_hashed = false;
    c->sndq.recs = c->sndq.chunks = c->sndq.by_time = c->rcvq.chunks = none;
    c->timer_rtx = c->timer_delack = c->timer_pace = c->timer_keep = (struct wi_timer){0};
}

static void make_links(struct wi_tcp_conn *c)
{
    struct wi_list *const lists[] = {&c->sk.groups, &c->all_link,    &c->pend_link,    &c->queue_link,
                                     &c->sndq.recs, &c->sndq.chunks, &c->sndq.by_time, &c->rcvq.chunks};
    for (size_t i = 0; i < WI_ARRAY_LEN(lists); i++)
        wi_list_init(lists[i]);
    wi_tcp_timers_init(c);
}

void wi_tcp_image_fold(struct wi_tcp_conn *out, const struct wi_tcp_conn *c)
{
    memcpy(out, c, sizeof *out); /* the padding too: what is the same shall be equal bytes */
    drop_links(out);
    fold_cc(out, false);
    for (size_t i = 0; i < WI_ARRAY_LEN(folds); i++)
        fold_one(out, &folds[i]);
    fold_derived(out, false);
}

void wi_tcp_image_unfold(struct wi_tcp_conn *out)
{
    fold_derived(out, true);
    for (size_t i = WI_ARRAY_LEN(folds); i-- > 0;)
        unfold_one(out, &folds[i]);
    fold_cc(out, true);
    make_links(out);
}

/* ---- Images ---- */

#define WORD 8
#define SKIP 0 /* as a word's bits: none, only so many equal words, and go on */

_Static_assert(sizeof(struct wi_tcp_conn) % WORD == 0, "a connection is whole words");

size_t wi_tcp_image_write(uint8_t *out, size_t cap, const struct wi_tcp_conn *folded, const struct wi_tcp_conn *mould)
{
    const char *ours = (const char *)folded, *theirs = (const char *)mould;
    size_t len = 0, equal_n = 0;
    for (size_t at = 0; at < sizeof *folded; at += WORD, equal_n++) {
        uint64_t differs = read64(ours + at) ^ read64(theirs + at);
        if (!differs)
            continue;
        if (len + 2 + 2 + WORD > cap)
            return cap + 1;
        if (equal_n > UINT8_MAX) {
            out[len++] = UINT8_MAX;
            out[len++] = SKIP;
            equal_n -= UINT8_MAX;
        }
        uint8_t *head = out + len;
        head[0] = (uint8_t)equal_n;
        head[1] = 0;
        len += 2;
        for (unsigned byte = 0; byte < WORD; byte++) {
            uint8_t bits = (uint8_t)(differs >> (8 * byte));
            if (!bits)
                continue;
            head[1] |= (uint8_t)(1u << byte);
            out[len++] = bits;
        }
        equal_n = SIZE_MAX; /* the word itself is counted by the loop */
    }
    return len;
}

void wi_tcp_image_read(struct wi_tcp_conn *out, const uint8_t *image, size_t len)
{
    char *word = (char *)out;
    for (const uint8_t *p = image, *end = image + len; p < end;) {
        uint64_t differs = 0;
        unsigned mask = p[1];
        word += (size_t)p[0] * WORD;
        p += 2;
        if (mask == SKIP)
            continue;
        for (; mask; mask &= mask - 1)
            differs |= (uint64_t)*p++ << (8 * (unsigned)__builtin_ctz(mask));
        differs ^= read64(word);
        memcpy(word, &differs, sizeof differs);
        word += WORD;
    }
    wi_tcp_image_unfold(out);
}
