/*
 * A program of the lab that runs: what the files of its steps share (proc.c walks, message.c and ready.c have steps).
 */
#ifndef WLB_PROC_H
#define WLB_PROC_H

#include "lab/lab.h"

#define WLB_PIECE 65536u /* bytes that one call moves at most */

struct wlb_inbox; /* message.c */
struct wlb_ready; /* ready.c */
struct wlb_http;  /* http.c */

/* Bytes on their way back. */
struct wlb_echo {
    uint8_t bytes[WLB_PIECE];
    size_t len, done;
};

struct wlb_proc {
    struct wsim_waiter listener, conn; /* fd 0: none */
    struct wsim_alarm alarm;
    struct wlb_lab *lab;
    const char *where; /* for messages, and the record */
    const struct wlb_step *steps;
    unsigned step_n, pc;
    uint64_t *left; /* of each repeat, turns to come */
    weir_ns began;  /* the call under way */
    bool is_begun;  /* there is one */
    bool is_asleep, is_over;
    bool serves;                   /* nobody waits for its end */
    const struct wsim_host *after; /* it begins once this one listens on that port; NULL: it has begun, or will */
    uint16_t after_port;
    weir_ns start;     /* so long after that */
    bool is_late;      /* of a wait: its time is over */
    uint64_t done;     /* bytes of it */
    uint64_t sent;     /* of the connection's stream */
    uint64_t got;      /* of the other direction's */
    uint64_t wrong;    /* of the bytes of this call */
    unsigned messages; /* that it sent */
    struct wlb_inbox *inbox;
    struct wlb_ready *ready;
    struct wlb_http *http;
    struct wlb_echo *echo;
    char peer[16]; /* whom it called */
    struct wlb_proc *next;
};

enum wlb_outcome { WLB_NEXT, WLB_WAIT, WLB_STOP };

/* Socket options that a step may set, by the names that it has for them; NULL past the last. */
const char *wlb_option_name(unsigned i);

/* A call begins: nothing where it is under way already. */
void wlb_begin_call(struct wlb_proc *);

/* A call has returned, and is noted; NULL: no memory. wlb_end_call ends the one under way too: one that fails is the
 * program's last. wlb_wait_or_end does not where it would block. */
struct wlb_entry *wlb_note_call(struct wlb_proc *, int64_t result);
enum wlb_outcome wlb_end_call(struct wlb_proc *, int64_t result);
enum wlb_outcome wlb_wait_or_end(struct wlb_proc *, int64_t result);

/* The stream has ended: go on behind the innermost "repeat forever", if there is one. */
void wlb_leave_loop(struct wlb_proc *);

/* Go on, after something that was waited for. */
void wlb_proc_run(struct wlb_proc *);

/* ---- message.c ---- */

enum wlb_outcome wlb_send_message(struct wlb_proc *, const struct wlb_step *);
enum wlb_outcome wlb_receive_message(struct wlb_proc *, const struct wlb_step *);
void wlb_inbox_free(struct wlb_inbox *);

/* A datagram or a message carries its number and when it was sent, if there is room for them. */
void wlb_stamp(struct wlb_proc *, uint8_t *bytes, size_t len);
void wlb_read_stamp(const struct wlb_proc *, struct wlb_entry *, const uint8_t *bytes, size_t len);

/* ---- http.c ---- */

enum wlb_outcome wlb_http_serve(struct wlb_proc *, const struct wlb_step *);
enum wlb_outcome wlb_http_get(struct wlb_proc *, const struct wlb_step *);
void wlb_http_free(struct wlb_http *);

/* ---- ready.c ---- */

enum wlb_outcome wlb_serve(struct wlb_proc *, const struct wlb_step *);
enum wlb_outcome wlb_watch(struct wlb_proc *, const struct wlb_step *);
enum wlb_outcome wlb_await(struct wlb_proc *, const struct wlb_step *);
void wlb_ready_free(struct wlb_ready *);

#endif
