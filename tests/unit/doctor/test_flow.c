/*
 * Verdicts about what happens within a connection: loss, waiting, what held a sender up, what the path did.
 */
#include "rig.h"

#include <string.h>

#define TEST(name) static void name(void **state)
#define BEGIN                                                                                                          \
    (void)state;                                                                                                       \
    static struct rig rig;                                                                                             \
    struct rig *r = &rig;                                                                                              \
    rig_init(r)
#define END rig_free(r)

#define TRIP WEIR_MS(40)

/* The client sends `n` full segments from number `seq` on, a tenth of a millisecond apart. */
static uint32_t burst(struct rig *r, uint32_t seq, unsigned n)
{
    for (unsigned i = 0; i < n; i++, seq += MSS, rig_wait(r, WEIR_US(100)))
        SEND(r, .from = CLIENT, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
    return seq;
}

static void ack(struct rig *r, uint32_t ack)
{
    SEND(r, .from = SERVER, .flags = ACK, .seq = 1, .ack = ack);
}

static void sack(struct rig *r, uint32_t ack, uint32_t lo, uint32_t hi)
{
    SEND(r, .from = SERVER, .flags = ACK, .seq = 1, .ack = ack, .sack = {lo, hi}, .sack_n = 1);
}

static void again(struct rig *r, uint32_t seq)
{
    SEND(r, .from = CLIENT, .flags = ACK, .seq = seq, .ack = 1, .len = MSS);
}

TEST(test_segment_seen_twice_was_lost_behind_the_capture)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    uint32_t end = burst(r, 1, 5);
    rig_wait(r, TRIP);
    ack(r, 2001);
    for (uint32_t i = 1; i <= 2; i++)
        sack(r, 2001, 3001, 3001 + i * MSS);
    again(r, 2001);
    rig_wait(r, TRIP);
    ack(r, end);
    rig_says(r, WDC_PATH_LOSS, WDC_PATH, WDC_LIKELY);
    assert_int_equal(rig_finding(r, 0, WDC_PATH_LOSS)->frames[0], 12);
    rig_denies(r, WDC_SPURIOUS_RETRANSMISSION);
    rig_denies(r, WDC_RTO);
    rig_denies(r, WDC_REORDERING);
    END;
}

/* Near the receiver: the third of five is missing, and comes a round trip later. */
TEST(test_hole_that_fills_after_a_round_trip_was_lost_before_the_capture)
{
    BEGIN;
    rig_handshake(r, 1000, TRIP);
    burst(r, 1, 2);
    ack(r, 2001);
    uint32_t end = burst(r, 3001, 2);
    sack(r, 2001, 3001, end);
    rig_wait(r, TRIP);
    again(r, 2001);
    ack(r, end);
    rig_says(r, WDC_PATH_LOSS, WDC_PATH, WDC_CERTAIN);
    rig_denies(r, WDC_CAPTURE_LOSS);
    assert_string_equal(r->results[0].vantage, "server");
    END;
}

TEST(test_hole_that_fills_at_once_is_reordering)
{
    BEGIN;
    rig_handshake(r, 1000, TRIP);
    burst(r, 1, 2);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 3001, .ack = 1, .len = MSS, .id = 500);
    rig_wait(r, WEIR_MS(1));
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 2001, .ack = 1, .len = MSS, .id = 499);
    ack(r, 4001);
    rig_says(r, WDC_REORDERING, WDC_PATH, WDC_LIKELY);
    rig_denies(r, WDC_PATH_LOSS);
    END;
}

/* Timestamps tell it however late it comes. */
TEST(test_hole_that_fills_with_an_old_timestamp_is_reordering)
{
    BEGIN;
    rig_handshake(r, 1000, TRIP);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 1, .ack = 1, .len = MSS, .ts = 100);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 2001, .ack = 1, .len = MSS, .ts = 102);
    rig_wait(r, WEIR_MS(90));
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 1001, .ack = 1, .len = MSS, .ts = 101);
    ack(r, 3001);
    rig_says(r, WDC_REORDERING, WDC_PATH, WDC_LIKELY);
    rig_denies(r, WDC_PATH_LOSS);
    END;
}

