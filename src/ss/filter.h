/*
 * Which sockets are shown: ss's states and expressions over addresses and ports.
 */
#ifndef WSS_FILTER_H
#define WSS_FILTER_H

#include <weir/weir.h>

#define WSS_STATE(n)     (1u << (n))
#define WSS_STATES_ALL   ((1u << WEIR_SOCK_STATE_N) - 2)
#define WSS_STATES_SHOWN /* without -a and -l */                                                                       \
    (WSS_STATES_ALL & ~(WSS_STATE(WEIR_SOCK_LISTEN) | WSS_STATE(WEIR_SOCK_CLOSE) | WSS_STATE(WEIR_SOCK_TIME_WAIT) |    \
                        WSS_STATE(WEIR_SOCK_SYN_RECV)))

struct wss_expr;

/* The states that a word names ("established", "time-wait", "connected", "all" …); 0: none. */
uint32_t wss_states_named(const char *word);

/*
 * Read an expression, of words that are put together with spaces:
 *
 *   EXPR   TERM { or TERM }        TERM   FACTOR { [and] FACTOR }       FACTOR   not FACTOR | ( EXPR ) | TEST
 *   TEST   (src|dst) [OP] HOST | (sport|dport) [OP] PORT       OP   = == eq  != ne neq  > gt  < lt  >= ge geq  <= le
 * leq HOST   ADDRESS, ADDRESS/BITS, ADDRESS:PORT, [ADDRESS]:PORT, :PORT, *        PORT   :NUMBER, NUMBER, :SERVICE
 *
 * NULL: it is none, and `err` says why; the empty one is true of all.
 */
struct wss_expr *wss_expr_parse(const char *text, char *err, size_t err_cap);
void wss_expr_free(struct wss_expr *);
bool wss_expr_holds(const struct wss_expr *, const struct weir_sock_info *);

#endif
