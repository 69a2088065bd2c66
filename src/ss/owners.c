/* Which processes hold a socket. */
#include "ss/owners.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_name(int proc, char *out, size_t cap)
{
    int fd = openat(proc, "comm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, cap - 1) : 0;
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    for (char *p = out; *p; p++)
        *p = (unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e || *p == '"' ? '?' : *p;
}

static void add(struct wss_owners *all, const struct wss_owner *o)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 256;
        struct wss_owner *more = realloc(all->at, cap * sizeof *more);
        if (!more)
            return;
        all->at = more;
        all->cap = cap;
    }
    all->at[all->n++] = *o;
}

static void read_process(struct wss_owners *all, int proc, pid_t pid)
{
    struct wss_owner o = {.pid = pid};
    int fds = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fds >= 0 ? fdopendir(fds) : NULL;
    struct dirent *e;
    char link[64];
    unsigned long long inode;

    if (fds >= 0 && !d)
        close(fds);
    while (d && (e = readdir(d))) {
        ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof link - 1);
        if (n <= 0)
            continue;
        link[n] = '\0';
        if (sscanf(link, "socket:[%llu]", &inode) != 1)
            continue;
        if (!o.name[0])
            read_name(proc, o.name, sizeof o.name);
        o.inode = inode;
        o.fd = atoi(e->d_name);
        add(all, &o);
    }
    if (d)
        closedir(d);
}

static int by_inode(const void *a, const void *b)
{
    const struct wss_owner *x = a, *y = b;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return x->pid != y->pid ? (x->pid < y->pid ? -1 : 1) : x->fd - y->fd;
}

void wss_owners_read(struct wss_owners *all)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    all->n = 0;
    while (d && (e = readdir(d))) {
        pid_t pid = (pid_t)atoi(e->d_name);
        int proc = pid > 0 ? openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (proc < 0)
            continue;
        read_process(all, proc, pid);
        close(proc);
    }
    if (d)
        closedir(d);
    if (all->n)
        qsort(all->at, all->n, sizeof *all->at, by_inode);
}

void wss_owners_free(struct wss_owners *all)
{
    free(all->at);
    *all = (struct wss_owners){0};
}

const struct wss_owner *wss_owners_of(const struct wss_owners *all, uint64_t inode, size_t *n)
{
    size_t lo = 0, hi = all->n;
    *n = 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (all->at[mid].inode < inode)
            lo = mid + 1;
        else
            hi = mid;
    }
    while (inode && lo + *n < all->n && all->at[lo + *n].inode == inode)
        ++*n;
    return *n ? &all->at[lo] : NULL;
}
