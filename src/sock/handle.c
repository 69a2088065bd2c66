/* The table of handles: a tree of two directories over leaves of records. See handle.h. */
#include "sock/handle.h"

#define GENERATION_MAX ((UINT64_C(1) << (63 - WI_HANDLE_INDEX_BITS)) - 1)
#define LEAF_SHIFT     6 /* log2 of WI_HANDLE_LEAF_N */
#define DIR_SHIFT      9 /* log2 of WI_HANDLE_DIR_N */

_Static_assert(WI_HANDLE_LEAF_N == 1 << LEAF_SHIFT && WI_HANDLE_DIR_N == 1 << DIR_SHIFT, "shifts are the logarithms");
_Static_assert(LEAF_SHIFT + 2 * DIR_SHIFT == WI_HANDLE_INDEX_BITS, "the tree spans the index");

static unsigned lowest_clear(uint64_t word)
{
    return (unsigned)__builtin_ctzll(~word);
}

static unsigned root_slot(uint32_t index)
{
    return index >> (LEAF_SHIFT + DIR_SHIFT);
}

static unsigned dir_slot(uint32_t index)
{
    return index >> LEAF_SHIFT & (WI_HANDLE_DIR_N - 1);
}

void wi_handles_init(struct wi_handles *t, struct wi_core *core, uint32_t max)
{
    *t = (struct wi_handles){.core = core, .max = max};
    if (!max)
        t->max = 1u << 22;
    if (t->max > WI_HANDLES_CAP)
        t->max = WI_HANDLES_CAP;
    wi_list_init(&t->partial);
}

static struct wi_handle_dir *dir_new(struct wi_core *core)
{
    return wi_mem_zalloc(core->mem, sizeof(struct wi_handle_dir));
}

/* The first child that has room below it, WI_HANDLE_DIR_N when none has. */
static unsigned dir_room(const struct wi_handle_dir *dir)
{
    for (unsigned word = 0; word < WI_HANDLE_DIR_N / 64; word++) {
        if (dir->full[word] != UINT64_MAX)
            return word * 64 + lowest_clear(dir->full[word]);
    }
    return WI_HANDLE_DIR_N;
}

static void dir_mark(struct wi_handle_dir *dir, unsigned slot, bool is_full)
{
    uint64_t bit = UINT64_C(1) << (slot % 64);
    if (is_full)
        dir->full[slot / 64] |= bit;
    else
        dir->full[slot / 64] &= ~bit;
}

static void dir_set(struct wi_handle_dir *dir, unsigned slot, void *child)
{
    dir->child_n += child ? 1 : 0;
    dir->child_n -= dir->child[slot] ? 1 : 0;
    dir->child[slot] = child;
}

/* Free the directories on the way to `slot` of the root that hold nothing any more. */
static void prune(struct wi_handles *t, unsigned slot)
{
    struct wi_handle_dir *dir = t->root->child[slot];

    if (dir && !dir->child_n) {
        dir_set(t->root, slot, NULL);
        wi_core_free(t->core, dir, sizeof(*dir));
    }
    if (!t->root->child_n) {
        wi_core_free(t->core, t->root, sizeof(*t->root));
        t->root = NULL;
        t->walk_end = 0;
    }
}

static struct wi_handle_leaf *leaf_new(struct wi_handles *t)
{
    if (!t->root && !(t->root = dir_new(t->core)))
        return NULL;
    unsigned upper = dir_room(t->root);
    if (upper == WI_HANDLE_DIR_N)
        return NULL;
    if (!t->root->child[upper]) {
        struct wi_handle_dir *made = dir_new(t->core);
        if (made)
            dir_set(t->root, upper, made);
    }
    struct wi_handle_dir *dir = t->root->child[upper];
    struct wi_handle_leaf *leaf = dir ? wi_core_alloc(t->core, sizeof(*leaf)) : NULL;
    if (!leaf) {
        prune(t, upper);
        return NULL;
    }

    unsigned lower = dir_room(dir);
    leaf->taken = 0;
    leaf->first = upper << (LEAF_SHIFT + DIR_SHIFT) | lower << LEAF_SHIFT;
    if (t->walk_end < leaf->first + WI_HANDLE_LEAF_N)
        t->walk_end = leaf->first + WI_HANDLE_LEAF_N;
    wi_list_add_head(&t->partial, &leaf->partial);
    dir_set(dir, lower, leaf);
    dir_mark(dir, lower, true);
    dir_mark(t->root, upper, dir->child_n == WI_HANDLE_DIR_N);
    return leaf;
}

