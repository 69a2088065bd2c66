/*
 * Steps that speak HTTP/1.1 (RFC 9112) over the connection: a server that answers each request with so many bytes, and
 * a client that fetches one thing. As much of it as real servers and browsers need to be content: persistent
 * connections, Content-Length, chunked answers, HEAD; no more.
 */
#include "lab/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/weir.h>

#define HEAD_MAX 16384u

enum phase {
    HEAD, /* what comes is a head, up to its empty line */
    BODY, /* `left` bytes of a body */
    REST, /* a body up to the stream's end */
    CHUNK_SIZE,
    CHUNK_DATA,
    CHUNK_END, /* the line end behind its data */
    TRAILER,
    WHOLE,
};

struct wlb_http {
    enum phase phase;
    uint8_t in[HEAD_MAX]; /* come, and not used yet */
    size_t in_len;
    char out[512];
    size_t out_len, out_done;
    uint64_t left;   /* of the body, or of its chunk */
    uint64_t body;   /* bytes of it that came */
    uint64_t answer; /* of ours, bytes to send */
    unsigned status, requests;
    bool is_close, has_end; /* the connection is to be closed then; the stream has ended */
};

void wlb_http_free(struct wlb_http *h)
{
    free(h);
}

static struct wlb_http *have_http(struct wlb_proc *p)
{
    if (!p->http)
        p->http = calloc(1, sizeof *p->http);
    if (!p->http)
        wlb_fail(p->lab, "out of memory");
    return p->http;
}

/* ---- What comes ---- */

static void use(struct wlb_http *h, size_t n)
{
    h->in_len -= n;
    memmove(h->in, h->in + n, h->in_len);
}

/* More bytes, or the end. 0 or a negative errno. */
static int receive(struct wlb_proc *p, struct wlb_http *h)
{
    if (h->in_len == sizeof h->in)
        return -WEIR_EMSGSIZE;
    int64_t n = weir_recv(wsim_stack(p->conn.host), p->conn.fd, h->in + h->in_len, sizeof h->in - h->in_len, 0);
    if (n < 0)
        return (int)n;
    h->has_end = n == 0;
    h->in_len += (size_t)n;
    return 0;
}

/* The length of what is in front of `mark`, with it; 0: it has not come. */
static size_t up_to(const struct wlb_http *h, const char *mark)
{
    size_t len = strlen(mark);
    for (size_t i = 0; i + len <= h->in_len; i++) {
        if (memcmp(h->in + i, mark, len) == 0)
            return i + len;
    }
    return 0;
}

/* A field's value in the head of `len` bytes, without blanks around it. False: there is no such. */
static bool field(const struct wlb_http *h, size_t len, const char *name, char *value, size_t cap)
{
    const char *at = (const char *)h->in, *end = at + len;
    size_t name_len = strlen(name);
    while ((at = memchr(at, '\n', (size_t)(end - at))) && ++at < end) {
        if ((size_t)(end - at) <= name_len || strncasecmp(at, name, name_len) != 0 || at[name_len] != ':')
            continue;
        const char *from = at + name_len + 1, *to = memchr(from, '\r', (size_t)(end - from));
        while (from < end && (*from == ' ' || *from == '\t'))
            from++;
        if (!to || to < from)
            return false;
        snprintf(value, cap, "%.*s", (int)(to - from), from);
        return true;
    }
    return false;
}

static void read_fields(struct wlb_http *h, size_t len, bool is_answer)
{
    char value[64];
    h->is_close = field(h, len, "Connection", value, sizeof value) && strcasecmp(value, "close") == 0;
    h->left = 0;
    h->phase = BODY;
    if (field(h, len, "Transfer-Encoding", value, sizeof value) && strcasecmp(value, "chunked") == 0)
        h->phase = CHUNK_SIZE;
    else if (field(h, len, "Content-Length", value, sizeof value))
        h->left = strtoull(value, NULL, 10);
    else if (is_answer)
        h->phase = REST;
}

static size_t take_bytes(struct wlb_http *h, uint64_t most)
{
    size_t n = h->in_len < most ? h->in_len : (size_t)most;
    h->body += n;
    use(h, n);
    return n;
}

/* A line of a chunked body (RFC 9112 7.1). False: it has not come whole. */
static bool take_line(struct wlb_http *h)
{
    size_t len = up_to(h, "\r\n");
    if (len == 0)
        return false;
    if (h->phase == CHUNK_SIZE) {
        h->left = strtoull((const char *)h->in, NULL, 16); /* it ends at the line's end at the latest */
        h->phase = h->left > 0 ? CHUNK_DATA : TRAILER;
    } else if (h->phase == CHUNK_END) {
        h->phase = CHUNK_SIZE;
    } else if (len == 2) {
        h->phase = WHOLE;
    }
    use(h, len);
    return true;
}

/* As far into the body as what has come goes. */
static void take_body(struct wlb_http *h)
{
    bool is_more = true;
    while (is_more && h->phase != WHOLE) {
        switch (h->phase) {
        case REST:
            take_bytes(h, UINT64_MAX);
            is_more = h->has_end;
            h->phase = h->has_end ? WHOLE : REST;
            break;
        case BODY:
        case CHUNK_DATA:
            h->left -= take_bytes(h, h->left);
            is_more = h->left == 0;
            if (is_more)
                h->phase = h->phase == BODY ? WHOLE : CHUNK_END;
            break;
        case CHUNK_SIZE:
        case CHUNK_END:
        case TRAILER: is_more = take_line(h); break;
        case HEAD:
        case WHOLE: return;
        }
    }
}

/* ---- What goes ---- */

