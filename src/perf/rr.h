/*
 * weir rr: requests and responses, and connections made for a single one of them.
 *
 * Each connection begins with a hello of the client: what it is for, and the sizes. The first, the control connection,
 * is answered with one byte and stays open as long as the test: its end is the test's. On the others each request has
 * one byte's value throughout, which the response has too, so that what arrives is checked. Where a connection is for
 * one request alone, the hello goes with it in one write, and the server closes behind its response: so TIME-WAIT is
 * its own, and the client does not run out of ports.
 */
#ifndef WPF_RR_H
#define WPF_RR_H

#include "perf/net.h"

#define WPF_RR_PORT      5202
#define WPF_RR_SIZE_MAX  (1u << 20)
#define WPF_RR_HELLO_LEN 20
#define WPF_RR_READY     'K' /* the answer to a control connection's hello */
#define WPF_RR_PIECE     65536

enum wpf_rr_kind { WPF_RR_CONTROL = 1, WPF_RR_REQUESTS = 2, WPF_RR_CONNECTS = 3 };

struct wpf_rr_hello {
    enum wpf_rr_kind kind;
    uint32_t request_len, response_len; /* bytes, 1 or more; 0 for a control connection */
};

void wpf_rr_hello_write(const struct wpf_rr_hello *, uint8_t out[WPF_RR_HELLO_LEN]);

/* 0, or -EPROTO: it is none. */
int wpf_rr_hello_read(struct wpf_rr_hello *, const uint8_t in[WPF_RR_HELLO_LEN]);

/* Does every byte have that value? */
bool wpf_rr_is_all(const uint8_t *buf, size_t len, uint8_t value);

struct wpf_rr_options {
    bool wants_help, is_server, is_one_off, is_json;
    const char *host;
    uint16_t port;
    struct wpf_rr_hello test;
    uint32_t connections;
    uint32_t shards; /* of a server: stacks, each in a thread of its own */
    weir_ns time;
    uint64_t transactions; /* 0: by time */
    struct wpf_net_config net;
};

/* 0, or -EINVAL after a line on stderr. */
int wpf_rr_options_parse(struct wpf_rr_options *, int argc, char **argv);
extern const char wpf_rr_help[];

/* The client; returns the exit status. */
int wpf_rr_client(const struct wpf_rr_options *, struct wpf_net *);

/* The server: of one network, all in the calling thread. _new listens; NULL after a line on stderr. _run serves until
 * it is asked to stop (perf/stop.h), or the first test has ended and one was all that was wanted. _part ends what is
 * still connected. _free returns how many connections there were. */
struct wpf_rr_server;
struct wpf_rr_server *wpf_rr_server_new(const struct wpf_rr_options *, struct wpf_net *);
void wpf_rr_server_run(struct wpf_rr_server *);
void wpf_rr_server_part(struct wpf_rr_server *);
uint64_t wpf_rr_server_free(struct wpf_rr_server *);

/* A server of opts->shards shards; returns the exit status. */
int wpf_rr_serve(const struct wpf_rr_options *);

#endif
