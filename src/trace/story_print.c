/*
 * Draws a story (story.h): time, the near host's state, an arrow between two columns, the far host's state.
 */
#include "trace/pen.h"
#include "trace/story_items.h"
#include "trace/text.h"

#include <inttypes.h>
#include <string.h>
#include <weir/errno.h>

#define ARROW_WIDTH 44
#define STATE_WIDTH 12

static const char *label_of(const struct wtr_item *it, char buf[WTR_LABEL_CAP])
{
    return wtr_label(&(struct wtr_segment){it->flags, it->seq_rel, it->ack_rel, it->len, it->has_ack_rel, it->is_again},
                     buf);
}

static void draw_margin(const struct wtr_pen *p, const struct wtr_item *it, weir_ns began,
                        const enum weir_tcp_state *shown)
{
    uint64_t us = (it->at - began) / 1000;
    bool is_new = it->has_state[WIO_NEAR] && it->state[WIO_NEAR] != shown[WIO_NEAR];
    fprintf(p->out, "%8" PRIu64 ".%03" PRIu64 "  %-*s ", us / 1000, us % 1000, STATE_WIDTH,
            is_new ? weir_tcp_state_name(it->state[WIO_NEAR]) : "");
}

static void draw_arrow(const struct wtr_pen *p, const struct wtr_item *it)
{
    char label[WTR_LABEL_CAP];
    int rest = ARROW_WIDTH - 6 - (int)strlen(label_of(it, label));
    bool is_lost = it->drop || it->is_corrupted;
    int gap = is_lost ? 6 : 0; /* a lost one ends short of the other side */
    rest = rest - gap < 1 ? 1 + gap : rest;
    fputs(is_lost ? p->bad : it->is_again ? p->good : "", p->out);
    if (it->dir == WIO_UP) {
        wtr_repeat(p, p->dash, 2);
        fprintf(p->out, " %s ", label);
        wtr_repeat(p, p->dash, rest - gap + 1);
        fputs(is_lost ? p->cross : p->right, p->out);
        wtr_repeat(p, " ", gap);
    } else {
        wtr_repeat(p, " ", gap);
        fputs(is_lost ? p->cross : p->left, p->out);
        wtr_repeat(p, p->dash, rest - gap + 1);
        fprintf(p->out, " %s ", label);
        wtr_repeat(p, p->dash, 2);
    }
    fputs(is_lost || it->is_again ? p->plain : "", p->out);
}

static void draw_remark(const struct wtr_pen *p, const char *text)
{
    fprintf(p->out, "%*s%s  %s%s %s%s\n", 10 + 4 + STATE_WIDTH + 1, "", p->wall, p->dim, p->elbow, text, p->plain);
}

static void draw_segment(const struct wtr_pen *p, const struct wtr_item *it, weir_ns began, enum weir_tcp_state *shown)
{
    draw_margin(p, it, began, shown);
    fputs(p->wall, p->out);
    draw_arrow(p, it);
    bool is_new = it->has_state[WIO_FAR] && it->state[WIO_FAR] != shown[WIO_FAR];
    fprintf(p->out, "%s%s%s\n", p->wall, is_new ? " " : "", is_new ? weir_tcp_state_name(it->state[WIO_FAR]) : "");
    if (it->drop || it->is_corrupted)
        draw_remark(p, it->drop ? weir_drop_text(it->drop) : "one bit changed by the link");
    else if (it->why[0])
        draw_remark(p, it->why);
    for (int side = 0; side < 2; side++)
        if (it->has_state[side])
            shown[side] = it->state[side];
}

/* What one direction carried between two arrows; nothing for a direction that was silent. */
static void draw_run_dir(const struct wtr_pen *p, const struct wtr_item *it, enum wio_dir dir)
{
    char text[WTR_LABEL_CAP * 2], n[WTR_COUNT_CAP], bytes[WTR_COUNT_CAP];
    if (it->segs[dir] > 0)
        snprintf(text, sizeof text, "%s segment%s, %s byte%s", wtr_commas(it->segs[dir], n),
                 it->segs[dir] == 1 ? "" : "s", wtr_commas(it->bytes[dir], bytes), it->bytes[dir] == 1 ? "" : "s");
    else if (it->acks[dir] > 0)
        snprintf(text, sizeof text, "%s acknowledgement%s", wtr_commas(it->acks[dir], n),
                 it->acks[dir] == 1 ? "" : "s");
    else
        return;
    size_t at = strlen(text);
    if (it->lost[dir] > 0)
        at += (size_t)snprintf(text + at, sizeof text - at, ", %s lost", wtr_commas(it->lost[dir], n));
    if (it->again[dir] > 0)
        snprintf(text + at, sizeof text - at, ", %s again", wtr_commas(it->again[dir], n));
    int room = ARROW_WIDTH - 4 - (int)strlen(text);
    fprintf(p->out, "%*s%s %s%s %s%s", 10 + 4 + STATE_WIDTH + 1, "", p->dots, p->dim, dir == WIO_DOWN ? p->left : " ",
            text, p->plain);
    wtr_repeat(p, " ", room);
    fprintf(p->out, "%s%s%s %s\n", p->dim, dir == WIO_UP ? p->right : " ", p->plain, p->dots);
}