TEST(test_duplicate_sack_tells_a_needless_retransmission)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    uint32_t end = burst(r, 1, 3);
    rig_wait(r, WEIR_MS(300));
    again(r, 1);
    rig_wait(r, WEIR_MS(30));
    ack(r, end);
    rig_wait(r, WEIR_MS(1));
    sack(r, end, 1, 1001);
    rig_says(r, WDC_SPURIOUS_RETRANSMISSION, WDC_CLIENT, WDC_LIKELY);
    rig_denies(r, WDC_PATH_LOSS);
    END;
}

TEST(test_retransmission_of_what_was_acknowledged_is_needless)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    burst(r, 1, 1);
    rig_wait(r, TRIP);
    ack(r, 1001);
    rig_wait(r, WEIR_MS(250));
    again(r, 1);
    rig_says(r, WDC_SPURIOUS_RETRANSMISSION, WDC_CLIENT, WDC_LIKELY);
    rig_denies(r, WDC_PATH_LOSS);
    END;
}

TEST(test_the_same_packet_twice_is_a_copy)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    for (int i = 0; i < 2; i++, rig_wait(r, WEIR_US(300)))
        SEND(r, .from = CLIENT, .flags = ACK, .seq = 1, .ack = 1, .len = MSS, .id = 77);
    rig_finish(r);
    assert_int_equal(wdc_counts(r->doc)->copies, 1);
    rig_denies(r, WDC_PATH_LOSS);
    rig_denies(r, WDC_SPURIOUS_RETRANSMISSION);
    END;
}

TEST(test_ack_for_what_was_never_seen_is_the_captures_loss)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    burst(r, 1, 2);
    burst(r, 4001, 1);
    rig_wait(r, TRIP);
    ack(r, 5001);
    rig_wait(r, WEIR_SEC(1));
    burst(r, 5001, 1);
    rig_says(r, WDC_CAPTURE_LOSS, WDC_PATH, WDC_CERTAIN);
    rig_denies(r, WDC_PATH_LOSS);
    END;
}

TEST(test_last_segment_repaired_by_a_timer_is_tail_loss)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    uint32_t end = burst(r, 1, 2);
    rig_wait(r, TRIP);
    ack(r, 1001);
    rig_wait(r, WEIR_MS(300));
    again(r, 1001);
    rig_wait(r, TRIP);
    ack(r, end);
    rig_says(r, WDC_TAIL_LOSS, WDC_PATH, WDC_CERTAIN);
    rig_denies(r, WDC_RTO);
    END;
}

TEST(test_flight_repaired_by_a_timer_is_a_timeout)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    uint32_t end = burst(r, 1, 10);
    rig_wait(r, WEIR_MS(300));
    again(r, 1);
    rig_wait(r, WEIR_MS(600));
    again(r, 1);
    rig_wait(r, TRIP);
    ack(r, end);
    rig_says(r, WDC_RTO, WDC_PATH, WDC_CERTAIN);
    assert_int_equal(rig_finding(r, 0, WDC_RTO)->frame_n, 2);
    END;
}

TEST(test_timeouts_that_nobody_answers_are_no_loss)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 1, .ack = 1, .len = 100);
    for (int i = 0; i < 4; i++) {
        rig_wait(r, WEIR_MS(300) << i);
        SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 1, .ack = 1, .len = 100);
    }
    rig_says(r, WDC_RTO, WDC_PATH, WDC_CERTAIN);
    rig_denies(r, WDC_PATH_LOSS);
    rig_denies(r, WDC_TAIL_LOSS);
    rig_denies(r, WDC_MTU_BLACK_HOLE);
    END;
}

/* 1,400 bytes are lost whenever they are sent; 600 get through. */
static void lose_long_ones(struct rig *r)
{
    rig_handshake(r, TRIP, 0);
    SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = 1, .ack = 1, .len = 600);
    rig_wait(r, TRIP);
    ack(r, 601);
    for (int i = 0; i < 5; i++) {
        SEND(r, .from = CLIENT, .flags = ACK, .seq = 601, .ack = 1, .len = 1400);
        rig_wait(r, WEIR_MS(300) << i);
    }
}

TEST(test_long_segments_lost_again_and_again_are_a_black_hole)
{
    BEGIN;
    lose_long_ones(r);
    rig_says(r, WDC_MTU_BLACK_HOLE, WDC_PATH, WDC_LIKELY);
    rig_denies(r, WDC_RTO);
    END;
}

