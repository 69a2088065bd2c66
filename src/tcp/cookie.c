/* SYN cookies: see cookie.h. */
#include "tcp/cookie.h"

#include "base/siphash.h"
#include "base/str.h"

#define MINUTES_VALID  2u
#define MINUTES_SECRET 4u /* how long cookies are made with one secret */
#define HASH_BITS      24u
#define HASH_MASK      ((1u << HASH_BITS) - 1)

/* Six bits of a timestamp: 4 of window scale (15: none), SACK, ECN. */
#define TS_BITS        6u
#define TS_MASK        ((1u << TS_BITS) - 1)
#define TS_WSCALE_MASK 0xfu
#define TS_SACK        (1u << 4)
#define TS_ECN         (1u << 5)

/* Sizes that a cookie can keep, ascending; the largest that is not above the peer's is taken. Linux's four, and what
 * small and jumbo links use; the first is the floor of what we send anyway. */
static const uint16_t mss_v4[] = {WI_TCP_MSS_MIN, 256, 536, 1024, 1300, 1440, 1460, 9000 - 40};
static const uint16_t mss_v6[] = {WI_TCP_MSS_MIN, 536, 1024, 1280 - 60, 1380, 1480 - 60, 1500 - 60, 9000 - 60};
_Static_assert(sizeof mss_v4 == sizeof mss_v6, "one index serves both");

_Static_assert(MINUTES_SECRET >= MINUTES_VALID, "the last secret must outlive its last cookie");

#define MSS_N (sizeof mss_v4 / sizeof mss_v4[0])

static const uint16_t *mss_table(const struct wi_tcp_tuple *t)
{
    return weir_addr_is_v4(&t->remote) ? mss_v4 : mss_v6;
}

/* ---- Secrets ---- */

static uint32_t minute(const struct wi_tcp *tcp)
{
    return (uint32_t)(tcp->core->now / WEIR_SEC(60));
}

/* The secret of a minute. Two are kept: the last one outlives every cookie that was made with it. */
static const uint8_t *secret_of(const struct wi_tcp *tcp, uint32_t count)
{
    return tcp->cookie_key[count / MINUTES_SECRET % 2];
}

/* This minute's, new when its turn has come. */
static const uint8_t *secret_now(struct wi_tcp *tcp)
{
    uint32_t count = minute(tcp), turn = count / MINUTES_SECRET;
    uint8_t *key = tcp->cookie_key[turn % 2];
    if (turn != tcp->cookie_turn)
        wi_secret_bytes(&tcp->core->secret, key, sizeof tcp->cookie_key[0]);
    if (turn > tcp->cookie_turn + 1) /* the other one is from long ago */
        wi_secret_bytes(&tcp->core->secret, tcp->cookie_key[(turn + 1) % 2], sizeof tcp->cookie_key[0]);
    tcp->cookie_turn = turn;
    return key;
}

/* Is there a secret of that minute? Not when it was to be the next one's: no cookie was made in its time. */
static bool has_secret(const struct wi_tcp *tcp, uint32_t count)
{
    uint32_t turn = count / MINUTES_SECRET;
    return turn == tcp->cookie_turn || turn + 1 == tcp->cookie_turn;
}

/* ---- The number ---- */

/* 32 bits that hide the peer's number and the minute, and HASH_BITS that vouch for all. */
struct mac {
    uint32_t mask, proof;
};

static struct mac mac_of(const uint8_t *key, const struct wi_tcp_tuple *t, struct wi_seq irs, uint32_t count)
{
    uint8_t in[44];
    memcpy(in, t->local.b, 16);
    memcpy(in + 16, t->remote.b, 16);
    wi_put16(in + 32, t->local_port);
    wi_put16(in + 34, t->remote_port);
    wi_put32(in + 36, count);
    wi_put32(in + 40, irs.v);
    uint64_t h = wi_siphash24(key, in, sizeof in);
    return (struct mac){(uint32_t)(h >> 32), (uint32_t)h & HASH_MASK};
}

struct wi_seq wi_tcp_cookie_make(struct wi_tcp *tcp, const struct wi_tcp_tuple *t, struct wi_seq irs, uint16_t *mss)
{
    const uint16_t *table = mss_table(t);
    uint32_t i = MSS_N - 1;
    while (i > 0 && table[i] > *mss)
        i--;
    if (table[i] < *mss)
        *mss = table[i];
    uint32_t count = minute(tcp);
    struct mac m = mac_of(secret_now(tcp), t, irs, count);
    return (struct wi_seq){m.mask + (count << HASH_BITS) + ((m.proof + i) & HASH_MASK)};
}

uint16_t wi_tcp_cookie_check(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t, struct wi_seq irs,
                             struct wi_seq iss)
{
    uint32_t now = minute(tcp);
    for (uint32_t age = 0; age < MINUTES_VALID && age <= now; age++) {
        uint32_t count = now - age;
        if (!has_secret(tcp, count))
            continue;
        struct mac m = mac_of(secret_of(tcp, count), t, irs, count);
        uint32_t rest = iss.v - m.mask, i = (rest - m.proof) & HASH_MASK;
        if (rest >> HASH_BITS == (count & (UINT32_MAX >> HASH_BITS)) && i < MSS_N)
            return mss_table(t)[i];
    }
    return 0;
}

/* ---- Options in a timestamp ---- */

uint32_t wi_tcp_cookie_ts_put(uint32_t clock, const struct wi_tcp_syn *syn)
{
    uint32_t options =
        (syn->wscale_ok ? syn->snd_wscale : TS_WSCALE_MASK) | (syn->sack_ok ? TS_SACK : 0) | (syn->ecn ? TS_ECN : 0);
    uint32_t ts = (clock & ~TS_MASK) | options;
    return (int32_t)(ts - clock) > 0 ? ts - (1u << TS_BITS) : ts; /* never ahead of the clock: it must not run back */
}

bool wi_tcp_cookie_ts_get(const struct wi_core *core, uint32_t ts, struct wi_tcp_syn *syn)
{
    const struct wi_sysctl *s = &core->sysctl;
    uint32_t wscale = ts & TS_WSCALE_MASK;
    syn->wscale_ok = wscale <= WI_TCP_WSCALE_MAX;
    syn->snd_wscale = syn->wscale_ok ? (uint8_t)wscale : 0;
    syn->sack_ok = ts & TS_SACK;
    syn->ecn = ts & TS_ECN ? WI_TCP_ECN_CLASSIC : WI_TCP_ECN_NONE;
    return s->tcp_timestamps && (!syn->sack_ok || s->tcp_sack) && (!syn->wscale_ok || s->tcp_window_scaling);
}
