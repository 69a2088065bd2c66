/* Intrusive red-black tree: ordered sets whose order a callback decides. Insert, erase, search and the ends are O(log
 * n), a whole walk is O(n). Nodes are linked, never copied; the owner allocates and frees them. */
#ifndef WI_BASE_RBTREE_H
#define WI_BASE_RBTREE_H

#include <stdbool.h>
#include <stddef.h>

struct wi_rb_node {
    struct wi_rb_node *child[2]; /* before, after */
    struct wi_rb_node *parent;
    bool is_red;
};

/* All zero is an empty tree. */
struct wi_rb_root {
    struct wi_rb_node *node;
};

static inline void wi_rb_init(struct wi_rb_root *root)
{
    root->node = NULL;
}

static inline bool wi_rb_empty(const struct wi_rb_root *root)
{
    return root->node == NULL;
}

/* Links `node` where `cmp` (<0: a before b, 0: equal) puts it. NULL when done; when an equal node is there, that one,
 * and nothing changes. */
struct wi_rb_node *wi_rb_insert(struct wi_rb_root *root, struct wi_rb_node *node,
                                int (*cmp)(const struct wi_rb_node *a, const struct wi_rb_node *b));

/* Links `node` at *link (NULL now: `parent`'s child, or the root's with no parent), which the caller found by his own
 * descent. */
void wi_rb_link(struct wi_rb_root *root, struct wi_rb_node *node, struct wi_rb_node *parent, struct wi_rb_node **link);

/* Unlinks `node`, which must be in this tree. */
void wi_rb_erase(struct wi_rb_root *root, struct wi_rb_node *node);

/* The first node that is not before `key`, NULL when all are. `cmp` says where the key is, seen from the node: <0
 * before it, 0 equal, >0 after it. */
struct wi_rb_node *wi_rb_lower_bound(const struct wi_rb_root *root, const void *key,
                                     int (*cmp)(const void *key, const struct wi_rb_node *node));

/* The ends; NULL when the tree is empty. */
struct wi_rb_node *wi_rb_first(const struct wi_rb_root *root);
struct wi_rb_node *wi_rb_last(const struct wi_rb_root *root);

/* The neighbours in order; NULL past the end. */
struct wi_rb_node *wi_rb_next(const struct wi_rb_node *node);
struct wi_rb_node *wi_rb_prev(const struct wi_rb_node *node);

#endif
