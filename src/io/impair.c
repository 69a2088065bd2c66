/*
 * netem's decisions (impair.h), after net/sched/sch_netem.c: the same words mean the same here. Where the models
 * differ: the transmitter comes before the propagation delay, as on a real link, and its queue is counted in bytes.
 */
#include "io/impair.h"

#define BUCKET_BYTES   32768
#define CODEL_INTERVAL WEIR_MS(100) /* RFC 8289 4.2 */
#define CE_STREAM      1000         /* apart from the others, which keep their numbers */
#define SAMPLE_ONE     65536        /* a jitter sample is in 1/65536 of the configured jitter */

enum stream { LOSS, REORDER, DUP, CORRUPT, WHERE, JITTER, STREAM_N };

bool wio_dir_is_clean(const struct wio_dir_config *c)
{
    return c->rate_bps == 0 && c->delay == 0 && c->jitter == 0 && c->loss == 0 && c->reorder == 0 &&
           c->duplicate == 0 && c->corrupt == 0 && c->queue_bytes == 0 && c->police_bps == 0 && c->ce == 0;
}

bool wio_link_is_clean(const struct wio_link_config *c)
{
    return wio_dir_is_clean(&c->dir[WIO_UP]) && wio_dir_is_clean(&c->dir[WIO_DOWN]) && c->rule_n == 0;
}

static weir_ns transmit_time(uint64_t bytes, uint64_t rate_bps)
{
    const uint64_t bit_ns = UINT64_C(8) * 1000000000u; /* of a byte, at one bit per second */
    if (bytes <= UINT64_MAX / bit_ns)                  /* no packet is longer: the division that costs less */
        return bytes * bit_ns / rate_bps;
    return (weir_ns)((unsigned __int128)bytes * bit_ns / rate_bps);
}

void wio_impair_config(struct wio_impair *m, const struct wio_dir_config *cfg, uint32_t mtu)
{
    m->cfg = *cfg;
    if (m->cfg.queue_bytes == 0)
        m->cfg.queue_bytes = UINT64_C(1000) * mtu;
    if (m->cfg.bucket_bytes == 0)
        m->cfg.bucket_bytes = BUCKET_BYTES;
    if (m->cfg.codel_interval == 0)
        m->cfg.codel_interval = CODEL_INTERVAL;
    m->queue_wait_max = cfg->rate_bps ? transmit_time(m->cfg.queue_bytes, cfg->rate_bps) : 0;
    m->mtu = mtu;
    m->burst_leave = m->burst_enter = 0;
    if (cfg->burst_milli >= 1000 && cfg->loss < WIO_PROB_ONE) {
        /* Runs of mean length b leave the bad state with 1/b; entering so that loss / (1 - loss) is the ratio of the
         * times spent in the two states. */
        m->burst_leave = (uint32_t)(UINT64_C(1000) * WIO_PROB_ONE / cfg->burst_milli);
        uint64_t enter = (uint64_t)m->burst_leave * cfg->loss / (WIO_PROB_ONE - cfg->loss);
        m->burst_enter = enter > WIO_PROB_ONE ? WIO_PROB_ONE : (uint32_t)enter;
    }
}

void wio_impair_init(struct wio_impair *m, const struct wio_dir_config *cfg, uint32_t mtu, uint64_t seed,
                     enum wio_dir dir)
{
    uint64_t base = (uint64_t)dir * STREAM_N + 1;
    *m = (struct wio_impair){0};
    wio_rng_init(&m->loss_rng, seed, base + LOSS);
    wio_rng_init(&m->reorder_rng, seed, base + REORDER);
    wio_rng_init(&m->dup_rng, seed, base + DUP);
    wio_rng_init(&m->corrupt_rng, seed, base + CORRUPT);
    wio_rng_init(&m->where_rng, seed, base + WHERE);
    wio_rng_init(&m->jitter_rng, seed, base + JITTER);
    wio_rng_init(&m->ce_rng, seed, CE_STREAM + (uint64_t)dir);
    wio_impair_config(m, cfg, mtu);
}

bool wio_impair_lose(struct wio_impair *m)
{
    if (m->cfg.loss == 0)
        return false;
    if (m->burst_leave == 0)
        return wio_rng_chance(&m->loss_rng, m->cfg.loss);
    if (wio_rng_chance(&m->loss_rng, m->is_bad ? m->burst_leave : m->burst_enter))
        m->is_bad = !m->is_bad;
    return m->is_bad;
}

bool wio_impair_duplicate(struct wio_impair *m)
{
    return m->cfg.duplicate > 0 && wio_rng_chance(&m->dup_rng, m->cfg.duplicate);
}

bool wio_impair_corrupt(struct wio_impair *m)
{
    return m->cfg.corrupt > 0 && wio_rng_chance(&m->corrupt_rng, m->cfg.corrupt);
}

uint32_t wio_impair_bit(struct wio_impair *m, uint32_t bits)
{
    return wio_rng_below(&m->where_rng, bits);
}