static void leaf_free(struct wi_handles *t, struct wi_handle_leaf *leaf)
{
    unsigned upper = root_slot(leaf->first), lower = dir_slot(leaf->first);
    struct wi_handle_dir *dir = t->root->child[upper];

    wi_list_del(&leaf->partial);
    dir_set(dir, lower, NULL);
    dir_mark(dir, lower, false);
    dir_mark(t->root, upper, false);
    wi_core_free(t->core, leaf, sizeof(*leaf));
    prune(t, upper);
}

static struct wi_handle_leaf *leaf_of(const struct wi_handles *t, uint32_t index)
{
    const struct wi_handle_dir *dir = t->root ? t->root->child[root_slot(index)] : NULL;
    return dir ? dir->child[dir_slot(index)] : NULL;
}

static uint32_t index_of(weir_fd fd)
{
    return (uint32_t)(fd & (WI_HANDLES_CAP - 1));
}

int wi_handle_take(struct wi_handles *t, struct wi_handle **out)
{
    if (t->n >= t->max)
        return -WEIR_EMFILE;
    struct wi_handle_leaf *leaf = wi_list_first(&t->partial, struct wi_handle_leaf, partial);
    if (!leaf && !(leaf = leaf_new(t)))
        return -WEIR_ENOMEM;

    unsigned slot = lowest_clear(leaf->taken);
    leaf->taken |= UINT64_C(1) << slot;
    if (leaf->taken == UINT64_MAX)
        wi_list_del(&leaf->partial);
    t->n++;
    t->generation = t->generation < GENERATION_MAX ? t->generation + 1 : 1;

    struct wi_handle *h = &leaf->record[slot];
    *h = (struct wi_handle){.fd = (weir_fd)(t->generation << WI_HANDLE_INDEX_BITS | (leaf->first + slot))};
    wi_list_init(&h->watches);
    *out = h;
    return 0;
}

void wi_handle_release(struct wi_handles *t, struct wi_handle *h)
{
    uint32_t index = index_of(h->fd);
    struct wi_handle_leaf *leaf = leaf_of(t, index);

    if (leaf->taken == UINT64_MAX)
        wi_list_add_head(&t->partial, &leaf->partial);
    leaf->taken &= ~(UINT64_C(1) << (index - leaf->first));
    t->n--;
    if (!leaf->taken)
        leaf_free(t, leaf);
}

struct wi_handle *wi_handle_find(const struct wi_handles *t, weir_fd fd)
{
    if (fd < 0)
        return NULL;
    uint32_t index = index_of(fd);
    struct wi_handle_leaf *leaf = leaf_of(t, index);
    if (!leaf || !(leaf->taken >> (index - leaf->first) & 1))
        return NULL;
    struct wi_handle *h = &leaf->record[index - leaf->first];
    return h->fd == fd ? h : NULL;
}

struct wi_handle *wi_handle_next(const struct wi_handles *t, uint32_t *index)
{
    while (*index < t->walk_end) {
        if (!t->root->child[root_slot(*index)]) {
            *index = (root_slot(*index) + 1) << (LEAF_SHIFT + DIR_SHIFT);
            continue;
        }
        struct wi_handle_leaf *leaf = leaf_of(t, *index);
        uint64_t rest = leaf ? leaf->taken >> (*index - leaf->first) : 0;
        if (!rest) {
            *index = ((*index >> LEAF_SHIFT) + 1) << LEAF_SHIFT;
            continue;
        }
        *index += (uint32_t)__builtin_ctzll(rest);
        return &leaf->record[(*index)++ - leaf->first];
    }
    return NULL;
}

const char *wi_handles_check(const struct wi_handles *t)
{
    uint32_t n = 0, index = 0;
    for (struct wi_handle *h; (h = wi_handle_next(t, &index)); n++) {
        if (wi_handle_find(t, h->fd) != h)
            return "a handle's number does not lead to its record";
    }
    if (n != t->n)
        return "the number of handles is not what the table holds";
    if (!n && t->root)
        return "an empty handle table holds memory";
    wi_list_for_each (leaf, &t->partial, struct wi_handle_leaf, partial) {
        if (leaf->taken == UINT64_MAX || !leaf->taken)
            return "a full or empty leaf is in the list of those with room";
    }
    return NULL;
}
