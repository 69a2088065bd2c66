/*
 * ARP for IPv4 on Ethernet (RFC 826), and nothing else.
 */
#ifndef WI_WIRE_ARP_H
#define WI_WIRE_ARP_H

#include <weir/drop.h>
#include <weir/types.h>

#define WI_ARP_LEN 28

enum wi_arp_op { WI_ARP_REQUEST = 1, WI_ARP_REPLY = 2 };

struct wi_arp {
    enum wi_arp_op op;
    uint8_t sender_ll[6];
    uint8_t target_ll[6];    /* meaningless in a request */
    struct weir_addr sender; /* 0.0.0.0 in a probe (RFC 5227) */
    struct weir_addr target;
};

/*
 * Read an ARP message; padding after it is ignored. On a drop reason *out is left alone.
 * ARP_SHORT, ARP_FORMAT, ARP_OP, ARP_BAD_ADDR (a group link address, a multicast, broadcast or loopback sender).
 */
enum weir_drop wi_arp_parse(struct wi_arp *out, const uint8_t *p, size_t len);

/* Write WI_ARP_LEN bytes. */
void wi_arp_put(uint8_t *p, const struct wi_arp *);

#endif
