/*
 * Chooses what a sequence diagram shows (diagram.h): openings, losses and what repairs them, and closings always, the
 * first of the plain segments; what is left out is counted. So the picture is bounded however long the run.
 */
#include "lab/diagram.h"

#include "io/frame.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <weir/errno.h>

#define CONNS_MAX  3  /* drawn, of each link */
#define ARROWS     20 /* plain segments drawn */
#define STRIKING   64 /* others drawn */
#define LOSSES_MAX 10
#define ENDING     7 /* segments drawn behind a connection's first FIN */
#define SAME_CALLS 3 /* of a host's calls of one name that went alike */
#define CALLS_MAX  40
#define TALLIES    64

struct conn {
    unsigned link;
    uint32_t low, high; /* ports */
    unsigned ending;    /* segments since its first FIN, with it */
};

struct tally {
    const char *host, *program, *call;
    bool is_bad;
    unsigned n;
};

struct collector {
    struct wlb_lab *lab;
    struct wlb_diagram *d;
    weir_ns from, to;
    struct conn conns[WLB_LINKS_MAX * CONNS_MAX];
    unsigned conn_n;
    struct tally tallies[TALLIES];
    unsigned tally_n;
    uint64_t plain_max, plain_n;
    unsigned striking_n, loss_n, call_n, number;
    size_t cap;
    bool is_out_of_memory;
    struct wlb_expr *filter; /* which packets are told of; NULL: all */
};

/* ---- Columns ---- */

static int column_of(const struct wlb_diagram *d, const char *host)
{
    for (unsigned i = 0; i < d->host_n; i++) {
        if (strcmp(d->hosts[i], host) == 0)
            return (int)i;
    }
    return -1;
}

/* The hosts of the first link, and who is linked with them, in the scenario's order. */
static void choose_hosts(const struct wlb_lab *lab, struct wlb_diagram *d)
{
    bool is_in[WLB_HOSTS_MAX] = {false}, grew = true;
    for (unsigned i = 0; i < lab->host_n; i++)
        is_in[i] = lab->hosts[i] == lab->links[0].ends[0] || lab->hosts[i] == lab->links[0].ends[1];
    while (grew) {
        grew = false;
        for (unsigned l = 0; l < lab->link_n; l++) {
            unsigned a = 0, b = 0;
            while (a < lab->host_n && lab->hosts[a] != lab->links[l].ends[0])
                a++;
            while (b < lab->host_n && lab->hosts[b] != lab->links[l].ends[1])
                b++;
            if (a == lab->host_n || b == lab->host_n || is_in[a] == is_in[b])
                continue;
            is_in[a] = is_in[b] = grew = true;
        }
    }
    for (unsigned i = 0; i < lab->host_n && d->host_n < WLB_COLUMNS_MAX; i++) {
        if (is_in[i])
            d->hosts[d->host_n++] = lab->hosts[i]->name;
    }
}

/* ---- Connections ---- */

static struct conn *conn_of(struct collector *c, uint32_t a, uint32_t b)
{
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    for (unsigned i = 0; i < c->conn_n; i++) {
        if (c->conns[i].low == low && c->conns[i].high == high)
            return &c->conns[i];
    }
    return NULL;
}

static bool is_shown(const struct collector *c, const struct wlb_entry *e)
{
    if (e->at < c->from || e->at > c->to)
        return false;
    if (e->kind != WLB_WIRE)
        return column_of(c->d, e->host) >= 0;
    const struct wlb_lab_link *l = &c->lab->links[e->link - 1];
    return column_of(c->d, l->ends[0]->name) >= 0 && column_of(c->d, l->ends[1]->name) >= 0;
}

/* Does the picture want to know of this packet? */
static bool is_wanted(struct collector *c, const struct wlb_entry *e)
{
    char err[256];
    struct wlb_value v = {0};
    if (!c->filter)
        return true;
    if (!wlb_expr_select(c->filter, &c->lab->record, &c->lab->names, e, &v, err, sizeof err))
        wlb_fail(c->lab, "picture diagram: packets: %s", err);
    return v.number != 0;
}

