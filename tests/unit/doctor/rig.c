/*
 * Packets for the doctor (rig.h).
 */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

static void put16(uint8_t *b, unsigned v)
{
    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}

static void put32(uint8_t *b, uint32_t v)
{
    put16(b, v >> 16);
    put16(b + 2, v & 0xffff);
}

static void on_result(void *ctx, const struct wdc_result *r)
{
    struct rig *rig = ctx;
    assert_true(rig->result_n < sizeof rig->results / sizeof rig->results[0]);
    rig->results[rig->result_n++] = *r;
}

void rig_init_config(struct rig *r, const struct wdc_config *cfg)
{
    struct wdc_config c = *cfg;
    memset(r, 0, sizeof *r);
    c.on_result = on_result;
    c.ctx = r;
    r->doc = wdc_new(&c);
    r->at = WEIR_SEC(1000);
    r->client_port = 40000;
    r->iss[CLIENT] = UINT32_MAX - 2000; /* numbers wrap */
    r->iss[SERVER] = 7;
    r->ids[CLIENT] = 100;
    r->ids[SERVER] = 9000;
    r->only = -1;
    assert_non_null(r->doc);
}

void rig_init(struct rig *r)
{
    rig_init_config(r, &(struct wdc_config){0});
}

void rig_free(struct rig *r)
{
    wdc_free(r->doc);
}

void rig_wait(struct rig *r, weir_ns t)
{
    r->at += t;
}

void rig_frame(struct rig *r, uint32_t linktype, const uint8_t *bytes, uint32_t len)
{
    uint32_t captured = r->is_truncated && len > 54 ? 54 : len;
    uint8_t *copy = malloc(captured ? captured : 1); /* no larger, so that a sanitizer sees a byte too many */
    memcpy(copy, bytes, captured);
    wdc_packet(r->doc, &(struct wdc_frame){.at = r->at,
                                           .number = ++r->number,
                                           .linktype = linktype,
                                           .interface = r->interface,
                                           .bytes = copy,
                                           .captured = captured,
                                           .len = len});
    free(copy);
}

static uint16_t sum(const uint8_t *b, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i++)
        sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static size_t put_options(uint8_t *o, const struct seg *s)
{
    size_t n = 0;
    if (s->flags & SYN) {
        o[n] = 2, o[n + 1] = 4;
        put16(o + n + 2, s->ts ? MSS + 12 : MSS);
        n += 4;
        o[n++] = 4, o[n++] = 2, o[n++] = 1, o[n++] = 1;
    }
    if (s->wscale) {
        o[n++] = 1, o[n++] = 3, o[n++] = 3;
        o[n++] = (uint8_t)(s->wscale - 1);
    }
    if (s->ts) {
        o[n++] = 1, o[n++] = 1, o[n++] = 8, o[n++] = 10;
        put32(o + n, s->ts);
        put32(o + n + 4, s->echo);
        n += 8;
    }
    return n;
}

static size_t put_ip(const struct rig *r, uint8_t *b, int from, uint8_t proto, uint32_t len)
{
    b[0] = 0x45;
    put16(b + 2, 20 + len);
    b[6] = 0x40;
    b[8] = 64;
    b[9] = proto;
    put32(b + 12, from == CLIENT ? 0x0a000001 : 0x0a000002);
    put32(b + 16, from == CLIENT ? 0x0a000002 : 0x0a000001);
    (void)r;
    return 20;
}

