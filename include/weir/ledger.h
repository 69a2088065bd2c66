/*
 * The ledger of a TCP connection: where its time went. Each nanosecond from its first SYN (a server's first SYN-ACK) to
 * its end is charged to one cause, as seen by this end's sender; the parts sum to the whole. TIME-WAIT is not part of
 * it, nor FIN-WAIT-2 once the program has closed: nobody waits for those. WEIR_TCP_INFO tells it while the connection
 * lives, WEIR_EV_CLOSE when it has ended.
 */
#ifndef WEIR_LEDGER_H
#define WEIR_LEDGER_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * HANDSHAKE     SYN-SENT, SYN-RECEIVED
 * APPLICATION   what was written is under way and no more is there to send; or the peer has ended and waits for our end
 * RCV_WINDOW    the peer's window lets no more go
 * ZERO_WINDOW   it is closed: the persist timer probes
 * CWND          the congestion window is full
 * PACING        the pacing rate holds back what the windows would let go
 * SEND_BUFFER   all that the send buffer holds is under way, and the program was refused more
 * NAGLE         a small segment waits for company: Nagle, TCP_CORK, MSG_MORE
 * RECOVERY      something was lost and is sent again
 * RTO_WAIT      the acknowledgement is overdue, nothing but a timer will move us; until the peer is heard again
 * PATH_MTU      sent again in smaller pieces, because the path's MTU fell
 * RECEIVING     nothing to send, and the peer's data arrives
 * READER        nothing to send, and the peer can't either: our program does not read what has come
 * CLOSING       our program has ended, and the peer has not acknowledged or ended yet
 * IDLE          nobody has anything to send
 */
#define WEIR_CAUSE_LIST(X)                                                                                             \
    X(HANDSHAKE, "handshake")                                                                                          \
    X(APPLICATION, "application")                                                                                      \
    X(RCV_WINDOW, "receiver window")                                                                                   \
    X(ZERO_WINDOW, "zero window")                                                                                      \
    X(CWND, "congestion window")                                                                                       \
    X(PACING, "pacing")                                                                                                \
    X(SEND_BUFFER, "send buffer")                                                                                      \
    X(NAGLE, "Nagle or cork")                                                                                          \
    X(RECOVERY, "recovery")                                                                                            \
    X(RTO_WAIT, "retransmission timeout")                                                                              \
    X(PATH_MTU, "path MTU")                                                                                            \
    X(RECEIVING, "receiving")                                                                                          \
    X(READER, "own reader")                                                                                            \
    X(CLOSING, "closing")                                                                                              \
    X(IDLE, "idle")

#define WEIR_CAUSE_ENUM(name, text) WEIR_CAUSE_##name,
enum weir_cause { WEIR_CAUSE_LIST(WEIR_CAUSE_ENUM) WEIR_CAUSE_N };
#undef WEIR_CAUSE_ENUM

struct weir_ledger {
    weir_ns life; /* what `spent` sums to */
    weir_ns spent[WEIR_CAUSE_N];
};

const char *weir_cause_text(enum weir_cause); /* "receiver window" */

#ifdef __cplusplus
}
#endif
#endif
