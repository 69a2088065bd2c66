/*
 * What a report is made of (report.h): connections with their two ends, and a row for each thing that happened.
 */
#ifndef WTR_REPORT_ROWS_H
#define WTR_REPORT_ROWS_H

#include "trace/report.h"

#include <weir/event.h>

/* A row's kind: enum weir_event_kind, or what only a report has. */
enum { WTR_ROW_LINK = WEIR_EV_KIND_N, WTR_ROW_KIND_N };

/* What became of a packet, or what it is. */
enum wtr_mark {
    WTR_MARK_AGAIN = 1,    /* a retransmission */
    WTR_MARK_LOST = 2,     /* the link dropped it */
    WTR_MARK_ARRIVED = 4,  /* sent, and seen to arrive */
    WTR_MARK_NEEDLESS = 8, /* arrived, and its receiver had all of it */
    WTR_MARK_TWICE = 16,   /* the link made two of it */
    WTR_MARK_CORRUPT = 32, /* the link changed a bit */
    WTR_MARK_CE = 64,      /* the link marked it: congestion experienced */
    WTR_MARK_REORDERED = 128,
    WTR_MARK_REFUSED = 256, /* its receiver dropped it */
};

#define WTR_NO_HOST UINT32_MAX

struct wtr_row {
    weir_ns at;
    uint64_t num;  /* the host's serial, or the number of the packet in its capture */
    uint32_t conn; /* in conns; 0: none */
    uint32_t host; /* whose event, or who sent what a link dropped */
    uint32_t from; /* the row, plus one, that sent what arrived or was lost; 0: unknown */
    uint32_t text; /* in texts: reason, cause, name of a timer; 0: none */
    uint32_t seq, ack, len, win;
    uint32_t a, b; /* by kind, see report_write.c */
    uint32_t sack_at;
    uint32_t nth; /* rows of its connection before it, those that were forgotten included */
    uint32_t cwnd, ssthresh, flight, snd_wnd, rcv_wnd;
    uint32_t srtt_us, rttvar_us, rto_us;
    uint16_t flags, mark;
    uint8_t kind, side, sack_n;
};

struct wtr_end {
    struct weir_sockaddr addr;
    uint32_t host;    /* WTR_NO_HOST: no host of the run, or not seen yet */
    uint64_t conn_id; /* 0: not known */
    uint32_t iss;
    uint64_t bytes_out; /* payload, new */
    uint64_t segs_out, again, lost;
    uint32_t snd_max, last_ack; /* of what it sent, relative */
    weir_ns last_at;            /* when it sent last */
    bool has_iss, has_syn, has_fin, is_established, is_closed;
    enum weir_tcp_state state;
    uint32_t close_text; /* why it sent a RST */
    int err;
    bool has_ledger;
    struct weir_ledger ledger;
};

struct wtr_flow {
    struct wtr_end ends[2]; /* 0 opens */
    bool is_udp;
    weir_ns began, ended;
    uint32_t row_n;    /* all that there ever were */
    uint64_t stamp;    /* wtr_report.stamp when it last changed */
    int8_t rst_side;   /* -1: none was sent */
    int8_t fin_first;  /* -1: none */
    bool is_rst_early; /* before either end was established */
    bool is_rst_late;  /* after both FINs */
    uint32_t min_rtt_us;
    uint32_t next; /* plus one: an older one between the same ends */
};

struct wtr_map {
    struct wtr_slot {
        uint64_t hash;
        uint32_t value; /* plus one */
    } * slots;
    uint32_t cap, n;
};

/* Which row of a host has which serial: serials rise. */
struct wtr_sent {
    uint64_t serial;
    uint32_t row;
};

struct wtr_report_host {
    char *name;
    struct wtr_sent *sent;
    uint32_t sent_n, sent_cap;
};

struct wtr_claim {
    bool holds;
    char *text;
};

struct wtr_report {
    struct wtr_report_config cfg;
    char *title, *about;
    int err;
    uint64_t left_out;
    uint64_t forgotten; /* rows that were, before rows[0] */
    uint64_t stamp;     /* counts changes of connections */
    weir_ns start;      /* of the first row; valid once there was one */
    struct wtr_report_host *hosts;
    uint32_t host_n, host_cap;
    struct wtr_flow *flows; /* [0]: what belongs to none */
    uint32_t flow_n, flow_cap;
    struct wtr_row *rows;
    uint32_t row_n, row_cap;
    uint32_t *sacks; /* pairs, relative */
    uint32_t sack_n, sack_cap;
    char **texts; /* [0] is "" */
    uint32_t text_n, text_cap;
    struct wtr_claim *claims;
    uint32_t claim_n, claim_cap;
    struct wtr_map by_ends, by_id, by_text;
};

