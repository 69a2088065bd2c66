/*
 * A link in words: "rate=10mbit delay=40ms jitter=5ms loss=1% burst=3 reorder=2% dup=1% corrupt=0.1% queue=64k".
 *
 * Names, units and meaning are tc netem's (tc(8), tc-netem(8)); delay is one way. Words are separated by blanks or
 * commas and apply to both directions, unless "up." (what the near end sends) or "down." stands before one.
 * docs/link.md has them all.
 */
#ifndef WIO_LINK_SPEC_H
#define WIO_LINK_SPEC_H

#include "io/link.h"

#define WIO_SPEC_TEXT_CAP 2048

/*
 * Read a specification over *cfg: words that don't occur leave what is there (start from zeros, or from a profile).
 *
 * err, err_cap   where a line goes that names the word, what is wrong with it and the right form
 *
 * Returns 0, or -EINVAL and leaves *cfg alone. "script=FILE" reads that file (a rule a line, # comments).
 */
int wio_link_spec_parse(struct wio_link_config *cfg, const char *text, char *err, size_t err_cap);

/* Read one rule of the script language, "drop data 3 of conn 1 down", and append it. 0, or -EINVAL with a line in err.
 */
int wio_link_rule_parse(struct wio_link_config *cfg, const char *text, char *err, size_t err_cap);

/* Write the specification that parses to *cfg again; "clean" for a link that does nothing. Cut to cap. Returns buf. */
const char *wio_link_spec_format(const struct wio_link_config *cfg, char *buf, size_t cap);

/* A named link. */
struct wio_link_profile {
    const char *name;
    const char *spec;
    const char *about; /* what it is, and where its numbers come from */
};

/* The i-th profile, NULL past the last. */
const struct wio_link_profile *wio_link_profile_at(unsigned i);

/* Read a profile by its name over *cfg. 0, or -EINVAL with a line in err that names those that there are. */
int wio_link_profile_parse(struct wio_link_config *cfg, const char *name, char *err, size_t err_cap);

#endif
