/* SipHash against its authors' vectors; the random sources. */
#include "heap.h"

#include "base/bytes.h"
#include "base/random.h"
#include "base/siphash.h"

static const uint8_t *paper_key(void)
{
    static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return key;
}

/* The authors' vectors: SipHash-2-4 of the bytes 0, 1, 2, ... n - 1. 15 is the worked example of the paper's appendix
 * A. */
static void test_siphash24_official_vectors_match(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd}, {2, 0x0d6c8009d9a94f5a},  {3, 0x85676696d7fb7e2d},
        {4, 0xcf2794e0277187b7}, {5, 0x18765564cd99a68d}, {6, 0xcbc9466e58fee3ce},  {7, 0xab0200f58b01d137},
        {8, 0x93f5f5799a932462}, {9, 0x9e0082df0ba9e4b0}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572},
    };
    uint8_t in[64];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    for (size_t i = 0; i < WI_ARRAY_LEN(vectors); i++)
        assert_true(wi_siphash24(paper_key(), in, vectors[i].len) == vectors[i].hash);
}

static void test_siphash_of_two_words_equals_that_of_their_bytes(void **state)
{
    (void)state;
    struct wi_rng r;
    wi_rng_init(&r, 6);
    for (int i = 0; i < 100; i++) {
        uint64_t a = wi_rng_u64(&r), b = wi_rng_u64(&r);
        uint8_t bytes[16];
        wi_put_le64(bytes, a);
        wi_put_le64(bytes + 8, b);
        assert_true(wi_siphash_2u64(paper_key(), a, b) == wi_siphash24(paper_key(), bytes, sizeof bytes));
        assert_true(wi_siphash13_2u64(paper_key(), a, b) == wi_siphash13(paper_key(), bytes, sizeof bytes));
    }
}

static void test_siphash13_depends_on_key_length_and_every_byte(void **state)
{
    (void)state;
    uint8_t in[37] = {0}, other_key[16] = {1};
    uint64_t base = wi_siphash13(paper_key(), in, sizeof in);
    assert_true(base != wi_siphash13(other_key, in, sizeof in));
    assert_true(base != wi_siphash13(paper_key(), in, sizeof in - 1));
    assert_true(base != wi_siphash24(paper_key(), in, sizeof in));
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = 1;
        assert_true(base != wi_siphash13(paper_key(), in, sizeof in));
        in[i] = 0;
    }
}

/* xoshiro256**'s own first outputs, for the state {1, 2, 3, 4}. */
static void test_rng_reference_state_gives_reference_output(void **state)
{
    (void)state;
    struct wi_rng r = {{1, 2, 3, 4}};
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < WI_ARRAY_LEN(want); i++)
        assert_true(wi_rng_u64(&r) == want[i]);
}

static void test_rng_same_seed_repeats_and_another_differs(void **state)
{
    (void)state;
    struct wi_rng a, b, c;
    wi_rng_init(&a, 0);
    wi_rng_init(&b, 0);
    wi_rng_init(&c, 1);
    int same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = wi_rng_u64(&a);
        assert_true(x == wi_rng_u64(&b));
        same += x == wi_rng_u64(&c);
    }
    assert_int_equal(same, 0);
    /* SplitMix64's first output for seed 0: the seeding never changes. */
    wi_rng_init(&a, 0);
    assert_true(a.s[0] == 0xe220a8397b1dcdaf);
}

static void test_rng_below_is_even_and_in_range(void **state)
{
    (void)state;
    struct wi_rng r;
    wi_rng_init(&r, 7);
    int count[6] = {0};
    for (int i = 0; i < 60000; i++)
        count[wi_rng_below(&r, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(count[i], 9600, 10400); /* 4 standard deviations are 365 */
    assert_true(wi_rng_below(&r, 1) == 0);
    /* Half of all 64-bit numbers are refused for this n; without that, low results would come twice as often. */
    uint64_t n = ((uint64_t)1 << 63) + 1, low = 0;
    for (int i = 0; i < 2000; i++) {
        uint64_t x = wi_rng_below(&r, n);
        assert_true(x < n);
        low += x < n / 2;
    }
    assert_in_range(low, 880, 1120);
}

static void owner_random(void *ctx, void *buf, size_t len)
{
    memset(buf, ++*(int *)ctx, len);
}

static void test_secret_with_owner_source_uses_it(void **state)
{
    (void)state;
    int calls = 0;
    struct wi_secret s;
    wi_secret_init(&s, owner_random, &calls, 0);
    assert_int_equal(wi_secret_u32(&s), 0x01010101);
    uint8_t b[3];
    wi_secret_bytes(&s, b, sizeof b);
    assert_memory_equal(b, "\2\2\2", 3);
}

static void test_secret_without_source_repeats_with_the_seed(void **state)
{
    (void)state;
    struct wi_secret a, b, c;
    uint8_t x[29], y[29], z[29];
    wi_secret_init(&a, NULL, NULL, 42);
    wi_secret_init(&b, NULL, NULL, 42);
    wi_secret_init(&c, NULL, NULL, 43);
    wi_secret_bytes(&a, x, sizeof x);
    wi_secret_bytes(&b, y, sizeof y);
    wi_secret_bytes(&c, z, sizeof z);
    assert_memory_equal(x, y, sizeof x);
    assert_memory_not_equal(x, z, sizeof x);
    wi_secret_bytes(&a, y, sizeof y);
    assert_memory_not_equal(x, y, sizeof x);
    uint32_t next = wi_secret_u32(&a);
    wi_secret_bytes(&b, y, sizeof y);
    assert_int_equal(next, wi_secret_u32(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash24_official_vectors_match),
        cmocka_unit_test(test_siphash_of_two_words_equals_that_of_their_bytes),
        cmocka_unit_test(test_siphash13_depends_on_key_length_and_every_byte),
        cmocka_unit_test(test_rng_reference_state_gives_reference_output),
        cmocka_unit_test(test_rng_same_seed_repeats_and_another_differs),
        cmocka_unit_test(test_rng_below_is_even_and_in_range),
        cmocka_unit_test(test_secret_with_owner_source_uses_it),
        cmocka_unit_test(test_secret_without_source_repeats_with_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
