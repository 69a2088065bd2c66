/* ss's filter language: read by descent into a tree, whose depth and size are bounded. */
#include "ss/filter.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 1000
#define DEPTH_MAX 64
#define WORD_CAP  128

enum kind { TRUE, AND, OR, NOT, ADDRESS, PORT };
enum op { EQ, NE, GT, LT, GE, LE };

struct node {
    enum kind kind;
    int left, right;
    bool is_remote;
    enum op op;
    struct weir_addr addr;
    unsigned bits; /* of addr, from the front: 0 to 128 */
    bool has_port;
    uint16_t port;
};

struct wss_expr {
    int root, n;
    struct node nodes[NODES_MAX];
};

/* ---- States ---- */

uint32_t wss_states_named(const char *word)
{
    const uint32_t listen = WSS_STATE(WEIR_SOCK_LISTEN), closed = WSS_STATE(WEIR_SOCK_CLOSE);
    const uint32_t connected = WSS_STATES_ALL & ~(listen | closed);
    const uint32_t bucket = WSS_STATE(WEIR_SOCK_SYN_RECV) | WSS_STATE(WEIR_SOCK_TIME_WAIT);
    const struct {
        const char *name;
        uint32_t states;
    } words[] = {
        {"established", WSS_STATE(WEIR_SOCK_ESTABLISHED)},
        {"syn-sent", WSS_STATE(WEIR_SOCK_SYN_SENT)},
        {"syn-recv", WSS_STATE(WEIR_SOCK_SYN_RECV)},
        {"fin-wait-1", WSS_STATE(WEIR_SOCK_FIN_WAIT_1)},
        {"fin-wait-2", WSS_STATE(WEIR_SOCK_FIN_WAIT_2)},
        {"time-wait", WSS_STATE(WEIR_SOCK_TIME_WAIT)},
        {"closed", closed},
        {"unconnected", closed},
        {"close-wait", WSS_STATE(WEIR_SOCK_CLOSE_WAIT)},
        {"last-ack", WSS_STATE(WEIR_SOCK_LAST_ACK)},
        {"listening", listen},
        {"listen", listen},
        {"closing", WSS_STATE(WEIR_SOCK_CLOSING)},
        {"all", WSS_STATES_ALL},
        {"connected", connected},
        {"synchronized", connected & ~WSS_STATE(WEIR_SOCK_SYN_SENT)},
        {"bucket", bucket},
        {"big", WSS_STATES_ALL & ~bucket},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i].name) == 0)
            return words[i].states;
    }
    return 0;
}

/* ---- Words ---- */

struct parser {
    const char *at;
    char word[WORD_CAP]; /* the next one, "" at the end */
    struct wss_expr *expr;
    char *err;
    size_t err_cap;
    bool is_bad;
};

static int bad(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int bad(struct parser *p, const char *format, ...)
{
    va_list args;
    if (!p->is_bad) {
        va_start(args, format);
        vsnprintf(p->err, p->err_cap, format, args);
        va_end(args);
    }
    p->is_bad = true;
    return 0;
}

/* Parentheses and comparisons are words of their own; an exclamation mark is one unless it begins "!=". */
static size_t word_len(const char *s)
{
    if (*s == '(' || *s == ')')
        return 1;
    size_t ops = strspn(s, "=!<>");
    if (ops)
        return *s == '!' && s[1] != '=' ? 1 : ops;
    return strcspn(s, " \t\n()=!<>");
}

static void next(struct parser *p)
{
    p->at += strspn(p->at, " \t\n");
    size_t n = word_len(p->at);
    if (n >= sizeof p->word) {
        bad(p, "a word is too long");
        n = 0;
    }
    memcpy(p->word, p->at, n);
    p->word[n] = '\0';
    p->at += n;
}

static bool is_word(const struct parser *p, const char *a, const char *b, const char *c)
{
    return strcmp(p->word, a) == 0 || (b && strcmp(p->word, b) == 0) || (c && strcmp(p->word, c) == 0);
}

/* ---- Hosts and ports ---- */

static bool read_port(const char *text, uint16_t *out)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && v <= UINT16_MAX) {
        *out = (uint16_t)v;
        return true;
    }
    const struct servent *s = getservbyname(text, NULL);
    if (s)
        *out = ntohs((uint16_t)s->s_port);
    return s != NULL;
}

