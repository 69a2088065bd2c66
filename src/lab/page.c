/*
 * Writes a scenario's page (page.h).
 */
#include "lab/page.h"

#include "lab/catalog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct wlb_page {
    FILE *out;
    const char *path, *name;
    FILE *claims; /* collected until their place has come */
    char *text;
    size_t len;
};

struct wlb_page *wlb_page_open(const char *path, const char *name)
{
    struct wlb_page *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->path = path;
    p->name = name;
    p->out = fopen(path, "w");
    p->claims = p->out ? open_memstream(&p->text, &p->len) : NULL;
    if (p->claims)
        return p;
    int err = errno;
    if (p->out)
        fclose(p->out);
    free(p);
    errno = err;
    return NULL;
}

void wlb_page_claim(struct wlb_page *p, bool is_true, const char *say)
{
    fprintf(p->claims, "- %s %s\n", is_true ? "\xe2\x9c\x93" : "\xe2\x9c\x97 **it did not hold:**", say);
}

static void write_section(struct wlb_page *p, struct wlb_lab *lab, const char *title, const char *text)
{
    char err[256] = "";
    char *filled = text ? wlb_expr_tell(text, &lab->record, &lab->names, err, sizeof err) : NULL;
    if (text && !filled)
        wlb_fail(lab, "%s: %s", title, err);
    if (filled)
        fprintf(p->out, "## %s\n\n%s\n", title, filled);
    free(filled);
}

/* "docs/lab/x.md": "x.svg". */
static void write_picture(struct wlb_page *p, const struct wlb_lab *lab)
{
    const char *base = strrchr(p->path, '/');
    base = base ? base + 1 : p->path;
    size_t len = strlen(base);
    if (len > 3 && strcmp(base + len - 3, ".md") == 0)
        len -= 3;
    fprintf(p->out, "![%s](%.*s.svg)\n\n", lab->scenario->title, (int)len, base);
}

static void write_play(struct wlb_page *p, const struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    fprintf(p->out, "## Play with it\n\n    weir lab %s\n", p->name);
    if (sc->option_n > 0)
        fprintf(p->out, "    weir lab %s --%s %s --svg mine.svg\n", p->name, sc->options[0].name,
                lab->settings[0].text);
    fprintf(p->out, "    weir lab %s --html look.html      # the same in a browser, to zoom and step through\n\n",
            p->name);
    if (sc->option_n > 0)
        fputs("| option | what it is | here |\n|---|---|---|\n", p->out);
    for (unsigned i = 0; i < sc->option_n; i++)
        fprintf(p->out, "| `--%s` | %s | %s |\n", sc->options[i].name, sc->options[i].about, lab->settings[i].text);
    if (sc->option_n > 0)
        fputs("\n", p->out);
}

static void write_rfcs(struct wlb_page *p, const struct wlb_scenario *sc)
{
    for (unsigned i = 0; i < sc->rfc_n; i++) {
        char number[16] = "", section[32] = "";
        sscanf(sc->rfc[i], "%15s %31s", number, section);
        fprintf(p->out, "- RFC %s%s%s: <https://www.rfc-editor.org/rfc/rfc%s%s%s>\n", number,
                section[0] ? " section " : "", section, number, section[0] ? "#section-" : "", section);
    }
}

static void write_link(struct wlb_page *p, const char *before, const struct wlb_catalog_entry *e)
{
    if (e)
        fprintf(p->out, "%s[%s](%s.md)\n", before, e->title, e->name);
}

static bool write_ways(struct wlb_page *p, struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    struct wlb_catalog *all = wlb_catalog_new();
    size_t at = 0;
    if (!all)
        return wlb_fail(lab, "out of memory");
    while (at < all->n && strcmp(all->entries[at].name, p->name) != 0)
        at++;
    fputs("## Go on\n\n", p->out);
    for (unsigned i = 0; i < sc->next_n; i++) {
        const struct wlb_catalog_entry *e = wlb_catalog_find(all, sc->next[i]);
        if (!e)
            wlb_fail(lab, "next: there is no scenario '%s'", sc->next[i]);
        write_link(p, "- ", e);
    }
    write_rfcs(p, sc);
    fprintf(p->out, "- its file: [lab/%s.yaml](../../lab/%s.yaml), in [the language of the lab](language.md)\n\n",
            p->name, p->name);
    if (at > 0 && at < all->n)
        write_link(p, "\xe2\x86\x90 ", &all->entries[at - 1]);
    if (at + 1 < all->n)
        write_link(p, at > 0 ? "\xc2\xb7 " : "", &all->entries[at + 1]);
    wlb_catalog_free(all);
    return true;
}

int wlb_page_close(struct wlb_page *p, struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    int err = 0;
    fprintf(p->out, "<!-- Made from lab/%s.yaml by scripts/lab-pages: change that one. -->\n", p->name);
    fprintf(p->out, "[The lab](README.md) \xc2\xb7 %s\n\n# %s\n\n%s\n", sc->chapter, sc->title, sc->about);
    write_picture(p, lab);
    write_section(p, lab, "What you see", sc->see);
    if (fclose(p->claims) == 0)
        fprintf(p->out, "## What was checked in this run\n\n%s\n", p->text);
    else
        err = -errno;
    write_section(p, lab, "Where you meet it", sc->practice);
    write_play(p, lab);
    write_ways(p, lab);
    if (ferror(p->out))
        err = -EIO;
    if (fclose(p->out) != 0 && !err)
        err = -errno;
    free(p->text);
    free(p);
    return err;
}