/* netem's rule: inside the gap every packet waits; the one at its end skips the delay with the given probability. */
static bool skips_delay(struct wio_impair *m)
{
    if (m->cfg.reorder == 0)
        return false;
    uint32_t gap = m->cfg.reorder_gap ? m->cfg.reorder_gap : 1;
    if (m->reorder_wait + 1 >= gap && wio_rng_chance(&m->reorder_rng, m->cfg.reorder)) {
        m->reorder_wait = 0;
        return true;
    }
    m->reorder_wait++;
    return false;
}

/* A sample of mean 0: uniform over [-1, 1), or of deviation 1 and nearly normal (the sum of twelve uniform ones). */
static int64_t jitter_sample(struct wio_impair *m)
{
    int64_t sum = 0;
    switch (m->cfg.dist) {
    case WIO_DIST_UNIFORM: sum = (int64_t)wio_rng_below(&m->jitter_rng, 2 * SAMPLE_ONE) - SAMPLE_ONE; break;
    case WIO_DIST_NORMAL:
        for (int i = 0; i < 12; i++)
            sum += wio_rng_below(&m->jitter_rng, SAMPLE_ONE);
        sum -= INT64_C(6) * SAMPLE_ONE;
        break;
    }
    int64_t corr = m->cfg.jitter_corr;
    m->last_sample = (sum * (WIO_PROB_ONE - corr) + m->last_sample * corr) / WIO_PROB_ONE;
    return m->last_sample;
}

static weir_ns propagation(struct wio_impair *m)
{
    if (m->cfg.jitter == 0)
        return m->cfg.delay;
    int64_t delay = (int64_t)m->cfg.delay + (int64_t)m->cfg.jitter * jitter_sample(m) / SAMPLE_ONE;
    return delay < 0 ? 0 : (weir_ns)delay;
}

/* A token bucket as the generic cell rate algorithm has it (ITU-T I.371): a time in place of a number of tokens. */
static bool is_policed(struct wio_impair *m, uint32_t len, weir_ns now)
{
    if (m->cfg.police_bps == 0)
        return false;
    weir_ns from = m->bucket_empty > now ? m->bucket_empty : now;
    weir_ns until = from + transmit_time(len, m->cfg.police_bps);
    if (until - now > transmit_time(m->cfg.bucket_bytes, m->cfg.police_bps))
        return true;
    m->bucket_empty = until;
    return false;
}

static weir_ns shifted(weir_ns due, int64_t more, weir_ns sent)
{
    return more < 0 && due < sent + (weir_ns)-more ? sent : due + (weir_ns)more;
}

/* A packet that comes to the transmitter's queue now and will be at its head at `start`. */
static enum wio_aqm_fate manage_queue(struct wio_impair *m, weir_ns start, weir_ns now, bool is_ect)
{
    const struct wio_dir_config *c = &m->cfg;
    weir_ns wait = start - now;
    bool is_marked =
        (c->ecn_bytes && wait > transmit_time(c->ecn_bytes, c->rate_bps)) || (c->ecn_wait && wait > c->ecn_wait);
    if (c->codel_target) {
        weir_ns one = transmit_time(m->mtu, c->rate_bps); /* RFC 8289 5.6: a queue of one packet does not stand */
        weir_ns target = c->codel_target > one ? c->codel_target : one;
        enum wio_aqm_fate fate = wio_codel_judge(&m->codel, start, wait, target, c->codel_interval, is_ect);
        if (fate != WIO_AQM_PASS)
            return fate;
    }
    return is_marked && is_ect ? WIO_AQM_MARK : WIO_AQM_PASS;
}

struct wio_passage wio_impair_pass(struct wio_impair *m, uint32_t len, weir_ns now, int64_t more, bool is_ect)
{
    if (is_policed(m, len, now))
        return (struct wio_passage){.drop = WEIR_DROP_LINK_POLICED};
    weir_ns sent = now;
    bool is_marked = m->cfg.ce > 0 && wio_rng_chance(&m->ce_rng, m->cfg.ce) && is_ect;
    if (m->cfg.rate_bps > 0) {
        weir_ns takes = transmit_time(len, m->cfg.rate_bps);
        bool is_idle = m->busy_until <= now;
        weir_ns start = is_idle ? now : m->busy_until;
        if (!is_idle && start - now + takes > m->queue_wait_max)
            return (struct wio_passage){.drop = WEIR_DROP_LINK_QUEUE_FULL};
        enum wio_aqm_fate fate = manage_queue(m, start, now, is_ect);
        if (fate == WIO_AQM_DROP)
            return (struct wio_passage){.drop = WEIR_DROP_LINK_AQM};
        is_marked = is_marked || fate == WIO_AQM_MARK;
        m->busy_until = sent = start + takes;
    }
    if (skips_delay(m))
        return (struct wio_passage){.due = shifted(sent, more, sent),
                                    .plain_due = sent + m->cfg.delay,
                                    .skips_delay = true,
                                    .is_marked = is_marked};
    weir_ns due = sent + propagation(m);
    if (m->cfg.rate_bps > 0 && due < m->last_due)
        due = m->last_due;
    if (due > m->last_due)
        m->last_due = due;
    return (struct wio_passage){
        .due = shifted(due, more, sent), .plain_due = sent + m->cfg.delay, .is_marked = is_marked};
}
