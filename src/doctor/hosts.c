/*
 * Hosts and ports: who has been heard of, whom nobody answers for, who has an address that another has, too; and the
 * ICMP errors about connections.
 */
#include "doctor/parts.h"

#include <stdlib.h>
#include <string.h>

#define HOSTS_MAX  32768u
#define ASKED_MIN  3u /* Linux asks three times, a second apart */
#define CLAIM_SOON WEIR_SEC(60)

static uint32_t hash_of(const struct weir_addr *a, uint16_t port)
{
    uint64_t hi, lo;
    memcpy(&hi, a->b, 8);
    memcpy(&lo, a->b + 8, 8);
    uint64_t h = (hi ^ port) * UINT64_C(0x9E3779B97F4A7C15) + lo;
    h ^= h >> 31;
    h *= UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(h >> 32);
}

static struct wdc_host *slot_of(const struct wdc_hosts *t, const struct weir_addr *a, uint16_t port)
{
    for (uint32_t i = hash_of(a, port);; i++) {
        struct wdc_host *h = &t->slots[i & (t->cap - 1)];
        if (!h->is_used || (h->port == port && weir_addr_equal(&h->addr, a)))
            return h;
    }
}

struct wdc_host *wdc_host_find(const struct wdc *doc, const struct weir_addr *a, uint16_t port)
{
    struct wdc_host *h = doc->hosts.cap ? slot_of(&doc->hosts, a, port) : NULL;
    return h && h->is_used ? h : NULL;
}

static bool grow(struct wdc_hosts *t)
{
    struct wdc_hosts bigger = {.cap = t->cap ? t->cap * 2 : 64, .n = t->n};
    if (t->n >= HOSTS_MAX)
        return false;
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (uint32_t i = 0; i < t->cap; i++)
        if (t->slots[i].is_used)
            *slot_of(&bigger, &t->slots[i].addr, t->slots[i].port) = t->slots[i];
    free(t->slots);
    *t = bigger;
    return true;
}

struct wdc_host *wdc_host_get(struct wdc *doc, const struct weir_addr *a, uint16_t port)
{
    struct wdc_hosts *t = &doc->hosts;
    if (t->n * 2 >= t->cap && !grow(t))
        return wdc_host_find(doc, a, port);
    struct wdc_host *h = slot_of(t, a, port);
    if (!h->is_used) {
        *h = (struct wdc_host){.is_used = true, .addr = *a, .port = port};
        t->n++;
    }
    return h;
}

/* ---- Neighbours ---- */

static void claim(struct wdc *doc, const struct weir_addr *a, const uint8_t *mac, const struct wdc_frame *f)
{
    struct wdc_host *h = weir_addr_is_any(a) ? NULL : wdc_host_get(doc, a, 0);
    if (!h)
        return;
    if (h->has_mac && memcmp(h->mac, mac, 6) != 0) {
        memcpy(h->other_mac, h->mac, 6);
        h->flips++;
        h->is_in_conflict |= h->flips > 1 || wdc_since(f->at, h->mac_at) < CLAIM_SOON;
        if (h->claims.n == 0)
            wdc_evidence_add(&h->claims, h->mac_frame);
        wdc_evidence_add(&h->claims, f->number);
    }
    memcpy(h->mac, mac, 6);
    h->has_mac = true;
    h->mac_at = f->at;
    h->mac_frame = f->number;
}

void wdc_host_heard(struct wdc *doc, const struct weir_addr *a)
{
    struct wdc_host *h = doc->hosts.asked_n ? wdc_host_find(doc, a, 0) : NULL;
    if (!h || !h->asked_n)
        return;
    doc->hosts.asked_n -= h->asked_n;
    h->asked_n = 0;
    h->asked = (struct wdc_evidence){0};
}

void wdc_hosts_neighbour(struct wdc *doc, const struct wtr_dissect *d, const struct wdc_frame *f)
{
    bool is_gratuitous = weir_addr_equal(&d->src.addr, &d->dst.addr);
    if (d->has_neigh_mac && (d->kind == WTR_IS_ARP || d->neigh_op == 2))
        claim(doc, &d->src.addr, d->neigh_mac, f);
    if (d->neigh_op == 2) {
        struct wdc_host *h = wdc_host_get(doc, &d->src.addr, 0);
        if (h) {
            wdc_host_heard(doc, &d->src.addr);
            h->is_resolved = true;
        }
    } else if (d->neigh_op == 1 && !is_gratuitous && !weir_addr_is_any(&d->src.addr)) {
        struct wdc_host *h = wdc_host_get(doc, &d->dst.addr, 0);
        if (h) {
            h->asked_n++;
            doc->hosts.asked_n++;
            wdc_evidence_add(&h->asked, f->number);
        }
    }
}

