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

/* Every form that runs here; asking the processor takes too long for the innermost loop. */
enum { FORMS_MAX = 4 };

static unsigned forms_here(const struct wi_csum_form *forms[FORMS_MAX])
{
    unsigned n = 0;
    while (n < FORMS_MAX && (forms[n] = wi_csum_form_at(n)))
        n++;
    return n;
}

/* Every form against the loop, at every alignment of a vector and every length; the copy writes its bytes and no other.
 */
static void test_csum_forms_at_every_length_and_alignment_match_naive(void **state)
{
    (void)state;
    enum { LEN_MAX = 2000, ALIGN = 32 };
    const struct wi_csum_form *forms[FORMS_MAX];
    unsigned n = forms_here(forms);
    struct wi_rng r;
    wi_rng_init(&r, 4);
    uint8_t from[LEN_MAX + ALIGN + 1], to[LEN_MAX + 2 * ALIGN];
    fill(&r, from, sizeof from);
    memset(from, 0xff, 200); /* all carries */
    for (size_t off = 0; off < ALIGN; off++) {
        uint32_t plain = 0; /* of from[off, off + len), as of RFC 1071's loop */
        for (size_t len = 0; len <= LEN_MAX; len++) {
            uint16_t want = (uint16_t)~plain;
            for (unsigned i = 0; i < n; i++) {
                assert_int_equal(wi_csum_finish(wi_csum_add_by(forms[i], 0, from + off, len)), want);
                uint8_t *at = to + ALIGN - off;
                at[-1] = at[len] = 0x5a;
                assert_int_equal(wi_csum_finish(wi_csum_copy_by(forms[i], 0, at, from + off, len)), want);
                assert_int_equal(memcmp(at, from + off, len), 0);
                assert_int_equal(at[-1], 0x5a);
                assert_int_equal(at[len], 0x5a);
            }
            plain += len % 2 ? from[off + len] : (uint32_t)from[off + len] << 8;
            plain = (plain & 0xffff) + (plain >> 16);
        }
    }
}

static void test_csum_forms_chained_over_odd_splits_agree(void **state)
{
    (void)state;
    const struct wi_csum_form *forms[FORMS_MAX];
    unsigned n = forms_here(forms);
    struct wi_rng r;
    wi_rng_init(&r, 5);
    uint8_t b[3000], to[sizeof b];
    for (int round = 0; round < 2000; round++) {
        size_t len = wi_rng_below(&r, sizeof b + 1);
        fill(&r, b, len);
        for (unsigned i = 0; i < n; i++) {
            uint64_t sum = 0;
            for (size_t at = 0, len_n; at < len; at += len_n) {
                len_n = wi_min_size(len - at, wi_rng_below(&r, round % 2 ? 67 : 1000));
                sum = len_n % 3 ? wi_csum_add_by(forms[i], sum, b + at, len_n)
                                : wi_csum_copy_by(forms[i], sum, to + at, b + at, len_n);
            }
            assert_int_equal(wi_csum_finish(sum), naive(b, len));
        }
    }
}

static void test_csum_forms_of_ones_in_64k_lose_no_carry(void **state)
{
    (void)state;
    const struct wi_csum_form *forms[FORMS_MAX];
    unsigned n = forms_here(forms);
    size_t len = 65535;
    uint8_t *b = malloc(len);
    memset(b, 0xff, len);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(wi_csum_finish(wi_csum_add_by(forms[i], 0, b, len)), naive(b, len));
        assert_int_equal(wi_csum_fold(wi_csum_add_by(forms[i], 0, b, len - 1)), 0xffff);
    }
    free(b);
}

static void test_csum_best_form_is_the_last_that_runs(void **state)
{
    (void)state;
    const struct wi_csum_form *forms[FORMS_MAX];
    unsigned n = forms_here(forms);
    assert_in_range(n, 1, FORMS_MAX);
    assert_ptr_equal(wi_csum_form_best(), forms[n - 1]);
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

/* Kept sums of two parts give that of the whole, and the whole's without one part the other's. */
static void test_csum_of_parts_joined_and_taken_away_matches_the_bytes(void **state)
{
    (void)state;
    struct wi_rng r;
    wi_rng_init(&r, 6);
    uint8_t b[64];
    for (int round = 0; round < 20000; round++) {
        size_t len = wi_rng_below(&r, sizeof b + 1), at = wi_rng_below(&r, (uint32_t)len + 1);
        fill(&r, b, sizeof b);
        if (round % 5 == 0)
            memset(b, round % 2 ? 0 : 0xff, sizeof b);
        uint64_t whole = wi_csum_add(0, b, len), head = wi_csum_add(0, b, at), tail = wi_csum_add(0, b + at, len - at);
        uint64_t got[][2] = {{wi_csum_join(head, tail), whole},
                             {wi_csum_behind(whole, head), tail},
                             {wi_csum_before(whole, tail), head}};
        for (size_t i = 0; i < WI_ARRAY_LEN(got); i++) {
            assert_int_equal(wi_csum_fold(got[i][0]) % 0xffff, wi_csum_fold(got[i][1]) % 0xffff);
            assert_int_equal(got[i][0] & WI_CSUM_ODD, got[i][1] & WI_CSUM_ODD);
        }
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
        cmocka_unit_test(test_csum_forms_at_every_length_and_alignment_match_naive),
        cmocka_unit_test(test_csum_forms_chained_over_odd_splits_agree),
        cmocka_unit_test(test_csum_forms_of_ones_in_64k_lose_no_carry),
        cmocka_unit_test(test_csum_best_form_is_the_last_that_runs),
        cmocka_unit_test(test_csum_fragments_of_odd_lengths_match_the_whole),
        cmocka_unit_test(test_csum_of_parts_joined_and_taken_away_matches_the_bytes),
        cmocka_unit_test(test_csum_of_ones_in_64k_loses_no_carry),
        cmocka_unit_test(test_csum_data_with_its_checksum_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
