/*
 * What a program of the lab does, a line a step: "connect server 80", "write 100k", "read to end", "sleep 2s", "close".
 */
#ifndef WLB_STEP_H
#define WLB_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/frame.h>

enum wlb_step_kind {
    WLB_LISTEN,      /* listen PORT [backlog N] */
    WLB_PORT,        /* port N: bind a stream to it, before connect */
    WLB_ACCEPT,      /* accept: what follows is done on the connection */
    WLB_ACCEPT_EACH, /* accept each: what follows is done on each connection, by a program of its own */
    WLB_CONNECT,     /* connect HOST PORT */
    WLB_DIAL,        /* dial HOST PORT: connect without waiting */
    WLB_WRITE,       /* write N [by N] | write 'text' */
    WLB_READ,        /* read N | read some */
    WLB_READ_END,    /* read to end */
    WLB_READ_ALL,    /* read all: what is there, without waiting for more */
    WLB_SHUTDOWN,    /* shutdown: no more will be sent */
    WLB_CLOSE,
    WLB_ABORT,
    WLB_SET,    /* set NAME VALUE: a socket option, also before connect and listen */
    WLB_SLEEP,  /* sleep TIME */
    WLB_REPEAT, /* repeat N | repeat forever, up to its end */
    WLB_END,
    WLB_BIND,    /* udp [PORT]: a datagram socket */
    WLB_SEND_TO, /* send N to HOST PORT | send N to ADDRESS PORT | send N to all PORT */
    WLB_RECEIVE, /* receive: a datagram */
    WLB_JOIN,    /* join GROUP: datagrams to it are taken */
    /* A message of a stream; FRAMING: fixed N | line [escaped] | length N [little], and max N behind it */
    WLB_SEND_MESSAGE,    /* send message N by FRAMING | send message 'text' by FRAMING */
    WLB_RECEIVE_MESSAGE, /* receive message by FRAMING */
    WLB_SERVE,           /* serve N by select|poll|epoll: accept N connections, and answer each with what it sends */
    WLB_ECHO,            /* echo: send back what comes, up to the end */
    WLB_HTTP_SERVE,      /* http serve N: answer each request on the connection with N bytes */
    WLB_HTTP_GET,        /* http get PATH: over the connection */
    WLB_WATCH,           /* watch level|edge: the connection, by an epoll object */
    WLB_AWAIT,           /* wait TIME: for what is watched to be readable, so long at most */
    WLB_STEP_N,
};

struct wlb_step {
    enum wlb_step_kind kind;
    char host[16]; /* or an address, or an option's value that is a name */
    char text[64]; /* to write; or an option's name, or a way to wait */
    uint64_t n;    /* bytes, times, backlog, value or nanoseconds; UINT64_MAX: for ever, or some */
    uint64_t by;   /* bytes in a call, 0: as many as go */
    uint16_t port;
    struct weir_frame_config framing; /* of messages */
    unsigned other;                   /* of REPEAT and END: the index of the other one */
};

/* Read a step. false: err says what is wrong and what the right form is. */
bool wlb_step_parse(struct wlb_step *, const char *text, char *err, size_t err_cap);

/* Join each repeat with its end. false: err names the one that is alone. */
bool wlb_steps_join(struct wlb_step *, unsigned n, char *err, size_t err_cap);

const char *wlb_step_name(enum wlb_step_kind); /* "connect" */

#endif
