/*
 * Steps that send and receive messages on a stream (weir/frame.h), and the stamp that tells how long one was under way.
 */
#include "lab/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

struct wlb_inbox {
    struct weir_frame_reader reader;
    struct weir_frame_config framing;
    uint8_t *buf;
    uint8_t *out; /* the message that is being sent, as it goes out */
    size_t out_len;
};

/* ---- Stamps: "w", the number, the time; in letters, so that any framing can carry it ---- */

#define STAMP_LEN 22

void wlb_stamp(struct wlb_proc *p, uint8_t *bytes, size_t len)
{
    char stamp[STAMP_LEN + 1];
    p->messages++;
    if (len < STAMP_LEN)
        return;
    snprintf(stamp, sizeof stamp, "w%05x%016llx", p->messages & 0xfffff, (unsigned long long)wsim_now(p->lab->world));
    memcpy(bytes, stamp, STAMP_LEN);
}

void wlb_read_stamp(const struct wlb_proc *p, struct wlb_entry *e, const uint8_t *bytes, size_t len)
{
    char stamp[STAMP_LEN + 1] = "";
    unsigned number;
    unsigned long long sent;
    if (!e || len < STAMP_LEN)
        return;
    memcpy(stamp, bytes, STAMP_LEN);
    if (sscanf(stamp, "w%5x%16llx", &number, &sent) != 2)
        return;
    e->message = number;
    e->age = wsim_now(p->lab->world) - (weir_ns)sent;
}

/* ---- Messages ---- */

void wlb_inbox_free(struct wlb_inbox *box)
{
    if (!box)
        return;
    free(box->buf);
    free(box->out);
    free(box);
}

static enum wlb_outcome out_of_memory(struct wlb_proc *p)
{
    wlb_fail(p->lab, "out of memory");
    return WLB_STOP;
}

/* The steps can't say more of a framing than this. */
static bool is_same(const struct weir_frame_config *a, const struct weir_frame_config *b)
{
    return a->framing == b->framing && a->max_bytes == b->max_bytes && a->escape == b->escape &&
           a->header_bytes == b->header_bytes && a->is_little_endian == b->is_little_endian;
}

static struct wlb_inbox *have_inbox(struct wlb_proc *p, const struct weir_frame_config *framing)
{
    if (p->inbox && !is_same(&p->inbox->framing, framing)) {
        wlb_fail(p->lab, "%s: one framing to a connection, please", p->where);
        return NULL;
    }
    if (p->inbox)
        return p->inbox;
    size_t cap = weir_frame_buffer_bytes(framing);
    struct wlb_inbox *box = calloc(1, sizeof *box);
    p->inbox = box;
    if (!box || !(box->buf = malloc(cap + 1)) || weir_frame_reader_init(&box->reader, framing, box->buf, cap) < 0) {
        out_of_memory(p);
        return NULL;
    }
    box->framing = *framing;
    return box;
}

static int64_t prepare(struct wlb_proc *p, struct wlb_inbox *box, const struct wlb_step *s)
{
    size_t len = (size_t)s->n, cap = 2 * len + WEIR_FRAME_HEADER_MAX + WEIR_FRAME_DELIMITER_MAX;
    uint8_t *msg = malloc(len + 1), *out = realloc(box->out, cap);
    int64_t n = -WEIR_ENOMEM;
    box->out = out ? out : box->out;
    if (msg && out) {
        memset(msg, '.', len);
        if (s->text[0])
            memcpy(msg, s->text, len);
        else
            wlb_stamp(p, msg, len);
        n = weir_frame_write(&s->framing, msg, len, out, cap);
        box->out_len = n < 0 ? 0 : (size_t)n;
    }
    free(msg);
    return n;
}

enum wlb_outcome wlb_send_message(struct wlb_proc *p, const struct wlb_step *s)
{
    struct wlb_inbox *box = have_inbox(p, &s->framing);
    if (!box)
        return WLB_STOP;
    if (!p->is_begun) {
        wlb_begin_call(p);
        int64_t err = prepare(p, box, s);
        if (err < 0)
            return wlb_end_call(p, err);
    }
    while (p->done < box->out_len) {
        int64_t got =
            weir_send(wsim_stack(p->conn.host), p->conn.fd, box->out + p->done, box->out_len - (size_t)p->done, 0);
        if (got < 0)
            return wlb_wait_or_end(p, got);
        p->done += (uint64_t)got;
    }
    return wlb_end_call(p, (int64_t)s->n);
}

enum wlb_outcome wlb_receive_message(struct wlb_proc *p, const struct wlb_step *s)
{
    struct wlb_inbox *box = have_inbox(p, &s->framing);
    if (!box)
        return WLB_STOP;
    wlb_begin_call(p);
    for (;;) {
        const uint8_t *msg;
        size_t len;
        int got = weir_frame_next(&box->reader, &msg, &len);
        if (got < 0)
            return wlb_end_call(p, got);
        if (got > 0) {
            p->is_begun = false;
            wlb_read_stamp(p, wlb_note_call(p, (int64_t)len), msg, len);
            return WLB_NEXT;
        }
        uint8_t *room = weir_frame_room(&box->reader, &len);
        int64_t n = weir_recv(wsim_stack(p->conn.host), p->conn.fd, room, len, 0);
        if (n < 0)
            return wlb_wait_or_end(p, n);
        if (n == 0) {
            int err = weir_frame_end(&box->reader);
            enum wlb_outcome o = wlb_end_call(p, err);
            wlb_leave_loop(p);
            return o;
        }
        weir_frame_filled(&box->reader, (size_t)n);
    }
}