static void draw_run(const struct wtr_pen *p, const struct wtr_item *it)
{
    draw_run_dir(p, it, WIO_UP);
    draw_run_dir(p, it, WIO_DOWN);
}

static const char *size_text(uint64_t bytes, char buf[WTR_COUNT_CAP])
{
    if (bytes >= 1 << 20)
        snprintf(buf, WTR_COUNT_CAP, "%.1f MiB", (double)bytes / (1 << 20));
    else if (bytes >= 10 * 1024)
        snprintf(buf, WTR_COUNT_CAP, "%.1f KiB", (double)bytes / 1024);
    else
        snprintf(buf, WTR_COUNT_CAP, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
    return buf;
}

static void draw_title(const struct wtr_pen *p, const struct wtr_conn *c, weir_ns began, unsigned number)
{
    char near[WEIR_ADDR_TEXT_CAP], far[WEIR_ADDR_TEXT_CAP], up[WTR_COUNT_CAP], down[WTR_COUNT_CAP];
    fprintf(p->out, "connection %u: %s to %s\n", number, weir_sockaddr_format(&c->ends[WIO_NEAR], near, sizeof near),
            weir_sockaddr_format(&c->ends[WIO_FAR], far, sizeof far));
    fprintf(p->out, "%s sent, %s received, %" PRIu64 " packet%s lost on the link, %" PRIu64 " retransmission%s",
            size_text(c->bytes[WIO_UP], up), size_text(c->bytes[WIO_DOWN], down), c->lost_n, c->lost_n == 1 ? "" : "s",
            c->rexmits, c->rexmits == 1 ? "" : "s");
    if (c->is_closed)
        fprintf(p->out, ", %s after %.3f s\n\n", c->err ? weir_strerror(c->err) : "closed in order",
                (double)(c->closed_at - began) / 1e9);
    else
        fprintf(p->out, ", still open\n\n");
}

/* For what this end waited. */
static void draw_ledger(const struct wtr_conn *c, enum wio_side side, const char *host, FILE *out)
{
    char text[WTR_TEXT_CAP];
    if (c->ledger[side].life > 0)
        fprintf(out, "%s%s: %s\n", side == WIO_NEAR ? "\n" : "", host,
                wtr_text_ledger(&c->ledger[side], text, sizeof text));
}

bool wtr_story_print(const struct wtr_story *s, unsigned i, const char *near, const char *far, FILE *out, bool is_tty)
{
    if (i >= s->conn_n)
        return false;
    const struct wtr_conn *c = &s->conns[i];
    struct wtr_pen pen = wtr_pen_make(out, is_tty);
    enum weir_tcp_state shown[2] = {WEIR_TCP_CLOSED, WEIR_TCP_CLOSED};
    weir_ns began = c->item_n ? c->items[0].at : 0;
    draw_title(&pen, c, began, i + 1);
    if (!near)
        return true;
    fprintf(out, "%12s  %-*s %s%*s\n", "ms", STATE_WIDTH, "", near,
            (int)(ARROW_WIDTH + 2 > strlen(near) ? ARROW_WIDTH + 2 - strlen(near) : 1), far);
    for (unsigned k = 0; k < c->item_n; k++) {
        switch (c->items[k].kind) {
        case WTR_ITEM_SEGMENT: draw_segment(&pen, &c->items[k], began, shown); break;
        case WTR_ITEM_RUN: draw_run(&pen, &c->items[k]); break;
        }
    }
    if (c->has_state[WIO_NEAR] && c->state[WIO_NEAR] != shown[WIO_NEAR])
        fprintf(out, "%12s  %-*s %s\n", "", STATE_WIDTH, weir_tcp_state_name(c->state[WIO_NEAR]), pen.wall);
    draw_ledger(c, WIO_NEAR, near, out);
    draw_ledger(c, WIO_FAR, far, out);
    return true;
}
