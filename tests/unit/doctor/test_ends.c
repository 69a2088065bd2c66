/*
 * Verdicts about beginnings and ends.
 */
#include "rig.h"

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 1}, mac_b[6] = {2, 0, 0, 0, 0, 2};

#define TEST(name) static void name(void **state)
#define BEGIN                                                                                                          \
    (void)state;                                                                                                       \
    static struct rig rig;                                                                                             \
    struct rig *r = &rig;                                                                                              \
    rig_init(r)
#define END rig_free(r)

TEST(test_refused_by_reset)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    SEND(r, .from = SERVER, .flags = RST | ACK, .ack = 1);
    rig_says(r, WDC_REFUSED, WDC_SERVER, WDC_CERTAIN);
    assert_int_equal(rig_finding(r, 0, WDC_REFUSED)->frames[1], 2);
    assert_int_equal(r->results[0].finding_n, 1);
    END;
}

TEST(test_refused_by_icmp_port_unreachable)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_icmp(r, 3, 3, 0);
    rig_says(r, WDC_REFUSED, WDC_SERVER, WDC_CERTAIN);
    END;
}

TEST(test_unanswered_and_prohibited_is_filtered)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_icmp(r, 3, 13, 0);
    rig_says(r, WDC_NO_ANSWER_FILTERED, WDC_PATH, WDC_CERTAIN);
    END;
}

TEST(test_unanswered_by_a_host_that_speaks_is_filtered)
{
    BEGIN;
    uint8_t udp[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1};
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_wait(r, WEIR_SEC(1));
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_frame(r, 101, udp, sizeof udp);
    rig_says(r, WDC_NO_ANSWER_FILTERED, WDC_PATH, WDC_LIKELY);
    END;
}

TEST(test_unanswered_with_host_unreachable_is_dead)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_icmp(r, 3, 1, 0);
    rig_says(r, WDC_NO_ANSWER_DEAD, WDC_SERVER, WDC_CERTAIN);
    END;
}

TEST(test_unanswered_arp_beside_a_syn_is_dead_and_told_once)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    for (int i = 0; i < 3; i++)
        rig_arp(r, 1, mac_a, 1, 2);
    rig_says(r, WDC_NO_ANSWER_DEAD, WDC_SERVER, WDC_LIKELY);
    assert_int_equal(r->result_n, 1);
    END;
}

TEST(test_unanswered_arp_alone_is_a_finding_of_the_network)
{
    BEGIN;
    for (int i = 0; i < 3; i++)
        rig_arp(r, 1, mac_a, 1, 2);
    rig_says(r, WDC_NO_ANSWER_DEAD, WDC_PATH, WDC_LIKELY);
    assert_true(r->results[0].is_network);
    END;
}

TEST(test_answered_arp_is_nothing)
{
    BEGIN;
    for (int i = 0; i < 3; i++)
        rig_arp(r, 1, mac_a, 1, 2);
    rig_arp(r, 2, mac_b, 2, 1);
    rig_finish(r);
    assert_int_equal(r->result_n, 0);
    END;
}

TEST(test_address_that_changes_hands_is_a_conflict)
{
    BEGIN;
    rig_arp(r, 2, mac_a, 9, 1);
    rig_arp(r, 2, mac_b, 9, 1);
    rig_arp(r, 2, mac_a, 9, 1);
    rig_says(r, WDC_IP_CONFLICT, WDC_PATH, WDC_CERTAIN);
    END;
}

TEST(test_unanswered_syns_without_a_hint)
{
    BEGIN;
    for (int i = 0; i < 4; i++, rig_wait(r, WEIR_SEC(1)))
        SEND(r, .from = CLIENT, .flags = SYN);
    rig_says(r, WDC_NO_ANSWER, WDC_PATH, WDC_CERTAIN);
    assert_int_equal(rig_finding(r, 0, WDC_NO_ANSWER)->frame_n, 4);
    END;
}

TEST(test_syn_answered_at_the_second_try)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_wait(r, WEIR_SEC(1));
    rig_handshake(r, WEIR_MS(20), 0);
    rig_says(r, WDC_SYN_RETRIES, WDC_PATH, WDC_CERTAIN);
    END;
}