static void choose_conns(struct collector *c)
{
    unsigned of_link[WLB_LINKS_MAX] = {0};
    for (size_t i = 0; i < c->lab->record.n; i++) {
        const struct wlb_entry *e = &c->lab->record.entries[i];
        if (e->kind != WLB_WIRE || !e->is_tcp || !is_shown(c, e) || conn_of(c, e->src_port, e->dst_port) ||
            of_link[e->link - 1] == CONNS_MAX || !is_wanted(c, e))
            continue;
        of_link[e->link - 1]++;
        bool is_less = e->src_port < e->dst_port;
        c->conns[c->conn_n++] = (struct conn){
            .link = e->link,
            .low = is_less ? e->src_port : e->dst_port,
            .high = is_less ? e->dst_port : e->src_port,
        };
    }
}

/* ---- Items ---- */

static struct wlb_item *add(struct collector *c, enum wlb_item_kind kind, const struct wlb_entry *e)
{
    struct wlb_diagram *d = c->d;
    if (d->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 64;
        struct wlb_item *grown = realloc(d->items, cap * sizeof *grown);
        if (!grown) {
            c->is_out_of_memory = true;
            return NULL;
        }
        d->items = grown;
        c->cap = cap;
    }
    struct wlb_item *it = &d->items[d->n++];
    *it = (struct wlb_item){.kind = kind, .at = e->at, .due = e->at, .e = e};
    return it;
}

static bool is_lost(const struct wlb_entry *e)
{
    return e->drop || e->is_corrupted;
}

static bool is_worth_an_arrow(struct collector *c, const struct wlb_entry *e)
{
    struct conn *k = e->is_tcp ? conn_of(c, e->src_port, e->dst_port) : NULL;
    if (e->is_tcp && !k)
        return false;
    if (k && (k->ending > 0 || e->flags & WIO_TCP_FIN))
        k->ending++;
    bool is_loss = is_lost(e) && c->loss_n < LOSSES_MAX;
    bool is_striking = (e->is_tcp && e->flags & (WIO_TCP_SYN | WIO_TCP_RST)) ||
                       (k && k->ending > 0 && k->ending <= ENDING) || is_loss ||
                       (e->is_again && c->loss_n < LOSSES_MAX) || e->is_duplicated;
    if (is_striking && c->striking_n < STRIKING) {
        c->striking_n++;
        c->loss_n += is_lost(e);
        return true;
    }
    return c->plain_n++ < c->plain_max;
}

/* Why it was sent again, or that it is a probe, as its host said the moment before. */
static const char *reason_of(const struct wlb_record *r, const struct wlb_entry *e)
{
    for (const struct wlb_entry *was = e; was-- > r->entries && was->at == e->at;) {
        if (was->kind != WLB_EVENT || was->event != WEIR_EV_SEG_OUT || strcmp(was->host, e->host) != 0)
            continue;
        if (strncmp(was->text, "retransmit: ", 12) == 0)
            return was->text + 12;
        if (strcmp(was->text, "tail loss probe") == 0)
            return e->is_again ? "probe" : was->text;
        return strstr(was->text, "probe") ? was->text : "";
    }
    return "";
}

static void append(char *text, size_t cap, const char *form, ...) __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t cap, const char *form, ...)
{
    size_t at = strlen(text);
    va_list args;
    va_start(args, form);
    vsnprintf(text + at, cap - at, form, args);
    va_end(args);
}