TEST(test_long_segment_that_gets_through_at_last_is_no_black_hole)
{
    BEGIN;
    lose_long_ones(r);
    ack(r, 2001);
    rig_finish(r);
    rig_denies(r, WDC_MTU_BLACK_HOLE);
    END;
}

TEST(test_too_big_and_said_so)
{
    BEGIN;
    lose_long_ones(r);
    rig_icmp(r, 3, 4, 1280);
    rig_says(r, WDC_MTU_BLACK_HOLE, WDC_PATH, WDC_CERTAIN);
    END;
}

TEST(test_closed_window_is_told_with_its_time)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    uint32_t end = burst(r, 1, 4);
    rig_wait(r, TRIP);
    SEND(r, .from = SERVER, .flags = ACK, .seq = 1, .ack = end, .is_zero = true);
    rig_wait(r, WEIR_SEC(2));
    SEND(r, .from = CLIENT, .flags = ACK, .seq = end - 1, .ack = 1); /* a probe */
    ack(r, end);
    burst(r, end, 20);
    rig_says(r, WDC_ZERO_WINDOW, WDC_SERVER, WDC_CERTAIN);
    rig_denies(r, WDC_SPURIOUS_RETRANSMISSION);
    assert_true(r->results[0].shares[CLIENT][WDC_BY_RECEIVER] > 90);
    rig_says(r, WDC_LIMIT_RECEIVER, WDC_CLIENT, WDC_CERTAIN);
    END;
}

/* A window of four segments, full at each round trip. */
TEST(test_window_that_is_full_limits)
{
    BEGIN;
    uint32_t seq = 1;
    SEND(r, .from = CLIENT, .flags = SYN);
    rig_wait(r, TRIP);
    SEND(r, .from = SERVER, .flags = SYN | ACK, .ack = 1, .win = 4 * MSS);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 1, .ack = 1);
    for (int i = 0; i < 20; i++) {
        seq = burst(r, seq, 4);
        rig_wait(r, TRIP);
        SEND(r, .from = SERVER, .flags = ACK, .seq = 1, .ack = seq, .win = 4 * MSS);
    }
    rig_says(r, WDC_LIMIT_RECEIVER, WDC_CLIENT, WDC_CERTAIN);
    END;
}

/* Twice as much each round trip: slow start. */
TEST(test_growing_flight_is_the_networks)
{
    BEGIN;
    uint32_t seq = 1;
    rig_handshake(r, TRIP, 0);
    for (unsigned n = 4; n <= 128; n *= 2) {
        seq = burst(r, seq, n);
        rig_wait(r, TRIP);
        ack(r, seq);
    }
    rig_says(r, WDC_LIMIT_CONGESTION, WDC_CLIENT, WDC_CERTAIN);
    END;
}

/* As much in flight at each round trip, though the window would take far more. */
TEST(test_flight_that_never_grows_is_the_senders)
{
    BEGIN;
    uint32_t seq = 1;
    rig_handshake(r, TRIP, 0);
    for (int i = 0; i < 40; i++) {
        seq = burst(r, seq, 8);
        rig_wait(r, TRIP);
        ack(r, seq);
    }
    rig_says(r, WDC_LIMIT_SENDER, WDC_CLIENT, WDC_CERTAIN);
    END;
}

/* Seen from the receiver: each flight ends with a short segment, and the next comes a round trip after its
 * acknowledgement, without a word from the other program. */
TEST(test_buffer_that_is_refilled_is_the_senders)
{
    BEGIN;
    uint32_t seq = 1;
    rig_handshake(r, 0, TRIP);
    for (int i = 0; i < 12; i++) {
        seq = burst(r, seq, 3);
        SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = seq, .ack = 1, .len = 300);
        seq += 300;
        ack(r, seq);
        rig_wait(r, TRIP);
    }
    rig_says(r, WDC_LIMIT_SENDER, WDC_CLIENT, WDC_CERTAIN);
    END;
}

