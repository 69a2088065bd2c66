/*
 * A program for the kernel that chooses a queue as weir_steer chooses a shard (weir/shard.h), for devices whose queues
 * the kernel shares packets out to: TUN and TAP, AF_PACKET.
 */
#ifndef WIO_STEER_H
#define WIO_STEER_H

#include <linux/bpf.h>
#include <weir/shard.h>

#define WIO_STEER_INSNS 2048 /* as many as it ever has, and some more */

/* Write it. Returns how many instructions it has. */
unsigned wio_steer_write(const struct weir_rss *, struct bpf_insn *, unsigned cap);

/*
 * Load it. It knows TCP and UDP behind an IPv4 header, with options or without, or right behind an IPv6 one; of all
 * else the addresses; and what is not IP goes to the first queue. Whoever receives steers what is different.
 *
 * Returns a descriptor, or a negative errno: -EPERM without CAP_BPF, -ENOSYS in a kernel without BPF.
 */
int wio_steer_program(const struct weir_rss *);

#endif
