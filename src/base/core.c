/* What a stack's layers share (core.h): its making and end, the event stream, drops. */
#include "base/core.h"

#include "base/pkt.h"
#include "base/str.h"
#include "base/text.h"

#define SHARD_SEEDS UINT64_C(0xd1342543de82ef95) /* odd: no two shards of a host have the same */

int wi_core_init(struct wi_core *core, const struct weir_config *cfg)
{
    if (!cfg->alloc.alloc || !cfg->alloc.free)
        return -WEIR_EINVAL;
    memset(core, 0, sizeof *core);
    if (cfg->shard)
        core->shard = *cfg->shard;
    if (core->shard.rss ? core->shard.index >= core->shard.rss->shard_n : core->shard.index != 0)
        return -WEIR_EINVAL;
    uint64_t seed = cfg->seed + core->shard.index * SHARD_SEEDS;
    core->pool = weir_pool_new(&cfg->alloc, cfg->mem_limit);
    if (!core->pool)
        return -WEIR_ENOMEM;
    core->mem = wi_pool_mem(core->pool);
    core->now = cfg->now;
    wi_wheel_init(&core->wheel, cfg->now);
    wi_rng_init(&core->rng, seed);
    wi_secret_init(&core->secret, cfg->random, cfg->random_ctx, seed);
    wi_sysctl_init(&core->sysctl);
    core->on_event = cfg->on_event;
    core->event_ctx = cfg->event_ctx;
    core->event_mask = cfg->on_event ? cfg->event_mask : 0;
    wi_str_copy(core->hostname, sizeof core->hostname, cfg->hostname ? cfg->hostname : "");
    return 0;
}

void wi_core_fini(struct wi_core *core)
{
    weir_pool_free(core->pool);
    core->pool = NULL;
    core->mem = NULL;
}

uint64_t wi_event_emit(struct wi_core *core, struct weir_event *ev)
{
    ev->at = core->now;
    ev->serial = ++core->event_serial;
    core->on_event(core->event_ctx, ev);
    return ev->serial;
}

void wi_drop(struct wi_core *core, enum weir_drop reason, const struct weir_pkt *pkt, int netif)
{
    core->stats.drop[reason]++;
    if (!wi_event_wanted(core, WEIR_EV_DROP))
        return;

    struct weir_event ev = {
        .kind = WEIR_EV_DROP,
        .u.drop = {.reason = reason, .pkt = pkt, .netif = netif},
    };
    (void)wi_event_emit(core, &ev);
}
