/*
 * The TCP header and its options (RFC 9293 3.1, 3.2; 7323, 2018, 7413, 9768), in the order and with the padding that
 * Linux writes.
 *
 * Pure syntax: what an option means for a connection, and whether it was negotiated, is src/tcp's business.
 */
#ifndef WI_WIRE_TCP_H
#define WI_WIRE_TCP_H

#include "base/seq.h"
#include <weir/drop.h>
#include <weir/types.h>

#define WI_TCP_HDR_MIN  20
#define WI_TCP_HDR_MAX  60
#define WI_TCP_CSUM_OFF 16

#define WI_TCP_SACK_MAX      4 /* blocks that fit into 40 bytes of options; 3 beside timestamps */
#define WI_TCP_FO_COOKIE_MIN 4 /* RFC 7413 4.1.1 */
#define WI_TCP_FO_COOKIE_MAX 16
#define WI_TCP_WSCALE_MAX    14 /* RFC 7323 2.3 */

enum wi_tcp_flag {
    WI_TH_FIN = 1 << 0,
    WI_TH_SYN = 1 << 1,
    WI_TH_RST = 1 << 2,
    WI_TH_PSH = 1 << 3,
    WI_TH_ACK = 1 << 4,
    WI_TH_URG = 1 << 5,
    WI_TH_ECE = 1 << 6,
    WI_TH_CWR = 1 << 7,
    WI_TH_AE = 1 << 8, /* RFC 9768; was NS */
};

enum wi_tcp_option {
    WI_TCPOPT_EOL = 0,
    WI_TCPOPT_NOP = 1,
    WI_TCPOPT_MSS = 2,
    WI_TCPOPT_WSCALE = 3,
    WI_TCPOPT_SACK_OK = 4,
    WI_TCPOPT_SACK = 5,
    WI_TCPOPT_TS = 8,
    WI_TCPOPT_MD5 = 19,
    WI_TCPOPT_AO = 29,
    WI_TCPOPT_FO = 34,
    WI_TCPOPT_ACCECN0 = 172,
    WI_TCPOPT_ACCECN1 = 174,
    WI_TCPOPT_EXP = 254, /* RFC 6994: two bytes of magic say whose it is */
};

#define WI_TCP_FO_MAGIC 0xf989u

/* [lo, hi) */
struct wi_sack_block {
    struct wi_seq lo;
    struct wi_seq hi;
};

struct wi_wire_tcp {
    uint16_t src_port;
    uint16_t dst_port;
    struct wi_seq seq;
    struct wi_seq ack; /* as on the wire, also without WI_TH_ACK */
    uint16_t flags;    /* enum wi_tcp_flag */
    uint16_t wnd;      /* as on the wire: the shift belongs to the connection */
    uint16_t urg;      /* as on the wire, also without WI_TH_URG */
    uint8_t hdr_len;   /* bytes, options included */
    uint8_t opt_len;   /* bytes of options, padding included */
    uint32_t data_off; /* = hdr_len */
    uint32_t data_len;

    uint16_t mss;    /* SYN only; 0: absent, or 0 was sent */
    bool has_wscale; /* SYN only */
    uint8_t wscale;  /* at most WI_TCP_WSCALE_MAX: a larger one is read as that (RFC 7323 2.3) */
    bool sack_ok;    /* SYN only */
    bool has_ts;
    bool has_fo;    /* SYN only: Fast Open; a cookie when fo_len > 0, else the request for one */
    bool fo_exp;    /* in its experimental form, kind 254 */
    bool has_md5;   /* RFC 2385; its digest is not kept */
    bool has_ao;    /* RFC 5925, likewise */
    uint8_t fo_len; /* 0, or WI_TCP_FO_COOKIE_MIN to _MAX, even */
    uint8_t sack_n;
    uint8_t accecn_n;    /* counters that the AccECN option holds, 0 to 3 */
    uint8_t accecn_kind; /* WI_TCPOPT_ACCECN0 or 1; 0: absent */
    uint32_t tsval;
    uint32_t tsecr;
    struct wi_sack_block sacks[WI_TCP_SACK_MAX]; /* as on the wire: may be nonsense */
    uint32_t accecn[3]; /* 24 bits each, in the option's order: kind 172 e0b, ceb, e1b; kind 174 e1b, ceb, e0b (RFC
                           9768 3.2.3) */
    uint8_t fo_cookie[WI_TCP_FO_COOKIE_MAX];
};

/*
 * Read the header of a segment of seg_len bytes (IP's say), of which lin_len lie at `seg`; its header must be among
 * them.
 *
 * Options as Linux reads them: unknown ones, and known ones of a wrong length, are skipped; one whose length makes no
 * sense ends the reading and what was read so far counts (RFC 9293 MUST-6, MUST-7); of two of a kind the last counts.
 * Options that belong to a SYN are ignored elsewhere. The checksum is verified by the caller. On a drop reason *out is
 * left alone. TCP_SHORT, TCP_OFFSET.
 */
enum weir_drop wi_wire_tcp_parse(struct wi_wire_tcp *out, const uint8_t *seg, size_t lin_len, size_t seg_len);

/* How long the header will be with its options, a multiple of 4. More than WI_TCP_HDR_MAX: they don't fit, and put will
 * refuse. */
size_t wi_wire_tcp_hdr_len(const struct wi_wire_tcp *);

/*
 * Write header and options, checksum field 0. Written are the fields up to `urg`, and each option that is there; of MD5
 * and AO none.
 *
 *   SYN       mss, sackOK, TS, nop, wscale · mss, nop, nop, sackOK, nop, wscale · mss, nop, nop, TS, nop, wscale; then
 * Fast Open others    nop, nop, TS, nop, nop, sack AccECN    after TS; its odd bytes take the place of the next NOPs
 *
 * Returns the header's length, or 0 and nothing written when it exceeds `cap` or WI_TCP_HDR_MAX.
 */
size_t wi_wire_tcp_put(uint8_t *p, size_t cap, const struct wi_wire_tcp *);

/* Sequence space that the segment takes: SEG.LEN of RFC 9293 3.4. */
static inline uint32_t wi_wire_tcp_seg_len(const struct wi_wire_tcp *h)
{
    return h->data_len + ((h->flags & WI_TH_SYN) != 0) + ((h->flags & WI_TH_FIN) != 0);
}

#endif
