/*
 * Path MTU discovery for a protocol of your own over UDP: RFC 8899, as a state machine without I/O. TCP does the like
 * by itself (net.ipv4.tcp_mtu_probing).
 *
 * What it needs from the protocol: datagrams that the peer acknowledges, and one that carries nothing but padding: the
 * probe. Send probes on a socket with IP_MTU_DISCOVER set to IP_PMTUDISC_PROBE (or IPV6_MTU_DISCOVER alike), so that
 * they leave whole, with DF, whatever is known of the path; all else no larger than weir_plpmtud_mtu says. The loss of
 * a probe is no sign of congestion.
 *
 *     uint32_t size = weir_plpmtud_advance(&p, now);    after each event, and at weir_plpmtud_deadline
 *     if (size)
 *         send_padding(size - headers);
 *
 * Sizes are of IP packets, bytes: a datagram's payload is 28 (IPv4) or 48 (IPv6) less.
 */
#ifndef WEIR_PLPMTUD_H
#define WEIR_PLPMTUD_H

#include <stdbool.h>
#include <stdint.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_PLPMTUD_MAX_PROBES    3            /* RFC 8899 5.1.2 */
#define WEIR_PLPMTUD_PROBE_TIMEOUT WEIR_SEC(16) /* 5.1.1: not under one second, and better more than 15 */
#define WEIR_PLPMTUD_RAISE         WEIR_SEC(600)
#define WEIR_PLPMTUD_CONFIRM       WEIR_SEC(30)

/* RFC 8899 5.2. */
enum weir_plpmtud_state {
    WEIR_PLPMTUD_BASE,      /* does the path carry a size that nearly every path carries? */
    WEIR_PLPMTUD_SEARCHING, /* it does; how much more? */
    WEIR_PLPMTUD_COMPLETE,  /* found; tried anew after WEIR_PLPMTUD_RAISE */
    WEIR_PLPMTUD_ERROR,     /* not even that: the smallest size there is, until the path is better */
};

/* The caller's memory; its members are not for the caller. */
struct weir_plpmtud {
    enum weir_plpmtud_state state;
    uint32_t min, base, max; /* RFC 8899 5.1.2 */
    uint32_t mtu;            /* PLPMTU */
    uint32_t high;           /* larger ones are known to fail */
    uint32_t probed;         /* PROBED_SIZE, 0: no probe is under way */
    unsigned probe_n;        /* of that size, unanswered */
    bool try_high;           /* the next probe is as large as may be, not half-way */
    weir_ns probe_due;       /* when the probe counts as lost; valid while probed */
    weir_ns confirm_at;      /* when the size must prove itself again */
    weir_ns raise_at;        /* valid in COMPLETE */
};

/* Begin. link_mtu: of the interface, at least 68 or 1280. */
void weir_plpmtud_init(struct weir_plpmtud *, bool is_v6, uint32_t link_mtu, weir_ns now);

/* Time has passed, or something was said to it: the size of the probe to send now, 0: none. It counts as sent. A probe
 * that is to be repeated is told of again. */
uint32_t weir_plpmtud_advance(struct weir_plpmtud *, weir_ns now);

/* When weir_plpmtud_advance is next needed; 0: at once. */
weir_ns weir_plpmtud_deadline(const struct weir_plpmtud *);

/* The peer acknowledged a packet of this size, a probe or not. */
void weir_plpmtud_acked(struct weir_plpmtud *, uint32_t size, weir_ns now);

/* A router said that a packet was too big for `mtu`, about a packet that was really sent (weir's sockets see to that).
 * It is never taken at its word: RFC 8899 4.6.2. */
void weir_plpmtud_too_big(struct weir_plpmtud *, uint32_t mtu, weir_ns now);

/* The protocol sees its full-sized datagrams vanish, and none arrive: back to the base size. */
void weir_plpmtud_black_hole(struct weir_plpmtud *, weir_ns now);

/* The largest packet to send, but for probes. */
static inline uint32_t weir_plpmtud_mtu(const struct weir_plpmtud *p)
{
    return p->mtu;
}

#ifdef __cplusplus
}
#endif
#endif
