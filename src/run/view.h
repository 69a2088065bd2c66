/*
 * A socket of a run as a line of JSON: how the control socket tells of it, and how whoever asks reads it. The members
 * are listed in docs/ss.md.
 */
#ifndef WIR_VIEW_H
#define WIR_VIEW_H

#include <jansson.h>
#include <weir/weir.h>

#define WIR_VIEW_LINE_MAX 6144 /* bytes, the newline included */

struct wir_view {
    struct weir_sock_info info; /* addresses as the program sees them */
    struct weir_tcp_info tcp;   /* valid where info.has_tcp_info says so */
    uint64_t inode;             /* of the program's end: /proc/PID/fd has it; 0: no program holds it */
};

/* Write {"socket":{…}} and a newline, NUL-terminated. Returns its length. With `is_long` TCP_INFO and the ledger. */
size_t wir_view_write(const struct wir_view *, bool is_long, char line[WIR_VIEW_LINE_MAX]);

/* Read what "socket" holds. False: it is no such thing; *out is not to be used. */
bool wir_view_read(const json_t *, struct wir_view *out);

#endif
