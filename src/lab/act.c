/*
 * The timeline: what happens to the world at a time, beside what its programs do.
 *
 *   link N WORDS                 the N-th link from now on (docs/link.md); "up." and "down." as there
 *   dead HOST | alive HOST       nothing gets to the host nor from it; its links are as before
 *   sysctl HOST NAME=VALUE
 *   forge FROM TO PORT PORT FLAGS [seq=N] [ack=N] [win=N] [len=N]
 *                                a segment that FROM's stack never made; FLAGS as tcpdump has them: S S. . P. F. R;
 *                                seq=+N, ack=+N: counted from the SYN that the last one in that direction had
 *   flood FROM TO PORT COUNT TIME  COUNT SYNs from addresses that nobody has, spread over TIME
 */
#include "lab/lab.h"

#include "io/frame.h"
#include "io/link_spec.h"
#include "io/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define WORDS_MAX 12

struct wlb_act {
    struct wsim_alarm alarm;
    struct wlb_lab *lab;
    const struct wlb_action *action;
    uint64_t left; /* of a flood: SYNs to come */
    weir_ns every;
    struct wlb_forged forged;
    struct wlb_lab_link *link;
    enum wio_side side;
};

struct words {
    char *w[WORDS_MAX];
    unsigned n;
    char *text; /* filled in */
};

static bool split(struct wlb_act *a, struct words *ws)
{
    *ws = (struct words){.text = wlb_fill(a->lab, "timeline", a->action->act)};
    if (!ws->text)
        return false;
    for (char *w = strtok(ws->text, " "); w; w = strtok(NULL, " ")) {
        if (ws->n == WORDS_MAX)
            return wlb_fail(a->lab, "timeline: '%s' has too many words", a->action->act);
        ws->w[ws->n++] = w;
    }
    return ws->n > 0 || wlb_fail(a->lab, "timeline: an empty action");
}

static bool wrong(struct wlb_act *a, const char *form)
{
    return wlb_fail(a->lab, "timeline: '%s': the form is \"%s\"", a->action->act, form);
}

/* ---- Links and hosts ---- */

static bool is_dead(const struct wio_link_config *c)
{
    return c->dir[WIO_UP].loss == WIO_PROB_ONE && c->dir[WIO_DOWN].loss == WIO_PROB_ONE;
}

static void apply_link(struct wlb_lab_link *l, const struct wio_link_config *c)
{
    wio_link_set_dir(l->link, WIO_UP, &c->dir[WIO_UP]);
    wio_link_set_dir(l->link, WIO_DOWN, &c->dir[WIO_DOWN]);
}

static bool act_link(struct wlb_act *a, const struct words *ws)
{
    char err[256], spec[512] = "";
    uint64_t n;
    if (ws->n < 3 || !wio_unit_parse(WIO_UNIT_COUNT, ws->w[1], strlen(ws->w[1]), &n) || n == 0 || n > a->lab->link_n)
        return wrong(a, "link N WORDS, with a link that there is");
    struct wlb_lab_link *l = &a->lab->links[n - 1];
    for (unsigned i = 2; i < ws->n; i++)
        snprintf(spec + strlen(spec), sizeof spec - strlen(spec), "%s ", ws->w[i]);
    if (wio_link_spec_parse(&l->cfg, spec, err, sizeof err) < 0)
        return wlb_fail(a->lab, "timeline: link: %s", err);
    apply_link(l, &l->cfg);
    return true;
}

/* Everything to and from the host is lost, or no more. */
static bool act_life(struct wlb_act *a, const struct words *ws, bool is_alive)
{
    const struct wsim_host *h = ws->n == 2 ? wlb_host_of(a->lab, ws->w[1]) : NULL;
    if (!h)
        return wrong(a, is_alive ? "alive HOST" : "dead HOST");
    for (unsigned i = 0; i < a->lab->link_n; i++) {
        struct wlb_lab_link *l = &a->lab->links[i];
        if (l->ends[0] != h && l->ends[1] != h)
            continue;
        struct wio_link_config c = l->cfg;
        for (int d = 0; d < 2 && !is_alive; d++)
            c.dir[d].loss = WIO_PROB_ONE;
        if (is_alive || !is_dead(&l->cfg))
            apply_link(l, &c);
    }
    return true;
}