/* What is in `out`, then the answer's body. 0 or a negative errno. */
static int64_t send_out(struct wlb_proc *p, struct wlb_http *h)
{
    static uint8_t buf[WLB_PIECE];
    struct weir *w = wsim_stack(p->conn.host);
    while (h->out_done < h->out_len) {
        int more = h->answer > 0 ? WEIR_MSG_MORE : 0; /* a head alone would be a small segment that Nagle waits for */
        int64_t n = weir_send(w, p->conn.fd, h->out + h->out_done, h->out_len - h->out_done, more);
        if (n < 0)
            return n;
        h->out_done += (size_t)n;
    }
    memset(buf, '.', sizeof buf);
    while (h->answer > 0) {
        int64_t n = weir_send(w, p->conn.fd, buf, h->answer < sizeof buf ? (size_t)h->answer : sizeof buf, 0);
        if (n < 0)
            return n;
        h->answer -= (uint64_t)n;
    }
    return 0;
}

static void say(struct wlb_http *h, int len)
{
    h->out_len = len > 0 && (size_t)len < sizeof h->out ? (size_t)len : 0;
    h->out_done = 0;
}

/* ---- The server ---- */

static void answer(struct wlb_http *h, const struct wlb_step *s, size_t head_len)
{
    bool is_get = head_len > 4 && memcmp(h->in, "GET ", 4) == 0,
         is_head = head_len > 5 && memcmp(h->in, "HEAD ", 5) == 0;
    bool is_old = false;
    const uint8_t *line_end = memchr(h->in, '\r', head_len);
    if (line_end && line_end - h->in >= 8)
        is_old = memcmp(line_end - 8, "HTTP/1.0", 8) == 0;
    read_fields(h, head_len, false);
    h->is_close |= is_old;
    h->requests++;
    h->answer = is_get ? s->n : 0;
    say(h, snprintf(h->out, sizeof h->out,
                    "HTTP/1.1 %s\r\nServer: weir-lab\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n%s\r\n",
                    is_get || is_head ? "200 OK" : "501 Not Implemented",
                    (unsigned long long)(is_get || is_head ? s->n : 0), h->is_close ? "Connection: close\r\n" : ""));
}

/* A request, its body passed over, and the answer. 1: more may come; 0: no more; else a negative errno. */
static int64_t serve_one(struct wlb_proc *p, struct wlb_http *h, const struct wlb_step *s)
{
    int64_t err = send_out(p, h);
    if (err)
        return err;
    if (h->phase == WHOLE) {
        h->phase = HEAD;
        if (h->is_close)
            return 0;
    }
    size_t head_len = h->phase == HEAD ? up_to(h, "\r\n\r\n") : 0;
    if (head_len > 0) {
        answer(h, s, head_len);
        use(h, head_len);
    }
    if (h->phase != HEAD)
        take_body(h);
    if (h->phase == WHOLE || head_len > 0)
        return 1;
    if (h->has_end)
        return h->in_len > 0 ? -WEIR_EINVAL : 0;
    err = receive(p, h);
    return err ? err : 1;
}

enum wlb_outcome wlb_http_serve(struct wlb_proc *p, const struct wlb_step *s)
{
    struct wlb_http *h = have_http(p);
    if (!h)
        return WLB_STOP;
    wlb_begin_call(p);
    for (;;) {
        int64_t more = serve_one(p, h, s);
        if (more < 0)
            return wlb_wait_or_end(p, more);
        if (more == 0)
            return wlb_end_call(p, h->requests);
    }
}

/* ---- The client ---- */

static void ask(struct wlb_proc *p, struct wlb_http *h, const struct wlb_step *s)
{
    *h = (struct wlb_http){.phase = HEAD};
    say(h, snprintf(h->out, sizeof h->out, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weir-lab\r\n\r\n", s->text,
                    p->peer));
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct wlb_http *h, size_t len)
{
    unsigned status = 0;
    for (size_t i = 9; i < 12 && i < len; i++)
        status = status * 10 + (unsigned)(h->in[i] - '0');
    h->status = status;
    return len > 12 && memcmp(h->in, "HTTP/1.", 7) == 0 && status >= 100 && status < 600;
}

/* 1: go on; 0: the answer is whole; else a negative errno. */
static int64_t fetch_more(struct wlb_proc *p, struct wlb_http *h)
{
    int64_t err = send_out(p, h);
    if (err)
        return err;
    size_t len = h->phase == HEAD ? up_to(h, "\r\n\r\n") : 0;
    if (len > 0) {
        if (!read_status(h, len))
            return -WEIR_EINVAL;
        read_fields(h, len, true);
        use(h, len);
        if (h->status < 200) { /* an interim answer: the next may be there already */
            h->phase = HEAD;
            return 1;
        }
        if (h->status == 204 || h->status == 304)
            h->phase = WHOLE;
    }
    if (h->phase != HEAD)
        take_body(h);
    if (h->phase == WHOLE)
        return 0;
    if (h->has_end)
        return -WEIR_ECONNRESET; /* in the middle */
    err = receive(p, h);
    return err ? err : 1;
}

enum wlb_outcome wlb_http_get(struct wlb_proc *p, const struct wlb_step *s)
{
    struct wlb_http *h = have_http(p);
    if (!h)
        return WLB_STOP;
    if (!p->is_begun)
        ask(p, h, s);
    wlb_begin_call(p);
    for (;;) {
        int64_t more = fetch_more(p, h);
        if (more < 0)
            return wlb_wait_or_end(p, more);
        if (more > 0)
            continue;
        p->is_begun = false;
        struct wlb_entry *e = wlb_note_call(p, h->status);
        if (e)
            e->len = (double)h->body;
        return WLB_NEXT;
    }
}
