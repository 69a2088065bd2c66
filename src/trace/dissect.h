/*
 * What a captured frame is: link layer, ARP, IP, TCP with its options, ICMP errors with the header that they quote. For
 * readers of captures; everything here comes from a file that anybody may have made.
 */
#ifndef WTR_DISSECT_H
#define WTR_DISSECT_H

#include <weir/types.h>

enum wtr_dissect_kind {
    WTR_IS_OTHER, /* not read any further */
    WTR_IS_ARP,
    WTR_IS_ND,       /* a neighbour solicitation or advertisement */
    WTR_IS_FRAGMENT, /* of IP, not the first one */
    WTR_IS_TCP,
    WTR_IS_UDP,        /* source and destination alone */
    WTR_IS_ICMP_ERROR, /* about a packet that it quotes */
    WTR_IS_IP,         /* of any other protocol: source and destination alone */
};

/* What a TCP checksum is worth. */
enum wtr_sum {
    WTR_SUM_UNKNOWN, /* the packet is not whole in the capture */
    WTR_SUM_GOOD,
    WTR_SUM_OWED, /* the pseudo-header's sum alone, or zero: the card was to fill it in */
    WTR_SUM_BAD,
};

/* Lengths are those of the wire, of which the capture may hold less. */
struct wtr_dissect {
    enum wtr_dissect_kind kind;
    bool has_mac, is_outgoing, is_v6, is_first_fragment, is_bad_ip_sum;
    uint8_t src_mac[6];
    uint32_t ifindex; /* of "any" captures (SLL2), else 0 */

    struct weir_sockaddr src, dst; /* ports 0 where there are none; ARP, ND: sender and target */
    uint8_t ttl, ecn;
    uint16_t ip_id;       /* 0: none */
    uint16_t ip_len;      /* payload of IP in this fragment, clamped */
    uint16_t frag_off;    /* bytes */
    bool has_more_frags;  /* of a FRAGMENT */
    uint16_t neigh_op;    /* ARP: 1 request, 2 reply; ND: 1 solicitation, 2 advertisement */
    uint8_t neigh_mac[6]; /* of the sender, as ARP says; of the target, as an advertisement says */
    bool has_neigh_mac;

    uint32_t seq, ack, len; /* len: payload */
    uint16_t win, flags;
    int8_t wscale; /* -1: no such option */
    uint8_t sack_n;
    uint16_t mss; /* 0: no such option */
    bool has_sack_ok, has_ts;
    uint32_t tsval, tsecr;
    uint32_t sack[8]; /* pairs, as on the wire */
    enum wtr_sum sum;

    uint8_t icmp_type, icmp_code;
    uint32_t icmp_mtu;
    struct weir_sockaddr quoted_src, quoted_dst; /* of an ICMP error about TCP */
    uint32_t quoted_seq;
    bool quotes_tcp;
};

/*
 * Look at a frame of a link type (LINKTYPE_…).
 *
 * captured, len   bytes that there are, and that were on the wire (0: as the IP header says)
 * wants_sum       verify the TCP checksum of packets that are there whole
 */
void wtr_dissect(struct wtr_dissect *out, uint32_t linktype, const uint8_t *frame, size_t captured, size_t len,
                 bool wants_sum);

#endif
