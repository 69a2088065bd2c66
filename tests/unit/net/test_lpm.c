/* Longest prefix match (net/lpm.h) against a search through all prefixes, and memory that comes to nothing. */
#include "net_test.h"

#include "net/lpm.h"

#define N 600

struct bed {
    struct world *w;
    struct wi_lpm l;
    struct wi_lpm_entry all[N];
    bool is_in[N];
    uint32_t lcg;
};

static uint32_t any(struct bed *b, uint32_t n)
{
    b->lcg = b->lcg * 1664525u + 1013904223u;
    return (b->lcg >> 8) % n;
}

static bool holds(const struct wi_lpm_entry *e, const struct weir_addr *a)
{
    struct weir_addr masked = wi_addr_mask(a, e->len128);
    return weir_addr_equal(&masked, &e->prefix);
}

/* Addresses that share many bytes, so that prefixes lie within each other. */
static struct weir_addr any_addr(struct bed *b, bool is_v4)
{
    static const uint8_t few[] = {0, 1, 127, 128, 255, 64, 65};
    struct weir_addr a = is_v4 ? weir_addr_v4(0, 0, 0, 0) : (struct weir_addr){{0x20, 1}};
    for (unsigned i = is_v4 ? 12 : 2; i < 16; i++)
        a.b[i] = any(b, 8) ? few[any(b, i % 4 == 0 ? 2 : 7)] : (uint8_t)any(b, 256);
    return a;
}

static void draw(struct bed *b, unsigned i)
{
    for (;;) {
        bool is_v4 = any(b, 3) > 0;
        unsigned len = is_v4 ? 96 + any(b, 33) : any(b, 129);
        struct weir_addr a = any_addr(b, is_v4);
        b->all[i] = (struct wi_lpm_entry){wi_addr_mask(&a, len), (uint8_t)len};
        bool is_new = is_v4 || len < 96 || !weir_addr_is_v4(&b->all[i].prefix);
        for (unsigned k = 0; k < i && is_new; k++)
            is_new = b->all[k].len128 != len || !weir_addr_equal(&b->all[k].prefix, &b->all[i].prefix);
        if (is_new)
            return;
    }
}

static const struct wi_lpm_entry *search(const struct bed *b, const struct weir_addr *a, unsigned min, unsigned below)
{
    const struct wi_lpm_entry *found = NULL;
    for (unsigned i = 0; i < N; i++) {
        const struct wi_lpm_entry *e = &b->all[i];
        if (b->is_in[i] && e->len128 >= min && e->len128 < below && holds(e, a) &&
            (!found || found->len128 < e->len128))
            found = e;
    }
    return found;
}

static void take_out(struct bed *b, unsigned i)
{
    b->is_in[i] = false;
    const struct wi_lpm_entry *e = &b->all[i];
    wi_lpm_remove(&b->l, e, search(b, &e->prefix, wi_lpm_cover_min(e), e->len128));
}

static void test_lpm_agrees_with_a_search(void **state)
{
    (void)state;
    struct bed *b = calloc(1, sizeof *b);
    b->w = world_new();
    b->lcg = 3;
    size_t before = b->w->core.mem->used;
    wi_lpm_init(&b->l, b->w->core.mem);
    for (unsigned i = 0; i < N; i++)
        draw(b, i);
    for (unsigned round = 0; round < 6000; round++) {
        unsigned i = any(b, N);
        bool is_full = round / 1500 % 2 == 0; /* it fills and empties in turn */
        if (b->is_in[i] && (!is_full || any(b, 4) == 0)) {
            take_out(b, i);
        } else if (!b->is_in[i] && (is_full || any(b, 4) == 0)) {
            b->w->heap.fail_at = any(b, 4) == 0 ? b->w->heap.alloc_n + 1 + any(b, 2) : 0;
            bool may_fail = b->w->heap.fail_at > 0;
            b->is_in[i] = wi_lpm_insert(&b->l, &b->all[i]);
            assert_true(b->is_in[i] || may_fail);
            b->w->heap.fail_at = 0;
        }
        for (unsigned k = 0; k < 4; k++) {
            bool is_v4 = any(b, 2);
            struct weir_addr a = k == 0 ? b->all[any(b, N)].prefix : any_addr(b, is_v4);
            assert_ptr_equal(wi_lpm_find(&b->l, &a), search(b, &a, weir_addr_is_v4(&a) ? 96 : 0, 129));
        }
    }
    for (unsigned i = 0; i < N; i++)
        if (b->is_in[i])
            take_out(b, i);
    assert_int_equal(b->w->core.mem->used, before);
    world_end(b->w);
    free(b);
}

/* Each prefix alone hangs where it is: no nodes. */
static void test_lpm_of_few_prefixes_takes_little(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct wi_lpm l;
    struct wi_lpm_entry host = {addr("2001:db8::1"), 128}, net = {addr("10.0.0.0"), 104}, whole = {addr("0.0.0.0"), 96};
    size_t before = w->core.mem->used;
    wi_lpm_init(&l, w->core.mem);
    assert_true(wi_lpm_insert(&l, &host) && wi_lpm_insert(&l, &net) && wi_lpm_insert(&l, &whole));
    assert_int_equal(w->core.mem->used, before);
    struct weir_addr a = addr("10.2.3.4"), b = addr("11.2.3.4"), c = addr("2001:db8::2");
    assert_ptr_equal(wi_lpm_find(&l, &a), &net);
    assert_ptr_equal(wi_lpm_find(&l, &b), &whole);
    assert_null(wi_lpm_find(&l, &c));
    wi_lpm_remove(&l, &net, NULL);
    assert_ptr_equal(wi_lpm_find(&l, &a), &whole);
    world_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lpm_agrees_with_a_search),
        cmocka_unit_test(test_lpm_of_few_prefixes_takes_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
