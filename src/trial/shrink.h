/*
 * Shrinking: from a scenario that fails, the smallest one, and the smallest set of its link's decisions, that still do.
 * Delta debugging (Zeller and Hildebrandt, 2002), with complements alone.
 */
#ifndef WTL_SHRINK_H
#define WTL_SHRINK_H

#include "trial/condition.h"
#include "trial/replay.h"

struct wtl_shrunk {
    struct wtl_scenario scenario;
    struct wtl_record decisions; /* those that are enough; free with wtl_record_free */
    size_t decisions_before;
    struct wtl_outcome outcome; /* with these alone */
    unsigned runs;
};

enum wtl_shrink_result {
    WTL_SHRUNK,
    WTL_HOLDS,         /* it does not fail, so there is nothing to shrink */
    WTL_NOT_DECISIONS, /* it fails, but not because of what was recorded: a flipped bit that no checksum catches … */
    WTL_NO_MEMORY,
};

/* condition: what counts as failing; NULL: anything that must hold and does not. */
enum wtl_shrink_result wtl_shrink(const struct wtl_scenario *, const struct wtl_condition *condition,
                                  struct wtl_shrunk *);

/* Play a shrunk scenario once more. opts: as for wtl_play, its judge is ignored; may be NULL. */
bool wtl_shrunk_play(const struct wtl_shrunk *, const struct wtl_play_opts *opts, struct wtl_outcome *);

#endif
