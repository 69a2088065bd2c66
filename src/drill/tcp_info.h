/*
 * A connection's numbers by the names that %{ }% blocks use: "tcpi_snd_cwnd".
 */
#ifndef WDR_TCP_INFO_H
#define WDR_TCP_INFO_H

#include <weir/weir.h>

/* false: there is no such number. */
bool wdr_tcp_info_get(const struct weir_tcp_info *, const char *name, uint64_t *value);

#endif