static bool read_bits(struct parser *p, struct node *n, char *text)
{
    char *slash = strchr(text, '/'), *end;
    if (slash)
        *slash = '\0';
    if (weir_addr_parse(&n->addr, text) < 0)
        return bad(p, "%s is no address (names are not looked up)", text);
    unsigned width = weir_addr_is_v4(&n->addr) ? 32 : 128;
    unsigned long bits = slash ? strtoul(slash + 1, &end, 10) : width;
    if (slash && (!slash[1] || *end || bits > width))
        return bad(p, "/%s is no prefix of that address", slash + 1);
    n->bits = (unsigned)bits + 128 - width;
    return true;
}

/* ADDRESS[/BITS], [ADDRESS]:PORT, ADDRESS:PORT, :PORT, * */
static bool read_host(struct parser *p, struct node *n)
{
    char copy[WORD_CAP], *text = copy, *port = NULL;
    snprintf(copy, sizeof copy, "%s", p->word);
    char *close_at = *text == '[' ? strchr(text, ']') : NULL, *colon = strrchr(text, ':');
    if (close_at) {
        *close_at = '\0';
        text++;
        if (close_at[1] == ':')
            port = close_at + 2;
        else if (close_at[1] == '/')
            memmove(close_at, close_at + 1, strlen(close_at + 1) + 1);
        else if (close_at[1])
            return bad(p, "%s: what follows the bracket?", p->word);
    } else if (colon && colon == strchr(text, ':')) { /* one only: IPv6 addresses with a port are in brackets */
        *colon = '\0';
        port = colon + 1;
    }
    if (port && strcmp(port, "*") != 0) {
        n->has_port = true;
        if (!read_port(port, &n->port))
            return bad(p, ":%s is no port", port);
    }
    if (!*text || strcmp(text, "*") == 0)
        return *p->word ? true : bad(p, "which address?");
    return read_bits(p, n, text);
}

static bool read_op(struct parser *p, enum op *out)
{
    static const char *const names[][4] = {
        [EQ] = {"=", "==", "eq", "is"}, [NE] = {"!=", "ne", "neq", "not"}, [GT] = {">", "gt"}, [LT] = {"<", "lt"},
        [GE] = {">=", "ge", "geq"},     [LE] = {"<=", "le", "leq"}};
    for (unsigned op = EQ; op <= LE; op++) {
        for (unsigned i = 0; i < 4; i++) {
            if (names[op][i] && strcmp(p->word, names[op][i]) == 0) {
                *out = (enum op)op;
                next(p);
                return true;
            }
        }
    }
    *out = EQ;
    return false;
}

/* ---- The tree ---- */

static int parse_or(struct parser *p, unsigned depth);

static int add(struct parser *p, struct node n)
{
    if (p->expr->n == NODES_MAX)
        return bad(p, "the filter is too long");
    p->expr->nodes[p->expr->n] = n;
    return p->expr->n++;
}

static int parse_test(struct parser *p)
{
    bool is_port = is_word(p, "sport", "dport", NULL), is_host = is_word(p, "src", "dst", NULL);
    struct node n = {.kind = is_port ? PORT : ADDRESS, .is_remote = *p->word == 'd'};
    if (!is_port && !is_host)
        return *p->word ? bad(p, "'%s' is no test: src, dst, sport, dport", p->word) : bad(p, "something is missing");
    next(p);
    read_op(p, &n.op);
    if (is_port) {
        const char *text = strrchr(p->word, ':');
        if (!read_port(text ? text + 1 : p->word, &n.port))
            return bad(p, "'%s' is no port", p->word);
    } else if (!read_host(p, &n)) {
        return 0;
    } else if (n.op != EQ && n.op != NE) {
        return bad(p, "addresses are equal or not");
    }
    next(p);
    return add(p, n);
}

