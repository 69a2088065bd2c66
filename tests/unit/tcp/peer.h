/*
 * One stack, and the test is its peer: segments are made by hand, and what comes back is read header by header. Time is
 * the test's. Each step checks the stack's invariants, and peer_fini that every byte of memory came back.
 */
#ifndef TEST_TCP_PEER_H
#define TEST_TCP_PEER_H

#include "unit/support/alloc.h"

#include "wire/ip.h"
#include "wire/tcp.h"
#include <weir/weir.h>

#define PEER_START WEIR_SEC(1000)
#define PEER_PORT  40000 /* ours */
#define STACK_PORT 80    /* where the tests' listeners are */

/* A packet that the stack sent. */
struct peer_seg {
    struct weir_addr src, dst;
    struct wi_wire_tcp h; /* valid unless is_icmp */
    weir_ns at;
    uint8_t data[64]; /* the payload's beginning */
    bool is_icmp;
    uint8_t icmp_type, icmp_code;
};

#define PEER_SEGS 512

struct peer {
    struct heap heap;
    struct weir *stack;
    int netif, family;
    weir_ns now;
    struct weir_addr stack_addr, addr; /* the stack's, and ours */
    struct peer_seg segs[PEER_SEGS];
    unsigned seg_n, seg_read; /* sent by the stack, read by the test */
    enum weir_drop drop;      /* the last one */
    unsigned drop_n;
    bool is_unchecked; /* no weir_check after each step: long runs */
};

void peer_init(struct peer *, int family);
void peer_init_as(struct peer *, int family, uint32_t netif_flags); /* enum weir_netif_flag */
void peer_fini(struct peer *);

void peer_run(struct peer *, weir_ns duration); /* let timers fire, for so long */

/* What the stack uses after two seconds more: without what packets pass through. */
size_t peer_mem_at_rest(struct peer *);

/* A header from us to the stack's STACK_PORT, without options, window 65535. */
struct wi_wire_tcp peer_hdr(uint16_t flags, uint32_t seq, uint32_t ack);

/* The options that every modern SYN has: MSS 1460, SACK, window scale 7. */
struct wi_wire_tcp peer_syn(uint32_t seq);

/* Give the stack a segment; `text` may be NULL. */
void peer_send(struct peer *, const struct wi_wire_tcp *, const char *text);
void peer_send_from(struct peer *, const struct weir_addr *src, const struct weir_addr *dst, const struct wi_wire_tcp *,
                    const char *text);

/* Bytes as an IP packet's payload. */
void peer_send_raw(struct peer *, uint8_t proto, const void *bytes, size_t len);

/* An ICMP destination unreachable of this code, about a segment that the stack sent. */
void peer_send_unreach(struct peer *, uint8_t code, const struct peer_seg *);

/* The next segment of the stack that was not read yet; NULL: none. */
const struct peer_seg *peer_next(struct peer *);

/* The next one, which must have these flags; peer_none: there is none. */
const struct peer_seg *peer_expect(struct peer *, uint16_t flags);
void peer_none(struct peer *);

/* A listener at STACK_PORT. */
weir_fd peer_listen(struct peer *, int backlog);

/* Handshake from our port with a listener; returns what it accepted. *seq, *ack: of our next segment. */
weir_fd peer_open(struct peer *, weir_fd listener, uint16_t port, uint32_t *seq, uint32_t *ack);

/* TCP_INFO of a socket of the stack's, whole. */
struct weir_tcp_info peer_info(struct peer *, weir_fd);

/* The same without the accept, up to and with our ACK. */
void peer_shake(struct peer *, uint16_t port, uint32_t isn, uint32_t *ack);

void peer_sysctl(struct peer *, const char *name, const char *value);
uint64_t peer_stat(const struct peer *, const char *name);
uint32_t peer_poll(struct peer *, weir_fd);

#endif
