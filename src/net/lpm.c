/*
 * The trie of lpm.h. A step stands for one byte of the address. For each value of it the step knows the longest prefix
 * that ends in this byte (equal neighbours share a place: has_best marks where another begins), and what lies below it.
 * Both are arrays without gaps, whose places are counted in bitmaps: a lookup touches the bitmaps and one place in
 * each.
 */
#include "net/lpm.h"

#include "base/str.h"

#define WORDS    4
#define VALUES   256
#define CAP_MIN  2u
#define V4_BYTE  12u /* the first byte of an IPv4 address in the mapped form */
#define IS_ENTRY ((uintptr_t)1)

struct places {
    uint64_t bits[WORDS];
    uint8_t before[WORDS]; /* bits that are set in the words before */
    uint16_t n;
};

struct step {
    struct places below, best; /* of each value; of each value where another prefix begins to be the longest */
    uint16_t cap;
    void *
        at[]; /* cap places: first what is below (a step, or an entry with IS_ENTRY), then the best (entries or NULL) */
};

/* ---- Counting ---- */

static unsigned count_bits(uint64_t v)
{
    const uint64_t pairs = UINT64_C(0x5555555555555555), fours = UINT64_C(0x3333333333333333);
    v -= v >> 1 & pairs;
    v = (v & fours) + (v >> 2 & fours);
    v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(v * UINT64_C(0x0101010101010101) >> 56);
}

static bool has(const struct places *p, unsigned value)
{
    return p->bits[value / 64] >> value % 64 & 1;
}

/* How many bits are set below `value`. */
static unsigned rank(const struct places *p, unsigned value)
{
    return p->before[value / 64] + count_bits(p->bits[value / 64] & ((UINT64_C(1) << value % 64) - 1));
}

static void count_all(struct places *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WORDS; i++) {
        p->before[i] = (uint8_t)n; /* 192 at most, for the last word is not among those before */
        n += count_bits(p->bits[i]);
    }
    p->n = (uint16_t)n;
}

static void set_bit(struct places *p, unsigned value, bool is_set)
{
    uint64_t bit = UINT64_C(1) << value % 64;
    p->bits[value / 64] = is_set ? p->bits[value / 64] | bit : p->bits[value / 64] & ~bit;
    count_all(p);
}

/* ---- Steps ---- */

static const struct wi_lpm_entry *entry_of(const void *at)
{
    return (uintptr_t)at & IS_ENTRY ? (const struct wi_lpm_entry *)((uintptr_t)at - IS_ENTRY) : NULL;
}

static void *hang(const struct wi_lpm_entry *e)
{
    return (void *)((uintptr_t)e + IS_ENTRY);
}

static size_t step_size(unsigned cap)
{
    return sizeof(struct step) + cap * sizeof(void *);
}

static struct step *step_new(struct wi_lpm *l, unsigned cap)
{
    struct step *s = wi_mem_alloc(l->mem, step_size(cap));
    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->cap = (uint16_t)cap;
    return s;
}

/* Room for `n` places in the step at *at, which may move. */
static bool reserve(struct wi_lpm *l, void **at, unsigned n)
{
    struct step *was = *at;
    if (n <= was->cap)
        return true;
    unsigned cap = was->cap;
    while (cap < n)
        cap += cap / 2 + 1;
    struct step *s = step_new(l, cap);
    if (!s)
        return false;
    memcpy(s, was, step_size(was->cap));
    s->cap = (uint16_t)cap;
    wi_mem_free(l->mem, was, step_size(was->cap));
    *at = s;
    return true;
}

/* ---- The longest prefix of each value ---- */

/* The values that the entry, which ends in byte `depth`, holds: `n` from `first` on. */
static unsigned values_of(const struct wi_lpm_entry *e, unsigned depth, unsigned *first)
{
    *first = e->prefix.b[depth];
    return 1u << (8 * (depth + 1) - e->len128);
}

static void spread(const struct step *s, const struct wi_lpm_entry *best[VALUES])
{
    const struct wi_lpm_entry *now = NULL;
    unsigned next = s->below.n;
    for (unsigned v = 0; v < VALUES; v++) {
        if (has(&s->best, v))
            now = s->at[next++];
        best[v] = now;
    }
}

/* Keep them; there is room. */
static void gather(struct step *s, const struct wi_lpm_entry *const best[VALUES])
{
    const struct wi_lpm_entry *now = NULL;
    unsigned next = s->below.n;
    memset(&s->best, 0, sizeof s->best);
    for (unsigned v = 0; v < VALUES; v++) {
        if (best[v] == now)
            continue;
        now = best[v];
        s->at[next++] = (void *)(uintptr_t)now;
        s->best.bits[v / 64] |= UINT64_C(1) << v % 64;
    }
    count_all(&s->best);
}

static unsigned count_changes(const struct wi_lpm_entry *const best[VALUES])
{
    unsigned n = best[0] != NULL;
    for (unsigned v = 1; v < VALUES; v++)
        n += best[v] != best[v - 1];
    return n;
}

static bool best_insert(struct wi_lpm *l, void **at, unsigned depth, const struct wi_lpm_entry *e)
{
    const struct wi_lpm_entry *best[VALUES];
    unsigned first, n = values_of(e, depth, &first);
    spread(*at, best);
    for (unsigned v = first; v < first + n; v++)
        if (!best[v] || best[v]->len128 < e->len128)
            best[v] = e;
    if (!reserve(l, at, ((struct step *)*at)->below.n + count_changes(best)))
        return false;
    gather(*at, best);
    return true;
}

static void best_remove(struct step *s, unsigned depth, const struct wi_lpm_entry *e, const struct wi_lpm_entry *cover)
{
    const struct wi_lpm_entry *best[VALUES];
    unsigned first, n = values_of(e, depth, &first);
    spread(s, best);
    for (unsigned v = first; v < first + n; v++)
        if (best[v] == e)
            best[v] = cover;
    gather(s, best); /* it takes no more places than before */
}