static bool act_sysctl(struct wlb_act *a, const struct words *ws)
{
    struct wsim_host *h = ws->n == 3 ? wlb_host_of(a->lab, ws->w[1]) : NULL;
    char *value = h ? strchr(ws->w[2], '=') : NULL;
    if (!value)
        return wrong(a, "sysctl HOST NAME=VALUE");
    *value++ = '\0';
    int err = weir_sysctl_set(wsim_stack(h), ws->w[2], value);
    return err == 0 || wlb_fail(a->lab, "timeline: sysctl %s=%s: %s", ws->w[2], value, weir_strerror(err));
}

/* ---- Forged segments ---- */

static bool read_flags(const char *text, uint16_t *flags)
{
    static const struct {
        char letter;
        uint16_t flag;
    } letters[] = {{'S', WIO_TCP_SYN}, {'F', WIO_TCP_FIN}, {'R', WIO_TCP_RST},
                   {'P', WIO_TCP_PSH}, {'U', WIO_TCP_URG}, {'.', WIO_TCP_ACK}};
    *flags = 0;
    for (; *text; text++) {
        uint16_t before = *flags;
        for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
            *flags |= letters[i].letter == *text ? letters[i].flag : 0;
        if (*flags == before)
            return false;
    }
    return true;
}

/* A host's end of the i-th link. False: it has none. */
static bool is_end(const struct wlb_lab_link *l, const struct wsim_host *h, enum wio_side *side)
{
    *side = l->ends[WIO_NEAR] == h ? WIO_NEAR : WIO_FAR;
    return l->ends[*side] == h;
}

/* The link by which `from` sends to `to`: one between them, else the sender's first; and the addresses. */
static bool aim(struct wlb_act *a, const char *from, const char *to)
{
    const struct wsim_host *src = wlb_host_of(a->lab, from), *dst = wlb_host_of(a->lab, to);
    enum wio_side side;
    a->link = NULL;
    for (unsigned i = 0; src && dst && i < a->lab->link_n; i++) {
        struct wlb_lab_link *l = &a->lab->links[i];
        if (!is_end(l, src, &side) || (a->link && l->ends[!side] != dst))
            continue;
        a->link = l;
        a->side = side;
        if (l->ends[!side] == dst)
            break;
    }
    if (!a->link || !wlb_address_of(a->lab, src, dst, &a->forged.dst))
        return wlb_fail(a->lab, "timeline: there is no way from '%s' to '%s'", from, to);
    a->forged.src = wsim_addr(a->link->index + 1, a->side, WEIR_AF_INET);
    return true;
}

static bool read_port(const char *text, uint16_t *port)
{
    uint64_t n;
    if (!wio_unit_parse(WIO_UNIT_COUNT, text, strlen(text), &n) || n == 0 || n > UINT16_MAX)
        return false;
    *port = (uint16_t)n;
    return true;
}

/* "seq=17", or "seq=+17": so much behind the number of that direction's last SYN. */
static bool read_number(const struct wlb_act *a, const char *text, bool is_own, uint32_t *value)
{
    const struct wlb_forged *f = &a->forged;
    struct weir_sockaddr src = {.addr = f->src, .port = f->src_port}, dst = {.addr = f->dst, .port = f->dst_port};
    bool is_relative = *text == '+';
    uint32_t first = 0;
    uint64_t n;
    text += is_relative;
    if (!wio_unit_parse(WIO_UNIT_COUNT, text, strlen(text), &n))
        return false;
    if (is_relative && !(is_own ? wlb_first_seq(a->lab, a->link->index + 1, &src, &dst, &first)
                                : wlb_first_seq(a->lab, a->link->index + 1, &dst, &src, &first)))
        return wlb_fail(a->lab, "timeline: '%s': no SYN went that way, from which to count", a->action->act);
    *value = first + (uint32_t)n;
    return true;
}

static bool read_header_word(struct wlb_act *a, const char *word)
{
    struct wlb_forged *f = &a->forged;
    const char *value = strchr(word, '=');
    uint64_t n;
    if (value && strncmp(word, "seq=", 4) == 0)
        return read_number(a, value + 1, true, &f->seq);
    if (value && strncmp(word, "ack=", 4) == 0)
        return read_number(a, value + 1, false, &f->ack);
    if (!value || !wio_unit_parse(WIO_UNIT_COUNT, value + 1, strlen(value + 1), &n))
        return false;
    if (strncmp(word, "win=", 4) == 0)
        f->win = (uint16_t)n;
    else if (strncmp(word, "len=", 4) == 0)
        f->len = (uint32_t)n;
    else
        return false;
    return true;
}