/* What a link did to a packet, whoever tells it. src and dst: family 0 where they aren't known. */
struct wtr_fate {
    weir_ns at;
    uint64_t serial; /* of its sender's event; 0: unknown */
    int sender;      /* host, or -1: whoever has the address */
    struct weir_sockaddr src, dst;
    enum weir_drop drop;
    bool is_duplicated, is_corrupted, is_marked, is_reordered;
    uint16_t flags;
    uint32_t seq, ack, len, bytes; /* as on the wire */
};

void wtr_report_fate(struct wtr_report *, const struct wtr_fate *);

/* Make room for one more element; false: out of memory, which the report remembers. */
bool wtr_report_grow(struct wtr_report *, void *array, uint32_t *cap, uint32_t n, size_t size);

/* The number of a text; 0 for "" and NULL. */
uint32_t wtr_report_text(struct wtr_report *, const char *text);

/* A row at the end, zero but for these; NULL: no room, it is counted. */
struct wtr_row *wtr_report_row(struct wtr_report *, uint32_t conn, uint8_t kind, weir_ns at);

/* The newest connection between two ends, either way round (*side is that of `local`); 0: there is none. */
uint32_t wtr_report_find(struct wtr_report *, const struct weir_sockaddr *local, const struct weir_sockaddr *remote,
                         bool is_udp, unsigned *side);
/* A new one. 0: out of memory. */
uint32_t wtr_report_flow(struct wtr_report *, const struct weir_sockaddr *a, const struct weir_sockaddr *b, bool is_udp,
                         weir_ns at);

/* What an end sent, to be counted. */
struct wtr_segment {
    uint16_t flags;
    uint32_t seq, len; /* seq is relative */
    uint32_t fresh;    /* payload bytes that it had not sent before */
    bool is_again;
};

/* How much of a segment is new, where every segment of that end is known in the order of its sending. */
struct wtr_segment wtr_report_segment(const struct wtr_end *, uint16_t flags, uint32_t seq, uint32_t len);

/* Count it: what verdicts and totals are made of. Marks the row, which may be NULL. */
void wtr_report_sent(struct wtr_report *, uint32_t conn, unsigned side, struct wtr_row *, const struct wtr_segment *,
                     weir_ns at);

/* The connection of a host's number, and which end that is; 0: there is none. */
uint32_t wtr_report_find_id(struct wtr_report *, int host, uint64_t conn_id, unsigned *side);

/* Where is_window and the room is used up: forget the older half of the rows. Before any row is looked for. */
void wtr_report_make_room(struct wtr_report *);

/* ---- Between report_write.c and report_live.c: pieces of JSON ---- */

/* Rows to be written, sorted by connection, with `at` and `from` as they are told. */
struct wtr_rows {
    const struct wtr_report *report;
    const struct wtr_row *rows;
    const uint32_t *order;      /* i-th row to be written is rows[order[i]] */
    const uint32_t *from_marks; /* by place in `order`: what has become of the row that `from` is; NULL: not told */
    uint32_t n;
};

void wtr_report_put_string(FILE *, const char *);
void wtr_report_put_names(const struct wtr_report *, FILE *); /* kinds, states, causes, hosts, columns */
void wtr_report_put_texts(const struct wtr_report *, uint32_t from, FILE *);
void wtr_report_put_flow(const struct wtr_report *, uint32_t i, weir_ns start, FILE *); /* members, without braces */

/* Each column, in the order of `columns`, and "sack": begin(name), its base64, end(). */
struct wtr_brackets {
    void (*begin)(FILE *, const char *name);
    void (*end)(FILE *);
};
void wtr_report_put_columns(const struct wtr_rows *, const struct wtr_brackets *, FILE *);

/* The page up to the place of the data, and from it on. */
struct wtr_page {
    const unsigned char *head, *tail;
    size_t head_len, tail_len;
};
struct wtr_page wtr_report_page(void);

/* How a connection ended, in words, and a name for it: clean, reset, refused, timeout, unanswered, unreachable, error,
 * half, open, udp. */
const char *wtr_report_verdict(const struct wtr_report *, const struct wtr_flow *, char *text, size_t cap);

/* What an end is called: its host's name, or "the opener", "the other end". */
const char *wtr_report_end_name(const struct wtr_report *, const struct wtr_flow *, unsigned side);

#endif
