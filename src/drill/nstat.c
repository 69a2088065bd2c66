/*
 * The counters as nstat lists them (nstat.h).
 */
#include "drill/nstat.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/stack.h>

#include "drill/shell.h"

#define NAME_CAP 64

/* Counters of Linux that weir has as the reason of a drop, and those whose names begin like another group's. */
static const char *const renamed[][2] = {
    {"drop.ICMP_STALE", "TcpExtOutOfWindowIcmps"},    {"drop.TCP_BEYOND_WND", "TcpExtBeyondWindow"},
    {"drop.TCP_ZERO_WND", "TcpExtTCPZeroWindowDrop"}, {"drop.TCP_RCVBUF_FULL", "TcpExtTCPRcvQDrop"},
    {"TcpTimeoutRehash", "TcpExtTcpTimeoutRehash"},   {"TcpDuplicateDataRehash", "TcpExtTcpDuplicateDataRehash"},
};

/* What nstat calls it: the group before the name, which for most of TCP's is TcpExt. */
static void linux_name(const char *name, char *out, size_t cap)
{
    static const char *const groups[] = {"Ip", "Icmp", "Tcp", "Udp"};
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
        if (strcmp(renamed[i][0], name) == 0) {
            snprintf(out, cap, "%s", renamed[i][1]);
            return;
        }
    }
    bool has_group = strchr(name, '.') != NULL;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        has_group = has_group || strncmp(name, groups[i], strlen(groups[i])) == 0;
    bool is_ip_ext = strncmp(name, "In", 2) == 0;
    snprintf(out, cap, "%s%s", has_group ? "" : is_ip_ext ? "IpExt" : "TcpExt", name);
}

/* A letter among nstat's options. */
static bool has_option(const struct wdr_words *w, char letter)
{
    for (unsigned i = 1; i < w->n; i++) {
        if (w->text[i][0] == '-' && w->text[i][1] != '-' && strchr(w->text[i], letter))
            return true;
    }
    return false;
}

static unsigned count(void)
{
    char name[NAME_CAP];
    unsigned n = 0;
    while (weir_stat_name(n, name, sizeof name))
        n++;
    return n;
}

/* The lines of nstat: increments, or with -a the whole; with -z those of 0 too. -s does not remember, -n only does. */
static int list(const struct weir *w, uint64_t **seen, const struct wdr_words *how, FILE *out)
{
    char name[NAME_CAP], shown[NAME_CAP + 8];
    if (!*seen && !(*seen = calloc(count() + 1u, sizeof **seen))) /* never none */
        return -ENOMEM;
    for (unsigned i = 0; weir_stat_name(i, name, sizeof name); i++) {
        uint64_t now = 0;
        weir_stat_get(w, name, &now);
        uint64_t value = has_option(how, 'a') ? now : now - (*seen)[i];
        linux_name(name, shown, sizeof shown);
        if (!has_option(how, 'n') && (value || has_option(how, 'z')))
            fprintf(out, "%-32s%-16" PRIu64 "0.0\n", shown, value);
        if (!has_option(how, 's'))
            (*seen)[i] = now;
    }
    return 0;
}

/* Keep the lines that a grep would; -ENODATA: none. */
static int filter(char *lines, const struct wdr_words *grep)
{
    regex_t re;
    const char *pattern = NULL;
    char *to = lines, *next;
    for (unsigned i = 1; i < grep->n; i++)
        pattern = grep->text[i][0] != '-' ? grep->text[i] : pattern;
    int flags = REG_NOSUB | (has_option(grep, 'E') ? REG_EXTENDED : 0) | (has_option(grep, 'i') ? REG_ICASE : 0);
    if (grep->n == 0 || strcmp(grep->text[0], "grep") != 0 || !pattern || regcomp(&re, pattern, flags) != 0)
        return -ENOSYS;
    for (char *line = lines; *line; line = next) {
        size_t len = strcspn(line, "\n");
        next = line + len + (line[len] != '\0');
        line[len] = '\0';
        if ((regexec(&re, line, 0, NULL, 0) == 0) != has_option(grep, 'v')) {
            memmove(to, line, len);
            to[len] = '\n';
            to += len + 1;
        }
    }
    *to = '\0';
    regfree(&re);
    return to == lines ? -ENODATA : 0;
}

int wdr_nstat(const struct weir *w, uint64_t **seen, const char *pipeline)
{
    char *lines = NULL;
    size_t len;
    struct wdr_words *words = calloc(1, sizeof *words);
    FILE *out = words ? open_memstream(&lines, &len) : NULL;
    int err = out ? 0 : -ENOMEM;
    if (out) {
        pipeline = wdr_shell_read(pipeline, words);
        err = list(w, seen, words, out);
        if (fclose(out) != 0)
            err = -ENOMEM;
    }
    while (err == 0 && words->has_pipe) {
        pipeline = wdr_shell_read(pipeline, words);
        err = filter(lines, words);
    }
    free(lines);
    free(words);
    return err;
}
