/*
 * Notices (notice.h). Each is first a mark at a place in the send queue, and goes into the error queue when that place
 * has been sent or acknowledged. Marks stand in the order of their places.
 */
#include "tcp/notice.h"

#include "base/str.h"
#include "tcp/send.h"

#define QUEUE_MAX      1024u      /* notices that nobody has read: more are dropped, as beyond Linux's receive buffer */
#define ZC_BYTES_MAX   (1u << 19) /* of the writes that one notice speaks for (Linux's msg_zerocopy_realloc) */
#define ORIGIN_STAMP   4          /* SO_EE_ORIGIN_TIMESTAMPING */
#define ORIGIN_ZC      5          /* SO_EE_ORIGIN_ZEROCOPY */
#define ZC_CODE_COPIED 1          /* SO_EE_CODE_ZEROCOPY_COPIED: weir copies what it is lent this way */

enum kind { KIND_ZEROCOPY, KIND_STAMP };
enum stamp_type { STAMP_SND, STAMP_SCHED, STAMP_ACK }; /* Linux's SCM_TSTAMP_* */

struct wi_tcp_notice {
    struct wi_list link; /* wi_tcp_notices.marks, then .queue */
    enum kind kind;
    struct wi_seq last;   /* the byte that it waits for; as a mark */
    uint32_t lo, hi;      /* ZEROCOPY: the writes, counted from 0. STAMP, queued: hi is the byte's number */
    uint64_t bytes;       /* ZEROCOPY: of these writes */
    enum stamp_type type; /* STAMP, queued */
    uint32_t wanted;      /* STAMP: enum weir_timestamping at the time of the write */
    weir_ns at;           /* STAMP, queued */
    struct weir_block
        *shown; /* STAMP, queued without OPT_TSONLY: what was sent or acknowledged; NULL: nothing is had */
    uint32_t shown_len;
    bool is_open; /* ZEROCOPY: its write is under way */
};

struct wi_tcp_notices {
    struct wi_list marks, queue;
    uint32_t queue_n;
    uint32_t queue_bytes; /* that its notices hold: with what waits to be read not more than the receive buffer */
    uint32_t zc_next;     /* number of the next write with MSG_ZEROCOPY */
    struct wi_seq base;   /* where the numbers of OPT_ID begin; valid while has_base */
    bool has_base;
};

#define STAMPS_OF_SENDING (WEIR_TIMESTAMPING_TX_SCHED | WEIR_TIMESTAMPING_TX_SOFTWARE | WEIR_TIMESTAMPING_TX_ACK)

void wi_tcp_notice_init(struct wi_tcp *t)
{
    wi_slab_init(&t->notice_slab, t->core->mem, sizeof(struct wi_tcp_notice), "tcp notices");
    wi_slab_init(&t->notices_slab, t->core->mem, sizeof(struct wi_tcp_notices), "tcp error queues");
}

void wi_tcp_notice_fini(struct wi_tcp *t)
{
    wi_slab_fini(&t->notice_slab);
    wi_slab_fini(&t->notices_slab);
}

static struct wi_tcp_notices *notices_of(struct wi_tcp_conn *c)
{
    if (c->notices)
        return c->notices;
    c->notices = wi_slab_alloc(&c->tcp->notices_slab);
    if (c->notices) {
        wi_list_init(&c->notices->marks);
        wi_list_init(&c->notices->queue);
    }
    return c->notices;
}

static struct wi_tcp_notice *notice_new(struct wi_tcp_conn *c, enum kind kind)
{
    struct wi_tcp_notice *n = wi_slab_alloc(&c->tcp->notice_slab);
    if (n) {
        wi_list_init(&n->link);
        n->kind = kind;
    }
    return n;
}

static void notice_drop(struct wi_tcp_conn *c, struct wi_tcp_notice *n)
{
    wi_list_del(&n->link);
    if (n->shown)
        weir_block_unref(n->shown);
    wi_slab_free(&c->tcp->notice_slab, n);
}