TEST(test_syn_answered_at_the_second_try_near_the_server_is_its_backlog)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_wait(r, WEIR_SEC(1));
    rig_handshake(r, 1000, WEIR_MS(40));
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 1, .ack = 1, .len = 10);
    SEND(r, .from = SERVER, .flags = ACK, .seq = 1, .ack = 11);
    rig_says(r, WDC_BACKLOG_OVERFLOW, WDC_SERVER, WDC_LIKELY);
    END;
}

TEST(test_syn_ack_again_behind_the_handshake_is_a_full_accept_queue)
{
    BEGIN;
    rig_handshake(r, WEIR_MS(20), 0);
    rig_wait(r, WEIR_SEC(1));
    SEND(r, .from = SERVER, .flags = SYN | ACK, .ack = 1, .wscale = 8);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 1, .ack = 1);
    rig_says(r, WDC_BACKLOG_OVERFLOW, WDC_SERVER, WDC_LIKELY);
    END;
}

TEST(test_reset_upon_the_last_step_of_the_handshake_is_the_backlog)
{
    BEGIN;
    rig_handshake(r, WEIR_MS(20), 0);
    rig_wait(r, WEIR_MS(20));
    SEND(r, .from = SERVER, .flags = RST, .seq = 1);
    rig_says(r, WDC_RESET_BACKLOG, WDC_SERVER, WDC_LIKELY);
    END;
}

static void exchange(struct rig *r)
{
    rig_handshake(r, WEIR_MS(20), 0);
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 1, .ack = 1, .len = 100);
    rig_wait(r, WEIR_MS(20));
    SEND(r, .from = SERVER, .flags = ACK | PSH, .seq = 1, .ack = 101, .len = 100);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 101, .ack = 101);
    rig_wait(r, WEIR_MS(5));
}

static void close_client(struct rig *r)
{
    SEND(r, .from = CLIENT, .flags = FIN | ACK, .seq = 101, .ack = 101);
    rig_wait(r, WEIR_MS(20));
}

TEST(test_closed_by_both)
{
    BEGIN;
    exchange(r);
    close_client(r);
    SEND(r, .from = SERVER, .flags = FIN | ACK, .seq = 101, .ack = 102);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 102, .ack = 102);
    rig_says(r, WDC_CLOSED, WDC_CLIENT, WDC_CERTAIN);
    assert_int_equal(r->results[0].bytes[CLIENT], 100);
    assert_int_equal(r->results[0].bytes[SERVER], 100);
    assert_true(wdc_result_is_healthy(&r->results[0]));
    assert_string_equal(r->results[0].vantage, "client");
    END;
}

TEST(test_never_closed_by_the_server)
{
    BEGIN;
    exchange(r);
    close_client(r);
    SEND(r, .from = SERVER, .flags = ACK, .seq = 101, .ack = 102);
    rig_says(r, WDC_NEVER_CLOSED, WDC_SERVER, WDC_CERTAIN);
    END;
}

TEST(test_open_at_the_end)
{
    BEGIN;
    exchange(r);
    rig_says(r, WDC_OPEN, WDC_PATH, WDC_CERTAIN);
    END;
}

TEST(test_one_direction_alone_is_not_unanswered)
{
    BEGIN;
    r->only = CLIENT;
    exchange(r);
    close_client(r);
    rig_says(r, WDC_CLOSED, WDC_CLIENT, WDC_POSSIBLE);
    rig_denies(r, WDC_NO_ANSWER);
    rig_denies(r, WDC_CAPTURE_LOSS);
    assert_int_equal(r->results[0].bytes[CLIENT], 100);
    END;
}

TEST(test_reset_of_data_behind_a_fin_is_a_closed_socket)
{
    BEGIN;
    exchange(r);
    close_client(r);
    SEND(r, .from = SERVER, .flags = ACK | PSH, .seq = 101, .ack = 102, .len = 50);
    SEND(r, .from = CLIENT, .flags = RST, .seq = 102);
    rig_says(r, WDC_RESET_CLOSED_SOCKET, WDC_CLIENT, WDC_CERTAIN);
    END;
}

