/*
 * --update: what a script expects, rewritten into what came. Everything else in the file stays as it is.
 */
#include <stdlib.h>
#include <string.h>

#include "drill/player.h"

void wdr_edit_add(struct wdr_player *pl, size_t begin, size_t end, const char *text)
{
    struct wdr_edit *more = realloc(pl->edits, (pl->edit_n + 1) * sizeof *more);
    if (!more)
        return;
    pl->edits = more;
    pl->edits[pl->edit_n++] = (struct wdr_edit){begin, end, strdup(text)};
}

static int by_place(const void *a, const void *b)
{
    const struct wdr_edit *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

bool wdr_edit_write(const struct wdr_player *pl)
{
    size_t at = 0;
    FILE *f = fopen(pl->script->path, "wb");
    if (!f)
        return false;
    qsort(pl->edits, pl->edit_n, sizeof *pl->edits, by_place);
    for (unsigned i = 0; i < pl->edit_n; i++) {
        const struct wdr_edit *e = &pl->edits[i];
        fwrite(pl->script->source + at, 1, e->begin - at, f);
        fputs(e->text ? e->text : "", f);
        at = e->end;
    }
    fwrite(pl->script->source + at, 1, pl->script->source_len - at, f);
    fprintf(pl->out, "%s: %u expectation%s rewritten\n", pl->script->path, pl->edit_n, pl->edit_n == 1 ? "" : "s");
    return fclose(f) == 0;
}
