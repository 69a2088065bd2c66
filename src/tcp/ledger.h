/* Where a connection's time goes (weir/ledger.h): charged by whoever is about to change the connection. */
#ifndef WI_TCP_LEDGER_H
#define WI_TCP_LEDGER_H

#include <weir/ledger.h>

struct wi_tcp_conn;

struct wi_tcp_ledger {
    weir_ns at; /* charged up to here; opened_at at first, the end when the connection is over */
    weir_ns spent[WEIR_CAUSE_N];
};

/* Life begins at opened_at. */
void wi_tcp_ledger_begin(struct wi_tcp_conn *);

/*
 * Charge the time since the last call to the cause that held meanwhile, which the connection's present state tells: so
 * every segment, timer and call does this before it changes anything (wi_tcp_ledger_charge, which asks first whether
 * any time has passed).
 */
void wi_tcp_ledger_charge_since(struct wi_tcp_conn *);

/* The sums up to now. */
struct weir_ledger wi_tcp_ledger_read(const struct wi_tcp_conn *);
const char *wi_tcp_ledger_check(const struct wi_tcp_conn *); /* NULL or the broken invariant */

#endif
