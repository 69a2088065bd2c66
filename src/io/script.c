/*
 * Rules such as "drop data 3 of conn 1" (script.h). Connections are numbered by their first SYN and only as many are
 * remembered as the rules name, so the memory of a script does not grow with the traffic.
 */
#include "io/script.h"

#include "io/frame.h"

#include <stdlib.h>
#include <string.h>

struct counts {
    uint32_t n[2][WIO_MATCH_N]; /* by direction */
};

/* A connection's ends: nobody else's bytes in it, so it can be compared whole. */
struct tuple {
    struct weir_addr near, far;
    uint16_t near_port, far_port;
};

struct conn {
    struct tuple tuple;
    uint32_t number; /* 0: an empty place */
    struct counts counts;
};

struct wio_script {
    struct wio_rule rules[WIO_RULES_MAX];
    unsigned rule_n;
    uint32_t conn_max; /* the highest number that a rule names */
    uint32_t conn_n;   /* seen so far, at most conn_max */
    uint32_t place_n;  /* of conns: a power of two, over twice conn_max */
    struct counts all;
    struct conn conns[]; /* open addressing; never emptied */
};

struct wio_script *wio_script_new(const struct wio_rule *rules, unsigned n)
{
    uint32_t conn_max = 0, place_n = 0;
    for (unsigned i = 0; i < n; i++)
        if (rules[i].conn > conn_max)
            conn_max = rules[i].conn;
    if (conn_max > 0)
        for (place_n = 2; place_n <= 2 * conn_max;)
            place_n *= 2;
    struct wio_script *s = calloc(1, sizeof *s + place_n * sizeof s->conns[0]);
    if (!s)
        return NULL;
    memcpy(s->rules, rules, n * sizeof *rules);
    s->rule_n = n;
    s->conn_max = conn_max;
    s->place_n = place_n;
    return s;
}

void wio_script_free(struct wio_script *s)
{
    free(s);
}

static struct tuple tuple_of(const struct wio_frame *f, enum wio_dir dir)
{
    const struct weir_sockaddr *near = dir == WIO_UP ? &f->src : &f->dst;
    const struct weir_sockaddr *far = dir == WIO_UP ? &f->dst : &f->src;
    return (struct tuple){near->addr, far->addr, near->port, far->port};
}

static uint32_t hash(const struct tuple *t)
{
    uint32_t h = 2166136261u;
    const uint8_t *b = (const uint8_t *)t;
    for (size_t i = 0; i < sizeof *t; i++)
        h = (h ^ b[i]) * 16777619u;
    return h;
}

/* The connection of a segment, NULL when no rule can name it. */
static struct conn *find_conn(struct wio_script *s, const struct wio_frame *f, enum wio_dir dir)
{
    if (s->conn_max == 0 || f->flags == 0)
        return NULL;
    struct tuple t = tuple_of(f, dir);
    uint32_t at = hash(&t) & (s->place_n - 1);
    while (s->conns[at].number && memcmp(&s->conns[at].tuple, &t, sizeof t) != 0)
        at = (at + 1) & (s->place_n - 1);
    struct conn *c = &s->conns[at];
    if (c->number)
        return c;
    if (!(f->kinds & 1u << WIO_MATCH_SYN) || s->conn_n == s->conn_max)
        return NULL;
    c->tuple = t;
    c->number = ++s->conn_n;
    return c;
}

static void count(struct counts *c, const struct wio_frame *f, enum wio_dir dir)
{
    for (unsigned m = 0; m < WIO_MATCH_N; m++)
        if (f->kinds & 1u << m)
            c->n[dir][m]++;
}

static bool meets(const struct wio_script *s, const struct wio_rule *r, const struct conn *c, const struct wio_frame *f,
                  enum wio_dir dir)
{
    if (!(r->dirs & 1u << dir) || !(f->kinds & 1u << r->match))
        return false;
    if (r->conn && (!c || c->number != r->conn))
        return false;
    uint32_t n = (r->conn ? &c->counts : &s->all)->n[dir][r->match];
    return n >= r->first && n <= r->last && (r->every < 2 || (n - r->first) % r->every == 0);
}

struct wio_verdict wio_script_judge(struct wio_script *s, const struct weir_pkt *p, enum weir_link_type type,
                                    enum wio_dir dir)
{
    struct wio_verdict v = {0};
    struct wio_frame f = wio_frame_look(p, type);
    struct conn *c = find_conn(s, &f, dir);
    count(&s->all, &f, dir);
    if (c)
        count(&c->counts, &f, dir);
    for (unsigned i = 0; i < s->rule_n; i++) {
        const struct wio_rule *r = &s->rules[i];
        if (!meets(s, r, c, &f, dir))
            continue;
        switch (r->action) {
        case WIO_DROP: v.is_dropped = true; break;
        case WIO_DUP: v.is_duplicated = true; break;
        case WIO_CORRUPT: v.is_corrupted = true; break;
        case WIO_MARK: v.is_marked = true; break;
        case WIO_ACTION_N: break;
        case WIO_DELAY: v.delay += (int64_t)r->delay; break;
        }
    }
    return v;
}