TEST(test_bare_reset_of_data_is_half_open)
{
    BEGIN;
    exchange(r);
    rig_wait(r, WEIR_SEC(9));
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 101, .ack = 101, .len = 50);
    rig_wait(r, WEIR_MS(20));
    SEND(r, .from = SERVER, .flags = RST, .seq = 101);
    rig_says(r, WDC_RESET_HALF_OPEN, WDC_SERVER, WDC_LIKELY);
    END;
}

TEST(test_bare_reset_behind_long_silence_is_a_nat)
{
    BEGIN;
    exchange(r);
    rig_wait(r, WEIR_SEC(400));
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 101, .ack = 101, .len = 50);
    rig_wait(r, WEIR_MS(2));
    SEND(r, .from = SERVER, .flags = RST, .seq = 101, .ttl = 255);
    rig_says(r, WDC_RESET_IDLE_NAT, WDC_SERVER, WDC_CERTAIN);
    END;
}

TEST(test_reset_with_data_unanswered_is_unread)
{
    BEGIN;
    exchange(r);
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 101, .ack = 101, .len = 50);
    rig_wait(r, WEIR_MS(20));
    SEND(r, .from = SERVER, .flags = RST | ACK, .seq = 101, .ack = 151);
    rig_says(r, WDC_RESET_UNREAD, WDC_SERVER, WDC_LIKELY);
    END;
}

TEST(test_reset_by_whoever_spoke_last_is_an_abort)
{
    BEGIN;
    exchange(r);
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 101, .ack = 101, .len = 50);
    rig_wait(r, WEIR_MS(1));
    SEND(r, .from = CLIENT, .flags = RST | ACK, .seq = 151, .ack = 101);
    rig_says(r, WDC_RESET_ABORT, WDC_CLIENT, WDC_LIKELY);
    END;
}

TEST(test_probes_unanswered_and_reset_is_a_keepalive_death)
{
    BEGIN;
    exchange(r);
    for (int i = 0; i < 4; i++) {
        rig_wait(r, WEIR_SEC(75));
        SEND(r, .from = CLIENT, .flags = ACK, .seq = 100, .ack = 101);
    }
    rig_wait(r, WEIR_SEC(75));
    SEND(r, .from = CLIENT, .flags = RST | ACK, .seq = 101, .ack = 101);
    rig_says(r, WDC_KEEPALIVE_DEATH, WDC_SERVER, WDC_CERTAIN);
    rig_denies(r, WDC_SPURIOUS_RETRANSMISSION);
    END;
}

TEST(test_probes_that_are_answered_are_nothing)
{
    BEGIN;
    exchange(r);
    for (int i = 0; i < 4; i++) {
        rig_wait(r, WEIR_SEC(75));
        SEND(r, .from = CLIENT, .flags = ACK, .seq = 100, .ack = 101);
        rig_wait(r, WEIR_MS(20));
        SEND(r, .from = SERVER, .flags = ACK, .seq = 101, .ack = 101);
    }
    rig_says(r, WDC_OPEN, WDC_PATH, WDC_CERTAIN);
    rig_denies(r, WDC_KEEPALIVE_DEATH);
    END;
}

TEST(test_same_ends_anew_are_another_connection)
{
    BEGIN;
    exchange(r);
    close_client(r);
    SEND(r, .from = SERVER, .flags = FIN | ACK, .seq = 101, .ack = 102);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 102, .ack = 102);
    rig_wait(r, WEIR_SEC(30));
    r->iss[CLIENT] += 1000000;
    r->iss[SERVER] += 1000000;
    rig_handshake(r, WEIR_MS(20), 0);
    rig_finish(r);
    assert_int_equal(r->result_n, 2);
    assert_null(rig_finding(r, 0, WDC_PORT_REUSE));
    assert_non_null(rig_finding(r, 1, WDC_PORT_REUSE));
    END;
}

/* The server still has the client's old connection: it answers the SYN with an ACK of that one. */
TEST(test_syn_answered_with_old_numbers_is_half_open)
{
    BEGIN;
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_wait(r, WEIR_MS(20));
    SEND(r, .from = SERVER, .flags = ACK, .seq = 5000, .ack = 77777);
    SEND(r, .from = CLIENT, .flags = RST, .seq = 77777);
    rig_says(r, WDC_RESET_HALF_OPEN, WDC_CLIENT, WDC_CERTAIN);
    END;
}