/* The same with an answer to each: the program waits for it. */
TEST(test_questions_are_the_programs)
{
    BEGIN;
    uint32_t seq = 1, back = 1;
    rig_handshake(r, 0, TRIP);
    for (int i = 0; i < 12; i++) {
        seq = burst(r, seq, 3);
        SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = seq, .ack = back, .len = 300);
        seq += 300;
        SEND(r, .from = SERVER, .flags = ACK | PSH, .seq = back, .ack = seq, .len = 50);
        back += 50;
        rig_wait(r, TRIP);
    }
    rig_finish(r);
    rig_denies(r, WDC_LIMIT_SENDER);
    END;
}

TEST(test_pauses_of_a_program_are_its_own)
{
    BEGIN;
    uint32_t seq = 1;
    rig_handshake(r, TRIP, 0);
    for (int i = 0; i < 10; i++) {
        seq = burst(r, seq, 3);
        SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = seq, .ack = 1, .len = 300);
        seq += 300;
        rig_wait(r, TRIP);
        ack(r, seq);
        rig_wait(r, WEIR_MS(300));
    }
    rig_says(r, WDC_LIMIT_APPLICATION, WDC_CLIENT, WDC_CERTAIN);
    END;
}

TEST(test_second_write_that_waits_for_a_delayed_ack)
{
    BEGIN;
    uint32_t seq = 1;
    rig_handshake(r, WEIR_MS(10), 0);
    for (int i = 0; i < 5; i++, seq += 200) {
        SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = seq, .ack = 1, .len = 100);
        rig_wait(r, WEIR_MS(50));
        ack(r, seq + 100);
        SEND(r, .from = CLIENT, .flags = ACK | PSH, .seq = seq + 100, .ack = 1, .len = 100);
        rig_wait(r, WEIR_MS(10));
        ack(r, seq + 200);
        rig_wait(r, WEIR_MS(100));
    }
    rig_says(r, WDC_NAGLE_DELAYED_ACK, WDC_CLIENT, WDC_CERTAIN);
    END;
}

/* The round trip grows with what is in flight. */
TEST(test_queue_that_fills_is_bufferbloat)
{
    BEGIN;
    uint32_t seq = 1;
    rig_handshake(r, WEIR_MS(10), 0);
    for (unsigned n = 1; n < 40; n++) {
        seq = burst(r, seq, n);
        rig_wait(r, WEIR_MS(10) + n * WEIR_MS(4));
        ack(r, seq);
    }
    rig_says(r, WDC_BUFFERBLOAT, WDC_PATH, WDC_CERTAIN);
    END;
}

/* Windows of 400 that are meant as 102,400, and taken as 400. */
TEST(test_window_taken_unscaled)
{
    BEGIN;
    uint32_t seq = 1;
    rig_handshake(r, TRIP, 0);
    for (int i = 0; i < 12; i++, seq += 400) {
        SEND(r, .from = CLIENT, .flags = ACK, .seq = seq, .ack = 1, .len = 400);
        rig_wait(r, TRIP);
        SEND(r, .from = SERVER, .flags = ACK, .seq = 1, .ack = seq + 400, .win = 400);
    }
    rig_says(r, WDC_WINDOW_SCALING_BROKEN, WDC_PATH, WDC_LIKELY);
    END;
}

TEST(test_checksums_owed_are_no_error)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    for (uint32_t i = 0; i < 3; i++)
        SEND(r, .from = CLIENT, .flags = ACK, .seq = 1 + i * MSS, .ack = 1, .len = MSS, .is_sum_owed = true);
    rig_says(r, WDC_CHECKSUM_OFFLOAD, WDC_CLIENT, WDC_CERTAIN);
    rig_denies(r, WDC_CORRUPTED);
    assert_true(wdc_result_is_healthy(&r->results[0]));
    END;
}

/* A broken packet has not arrived: its retransmission fills the hole. */
TEST(test_checksum_wrong_among_right_ones_is_corruption)
{
    BEGIN;
    rig_handshake(r, 1000, TRIP);
    burst(r, 1, 1);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 1001, .ack = 1, .len = MSS, .is_sum_bad = true);
    burst(r, 2001, 1);
    sack(r, 1001, 2001, 3001);
    rig_wait(r, TRIP);
    again(r, 1001);
    ack(r, 3001);
    rig_says(r, WDC_CORRUPTED, WDC_PATH, WDC_CERTAIN);
    rig_denies(r, WDC_SPURIOUS_RETRANSMISSION);
    END;
}

