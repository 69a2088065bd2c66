/*
 * What a host says and hears about multicast groups: IGMPv1-3 (RFC 2236, 3376) and MLDv1-2 (RFC 2710, 3810), in one
 * struct for both. A host reports and answers queries; it never queries. Timers and group state belong to net.
 */
#ifndef WI_WIRE_MCAST_H
#define WI_WIRE_MCAST_H

#include "wire/ip.h"

enum wi_mcast_kind {
    WI_MCAST_QUERY,
    WI_MCAST_REPORT,    /* IGMPv1, IGMPv2, MLDv1: one group */
    WI_MCAST_LEAVE,     /* IGMPv2 leave, MLDv1 done */
    WI_MCAST_REPORT_V2, /* IGMPv3, MLDv2: records */
};

/* Group record types, RFC 3376 4.2.12 and RFC 3810 5.2.12. */
enum wi_mcast_record {
    WI_MCAST_IS_INCLUDE = 1,
    WI_MCAST_IS_EXCLUDE = 2,
    WI_MCAST_TO_INCLUDE = 3, /* with no source: leave */
    WI_MCAST_TO_EXCLUDE = 4, /* with no source: join */
};

/* A received message. */
struct wi_mcast {
    enum wi_mcast_kind kind;
    uint8_t version;        /* QUERY: of IGMP 1, 2, 3; of MLD 1, 2. REPORT: of IGMP 1, 2; of MLD 1 */
    struct weir_addr group; /* all zero in a general query and in REPORT_V2 */
    bool is_general;        /* QUERY for all groups */
    uint16_t source_n; /* QUERY about (group, source): how many. A host without source filters answers for the group */
    uint32_t max_resp_ms; /* QUERY; 0 in IGMPv1 is read as its 10 s */
};

/* IGMP, checksum included: it covers the whole of p[0..len). MCAST_SHORT, MCAST_CSUM, MCAST_TYPE, MCAST_GROUP. */
enum weir_drop wi_igmp_parse(struct wi_mcast *out, const uint8_t *p, size_t len);

/* MLD, from its ICMPv6 header on; the checksum has been verified. MCAST_SHORT, MCAST_TYPE, MCAST_GROUP, MCAST_SRC. */
enum weir_drop wi_mld_parse(struct wi_mcast *out, const struct wi_ip *ip, const uint8_t *p, size_t len);

#define WI_MCAST_LEN_MAX 28 /* the longest that follows: an MLDv2 report with one record */

/*
 * Write a report or a leave about one group, IGMP or MLD as is_v6 says, checksum field 0 (then wi_icmp_seal).
 *
 * version  of the querier that is obeyed: IGMP 1, 2 or 3, MLD 1 or 2. A version 3 (MLD 2) message is a report with one
 * record of type `record` without sources; in older ones TO_INCLUDE is a leave (IGMPv1 has none: 0 is returned), every
 * other record a report dst      receives where it goes: the group, all routers, or the all-v3-routers group. Hop limit
 * 1, router alert
 *
 * Returns the length.
 */
size_t wi_mcast_put(uint8_t *p, struct weir_addr *dst, bool is_v6, uint8_t version, enum wi_mcast_record record,
                    const struct weir_addr *group);

#endif
