/*
 * weir: a TCP/IP stack in user space, with no I/O of its own. This header brings in all of the public interface.
 */
#ifndef WEIR_H
#define WEIR_H

#include <weir/diag.h>
#include <weir/errno.h>
#include <weir/event.h>
#include <weir/ledger.h>
#include <weir/pkt.h>
#include <weir/plpmtud.h>
#include <weir/shard.h>
#include <weir/socket.h>
#include <weir/stack.h>
#include <weir/types.h>

#define WEIR_VERSION "0.1.0"

#endif