static void describe_tcp(const struct wlb_lab *lab, struct wlb_item *it)
{
    static const struct {
        uint16_t flag;
        const char *name;
    } names[] = {{WIO_TCP_SYN, "SYN"}, {WIO_TCP_FIN, "FIN"}, {WIO_TCP_RST, "RST"}, {WIO_TCP_ACK, "ACK"}};
    const struct wlb_entry *e = it->e;
    char number[WLB_NUMBER_CAP], *text = it->text;
    size_t cap = sizeof it->text;
    bool is_ack = e->flags & WIO_TCP_ACK;
    for (size_t i = 0; i < 4; i++) {
        if (e->flags & names[i].flag && (names[i].flag != WIO_TCP_ACK || e->len == 0 || text[0]))
            append(text, cap, "%s%s", text[0] ? ", " : "", names[i].name);
    }
    if (e->len > 0)
        append(text, cap, "%s%s byte%s", text[0] ? ", " : "", wlb_commas(e->len, number), e->len == 1 ? "" : "s");
    snprintf(it->brief, sizeof it->brief, "%.39s", text);
    bool is_alone = is_ack && e->len == 0 && !(e->flags & (WIO_TCP_SYN | WIO_TCP_FIN | WIO_TCP_RST));
    if (is_alone)
        append(text, cap, " %s", wlb_commas(e->ack, number));
    else
        append(text, cap, ", seq %s", wlb_commas(e->seq, number));
    if (is_ack && !is_alone && e->len == 0)
        append(text, cap, ", ack %s", wlb_commas(e->ack, number));
    if (e->head_len >= 40 && is_ack && !(e->flags & WIO_TCP_RST) && e->head[34] == 0 && e->head[35] == 0)
        append(text, cap, ", window 0");
    const char *why = reason_of(&lab->record, e);
    if (e->is_again && (why[0] || !(e->flags & WIO_TCP_SYN)))
        append(text, cap, why[0] ? ", again: %.30s" : ", again%s", why);
    else if (why[0])
        append(text, cap, ", %.30s", why);
}

static void describe_other(struct wlb_item *it)
{
    const uint8_t *h = it->e->head;
    unsigned n = it->e->head_len;
    char len[WLB_NUMBER_CAP];
    if (n >= 28 && h[0] == 0 && h[1] == 1 && h[4] == 6)
        snprintf(it->text, sizeof it->text, h[7] == 1 ? "ARP: who has %u.%u.%u.%u?" : "ARP: %u.%u.%u.%u is here",
                 h[h[7] == 1 ? 24 : 14], h[h[7] == 1 ? 25 : 15], h[h[7] == 1 ? 26 : 16], h[h[7] == 1 ? 27 : 17]);
    else if (n >= 22 && h[0] >> 4 == 4 && h[9] == 1)
        snprintf(it->text, sizeof it->text,
                 h[20] == 3 && h[21] == 4 ? "ICMP: too big for this path"
                 : h[20] == 3             ? "ICMP: unreachable"
                                          : "ICMP");
    else if (n >= 20 && h[0] >> 4 == 4 && h[9] == 2)
        snprintf(it->text, sizeof it->text, "IGMP: joins a group");
    else if (n >= 20 && h[0] >> 4 == 4 && h[9] == 17)
        snprintf(it->text, sizeof it->text, "UDP, %s bytes", wlb_commas(it->e->len, len));
    else
        snprintf(it->text, sizeof it->text, "a packet");
    snprintf(it->brief, sizeof it->brief, "%.39s", it->text);
}

static void add_arrow(struct collector *c, const struct wlb_entry *e, unsigned col, unsigned to)
{
    struct wlb_item *it = add(c, WLB_ITEM_ARROW, e);
    if (!it)
        return;
    it->col = col;
    it->to = to;
    it->due = e->due > e->at ? e->due : e->at;
    it->number = c->number;
    if (e->is_tcp)
        describe_tcp(c->lab, it);
    else
        describe_other(it);
}

/* Packets that are not drawn, of one link, since the last that is. */
static struct wlb_item *run_of(struct collector *c, const struct wlb_entry *e, unsigned col, unsigned to)
{
    for (size_t i = c->d->n; i-- > 0 && c->d->items[i].kind != WLB_ITEM_ARROW;) {
        struct wlb_item *it = &c->d->items[i];
        if (it->kind == WLB_ITEM_RUN && it->e->link == e->link)
            return it;
    }
    struct wlb_item *it = add(c, WLB_ITEM_RUN, e);
    if (it) {
        it->col = col;
        it->to = to;
        it->number = c->number;
    }
    return it;
}

