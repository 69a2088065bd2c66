/*
 * What the files of posix.h share: the table of numbers and what is behind each.
 */
#ifndef WDR_POSIX_FD_H
#define WDR_POSIX_FD_H

#include "drill/posix.h"

enum wdr_fd_kind { WDR_FD_SOCKET, WDR_FD_EPOLL, WDR_FD_PIPE, WDR_FD_FILE };

/* A pipe's bytes are zeroes, as everything that a script sends: only their number counts. */
#define WDR_PIPE_CAP 65536

struct wdr_pipe {
    size_t used;
    unsigned readers, writers;
};

struct wdr_fd {
    enum wdr_fd_kind kind;
    weir_fd handle; /* SOCKET, EPOLL */
    int family, type;
    bool is_nonblocking, is_reader; /* is_reader: of a pipe */
    weir_ns rcvtimeo, sndtimeo;     /* SO_RCVTIMEO, SO_SNDTIMEO; 0: for ever */
    struct wdr_pipe *pipe;
    int file; /* FILE: the kernel's descriptor */
};

struct wdr_posix {
    struct wdr_posix_config cfg;
    struct wdr_fd **fds; /* by number */
    unsigned fd_cap;
};

struct wdr_fd *wdr_fd_find(const struct wdr_posix *, int fd); /* NULL: there is none */
int wdr_fd_add(struct wdr_posix *, const struct wdr_fd *);    /* its number, -EMFILE or -ENOMEM */
void wdr_fd_remove(struct wdr_posix *, int fd);

/* For a call that got `ret` (an errno where it would block): true when it is done with that, false when it is to be
 * tried again. timeout 0: for ever. */
bool wdr_op_finish(struct wdr_posix *, struct wdr_op *, int64_t ret, bool may_block, weir_ns timeout);

/* The same for a wait that found nothing: `timeout_ms` as poll has it. */
bool wdr_op_wait(struct wdr_posix *, struct wdr_op *, int timeout_ms);

/* What poll would say of one descriptor. */
short wdr_fd_ready(struct wdr_posix *, int fd, short events);

/* Linux's numbers of the states that matter to blocking (include/net/tcp_states.h). */
enum {
    TCP_STATE_SYN_SENT = 2,
    TCP_STATE_SYN_RECV = 3,
    TCP_STATE_FIN_WAIT1 = 4,
    TCP_STATE_LAST_ACK = 9,
    TCP_STATE_CLOSING = 11
};

/* tcpi_state of a TCP socket; 0: it is none. */
unsigned wdr_fd_tcp_state(const struct wdr_posix *, const struct wdr_fd *);

bool wdr_try_send(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
bool wdr_try_recv(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
bool wdr_try_poll(struct wdr_posix *, struct wdr_op *);
bool wdr_try_select(struct wdr_posix *, struct wdr_op *);
bool wdr_try_epoll_wait(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
int wdr_do_epoll_ctl(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
int wdr_do_pipe(struct wdr_posix *, struct wdr_op *);
bool wdr_try_splice(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
bool wdr_try_sendfile(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
int wdr_do_getsockopt(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
int wdr_do_setsockopt(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);
int wdr_do_fcntl(struct wdr_op *, struct wdr_fd *);
int wdr_do_ioctl(struct wdr_posix *, struct wdr_op *, struct wdr_fd *);

#endif