static bool act_forge(struct wlb_act *a, const struct words *ws)
{
    static const char form[] = "forge FROM TO PORT PORT FLAGS [seq=[+]N] [ack=[+]N] [win=N] [len=N]";
    a->forged = (struct wlb_forged){.win = 65535};
    if (ws->n < 6 || !read_port(ws->w[3], &a->forged.src_port) || !read_port(ws->w[4], &a->forged.dst_port) ||
        !read_flags(ws->w[5], &a->forged.flags))
        return wrong(a, form);
    if (!aim(a, ws->w[1], ws->w[2]))
        return false;
    for (unsigned i = 6; i < ws->n; i++) {
        if (!read_header_word(a, ws->w[i]))
            return wrong(a, form);
    }
    return wlb_forge(a->lab, a->link, a->side, &a->forged);
}

/* ---- Floods ---- */

static bool send_syn(struct wlb_act *a)
{
    struct wio_rng *rng = wsim_rng(a->lab->world);
    uint64_t r = wio_rng_u64(rng);
    a->forged.src = weir_addr_v4(198, (uint8_t)(18 + (r & 1)), (uint8_t)(r >> 8), (uint8_t)(r >> 16)); /* RFC 2544 */
    a->forged.src_port = (uint16_t)(1024 + (r >> 24) % 64000);
    a->forged.seq = (uint32_t)(r >> 32);
    if (!wlb_forge(a->lab, a->link, a->side, &a->forged))
        return false;
    if (--a->left > 0)
        wsim_alarm_set(a->lab->world, &a->alarm, wsim_now(a->lab->world) + a->every);
    return true;
}

static bool act_flood(struct wlb_act *a, const struct words *ws)
{
    uint64_t count, time;
    a->forged = (struct wlb_forged){.win = 65535, .flags = WIO_TCP_SYN};
    if (ws->n != 6 || !read_port(ws->w[3], &a->forged.dst_port) ||
        !wio_unit_parse(WIO_UNIT_COUNT, ws->w[4], strlen(ws->w[4]), &count) || count == 0 ||
        !wio_unit_parse(WIO_UNIT_TIME, ws->w[5], strlen(ws->w[5]), &time))
        return wrong(a, "flood FROM TO PORT COUNT TIME");
    a->left = count;
    a->every = time / count;
    return aim(a, ws->w[1], ws->w[2]) && send_syn(a);
}

/* ---- The clock ---- */

static bool act(struct wlb_act *a)
{
    struct words ws;
    if (a->left > 0)
        return send_syn(a);
    bool ok = split(a, &ws);
    const char *what = ok && ws.n > 0 ? ws.w[0] : "";
    struct wlb_entry *e = ok ? wlb_record_add(&a->lab->record) : NULL;
    if (e) {
        e->kind = WLB_NOTE;
        e->at = wsim_now(a->lab->world) - a->lab->zero;
        e->host = "";
        e->text = a->action->act;
    }
    if (ok && strcmp(what, "link") == 0)
        ok = act_link(a, &ws);
    else if (ok && (strcmp(what, "dead") == 0 || strcmp(what, "alive") == 0))
        ok = act_life(a, &ws, what[0] == 'a');
    else if (ok && strcmp(what, "sysctl") == 0)
        ok = act_sysctl(a, &ws);
    else if (ok && strcmp(what, "forge") == 0)
        ok = act_forge(a, &ws);
    else if (ok && strcmp(what, "flood") == 0)
        ok = act_flood(a, &ws);
    else if (ok)
        ok = wrong(a, "link, dead, alive, sysctl, forge or flood, and what belongs to it");
    free(ws.text);
    return ok;
}

static void on_alarm(struct wsim_alarm *alarm)
{
    (void)act((struct wlb_act *)(void *)alarm);
}

bool wlb_timeline_start(struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    lab->acts = calloc(sc->action_n + 1u, sizeof *lab->acts);
    if (!lab->acts)
        return wlb_fail(lab, "out of memory");
    for (unsigned i = 0; i < sc->action_n; i++) {
        struct wlb_act *a = &lab->acts[i];
        weir_ns at;
        *a = (struct wlb_act){.alarm = {.on_alarm = on_alarm}, .lab = lab, .action = &sc->timeline[i]};
        if (!wlb_time_of(lab, "timeline", a->action->at, 0, &at))
            return false;
        wsim_alarm_set(lab->world, &a->alarm, lab->zero + at);
    }
    return true;
}

void wlb_timeline_free(struct wlb_lab *lab)
{
    free(lab->acts);
}
