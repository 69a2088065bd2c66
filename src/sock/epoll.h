/*
 * Epoll objects: sets of watched handles, each with a list of those that something happened to, so that a wait looks at
 * nothing else. The semantics are Linux's (fs/eventpoll.c), but for what comes of blocking: nobody sleeps here.
 */
#ifndef WI_SOCK_EPOLL_H
#define WI_SOCK_EPOLL_H

#include "base/slab.h"
#include "sock/handle.h"
#include <weir/socket.h>

#define WI_EPOLL_NEST_MAX 4 /* epoll objects below one another; Linux's EP_MAX_NESTS */

struct wi_epoll {
    struct wi_handle *handle;
    struct wi_list watches; /* struct wi_watch.by_epoll, of sockets */
    struct wi_list nested;  /* the same, of other epoll objects */
    struct wi_list ready;   /* struct wi_watch.ready: something happened since it was last found silent */
    uint64_t visit;         /* of the walk that computed `depth` */
    int depth;              /* objects below this one; valid during that walk */
};

/* One epoll object's interest in one handle. */
struct wi_watch {
    struct wi_list by_handle, by_epoll;
    struct wi_list ready; /* in its epoll's, or in none */
    struct wi_handle *handle;
    struct wi_epoll *epoll;
    uint32_t events; /* WEIR_POLL* wanted, and WEIR_EPOLL*; nothing wanted: a one-shot that has fired */
    uint64_t data;
};

struct wi_epolls {
    struct wi_slab objects, watches;
    uint64_t visit; /* the latest walk */
};

void wi_epolls_init(struct wi_epolls *, struct wi_core *);
void wi_epolls_fini(struct wi_epolls *); /* every handle is closed */

/* Give a new handle an epoll object. 0 or -ENOMEM. */
int wi_epoll_open(struct wi_epolls *, struct wi_handle *);

/* Of a handle that goes: nobody watches it any more; an epoll object watches nothing any more, and is freed. */
void wi_epoll_forget(struct wi_epolls *, struct wi_handle *);

/* As weir_epoll_ctl and weir_epoll_wait. O(epoll objects that watch the handle); O(ready). */
int wi_epoll_ctl(struct wi_epolls *, struct wi_handle *epoll, int op, struct wi_handle *,
                 const struct weir_epoll_event *);
int wi_epoll_wait(struct wi_epoll *, struct weir_epoll_event *, int max);

/* Who watches a handle shall hear of its socket, which may be back from where it was parked. */
void wi_epoll_resume(struct wi_handle *);

/* WEIR_POLL* that are true of a handle now. */
uint32_t wi_handle_poll(const struct wi_handle *);

/* NULL, or what is wrong with an epoll object. */
const char *wi_epoll_check(const struct wi_epoll *);

#endif
