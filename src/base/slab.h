/* Pools of equal-size objects. Objects live in chunks of about 8 KiB from a wi_mem; a chunk whose last object is freed
 * goes back to it, so a pool is never larger than its use (and scatter) asks for. Allocation and free are O(1).
 *
 * One empty chunk is held back while other chunks are in use, so that a use that swings around a chunk's edge does not
 * allocate each time; when the last object goes, everything goes. Where use swings more widely, as that of packets
 * does, the owner sets `spares_max`: for each chunk that was given back and is wanted again one more is held back from
 * then on, up to so many; and then the objects freed last wait, still warm, to be the next ones, without their chunks
 * being asked. Under AddressSanitizer, freed objects are poisoned. */
#ifndef WI_BASE_SLAB_H
#define WI_BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/list.h"

#define WI_SLAB_SWINGS     64
#define WI_SLAB_WARM       16 /* objects that wait so, and bytes of them, at most */
#define WI_SLAB_WARM_BYTES ((size_t)65536)

struct wi_slab {
    struct wi_mem *mem;
    const char *name;          /* for people; the caller's, must outlive the slab */
    struct wi_list usable;     /* chunks with a free object, the empty one last */
    struct wi_list full;       /* chunks without */
    size_t obj_size;           /* as asked for */
    size_t stride;             /* between two objects of a chunk */
    size_t obj_n;              /* objects now allocated */
    uint32_t chunk_n;          /* chunks now held */
    uint32_t empty_n;          /* of these, chunks with no object */
    uint32_t objs_in_chunk;    /* objects that a chunk holds */
    uint32_t returned_n;       /* chunks that went back and have not been wanted again */
    uint32_t swings;           /* chunks that went back and were, since the last spare was added */
    uint32_t spares;           /* empty chunks that are held back */
    uint32_t warm_n, warm_max; /* freed objects that their chunks count as used; 0 at most until there are spares */
    uint32_t spares_max;       /* the owner may set it */
    struct wi_list reserve;    /* whose reserves go back together: wi_pool_slab_init */
    void *warm[WI_SLAB_WARM];
};

/* Allocates nothing yet. Objects are aligned to 16 bytes; those beyond a chunk's size have chunks of their own. */
void wi_slab_init(struct wi_slab *s, struct wi_mem *mem, size_t obj_size, const char *name);

/* A zeroed object; NULL when the memory is at its limit. */
void *wi_slab_alloc(struct wi_slab *s);

/* The same with its contents undefined, for objects too large to zero each time. */
void *wi_slab_alloc_raw(struct wi_slab *s);

/* Gives back `obj` (NULL: nothing happens), which came from this slab. */
void wi_slab_free(struct wi_slab *s, void *obj);

/* Gives back the empty chunks, and starts anew to learn how many to hold. Returns how many bytes. */
size_t wi_slab_trim(struct wi_slab *s);

/* Gives back every chunk. All objects must have been freed: that is asserted, as a leak is a bug of the core. */
void wi_slab_fini(struct wi_slab *s);

#endif
