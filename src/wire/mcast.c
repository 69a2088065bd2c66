/*
 * IGMP and MLD as a host hears and speaks them: RFC 2236, 3376, 2710, 3810.
 */
#include "wire/mcast.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/str.h"

enum {
    IGMP_QUERY = 0x11,
    IGMP_V1_REPORT = 0x12,
    IGMP_V2_REPORT = 0x16,
    IGMP_LEAVE = 0x17,
    IGMP_V3_REPORT = 0x22,
    MLD_QUERY = 130,
    MLD_REPORT = 131,
    MLD_DONE = 132,
    MLD_V2_REPORT = 143,
};

#define IGMP_LEN            8
#define IGMP_V3_QUERY       12
#define MLD_LEN             24
#define MLD_V2_QUERY        28
#define RECORDS_HDR         8      /* of an IGMPv3 or MLDv2 report */
#define IGMP_V1_MAX_RESP_MS 10000u /* RFC 3376 4.1.1 */

/* A floating-point time of `bits` bits: the values from 2^(bits-1) on are mantissa and exponent. RFC 3376 4.1.1, RFC
 * 3810 5.1.3. */
static uint32_t time_code(uint32_t code, unsigned bits)
{
    unsigned mant_bits = bits - 4;

    if (code < 1u << (bits - 1))
        return code;
    uint32_t mant = code & ((1u << mant_bits) - 1);
    return (mant | 1u << mant_bits) << ((code >> mant_bits & 7) + 3);
}

static bool is_group(const struct weir_addr *a, bool is_v6)
{
    return weir_addr_is_v4(a) != is_v6 && weir_addr_is_multicast(a);
}

static enum weir_drop read_igmp_query(struct wi_mcast *h, const uint8_t *p, size_t len)
{
    if (len > IGMP_LEN && len < IGMP_V3_QUERY)
        return WEIR_DROP_MCAST_SHORT; /* RFC 3376 7.1: of no version */

    h->kind = WI_MCAST_QUERY;
    h->group = wi_addr_get4(p + 4);
    if (len == IGMP_LEN) {
        h->version = p[1] == 0 ? 1 : 2;
        h->max_resp_ms = p[1] == 0 ? IGMP_V1_MAX_RESP_MS : p[1] * 100u;
    } else {
        h->version = 3;
        h->max_resp_ms = time_code(p[1], 8) * 100;
        h->source_n = wi_get16(p + 10);
        if (len - IGMP_V3_QUERY < (size_t)h->source_n * 4)
            return WEIR_DROP_MCAST_SHORT;
    }
    h->is_general =
        h->version == 1 || weir_addr_is_any(&h->group); /* IGMPv1 leaves the field to chance: RFC 1112 app. I */
    if (!h->is_general && !is_group(&h->group, false))
        return WEIR_DROP_MCAST_GROUP;
    if (h->is_general)
        h->group = (struct weir_addr){{0}};
    return WEIR_DROP_NONE;
}

/* A report or a leave about the one group whose address is `group`. */
static enum weir_drop read_single(struct wi_mcast *h, enum wi_mcast_kind kind, uint8_t version, struct weir_addr group,
                                  bool is_v6)
{
    h->kind = kind;
    h->version = version;
    h->group = group;
    return is_group(&group, is_v6) ? WEIR_DROP_NONE : WEIR_DROP_MCAST_GROUP;
}

enum weir_drop wi_igmp_parse(struct wi_mcast *out, const uint8_t *p, size_t len)
{
    if (len < IGMP_LEN)
        return WEIR_DROP_MCAST_SHORT;
    if (wi_csum_finish(wi_csum_add(0, p, len)) != 0)
        return WEIR_DROP_MCAST_CSUM;

    struct wi_mcast h = {0};
    enum weir_drop why = WEIR_DROP_NONE;
    switch (p[0]) {
    case IGMP_QUERY: why = read_igmp_query(&h, p, len); break;
    case IGMP_V1_REPORT: why = read_single(&h, WI_MCAST_REPORT, 1, wi_addr_get4(p + 4), false); break;
    case IGMP_V2_REPORT: why = read_single(&h, WI_MCAST_REPORT, 2, wi_addr_get4(p + 4), false); break;
    case IGMP_LEAVE: why = read_single(&h, WI_MCAST_LEAVE, 2, wi_addr_get4(p + 4), false); break;
    case IGMP_V3_REPORT:
        h.kind = WI_MCAST_REPORT_V2;
        h.version = 3;
        break;
    default: return WEIR_DROP_MCAST_TYPE;
    }
    if (why == WEIR_DROP_NONE)
        *out = h;
    return why;
}

