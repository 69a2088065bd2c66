/* Linux's three counters of what limits a sender (tcpi_busy_time, rwnd_limited, sndbuf_limited), by Linux's own rules:
 * weir/ledger.h has a finer answer. */
#ifndef WI_TCP_CHRONO_H
#define WI_TCP_CHRONO_H

#include <weir/types.h>

struct wi_tcp_conn;

/* In the order of their precedence: a later one interrupts an earlier. */
enum wi_tcp_chrono_kind {
    WI_TCP_CHRONO_NONE,   /* nothing to send, nothing under way */
    WI_TCP_CHRONO_BUSY,   /* something is */
    WI_TCP_CHRONO_RWND,   /* and the peer's window holds it back */
    WI_TCP_CHRONO_SNDBUF, /* or the writer waits for room while all is under way */
    WI_TCP_CHRONO_N,
};

struct wi_tcp_chrono {
    enum wi_tcp_chrono_kind kind;
    weir_ns since; /* valid unless NONE */
    weir_ns spent[WI_TCP_CHRONO_N];
};

/* It holds from now on, unless something of higher precedence does. And: it no longer does. */
void wi_tcp_chrono_start(struct wi_tcp_conn *, enum wi_tcp_chrono_kind);
void wi_tcp_chrono_stop(struct wi_tcp_conn *, enum wi_tcp_chrono_kind);

weir_ns wi_tcp_chrono_read(const struct wi_tcp_conn *, enum wi_tcp_chrono_kind); /* up to now */

#endif
