/*
 * A sequence diagram with a column for each host: of a connection whose packets cross more than one link, or of
 * everything where there is no connection at all. Each crossing of a link is an arrow of its own; made from the record.
 */
#include "lab/lab.h"

#include "trace/pen.h"
#include "trace/story.h"

#include <inttypes.h>
#include <string.h>
#include <weir/weir.h>

#define MARGIN    8 /* left of the first column: half of the longest name */
#define WIDTH_MAX (MARGIN + 7 * 36 + 24)
#define IP_V4     20
#define IP_V6     40

/* Which packets, and whose columns. */
struct columns {
    const struct wlb_lab *lab;
    const struct weir_sockaddr *ends; /* of a connection, NULL: everything */
    struct wtr_pen pen;
    bool is_drawn[WLB_HOSTS_MAX];
    unsigned place[WLB_HOSTS_MAX]; /* the column's cell */
    unsigned width;                /* from one column to the next */
    unsigned end;                  /* the last cell of the last column */
};

/* A line: a string for each cell, so that a glyph of several bytes is one. */
struct line {
    const char *cells[WIDTH_MAX];
    char letters[WIDTH_MAX][2];
};

/* ---- Which packets ---- */

static bool addresses_of(const struct wlb_entry *e, struct weir_addr *src, struct weir_addr *dst)
{
    const uint8_t *ip = e->head;
    if (e->head_len >= IP_V4 && ip[0] >> 4 == 4) {
        *src = weir_addr_v4(ip[12], ip[13], ip[14], ip[15]);
        *dst = weir_addr_v4(ip[16], ip[17], ip[18], ip[19]);
        return true;
    }
    if (e->head_len < IP_V6 || ip[0] >> 4 != 6)
        return false;
    memcpy(src->b, ip + 8, 16);
    memcpy(dst->b, ip + 24, 16);
    return true;
}

static bool is_wanted(const struct weir_sockaddr *ends, const struct wlb_entry *e)
{
    struct weir_addr src, dst;
    if (e->kind != WLB_WIRE || (ends && (!e->is_tcp || !addresses_of(e, &src, &dst))))
        return false;
    for (int side = 0; ends && side < 2; side++) {
        if (e->src_port == ends[side].port && e->dst_port == ends[!side].port &&
            weir_addr_equal(&src, &ends[side].addr) && weir_addr_equal(&dst, &ends[!side].addr))
            return true;
    }
    return !ends;
}

static bool is_its_state(const struct columns *c, const struct wlb_entry *e)
{
    if (!c->ends || e->kind != WLB_EVENT || e->event != WEIR_EV_STATE || !e->to)
        return false;
    return (e->src_port == c->ends[0].port && e->dst_port == c->ends[1].port) ||
           (e->src_port == c->ends[1].port && e->dst_port == c->ends[0].port);
}

static unsigned index_of(const struct wlb_lab *lab, const char *name)
{
    unsigned i = 0;
    while (i < lab->host_n && strcmp(lab->hosts[i]->name, name) != 0)
        i++;
    return i;
}

/* By which columns an arrow goes. */
static void ends_of(const struct wlb_lab *lab, const struct wlb_entry *e, unsigned *from, unsigned *to)
{
    const struct wlb_lab_link *l = &lab->links[e->link - 1];
    bool is_near = strcmp(l->ends[WIO_NEAR]->name, e->host) == 0;
    *from = index_of(lab, l->ends[is_near ? WIO_NEAR : WIO_FAR]->name);
    *to = index_of(lab, l->ends[is_near ? WIO_FAR : WIO_NEAR]->name);
}

static unsigned mark_hosts(const struct wlb_lab *lab, const struct weir_sockaddr *ends, bool is_drawn[WLB_HOSTS_MAX])
{
    unsigned n = 0, from, to;
    memset(is_drawn, 0, WLB_HOSTS_MAX * sizeof *is_drawn);
    for (size_t i = 0; i < lab->record.n; i++) {
        if (!is_wanted(ends, &lab->record.entries[i]))
            continue;
        ends_of(lab, &lab->record.entries[i], &from, &to);
        is_drawn[from] = is_drawn[to] = true;
    }
    for (unsigned i = 0; i < lab->host_n; i++)
        n += is_drawn[i];
    return n;
}

bool wlb_columns_fit(const struct wlb_lab *lab, const struct weir_sockaddr *ends)
{
    bool is_drawn[WLB_HOSTS_MAX];
    unsigned n = mark_hosts(lab, ends, is_drawn);
    const struct wsim_host *near = lab->links[0].ends[WIO_NEAR], *far = lab->links[0].ends[WIO_FAR];
    return n > 2 || (n == 2 && !(is_drawn[index_of(lab, near->name)] && is_drawn[index_of(lab, far->name)]));
}

/* ---- Lines ---- */

static void put(struct line *l, unsigned at, const char *glyph)
{
    if (at < WIDTH_MAX)
        l->cells[at] = glyph;
}

static void put_text(struct line *l, unsigned at, const char *text, unsigned most)
{
    for (unsigned i = 0; text[i] && i < most && at + i < WIDTH_MAX; i++) {
        l->letters[at + i][0] = text[i];
        l->letters[at + i][1] = '\0';
        l->cells[at + i] = l->letters[at + i];
    }
}

static void begin_line(const struct columns *c, struct line *l)
{
    for (unsigned i = 0; i < WIDTH_MAX; i++)
        l->cells[i] = " ";
    for (unsigned i = 0; i < c->lab->host_n; i++) {
        if (c->is_drawn[i])
            put(l, c->place[i], c->pen.wall);
    }
}

