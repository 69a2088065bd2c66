/*
 * Packets for the doctor, and what it says of them. Numbers are relative: a SYN has 0, the first byte 1.
 */
#ifndef RIG_H
#define RIG_H

#include "doctor/doctor.h"
#include "io/frame.h"

/* cmocka.h wants these first */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { CLIENT, SERVER };
enum { FIN = WIO_TCP_FIN, SYN = WIO_TCP_SYN, RST = WIO_TCP_RST, PSH = WIO_TCP_PSH, ACK = WIO_TCP_ACK };

#define MSS 1000u

struct rig {
    struct wdc *doc;
    weir_ns at;
    uint64_t number;
    uint16_t ids[2];
    uint16_t client_port;
    uint32_t iss[2];
    bool is_truncated;  /* 54 bytes of each packet are captured */
    int only;           /* this side's packets alone are captured; -1: both */
    uint32_t interface; /* of the capture */
    unsigned result_n;
    struct wdc_result results[16];
};

struct seg {
    int from;
    unsigned flags;
    uint32_t seq, ack, len;
    uint16_t win;      /* 0: 60000 */
    bool is_zero;      /* the window is */
    int wscale;        /* of a SYN, plus one; 0: no such option */
    uint32_t ts, echo; /* ts 0: no timestamps */
    uint32_t sack[4];
    unsigned sack_n; /* blocks */
    uint8_t ttl;     /* 0: 64 */
    uint16_t id;     /* 0: the next one */
    bool is_sum_bad, is_sum_owed;
};

void rig_init(struct rig *);
void rig_init_config(struct rig *, const struct wdc_config *);
void rig_free(struct rig *);

void rig_wait(struct rig *, weir_ns);
void rig_send(struct rig *, const struct seg *);
void rig_frame(struct rig *, uint32_t linktype, const uint8_t *, uint32_t len);
#define SEND(r, ...) rig_send(r, &(struct seg){__VA_ARGS__})

/* SYN, SYN-ACK after `to_server`, ACK after `to_client`: near the client the latter is 0. */
void rig_handshake(struct rig *, weir_ns to_server, weir_ns to_client);

/* An ICMP error in which somebody quotes the client's SYN; ARP requests (op 1) and replies (op 2). */
void rig_icmp(struct rig *, uint8_t type, uint8_t code, uint16_t mtu);
void rig_arp(struct rig *, uint16_t op, const uint8_t mac[6], uint8_t sender, uint8_t target);

/* End the capture. What was said of the n-th connection; NULL: not that. */
void rig_finish(struct rig *);
const struct wdc_finding *rig_finding(const struct rig *, unsigned n, enum wdc_verdict);
void rig_says(struct rig *, enum wdc_verdict, enum wdc_whose, enum wdc_sure); /* of the only connection; the end */
void rig_denies(const struct rig *, enum wdc_verdict);

#endif
