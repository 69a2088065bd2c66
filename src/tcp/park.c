/*
 * Parking. A connection is 2 KiB for what it may have to do: to lose segments, to reorder them, to measure and to pace.
 * Most connections of most servers do nothing: all that is theirs is a four-tuple, some sequence numbers, the time of
 * this and that, and an estimate of the path. So one that is established, has nothing queued, nothing under way and no
 * timer but keepalive, and has not been touched for tcp_park_idle_ms, becomes an image (image.c) of about 100 bytes,
 * and its memory serves others. A segment, an ICMP error, its keepalive timer or a call on its handle brings it back as
 * it was: nothing is forgotten or rounded, so parking changes no packet.
 *
 * Idle ones are found by a sweep: the head of wi_tcp.all is looked at and goes to its end, so often that each is looked
 * at once in the idle time. It has no timer of its own, which would wake the owner of a stack that sleeps: it goes on
 * when packets come or time is told. So a connection costs its fast path nothing; who is parked is found by a table of
 * their own, asked only when no other connection matches.
 */
#include "tcp/park.h"

#include "base/str.h"
#include "tcp/demux.h"
#include "tcp/send.h"

#define TABLE_INITIAL  16
#define LOOKS_MAX      64u /* connections looked at in one sweep: a bound for its length */
#define LOOKS_FOR_ROOM 32u /* the same where memory is wanted */
#define TIGHT_SHARE    8u  /* an eighth of the memory or less is left: an image needs some before it frees more */
#define SWEEPS_A_ROUND 1024u
#define IMAGE_GOOD     96u  /* bytes: no other mould is tried */
#define IMAGE_POOR     160u /* and from here on a mould of its own is worth it, if others of its kind follow */
#define WAKE_RETRY_NS  WEIR_SEC(1)

/* What images are differences from: a connection in its normal form. */
struct wi_tcp_mould {
    uint32_t user_n; /* images made by it */
    struct wi_tcp_conn form;
};

struct wi_tcp_parked {
    struct wi_hnode hnode; /* wi_tcp_park.table */
    void *owner;
    uint16_t image_len;
    uint8_t mould; /* wi_tcp_park.moulds */
    bool is_timed; /* it lies in a struct timed, whose timer is armed */
    uint8_t image[];
};

/* With SO_KEEPALIVE. */
struct timed {
    struct wi_timer timer;
    struct wi_tcp *tcp;
    struct wi_tcp_parked parked;
};

/* An image under work. */
struct image {
    unsigned mould;
    size_t len;
    uint8_t bytes[WI_TCP_IMAGE_MAX + 1];
};

/* ---- Memory ---- */

static size_t class_size(unsigned class)
{
    return (size_t)(class + 1) * WI_TCP_PARK_STEP + 8; /* a slab has 8 bytes beside each object, and 16 divides both */
}

static struct wi_slab *slab_for(struct wi_tcp *t, size_t image_len, bool is_timed)
{
    size_t size = (is_timed ? offsetof(struct timed, parked) : 0) + offsetof(struct wi_tcp_parked, image) + image_len;
    return &t->park.slabs[(size - 8 + WI_TCP_PARK_STEP - 1) / WI_TCP_PARK_STEP - 1];
}

_Static_assert(sizeof(struct timed) + WI_TCP_IMAGE_MAX <= WI_TCP_PARK_CLASSES * WI_TCP_PARK_STEP + 8,
               "there is a slab for the largest image");

static struct timed *timed_of(struct wi_tcp_parked *p)
{
    return WI_CONTAINER_OF(p, struct timed, parked);
}

static struct wi_tcp_parked *parked_of(const struct wi_hnode *node)
{
    return WI_CONTAINER_OF((struct wi_hnode *)(uintptr_t)node, struct wi_tcp_parked, hnode);
}

static struct wi_tcp_parked *parked_new(struct wi_tcp *t, size_t image_len, bool is_timed)
{
    char *p = wi_slab_alloc_raw(slab_for(t, image_len, is_timed));
    return p ? (struct wi_tcp_parked *)(void *)(p + (is_timed ? offsetof(struct timed, parked) : 0)) : NULL;
}

/* ---- Moulds ---- */

/* A mould in the shape of this connection; its place, WI_TCP_MOULDS: no room. */
static unsigned mould_new(struct wi_tcp *t, const struct wi_tcp_conn *folded)
{
    unsigned i = 0;
    while (i < WI_TCP_MOULDS && t->park.moulds[i])
        i++;
    struct wi_tcp_mould *m = i < WI_TCP_MOULDS ? wi_core_alloc(t->core, sizeof *m) : NULL;
    if (!m)
        return WI_TCP_MOULDS;
    m->user_n = 0;
    memcpy(&m->form, folded, sizeof m->form);
    t->park.moulds[i] = m;
    return i;
}

