/* Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 7.1). */
#include "tcp/isn.h"

#include "base/siphash.h"
#include "base/str.h"

/* SipHash-2-4 in full: what it gives is shown to peers. */
static uint64_t hash_tuple(const uint8_t key[16], const struct wi_tcp_tuple *t)
{
    if (weir_addr_is_v4(&t->local) && weir_addr_is_v4(&t->remote)) {
        uint64_t addrs = (uint64_t)wi_get32(t->local.b + 12) << 32 | wi_get32(t->remote.b + 12);
        return wi_siphash_2u64(key, addrs, (uint64_t)t->local_port << 16 | t->remote_port);
    }
    uint8_t in[36];
    memcpy(in, t->local.b, 16);
    memcpy(in + 16, t->remote.b, 16);
    wi_put16(in + 32, t->local_port);
    wi_put16(in + 34, t->remote_port);
    return wi_siphash24(key, in, sizeof in);
}

struct wi_seq wi_tcp_isn(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t)
{
    uint32_t clock = (uint32_t)(tcp->core->now / WEIR_US(4));
    return (struct wi_seq){clock + (uint32_t)hash_tuple(tcp->isn_key, t)};
}

uint32_t wi_tcp_ts_off(const struct wi_tcp *tcp, const struct wi_tcp_tuple *t)
{
    if (tcp->core->sysctl.tcp_timestamps == 2)
        return 0;
    return (uint32_t)hash_tuple(tcp->ts_key, t);
}
