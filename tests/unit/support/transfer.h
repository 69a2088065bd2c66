/*
 * One transfer from stack 0 to stack 1 of a world, every byte of it looked at, and both ends' close.
 */
#ifndef TEST_SUPPORT_TRANSFER_H
#define TEST_SUPPORT_TRANSFER_H

#include "unit/support/world.h"

struct transfer {
    struct world w;
    weir_fd client, server;
    uint64_t total, sent, got;
    bool is_closed, is_done;
};

/* A world, and a connection in it. `tunables`: names and values for both stacks, then NULL; or NULL. */
void transfer_begin(struct transfer *, const struct world_opts *, int family, uint64_t total);
void transfer_begin_tuned(struct transfer *, const struct world_opts *, int family, uint64_t total,
                          const char *const *tunables);

/* Write what the sender takes, its FIN behind it; read what the receiver has. */
void transfer_send(struct transfer *);
void transfer_recv(struct transfer *);

/* Until the peer's FIN has been read, within `limit`. */
void transfer_run(struct transfer *, weir_ns limit);

/* Close both, and let the world end. */
void transfer_end(struct transfer *);

#endif