static void mould_put(struct wi_tcp *t, unsigned i)
{
    struct wi_tcp_mould *m = t->park.moulds[i];
    if (--m->user_n)
        return;
    t->park.moulds[i] = NULL;
    wi_core_free(t->core, m, sizeof *m);
}

/* Try one more: is its image the shortest so far? */
static void try_mould(const struct wi_tcp *t, unsigned i, const struct wi_tcp_conn *folded, struct image *best)
{
    struct image one = {.mould = i};
    if (!t->park.moulds[i])
        return;
    one.len = wi_tcp_image_write(one.bytes, best->len, folded, &t->park.moulds[i]->form);
    if (one.len < best->len)
        *best = one;
}

/* The shortest image, or the first that is good enough; the mould that served last is tried first, for most
 * connections of a stack are of a kind. False: there is none. */
static bool make_image(struct wi_tcp *t, const struct wi_tcp_conn *folded, struct image *out)
{
    unsigned last = t->park.mould_last;
    *out = (struct image){.len = WI_TCP_IMAGE_MAX + 1};
    try_mould(t, last, folded, out);
    for (unsigned i = 0; i < WI_TCP_MOULDS && out->len > IMAGE_GOOD; i++) {
        if (i != last)
            try_mould(t, i, folded, out);
    }
    if (out->len > IMAGE_POOR) {
        unsigned own = mould_new(t, folded);
        if (own < WI_TCP_MOULDS)
            *out = (struct image){.mould = own};
    }
    if (out->len > WI_TCP_IMAGE_MAX)
        return false;
    t->park.mould_last = out->mould;
    t->park.moulds[out->mould]->user_n++;
    return true;
}

/* ---- Parking and waking ---- */

static bool is_idle(const struct wi_tcp_conn *c)
{
    return c->state == WEIR_TCP_ESTABLISHED && c->sk.owner && !c->owed && wi_list_empty(&c->pend_link) &&
           !wi_timer_armed(&c->timer_rtx) && !wi_timer_armed(&c->timer_delack) && !wi_timer_armed(&c->timer_pace);
}

/* Has it nothing that lies outside of it and points back? And does poll say what it says of each that is parked? */
static bool may_park(const struct wi_tcp_conn *c)
{
    return is_idle(c) && c->is_hashed && !c->listener && !c->held && !c->fo.pending && wi_list_empty(&c->sk.groups) &&
           wi_list_empty(&c->sndq.recs) && wi_list_empty(&c->sndq.chunks) && wi_list_empty(&c->rcvq.chunks) &&
           !c->rcvq.ooo_n && c->sk.ops->poll(&c->sk) == WI_TCP_PARKED_POLL;
}

static void on_keep(struct wi_timer *timer, weir_ns now)
{
    struct timed *timed = WI_CONTAINER_OF(timer, struct timed, timer);
    struct wi_tcp *t = timed->tcp;
    struct wi_tcp_conn *c = wi_tcp_wake(t, &timed->parked);
    if (c)
        wi_tcp_keepalive_fire(c);
    else
        wi_timer_arm(&t->core->wheel, timer, now + WAKE_RETRY_NS);
}

static void parked_fill(struct wi_tcp_conn *c, struct wi_tcp_parked *p, bool is_timed)
{
    p->owner = c->sk.owner;
    p->is_timed = is_timed;
    if (!is_timed)
        return;
    struct timed *timed = timed_of(p);
    timed->tcp = c->tcp;
    wi_timer_init(&timed->timer, on_keep);
    wi_timer_move(&c->timer_keep, &timed->timer);
}

bool wi_tcp_park(struct wi_tcp_conn *c)
{
    struct wi_tcp *t = c->tcp;
    struct wi_tcp_conn folded;
    struct image image;
    if (!t->park.on_park || !may_park(c))
        return false;
    bool is_timed = wi_timer_armed(&c->timer_keep);
    wi_tcp_image_fold(&folded, c);
    if (!make_image(t, &folded, &image))
        return false;
    struct wi_tcp_parked *p = parked_new(t, image.len, is_timed);
    if (!p) {
        mould_put(t, image.mould);
        return false;
    }
    p->mould = (uint8_t)image.mould;
    p->image_len = (uint16_t)image.len;
    memcpy(p->image, image.bytes, image.len);
    parked_fill(c, p, is_timed);

    wi_tcp_timers_stop(c);
    wi_list_del(&c->all_link);
    wi_htable_remove(&t->conns, &c->hnode);
    wi_htable_insert(&t->park.table, &p->hnode, c->hnode.hash);
    wi_slab_free(&t->conn_slab, c);
    t->park.on_park(p->owner, p);
    wi_count(t->core, WI_STAT_TCPParked);
    return true;
}