static struct wi_tcp_notice *newest_mark(const struct wi_tcp_conn *c, enum kind kind)
{
    struct wi_tcp_notices *all = c->notices;
    struct wi_tcp_notice *n = all ? wi_list_last(&all->marks, struct wi_tcp_notice, link) : NULL;
    while (n && n->kind != kind)
        n = wi_list_prev(n, &all->marks, struct wi_tcp_notice, link);
    return n;
}

/* ---- The error queue ---- */

static void enqueue(struct wi_tcp_conn *c, struct wi_tcp_notice *n)
{
    wi_list_del(&n->link);
    struct wi_tcp_notices *all = c->notices;
    uint64_t held = (uint64_t)c->rcvq.mem_bytes + all->queue_bytes + n->shown_len;
    if (all->queue_n >= QUEUE_MAX || (n->shown_len > 0 && held >= c->sk.opts.rcvbuf_bytes)) {
        notice_drop(c, n);
        return;
    }
    wi_list_add_tail(&all->queue, &n->link);
    all->queue_n++;
    all->queue_bytes += n->shown_len;
    wi_sk_ready(&c->sk, WEIR_POLLERR);
}

/* Writes that follow each other are told in one notice while it has not been read. */
static void enqueue_zerocopy(struct wi_tcp_conn *c, struct wi_tcp_notice *n)
{
    struct wi_tcp_notice *tail = wi_list_last(&c->notices->queue, struct wi_tcp_notice, link);
    if (!tail || tail->kind != KIND_ZEROCOPY || tail->hi + 1 != n->lo) {
        enqueue(c, n);
        return;
    }
    tail->hi = n->hi;
    notice_drop(c, n);
    wi_sk_ready(&c->sk, WEIR_POLLERR);
}

bool wi_tcp_notice_waits(const struct wi_tcp_conn *c)
{
    return c->notices && c->notices->queue_n > 0;
}

static void tell_stamp(const struct wi_tcp_conn *c, struct weir_msg *msg, const struct wi_tcp_notice *n)
{
    msg->err = WEIR_ENOMSG;
    msg->err_origin = ORIGIN_STAMP;
    msg->err_info = n->type;
    msg->err_data = n->hi;
    if (c->sk.opts.timestamping & WEIR_TIMESTAMPING_SOFTWARE) {
        msg->has |= WEIR_HAS_STAMP;
        msg->stamp = n->at;
    }
}

/* The bytes that come with it, as many as there is room for. */
static uint32_t show(const struct wi_tcp_notice *n, struct weir_msg *msg)
{
    uint32_t done = 0;
    for (size_t i = 0; i < msg->iov_n && done < n->shown_len; i++) {
        uint32_t len = (uint32_t)wi_min_size(msg->iov[i].len, n->shown_len - done);
        if (len > 0)
            memcpy(msg->iov[i].base, n->shown->data + done, len);
        done += len;
    }
    if (done < n->shown_len)
        msg->flags |= WEIR_MSG_TRUNC;
    return done;
}

int64_t wi_tcp_notice_read(struct wi_tcp_conn *c, struct weir_msg *msg)
{
    struct wi_tcp_notice *n = c->notices ? wi_list_first(&c->notices->queue, struct wi_tcp_notice, link) : NULL;
    if (!n)
        return -WEIR_EAGAIN;
    msg->flags = WEIR_MSG_ERRQUEUE;
    msg->has = WEIR_HAS_ERR;
    msg->err = 0;
    msg->err_type = msg->err_code = 0;
    msg->offender = (struct weir_sockaddr){0};
    if (n->kind == KIND_STAMP) {
        tell_stamp(c, msg, n);
    } else {
        msg->err_origin = ORIGIN_ZC;
        msg->err_code = ZC_CODE_COPIED;
        msg->err_info = n->lo;
        msg->err_data = n->hi;
    }
    int64_t len = show(n, msg);
    c->notices->queue_n--;
    c->notices->queue_bytes -= n->shown_len;
    notice_drop(c, n);
    return len;
}

/* ---- MSG_ZEROCOPY ---- */

/* The write joins the one before it while that one's last record is still unsent. */
static bool may_join(const struct wi_tcp_conn *c, const struct wi_tcp_notice *n, size_t bytes)
{
    const struct wi_tcp_rec *last = c->sndq.send_head ? wi_tcp_rec_last(c) : NULL;
    return n && last && last->zc == n->lo + 1 && n->bytes + bytes < ZC_BYTES_MAX;
}

