/*
 * Reads just enough of a frame to name its segment (frame.h). Bounds come from the bytes that are there, never from a
 * length field alone.
 */
#include "io/frame.h"
#include "io/bytes.h"

#include <string.h>

#define LOOK_CAP 256 /* more than the longest headers that weir writes */

#define PROTO_HOPOPTS  0
#define PROTO_TCP      6
#define PROTO_UDP      17
#define PROTO_ROUTING  43
#define PROTO_FRAGMENT 44
#define PROTO_DSTOPTS  60

struct view {
    const uint8_t *b;
    size_t len;   /* bytes at b */
    size_t whole; /* of the IP packet by its own length field */
};

/* Returns the transport header's offset, 0 for what has none here. */
static size_t look_ipv4(struct wio_frame *f, struct view *v)
{
    if (v->len < 20)
        return 0;
    size_t hdr = (size_t)(v->b[0] & 15) * 4;
    v->whole = wio_get16(v->b + 2);
    f->src.addr = weir_addr_v4(v->b[12], v->b[13], v->b[14], v->b[15]);
    f->dst.addr = weir_addr_v4(v->b[16], v->b[17], v->b[18], v->b[19]);
    f->src.family = f->dst.family = WEIR_AF_INET;
    f->proto = v->b[9];
    bool is_later_fragment = (wio_get16(v->b + 6) & 0x1fff) != 0;
    return hdr < 20 || is_later_fragment ? 0 : hdr;
}

static size_t look_ipv6(struct wio_frame *f, struct view *v)
{
    if (v->len < 40)
        return 0;
    v->whole = 40u + wio_get16(v->b + 4);
    memcpy(f->src.addr.b, v->b + 8, 16);
    memcpy(f->dst.addr.b, v->b + 24, 16);
    f->src.family = f->dst.family = WEIR_AF_INET6;
    size_t at = 40;
    uint8_t next = v->b[6];
    while (next == PROTO_HOPOPTS || next == PROTO_ROUTING || next == PROTO_FRAGMENT || next == PROTO_DSTOPTS) {
        if (at + 8 > v->len)
            return 0;
        if (next == PROTO_FRAGMENT && (wio_get16(v->b + at + 2) & 0xfff8) != 0)
            return 0;
        size_t hdr = next == PROTO_FRAGMENT ? 8 : ((size_t)v->b[at + 1] + 1) * 8;
        next = v->b[at];
        at += hdr;
    }
    f->proto = next;
    return at;
}

static uint32_t tcp_kinds(const struct wio_frame *f)
{
    uint32_t kinds = 0;
    if (f->flags & WIO_TCP_RST)
        return 1u << WIO_MATCH_RST;
    if (f->flags & WIO_TCP_SYN)
        kinds |= f->flags & WIO_TCP_ACK ? 1u << WIO_MATCH_SYNACK : 1u << WIO_MATCH_SYN;
    if (f->flags & WIO_TCP_FIN)
        kinds |= 1u << WIO_MATCH_FIN;
    if (f->len > 0)
        kinds |= 1u << WIO_MATCH_DATA;
    return kinds ? kinds : 1u << WIO_MATCH_ACK;
}

static void look_tcp(struct wio_frame *f, const struct view *v, size_t at)
{
    if (at + 20 > v->len)
        return;
    const uint8_t *t = v->b + at;
    size_t hdr = (size_t)(t[12] >> 4) * 4;
    if (hdr < 20 || at + hdr > v->whole)
        return;
    f->src.port = wio_get16(t);
    f->dst.port = wio_get16(t + 2);
    f->seq = wio_get32(t + 4);
    f->ack = wio_get32(t + 8);
    f->flags = (uint16_t)((t[12] & 1) << 8 | t[13]);
    f->len = (uint32_t)(v->whole - at - hdr);
    f->kinds |= tcp_kinds(f);
}

static void look_udp(struct wio_frame *f, const struct view *v, size_t at)
{
    if (at + 8 > v->len || at + 8 > v->whole)
        return;
    f->src.port = wio_get16(v->b + at);
    f->dst.port = wio_get16(v->b + at + 2);
    f->len = (uint32_t)(v->whole - at - 8);
    f->kinds |= 1u << WIO_MATCH_UDP;
}

static void look_ip(struct wio_frame *f, struct view *v, bool is_super)
{
    size_t l4 = 0, on_wire = v->whole;
    if (v->len > 0 && v->b[0] >> 4 == 4)
        l4 = look_ipv4(f, v);
    else if (v->len > 0 && v->b[0] >> 4 == 6)
        l4 = look_ipv6(f, v);
    if (is_super) /* its length field may hold less than it carries */
        v->whole = on_wire;
    if (l4 > 0 && f->proto == PROTO_TCP)
        look_tcp(f, v, l4);
    else if (l4 > 0 && f->proto == PROTO_UDP)
        look_udp(f, v, l4);
}

struct wio_frame wio_frame_look(const struct weir_pkt *p, enum weir_link_type type)
{
    struct wio_frame f = {.kinds = 1u << WIO_MATCH_PKT};
    uint8_t room[LOOK_CAP];
    size_t l2 = type == WEIR_LINK_ETHERNET ? 14 : 0;
    struct view v = {room, weir_pkt_copy(p, 0, room, sizeof room), p->len};
    bool is_ip = v.len > l2 && (l2 == 0 || wio_get16(room + 12) == 0x0800 || wio_get16(room + 12) == 0x86dd);
    if (is_ip) {
        v.b += l2;
        v.len -= l2;
        v.whole -= l2;
        look_ip(&f, &v, p->gso_size > 0);
    }
    if (f.kinds == 1u << WIO_MATCH_PKT)
        f.kinds |= 1u << WIO_MATCH_OTHER;
    return f;
}