static void take_packet(struct collector *c, const struct wlb_entry *e)
{
    const struct wlb_lab_link *l = &c->lab->links[e->link - 1];
    int a = column_of(c->d, l->ends[0]->name), b = column_of(c->d, l->ends[1]->name);
    bool is_up = strcmp(e->host, l->ends[0]->name) == 0;
    unsigned col = (unsigned)(is_up ? a : b), to = (unsigned)(is_up ? b : a);
    c->number++;
    if (is_worth_an_arrow(c, e)) {
        add_arrow(c, e, col, to);
        if (e->is_duplicated && !e->drop) {
            add_arrow(c, e, col, to);
            snprintf(c->d->items[c->d->n - 1].text, sizeof c->d->items->text, "the same once more");
        }
        return;
    }
    struct wlb_item *run = run_of(c, e, col, to);
    if (!run)
        return;
    unsigned dir = run->col != col;
    run->segs[dir] += e->len > 0;
    run->plain[dir] += e->len == 0;
    run->bytes[dir] += e->is_again ? 0 : e->len;
    run->lost[dir] += is_lost(e);
}

static void take_state(struct collector *c, const struct wlb_entry *e)
{
    struct conn *k = conn_of(c, e->src_port, e->dst_port);
    bool is_listener = e->dst_port == 0 || strcmp(e->to, "LISTEN") == 0;
    if ((!k && !is_listener) || (is_listener && strcmp(e->to, "CLOSED") == 0) || c->call_n >= 2 * CALLS_MAX)
        return;
    struct wlb_item *it = add(c, WLB_ITEM_STATE, e);
    if (!it)
        return;
    it->col = (unsigned)column_of(c->d, e->host);
    snprintf(it->text, sizeof it->text, "%s", e->to);
}

/* Drops that a person should see; others, of a segment that is answered or has done its work, would mislead. */
static const char *refusal_of(const struct wlb_entry *e)
{
    static const struct {
        const char *reason, *words;
    } refusals[] = {
        {"TCP_SYN_QUEUE_FULL", "no room"},
        {"TCP_ACCEPT_QUEUE_FULL", "no room"},
        {"TCP_OLD_SEQ", "has it already"},
        {"TCP_OOO_DUP", "has it already"},
        {"TCP_PAWS", "too old"},
        {"TCP_ZERO_WND", "no room"},
        {"TCP_RCVBUF_FULL", "no room"},
        {"UDP_NO_PORT", "nobody listens"},
        {"TCP_COOKIE_BAD", "a false cookie"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (strcmp(e->text, refusals[i].reason) == 0)
            return refusals[i].words;
    }
    return NULL;
}

/* A stack dropped what had arrived. */
static void take_drop(struct collector *c, const struct wlb_entry *e)
{
    const char *refusal = refusal_of(e);
    for (unsigned i = 0; i < c->lab->host_n; i++) {
        if (c->lab->is_switch[i] && strcmp(c->lab->hosts[i]->name, e->host) == 0)
            return; /* it sends on what its own stack has no use for */
    }
    bool is_copy = strcmp(e->text, "TCP_OLD_SEQ") == 0;
    if (!refusal)
        return;
    unsigned col = (unsigned)column_of(c->d, e->host);
    for (size_t i = c->d->n; i-- > 0;) {
        struct wlb_item *it = &c->d->items[i];
        bool is_it = it->kind == WLB_ITEM_ARROW && it->to == col && it->due == e->at && !it->refusal && !it->e->drop;
        bool is_other =
            e->src_port && e->dst_port && (e->src_port != it->e->dst_port || e->dst_port != it->e->src_port);
        if (!is_it || is_other || (is_copy && it->e->len == 0))
            continue;
        it->refusal = refusal;
        return;
    }
}

/* Calls of one name that go alike are told a few times. */
static bool is_news(struct collector *c, const struct wlb_entry *e)
{
    bool is_bad = e->value < 0;
    for (unsigned i = 0; i < c->tally_n; i++) {
        struct tally *t = &c->tallies[i];
        if (t->is_bad == is_bad && t->program == e->program && strcmp(t->host, e->host) == 0 &&
            strcmp(t->call, e->text) == 0)
            return t->n++ < SAME_CALLS;
    }
    if (c->tally_n == TALLIES)
        return false;
    c->tallies[c->tally_n++] = (struct tally){e->host, e->program, e->text, is_bad, 1};
    return true;
}

static void take_call(struct collector *c, const struct wlb_entry *e)
{
    char n[WLB_NUMBER_CAP];
    bool is_dull = strcmp(e->text, "listen") == 0 || strcmp(e->text, "sleep") == 0 || strcmp(e->text, "set") == 0;
    if (is_dull || !is_news(c, e) || c->call_n++ >= CALLS_MAX)
        return;
    struct wlb_item *it = add(c, WLB_ITEM_CALL, e);
    if (!it)
        return;
    it->col = (unsigned)column_of(c->d, e->host);
    if (e->value < 0)
        snprintf(it->text, sizeof it->text, "%.20s(): %s", e->text, weir_errno_name((int)e->value));
    else if (e->value == 0 && strcmp(e->text, "read") == 0)
        snprintf(it->text, sizeof it->text, "read(): the end");
    else if (e->value == 0 || strcmp(e->text, "accept") == 0)
        snprintf(it->text, sizeof it->text, "%.20s()", e->text);
    else
        snprintf(it->text, sizeof it->text, "%.20s(): %s", e->text, wlb_commas(e->value, n));
}

static void describe_note(struct wlb_item *it, const char *text)
{
    static const struct {
        const char *action, *before, *behind;
    } words[] = {{"dead ", "", " is dead from here on"},
                 {"alive ", "", " is alive again"},
                 {"link ", "from here on, link ", ""}};
    snprintf(it->text, sizeof it->text, "%s", text);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].action);
        if (strncmp(text, words[i].action, n) == 0)
            snprintf(it->text, sizeof it->text, "%s%.60s%s", words[i].before, text + n, words[i].behind);
    }
}

