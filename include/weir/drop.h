/*
 * Why a packet was dropped: one list makes enum weir_drop (weir/event.h), the counters' names and the text that a
 * person reads.
 *
 * Append within the layer's group; the numbers are not an ABI. NONE comes first and means: keep. The text completes
 * "dropped: ...".
 */
#ifndef WEIR_DROP_H
#define WEIR_DROP_H

/* clang-format off */
#define WEIR_DROP_LIST(X)                                                                                    \
    X(NONE, "kept")                                                                                          \
    /* any layer */                                                                                          \
    X(NO_MEMORY, "the stack's memory limit is reached")                                                      \
    X(PKT_SHORT, "the packet has no bytes")                                                                  \
    X(NETIF_DOWN, "the interface is down")                                                                   \
    X(TX_QUEUE_FULL, "the interface's transmit queue is full")                                               \
    X(TX_REFUSED, "the driver did not take the packet")                                                      \
    X(TX_TOO_BIG, "the packet is larger than its interface can send")                                        \
    X(FILTERED, "a filter refused the packet")                                                               \
    X(SHARD_OTHER, "another shard's, and nobody passes it on")                                               \
    /* Ethernet */                                                                                           \
    X(ETH_SHORT, "shorter than an Ethernet header")                                                          \
    X(ETH_VLAN, "802.1Q tagged frame, and the interface is in no VLAN")                                      \
    X(ETH_LLC, "IEEE 802.3 length field where an EtherType belongs")                                         \
    X(ETH_TYPE, "EtherType that weir does not speak")                                                        \
    X(ETH_NOT_OURS, "Ethernet destination is another station")                                               \
    X(ETH_SRC_GROUP, "Ethernet source is a group address")                                                   \
    X(ETH_OWN_SRC, "our own frame came back")                                                                \
    /* ARP */                                                                                                \
    X(ARP_SHORT, "shorter than an ARP message")                                                              \
    X(ARP_FORMAT, "ARP for something other than IPv4 on Ethernet")                                           \
    X(ARP_OP, "ARP operation is neither request nor reply")                                                  \
    X(ARP_BAD_ADDR, "ARP sender address that no host may have")                                              \
    X(ARP_NOT_OURS, "ARP request for another host's address")                                                \
    X(ARP_UNSOLICITED, "ARP reply that nobody waits for")                                                    \
    X(ARP_CONFLICT, "ARP shows another host with our address")                                               \
    /* neighbours, routes, addresses */                                                                      \
    X(NEIGH_FAILED, "the next hop did not answer ARP or neighbour discovery")                                \
    X(NEIGH_QUEUE_FULL, "too many packets wait for the next hop's link address")                             \
    X(NEIGH_TABLE_FULL, "the neighbour table is full")                                                       \
    X(NO_ROUTE, "no route to the destination")                                                               \
    /* IP, both versions */                                                                                  \
    X(IP_SHORT, "shorter than an IP header")                                                                 \
    X(IP_VERSION, "IP version is neither 4 nor 6, or not the one that the link says")                        \
    X(IP_LENGTH, "IP length field exceeds the packet")                                                       \
    X(IP_SRC_MARTIAN, "source address that must not appear on a wire (RFC 1122 3.2.1.3, RFC 4291 2)")        \
    X(IP_DST_MARTIAN, "destination address that must not appear on a wire")                                  \
    X(IP_SRC_OURS, "source address is our own, from outside")                                                \
    X(IP_NOT_OURS, "destination address is not ours")                                                        \
    X(IP_LINK_GROUP, "unicast packet in a link-layer broadcast or multicast (RFC 1122 3.3.6)")              \
    X(IP_NOT_JOINED, "multicast group that nobody here has joined")                                          \
    X(IP_PROTO, "upper protocol that nobody here speaks")                                                    \
    X(IP_MTU, "larger than the path's MTU, and must not be fragmented")                                      \
    /* IPv4 */                                                                                               \
    X(IPV4_HDR_LEN, "IPv4 header length below 20 or beyond the packet")                                      \
    X(IPV4_CSUM, "bad IPv4 header checksum")                                                                 \
    X(IPV4_OPTION, "malformed IPv4 option")                                                                  \
    X(IPV4_SRC_ROUTE, "IPv4 source route option")                                                            \
    X(IPV4_FRAG_FIELDS, "IPv4 fragment offset and flags contradict each other or the length")                \
    /* IPv6 */                                                                                               \
    X(IPV6_EXT_SHORT, "IPv6 extension header is cut off")                                                    \
    X(IPV6_EXT_MANY, "more IPv6 extension headers or options than any sane packet has")                      \
    X(IPV6_EXT_ORDER, "IPv6 hop-by-hop header not first, or a second fragment header")                       \
    X(IPV6_OPTION, "malformed IPv6 option")                                                                  \
    X(IPV6_OPTION_UNKNOWN, "unknown IPv6 option that asks to be dropped (RFC 8200 4.2)")                     \
    X(IPV6_ROUTING, "IPv6 routing header with segments left (RFC 5095, RFC 8200 4.4)")                       \
    X(IPV6_JUMBO, "IPv6 jumbogram")                                                                          \
    X(IPV6_NO_NEXT, "IPv6 no next header: nothing to deliver")                                               \
    X(IPV6_FRAG_CHAIN, "first IPv6 fragment without the whole header chain (RFC 7112)")                      \
    X(IPV6_FRAG_LENGTH, "IPv6 fragment's length is no multiple of 8, or it ends beyond 65535")               \
    X(IPV6_MAPPED, "IPv4-mapped address inside an IPv6 header")                                              \
    /* reassembly */                                                                                         \
    X(FRAG_DUP, "fragment that was here already")                                                            \
    X(FRAG_OVERLAP, "overlapping fragments: the whole datagram goes (RFC 5722)")                             \
    X(FRAG_TIMEOUT, "reassembly timed out")                                                                  \
    X(FRAG_LIMIT, "too many datagrams under reassembly")                                                     \
    X(FRAG_TOO_MANY, "too many fragments in one datagram")                                                   \
    X(FRAG_TINY, "first fragment too small to hold its transport header (RFC 1858)")                         \
    X(FRAG_TOO_LONG, "reassembled datagram would exceed 65535 bytes")                                        \
    X(FRAG_INCONSISTENT, "fragments disagree on where the datagram ends")                                    \
    X(FRAG_ECN, "one fragment marked by congestion, another that can't be (RFC 3168 5.3)")                  \
    /* ICMP, ICMPv6 and what rides on them */                                                                \
    X(ICMP_SHORT, "shorter than its ICMP message")                                                           \
    X(ICMP_CSUM, "bad ICMP checksum")                                                                        \
    X(ICMP_TYPE, "ICMP type that a host does not handle")                                                    \
    X(ICMP_INNER, "ICMP error whose quoted packet can't be read")                                            \
    X(ICMP_INNER_NOT_OURS, "ICMP error about a packet that we did not send")                                 \
    X(ICMP_NO_SOCKET, "ICMP error about a connection that does not exist")                                   \
    X(ICMP_STALE, "ICMP error whose sequence number is not outstanding (RFC 5927 4.1)")                      \
    X(ICMP_REDIRECT, "ICMP redirect: not followed")                                                          \
    X(ICMP_QUENCH, "ICMP source quench: ignored (RFC 6633)")                                                 \
    X(ICMP_MTU, "ICMP packet-too-big with an MTU that changes nothing")                                      \
    X(ICMP_ECHO_BROADCAST, "echo request to a broadcast or multicast address")                               \
    X(ICMP_ECHO_REPLY, "echo reply that nobody waits for")                                                   \
    X(ND_SHORT, "shorter than its neighbour discovery message")                                              \
    X(ND_HOP_LIMIT, "neighbour discovery from beyond the link (hop limit not 255)")                          \
    X(ND_CODE, "neighbour discovery with an ICMP code other than 0")                                         \
    X(ND_OPTION, "neighbour discovery option of length 0 or beyond the message")                             \
    X(ND_FRAGMENT, "neighbour discovery in fragments (RFC 6980)")                                            \
    X(ND_TARGET, "neighbour discovery about a multicast address")                                            \
    X(ND_SRC, "neighbour discovery from an address that it may not come from")                               \
    X(ND_DST, "neighbour discovery to an address that it may not go to")                                     \
    X(ND_NOT_OURS, "neighbour solicitation for another host's address")                                      \
    X(ND_UNSOLICITED, "neighbour advertisement that nobody waits for")                                       \
    X(ND_DUPLICATE, "another host has our address")                                                          \
    X(MCAST_SHORT, "shorter than its IGMP or MLD message")                                                   \
    X(MCAST_CSUM, "bad IGMP checksum")                                                                       \
    X(MCAST_TYPE, "IGMP or MLD type that a host does not handle")                                            \
    X(MCAST_GROUP, "IGMP or MLD about an address that is no multicast group")                                \
    X(MCAST_SRC, "MLD from no link-local address, with a hop limit other than 1 or no router alert")     \
    /* UDP */                                                                                                \
    X(UDP_SHORT, "shorter than a UDP header")                                                                \
    X(UDP_LENGTH, "UDP length below 8 or beyond the packet")                                                 \
    X(UDP_CSUM, "bad UDP checksum")                                                                          \
    X(UDP_NO_CSUM, "UDP over IPv6 without a checksum")                                                       \
    X(UDP_PORT_ZERO, "UDP destination port 0")                                                               \
    X(UDP_NO_PORT, "no UDP socket at this address and port")                                                 \
    X(UDP_RCVBUF_FULL, "the UDP socket's receive buffer is full")                                            \
    /* TCP: the header */                                                                                    \
    X(TCP_SHORT, "shorter than a TCP header")                                                                \
    X(TCP_OFFSET, "TCP data offset below 5 or beyond the segment")                                           \
    X(TCP_CSUM, "bad TCP checksum")                                                                          \
    X(TCP_NOT_UNICAST, "TCP to or from a broadcast or multicast address")                                    \
    X(TCP_FLAGS, "TCP flags that make no sense together")                                                    \
    X(TCP_PORT_ZERO, "TCP port 0")                                                                           \
    X(TCP_MD5, "TCP-MD5 or TCP-AO option where none was agreed, or the other way round")                     \
    /* TCP: finding the connection */                                                                        \
    X(TCP_MIN_TTL, "TTL or hop limit below the socket's least (IP_MINTTL, IPV6_MINHOPCOUNT; RFC 5082)")         \
    X(TCP_NO_SOCKET, "no connection and no listener: answered with RST")                                     \
    X(TCP_NO_SOCKET_RST, "RST for a connection that does not exist")                                         \
    X(TCP_LISTEN_RST, "RST to a listener")                                                                   \
    X(TCP_LISTEN_ACK, "ACK to a listener that sent nothing: answered with RST")                              \
    X(TCP_LISTEN_NO_SYN, "segment to a listener without SYN, ACK or RST")                                    \
    X(TCP_SYN_QUEUE_FULL, "the listener's SYN queue is full")                                                \
    X(TCP_ACCEPT_QUEUE_FULL, "the listener's accept queue is full")                                          \
    X(TCP_COOKIE_BAD, "ACK with an invalid or expired SYN cookie")                                           \
    X(TCP_DEFER_ACCEPT, "bare ACK while the listener waits for data (TCP_DEFER_ACCEPT)")                     \
    X(TCP_SYN_DUP, "repeated SYN: SYN-ACK sent again")                                                       \
    X(TCP_TIME_WAIT, "old segment to a connection in TIME-WAIT")                                             \
    X(TCP_TIME_WAIT_RST, "RST to a connection in TIME-WAIT (RFC 1337)")                                      \
    X(TCP_TIME_WAIT_FULL, "no room for another TIME-WAIT entry")                                             \
    X(TCP_ORPHAN_LIMIT, "too many connections without an owner")                                             \
    X(TCP_ABORTED, "the connection was aborted while the segment was under way")                             \
    X(TCP_CLOSED_DATA, "data for a connection that nobody reads any more: answered with RST")                \
    /* TCP: the checks of RFC 9293 3.10.7 */                                                                 \
    X(TCP_PAWS, "timestamp older than the last one (PAWS, RFC 7323 5)")                                      \
    X(TCP_OLD_SEQ, "all of the segment was received before")                                                 \
    X(TCP_BEYOND_WND, "segment begins beyond the receive window")                                            \
    X(TCP_ZERO_WND, "data, and the receive window is closed")                                                \
    X(TCP_OUT_OF_WND_RST, "RST outside the receive window")                                                  \
    X(TCP_RST, "connection reset by the peer")                                                               \
    X(TCP_RST_CHALLENGE, "RST in the window but not at its edge: challenge ACK (RFC 5961 3.2)")              \
    X(TCP_SYN_CHALLENGE, "SYN on a live connection: challenge ACK (RFC 5961 4.2)")                           \
    X(TCP_CHALLENGE_RATE, "challenge ACK owed, but one was sent a moment ago")                               \
    X(TCP_NO_ACK, "segment without ACK on a synchronised connection")                                        \
    X(TCP_ACK_TOO_OLD, "acknowledges less than any window allows: challenge ACK (RFC 5961 5.2)")             \
    X(TCP_ACK_UNSENT, "acknowledges what was never sent")                                                    \
    X(TCP_SYN_SENT_ACK, "acknowledges something other than our SYN")                                         \
    X(TCP_SYN_SENT_NO_SYN, "answer to our SYN without SYN or RST")                                           \
    X(TCP_SYN_SENT_TS, "answer to our SYN echoes a timestamp that we did not send")                          \
    X(TCP_REFUSED, "connection refused by the peer")                                                         \
    X(TCP_RCVBUF_FULL, "no room in the receive buffer")                                                      \
    X(TCP_OOO_FULL, "no room for more out-of-order data")                                                    \
    X(TCP_OOO_DUP, "out-of-order data that was here already")                                                \
    X(TCP_OOO_PRUNED, "out-of-order data given up for lack of memory")                                       \
    X(TCP_SACK_BAD, "SACK block outside what was sent")                                                      \
    X(TCP_ICMP_SOFT, "ICMP error that TCP only remembers (RFC 1122 4.2.3.9)")                                \
    /* links and their impairments */                                                                        \
    X(LINK_LOSS, "lost by the impaired link")                                                                \
    X(LINK_QUEUE_FULL, "the link's queue is full")                                                           \
    X(LINK_POLICED, "beyond the link's policer")                                                             \
    X(LINK_AQM, "dropped by the link's queue management: it waits too long, and can't be marked")           \
    X(LINK_SCRIPT, "dropped by the link's script")                                                           \
    X(LINK_MTU, "larger than the link's MTU")
/* clang-format on */

#define WEIR_DROP_ENUM(name, text) WEIR_DROP_##name,
enum weir_drop { WEIR_DROP_LIST(WEIR_DROP_ENUM) WEIR_DROP_N };
#undef WEIR_DROP_ENUM

#endif
