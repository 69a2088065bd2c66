/* See ring.h. */
#include "io/ring.h"
#include "io/driver_kind.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* No line has two writers, and none that is written lies beside one that both read. */
_Static_assert(_Alignof(struct wio_ring) == WIO_CACHE_LINE && sizeof(struct wio_ring) == (size_t)3 * WIO_CACHE_LINE,
               "each side of a ring has cache lines of its own");
_Static_assert(offsetof(struct wio_ring, head) == 0 && offsetof(struct wio_ring, full_n) < WIO_CACHE_LINE,
               "the producer's line");
_Static_assert(offsetof(struct wio_ring, tail) == WIO_CACHE_LINE &&
                   offsetof(struct wio_ring, lost_n) < (size_t)2 * WIO_CACHE_LINE,
               "the consumer's line");
_Static_assert(offsetof(struct wio_ring, bytes) == (size_t)2 * WIO_CACHE_LINE, "the line that nobody writes");

#define RECORD_ALIGN 16u
#define PKT_MAX      (1u << 17) /* a super-segment and its headers, and more */

/* Before each packet. */
struct record {
    uint32_t len;   /* of the packet; SKIP: the ring goes on at its beginning */
    uint32_t whole; /* of the record, a multiple of RECORD_ALIGN */
    uint16_t gso_size, l3_off, l4_off;
    uint8_t flags;
    uint8_t unused;
    struct wio_ring_note note;
};

#define SKIP UINT32_MAX

static uint32_t record_size(uint32_t len)
{
    return ((uint32_t)sizeof(struct record) + len + RECORD_ALIGN - 1) & ~(RECORD_ALIGN - 1);
}

int wio_ring_init(struct wio_ring *r, uint64_t size)
{
    memset(r, 0, sizeof *r);
    r->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->bytes == MAP_FAILED) {
        r->bytes = NULL;
        return -ENOMEM;
    }
    r->size = size;
    return 0;
}

void wio_ring_fini(struct wio_ring *r)
{
    if (r->bytes)
        munmap(r->bytes, r->size);
    r->bytes = NULL;
}

/* ---- The producer ---- */

static bool has_room(struct wio_ring *r, uint64_t bytes)
{
    if (r->put + bytes - r->tail_seen <= r->size)
        return true;
    r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    return r->put + bytes - r->tail_seen <= r->size;
}

bool wio_ring_put(struct wio_ring *r, const struct weir_pkt *p, struct wio_ring_note note)
{
    uint64_t at = r->put & (r->size - 1), left = r->size - at;
    uint32_t whole = record_size(p->len);
    bool must_skip = whole > left;
    if (p->len > PKT_MAX || !has_room(r, whole + (must_skip ? left : 0))) {
        r->full_n++;
        return false;
    }
    if (must_skip) {
        const uint32_t skip = SKIP;
        memcpy(r->bytes + at, &skip, sizeof skip);
        r->put += left;
        at = 0;
    }
    struct record rec = {.len = p->len,
                         .whole = whole,
                         .gso_size = p->gso_size,
                         .l3_off = p->l3_off,
                         .l4_off = p->l4_off,
                         .flags = p->flags,
                         .note = note};
    memcpy(r->bytes + at, &rec, sizeof rec);
    (void)weir_pkt_copy(p, 0, r->bytes + at + sizeof rec, p->len);
    r->put += whole;
    r->passed_n++;
    return true;
}

void wio_ring_publish(struct wio_ring *r)
{
    atomic_store(&r->head, r->put);
}

bool wio_ring_has_unpublished(const struct wio_ring *r)
{
    return r->put != atomic_load_explicit(&r->head, memory_order_relaxed);
}

/* ---- The consumer ---- */

static bool has_some(struct wio_ring *r)
{
    if (r->got == r->head_seen)
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    return r->got != r->head_seen;
}

bool wio_ring_is_empty(struct wio_ring *r)
{
    r->head_seen = atomic_load(&r->head);
    return r->got == r->head_seen;
}

/* The next record; what is skipped is behind it. */
static const uint8_t *next_record(struct wio_ring *r, struct record *rec)
{
    uint64_t at = r->got & (r->size - 1);
    memcpy(&rec->len, r->bytes + at, sizeof rec->len);
    if (rec->len == SKIP) {
        r->got += r->size - at;
        at = 0;
    }
    memcpy(rec, r->bytes + at, sizeof *rec);
    r->got += rec->whole;
    return r->bytes + at + sizeof *rec;
}

static struct weir_pkt *make(struct weir_pool *pool, struct wio_lender *lender, const uint8_t *bytes, uint32_t len,
                             uint32_t head_len)
{
    if (head_len == 0 || len <= WEIR_PKT_HEAD_CAP)
        return wio_pkt_copy(pool, lender, bytes, len);
    struct weir_pkt *p = weir_pkt_new(pool, 0);
    struct weir_block *b = p ? weir_block_new(pool, len - head_len) : NULL;
    if (!b) {
        if (p)
            weir_pkt_unref(p);
        return NULL;
    }
    memcpy(weir_pkt_put(p, head_len), bytes, head_len);
    memcpy(b->data, bytes + head_len, len - head_len);
    weir_pkt_append(p, b, 0, len - head_len);
    weir_block_unref(b);
    return p;
}

unsigned wio_ring_take(struct wio_ring *r, struct weir_pool *pool, struct wio_lender *lender, struct weir_pkt **pkts,
                       struct wio_ring_note *notes, unsigned cap)
{
    unsigned n = 0;
    if (!has_some(r))
        return 0;
    while (n < cap && r->got != r->head_seen) {
        struct record rec;
        const uint8_t *bytes = next_record(r, &rec);
        struct weir_pkt *p = make(pool, lender, bytes, rec.len, rec.note.head_len);
        if (!p) {
            r->lost_n++;
            continue;
        }
        p->gso_size = rec.gso_size;
        p->l3_off = rec.l3_off;
        p->l4_off = rec.l4_off;
        p->flags = rec.flags;
        pkts[n] = p;
        notes[n++] = rec.note;
    }
    atomic_store_explicit(&r->tail, r->got, memory_order_release);
    return n;
}