/* ---- ICMP ---- */

static bool is_too_big(const struct wtr_dissect *d)
{
    return d->is_v6 ? d->icmp_type == 2 : d->icmp_type == 3 && d->icmp_code == 4;
}

void wdc_hosts_icmp(struct wdc *doc, const struct wtr_dissect *d, const struct wdc_frame *f)
{
    unsigned side;
    struct wdc_conn *c = d->quotes_tcp ? wdc_find(doc, &d->quoted_src, &d->quoted_dst, &side) : NULL;
    if (!c)
        return;
    if (is_too_big(d)) {
        c->half[side].icmp_mtu = d->icmp_mtu;
        wdc_evidence_add(&c->half[side].icmp_big, f->number);
        return;
    }
    c->icmp_type = d->icmp_type;
    c->icmp_code = d->icmp_code;
    c->icmp_is_v6 = d->is_v6;
    c->icmp_frame = f->number;
    c->icmp_from = d->src.addr;
}

/* ---- The end ---- */

static struct wdc_finding *begin(struct wdc_result *r, const struct wdc_host *h, enum wdc_verdict id,
                                 enum wdc_sure sure, const struct wdc_evidence *e)
{
    *r = (struct wdc_result){.is_network = true, .vantage = ""};
    r->client = r->server =
        (struct weir_sockaddr){.addr = h->addr, .family = weir_addr_is_v4(&h->addr) ? WEIR_AF_INET : WEIR_AF_INET6};
    struct wdc_finding *v = wdc_find_add(r, id, WDC_PATH, sure);
    wdc_find_show(v, e);
    return v;
}

static void tell_conflict(struct wdc *doc, const struct wdc_host *h)
{
    struct wdc_result r;
    char name[WEIR_ADDR_TEXT_CAP];
    const uint8_t *a = h->mac, *b = h->other_mac;
    struct wdc_finding *v = begin(&r, h, WDC_IP_CONFLICT, h->flips > 1 ? WDC_CERTAIN : WDC_LIKELY, &h->claims);
    wdc_find_what(v,
                  "Two network cards claim %s: %02x:%02x:%02x:%02x:%02x:%02x and %02x:%02x:%02x:%02x:%02x:%02x; "
                  "it changed hands %u time%s",
                  weir_addr_format(&h->addr, name, sizeof name), b[0], b[1], b[2], b[3], b[4], b[5], a[0], a[1], a[2],
                  a[3], a[4], a[5], h->flips, h->flips == 1 ? "" : "s");
    wdc_find_cause(v, h->flips > 1 ? "two hosts have the same address, and packets go now to one, now to the other"
                                   : "two hosts have the same address, or it has moved from one to another (failover)");
    v->remedy = "find both by their MAC addresses in the switch's table, and give one of them another address";
    doc->cfg.on_result(doc->cfg.ctx, &r);
}

static void tell_unanswered(struct wdc *doc, const struct wdc_host *h)
{
    struct wdc_result r;
    char name[WEIR_ADDR_TEXT_CAP];
    bool is_v4 = weir_addr_is_v4(&h->addr);
    struct wdc_finding *v = begin(&r, h, WDC_NO_ANSWER_DEAD, WDC_LIKELY, &h->asked);
    wdc_find_what(v, "Nobody answers for %s: %u %s requests went unanswered",
                  weir_addr_format(&h->addr, name, sizeof name), h->asked_n, is_v4 ? "ARP" : "neighbour discovery");
    wdc_find_cause(v, "no host with that address is up on this network, or its answers do not come through");
    v->remedy = "see whether the host is up and in this network (address, netmask, VLAN, cable)";
    doc->cfg.on_result(doc->cfg.ctx, &r);
}

void wdc_hosts_finish(struct wdc *doc)
{
    for (uint32_t i = 0; i < doc->hosts.cap; i++) {
        const struct wdc_host *h = &doc->hosts.slots[i];
        if (!h->is_used)
            continue;
        if (h->is_in_conflict)
            tell_conflict(doc, h);
        if (h->asked_n >= ASKED_MIN && !h->is_told)
            tell_unanswered(doc, h);
    }
}
