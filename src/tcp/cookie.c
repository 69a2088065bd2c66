/* SYN cookies: see cookie.h. */
#include "tcp/cookie.h"

#include "base/siphash.h"
#include "base/str.h"

#define MINUTES_VALID 2u
#define HASH_BITS     24u
#define HASH_MASK     ((1u << HASH_BITS) - 1)

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

#define MSS_N (sizeof mss_v4 / sizeof mss_v4[0])

static const uint16_t *mss_table(const struct wi_tcp_tuple *t)
{
    return weir_addr_is_v4(&t->remote) ? mss_v4 : mss_v6;
}

static uint32_t hash_with(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t, uint32_t count, unsigned key)
{
    uint8_t in[40];
    memcpy(in, t->local.b, 16);
    memcpy(in + 16, t->remote.b, 16);
    wi_put16(in + 32, t->local_port);
    wi_put16(in + 34, t->remote_port);
    wi_put32(in + 36, count);
    return (uint32_t)wi_siphash24(tcp->cookie_key[key], in, sizeof in);
}

static uint32_t minute(const struct wi_tcp *tcp)
{
    return (uint32_t)(tcp->core->now / WEIR_SEC(60));
}

struct wi_seq wi_tcp_cookie_make(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t, struct wi_seq irs,
                                 uint16_t *mss)
{
    const uint16_t *table = mss_table(t);
    uint32_t i = MSS_N - 1;
    while (i > 0 && table[i] > *mss)
        i--;
    if (table[i] < *mss)
        *mss = table[i];
    uint32_t count = minute(tcp);
    uint32_t low = (hash_with(tcp, t, count, 1) + i) & HASH_MASK;
    return (struct wi_seq){hash_with(tcp, t, 0, 0) + irs.v + (count << HASH_BITS) + low};
}

uint16_t wi_tcp_cookie_check(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t, struct wi_seq irs,
                             struct wi_seq iss)
{
    uint32_t rest = iss.v - hash_with(tcp, t, 0, 0) - irs.v;
    uint32_t count = minute(tcp);
    uint32_t age = (count - (rest >> HASH_BITS)) & (UINT32_MAX >> HASH_BITS);
    if (age >= MINUTES_VALID)
        return 0;
    uint32_t i = (rest - hash_with(tcp, t, count - age, 1)) & HASH_MASK;
    return i < MSS_N ? mss_table(t)[i] : 0;
}

uint32_t wi_tcp_cookie_ts_put(uint32_t clock, const struct wi_tcp_syn *syn)
{
    uint32_t options =
        (syn->wscale_ok ? syn->snd_wscale : TS_WSCALE_MASK) | (syn->sack_ok ? TS_SACK : 0) | (syn->ecn_ok ? TS_ECN : 0);
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
    syn->ecn_ok = (ts & TS_ECN) && s->tcp_ecn;
    return s->tcp_timestamps && (!syn->sack_ok || s->tcp_sack) && (!syn->wscale_ok || s->tcp_window_scaling);
}
