/*
 * Where the control sockets of running `weir run`s lie: a directory of the user's own, PID.sock in it for each.
 */
#ifndef WIR_CONTROL_PLACE_H
#define WIR_CONTROL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * Open the directory: $XDG_RUNTIME_DIR/weir, or /tmp/weir-UID where that is not set or not the user's. It is nobody
 * else's to read or write, or it is refused. With `is_made` it is made where it is missing. A descriptor, or -errno
 * (-EPERM: somebody else has put something there); `path` is its name either way.
 */
int wir_control_dir(bool is_made, char *path, size_t cap);

/* The address of a socket in an open directory, which holds however long the directory's own name is and whatever
 * becomes of it. */
socklen_t wir_control_addr(int dir, const char *name, struct sockaddr_un *);

/* The same of a path. 0: it is too long. */
socklen_t wir_control_path_addr(const char *path, struct sockaddr_un *);

#endif
