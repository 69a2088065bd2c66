/*
 * Error numbers: Linux's, so that a caller's <errno.h> and a program behind `weir run` agree with them on every host.
 * Calls return them negated. One list makes the number, the name and the text.
 */
#ifndef WEIR_ERRNO_H
#define WEIR_ERRNO_H

#define WEIR_ERRNO_LIST(X)                                                                                             \
    X(EPERM, 1, "operation not permitted")                                                                             \
    X(ENOENT, 2, "no such entry")                                                                                      \
    X(EINTR, 4, "interrupted")                                                                                         \
    X(EIO, 5, "input or output error")                                                                                 \
    X(EBADF, 9, "no such handle")                                                                                      \
    X(EAGAIN, 11, "would block")                                                                                       \
    X(ENOMEM, 12, "out of memory")                                                                                     \
    X(EACCES, 13, "permission denied")                                                                                 \
    X(EFAULT, 14, "bad address in memory")                                                                             \
    X(EEXIST, 17, "already there")                                                                                     \
    X(ENODEV, 19, "no such interface")                                                                                 \
    X(EINVAL, 22, "invalid argument")                                                                                  \
    X(EMFILE, 24, "too many handles")                                                                                  \
    X(EPIPE, 32, "broken pipe")                                                                                        \
    X(EDOM, 33, "argument out of domain")                                                                              \
    X(ELOOP, 40, "too many levels")                                                                                    \
    X(ENOMSG, 42, "no message of that kind")                                                                           \
    X(EPROTO, 71, "protocol error")                                                                                    \
    X(ENOTSOCK, 88, "not a socket")                                                                                    \
    X(EDESTADDRREQ, 89, "destination address required")                                                                \
    X(EMSGSIZE, 90, "message too long")                                                                                \
    X(EPROTOTYPE, 91, "wrong protocol type for socket")                                                                \
    X(ENOPROTOOPT, 92, "no such option")                                                                               \
    X(EPROTONOSUPPORT, 93, "protocol not supported")                                                                   \
    X(ESOCKTNOSUPPORT, 94, "socket type not supported")                                                                \
    X(EOPNOTSUPP, 95, "operation not supported")                                                                       \
    X(EAFNOSUPPORT, 97, "address family not supported")                                                                \
    X(EADDRINUSE, 98, "address in use")                                                                                \
    X(EADDRNOTAVAIL, 99, "address not available")                                                                      \
    X(ENETDOWN, 100, "network is down")                                                                                \
    X(ENETUNREACH, 101, "network unreachable")                                                                         \
    X(ECONNABORTED, 103, "connection aborted")                                                                         \
    X(ECONNRESET, 104, "connection reset by peer")                                                                     \
    X(ENOBUFS, 105, "no buffer space")                                                                                 \
    X(EISCONN, 106, "already connected")                                                                               \
    X(ENOTCONN, 107, "not connected")                                                                                  \
    X(ETIMEDOUT, 110, "timed out")                                                                                     \
    X(ECONNREFUSED, 111, "connection refused")                                                                         \
    X(EHOSTDOWN, 112, "host is down")                                                                                  \
    X(EHOSTUNREACH, 113, "no route to host")                                                                           \
    X(EALREADY, 114, "already in progress")                                                                            \
    X(EINPROGRESS, 115, "in progress")

#define WEIR_ERRNO_ENUM(name, number, text) WEIR_##name = number,
enum weir_errno { WEIR_ERRNO_LIST(WEIR_ERRNO_ENUM) };
#undef WEIR_ERRNO_ENUM

/* "ECONNREFUSED" for 111 or -111; "E?" for a number that weir never returns. */
const char *weir_errno_name(int err);

/* "connection refused" for 111 or -111. */
const char *weir_strerror(int err);

#endif
