/*
 * What a writer is told of its bytes after the write, in the socket's error queue: with MSG_ZEROCOPY that its memory is
 * free again, with SO_TIMESTAMPING when they left and when they were acknowledged. Linux's
 * Documentation/networking/msg_zerocopy.rst and timestamping.rst.
 */
#ifndef WI_TCP_NOTICE_H
#define WI_TCP_NOTICE_H

#include "tcp/conn.h"

void wi_tcp_notice_init(struct wi_tcp *);
void wi_tcp_notice_fini(struct wi_tcp *);

/* A write with MSG_ZEROCOPY of `bytes` begins: *tag is what its records bear (wi_tcp_rec.zc), 0 when the socket has not
 * asked (SO_ZEROCOPY). 0 or -ENOBUFS. */
int wi_tcp_zerocopy_begin(struct wi_tcp_conn *, size_t bytes, uint32_t *tag);

/* It is over; nothing taken: it never was. */
void wi_tcp_zerocopy_end(struct wi_tcp_conn *, uint32_t tag, uint64_t taken);

/* A write has filled the queue up to write_seq: its last byte is the one that is watched, if SO_TIMESTAMPING asks. */
void wi_tcp_stamp_written(struct wi_tcp_conn *);

/* A record is sent, or sent again, in this IP packet, which need not be had unless it is asked for. */
bool wi_tcp_stamp_wants_packet(const struct wi_tcp_conn *, const struct wi_tcp_rec *);
void wi_tcp_stamp_sent(struct wi_tcp_conn *, const struct wi_tcp_rec *, const struct weir_pkt *);

/* A record is acknowledged, and about to go. */
void wi_tcp_stamp_acked(struct wi_tcp_conn *, const struct wi_tcp_rec *);

/* SO_TIMESTAMPING was set. */
void wi_tcp_stamp_option(struct wi_tcp_conn *);

/* snd_una has moved. */
void wi_tcp_notice_acked(struct wi_tcp_conn *);

/* The send queue is thrown away: what lent its memory has it back. */
void wi_tcp_notice_purge(struct wi_tcp_conn *);
void wi_tcp_notice_free(struct wi_tcp_conn *);

bool wi_tcp_notice_waits(const struct wi_tcp_conn *); /* POLLERR */

/* MSG_ERRQUEUE: the message filled, and so many bytes of the packet that it is about; or -EAGAIN. */
int64_t wi_tcp_notice_read(struct wi_tcp_conn *, struct weir_msg *);

#endif
