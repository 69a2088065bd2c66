/*
 * Both ends of a TCP connection as a test wants them: how much each sends and in what pieces, how it reads, how it
 * ends. Each byte received is compared with what the other end sent.
 */
#ifndef WSIM_FLOW_H
#define WSIM_FLOW_H

#include "sim/world.h"

enum wsim_ending {
    WSIM_END_HALF,  /* shutdown(SHUT_WR) after the last byte, close after the peer's end */
    WSIM_END_CLOSE, /* close as soon as all is sent and all that is wanted has come: FINs may cross */
    WSIM_END_WAIT,  /* send the own end only after the peer's */
};

/* What one end does. */
struct wsim_plan {
    uint64_t bytes;       /* to send */
    uint32_t write_bytes; /* at most so many in a call; 0: 64 KiB */
    uint32_t read_bytes;
    weir_ns read_pause; /* between reads; 0: reads as soon as there is something */
    weir_ns write_pause;
    bool answers; /* sends only after all that is wanted has come */
    enum wsim_ending ending;
    int sndbuf, rcvbuf; /* 0: as the stack has it */
    bool nodelay;
};

struct wsim_end {
    struct wsim_waiter waiter; /* first: the callbacks get its address */
    struct wsim_alarm read_alarm, write_alarm;
    struct wsim_flow *flow;
    struct wsim_plan plan;
    uint64_t sent, received, wanted;
    uint64_t out_key, in_key; /* of the bytes */
    weir_ns last_at, stall;   /* when bytes last came (or the flow began); the longest wait for them */
    bool is_read_paused, is_write_paused;
    bool is_open, is_shut, has_eof, is_closed;
    int err; /* that a call or SO_ERROR gave */
};

/* A call that an end makes on its socket. */
enum wsim_call {
    WSIM_CALL_LISTEN, /* socket, bind, SO_RCVBUF, listen: the server's, before the client connects */
    WSIM_CALL_ACCEPT, /* and the listener is closed */
    WSIM_CALL_SOCKET,
    WSIM_CALL_SNDBUF, /* bytes */
    WSIM_CALL_RCVBUF,
    WSIM_CALL_NODELAY,
    WSIM_CALL_CONNECT,
    WSIM_CALL_SEND, /* bytes */
    WSIM_CALL_RECV,
    WSIM_CALL_SHUTDOWN,
    WSIM_CALL_CLOSE,
};

/* Told of each call before it is made, and of what it returned. Either may look at the end, and must change nothing. */
struct wsim_flow_watch {
    void (*on_call)(void *ctx, const struct wsim_end *, enum wsim_call, int64_t asked);
    void (*on_result)(void *ctx, const struct wsim_end *, int64_t got);
    void *ctx;
};

struct wsim_flow {
    struct wsim_end client, server;
    struct wsim_waiter listener;
    struct wsim_flow_watch watch; /* set before the flow begins; all zero: nobody */
    weir_ns began, ended;
    bool is_done; /* both ends have closed their handles */
};

/*
 * Listen on `server` at `to` and connect from `client`; the world's run does the rest. Failures are told by wsim_fail.
 * The flow must outlive the run; but for `watch` nothing in it counts.
 */
void wsim_flow_begin(struct wsim_flow *, struct wsim_host *client, struct wsim_host *server,
                     const struct weir_sockaddr *to, const struct wsim_plan *client_plan,
                     const struct wsim_plan *server_plan, uint64_t key);

#endif
