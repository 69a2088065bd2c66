/*
 * What the tests of trace share: a connection's events and packets made by hand.
 */
#ifndef TRACE_TEST_H
#define TRACE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include <cmocka.h>

static const struct weir_sockaddr near_end = {
    .addr = {{[10] = 0xff, 0xff, 10, 0, 0, 1}}, .family = WEIR_AF_INET, .port = 40000};
static const struct weir_sockaddr far_end = {
    .addr = {{[10] = 0xff, 0xff, 10, 0, 0, 2}}, .family = WEIR_AF_INET, .port = 80};

static inline struct weir_event conn_event(enum weir_event_kind kind, weir_ns at, uint64_t serial)
{
    return (struct weir_event){.kind = kind,
                               .at = at,
                               .serial = serial,
                               .conn_id = 7,
                               .local = &near_end,
                               .remote = &far_end,
                               .conn = {.cwnd_bytes = 14600,
                                        .ssthresh_bytes = 7300,
                                        .flight_bytes = 2920,
                                        .snd_wnd_bytes = 65535,
                                        .rcv_wnd_bytes = 64240,
                                        .srtt = WEIR_MS(20),
                                        .rttvar = WEIR_MS(5),
                                        .rto = WEIR_MS(212)}};
}

static inline struct weir_event seg_event(weir_ns at, uint64_t serial, enum weir_why why, uint32_t len)
{
    struct weir_event ev = conn_event(WEIR_EV_SEG_OUT, at, serial);
    ev.u.seg = (struct weir_ev_seg){
        .seq = 5001, .ack = 901, .seq_rel = 1, .ack_rel = 1, .len = len, .wnd_bytes = 64240, .flags = 0x18, .why = why};
    return ev;
}

#endif
