/*
 * weir rfc: prints the rows of docs/conformance.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/rfc.h"

enum state { TESTED, DEPARTS, MISSING, STATES_N };

static const char *const state_names[STATES_N] = {"tested", "departs", "no test"};

static const char usage[] =
    "usage: weir rfc [OPTION]... [NUMBER|attacks]...\n\n"
    "What the RFCs ask of a TCP/IP, and the test that proves each row, or why weir does otherwise.\n"
    "Without a number, the RFCs that there are rows of, and how many of these are tested.\n\n"
    "  --missing   only rows without a test and without a reason; of all RFCs when none is named\n"
    "  -h, --help  this text\n";

static enum state state_of(const struct wcl_rfc_row *row)
{
    if (row->departure[0])
        return DEPARTS;
    return row->tests[0] ? TESTED : MISSING;
}

/* Each line of `text`, indented. */
static void print_lines(const char *text)
{
    while (*text) {
        int len = (int)strcspn(text, "\n");
        printf("    %.*s\n", len, text);
        text += len + (text[len] == '\n');
    }
}

static void print_row(const struct wcl_rfc_row *row)
{
    printf("%-12s %-10s %-10s %s\n", row->id, row->level, state_names[state_of(row)], row->section);
    print_lines(row->requirement);
    if (row->departure[0])
        printf("    departs: %s\n", row->departure);
    print_lines(row->tests);
}

static void print_counts(const size_t counts[STATES_N])
{
    printf("%zu tested, %zu depart, %zu without a test\n", counts[TESTED], counts[DEPARTS], counts[MISSING]);
}

/* Rows of one RFC, or of all when `rfc` is NULL; returns how many rows it has, printed or not. */
static size_t print_rfc(const char *rfc, bool missing_only)
{
    size_t counts[STATES_N] = {0}, n = 0;
    for (size_t i = 0; i < wcl_rfc_rows_n; i++) {
        const struct wcl_rfc_row *row = &wcl_rfc_rows[i];
        if (rfc && strcmp(row->rfc, rfc) != 0)
            continue;
        enum state state = state_of(row);
        n++;
        counts[state]++;
        if (!missing_only || state == MISSING)
            print_row(row);
    }
    if (n > 0)
        print_counts(counts);
    return n;
}

static bool is_first_of_its_rfc(size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(wcl_rfc_rows[j].rfc, wcl_rfc_rows[i].rfc) == 0)
            return false;
    }
    return true;
}

static void print_overview(void)
{
    for (size_t i = 0; i < wcl_rfc_rows_n; i++) {
        if (!is_first_of_its_rfc(i))
            continue;
        size_t counts[STATES_N] = {0};
        for (size_t j = i; j < wcl_rfc_rows_n; j++) {
            if (strcmp(wcl_rfc_rows[j].rfc, wcl_rfc_rows[i].rfc) == 0)
                counts[state_of(&wcl_rfc_rows[j])]++;
        }
        printf("%-8s ", wcl_rfc_rows[i].rfc);
        print_counts(counts);
    }
}

int wcl_rfc_main(int argc, char **argv)
{
    bool missing_only = false;
    int named = 0, status = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--missing") == 0) {
            missing_only = true;
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "weir rfc: there is no option '%s'. See weir rfc --help\n", argv[i]);
            return 2;
        } else {
            argv[1 + named++] = argv[i];
        }
    }
    for (int i = 1; i <= named; i++) {
        if (print_rfc(argv[i], missing_only) == 0) {
            fprintf(stderr, "weir rfc: there are no rows of '%s'. weir rfc lists those that there are\n", argv[i]);
            status = 1;
        }
    }
    if (named == 0 && missing_only)
        (void)print_rfc(NULL, true);
    else if (named == 0)
        print_overview();
    return status;
}
