/* ECN and AccECN: what each value of tcp_ecn agrees to, cookies, counters against a model. RFC 3168, RFC 9768. */
#include "unit/tcp/peer.h"

#include "tcp/ecn.h"

#define ALL (WI_TH_AE | WI_TH_CWR | WI_TH_ECE)
#define TWO (WI_TH_CWR | WI_TH_ECE)
#define ECN 8u /* tcpi_options: TCPI_OPT_ECN */

static struct peer p;

static int setup(void **state)
{
    (void)state;
    peer_init(&p, WEIR_AF_INET);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peer_fini(&p);
    return 0;
}

static uint16_t ecn_flags(const struct peer_seg *s)
{
    return s->h.flags & ALL;
}

/* Linux's table, row by row: what our SYN asks for, what our SYN-ACK says to each sort of SYN. Rows: 3168-1 3168-2 */
static void test_ecn_each_value_asks_and_answers_as_linux(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint16_t syn, to_accurate, to_classic;
    } rows[] = {
        {"0", 0, 0, 0},
        {"1", TWO, WI_TH_ECE, WI_TH_ECE},
        {"2", 0, WI_TH_ECE, WI_TH_ECE},
        {"3", ALL, WI_TH_CWR, WI_TH_ECE},
        {"4", TWO, WI_TH_CWR, WI_TH_ECE},
        {"5", 0, WI_TH_CWR, WI_TH_ECE},
    };
    weir_fd l = peer_listen(&p, 100);
    assert_true(l >= 0);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        peer_sysctl(&p, "net.ipv4.tcp_ecn", rows[i].value);
        struct wi_wire_tcp h = peer_syn(1);
        h.src_port = (uint16_t)(1000 + 3 * i);
        h.flags |= ALL;
        peer_send(&p, &h, NULL);
        assert_int_equal(ecn_flags(peer_next(&p)), rows[i].to_accurate);
        h.src_port++;
        h.flags = WI_TH_SYN | TWO;
        peer_send(&p, &h, NULL);
        assert_int_equal(ecn_flags(peer_next(&p)), rows[i].to_classic);
        h.src_port++;
        h.flags = WI_TH_SYN;
        peer_send(&p, &h, NULL);
        assert_int_equal(ecn_flags(peer_next(&p)), 0);

        weir_fd fd = weir_socket(p.stack, p.family, WEIR_SOCK_STREAM, 0);
        struct weir_sockaddr to = {.addr = p.addr, .family = WEIR_AF_INET, .port = (uint16_t)(5000 + i)};
        assert_int_equal(weir_connect(p.stack, fd, &to), -WEIR_EINPROGRESS);
        assert_int_equal(ecn_flags(peer_next(&p)), rows[i].syn);
        weir_close(p.stack, fd);
        while (peer_next(&p))
            ;
    }
}

/* ---- Cookies ---- */

/* The answer to a cookie. */
static weir_fd answer(weir_fd listener, const struct peer_seg *synack, uint16_t flags)
{
    struct wi_wire_tcp h = peer_hdr(WI_TH_ACK | flags, 101, synack->h.seq.v + 1);
    h.has_ts = synack->h.has_ts;
    h.tsval = 9001;
    h.tsecr = synack->h.tsval;
    peer_send(&p, &h, NULL);
    return weir_accept(p.stack, listener, NULL);
}

static const struct peer_seg *ask(uint16_t flags, bool has_ts)
{
    struct wi_wire_tcp h = peer_syn(100);
    h.flags |= flags;
    h.has_ts = has_ts;
    h.tsval = 9000;
    peer_send(&p, &h, NULL);
    return peer_next(&p);
}

static void test_cookie_keeps_classic_ecn_in_the_timestamp(void **state)
{
    (void)state;
    peer_sysctl(&p, "net.ipv4.tcp_syncookies", "2");
    weir_fd l = peer_listen(&p, 8);
    for (unsigned asked = 0; asked < 2; asked++) {
        struct peer_seg s = *ask(asked ? TWO : 0, true);
        assert_int_equal(ecn_flags(&s), asked ? WI_TH_ECE : 0);
        weir_fd fd = answer(l, &s, 0);
        assert_int_equal((peer_info(&p, fd).options & ECN) != 0, asked);
        weir_close(p.stack, fd);
        struct wi_wire_tcp rst = peer_hdr(WI_TH_RST, 101, 0);
        peer_send(&p, &rst, NULL);
        while (peer_next(&p))
            ;
    }
}

/* Without a timestamp there is no place to keep it: not agreed to. */
static void test_cookie_without_timestamp_has_no_classic_ecn(void **state)
{
    (void)state;
    peer_sysctl(&p, "net.ipv4.tcp_syncookies", "2");
    weir_fd l = peer_listen(&p, 8);
    struct peer_seg s = *ask(TWO, false);
    assert_int_equal(ecn_flags(&s), 0);
    assert_false(peer_info(&p, answer(l, &s, 0)).options & ECN);
}

