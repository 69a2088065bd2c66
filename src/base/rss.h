/*
 * Receive side scaling's hash, and what a stack has to know of being one shard among several (weir/shard.h). Where a
 * packet goes is wire/steer.c's to say.
 */
#ifndef WI_BASE_RSS_H
#define WI_BASE_RSS_H

#include <weir/shard.h>

/* What `len` bytes of the hash's input add to it, of which the first is its byte `at`: source and destination address,
 * then the ports. at + len is at most 36. */
static inline uint32_t wi_rss_part(const struct weir_rss *r, unsigned at, const uint8_t *p, unsigned len)
{
    uint32_t hash = 0;
    for (unsigned i = 0; i < len; i++)
        hash ^= r->parts[(at + i) * 2][p[i] >> 4] ^ r->parts[(at + i) * 2 + 1][p[i] & 15];
    return hash;
}

/* Do segments from `remote` to `local` come to this stack? Always true where it is no shard. */
static inline bool wi_shard_has_flow(const struct weir_shard *s, const struct weir_sockaddr *remote,
                                     const struct weir_sockaddr *local)
{
    return !s->rss || weir_rss_shard(s->rss, weir_rss_hash(s->rss, remote, local)) == s->index;
}

/* Is it the shard that UDP's ephemeral port belongs to, whoever sends? It answers for ports outside of their range,
 * too: they are nobody's. */
static inline bool wi_rss_is_port_owned(const struct weir_rss *r, uint16_t port)
{
    return port >= r->port_min && port <= r->port_max;
}

static inline bool wi_shard_has_port(const struct weir_shard *s, uint16_t port)
{
    return !s->rss || !wi_rss_is_port_owned(s->rss, port) || port % s->rss->shard_n == s->index;
}

/* Of what reaches all shards, one answers where one answer is wanted. */
static inline bool wi_shard_answers(const struct weir_shard *s)
{
    return s->index == 0;
}

/* A number of 16 bits that no other shard makes, from one that others may make too. */
static inline uint16_t wi_shard_id16(const struct weir_shard *s, uint16_t id)
{
    if (!s->rss)
        return id;
    uint32_t span = 65536 / s->rss->shard_n;
    return (uint16_t)(s->index * span + id % span);
}

#endif