static void take(struct collector *c, const struct wlb_entry *e)
{
    if (e->kind == WLB_NOTE && e->at >= c->from && e->at <= c->to && strncmp(e->text, "forge", 5) != 0 &&
        strncmp(e->text, "flood", 5) != 0 && c->call_n++ < CALLS_MAX) {
        struct wlb_item *it = add(c, WLB_ITEM_NOTE, e);
        char *text = wlb_fill(c->lab, "timeline", e->text);
        if (it && text)
            describe_note(it, text);
        free(text);
    }
    if (e->kind == WLB_NOTE || !is_shown(c, e))
        return;
    if (e->kind == WLB_WIRE && is_wanted(c, e))
        take_packet(c, e);
    else if (e->kind == WLB_CALL)
        take_call(c, e);
    else if (e->kind == WLB_EVENT && e->event == WEIR_EV_STATE)
        take_state(c, e);
    else if (e->kind == WLB_EVENT && e->event == WEIR_EV_DROP)
        take_drop(c, e);
}

/* A run of one packet says less than its arrow. */
static void unroll_singles(struct collector *c)
{
    for (size_t i = 0; i < c->d->n; i++) {
        struct wlb_item *it = &c->d->items[i];
        if (it->kind != WLB_ITEM_RUN || it->segs[0] + it->segs[1] + it->plain[0] + it->plain[1] > 1)
            continue;
        *it = (struct wlb_item){.kind = WLB_ITEM_ARROW,
                                .at = it->at,
                                .due = it->e->due,
                                .e = it->e,
                                .col = it->col,
                                .to = it->to,
                                .number = it->number};
        if (it->e->is_tcp)
            describe_tcp(c->lab, it);
        else
            describe_other(it);
    }
}

bool wlb_diagram_collect(struct wlb_lab *lab, const struct wlb_picture *p, struct wlb_diagram *d)
{
    struct collector c = {.lab = lab, .d = d};
    *d = (struct wlb_diagram){0};
    if (!wlb_picture_span(lab, p, &c.from, &c.to) ||
        !wlb_count_of(lab, "picture: arrows", p->arrows, ARROWS, &c.plain_max))
        return false;
    for (unsigned i = 0; i < p->host_n && i < WLB_COLUMNS_MAX; i++)
        d->hosts[d->host_n++] = p->hosts[i];
    if (d->host_n == 0)
        choose_hosts(lab, d);
    char err[256];
    if (p->packets && !(c.filter = wlb_expr_parse(p->packets, err, sizeof err)))
        return wlb_fail(lab, "picture diagram: packets: %s", err);
    choose_conns(&c);
    for (size_t i = 0; i < lab->record.n; i++)
        take(&c, &lab->record.entries[i]);
    unroll_singles(&c);
    wlb_expr_free(c.filter);
    return !c.is_out_of_memory || wlb_fail(lab, "out of memory");
}
