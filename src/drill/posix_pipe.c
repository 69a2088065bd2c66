/*
 * Pipes, and the calls that move bytes between two descriptors: splice and sendfile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "drill/posix_fd.h"

#define CHUNK_CAP 65536

int wdr_do_pipe(struct wdr_posix *px, struct wdr_op *op)
{
    struct wdr_pipe *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    *p = (struct wdr_pipe){.readers = 1, .writers = 1};
    int r = wdr_fd_add(px, &(struct wdr_fd){.kind = WDR_FD_PIPE, .pipe = p, .is_reader = true});
    if (r < 0) {
        free(p);
        return r;
    }
    int wr = wdr_fd_add(px, &(struct wdr_fd){.kind = WDR_FD_PIPE, .pipe = p});
    if (wr < 0) {
        p->writers = 0;
        wdr_fd_remove(px, r); /* and the pipe with it */
        return wr;
    }
    op->pipe_fds[0] = r;
    op->pipe_fds[1] = wr;
    return 0;
}

/* From a socket into a pipe. */
static int64_t fill(struct wdr_posix *px, struct wdr_fd *from, struct wdr_pipe *to, size_t len, void *chunk)
{
    size_t room = WDR_PIPE_CAP - to->used, n = len < room ? len : room;
    if (to->readers == 0)
        return -EPIPE;
    if (n == 0)
        return -EAGAIN;
    int64_t got = weir_recv(px->cfg.w, from->handle, chunk, n, 0);
    to->used += got > 0 ? (size_t)got : 0;
    return got;
}

/* From a pipe into a socket. */
static int64_t drain(struct wdr_posix *px, struct wdr_pipe *from, struct wdr_fd *to, size_t len, int flags, void *chunk)
{
    size_t n = len < from->used ? len : from->used;
    if (n == 0)
        return from->writers ? -EAGAIN : 0;
    int64_t sent = weir_send(px->cfg.w, to->handle, chunk, n, flags & SPLICE_F_MORE ? MSG_MORE : 0);
    from->used -= sent > 0 ? (size_t)sent : 0;
    return sent;
}

bool wdr_try_splice(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    struct wdr_fd *to = wdr_fd_find(px, op->fd2);
    void *chunk = calloc(1, CHUNK_CAP);
    int64_t ret = -EINVAL;
    bool may_block = !(op->flags & SPLICE_F_NONBLOCK) && !f->is_nonblocking && to && !to->is_nonblocking;
    if (!to)
        ret = -EBADF;
    else if (!chunk)
        ret = -ENOMEM;
    else if (f->kind == WDR_FD_SOCKET && to->kind == WDR_FD_PIPE && !to->is_reader)
        ret = fill(px, f, to->pipe, op->len, chunk);
    else if (f->kind == WDR_FD_PIPE && f->is_reader && to->kind == WDR_FD_SOCKET)
        ret = drain(px, f->pipe, to, op->len, op->flags, chunk);
    free(chunk);
    return wdr_op_finish(px, op, ret, may_block, 0);
}

/* The kernel's descriptor of the file: one that open gave, or a real one. */
static int file_of(const struct wdr_posix *px, int fd)
{
    const struct wdr_fd *f = wdr_fd_find(px, fd);
    return !f ? fd : f->kind == WDR_FD_FILE ? f->file : -1;
}

static ssize_t read_chunk(const struct wdr_op *op, int file, void *chunk, size_t n)
{
    if (op->offset)
        return pread(file, chunk, n, *op->offset);
    off_t here = lseek(file, 0, SEEK_CUR);
    return here < 0 ? -1 : pread(file, chunk, n, here);
}

static void move_on(struct wdr_op *op, int file, int64_t n)
{
    op->done += (size_t)n;
    if (op->offset)
        *op->offset += n;
    else
        lseek(file, n, SEEK_CUR);
}

/* Linux's sendfile goes in pieces of a pipe's size, all but the last with MSG_MORE (splice_direct_to_actor). */
static int64_t pump_file(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *out, int file, void *chunk)
{
    while (op->done < op->len) {
        size_t n = op->len - op->done < CHUNK_CAP ? op->len - op->done : CHUNK_CAP;
        ssize_t got = read_chunk(op, file, chunk, n);
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        bool is_more = (size_t)got < op->len - op->done;
        int64_t sent = weir_send(px->cfg.w, out->handle, chunk, (size_t)got, is_more ? MSG_MORE : 0);
        if (sent < 0)
            return sent;
        move_on(op, file, sent);
    }
    return (int64_t)op->done;
}

bool wdr_try_sendfile(struct wdr_posix *px, struct wdr_op *op, struct wdr_fd *f)
{
    int file = file_of(px, op->fd2);
    void *chunk = malloc(CHUNK_CAP);
    int64_t ret = file < 0 ? -EBADF : !chunk ? -ENOMEM : pump_file(px, op, f, file, chunk);
    free(chunk);
    if (!wdr_op_finish(px, op, ret, !f->is_nonblocking, f->sndtimeo))
        return false;
    if (op->ret < 0 && op->done)
        op->ret = (int64_t)op->done;
    return true;
}
