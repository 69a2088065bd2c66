/* Red-black tree after Cormen et al., chapter 13, with NULL leaves; `side` 0 or 1 covers each case and its mirror at
 * once. */
#include "base/rbtree.h"

#include "base/bytes.h"

static bool is_red(const struct wi_rb_node *n)
{
    return n && n->is_red;
}

static int side_of(const struct wi_rb_node *n)
{
    return n->parent->child[1] == n;
}

/* Puts `with` (may be NULL) where `was` hangs. */
static void replace(struct wi_rb_root *root, struct wi_rb_node *was, struct wi_rb_node *with)
{
    if (!was->parent)
        root->node = with;
    else
        was->parent->child[side_of(was)] = with;
    if (with)
        with->parent = was->parent;
}

/* Turns `n` down to `side`; its child on the other side takes its place. */
static void rotate(struct wi_rb_root *root, struct wi_rb_node *n, int side)
{
    struct wi_rb_node *up = n->child[!side];
    replace(root, n, up);
    n->child[!side] = up->child[side];
    if (up->child[side])
        up->child[side]->parent = n;
    up->child[side] = n;
    n->parent = up;
}

static void fix_insert(struct wi_rb_root *root, struct wi_rb_node *n)
{
    while (is_red(n->parent)) {
        struct wi_rb_node *parent = n->parent, *grand = parent->parent;
        int side = side_of(parent);
        struct wi_rb_node *uncle = grand->child[!side];
        if (is_red(uncle)) {
            parent->is_red = false;
            uncle->is_red = false;
            grand->is_red = true;
            n = grand;
            continue;
        }
        if (side_of(n) != side) {
            rotate(root, parent, side);
            parent = n;
        }
        parent->is_red = false;
        grand->is_red = true;
        rotate(root, grand, !side);
        break;
    }
    root->node->is_red = false;
}

void wi_rb_link(struct wi_rb_root *root, struct wi_rb_node *node, struct wi_rb_node *parent, struct wi_rb_node **link)
{
    node->child[0] = NULL;
    node->child[1] = NULL;
    node->parent = parent;
    node->is_red = true;
    *link = node;
    fix_insert(root, node);
}

struct wi_rb_node *wi_rb_insert(struct wi_rb_root *root, struct wi_rb_node *node,
                                int (*cmp)(const struct wi_rb_node *a, const struct wi_rb_node *b))
{
    struct wi_rb_node *parent = NULL, **link = &root->node;
    while (*link) {
        parent = *link;
        int order = cmp(node, parent);
        if (order == 0)
            return parent;
        link = &parent->child[order > 0];
    }
    wi_rb_link(root, node, parent, link);
    return NULL;
}

/* One case of fix_erase: the paths through `parent`'s `side` are one black node short. Returns the node that is short
 * next, NULL when the tree is whole again. */
static struct wi_rb_node *fix_short_side(struct wi_rb_root *root, struct wi_rb_node *parent, int side)
{
    struct wi_rb_node *sibling = parent->child[!side];
    if (sibling->is_red) {
        sibling->is_red = false;
        parent->is_red = true;
        rotate(root, parent, side);
        sibling = parent->child[!side];
    }
    if (!is_red(sibling->child[0]) && !is_red(sibling->child[1])) {
        sibling->is_red = true;
        return parent;
    }
    if (!is_red(sibling->child[!side])) {
        sibling->child[side]->is_red = false;
        sibling->is_red = true;
        rotate(root, sibling, !side);
        sibling = parent->child[!side];
    }
    sibling->is_red = parent->is_red;
    parent->is_red = false;
    sibling->child[!side]->is_red = false;
    rotate(root, parent, side);
    return NULL;
}

/* `n` (may be NULL), child of `parent`, heads paths that are one black node short. */
static void fix_erase(struct wi_rb_root *root, struct wi_rb_node *n, struct wi_rb_node *parent)
{
    while (parent && !is_red(n)) {
        n = fix_short_side(root, parent, parent->child[1] == n);
        if (!n)
            return;
        parent = n->parent;
    }
    if (n)
        n->is_red = false;
}

/* `next`, which has no child before it, takes the place and colour of `node`, its predecessor in order. */
static void take_place(struct wi_rb_root *root, struct wi_rb_node *node, struct wi_rb_node *next)
{
    replace(root, node, next);
    next->is_red = node->is_red;
    next->child[0] = node->child[0];
    next->child[0]->parent = next;
}

void wi_rb_erase(struct wi_rb_root *root, struct wi_rb_node *node)
{
    struct wi_rb_node *orphan, *orphan_parent;
    bool lost_black = !node->is_red;

    if (node->child[0] && node->child[1]) {
        struct wi_rb_node *next = wi_rb_next(node);
        lost_black = !next->is_red;
        orphan = next->child[1];
        orphan_parent = next;
        if (next->parent != node) {
            orphan_parent = next->parent;
            replace(root, next, orphan);
            next->child[1] = node->child[1];
            next->child[1]->parent = next;
        }
        take_place(root, node, next);
    } else {
        orphan = node->child[node->child[0] == NULL];
        orphan_parent = node->parent;
        replace(root, node, orphan);
    }
    if (lost_black)
        fix_erase(root, orphan, orphan_parent);
}

struct wi_rb_node *wi_rb_lower_bound(const struct wi_rb_root *root, const void *key,
                                     int (*cmp)(const void *key, const struct wi_rb_node *node))
{
    struct wi_rb_node *best = NULL;
    for (struct wi_rb_node *n = root->node; n;) {
        bool is_after = cmp(key, n) > 0;
        if (!is_after)
            best = n;
        n = n->child[is_after];
    }
    return best;
}

static struct wi_rb_node *outermost(struct wi_rb_node *n, int side)
{
    while (n && n->child[side])
        n = n->child[side];
    return n;
}

static struct wi_rb_node *neighbour(const struct wi_rb_node *n, int side)
{
    if (n->child[side])
        return outermost(n->child[side], !side);
    while (n->parent && side_of(n) == side)
        n = n->parent;
    return n->parent;
}

struct wi_rb_node *wi_rb_first(const struct wi_rb_root *root)
{
    return outermost(root->node, 0);
}

struct wi_rb_node *wi_rb_last(const struct wi_rb_root *root)
{
    return outermost(root->node, 1);
}

struct wi_rb_node *wi_rb_next(const struct wi_rb_node *node)
{
    return neighbour(node, 1);
}

struct wi_rb_node *wi_rb_prev(const struct wi_rb_node *node)
{
    return neighbour(node, 0);
}
