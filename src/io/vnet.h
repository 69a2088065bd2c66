/*
 * The virtio-net header before a packet (Virtual I/O Device specification 1.2, 5.1.6), with which the kernel and we
 * tell each other what a packet still needs: its transport checksum, a cut into segments.
 */
#ifndef WIO_VNET_H
#define WIO_VNET_H

#include <linux/virtio_net.h>
#include <weir/stack.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* What the kernel is to do with a packet that the stack sends. False: it can't be said. */
bool wio_vnet_describe(struct virtio_net_hdr *, const struct weir_pkt *);

/* Would the kernel, cutting it, clear a super-segment's CWR flag in all segments but the first, though it is every
 * segment's (WEIR_PKT_CWR_ALL)? Then it must be cut before. */
bool wio_vnet_must_cut(const struct weir_pkt *);

/*
 * What a received packet is, by what its header says, as far as it can be true: a checksum that is owed or was checked
 * needs no check, but only where it is that of the packet's own transport; a super-segment is one only when it is a TCP
 * segment of the family that it is said to be, with a sane segment size; a run of datagrams (UDP segmentation) is cut
 * into them here, since a datagram's bounds mean something.
 *
 * p     its reference is taken
 * out   room for WIO_VNET_SPLIT_MAX packets
 *
 * Returns how many packets came of it; 0: what the header says can't be (or memory did not suffice), and it is dropped.
 */
unsigned wio_vnet_receive(const struct virtio_net_hdr *, struct weir_pkt *p, enum weir_link_type,
                          struct weir_pkt **out);

#define WIO_VNET_SPLIT_MAX 128 /* as Linux has it */

/*
 * Of a packet that came without such a header over a link that passes owed checksums on (veth, to AF_XDP): does its TCP
 * or UDP checksum field hold the sum of the pseudo-header, as it does while the rest is owed? A packet that was broken
 * on its way looks so once in 65,536 times.
 */
bool wio_csum_is_owed(struct weir_pkt *, enum weir_link_type);

#endif
