/* What weir/diag.h tells of TCP: of a connection, of one that is half-open, of a TIME-WAIT entry. Each fills the whole
 * of *info but for fd; *tcp (may be NULL) where info->has_tcp_info says so. */
#ifndef WI_TCP_DIAG_H
#define WI_TCP_DIAG_H

#include <weir/diag.h>

struct wi_tcp_conn;
struct wi_tcp_parked;
struct wi_tcp_request;
struct wi_tcp_timewait;
struct wi_tcp;

void wi_tcp_diag_conn(const struct wi_tcp_conn *, struct weir_sock_info *info, struct weir_tcp_info *tcp);
void wi_tcp_diag_parked(const struct wi_tcp *, const struct wi_tcp_parked *, struct weir_sock_info *info,
                        struct weir_tcp_info *tcp);
void wi_tcp_diag_request(const struct wi_tcp *, const struct wi_tcp_request *, struct weir_sock_info *info);
void wi_tcp_diag_timewait(const struct wi_tcp *, const struct wi_tcp_timewait *, struct weir_sock_info *info);

#endif