int wi_tcp_zerocopy_begin(struct wi_tcp_conn *c, size_t bytes, uint32_t *tag)
{
    struct wi_tcp_notices *all;
    *tag = 0;
    if (!c->sk.opts.zerocopy || bytes == 0)
        return 0;
    if (!(all = notices_of(c)))
        return -WEIR_ENOBUFS;
    struct wi_tcp_notice *n = newest_mark(c, KIND_ZEROCOPY);
    if (may_join(c, n, bytes)) {
        n->hi++;
    } else {
        n = notice_new(c, KIND_ZEROCOPY);
        if (!n)
            return -WEIR_ENOBUFS;
        n->lo = n->hi = all->zc_next;
        n->last = c->write_seq;
        wi_list_add_tail(&all->marks, &n->link);
    }
    n->is_open = true;
    all->zc_next++;
    *tag = n->lo + 1;
    return 0;
}

void wi_tcp_zerocopy_end(struct wi_tcp_conn *c, uint32_t tag, uint64_t taken)
{
    struct wi_tcp_notice *n = tag ? newest_mark(c, KIND_ZEROCOPY) : NULL;
    if (!n)
        return;
    n->is_open = false;
    n->bytes += taken;
    if (taken > 0) {
        n->last = wi_seq_add(c->write_seq, (uint32_t)-1);
        return;
    }
    c->notices->zc_next--;
    if (n->hi == n->lo)
        notice_drop(c, n);
    else
        n->hi--;
}

/* ---- SO_TIMESTAMPING ---- */

void wi_tcp_stamp_option(struct wi_tcp_conn *c)
{
    uint32_t asked = c->sk.opts.timestamping;
    struct wi_tcp_notices *all = asked & WEIR_TIMESTAMPING_OPT_ID ? notices_of(c) : c->notices;
    if (!all)
        return;
    if (asked & WEIR_TIMESTAMPING_OPT_ID && !all->has_base)
        all->base = asked & WEIR_TIMESTAMPING_OPT_ID_TCP ? c->write_seq : c->snd_una;
    all->has_base = (asked & WEIR_TIMESTAMPING_OPT_ID) != 0;
}

/* One mark for a record, as Linux: a later write into the same one moves it. */
void wi_tcp_stamp_written(struct wi_tcp_conn *c)
{
    uint32_t asked = c->sk.opts.timestamping;
    const struct wi_tcp_rec *rec = wi_tcp_rec_last(c);
    if (!(asked & STAMPS_OF_SENDING) || !rec || !notices_of(c))
        return;
    struct wi_tcp_notice *n = newest_mark(c, KIND_STAMP);
    if (!n || rec->was_sent || wi_seq_lt(n->last, rec->seq)) {
        n = notice_new(c, KIND_STAMP);
        if (!n)
            return; /* like a notice beyond the queue's limit */
    } else {
        wi_list_del(&n->link);
    }
    n->last = wi_seq_add(rec->end, (uint32_t)-1);
    n->wanted |= asked;
    wi_list_add_tail(&c->notices->marks, &n->link);
}

/* The packet's bytes go with it, in a block of their own: the record's would hold more than is counted. */
static bool attach(struct wi_tcp_conn *c, struct wi_tcp_notice *n, const struct weir_pkt *pkt)
{
    n->shown = weir_block_new(c->sk.core->pool, pkt->len);
    if (!n->shown)
        return false;
    n->shown_len = (uint32_t)weir_pkt_copy(pkt, 0, n->shown->data, pkt->len);
    return true;
}

static void tell(struct wi_tcp_conn *c, const struct wi_tcp_notice *mark, enum stamp_type type,
                 const struct weir_pkt *pkt)
{
    struct wi_tcp_notice *n = notice_new(c, KIND_STAMP);
    if (!n)
        return;
    n->type = type;
    n->at = c->sk.core->now;
    n->hi = c->notices->has_base ? (uint32_t)wi_seq_diff(mark->last, c->notices->base) : 0;
    if (!pkt || (mark->wanted & WEIR_TIMESTAMPING_OPT_TSONLY) || attach(c, n, pkt))
        enqueue(c, n);
    else
        notice_drop(c, n);
}