void rig_send(struct rig *r, const struct seg *s)
{
    static uint8_t b[70000];
    if (r->only >= 0 && s->from != r->only)
        return;
    memset(b, 0, 120);
    uint8_t *t = b + 20, *o = t + 20;
    size_t options = put_options(o, s);
    if (s->sack_n) {
        o[options++] = 1, o[options++] = 1, o[options++] = 5;
        o[options++] = (uint8_t)(2 + 8 * s->sack_n);
        for (unsigned i = 0; i < 2 * s->sack_n; i++, options += 4)
            put32(o + options, r->iss[!s->from] + s->sack[i]);
    }
    uint32_t len = 20 + (uint32_t)options + s->len;
    memset(b + 40 + options, 'x', s->len);
    put_ip(r, b, s->from, 6, len);
    put16(b + 4, s->id ? s->id : ++r->ids[s->from]);
    if (s->ttl)
        b[8] = s->ttl;
    put16(t, s->from == CLIENT ? r->client_port : 80);
    put16(t + 2, s->from == CLIENT ? 80 : r->client_port);
    put32(t + 4, r->iss[s->from] + s->seq);
    put32(t + 8, s->flags & ACK ? r->iss[!s->from] + s->ack : 0);
    t[12] = (uint8_t)((20 + options) / 4 << 4);
    t[13] = (uint8_t)s->flags;
    put16(t + 14, s->is_zero ? 0 : s->win ? s->win : 60000);
    uint16_t pseudo = sum(b + 12, 8, 6 + len);
    put16(t + 16, s->is_sum_owed ? pseudo : (uint16_t)~sum(t, len, pseudo));
    if (s->is_sum_bad)
        t[16] ^= 0x15;
    rig_frame(r, 101, b, 20 + len);
}

void rig_handshake(struct rig *r, weir_ns to_server, weir_ns to_client)
{
    SEND(r, .from = CLIENT, .flags = SYN, .wscale = 8);
    rig_wait(r, to_server);
    SEND(r, .from = SERVER, .flags = SYN | ACK, .ack = 1, .wscale = 8);
    rig_wait(r, to_client);
    SEND(r, .from = CLIENT, .flags = ACK, .seq = 1, .ack = 1);
}

void rig_icmp(struct rig *r, uint8_t type, uint8_t code, uint16_t mtu)
{
    uint8_t b[56] = {0};
    put_ip(r, b, SERVER, 1, 36);
    b[15] = 254; /* a router */
    b[20] = type;
    b[21] = code;
    put16(b + 26, mtu);
    put_ip(r, b + 28, CLIENT, 6, 40);
    put16(b + 48, r->client_port);
    put16(b + 50, 80);
    put32(b + 52, r->iss[CLIENT]);
    rig_frame(r, 101, b, sizeof b);
}

void rig_arp(struct rig *r, uint16_t op, const uint8_t mac[6], uint8_t sender, uint8_t target)
{
    uint8_t b[42] = {0};
    memcpy(b + 6, mac, 6);
    put16(b + 12, 0x0806);
    memcpy(b + 14, (const uint8_t[]){0, 1, 8, 0, 6, 4}, 6);
    put16(b + 20, op);
    memcpy(b + 22, mac, 6);
    put32(b + 28, 0x0a000000 + sender);
    put32(b + 38, 0x0a000000 + target);
    rig_frame(r, 1, b, sizeof b);
}

/* ---- What was said ---- */

void rig_finish(struct rig *r)
{
    wdc_finish(r->doc);
}

const struct wdc_finding *rig_finding(const struct rig *r, unsigned n, enum wdc_verdict id)
{
    assert_true(n < r->result_n);
    for (uint32_t i = 0; i < r->results[n].finding_n; i++)
        if (r->results[n].findings[i].id == id)
            return &r->results[n].findings[i];
    return NULL;
}

void rig_says(struct rig *r, enum wdc_verdict id, enum wdc_whose whose, enum wdc_sure sure)
{
    if (r->result_n == 0)
        rig_finish(r);
    const struct wdc_finding *f = rig_finding(r, 0, id);
    if (!f) {
        for (uint32_t i = 0; i < r->results[0].finding_n; i++)
            print_error("said: %s: %s\n", wdc_verdict_name(r->results[0].findings[i].id),
                        r->results[0].findings[i].what);
        fail_msg("not said: %s", wdc_verdict_name(id));
    }
    assert_int_equal(f->whose, whose);
    assert_int_equal(f->sure, sure);
    assert_true(f->what[0] != '\0');
}

void rig_denies(const struct rig *r, enum wdc_verdict id)
{
    if (rig_finding(r, 0, id))
        fail_msg("said: %s: %s", wdc_verdict_name(id), rig_finding(r, 0, id)->what);
}
