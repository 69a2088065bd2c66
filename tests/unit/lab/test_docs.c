/* docs/lab/language.md says what there is, and nothing else: its tables of fields, steps, options and programs. */
#include "lab/proc.h"
#include "lab/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *doc;

static int read_doc(void **state)
{
    char path[4096];
    (void)state;
    const char *source = getenv("WEIR_SOURCE");
    snprintf(path, sizeof path, "%s/docs/lab/language.md", source ? source : ".");
    FILE *in = fopen(path, "r");
    if (!in)
        fail_msg("%s cannot be read", path);
    doc = calloc(1, 1 << 20);
    assert_non_null(doc);
    assert_true(fread(doc, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    return 0;
}

static int free_doc(void **state)
{
    (void)state;
    free(doc);
    return 0;
}

/* The rows of the table with that head, one after the other; *row NULL begins. False behind the last. */
static bool next_row(const char *head, char **row, char *text, size_t cap)
{
    char *at = *row ? strchr(*row, '\n') : strstr(doc, head);
    if (!at)
        fail_msg("there is no table that begins with \"%s\"", head);
    if (!*row) { /* the head, and the line below it */
        at = strchr(at, '\n');
        at = at ? strchr(at + 1, '\n') : NULL;
    }
    if (!at || at[1] != '|')
        return false;
    *row = at + 1;
    snprintf(text, cap, "%.*s", (int)strcspn(*row, "\n"), *row);
    return true;
}

static void test_docs_fields_are_those_of_the_code(void **state)
{
    static const struct {
        const char *name, *about;
    } fields[] = {
#define FIELD(word, about, expression) {#word, about},
#include "lab/fields.h"
#undef FIELD
    };
    (void)state;
    char *row = NULL, text[1024], want[1024];
    size_t n = 0;
    for (; next_row("| field | |", &row, text, sizeof text); n++) {
        assert_true(n < sizeof fields / sizeof fields[0]);
        snprintf(want, sizeof want, "| `%s` | %s |", fields[n].name, fields[n].about);
        assert_string_equal(text, want);
    }
    assert_int_equal(n, sizeof fields / sizeof fields[0]);
}

static bool is_step(const char *word, size_t len)
{
    for (unsigned k = 0; k < WLB_STEP_N; k++) {
        const char *name = wlb_step_name((enum wlb_step_kind)k);
        if (strlen(name) == len && memcmp(name, word, len) == 0)
            return true;
    }
    return false;
}

static void test_docs_steps_are_those_of_the_code(void **state)
{
    bool is_told[WLB_STEP_N] = {false};
    char *row = NULL, text[2048];
    (void)state;
    while (next_row("| step | |", &row, text, sizeof text)) {
        char *end = strstr(text + 2, " | "); /* of the first column */
        assert_non_null(end);
        *end = '\0';
        for (char *quoted = text; (quoted = strchr(quoted, '`')); quoted = strchr(quoted + 1, '`') + 1) {
            const char *word = quoted + 1;
            if (strncmp(word, "\u2026", strlen("\u2026")) == 0) /* the same step again */
                continue;
            size_t len = strcspn(word, " `");
            if (!is_step(word, len))
                fail_msg("there is no step \"%.*s\"", (int)len, word);
            for (unsigned k = 0; k < WLB_STEP_N; k++) {
                const char *name = wlb_step_name((enum wlb_step_kind)k);
                is_told[k] |= strlen(name) == len && memcmp(name, word, len) == 0;
            }
        }
    }
    for (unsigned k = 0; k < WLB_STEP_N; k++) {
        if (!is_told[k])
            fail_msg("docs/lab/language.md does not tell of the step \"%s\"", wlb_step_name((enum wlb_step_kind)k));
    }
}

static void test_docs_options_are_those_of_the_code(void **state)
{
    char want[1024] = "| `set OPTION VALUE` | ";
    (void)state;
    for (unsigned i = 0; wlb_option_name(i); i++) {
        const char *name = wlb_option_name(i);
        snprintf(want + strlen(want), sizeof want - strlen(want), "%s%s%s", i ? ", " : "", name,
                 strcmp(name, "congestion") == 0 ? " (a name)" : "");
    }
    snprintf(want + strlen(want), sizeof want - strlen(want), ";");
    if (!strstr(doc, want))
        fail_msg("docs/lab/language.md lacks: %s", want);
}

/* Every program that it shows can be read. */
static void test_docs_programs_can_be_read(void **state)
{
    char *row = NULL, text[2048], err[256];
    unsigned n = 0;
    (void)state;
    while (next_row("| program | its steps |", &row, text, sizeof text)) {
        if (strstr(text, "of the timeline"))
            continue;
        for (char *quoted = text, *end; (quoted = strchr(quoted, '`')); quoted = end + 1) {
            end = strchr(quoted + 1, '`');
            assert_non_null(end);
            *end = '\0';
            for (char *step = quoted + 1, *comma; step; step = comma ? comma + 2 : NULL) {
                struct wlb_step s;
                comma = strstr(step, ", ");
                if (comma)
                    *comma = '\0';
                if (!wlb_step_parse(&s, step, err, sizeof err))
                    fail_msg("%s", err);
                n++;
            }
        }
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_docs_fields_are_those_of_the_code),
        cmocka_unit_test(test_docs_steps_are_those_of_the_code),
        cmocka_unit_test(test_docs_options_are_those_of_the_code),
        cmocka_unit_test(test_docs_programs_can_be_read),
    };
    return cmocka_run_group_tests(tests, read_doc, free_doc);
}