static void read_image(const struct wi_tcp *t, const struct wi_tcp_parked *p, struct wi_tcp_conn *out)
{
    memcpy(out, &t->park.moulds[p->mould]->form, sizeof *out);
    wi_tcp_image_read(out, p->image, p->image_len);
}

weir_ns wi_tcp_parked_read(const struct wi_tcp *t, const struct wi_tcp_parked *p, struct wi_tcp_conn *out)
{
    read_image(t, p, out);
    return p->is_timed ? WI_CONTAINER_OF(p, const struct timed, parked)->timer.due : WEIR_NEVER;
}

/* Take it out of all that knows it, and free it. */
static void parked_free(struct wi_tcp *t, struct wi_tcp_parked *p)
{
    if (p->is_timed)
        wi_timer_cancel(&t->core->wheel, &timed_of(p)->timer);
    wi_htable_remove(&t->park.table, &p->hnode);
    mould_put(t, p->mould);
    wi_slab_free(slab_for(t, p->image_len, p->is_timed), p->is_timed ? (void *)timed_of(p) : (void *)p);
}

struct wi_tcp_conn *wi_tcp_wake(struct wi_tcp *t, struct wi_tcp_parked *p)
{
    struct wi_tcp_conn *c = wi_tcp_conn_room(t);
    if (!c)
        return NULL;
    read_image(t, p, c);
    c->sk.owner = p->owner;
    if (p->is_timed && wi_timer_armed(&timed_of(p)->timer))
        wi_timer_move(&timed_of(p)->timer, &c->timer_keep);
    uint64_t hash = p->hnode.hash;
    parked_free(t, p);
    wi_htable_insert(&t->conns, &c->hnode, hash);
    c->is_hashed = true;
    wi_list_add_tail(&t->all, &c->all_link);
    t->park.on_wake(c->sk.owner, &c->sk);
    wi_count(t->core, WI_STAT_TCPWoken);
    return c;
}

static bool any(const struct wi_hnode *node, const void *key)
{
    (void)node;
    (void)key;
    return true;
}

/* By the hash alone, which is 64 bits and keyed: who it is shows when it is awake, and no harm is done if another was.
 */
struct wi_tcp_conn *wi_tcp_wake_for(struct wi_tcp *t, const struct wi_tcp_key *key, enum weir_drop *why)
{
    struct wi_hnode *node;
    *why = WEIR_DROP_NONE;
    while ((node = wi_htable_find(&t->park.table, key->hash, any, NULL))) {
        struct wi_tcp_conn *c = wi_tcp_wake(t, parked_of(node));
        if (!c)
            *why = WEIR_DROP_NO_MEMORY;
        if (!c || wi_tcp_conn_is(c, key))
            return c;
    }
    return NULL;
}

/* What is sought, and where. */
struct search {
    const struct wi_tcp *tcp;
    const struct wi_tcp_key *key;
};

static bool parked_is(const struct wi_hnode *node, const void *arg)
{
    const struct search *s = arg;
    struct wi_tcp_conn c;
    read_image(s->tcp, parked_of(node), &c);
    return wi_tcp_conn_is(&c, s->key);
}

bool wi_tcp_is_parked(const struct wi_tcp *t, const struct wi_tcp_key *key)
{
    struct search s = {t, key};
    return wi_htable_find(&t->park.table, key->hash, parked_is, &s) != NULL;
}

/* ---- The end of a parked one ---- */

void wi_tcp_parked_abort(struct wi_tcp *t, struct wi_tcp_parked *p)
{
    struct wi_tcp_conn c; /* for as long as it takes */
    read_image(t, p, &c);
    parked_free(t, p);
    wi_count(t->core, WI_STAT_TCPAbortOnMemory);
    wi_tcp_send_rst(&c, WEIR_WHY_RST_ABORT);
    wi_tcp_done(&c, 0, WEIR_WHY_NONE, "no memory to close it");
    wi_tcp_conn_end(&c);
}

/* ---- The sweep ---- */

/* The next in turn, at the end of the list already. */
static struct wi_tcp_conn *next_in_turn(struct wi_tcp *t)
{
    struct wi_tcp_conn *c = wi_list_first(&t->all, struct wi_tcp_conn, all_link);
    wi_list_del(&c->all_link);
    wi_list_add_tail(&t->all, &c->all_link);
    return c;
}

/* Park so many that idle, however short; fewer where few do. Returns how many. */
static unsigned park_some(struct wi_tcp *t, unsigned wanted)
{
    unsigned done = 0;
    size_t n = t->core->sysctl.tcp_park_idle_ms < 0 ? 0 : wi_min_size(t->conn_slab.obj_n, LOOKS_FOR_ROOM);
    for (; n > 0 && done < wanted; n--)
        done += wi_tcp_park(next_in_turn(t));
    return done;
}

