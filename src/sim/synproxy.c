/*
 * The SYN proxy (synproxy.h): cookies, the flows that it remembers once they are real, and the translation.
 */
#include "sim/synproxy.h"

#include "io/bytes.h"
#include "io/frame.h"
#include "sim/router.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define IP_HDR      20u
#define TCP_HDR     20u
#define MSS_OPTION  4u
#define BUCKETS     1024u
#define FLOWS_MAX   65536u
#define SYN_TRIES   5
#define COOKIE_TICK WEIR_SEC(60)   /* a cookie is good for one to two of them */
#define IDLE        WEIR_SEC(3600) /* a silent connection is forgotten */
#define LAST_WORDS  WEIR_SEC(60)   /* after a reset or both FINs: repeats may come */
#define MSS_OWN     1460u

enum phase {
    SYN_SENT, /* the client's cookie was right, the server has not answered yet */
    OPEN,
};

struct flow {
    struct wsim_alarm alarm; /* first: the callback gets its address */
    struct wsim_synproxy *proxy;
    struct flow *next; /* of its bucket */
    struct weir_addr client;
    uint16_t client_port, server_port;
    uint32_t client_link;
    enum phase phase;
    unsigned tries;
    uint32_t isn;    /* the client's */
    uint32_t cookie; /* what the client takes for the server's */
    uint32_t shift;  /* the server's number plus this is the client's view of it */
    uint16_t mss, win;
    bool fin_client, fin_server;
};

struct wsim_synproxy {
    struct wsim_host *host;
    struct weir_addr server;
    uint64_t key[2];
    struct flow *buckets[BUCKETS];
    unsigned flow_n;
};

/* A TCP segment's header, looked at; `at` counts its bytes from the packet's start. */
struct segment {
    struct weir_addr src, dst;
    uint16_t src_port, dst_port, win;
    uint32_t seq, ack, tcp_at, tcp_len;
    uint8_t flags;
    const uint8_t *tcp;
};

/* ---- SipHash-2-4 (Aumasson and Bernstein, 2012) of whole words ---- */

