/*
 * Segments that no stack made: old duplicates, floods, guesses.
 */
#include "io/bytes.h"
#include "lab/lab.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define IP_HDR  20u
#define TCP_HDR 20u
#define LEN_MAX 1400u

/* The Internet checksum (RFC 1071) of `len` bytes, begun with `sum`. */
static uint16_t checksum(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static size_t write_segment(uint8_t *ip, const struct wlb_forged *f)
{
    uint8_t *tcp = ip + IP_HDR;
    uint32_t tcp_len = TCP_HDR + f->len;
    memset(ip, 0, IP_HDR + tcp_len);
    ip[0] = 0x45;
    wio_put16(ip + 2, IP_HDR + tcp_len);
    wio_put16(ip + 6, 0x4000); /* DF */
    ip[8] = 64;
    ip[9] = WEIR_IPPROTO_TCP;
    memcpy(ip + 12, f->src.b + 12, 4);
    memcpy(ip + 16, f->dst.b + 12, 4);
    wio_put16(ip + 10, checksum(ip, IP_HDR, 0));
    wio_put16(tcp, f->src_port);
    wio_put16(tcp + 2, f->dst_port);
    wio_put32(tcp + 4, f->seq);
    wio_put32(tcp + 8, f->ack);
    wio_put16(tcp + 12, TCP_HDR / 4 << 12 | f->flags);
    wio_put16(tcp + 14, f->win);
    uint32_t pseudo = WEIR_IPPROTO_TCP + tcp_len;
    for (unsigned i = 12; i < 20; i += 2)
        pseudo += (uint32_t)ip[i] << 8 | ip[i + 1];
    wio_put16(tcp + 16, checksum(tcp, tcp_len, pseudo));
    return IP_HDR + tcp_len;
}

bool wlb_forge(struct wlb_lab *lab, struct wlb_lab_link *l, enum wio_side from, const struct wlb_forged *f)
{
    uint8_t bytes[IP_HDR + TCP_HDR + LEN_MAX];
    if (l->cfg.type != WEIR_LINK_RAW_IP || f->len > LEN_MAX)
        return wlb_fail(lab, "a forged segment goes on a link of type ip, with at most %u bytes", LEN_MAX);
    size_t len = write_segment(bytes, f);
    struct weir_pkt *pkt = weir_pkt_from(wsim_pool(l->ends[from]), bytes, len);
    if (!pkt)
        return wlb_fail(lab, "out of memory");
    wsim_link_send(lab->world, l->index + 1, from, pkt);
    return true;
}