static bool is_tight(const struct wi_tcp *t)
{
    const struct wi_mem *mem = t->core->mem;
    return mem->used >= mem->limit - mem->limit / TIGHT_SHARE;
}

/* Two go for one that comes: so there is room for more than it when memory is tight. */
struct wi_tcp_conn *wi_tcp_conn_room(struct wi_tcp *t)
{
    if (is_tight(t))
        (void)park_some(t, 2);
    struct wi_tcp_conn *c = wi_slab_alloc_raw(&t->conn_slab);
    return c || !park_some(t, 1) ? c : wi_slab_alloc_raw(&t->conn_slab);
}

/* So many are to be looked at by now, of n in a round. */
static size_t looks_due(const struct wi_tcp_park *park, weir_ns now, weir_ns round, size_t n)
{
    return round ? (size_t)((now - park->swept_at) * n / round) : n;
}

void wi_tcp_park_sweep(struct wi_tcp *t)
{
    struct wi_tcp_park *park = &t->park;
    weir_ns now = t->core->now;
    int64_t idle_ms = t->core->sysctl.tcp_park_idle_ms;
    size_t n = t->conn_slab.obj_n;
    if (idle_ms < 0 || n == 0) {
        park->swept_at = now;
        park->due = now + WEIR_MS(1);
        return;
    }
    weir_ns round = WEIR_MS((weir_ns)idle_ms), a_look = round / n;
    if (now - park->swept_at > round)
        park->swept_at = now - round;
    size_t looks = looks_due(park, now, round, n), left = looks;
    for (size_t i = 0; i < LOOKS_MAX && left > 0 && !wi_list_empty(&t->all); i++) {
        struct wi_tcp_conn *c = next_in_turn(t);
        bool is_parked = now - c->ledger.at >= round && wi_tcp_park(c);
        left -= !is_parked; /* one that goes is no work for the rounds to come */
    }
    park->swept_at += (looks - left) * round / n;
    park->due = left > 0 ? now : now + wi_max_u64(a_look, round / SWEEPS_A_ROUND);
}

/* ---- Life and checks ---- */

bool wi_tcp_park_init(struct wi_tcp *t)
{
    if (!wi_htable_init(&t->park.table, t->core->mem, TABLE_INITIAL))
        return false;
    for (unsigned i = 0; i < WI_TCP_PARK_CLASSES; i++)
        wi_slab_init(&t->park.slabs[i], t->core->mem, class_size(i), "tcp parked connections");
    return true;
}

void wi_tcp_park_fini(struct wi_tcp *t)
{
    struct wi_htable_iter it;
    wi_htable_iter_begin(&it, &t->park.table);
    for (struct wi_hnode *node; (node = wi_htable_iter_next(&it));) {
        struct wi_tcp_conn c;
        read_image(t, parked_of(node), &c);
        parked_free(t, parked_of(node));
        wi_tcp_conn_end(&c);
    }
    wi_htable_iter_end(&it);
    for (unsigned i = 0; i < WI_TCP_PARK_CLASSES; i++)
        wi_slab_fini(&t->park.slabs[i]);
    wi_htable_fini(&t->park.table);
}

static const char *check_parked(const struct wi_tcp *t, struct wi_tcp_parked *p)
{
    struct wi_tcp_conn c;
    read_image(t, p, &c);
    struct wi_tcp_tuple tuple = wi_tcp_tuple_of(&c.sk);
    if (wi_tcp_tuple_hash(t, &tuple) != p->hnode.hash)
        return "a parked connection lies in another one's place";
    if (!p->owner || !c.sk.port || !c.sk.port_is_held)
        return "a parked connection has no owner, or no port";
    c.sk.owner = p->owner;
    c.is_hashed = true;
    if (!may_park(&c))
        return "a connection is parked that has something to do";
    return p->is_timed && !wi_timer_armed(&timed_of(p)->timer) ? "a parked connection lost its timer" : NULL;
}

const char *wi_tcp_park_check(const struct wi_tcp *t)
{
    const char *broken = NULL;
    size_t user_n = 0, object_n = 0, parked_n = wi_htable_count(&t->park.table);
    for (unsigned i = 0; i < WI_TCP_MOULDS; i++)
        user_n += t->park.moulds[i] ? t->park.moulds[i]->user_n : 0;
    for (unsigned i = 0; i < WI_TCP_PARK_CLASSES; i++)
        object_n += t->park.slabs[i].obj_n;
    if (user_n != parked_n || object_n != parked_n)
        return "the number of parked connections is off";
    struct wi_htable_iter it;
    wi_htable_iter_begin(&it, (struct wi_htable *)(uintptr_t)&t->park.table);
    for (struct wi_hnode *node; !broken && (node = wi_htable_iter_next(&it));)
        broken = check_parked(t, parked_of(node));
    wi_htable_iter_end(&it);
    return broken;
}
