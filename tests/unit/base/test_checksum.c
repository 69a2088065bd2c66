/* The Internet checksum against a loop over single words, RFC 1071 and RFC 1624. */
#include "heap.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/random.h"

static uint16_t naive(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void fill(struct wi_rng *r, uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)wi_rng_u32(r);
}

/* The example of RFC 1071 section 3. */
static void test_csum_rfc1071_example_gives_its_sum(void **state)
{
    (void)state;
    const uint8_t b[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(wi_csum_fold(wi_csum_add(0, b, sizeof b)), 0xddf2);
    assert_int_equal(wi_csum_finish(wi_csum_add(0, b, sizeof b)), 0x220d);
}

static void test_csum_every_length_and_alignment_matches_naive(void **state)
{
    (void)state;
    struct wi_rng r;
    wi_rng_init(&r, 1);
    uint8_t b[320];
    fill(&r, b, sizeof b);
    for (size_t off = 0; off < 9; off++) {
        for (size_t len = 0; off + len <= sizeof b; len++)
            assert_int_equal(wi_csum_finish(wi_csum_add(0, b + off, len)), naive(b + off, len));
    }
}

static void test_csum_fragments_of_odd_lengths_match_the_whole(void **state)
{
    (void)state;
    struct wi_rng r;
    wi_rng_init(&r, 2);
    uint8_t b[1500];
    for (int round = 0; round < 3000; round++) {
        size_t len = wi_rng_below(&r, sizeof b + 1);
        size_t cut_max = round % 2 ? 7 : 700;
        fill(&r, b, len);
        uint64_t sum = 0;
        for (size_t at = 0, n; at < len; at += n) {
            n = wi_min_size(len - at, wi_rng_below(&r, cut_max));
            sum = wi_csum_add(sum, b + at, n);
        }
        assert_int_equal(wi_csum_finish(sum), naive(b, len));
    }
}

static void test_csum_of_ones_in_64k_loses_no_carry(void **state)
{
    (void)state;
    size_t len = 65535;
    uint8_t *b = malloc(len);
    memset(b, 0xff, len);
    assert_int_equal(wi_csum_finish(wi_csum_add(0, b, len)), naive(b, len));
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++)
        sum = wi_csum_add(sum, b, len - 1);
    assert_int_equal(wi_csum_fold(sum), 0xffff);
    free(b);
}

static void test_csum_data_with_its_checksum_verifies(void **state)
{
    (void)state;
    struct wi_rng r;
    wi_rng_init(&r, 3);
    uint8_t b[60];
    fill(&r, b, sizeof b);
    wi_put16(b + 10, 0);
    uint64_t pseudo = wi_csum_add16(wi_csum_add32(0, 0xc0a80001), 6);
    wi_put16(b + 10, wi_csum_finish(wi_csum_add(pseudo, b, sizeof b)));
    assert_int_equal(wi_csum_finish(wi_csum_add(pseudo, b, sizeof b)), 0);
    b[3] ^= 0x10;
    assert_int_not_equal(wi_csum_finish(wi_csum_add(pseudo, b, sizeof b)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csum_rfc1071_example_gives_its_sum),
        cmocka_unit_test(test_csum_every_length_and_alignment_matches_naive),
        cmocka_unit_test(test_csum_fragments_of_odd_lengths_match_the_whole),
        cmocka_unit_test(test_csum_of_ones_in_64k_loses_no_carry),
        cmocka_unit_test(test_csum_data_with_its_checksum_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
