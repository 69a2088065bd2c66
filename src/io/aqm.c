/* Marking and dropping before a queue is full, and marking itself (aqm.h). */
#include "io/aqm.h"

#include <string.h>

#define ETH_HDR   14
#define IPV4_HDR  20
#define FRAME_MAX (65535 + ETH_HDR)
#define ECN_CE    3u

/* ---- CoDel ---- */

static uint64_t isqrt(uint64_t v)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 62; bit; bit >>= 2) {
        if (v >= root + bit) {
            v -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

/* RFC 8289 5.5's control law: marks come closer together with the root of their number. */
static weir_ns after(weir_ns t, weir_ns interval, uint32_t count)
{
    return t + interval * 1024 / isqrt((uint64_t)count << 20);
}

/* RFC 8289 5.6, dodequeue: has the delay been above the target for a whole interval? */
static bool is_standing(struct wio_codel *q, weir_ns start, weir_ns wait, weir_ns target, weir_ns interval)
{
    if (wait < target) {
        q->first_above = 0;
        return false;
    }
    if (q->first_above == 0) {
        q->first_above = start + interval;
        return false;
    }
    return start >= q->first_above;
}

enum wio_aqm_fate wio_codel_judge(struct wio_codel *q, weir_ns start, weir_ns wait, weir_ns target, weir_ns interval,
                                  bool is_ect)
{
    bool stands = is_standing(q, start, wait, target, interval);
    if (!stands) {
        q->is_on = false;
        return WIO_AQM_PASS;
    }
    if (q->is_on) {
        if (start < q->next)
            return WIO_AQM_PASS;
        q->count += q->count < UINT32_MAX;
        q->next = after(q->next, interval, q->count);
    } else {
        /* It was on a moment ago: go on with about the rate that was right then. RFC 8289 5.6. */
        uint32_t delta = q->count - q->last_count;
        q->count = delta > 1 && start - q->next < 16 * interval ? delta : 1;
        q->last_count = q->count;
        q->next = after(start, interval, q->count);
        q->is_on = true;
    }
    return is_ect ? WIO_AQM_MARK : WIO_AQM_DROP;
}

/* ---- The ECN field ---- */

/* Where the IP header begins; false: there is none, or not as much of it as is needed. */
static bool find_ip(const uint8_t *b, size_t len, enum weir_link_type type, size_t *at)
{
    *at = type == WEIR_LINK_ETHERNET ? ETH_HDR : 0;
    if (len < *at + IPV4_HDR)
        return false;
    unsigned ethertype = type == WEIR_LINK_ETHERNET ? (unsigned)(b[12] << 8 | b[13]) : 0;
    unsigned version = b[*at] >> 4;
    if (type != WEIR_LINK_ETHERNET)
        return version == 4 || version == 6;
    return (ethertype == 0x0800 && version == 4) || (ethertype == 0x86dd && version == 6);
}

unsigned wio_ecn_of(const struct weir_pkt *p, enum weir_link_type type)
{
    uint8_t b[ETH_HDR + IPV4_HDR];
    size_t at, len = weir_pkt_copy(p, 0, b, sizeof b);
    if (!find_ip(b, len, type, &at))
        return 0;
    return b[at] >> 4 == 4 ? b[at + 1] & 3 : b[at + 1] >> 4 & 3;
}

/* RFC 1624 eqn. 3, for the word that ToS is the low half of: it grew by `more`. */
static void adjust_checksum(uint8_t *ip, unsigned more)
{
    uint32_t sum = (uint32_t)(ip[10] << 8 | ip[11]);
    uint32_t was = (uint32_t)(ip[0] << 8 | ip[1]) - more, is = was + more;
    sum = (~sum & 0xffff) + (~was & 0xffff) + is;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

static void set_ce(uint8_t *ip)
{
    if (ip[0] >> 4 == 6) {
        ip[1] |= ECN_CE << 4;
        return;
    }
    unsigned more = ECN_CE - (ip[1] & ECN_CE);
    ip[1] |= ECN_CE;
    adjust_checksum(ip, more);
}

/* The whole packet anew: its headers lie in blocks that others may view. */
static struct weir_pkt *copy_of(const struct weir_pkt *p)
{
    uint8_t bytes[FRAME_MAX];
    size_t len = weir_pkt_copy(p, 0, bytes, sizeof bytes);
    struct weir_pkt *q = len == p->len ? weir_pkt_from(p->pool, bytes, len) : NULL;
    if (q) {
        q->serial = p->serial;
        q->flags = p->flags;
    }
    return q;
}

struct weir_pkt *wio_ecn_mark(struct weir_pkt *p, enum weir_link_type type)
{
    if (wio_ecn_of(p, type) == ECN_CE)
        return p;
    size_t at = type == WEIR_LINK_ETHERNET ? ETH_HDR : 0;
    struct weir_pkt *q = p->head_len >= at + IPV4_HDR ? weir_pkt_clone(p->pool, p) : copy_of(p);
    weir_pkt_unref(p);
    if (!q)
        return NULL;
    uint8_t *b = q->head_len >= at + IPV4_HDR ? q->room + q->head_off : q->frags[0].block->data + q->frags[0].off;
    set_ce(b + at);
    return q;
}