static void end_line(const struct columns *c, const struct line *l, const weir_ns *at, const char *colour,
                     const char *remark)
{
    if (at)
        fprintf(c->pen.out, "%8" PRIu64 ".%03" PRIu64 " ", *at / 1000000, *at / 1000 % 1000);
    else
        fprintf(c->pen.out, "%13s", "");
    unsigned end = c->end + MARGIN;
    while (end > 0 && strcmp(l->cells[end - 1], " ") == 0)
        end--;
    fputs(colour, c->pen.out);
    for (unsigned i = 0; i < end; i++)
        fputs(l->cells[i], c->pen.out);
    fprintf(c->pen.out, "%s%s%s\n", *colour ? c->pen.plain : "", *remark ? "  " : "", remark);
}

static void put_centred(struct line *l, unsigned at, const char *text)
{
    unsigned half = (unsigned)strlen(text) / 2;
    put_text(l, at > half ? at - half : 0, text, WIDTH_MAX);
}

static const char *label_of(const struct wlb_entry *e, char buf[WTR_LABEL_CAP])
{
    const uint8_t *ip = e->head;
    unsigned proto = ip[0] >> 4 == 4 ? ip[9] : ip[0] >> 4 == 6 ? ip[6] : 0;
    if (e->is_tcp)
        return wtr_label(&(struct wtr_segment){.flags = e->flags,
                                               .seq = (uint32_t)e->seq,
                                               .ack = (uint32_t)e->ack,
                                               .len = (uint32_t)e->len,
                                               .has_ack = e->ack < UINT32_MAX / 2.0,
                                               .is_again = e->is_again},
                         buf);
    if (proto == WEIR_IPPROTO_UDP)
        snprintf(buf, WTR_LABEL_CAP, "UDP, %.0f bytes to %u", e->len, e->dst_port);
    else
        snprintf(buf, WTR_LABEL_CAP, "%s", proto == 1 || proto == 58 ? "ICMP" : proto == 2 ? "IGMP" : "ARP");
    return buf;
}

static void draw_arrow(const struct columns *c, const struct wlb_entry *e)
{
    struct line l;
    char label[WTR_LABEL_CAP], text[WTR_LABEL_CAP + 2];
    unsigned from, to;
    bool is_lost = e->drop || e->is_corrupted;
    ends_of(c->lab, e, &from, &to);
    from = c->place[from];
    to = c->place[to];
    bool is_right = from < to;
    unsigned lo = is_right ? from : to, hi = is_right ? to : from, short_of = is_lost ? 5 : 0;
    begin_line(c, &l);
    for (unsigned i = lo + 1 + (is_right ? 0 : short_of); i < hi - (is_right ? short_of : 0); i++)
        put(&l, i, c->pen.dash);
    put(&l, is_right ? hi - 1 - short_of : lo + 1 + short_of,
        is_lost    ? c->pen.cross
        : is_right ? c->pen.right
                   : c->pen.left);
    snprintf(text, sizeof text, " %s ", label_of(e, label));
    unsigned len = (unsigned)strlen(text), room = c->width - 6 - short_of;
    len = len < room ? len : room;
    put_text(&l, is_right ? lo + 3 : hi - 2 - len, text, len);
    end_line(c, &l, &e->at,
             is_lost       ? c->pen.bad
             : e->is_again ? c->pen.good
                           : "",
             e->drop           ? weir_drop_text(e->drop)
             : e->is_corrupted ? "one bit changed"
                               : "");
}

static void draw_state(const struct columns *c, const struct wlb_entry *e)
{
    struct line l;
    char text[24];
    unsigned i = index_of(c->lab, e->host);
    if (i == c->lab->host_n || !c->is_drawn[i])
        return;
    begin_line(c, &l);
    snprintf(text, sizeof text, "[%s]", e->to);
    put_centred(&l, c->place[i], text);
    end_line(c, &l, &e->at, "", "");
}

static void draw_heads(const struct columns *c)
{
    struct line l;
    for (unsigned i = 0; i < WIDTH_MAX; i++)
        l.cells[i] = " ";
    for (unsigned i = 0; i < c->lab->host_n; i++) {
        if (c->is_drawn[i])
            put_centred(&l, c->place[i], c->lab->hosts[i]->name);
    }
    fprintf(c->pen.out, "%12s", "ms");
    for (unsigned i = 0; i < c->end + MARGIN; i++)
        fputs(l.cells[i], c->pen.out);
    fputc('\n', c->pen.out);
}

void wlb_columns_print(const struct wlb_lab *lab, const struct weir_sockaddr *ends, unsigned arrows, FILE *out,
                       bool is_tty)
{
    struct columns c = {.lab = lab, .ends = ends, .pen = wtr_pen_make(out, is_tty)};
    unsigned n = mark_hosts(lab, ends, c.is_drawn), column = 0, drawn = 0, left = 0;
    arrows *= n > 1 ? n - 1 : 1; /* each crossing is one */
    c.width = n <= 3 ? 36 : n == 4 ? 30 : 22;
    for (unsigned i = 0; i < lab->host_n; i++) {
        if (c.is_drawn[i])
            c.end = c.place[i] = MARGIN + c.width * column++;
    }
    draw_heads(&c);
    for (size_t i = 0; i < lab->record.n; i++) {
        const struct wlb_entry *e = &lab->record.entries[i];
        if (is_wanted(ends, e) && drawn++ < arrows)
            draw_arrow(&c, e);
        else if (is_wanted(ends, e))
            left++;
        else if (is_its_state(&c, e))
            draw_state(&c, e);
    }
    if (left > 0)
        fprintf(out, "%13sand %u packets more that are not drawn\n", "", left);
    fputc('\n', out);
}
