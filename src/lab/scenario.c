/*
 * Reading scenarios (scenario.h): the schema for libcyaml, and its messages in our words.
 */
#include "lab/scenario.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The schema ---- */

static const cyaml_schema_value_t text_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};

#define TEXT(key, type, member) CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 0, CYAML_UNLIMITED)
#define MAYBE_TEXT(key, type, member)                                                                                  \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, CYAML_UNLIMITED)
#define LIST(key, flags, type, member, schema)                                                                         \
    CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER | (flags), type, member, member##_n, schema, 0, CYAML_UNLIMITED)
#define LIST_OF(key, flags, type, member, count, schema)                                                               \
    CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER | (flags), type, member, count, schema, 0, CYAML_UNLIMITED)
#define MAPPING(type, fields)                                                                                          \
    {                                                                                                                  \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, type, fields)                                                          \
    }

static const cyaml_schema_field_t option_fields[] = {
    TEXT("name", struct wlb_option, name),
    TEXT("value", struct wlb_option, value),
    TEXT("about", struct wlb_option, about),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t option_schema = MAPPING(struct wlb_option, option_fields);

static const cyaml_schema_field_t host_fields[] = {
    TEXT("name", struct wlb_host, name),
    MAYBE_TEXT("switch", struct wlb_host, is_switch),
    MAYBE_TEXT("router", struct wlb_host, is_router),
    MAYBE_TEXT("icmp", struct wlb_host, icmp),
    MAYBE_TEXT("syn_proxy", struct wlb_host, syn_proxy),
    LIST("sysctl", CYAML_FLAG_OPTIONAL, struct wlb_host, sysctl, &text_schema),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t host_schema = MAPPING(struct wlb_host, host_fields);

static const cyaml_schema_field_t link_fields[] = {
    TEXT("from", struct wlb_link, from),       TEXT("to", struct wlb_link, to),
    MAYBE_TEXT("link", struct wlb_link, link), MAYBE_TEXT("type", struct wlb_link, type),
    MAYBE_TEXT("mtu", struct wlb_link, mtu),   CYAML_FIELD_END,
};
static const cyaml_schema_value_t link_schema = MAPPING(struct wlb_link, link_fields);

static const cyaml_schema_field_t program_fields[] = {
    TEXT("host", struct wlb_program, host),
    MAYBE_TEXT("name", struct wlb_program, name),
    MAYBE_TEXT("start", struct wlb_program, start),
    MAYBE_TEXT("count", struct wlb_program, count),
    MAYBE_TEXT("every", struct wlb_program, every),
    MAYBE_TEXT("after", struct wlb_program, after),
    MAYBE_TEXT("serves", struct wlb_program, serves),
    LIST_OF("steps", CYAML_FLAG_OPTIONAL, struct wlb_program, steps, step_n, &text_schema),
    LIST_OF("command", CYAML_FLAG_OPTIONAL, struct wlb_program, command, command_n, &text_schema),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t program_schema = MAPPING(struct wlb_program, program_fields);

static const cyaml_schema_field_t action_fields[] = {
    TEXT("at", struct wlb_action, at),
    TEXT("do", struct wlb_action, act),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t action_schema = MAPPING(struct wlb_action, action_fields);

static const cyaml_schema_field_t claim_fields[] = {
    TEXT("say", struct wlb_claim, say),
    TEXT("check", struct wlb_claim, check),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t claim_schema = MAPPING(struct wlb_claim, claim_fields);

static const cyaml_schema_field_t series_fields[] = {
    TEXT("name", struct wlb_series, name),
    MAYBE_TEXT("value", struct wlb_series, value),
    MAYBE_TEXT("when", struct wlb_series, when),
    MAYBE_TEXT("style", struct wlb_series, style),
    LIST_OF("points", CYAML_FLAG_OPTIONAL, struct wlb_series, points, point_n, &text_schema),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t series_schema = MAPPING(struct wlb_series, series_fields);

static const cyaml_schema_field_t picture_fields[] = {
    TEXT("picture", struct wlb_picture, kind),
    MAYBE_TEXT("title", struct wlb_picture, title),
    LIST_OF("hosts", CYAML_FLAG_OPTIONAL, struct wlb_picture, hosts, host_n, &text_schema),
    MAYBE_TEXT("from", struct wlb_picture, from),
    MAYBE_TEXT("to", struct wlb_picture, to),
    MAYBE_TEXT("arrows", struct wlb_picture, arrows),
    MAYBE_TEXT("packets", struct wlb_picture, packets),
    MAYBE_TEXT("across", struct wlb_picture, across),
    MAYBE_TEXT("unit", struct wlb_picture, unit),
    MAYBE_TEXT("log", struct wlb_picture, log),
    LIST_OF("series", CYAML_FLAG_OPTIONAL, struct wlb_picture, series, series_n, &series_schema),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t picture_schema = MAPPING(struct wlb_picture, picture_fields);

static const cyaml_schema_field_t scenario_fields[] = {
    TEXT("title", struct wlb_scenario, title),
    TEXT("chapter", struct wlb_scenario, chapter),
    TEXT("about", struct wlb_scenario, about),
    LIST_OF("options", CYAML_FLAG_OPTIONAL, struct wlb_scenario, options, option_n, &option_schema),
    LIST_OF("hosts", CYAML_FLAG_DEFAULT, struct wlb_scenario, hosts, host_n, &host_schema),
    LIST_OF("links", CYAML_FLAG_DEFAULT, struct wlb_scenario, links, link_n, &link_schema),
    LIST_OF("programs", CYAML_FLAG_DEFAULT, struct wlb_scenario, programs, program_n, &program_schema),
    LIST_OF("timeline", CYAML_FLAG_OPTIONAL, struct wlb_scenario, timeline, action_n, &action_schema),
    LIST_OF("claims", CYAML_FLAG_DEFAULT, struct wlb_scenario, claims, claim_n, &claim_schema),
    MAYBE_TEXT("until", struct wlb_scenario, until),
    MAYBE_TEXT("arrows", struct wlb_scenario, arrows),
    MAYBE_TEXT("dissect", struct wlb_scenario, dissect),
    MAYBE_TEXT("record", struct wlb_scenario, record),
    MAYBE_TEXT("states", struct wlb_scenario, states),
    LIST_OF("pictures", CYAML_FLAG_OPTIONAL, struct wlb_scenario, pictures, picture_n, &picture_schema),
    MAYBE_TEXT("see", struct wlb_scenario, see),
    MAYBE_TEXT("practice", struct wlb_scenario, practice),
    LIST_OF("next", CYAML_FLAG_OPTIONAL, struct wlb_scenario, next, next_n, &text_schema),
    LIST_OF("rfc", CYAML_FLAG_OPTIONAL, struct wlb_scenario, rfc, rfc_n, &text_schema),
    MAYBE_TEXT("place", struct wlb_scenario, place),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t scenario_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct wlb_scenario, scenario_fields),
};

/* ---- Messages ---- */

/* What libcyaml says of an error: a line with the cause, then where, innermost first. */
struct complaint {
    char cause[256], where[128];
    unsigned line;
};

static void on_log(cyaml_log_t level, void *ctx, const char *form, va_list args)
{
    struct complaint *c = ctx;
    char text[256], place[128];
    unsigned line, column;
    (void)level;
    vsnprintf(text, sizeof text, form, args);
    text[strcspn(text, "\n")] = '\0';
    char *at = strstr(text, "(line: ");
    if (at && sscanf(at, "(line: %u, column: %u)", &line, &column) == 2) {
        snprintf(place, sizeof place, "%.*s", (int)(at - text), text);
        if (c->line == 0) {
            c->line = line;
            snprintf(c->where, sizeof c->where, "%s", place + strspn(place, " "));
        }
    } else if (!c->cause[0]) {
        const char *cause = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
        snprintf(c->cause, sizeof c->cause, "%s", cause);
    }
}

static void explain(const char *name, const struct complaint *c, cyaml_err_t code, char *err, size_t err_cap)
{
    int n = snprintf(err, err_cap, "%s: ", name);
    if (c->line && (size_t)n < err_cap)
        n += snprintf(err + n, err_cap - (size_t)n, "line %u: ", c->line);
    if ((size_t)n < err_cap)
        snprintf(err + n, err_cap - (size_t)n, "%s%s%s; docs/lab/language.md has what a scenario holds",
                 c->cause[0] ? c->cause : cyaml_strerror(code), c->where[0] ? ", " : "", c->where);
}

static cyaml_config_t config_for(struct complaint *c)
{
    return (cyaml_config_t){
        .log_fn = on_log,
        .log_ctx = c,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
    };
}

struct wlb_scenario *wlb_scenario_read(const char *name, const char *text, size_t len, char *err, size_t err_cap)
{
    struct complaint c = {0};
    cyaml_config_t config = config_for(&c);
    struct wlb_scenario *s = NULL;
    cyaml_err_t code =
        cyaml_load_data((const uint8_t *)text, len, &config, &scenario_schema, (cyaml_data_t **)&s, NULL);
    if (code == CYAML_OK && s)
        return s;
    explain(name, &c, code, err, err_cap);
    return NULL;
}

void wlb_scenario_free(struct wlb_scenario *s)
{
    struct complaint c = {0};
    cyaml_config_t config = config_for(&c);
    cyaml_free(&config, &scenario_schema, s, 0);
}

const struct wlb_builtin *wlb_builtin_find(const char *name)
{
    const struct wlb_builtin *b = NULL;
    for (unsigned i = 0; (b = wlb_builtin_at(i)); i++) {
        if (strcmp(b->name, name) == 0)
            return b;
    }
    return NULL;
}
