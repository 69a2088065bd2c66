/* The counters by name. */
#include "base/stats.h"

#include "base/text.h"
#include <weir/errno.h>
#include <weir/event.h>
#include <weir/stack.h>

#define DROP_PREFIX "drop."

static const char *const names[WI_STAT_N] = {
#define NAME(name) #name,
    WI_STAT_LIST(NAME)
#undef NAME
};

int wi_stats_get(const struct wi_stats *s, const char *name, uint64_t *value)
{
    for (unsigned i = 0; i < WI_STAT_N; i++) {
        if (wi_str_equal(name, names[i])) {
            *value = s->count[i];
            return 0;
        }
    }
    if (!wi_str_has_prefix(name, DROP_PREFIX))
        return -WEIR_ENOENT;
    for (unsigned i = 0; i < WEIR_DROP_N; i++) {
        if (wi_str_equal(name + sizeof(DROP_PREFIX) - 1, weir_drop_name((enum weir_drop)i))) {
            *value = s->drop[i];
            return 0;
        }
    }
    return -WEIR_ENOENT;
}

const char *weir_stat_name(unsigned i, char *buf, size_t cap)
{
    struct wi_text out = wi_text_in(buf, cap);
    if (i >= WI_STAT_N + WEIR_DROP_N)
        return NULL;
    if (i < WI_STAT_N) {
        wi_text_str(&out, names[i]);
    } else {
        wi_text_str(&out, DROP_PREFIX);
        wi_text_str(&out, weir_drop_name((enum weir_drop)(i - WI_STAT_N)));
    }
    return buf;
}
