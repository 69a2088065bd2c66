/*
 * The table of handles: index and generation in a weir_fd, and a record that lies still while its handle lives.
 *
 * The table grows by a leaf of 64 records at a time and gives a leaf back when its last handle goes, so opening and
 * closing cost the same however many there are, and an empty table holds no memory.
 */
#ifndef WI_SOCK_HANDLE_H
#define WI_SOCK_HANDLE_H

#include "base/core.h"
#include "base/list.h"
#include <weir/types.h>

struct wi_sk;
struct wi_tcp_parked;
struct wi_epoll;

enum wi_handle_kind { WI_HANDLE_NEW, WI_HANDLE_SOCKET, WI_HANDLE_PARKED, WI_HANDLE_EPOLL };

struct wi_handle {
    weir_fd fd;
    enum wi_handle_kind kind; /* NEW: taken, and not yet given its object */
    union {
        struct wi_sk *sk;
        struct wi_tcp_parked *parked; /* tcp/park.h: a socket that comes back by wi_sock_find */
        struct wi_epoll *epoll;
    };
    struct wi_list watches; /* struct wi_watch.by_handle: the epolls that watch it */
};

#define WI_HANDLE_INDEX_BITS 24
#define WI_HANDLES_CAP       (1u << WI_HANDLE_INDEX_BITS)
#define WI_HANDLE_LEAF_N     64  /* a word says which are taken */
#define WI_HANDLE_DIR_N      512 /* two levels of directories: 512 * 512 * 64 is 2^24 */

struct wi_handle_leaf {
    uint64_t taken;         /* a bit for each record */
    uint32_t first;         /* index of record[0] */
    struct wi_list partial; /* in the table's, while a record is free */
    struct wi_handle record[WI_HANDLE_LEAF_N];
};

struct wi_handle_dir {
    uint64_t full[WI_HANDLE_DIR_N / 64]; /* a bit for each child that has no room for another leaf below it */
    unsigned child_n;
    void *child[WI_HANDLE_DIR_N];
};

struct wi_handles {
    struct wi_core *core;
    struct wi_handle_dir *root; /* of directories of leaves; NULL while there is no handle */
    struct wi_list partial;     /* leaves with a free record */
    uint64_t generation;        /* of the latest handle; counts over all of them, so a leaf may go and come back */
    uint32_t n, max;
    uint32_t walk_end; /* no record has had this index or a higher one since the table was empty */
};

/* max: as weir_config.sockets_max. */
void wi_handles_init(struct wi_handles *, struct wi_core *, uint32_t max);

/* A new record. 0, -EMFILE or -ENOMEM. Constant cost. */
int wi_handle_take(struct wi_handles *, struct wi_handle **out);

/* Give a record back: its handle is stale from now on. */
void wi_handle_release(struct wi_handles *, struct wi_handle *);

/* The record of a handle, NULL when it is stale or never was. */
struct wi_handle *wi_handle_find(const struct wi_handles *, weir_fd);

/* Walk: the first record whose index is at least *index, which moves behind it; NULL past the last. */
struct wi_handle *wi_handle_next(const struct wi_handles *, uint32_t *index);

/* NULL, or what is wrong with the table. */
const char *wi_handles_check(const struct wi_handles *);

#endif