TEST(test_packets_cut_to_headers_have_their_lengths)
{
    BEGIN;
    r->is_truncated = true;
    rig_handshake(r, TRIP, 0);
    uint32_t end = burst(r, 1, 5);
    rig_wait(r, TRIP);
    ack(r, end);
    rig_finish(r);
    assert_int_equal(r->results[0].bytes[CLIENT], 5 * MSS);
    assert_int_equal(wdc_counts(r->doc)->unread, 0);
    rig_denies(r, WDC_CORRUPTED);
    END;
}

/* The first packets of a capture repair what was lost before it began. */
TEST(test_capture_that_begins_within_says_nothing_of_before)
{
    BEGIN;
    again(r, 8001);
    again(r, 3001);
    burst(r, 9001, 3);
    ack(r, 12001);
    rig_wait(r, WEIR_SEC(1));
    burst(r, 12001, 1);
    rig_says(r, WDC_OPEN, WDC_PATH, WDC_CERTAIN);
    rig_denies(r, WDC_PATH_LOSS);
    rig_denies(r, WDC_CAPTURE_LOSS);
    rig_denies(r, WDC_REORDERING);
    END;
}

/* A super-segment that the card was to split is one packet and many segments. */
TEST(test_super_segment_counts_as_its_segments)
{
    BEGIN;
    rig_handshake(r, TRIP, 0);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 1, .ack = 1, .len = 40 * MSS);
    rig_wait(r, TRIP);
    ack(r, 1 + 3 * MSS);
    sack(r, 1 + 3 * MSS, 1 + 4 * MSS, 1 + 40 * MSS);
    again(r, 1 + 3 * MSS);
    rig_wait(r, TRIP);
    ack(r, 1 + 40 * MSS);
    rig_says(r, WDC_PATH_LOSS, WDC_PATH, WDC_LIKELY);
    assert_non_null(strstr(rig_finding(r, 0, WDC_PATH_LOSS)->what, "1 of 41 segments"));
    END;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segment_seen_twice_was_lost_behind_the_capture),
        cmocka_unit_test(test_hole_that_fills_after_a_round_trip_was_lost_before_the_capture),
        cmocka_unit_test(test_hole_that_fills_at_once_is_reordering),
        cmocka_unit_test(test_hole_that_fills_with_an_old_timestamp_is_reordering),
        cmocka_unit_test(test_duplicate_sack_tells_a_needless_retransmission),
        cmocka_unit_test(test_retransmission_of_what_was_acknowledged_is_needless),
        cmocka_unit_test(test_the_same_packet_twice_is_a_copy),
        cmocka_unit_test(test_ack_for_what_was_never_seen_is_the_captures_loss),
        cmocka_unit_test(test_last_segment_repaired_by_a_timer_is_tail_loss),
        cmocka_unit_test(test_flight_repaired_by_a_timer_is_a_timeout),
        cmocka_unit_test(test_timeouts_that_nobody_answers_are_no_loss),
        cmocka_unit_test(test_long_segments_lost_again_and_again_are_a_black_hole),
        cmocka_unit_test(test_long_segment_that_gets_through_at_last_is_no_black_hole),
        cmocka_unit_test(test_too_big_and_said_so),
        cmocka_unit_test(test_closed_window_is_told_with_its_time),
        cmocka_unit_test(test_window_that_is_full_limits),
        cmocka_unit_test(test_growing_flight_is_the_networks),
        cmocka_unit_test(test_flight_that_never_grows_is_the_senders),
        cmocka_unit_test(test_buffer_that_is_refilled_is_the_senders),
        cmocka_unit_test(test_questions_are_the_programs),
        cmocka_unit_test(test_pauses_of_a_program_are_its_own),
        cmocka_unit_test(test_second_write_that_waits_for_a_delayed_ack),
        cmocka_unit_test(test_queue_that_fills_is_bufferbloat),
        cmocka_unit_test(test_window_taken_unscaled),
        cmocka_unit_test(test_checksums_owed_are_no_error),
        cmocka_unit_test(test_checksum_wrong_among_right_ones_is_corruption),
        cmocka_unit_test(test_packets_cut_to_headers_have_their_lengths),
        cmocka_unit_test(test_capture_that_begins_within_says_nothing_of_before),
        cmocka_unit_test(test_super_segment_counts_as_its_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