static uint64_t rotate(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t sip(const uint64_t key[2], const uint64_t *words, unsigned n)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                     key[1] ^ 0x7465646279746573};
    for (unsigned i = 0; i <= n; i++) {
        uint64_t m = i < n ? words[i] : (uint64_t)n * 8 << 56;
        v[3] ^= m;
        sip_round(v);
        sip_round(v);
        v[0] ^= m;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- Cookies: 5 bits of time, 3 of the segment size, 24 of a keyed hash over all that is to come back ---- */

static const uint16_t sizes[8] = {216, 536, 1200, 1300, 1360, 1400, 1440, MSS_OWN};

static uint32_t cookie_of(const struct wsim_synproxy *p, const struct segment *s, uint32_t isn, uint32_t tick,
                          uint32_t size)
{
    uint64_t words[5], hash;
    memcpy(words, s->src.b, 16);
    words[2] = (uint64_t)s->src_port << 16 | s->dst_port;
    words[3] = (uint64_t)isn << 32 | tick;
    words[4] = size;
    hash = sip(p->key, words, 5);
    return (tick & 31) << 27 | size << 24 | (uint32_t)(hash & 0xffffff);
}

static uint32_t tick_now(const struct wsim_synproxy *p)
{
    return (uint32_t)(wsim_now(p->host->world) / COOKIE_TICK);
}

/* Whether `cookie` is one of ours for a client that began at `isn`; then *mss is what it carries. */
static bool is_ours(const struct wsim_synproxy *p, const struct segment *s, uint32_t isn, uint32_t cookie,
                    uint16_t *mss)
{
    uint32_t now = tick_now(p), age = (now - (cookie >> 27)) & 31, size = cookie >> 24 & 7;
    *mss = sizes[size];
    return age <= 1 && age <= now && cookie_of(p, s, isn, now - age, size) == cookie;
}

/* ---- Headers ---- */

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint32_t sum_of(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
    return sum;
}

/* A whole TCP header that is no fragment of a datagram's. */
static bool look(struct weir_pkt *pkt, struct segment *s)
{
    const uint8_t *ip = weir_pkt_pull(pkt, IP_HDR);
    if (!ip || ip[0] >> 4 != 4 || ip[9] != WEIR_IPPROTO_TCP || (wio_get16(ip + 6) & 0x3fff) != 0)
        return false;
    uint32_t ip_len = (ip[0] & 15u) * 4;
    ip = ip_len >= IP_HDR ? weir_pkt_pull(pkt, ip_len + TCP_HDR) : NULL;
    if (!ip)
        return false;
    uint32_t tcp_len = (uint32_t)(ip[ip_len + 12] >> 4) * 4;
    ip = tcp_len >= TCP_HDR ? weir_pkt_pull(pkt, ip_len + tcp_len) : NULL;
    if (!ip)
        return false;
    const uint8_t *tcp = ip + ip_len;
    *s = (struct segment){
        .src = weir_addr_v4(ip[12], ip[13], ip[14], ip[15]),
        .dst = weir_addr_v4(ip[16], ip[17], ip[18], ip[19]),
        .src_port = (uint16_t)wio_get16(tcp),
        .dst_port = (uint16_t)wio_get16(tcp + 2),
        .seq = wio_get32(tcp + 4),
        .ack = wio_get32(tcp + 8),
        .flags = tcp[13],
        .win = (uint16_t)wio_get16(tcp + 14),
        .tcp_at = ip_len,
        .tcp_len = tcp_len,
        .tcp = tcp,
    };
    return true;
}

/* The MSS option of a SYN; without one 536 (RFC 9293 3.7.1). */
static uint32_t mss_of(const struct segment *s)
{
    for (uint32_t i = TCP_HDR; i < s->tcp_len && s->tcp[i] != 0;) {
        uint32_t len = s->tcp[i] == 1 ? 1 : i + 1 < s->tcp_len ? s->tcp[i + 1] : 0;
        if (len == 0 || i + len > s->tcp_len || (len == 1 && s->tcp[i] != 1))
            break;
        if (s->tcp[i] == 2 && len == MSS_OPTION)
            return wio_get16(s->tcp + i + 2);
        i += len;
    }
    return 536;
}

/* Change a field of 32 bits, and the checksum by the difference (RFC 1624); one that is still owed does not cover it.
 */
static void change(uint8_t *tcp, unsigned at, uint32_t value, bool is_owed)
{
    uint32_t was = wio_get32(tcp + at);
    wio_put32(tcp + at, value);
    if (is_owed)
        return;
    uint32_t sum = (~wio_get16(tcp + 16) & 0xffff) + (~(was >> 16) & 0xffff) + (~was & 0xffff);
    wio_put16(tcp + 16, ~(uint32_t)fold(sum + (value >> 16) + (value & 0xffff)));
}

/* ---- Segments of our own ---- */

struct own {
    struct weir_addr src, dst;
    uint16_t src_port, dst_port, win, mss; /* mss 0: no option */
    uint8_t flags;
    uint32_t seq, ack;
};

static void send_own(const struct wsim_synproxy *p, uint32_t link, const struct own *o)
{
    uint8_t ip[IP_HDR + TCP_HDR + MSS_OPTION] = {0x45}, *tcp = ip + IP_HDR;
    uint32_t tcp_len = TCP_HDR + (o->mss ? MSS_OPTION : 0);
    wio_put16(ip + 2, IP_HDR + tcp_len);
    wio_put16(ip + 6, 0x4000); /* DF */
    ip[8] = 64;
    ip[9] = WEIR_IPPROTO_TCP;
    memcpy(ip + 12, o->src.b + 12, 4);
    memcpy(ip + 16, o->dst.b + 12, 4);
    wio_put16(ip + 10, ~(uint32_t)fold(sum_of(ip, IP_HDR)));
    wio_put16(tcp, o->src_port);
    wio_put16(tcp + 2, o->dst_port);
    wio_put32(tcp + 4, o->seq);
    wio_put32(tcp + 8, o->ack);
    tcp[12] = (uint8_t)(tcp_len / 4 << 4);
    tcp[13] = o->flags;
    wio_put16(tcp + 14, o->win);
    if (o->mss) {
        wio_put16(tcp + TCP_HDR, 2u << 8 | MSS_OPTION);
        wio_put16(tcp + TCP_HDR + 2, o->mss);
    }
    wio_put16(tcp + 16, ~(uint32_t)fold(sum_of(tcp, tcp_len) + sum_of(ip + 12, 8) + WEIR_IPPROTO_TCP + tcp_len));
    struct weir_pkt *pkt = weir_pkt_from(wsim_router_pool(p->host->router), ip, IP_HDR + tcp_len);
    if (pkt)
        wsim_router_send(p->host, link, pkt);
}

static struct own to_client(const struct flow *f, uint8_t flags, uint32_t seq, uint16_t win)
{
    return (struct own){.src = f->proxy->server,
                        .dst = f->client,
                        .src_port = f->server_port,
                        .dst_port = f->client_port,
                        .flags = flags,
                        .seq = seq,
                        .ack = f->isn + 1,
                        .win = win};
}

static struct own to_server(const struct flow *f, uint8_t flags, uint32_t seq, uint32_t ack)
{
    return (struct own){.src = f->client,
                        .dst = f->proxy->server,
                        .src_port = f->client_port,
                        .dst_port = f->server_port,
                        .flags = flags,
                        .seq = seq,
                        .ack = ack,
                        .win = f->win};
}

/* ---- Flows ---- */

static struct flow **place_of(struct wsim_synproxy *p, const struct weir_addr *client, uint16_t client_port,
                              uint16_t server_port)
{
    uint64_t words[3];
    memcpy(words, client->b, 16);
    words[2] = (uint64_t)client_port << 16 | server_port;
    struct flow **f = &p->buckets[sip(p->key, words, 3) % BUCKETS];
    while (*f && ((*f)->client_port != client_port || (*f)->server_port != server_port ||
                  !weir_addr_equal(&(*f)->client, client)))
        f = &(*f)->next;
    return f;
}

static void forget(struct flow *f)
{
    struct wsim_synproxy *p = f->proxy;
    struct flow **at = place_of(p, &f->client, f->client_port, f->server_port);
    *at = f->next;
    wsim_alarm_cancel(p->host->world, &f->alarm);
    p->flow_n--;
    p->host->mem_bytes -= sizeof *f;
    free(f);
}

static void send_syn(struct flow *f)
{
    struct wsim_synproxy *p = f->proxy;
    struct own o = to_server(f, WIO_TCP_SYN, f->isn, 0);
    o.mss = f->mss;
    send_own(p, wsim_router_way(p->host->router, &p->server), &o);
    wsim_alarm_set(p->host->world, &f->alarm, wsim_now(p->host->world) + WEIR_SEC(UINT64_C(1) << f->tries));
    f->tries++;
}

static void on_alarm(struct wsim_alarm *a)
{
    struct flow *f = (struct flow *)(void *)a;
    if (f->phase == SYN_SENT && f->tries < SYN_TRIES) {
        send_syn(f);
        return;
    }
    if (f->phase == SYN_SENT) {
        struct own o = to_client(f, WIO_TCP_RST | WIO_TCP_ACK, f->cookie + 1, 0);
        send_own(f->proxy, f->client_link, &o);
    }
    forget(f);
}

static struct flow *remember(struct wsim_synproxy *p, const struct weir_addr *client, uint16_t client_port,
                             uint16_t server_port, uint32_t link)
{
    struct flow *f = p->flow_n < FLOWS_MAX ? calloc(1, sizeof *f) : NULL;
    if (!f)
        return NULL;
    *f = (struct flow){.alarm = {.on_alarm = on_alarm},
                       .proxy = p,
                       .client = *client,
                       .client_port = client_port,
                       .server_port = server_port,
                       .client_link = link};
    struct flow **at = place_of(p, client, client_port, server_port);
    *at = f;
    p->flow_n++;
    p->host->mem_bytes += sizeof *f;
    return f;
}

/* What passes keeps the flow alive; a reset or both FINs end it soon. */
static void note_passing(struct flow *f, const struct segment *s, bool is_from_client)
{
    if (s->flags & WIO_TCP_FIN && is_from_client)
        f->fin_client = true;
    else if (s->flags & WIO_TCP_FIN)
        f->fin_server = true;
    bool is_over = (f->fin_client && f->fin_server) || s->flags & WIO_TCP_RST;
    wsim_alarm_set(f->proxy->host->world, &f->alarm, wsim_now(f->proxy->host->world) + (is_over ? LAST_WORDS : IDLE));
}

/* ---- What comes ---- */

static struct weir_pkt *translate(struct weir_pkt *pkt, const struct segment *s, unsigned field, uint32_t value)
{
    uint8_t *ip = NULL;
    struct weir_pkt *mine = wsim_router_own(pkt, &ip);
    if (mine)
        change(ip + s->tcp_at, field, value, mine->flags & WEIR_PKT_CSUM_PARTIAL);
    return mine;
}

static void answer_syn(const struct wsim_synproxy *p, const struct segment *s, uint32_t link)
{
    uint32_t mss = mss_of(s), size = 7;
    while (size > 0 && sizes[size] > mss)
        size--;
    struct own o = {.src = s->dst,
                    .dst = s->src,
                    .src_port = s->dst_port,
                    .dst_port = s->src_port,
                    .flags = WIO_TCP_SYN | WIO_TCP_ACK,
                    .seq = cookie_of(p, s, s->seq, tick_now(p), size),
                    .ack = s->seq + 1,
                    .mss = MSS_OWN};
    send_own(p, link, &o);
}

/* An ACK of a client whom we don't know: does it bring a cookie back? A probe of the shut window is one number lower.
 */
static void check_cookie(struct wsim_synproxy *p, const struct segment *s, uint32_t link)
{
    uint16_t mss;
    uint32_t isn = s->seq - 1;
    if (!is_ours(p, s, isn, s->ack - 1, &mss) && !is_ours(p, s, ++isn, s->ack - 1, &mss))
        return;
    struct flow *f = remember(p, &s->src, s->src_port, s->dst_port, link);
    if (!f)
        return;
    f->isn = isn;
    f->cookie = s->ack - 1;
    f->mss = mss;
    f->win = s->win;
    send_syn(f);
}

static struct weir_pkt *from_client(struct wsim_synproxy *p, struct weir_pkt *pkt, const struct segment *s,
                                    uint32_t link)
{
    struct flow *f = *place_of(p, &s->src, s->src_port, s->dst_port);
    bool is_syn = (s->flags & (WIO_TCP_SYN | WIO_TCP_ACK | WIO_TCP_RST)) == WIO_TCP_SYN;
    if (f && is_syn && f->fin_client && f->fin_server) {
        forget(f); /* the port is used again */
        f = NULL;
    }
    if (!f && is_syn)
        answer_syn(p, s, link);
    else if (!f && (s->flags & (WIO_TCP_SYN | WIO_TCP_ACK | WIO_TCP_RST)) == WIO_TCP_ACK)
        check_cookie(p, s, link);
    if (!f || f->phase != OPEN)
        return NULL;
    note_passing(f, s, true);
    return s->flags & WIO_TCP_ACK ? translate(pkt, s, 8, s->ack - f->shift) : weir_pkt_ref(pkt);
}

/* The server has answered our SYN: now each side's numbers are known, and the client may send. */
static void on_server_answer(struct flow *f, const struct segment *s, uint32_t link)
{
    struct wsim_synproxy *p = f->proxy;
    if (s->flags & WIO_TCP_RST) {
        struct own o = to_client(f, WIO_TCP_RST | WIO_TCP_ACK, f->cookie + 1, 0);
        send_own(p, f->client_link, &o);
        forget(f);
        return;
    }
    if ((s->flags & (WIO_TCP_SYN | WIO_TCP_ACK)) != (WIO_TCP_SYN | WIO_TCP_ACK) || s->ack != f->isn + 1)
        return;
    f->phase = OPEN;
    f->shift = f->cookie - s->seq;
    note_passing(f, s, false);
    struct own ack = to_server(f, WIO_TCP_ACK, f->isn + 1, s->seq + 1);
    send_own(p, link, &ack);
    struct own update = to_client(f, WIO_TCP_ACK, f->cookie + 1, s->win);
    send_own(p, f->client_link, &update);
}

static struct weir_pkt *from_server(struct wsim_synproxy *p, struct weir_pkt *pkt, const struct segment *s,
                                    uint32_t link)
{
    struct flow *f = *place_of(p, &s->dst, s->dst_port, s->src_port);
    if (!f && (s->flags & (WIO_TCP_SYN | WIO_TCP_ACK)) == WIO_TCP_SYN) {
        f = remember(p, &s->dst, s->dst_port, s->src_port, link); /* the server calls: nothing to translate */
        if (f)
            f->phase = OPEN;
    }
    if (f && f->phase == SYN_SENT) {
        on_server_answer(f, s, link);
        return NULL;
    }
    if (!f)
        return weir_pkt_ref(pkt);
    note_passing(f, s, false);
    return translate(pkt, s, 4, s->seq + f->shift);
}

struct weir_pkt *wsim_synproxy_take(struct wsim_synproxy *p, struct weir_pkt *pkt, uint32_t link)
{
    struct segment s;
    if (!look(pkt, &s))
        return weir_pkt_ref(pkt);
    if (weir_addr_equal(&s.dst, &p->server))
        return from_client(p, pkt, &s, link);
    return weir_addr_equal(&s.src, &p->server) ? from_server(p, pkt, &s, link) : weir_pkt_ref(pkt);
}

/* ---- Birth and death ---- */

struct wsim_synproxy *wsim_synproxy_new(struct wsim_host *router, struct weir_addr server)
{
    struct wsim_synproxy *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->host = router;
    p->server = server;
    for (unsigned i = 0; i < 2; i++)
        p->key[i] = wio_rng_u64(wsim_rng(router->world));
    router->mem_bytes += sizeof *p;
    return p;
}

/* The world is on its way out: its alarms too. */
void wsim_synproxy_free(struct wsim_synproxy *p)
{
    for (unsigned i = 0; p && i < BUCKETS; i++) {
        for (struct flow *f; (f = p->buckets[i]);) {
            p->buckets[i] = f->next;
            free(f);
        }
    }
    free(p);
}
