/* Slab pools. A chunk is a header and then strides. In front of each object is one pointer (its tag): the object's
 * chunk while it is in use, the next free object's tag while it is free. It lies outside of the object, which thus can
 * be poisoned whole. */
#include "base/slab.h"

#include "base/bytes.h"
#include "base/str.h"

#define ALIGN        ((size_t)16)
#define CHUNK_TARGET ((size_t)8192)
#define OBJS_MIN     4

struct tag {
    void *ptr;
};

struct chunk {
    struct wi_list link;
    struct wi_slab *slab;
    struct tag *free; /* freed objects, by tag */
    uint32_t used_n;  /* objects in use */
    uint32_t
        touched_n; /* objects ever handed out: those behind are not on the free list, so a new chunk costs no set-up */
};

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define POISON(p, len)   __asan_poison_memory_region((p), (len))
#define UNPOISON(p, len) __asan_unpoison_memory_region((p), (len))
#else
#define POISON(p, len)   ((void)(p), (void)(len))
#define UNPOISON(p, len) ((void)(p), (void)(len))
#endif

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) & ~(ALIGN - 1);
}

/* Where a chunk's first object is: its tag fits before it. */
static size_t first_off(void)
{
    return round_up(sizeof(struct chunk) + sizeof(struct tag));
}

static size_t chunk_bytes(const struct wi_slab *s)
{
    return first_off() + s->objs_in_chunk * s->stride;
}

void wi_slab_init(struct wi_slab *s, struct wi_mem *mem, size_t obj_size, const char *name)
{
    WI_ASSERT(obj_size > 0 && obj_size <= UINT32_MAX);
    *s = (struct wi_slab){.mem = mem, .name = name, .obj_size = obj_size};
    wi_list_init(&s->usable);
    wi_list_init(&s->full);
    wi_list_init(&s->reserve);
    s->stride = round_up(obj_size + sizeof(struct tag));
    if (s->stride >= CHUNK_TARGET - first_off())
        s->objs_in_chunk = 1;
    else
        s->objs_in_chunk = (uint32_t)wi_max_size(OBJS_MIN, (CHUNK_TARGET - first_off()) / s->stride);
}

static struct chunk *chunk_new(struct wi_slab *s)
{
    struct chunk *c = wi_mem_alloc(s->mem, chunk_bytes(s));
    if (!c)
        return NULL;
    *c = (struct chunk){.slab = s};
    wi_list_add_head(&s->usable, &c->link);
    s->chunk_n++;
    s->empty_n++;
    if (s->returned_n > 0) {
        s->returned_n--;
        s->swings++;
    }
    if (s->swings >= WI_SLAB_SWINGS && s->spares < s->spares_max) {
        s->swings = 0;
        s->spares++;
        s->warm_max = (uint32_t)wi_min_size(WI_SLAB_WARM, WI_SLAB_WARM_BYTES / s->obj_size);
    }
    POISON((char *)c + first_off(), s->objs_in_chunk * s->stride);
    return c;
}

static void chunk_free(struct wi_slab *s, struct chunk *c)
{
    wi_list_del(&c->link);
    s->chunk_n--;
    s->empty_n--;
    UNPOISON((char *)c, chunk_bytes(s));
    wi_mem_free(s->mem, c, chunk_bytes(s));
}

/* Takes a free object's tag out of a chunk that has one. */
static struct tag *chunk_take(struct chunk *c, size_t stride)
{
    struct tag *tag = c->free;
    if (tag) {
        c->free = tag->ptr;
    } else {
        tag = (struct tag *)(void *)((char *)c + first_off() + c->touched_n * stride - sizeof(struct tag));
        c->touched_n++;
        UNPOISON(tag, sizeof *tag);
    }
    tag->ptr = c;
    return tag;
}

static void *alloc_from_chunk(struct wi_slab *s)
{
    struct chunk *c = wi_list_first(&s->usable, struct chunk, link);
    if (!c && !(c = chunk_new(s)))
        return NULL;
    struct tag *tag = chunk_take(c, s->stride);
    s->empty_n -= c->used_n == 0;
    c->used_n++;
    if (c->used_n == s->objs_in_chunk) {
        wi_list_del(&c->link);
        wi_list_add_head(&s->full, &c->link);
    }
    return tag + 1;
}

void *wi_slab_alloc_raw(struct wi_slab *s)
{
    void *obj = s->warm_n > 0 ? s->warm[--s->warm_n] : alloc_from_chunk(s);
    if (!obj)
        return NULL;
    s->obj_n++;
    UNPOISON(obj, s->obj_size);
    return obj;
}

void *wi_slab_alloc(struct wi_slab *s)
{
    void *obj = wi_slab_alloc_raw(s);
    return obj ? memset(obj, 0, s->obj_size) : NULL;
}

/* The chunk has no object any more: keep it as a spare, or give it back. Spares are last in the list, to be used last.
 */
static void chunk_emptied(struct wi_slab *s, struct chunk *c)
{
    uint32_t keep = s->obj_n > 0 ? wi_max_u32(s->spares, 1) : s->spares;
    s->empty_n++;
    if (wi_list_last(&s->usable, struct chunk, link) != c) {
        wi_list_del(&c->link);
        wi_list_add_tail(&s->usable, &c->link);
    }
    for (; s->empty_n > keep; s->returned_n++)
        chunk_free(s, wi_list_last(&s->usable, struct chunk, link));
}

/* The object is poisoned already. */
static void free_to_chunk(struct wi_slab *s, void *obj)
{
    struct tag *tag = (struct tag *)obj - 1;
    struct chunk *c = tag->ptr;
    WI_ASSERT(c->used_n > 0);

    if (c->used_n == s->objs_in_chunk) {
        wi_list_del(&c->link);
        wi_list_add_head(&s->usable, &c->link);
    }
    tag->ptr = c->free;
    c->free = tag;
    c->used_n--;
    if (c->used_n == 0)
        chunk_emptied(s, c);
}

void wi_slab_free(struct wi_slab *s, void *obj)
{
    if (!obj)
        return;
    const struct chunk *c = ((struct tag *)obj - 1)->ptr;
    WI_ASSERT(c->slab == s && s->obj_n > 0);
    POISON(obj, s->obj_size);
    s->obj_n--;
    if (s->warm_n < s->warm_max)
        s->warm[s->warm_n++] = obj;
    else
        free_to_chunk(s, obj);
}

/* Those that wait go back to their chunks. */
static void cool(struct wi_slab *s)
{
    s->warm_max = 0;
    while (s->warm_n > 0)
        free_to_chunk(s, s->warm[--s->warm_n]);
}

size_t wi_slab_trim(struct wi_slab *s)
{
    uint32_t before = s->chunk_n;
    cool(s);
    while (s->empty_n > 0)
        chunk_free(s, wi_list_last(&s->usable, struct chunk, link));
    s->spares = s->returned_n = s->swings = 0;
    return (before - s->chunk_n) * chunk_bytes(s);
}

void wi_slab_fini(struct wi_slab *s)
{
    WI_ASSERT(s->obj_n == 0);
    cool(s);
    wi_list_del(&s->reserve);
    wi_list_for_each_safe (c, &s->usable, struct chunk, link)
        chunk_free(s, c);
}
