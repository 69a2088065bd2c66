/*
 * Which processes hold a socket, from /proc: for the column Process.
 */
#ifndef WSS_OWNERS_H
#define WSS_OWNERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct wss_owner {
    uint64_t inode;
    pid_t pid;
    int fd;
    char name[16]; /* of the process */
};

struct wss_owners {
    struct wss_owner *at; /* by inode, then by process and descriptor */
    size_t n, cap;
};

/* Look through /proc, as far as we may: a snapshot. Out of memory: some are missing. */
void wss_owners_read(struct wss_owners *);
void wss_owners_free(struct wss_owners *);

/* Those of an inode. *n: how many. */
const struct wss_owner *wss_owners_of(const struct wss_owners *, uint64_t inode, size_t *n);

#endif
