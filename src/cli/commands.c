/*
 * The table of subcommands, and what somebody may have meant by a word that is none.
 */
#include <string.h>

#include "cli/commands.h"
#include "cli/rfc.h"
#include "drill/command_line.h"
#include "run/command.h"

#define NEAR_MAX 2 /* edits: more is another word */
#define WORD_MAX 32

const struct wcl_command wcl_commands[] = {
    {"drill", "play TCP tests in packetdrill's language, in virtual time", wdr_drill_main},
    {"rfc", "print what the RFCs ask, and the test that proves it", wcl_rfc_main},
    {"run", "run a program with weir as its TCP/IP, over any link", wir_run_main},
};
const size_t wcl_commands_n = sizeof wcl_commands / sizeof wcl_commands[0];

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *wcl_nearest(const char *word)
{
    const char *best = NULL;
    size_t best_distance = NEAR_MAX + 1;
    if (strlen(word) > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < wcl_commands_n; i++) {
        size_t d = distance(word, wcl_commands[i].name);
        if (d < best_distance) {
            best = wcl_commands[i].name;
            best_distance = d;
        }
    }
    return best;
}
