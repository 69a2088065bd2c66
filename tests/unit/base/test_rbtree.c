/* The red-black tree against a sorted walk, with its invariants checked after each change. */
#include "heap.h"

#include "base/bytes.h"
#include "base/random.h"
#include "base/rbtree.h"

#define KEYS 300

struct entry {
    struct wi_rb_node node;
    uint32_t key;
    bool is_in;
};

static uint32_t key_of(const struct wi_rb_node *n)
{
    return WI_CONTAINER_OF(n, const struct entry, node)->key;
}

static int cmp_nodes(const struct wi_rb_node *a, const struct wi_rb_node *b)
{
    return (key_of(a) > key_of(b)) - (key_of(a) < key_of(b));
}

static int cmp_key(const void *key, const struct wi_rb_node *n)
{
    uint32_t k = *(const uint32_t *)key;
    return (k > key_of(n)) - (k < key_of(n));
}

/* Black height of a subtree; asserts parents, order and colours on the way. */
static int check_subtree(const struct wi_rb_node *n, const struct wi_rb_node *parent)
{
    if (!n)
        return 0;
    assert_ptr_equal(n->parent, parent);
    for (int side = 0; side < 2; side++) {
        const struct wi_rb_node *c = n->child[side];
        if (!c)
            continue;
        assert_true(side ? key_of(c) > key_of(n) : key_of(c) < key_of(n));
        assert_false(n->is_red && c->is_red);
    }
    int before = check_subtree(n->child[0], n), after = check_subtree(n->child[1], n);
    assert_int_equal(before, after);
    return before + !n->is_red;
}

static void check_tree(const struct wi_rb_root *root, const struct entry *all)
{
    assert_false(root->node && root->node->is_red);
    check_subtree(root->node, NULL);
    const struct wi_rb_node *n = wi_rb_first(root), *prev = NULL;
    for (uint32_t k = 0; k < KEYS; k++) {
        if (!all[k].is_in)
            continue;
        assert_ptr_equal(n, &all[k].node);
        assert_ptr_equal(wi_rb_prev(n), prev);
        prev = n;
        n = wi_rb_next(n);
    }
    assert_null(n);
    assert_ptr_equal(wi_rb_last(root), prev);
    assert_int_equal(wi_rb_empty(root), prev == NULL);
}

static void check_lower_bound(const struct wi_rb_root *root, const struct entry *all, uint32_t key)
{
    uint32_t k = key;
    while (k < KEYS && !all[k].is_in)
        k++;
    assert_ptr_equal(wi_rb_lower_bound(root, &key, cmp_key), k < KEYS ? &all[k].node : NULL);
}

static void test_rb_random_operations_keep_invariants(void **state)
{
    (void)state;
    static struct entry all[KEYS];
    struct wi_rb_root root;
    struct wi_rng r;
    wi_rng_init(&r, 5);
    wi_rb_init(&root);
    for (uint32_t k = 0; k < KEYS; k++)
        all[k].key = k;
    for (int op = 0; op < 30000; op++) {
        /* Phases that fill and phases that empty. */
        bool fills = op / 3000 % 2 ? wi_rng_below(&r, 10) < 3 : wi_rng_below(&r, 10) < 7;
        struct entry *e = &all[wi_rng_below(&r, KEYS)];
        if (fills) {
            struct entry twin = {.key = e->key};
            if (e->is_in)
                assert_ptr_equal(wi_rb_insert(&root, &twin.node, cmp_nodes), &e->node);
            else
                assert_null(wi_rb_insert(&root, &e->node, cmp_nodes));
            e->is_in = true;
        } else if (e->is_in) {
            wi_rb_erase(&root, &e->node);
            e->is_in = false;
        }
        if (op % 7 == 0)
            check_tree(&root, all);
        check_lower_bound(&root, all, (uint32_t)wi_rng_below(&r, KEYS));
    }
    check_tree(&root, all);
}

static int depth(const struct wi_rb_node *n)
{
    if (!n)
        return 0;
    int a = depth(n->child[0]), b = depth(n->child[1]);
    return 1 + (a > b ? a : b);
}

static void test_rb_ascending_inserts_stay_shallow(void **state)
{
    (void)state;
    enum { N = 1 << 14 };
    struct entry *e = calloc(N, sizeof *e);
    struct wi_rb_root root = {NULL};
    for (uint32_t i = 0; i < N; i++) {
        e[i].key = i;
        struct wi_rb_node *last = wi_rb_last(&root);
        wi_rb_link(&root, &e[i].node, last, last ? &last->child[1] : &root.node);
    }
    check_subtree(root.node, NULL);
    assert_true(depth(root.node) <= 2 * 15);
    for (uint32_t i = 0; i < N; i++)
        wi_rb_erase(&root, wi_rb_first(&root));
    assert_true(wi_rb_empty(&root));
    free(e);
}

static void test_rb_empty_tree_has_no_ends(void **state)
{
    (void)state;
    struct wi_rb_root root = {NULL};
    uint32_t key = 0;
    assert_null(wi_rb_first(&root));
    assert_null(wi_rb_last(&root));
    assert_null(wi_rb_lower_bound(&root, &key, cmp_key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rb_random_operations_keep_invariants),
        cmocka_unit_test(test_rb_ascending_inserts_stay_shallow),
        cmocka_unit_test(test_rb_empty_tree_has_no_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
