/*
 * The memory and the descriptors of the program's processes. We are an ancestor of each of them, which is what the
 * kernel (Yama included) asks for. What is read was written by the program: nothing of it is trusted further than the
 * program's own sockets reach.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "run/run.h"

#define PIDFDS_KEPT 16

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

int wir_mem_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
    struct iovec here = {.iov_base = buf, .iov_len = len};
    struct iovec there = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};
    if (len == 0)
        return 0;
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

int wir_mem_write(pid_t pid, uint64_t addr, const void *buf, size_t len)
{
    struct iovec here = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    struct iovec there = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};
    if (len == 0)
        return 0;
    return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

/* The process that a thread belongs to. */
static pid_t thread_group(pid_t tid)
{
    char path[64], line[128];
    pid_t group = -1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    while (group < 0 && fgets(line, sizeof line, f))
        sscanf(line, "Tgid: %d", &group);
    fclose(f);
    return group;
}

static int open_pidfd(pid_t pid)
{
    int fd = pidfd_open(pid, 0);
    if (fd < 0)
        fd = pidfd_open(pid, PIDFD_THREAD);
    if (fd < 0)
        fd = pidfd_open(thread_group(pid), 0);
    return fd;
}

/* Where there is no /proc the kernel hands out the descriptor itself, which takes longer. */
static int stat_borrowed(pid_t pid, int fd, struct stat *st)
{
    int process = open_pidfd(pid);
    if (process < 0)
        return -1;
    int got = pidfd_getfd(process, fd, 0);
    close(process);
    if (got < 0)
        return -1;
    int err = fstat(got, st);
    close(got);
    return err;
}

uint64_t wir_fd_inode(pid_t pid, int fd)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    if (stat(path, &st) < 0 && stat_borrowed(pid, fd, &st) < 0)
        return 0;
    return S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

bool wir_fd_is_cloexec(pid_t pid, int fd)
{
    char path[64], line[128];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, fd);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while (!flags && fgets(line, sizeof line, f))
        sscanf(line, "flags: %o", &flags);
    fclose(f);
    return flags & O_CLOEXEC;
}

static bool has_inode(int fd, uint64_t inode)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == inode;
}

static int borrow_from(int process, int fd, uint64_t inode)
{
    int got = pidfd_getfd(process, fd, 0);
    if (got >= 0 && !has_inode(got, inode)) {
        close(got);
        return -1;
    }
    return got;
}

int wir_fd_borrow(pid_t pid, int fd, uint64_t inode)
{
    /* Whom we borrowed from lately. A number that has passed to another process shows by the inode. */
    static struct {
        pid_t pid;
        int fd;
    } known[PIDFDS_KEPT];
    unsigned slot = (unsigned)pid % PIDFDS_KEPT;

    if (known[slot].pid == pid) {
        int got = borrow_from(known[slot].fd, fd, inode);
        if (got >= 0)
            return got;
    }
    int process = open_pidfd(pid);
    if (process < 0)
        return -1;
    if (known[slot].pid)
        close(known[slot].fd);
    known[slot].pid = pid;
    known[slot].fd = process;
    return borrow_from(process, fd, inode);
}

static int find_in(pid_t pid, uint64_t inode)
{
    char path[64];
    int got = -1;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    if (!d)
        return -1;
    for (struct dirent *e; got < 0 && (e = readdir(d));) {
        int fd = e->d_name[0] == '.' ? -1 : atoi(e->d_name);
        if (fd >= 0 && wir_fd_inode(pid, fd) == inode)
            got = wir_fd_borrow(pid, fd, inode);
    }
    closedir(d);
    return got;
}

int wir_fd_find(uint64_t inode)
{
    int got = -1;
    DIR *d = opendir("/proc");
    if (!d)
        return -1;
    for (struct dirent *e; got < 0 && (e = readdir(d));) {
        pid_t pid = (pid_t)atoi(e->d_name);
        if (pid > 0 && pid != getpid())
            got = find_in(pid, inode);
    }
    closedir(d);
    return got;
}
