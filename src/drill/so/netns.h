/*
 * What the commands of a script did to the network namespace that the reference program runs in: its device's routes,
 * its queue, and CUBIC's own settings.
 */
#ifndef WDR_SO_NETNS_H
#define WDR_SO_NETNS_H

#include <stdbool.h>
#include <stdint.h>

struct wdr_netns {
    uint32_t mtu, advmss, initcwnd; /* of the device's routes; 0: none says */
    bool is_fq, discards;           /* its queue: fq; one of length 0, which loses everything */
};

/* Ask the kernel about the device of that index; false: it does not answer. */
bool wdr_netns_read(struct wdr_netns *, unsigned ifindex);

#endif
