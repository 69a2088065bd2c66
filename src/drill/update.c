/*
 * --update: what a script expects, rewritten into what came. Everything else in the file stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drill/player.h"

void wdr_edit_add(struct wdr_player *pl, size_t begin, size_t end, const char *text)
{
    struct wdr_edit *more = realloc(pl->edits, (pl->edit_n + 1) * sizeof *more);
    char *copy = strdup(text);
    if (!more || !copy)
        abort();
    pl->edits = more;
    pl->edits[pl->edit_n++] = (struct wdr_edit){begin, end, copy};
}

static int by_place(const void *a, const void *b)
{
    const struct wdr_edit *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static bool write_script(const struct wdr_player *pl, FILE *f)
{
    size_t at = 0;
    qsort(pl->edits, pl->edit_n, sizeof *pl->edits, by_place);
    for (unsigned i = 0; i < pl->edit_n; i++) {
        const struct wdr_edit *e = &pl->edits[i];
        fwrite(pl->script->source + at, 1, e->begin - at, f);
        fputs(e->text, f);
        at = e->end;
    }
    fwrite(pl->script->source + at, 1, pl->script->source_len - at, f);
    return fflush(f) == 0 && !ferror(f);
}

/* Into a file beside it that takes its place when it is whole: a full disk must not cost the script. */
static bool replace_script(const struct wdr_player *pl, const char *path, const char *beside)
{
    struct stat st;
    int fd = stat(path, &st) == 0 && access(path, W_OK) == 0 ? open(beside, O_WRONLY | O_CREAT | O_EXCL, 0600) : -1;
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f)
        return false;
    bool ok = write_script(pl, f) && fchmod(fd, st.st_mode & 07777) == 0;
    ok = fclose(f) == 0 && ok;
    ok = ok && rename(beside, path) == 0;
    int err = errno;
    if (!ok)
        unlink(beside);
    errno = err;
    return ok;
}

bool wdr_edit_write(const struct wdr_player *pl)
{
    char *path = realpath(pl->script->path, NULL), *beside = NULL;
    bool ok = path && asprintf(&beside, "%s.%ld.new", path, (long)getpid()) > 0 && replace_script(pl, path, beside);
    int err = errno;
    free(path);
    free(beside);
    errno = err;
    if (ok)
        fprintf(pl->out, "%s: %u expectation%s rewritten\n", pl->script->path, pl->edit_n, pl->edit_n == 1 ? "" : "s");
    return ok;
}
