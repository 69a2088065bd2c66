/*
 * Memory that a call names and that may not be there: a script may pass any pointer.
 */
#ifndef WDR_SO_MEMORY_H
#define WDR_SO_MEMORY_H

#include "drill/posix.h"

/* A message with as much of its memory as is there. */
struct wdr_so_message {
    struct msghdr msg;
    struct iovec iov[64];
};

/* Look at what the call reads or writes. 0; or -EFAULT: nothing of it is there. Where its first part is, the call is
 * cut to that, as the kernel copies up to the fault; `room` must live as long as the call. */
int wdr_so_check_memory(struct wdr_op *, struct wdr_so_message *room);

#endif
