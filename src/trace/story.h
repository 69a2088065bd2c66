/*
 * The story of a connection: a short sequence diagram of the handshake, the losses and their repair, and the close.
 *
 * Made from the events of both hosts and the notes of the link between them. Runs of plain data are one line; memory is
 * bounded however long the transfer.
 */
#ifndef WTR_STORY_H
#define WTR_STORY_H

#include "io/link.h"

#include <stdio.h>

#define WTR_STORY_MASK (WEIR_EV_BIT(WEIR_EV_STATE) | WEIR_EV_BIT(WEIR_EV_SEG_OUT) | WEIR_EV_BIT(WEIR_EV_CLOSE))

struct wtr_story;

/* Stories of the first `conns_max` connections (0: 16) that the near end's host has. NULL: out of memory. */
struct wtr_story *wtr_story_new(enum weir_link_type, unsigned conns_max);
void wtr_story_free(struct wtr_story *);

/* Draw each of a connection's first `n` segments, plain ones too. Before the first event. False: out of memory. */
bool wtr_story_detail(struct wtr_story *, unsigned n);

/* An event of the stack at that side of the link. */
void wtr_story_event(struct wtr_story *, enum wio_side, const struct weir_event *);

/* What the link did. */
void wtr_story_link(struct wtr_story *, const struct wio_link_note *);

/* Print the story of the i-th connection (from 0), names at the top of the columns; near NULL: its title
 * alone. false: there is no such. */
bool wtr_story_print(const struct wtr_story *, unsigned i, const char *near, const char *far, FILE *out, bool is_tty);

/* Between whom the i-th connection is, by enum wio_side. false: there is no such. */
bool wtr_story_ends(const struct wtr_story *, unsigned i, struct weir_sockaddr ends[2]);

/* How many there are, and the one that carried the most bytes (0 when there is none). */
unsigned wtr_story_count(const struct wtr_story *);
unsigned wtr_story_biggest(const struct wtr_story *);

#endif
