/*
 * What passes packetdrill's interface by: calls that the reference program makes to libc on descriptors that are ours.
 * Where the library is preloaded too, these come first; a descriptor that isn't ours goes on to libc.
 */
#undef _FILE_OFFSET_BITS /* with it sendfile would be another name of sendfile64, and both are needed here */
#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "drill/so/real.h"
#include "drill/so/stack.h"

int wdr_real_close(int fd)
{
    int (*real)(int);
    WDR_REAL(real, "close");
    return real(fd);
}

struct wdr_so *wdr_so_owner(int fd)
{
    struct wdr_so *s = wdr_so_current();
    return s && wdr_so_owns(s, fd) ? s : NULL;
}

int close(int fd)
{
    struct wdr_so *s = wdr_so_owner(fd);
    struct wdr_op op = {.kind = WDR_OP_CLOSE, .fd = fd};
    return s ? (int)wdr_so_call_now(s, &op) : wdr_real_close(fd);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc has names of its own */
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct wdr_so *s = wdr_so_owner(fd);
    int (*real)(int, int, int, void *, socklen_t *);
    if (s) {
        struct wdr_op op = {.kind = WDR_OP_GETSOCKOPT, .fd = fd, .a = level, .b = name, .value = value};
        op.addr_len_p = len;
        return (int)wdr_so_call(s, &op);
    }
    WDR_REAL(real, "getsockopt");
    return real(fd, level, name, value, len);
}

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc has names of its own */
ssize_t sendfile(int out, int in, off_t *offset, size_t len)
{
    struct wdr_so *s = wdr_so_owner(out);
    ssize_t (*real)(int, int, off_t *, size_t);
    if (s) {
        struct wdr_op op = {.kind = WDR_OP_SENDFILE, .fd = out, .fd2 = in, .offset = offset, .len = len};
        return (ssize_t)wdr_so_call(s, &op);
    }
    WDR_REAL(real, "sendfile");
    return real(out, in, offset, len);
}

/* A program that was built with 64-bit offsets by name; on Linux's 64-bit machines off_t is that. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): glibc has names of its own */
ssize_t sendfile64(int out, int in, off64_t *offset, size_t len)
{
    _Static_assert(sizeof(off64_t) == sizeof(off_t), "file offsets have 64 bits");
    return sendfile(out, in, offset, len);
}

int system(const char *command)
{
    struct wdr_so *s = wdr_so_current();
    int (*real)(const char *);
    if (s && command && wdr_so_command(s, command) == 0)
        return 0;
    WDR_REAL(real, "system");
    return real(command);
}