TEST(test_connections_beyond_the_limit_are_told_early)
{
    (void)state;
    static struct rig rig;
    struct rig *r = &rig;
    rig_init_config(r, &(struct wdc_config){.conns_max = 2});
    for (int i = 0; i < 5; i++) {
        r->client_port++;
        SEND(r, .from = CLIENT, .flags = SYN);
    }
    assert_int_equal(r->result_n, 3);
    assert_int_equal(r->results[0].client.port, 40001);
    assert_int_equal(wdc_counts(r->doc)->evicted, 3);
    rig_finish(r);
    assert_int_equal(r->result_n, 5);
    END;
}

TEST(test_packets_of_a_second_interface_are_not_seen_twice)
{
    BEGIN;
    static const struct seg segs[] = {
        {.from = CLIENT, .flags = SYN},
        {.from = SERVER, .flags = SYN | ACK, .ack = 1},
        {.from = CLIENT, .flags = ACK | PSH, .seq = 1, .ack = 1, .len = 100},
        {.from = SERVER, .flags = ACK, .seq = 1, .ack = 101},
    };
    for (unsigned i = 0; i < 4; i++) {
        bool is_up = segs[i].from == CLIENT;
        r->interface = !is_up;
        rig_send(r, &segs[i]);
        rig_wait(r, WEIR_MS(20));
        r->interface = is_up;
        rig_send(r, &segs[i]);
    }
    rig_says(r, WDC_OPEN, WDC_PATH, WDC_CERTAIN);
    assert_int_equal(wdc_counts(r->doc)->other_interface, 4);
    assert_int_equal(r->results[0].finding_n, 1);
    END;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_by_reset),
        cmocka_unit_test(test_refused_by_icmp_port_unreachable),
        cmocka_unit_test(test_unanswered_and_prohibited_is_filtered),
        cmocka_unit_test(test_unanswered_by_a_host_that_speaks_is_filtered),
        cmocka_unit_test(test_unanswered_with_host_unreachable_is_dead),
        cmocka_unit_test(test_unanswered_arp_beside_a_syn_is_dead_and_told_once),
        cmocka_unit_test(test_unanswered_arp_alone_is_a_finding_of_the_network),
        cmocka_unit_test(test_answered_arp_is_nothing),
        cmocka_unit_test(test_address_that_changes_hands_is_a_conflict),
        cmocka_unit_test(test_unanswered_syns_without_a_hint),
        cmocka_unit_test(test_syn_answered_at_the_second_try),
        cmocka_unit_test(test_syn_answered_at_the_second_try_near_the_server_is_its_backlog),
        cmocka_unit_test(test_syn_ack_again_behind_the_handshake_is_a_full_accept_queue),
        cmocka_unit_test(test_reset_upon_the_last_step_of_the_handshake_is_the_backlog),
        cmocka_unit_test(test_closed_by_both),
        cmocka_unit_test(test_never_closed_by_the_server),
        cmocka_unit_test(test_open_at_the_end),
        cmocka_unit_test(test_one_direction_alone_is_not_unanswered),
        cmocka_unit_test(test_reset_of_data_behind_a_fin_is_a_closed_socket),
        cmocka_unit_test(test_bare_reset_of_data_is_half_open),
        cmocka_unit_test(test_bare_reset_behind_long_silence_is_a_nat),
        cmocka_unit_test(test_reset_with_data_unanswered_is_unread),
        cmocka_unit_test(test_reset_by_whoever_spoke_last_is_an_abort),
        cmocka_unit_test(test_probes_unanswered_and_reset_is_a_keepalive_death),
        cmocka_unit_test(test_probes_that_are_answered_are_nothing),
        cmocka_unit_test(test_same_ends_anew_are_another_connection),
        cmocka_unit_test(test_syn_answered_with_old_numbers_is_half_open),
        cmocka_unit_test(test_connections_beyond_the_limit_are_told_early),
        cmocka_unit_test(test_packets_of_a_second_interface_are_not_seen_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