/* RFC 9768 5.1: AccECN shows itself in the answer, timestamp or none. */
static void test_cookie_knows_accecn_by_the_answer(void **state)
{
    (void)state;
    peer_sysctl(&p, "net.ipv4.tcp_syncookies", "2");
    peer_sysctl(&p, "net.ipv4.tcp_ecn", "3");
    weir_fd l = peer_listen(&p, 8);
    for (unsigned has_ts = 0; has_ts < 2; has_ts++) {
        struct peer_seg s = *ask(ALL, has_ts);
        assert_int_equal(ecn_flags(&s), WI_TH_CWR);
        weir_fd fd = answer(l, &s, WI_TH_CWR);
        assert_true(peer_info(&p, fd).options & ECN);
        assert_int_equal(weir_send(p.stack, fd, "x", 1, 0), 1);
        assert_int_equal(ecn_flags(peer_next(&p)), WI_TH_AE | WI_TH_ECE); /* the counter, at 5 */
        weir_close(p.stack, fd);
        struct wi_wire_tcp rst = peer_hdr(WI_TH_RST, 101, 0);
        peer_send(&p, &rst, NULL);
        while (peer_next(&p))
            ;
    }
}

/* ---- Fields and codes ---- */

static void test_field_codes_are_each_others_inverse(void **state)
{
    (void)state;
    for (unsigned field = 0; field < 4; field++) {
        assert_int_equal(wi_tcp_accecn_field_of(wi_tcp_accecn_ace_of(field)), field);
        assert_int_equal(wi_tcp_ace(wi_tcp_ace_flags(wi_tcp_accecn_ace_of(field))), wi_tcp_accecn_ace_of(field));
    }
}

/* RFC 9768 3.2.2.3: Not-ECT stays so and nothing becomes it; a mark is never taken back; ECT may be marked, or turn
 * into the other ECT. */
static void test_field_transitions_that_no_honest_path_makes(void **state)
{
    (void)state;
    static const bool is_valid[4][4] = {
        [WI_ECN_NOT_ECT] = {[WI_ECN_NOT_ECT] = true},
        [WI_ECN_ECT0] = {[WI_ECN_ECT0] = true, [WI_ECN_ECT1] = true, [WI_ECN_CE] = true},
        [WI_ECN_ECT1] = {[WI_ECN_ECT0] = true, [WI_ECN_ECT1] = true, [WI_ECN_CE] = true},
        [WI_ECN_CE] = {[WI_ECN_CE] = true},
    };
    for (unsigned sent = 0; sent < 4; sent++)
        for (unsigned came = 0; came < 4; came++)
            assert_int_equal(wi_tcp_accecn_is_valid(sent, came), is_valid[sent][came]);
}

static void test_option_zeroed_or_empty_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        uint8_t n;
        uint32_t v[3];
        enum wi_tcp_ecn_opt is;
    } rows[] = {
        {0, {0, 0, 0}, WI_TCP_ECN_OPT_EMPTY},    {1, {1, 0, 0}, WI_TCP_ECN_OPT_COUNTERS},
        {1, {0, 0, 0}, WI_TCP_ECN_OPT_BROKEN},   {2, {1, 0, 0}, WI_TCP_ECN_OPT_COUNTERS},
        {3, {1, 0, 1}, WI_TCP_ECN_OPT_COUNTERS}, {3, {1, 0, 0}, WI_TCP_ECN_OPT_BROKEN},
        {3, {0, 0, 1}, WI_TCP_ECN_OPT_BROKEN},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wi_wire_tcp h = {.accecn_kind = WI_TCPOPT_ACCECN1, .accecn_n = rows[i].n};
        memcpy(h.accecn, rows[i].v, sizeof h.accecn);
        assert_int_equal(wi_tcp_accecn_look(&h), rows[i].is);
    }
}

/* Whatever other options there are, what is said to fit does, and one counter more does not. */
static void test_option_fits_exactly(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 64; bits++) {
        for (unsigned sacks = 0; sacks <= 4; sacks++) {
            struct wi_wire_tcp h = {.mss = bits & 1 ? 1460 : 0,
                                    .has_ts = bits & 2,
                                    .sack_ok = bits & 4,
                                    .has_wscale = bits & 8,
                                    .has_fo = bits & 16,
                                    .fo_len = bits & 32 ? 16 : 8,
                                    .sack_n = (uint8_t)sacks};
            if (wi_wire_tcp_hdr_len(&h) > WI_TCP_HDR_MAX)
                continue;
            int n = wi_tcp_accecn_fit(&h, 0);
            h.accecn_kind = WI_TCPOPT_ACCECN1;
            h.accecn_n = (uint8_t)(n < 0 ? 0 : n);
            size_t len = wi_wire_tcp_hdr_len(&h);
            assert_int_equal(len <= WI_TCP_HDR_MAX, n >= 0);
            h.accecn_n++;
            assert_true(n < 0 || n == 3 || wi_wire_tcp_hdr_len(&h) > WI_TCP_HDR_MAX);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ecn_each_value_asks_and_answers_as_linux, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cookie_keeps_classic_ecn_in_the_timestamp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cookie_without_timestamp_has_no_classic_ecn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cookie_knows_accecn_by_the_answer, setup, teardown),
        cmocka_unit_test(test_field_codes_are_each_others_inverse),
        cmocka_unit_test(test_field_transitions_that_no_honest_path_makes),
        cmocka_unit_test(test_option_zeroed_or_empty_is_told_apart),
        cmocka_unit_test(test_option_fits_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