static int parse_factor(struct parser *p, unsigned depth)
{
    if (depth > DEPTH_MAX)
        return bad(p, "too many parentheses");
    if (is_word(p, "not", "!", NULL)) {
        next(p);
        return add(p, (struct node){.kind = NOT, .left = parse_factor(p, depth + 1)});
    }
    if (!is_word(p, "(", NULL, NULL))
        return parse_test(p);
    next(p);
    int inner = parse_or(p, depth + 1);
    if (!is_word(p, ")", NULL, NULL))
        return bad(p, "a parenthesis is not closed");
    next(p);
    return inner;
}

static int parse_and(struct parser *p, unsigned depth)
{
    int left = parse_factor(p, depth);
    while (!p->is_bad && *p->word && !is_word(p, ")", "or", "||") && !is_word(p, "|", NULL, NULL)) {
        if (is_word(p, "and", "&&", "&"))
            next(p);
        left = add(p, (struct node){.kind = AND, .left = left, .right = parse_factor(p, depth)});
    }
    return left;
}

static int parse_or(struct parser *p, unsigned depth)
{
    int left = parse_and(p, depth);
    while (!p->is_bad && is_word(p, "or", "||", "|")) {
        next(p);
        left = add(p, (struct node){.kind = OR, .left = left, .right = parse_and(p, depth)});
    }
    return left;
}

struct wss_expr *wss_expr_parse(const char *text, char *err, size_t err_cap)
{
    struct parser p = {.at = text, .expr = calloc(1, sizeof *p.expr), .err = err, .err_cap = err_cap};
    snprintf(err, err_cap, "out of memory");
    if (!p.expr)
        return NULL;
    next(&p);
    p.expr->root = *p.word || p.is_bad ? parse_or(&p, 0) : add(&p, (struct node){.kind = TRUE});
    if (!p.is_bad && *p.word)
        bad(&p, "'%s' is one too many", p.word);
    if (!p.is_bad)
        return p.expr;
    free(p.expr);
    return NULL;
}

void wss_expr_free(struct wss_expr *e)
{
    free(e);
}

/* ---- Does it hold? ---- */

static bool compare(enum op op, unsigned a, unsigned b)
{
    switch (op) {
    case EQ: return a == b;
    case NE: return a != b;
    case GT: return a > b;
    case LT: return a < b;
    case GE: return a >= b;
    case LE: return a <= b;
    }
    return false;
}

static bool is_in_prefix(const struct weir_addr *a, const struct node *n)
{
    for (unsigned i = 0; i < n->bits; i += 8) {
        unsigned rest = n->bits - i;
        unsigned mask = rest >= 8 ? 0xffu : 0xffu << (8 - rest) & 0xffu;
        if ((a->b[i / 8] ^ n->addr.b[i / 8]) & mask)
            return false;
    }
    return true;
}

static bool holds(const struct wss_expr *e, int at, const struct weir_sock_info *s)
{
    const struct node *n = &e->nodes[at];
    const struct weir_sockaddr *end = n->is_remote ? &s->remote : &s->local;
    switch (n->kind) {
    case TRUE: return true;
    case AND: return holds(e, n->left, s) && holds(e, n->right, s);
    case OR: return holds(e, n->left, s) || holds(e, n->right, s);
    case NOT: return !holds(e, n->left, s);
    case PORT: return compare(n->op, end->port, n->port);
    case ADDRESS: return (is_in_prefix(&end->addr, n) && (!n->has_port || end->port == n->port)) == (n->op == EQ);
    }
    return false;
}

bool wss_expr_holds(const struct wss_expr *e, const struct weir_sock_info *s)
{
    return holds(e, e->root, s);
}