/* ---- What lies below ---- */

static bool below_insert(struct wi_lpm *l, void **at, unsigned value, const struct wi_lpm_entry *e)
{
    struct step *s = *at;
    unsigned n = s->below.n + s->best.n;
    if (!reserve(l, at, n + 1))
        return false;
    s = *at;
    unsigned place = rank(&s->below, value);
    memmove(s->at + place + 1, s->at + place, (n - place) * sizeof s->at[0]);
    s->at[place] = hang(e);
    set_bit(&s->below, value, true);
    return true;
}

static void below_remove(struct step *s, unsigned value)
{
    unsigned n = s->below.n + s->best.n, place = rank(&s->below, value);
    memmove(s->at + place, s->at + place + 1, (n - place - 1) * sizeof s->at[0]);
    set_bit(&s->below, value, false);
}

/* ---- The index ---- */

void wi_lpm_init(struct wi_lpm *l, struct wi_mem *mem)
{
    *l = (struct wi_lpm){.mem = mem};
}

static unsigned family_of(unsigned len128, const struct weir_addr *a)
{
    return len128 >= 8 * V4_BYTE && weir_addr_is_v4(a);
}

unsigned wi_lpm_cover_min(const struct wi_lpm_entry *e)
{
    return e->len128 == 0 ? 0 : (e->len128 - 1u) / 8 * 8 + 1;
}

/* Put the entry, which goes on beyond byte `depth` or ends in it, into the step at *at. When it goes on below, *below
 * is where. */
static bool step_insert(struct wi_lpm *l, void **at, unsigned depth, const struct wi_lpm_entry *e, void ***below)
{
    *below = NULL;
    if (e->len128 <= 8 * (depth + 1))
        return best_insert(l, at, depth, e);
    struct step *s = *at;
    unsigned value = e->prefix.b[depth];
    if (!has(&s->below, value))
        return below_insert(l, at, value, e);
    *below = &s->at[rank(&s->below, value)];
    return true;
}

/* In place of the entry that hangs at *at a step with it. */
static bool unfold(struct wi_lpm *l, void **at, unsigned depth)
{
    void **below, *step = step_new(l, CAP_MIN);
    if (!step)
        return false;
    if (!step_insert(l, &step, depth, entry_of(*at), &below)) {
        wi_mem_free(l->mem, step, step_size(((struct step *)step)->cap));
        return false;
    }
    *at = step;
    return true;
}

bool wi_lpm_insert(struct wi_lpm *l, const struct wi_lpm_entry *e)
{
    unsigned family = family_of(e->len128, &e->prefix), depth = family ? V4_BYTE : 0;
    void **at = &l->root[family];
    if (e->len128 == 8 * depth) {
        l->whole[family] = e;
        return true;
    }
    if (!*at) {
        *at = hang(e);
        return true;
    }
    for (void **below; at; at = below, depth++) {
        if (entry_of(*at) && !unfold(l, at, depth))
            return false;
        if (!step_insert(l, at, depth, e, &below))
            return false;
    }
    return true;
}

void wi_lpm_remove(struct wi_lpm *l, const struct wi_lpm_entry *e, const struct wi_lpm_entry *cover)
{
    unsigned family = family_of(e->len128, &e->prefix), first = family ? V4_BYTE : 0, depth = first;
    if (e->len128 == 8 * depth) {
        l->whole[family] = NULL;
        return;
    }
    void **path[16] = {&l->root[family]}; /* by depth, less `first` */
    while (!entry_of(*path[depth - first]) && e->len128 > 8 * (depth + 1)) {
        struct step *s = *path[depth - first];
        path[depth - first + 1] = &s->at[rank(&s->below, e->prefix.b[depth])];
        depth++;
    }
    void **at = path[depth - first];
    if (!entry_of(*at)) {
        struct step *s = *at;
        best_remove(s, depth, e, cover);
        if (s->below.n + s->best.n > 0)
            return;
        wi_mem_free(l->mem, s, step_size(s->cap));
    }
    for (;;) { /* nothing is left at *at */
        if (depth == first) {
            *at = NULL;
            return;
        }
        at = path[--depth - first];
        struct step *s = *at;
        below_remove(s, e->prefix.b[depth]);
        if (s->below.n + s->best.n > 0)
            return;
        wi_mem_free(l->mem, s, step_size(s->cap));
    }
}

static bool holds(const struct wi_lpm_entry *e, const struct weir_addr *a)
{
    unsigned bytes = e->len128 / 8, bits = e->len128 % 8;
    return memcmp(e->prefix.b, a->b, bytes) == 0 &&
           (bits == 0 || (e->prefix.b[bytes] ^ a->b[bytes]) >> (8 - bits) == 0);
}

const struct wi_lpm_entry *wi_lpm_find(const struct wi_lpm *l, const struct weir_addr *a)
{
    unsigned family = weir_addr_is_v4(a), depth = family ? V4_BYTE : 0;
    const struct wi_lpm_entry *found = l->whole[family];
    for (const void *at = l->root[family]; at; depth++) {
        const struct wi_lpm_entry *e = entry_of(at);
        if (e)
            return holds(e, a) ? e : found;
        const struct step *s = at;
        unsigned value = a->b[depth], best = s->best.n > 0 ? rank(&s->best, value) + has(&s->best, value) : 0;
        const struct wi_lpm_entry *here = best > 0 ? s->at[s->below.n + best - 1] : NULL;
        found = here ? here : found;
        at = has(&s->below, value) ? s->at[rank(&s->below, value)] : NULL;
    }
    return found;
}