/* The mark of a record that waits for its being sent, NULL: there is none. */
static struct wi_tcp_notice *mark_in(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    if (!c->notices)
        return NULL;
    wi_list_for_each (n, &c->notices->marks, struct wi_tcp_notice, link) {
        if (wi_seq_geq(n->last, r->end))
            break;
        if (n->kind == KIND_STAMP && wi_seq_geq(n->last, r->seq))
            return n;
    }
    return NULL;
}

bool wi_tcp_stamp_wants_packet(const struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    const struct wi_tcp_notice *n = mark_in(c, r);
    return n && !(n->wanted & WEIR_TIMESTAMPING_OPT_TSONLY) &&
           (n->wanted & (WEIR_TIMESTAMPING_TX_SCHED | WEIR_TIMESTAMPING_TX_SOFTWARE));
}

void wi_tcp_stamp_sent(struct wi_tcp_conn *c, const struct wi_tcp_rec *r, const struct weir_pkt *pkt)
{
    if (!c->notices)
        return;
    wi_list_for_each (n, &c->notices->marks, struct wi_tcp_notice, link) {
        if (wi_seq_geq(n->last, r->end))
            return;
        if (n->kind != KIND_STAMP || wi_seq_lt(n->last, r->seq))
            continue;
        if (n->wanted & WEIR_TIMESTAMPING_TX_SCHED)
            tell(c, n, STAMP_SCHED, pkt);
        if (n->wanted & WEIR_TIMESTAMPING_TX_SOFTWARE)
            tell(c, n, STAMP_SND, pkt);
    }
}

/* A packet of nothing but the record's payload; NULL: no memory. */
static struct weir_pkt *payload_of(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    struct weir_pkt *pkt = weir_pkt_new(c->sk.core->pool, 0);
    if (!pkt || wi_tcp_rec_view(c, r, 0, wi_tcp_rec_len(r), pkt))
        return pkt;
    weir_pkt_unref(pkt);
    return NULL;
}

void wi_tcp_stamp_acked(struct wi_tcp_conn *c, const struct wi_tcp_rec *r)
{
    struct wi_tcp_notice *n = mark_in(c, r);
    if (!n || !(n->wanted & WEIR_TIMESTAMPING_TX_ACK))
        return;
    struct weir_pkt *pkt = n->wanted & WEIR_TIMESTAMPING_OPT_TSONLY ? NULL : payload_of(c, r);
    tell(c, n, STAMP_ACK, pkt);
    if (pkt)
        weir_pkt_unref(pkt);
    notice_drop(c, n);
}

/* ---- Acknowledged, or thrown away ---- */

void wi_tcp_notice_acked(struct wi_tcp_conn *c)
{
    if (!c->notices)
        return;
    wi_list_for_each_safe (n, &c->notices->marks, struct wi_tcp_notice, link) {
        if (n->is_open || wi_seq_geq(n->last, c->snd_una))
            return;
        if (n->kind == KIND_ZEROCOPY) {
            wi_list_del(&n->link);
            enqueue_zerocopy(c, n);
            continue;
        }
        if (n->wanted & WEIR_TIMESTAMPING_TX_ACK) /* the end of a record that was acknowledged in part only */
            tell(c, n, STAMP_ACK, NULL);
        notice_drop(c, n);
    }
}

void wi_tcp_notice_purge(struct wi_tcp_conn *c)
{
    if (!c->notices)
        return;
    wi_list_for_each_safe (n, &c->notices->marks, struct wi_tcp_notice, link) {
        if (n->kind == KIND_ZEROCOPY) {
            wi_list_del(&n->link);
            enqueue_zerocopy(c, n);
        } else {
            notice_drop(c, n);
        }
    }
}

void wi_tcp_notice_free(struct wi_tcp_conn *c)
{
    if (!c->notices)
        return;
    wi_tcp_notice_purge(c);
    wi_list_for_each_safe (n, &c->notices->queue, struct wi_tcp_notice, link) {
        notice_drop(c, n);
    }
    wi_slab_free(&c->tcp->notices_slab, c->notices);
    c->notices = NULL;
}