static enum weir_drop read_mld_query(struct wi_mcast *h, const uint8_t *p, size_t len)
{
    if (len > MLD_LEN && len < MLD_V2_QUERY)
        return WEIR_DROP_MCAST_SHORT; /* RFC 3810 8.1: of no version */

    h->kind = WI_MCAST_QUERY;
    h->version = len == MLD_LEN ? 1 : 2;
    h->group = wi_addr_get16(p + 8);
    h->is_general = weir_addr_is_any(&h->group);
    h->max_resp_ms = h->version == 1 ? wi_get16(p + 4) : time_code(wi_get16(p + 4), 16);
    if (h->version == 2) {
        h->source_n = wi_get16(p + 26);
        if (len - MLD_V2_QUERY < (size_t)h->source_n * 16)
            return WEIR_DROP_MCAST_SHORT;
    }
    return h->is_general || is_group(&h->group, true) ? WEIR_DROP_NONE : WEIR_DROP_MCAST_GROUP;
}

/* From the link, and saying so: RFC 3810 5.1.14 for queries. A report may come from :: (5.2.13). */
static bool is_mld_src_ok(const struct wi_ip *ip, uint8_t type)
{
    bool may_be_any = type != MLD_QUERY && weir_addr_is_any(&ip->src);

    return ip->ttl == 1 && ip->is_router_alert && (weir_addr_is_linklocal(&ip->src) || may_be_any);
}

enum weir_drop wi_mld_parse(struct wi_mcast *out, const struct wi_ip *ip, const uint8_t *p, size_t len)
{
    if (len < RECORDS_HDR || (p[0] != MLD_V2_REPORT && len < MLD_LEN))
        return WEIR_DROP_MCAST_SHORT;
    if (!is_mld_src_ok(ip, p[0]))
        return WEIR_DROP_MCAST_SRC;

    struct wi_mcast h = {0};
    enum weir_drop why = WEIR_DROP_NONE;
    switch (p[0]) {
    case MLD_QUERY: why = read_mld_query(&h, p, len); break;
    case MLD_REPORT: why = read_single(&h, WI_MCAST_REPORT, 1, wi_addr_get16(p + 8), true); break;
    case MLD_DONE: why = read_single(&h, WI_MCAST_LEAVE, 1, wi_addr_get16(p + 8), true); break;
    case MLD_V2_REPORT:
        h.kind = WI_MCAST_REPORT_V2;
        h.version = 2;
        break;
    default: return WEIR_DROP_MCAST_TYPE;
    }
    if (why == WEIR_DROP_NONE)
        *out = h;
    return why;
}

static const struct weir_addr all_routers6 = {{0xff, 2, [15] = 2}};
static const struct weir_addr all_v2_routers6 = {{0xff, 2, [15] = 0x16}};

/* A report with one record and no sources: the same in IGMPv3 and MLDv2 but for the address's length. */
static size_t put_record(uint8_t *p, bool is_v6, enum wi_mcast_record record, const struct weir_addr *group)
{
    p[0] = is_v6 ? MLD_V2_REPORT : IGMP_V3_REPORT;
    wi_put16(p + 6, 1);
    p[8] = (uint8_t)record;
    if (is_v6)
        memcpy(p + 12, group->b, sizeof(group->b));
    else
        wi_addr_put4(p + 12, group);
    return is_v6 ? 28 : 16;
}

static size_t put_igmp(uint8_t *p, struct weir_addr *dst, uint8_t version, bool is_leave, const struct weir_addr *group)
{
    if (version == 1 && is_leave)
        return 0;
    p[0] = is_leave ? IGMP_LEAVE : version == 1 ? IGMP_V1_REPORT : IGMP_V2_REPORT;
    wi_addr_put4(p + 4, group);
    *dst = is_leave ? weir_addr_v4(224, 0, 0, 2) : *group;
    return IGMP_LEN;
}

size_t wi_mcast_put(uint8_t *p, struct weir_addr *dst, bool is_v6, uint8_t version, enum wi_mcast_record record,
                    const struct weir_addr *group)
{
    bool is_leave = record == WI_MCAST_TO_INCLUDE;

    memset(p, 0, WI_MCAST_LEN_MAX);
    if (version >= (is_v6 ? 2 : 3)) {
        *dst = is_v6 ? all_v2_routers6 : weir_addr_v4(224, 0, 0, 22);
        return put_record(p, is_v6, record, group);
    }
    if (!is_v6)
        return put_igmp(p, dst, version, is_leave, group);
    p[0] = is_leave ? MLD_DONE : MLD_REPORT;
    memcpy(p + 8, group->b, sizeof(group->b));
    *dst = is_leave ? all_routers6 : *group;
    return MLD_LEN;
}
