/*
 * A scenario's run (play.h), from the options to the verdict on its claims.
 */
#include "lab/play.h"

#include "doctor/live.h"
#include "io/link_spec.h"
#include "io/units.h"
#include "lab/lab.h"
#include "lab/page.h"
#include "lab/picture.h"
#include "trace/capture.h"
#include "trace/json.h"
#include "trace/report.h"
#include "trace/story.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define SETTLE     WEIR_SEC(5)    /* duplicate address detection, reports of groups: over before anybody looks */
#define UNTIL      WEIR_SEC(3600) /* where the scenario names no end */
#define UNTIL_REAL WEIR_SEC(60)
#define STEPS_MAX  20000000
#define ARROWS     40

bool wlb_fail(struct wlb_lab *lab, const char *form, ...)
{
    va_list args;
    if (lab->error[0])
        return false;
    va_start(args, form);
    vsnprintf(lab->error, sizeof lab->error, form, args);
    va_end(args);
    if (lab->world)
        wsim_fail(lab->world, "%s", lab->error); /* ends the run */
    return false;
}

/* ---- Names and texts ---- */

#define ERRNO(name) {#name, WEIR_##name},
static const struct {
    const char *name;
    int value;
} errnos[] = {ERRNO(EADDRINUSE) ERRNO(EAGAIN) ERRNO(ECONNABORTED) ERRNO(ECONNREFUSED) ERRNO(ECONNRESET)
                  ERRNO(EHOSTUNREACH) ERRNO(ENETUNREACH) ERRNO(EMSGSIZE) ERRNO(ENOTCONN) ERRNO(EPIPE) ERRNO(ETIMEDOUT)};

/* A host's name is its address, as text. */
static bool find_host(struct wlb_lab *lab, const char *name, struct wlb_value *v)
{
    struct weir_addr at;
    for (unsigned i = 0; i < lab->host_n; i++) {
        if (strcmp(lab->hosts[i]->name, name) != 0 || !wlb_address_of(lab, lab->here, lab->hosts[i], &at))
            continue;
        weir_addr_format(&at, lab->addresses[i], sizeof lab->addresses[i]);
        *v = (struct wlb_value){.type = WLB_TEXT, .text = lab->addresses[i]};
        return true;
    }
    return false;
}

static bool find_name(void *ctx, const char *name, struct wlb_value *v)
{
    struct wlb_lab *lab = ctx;
    for (unsigned i = 0; i < lab->setting_n; i++) {
        const struct wlb_setting *s = &lab->settings[i];
        if (strcmp(s->name, name) != 0)
            continue;
        *v = (struct wlb_value){.type = s->is_number ? WLB_NUMBER : WLB_TEXT, .number = s->number, .text = s->text};
        return true;
    }
    for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
        if (strcmp(errnos[i].name, name) == 0) {
            *v = (struct wlb_value){.type = WLB_NUMBER, .number = errnos[i].value};
            return true;
        }
    }
    return find_host(lab, name, v);
}

char *wlb_fill(struct wlb_lab *lab, const char *where, const char *text)
{
    char err[256];
    char *filled = wlb_expr_fill(text, &lab->record, &lab->names, err, sizeof err);
    if (!filled)
        wlb_fail(lab, "%s: '%s': %s", where, text, err);
    return filled;
}

static bool number_of(struct wlb_lab *lab, const char *where, const char *text, double *value)
{
    char err[256];
    struct wlb_value v = {0};
    struct wlb_expr *x = wlb_expr_parse(text, err, sizeof err);
    bool ok = x && wlb_expr_eval(x, &lab->record, &lab->names, &v, err, sizeof err);
    wlb_expr_free(x);
    if (!ok)
        return wlb_fail(lab, "%s: '%s': %s", where, text, err);
    if (v.type == WLB_TEXT || !(v.number >= 0) || v.number > 1e18)
        return wlb_fail(lab, "%s: '%s' is no number that can be used here", where, text);
    *value = v.number;
    return true;
}

bool wlb_time_of(struct wlb_lab *lab, const char *where, const char *text, weir_ns otherwise, weir_ns *value)
{
    double v = (double)otherwise;
    bool ok = !text || number_of(lab, where, text, &v);
    *value = (weir_ns)v;
    return ok;
}

bool wlb_count_of(struct wlb_lab *lab, const char *where, const char *text, uint64_t otherwise, uint64_t *value)
{
    double v = (double)otherwise;
    bool ok = !text || number_of(lab, where, text, &v);
    *value = (uint64_t)v;
    return ok;
}

struct wsim_host *wlb_host_of(const struct wlb_lab *lab, const char *name)
{
    for (unsigned i = 0; i < lab->host_n; i++) {
        if (strcmp(lab->hosts[i]->name, name) == 0)
            return lab->hosts[i];
    }
    return NULL;
}

bool wlb_address_of(const struct wlb_lab *lab, const struct wsim_host *from, const struct wsim_host *to,
                    struct weir_addr *addr)
{
    const struct wlb_lab_link *any = NULL, *shared = NULL;
    for (unsigned i = 0; i < lab->link_n; i++) {
        const struct wlb_lab_link *l = &lab->links[i];
        if (l->ends[0] != to && l->ends[1] != to)
            continue;
        any = any ? any : l;
        if (!shared && (l->ends[0] == from || l->ends[1] == from))
            shared = l;
    }
    const struct wlb_lab_link *l = shared ? shared : any;
    if (l)
        *addr = wsim_addr(l->index + 1, l->ends[0] == to ? WIO_NEAR : WIO_FAR, WEIR_AF_INET);
    return l != NULL;
}

/* ---- Settings ---- */

static void setting_read(struct wlb_setting *s)
{
    char err[128];
    struct wlb_value v;
    struct wlb_expr *x = wlb_expr_parse(s->text, err, sizeof err);
    s->is_number = x && wlb_expr_eval(x, NULL, NULL, &v, err, sizeof err) && v.type == WLB_NUMBER;
    if (s->is_number)
        s->number = v.number;
    wlb_expr_free(x);
}

static bool settings_init(struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    const struct wlb_scenario *sc = lab->scenario;
    lab->settings = calloc(sc->option_n + 1u, sizeof *lab->settings);
    if (!lab->settings)
        return wlb_fail(lab, "out of memory");
    for (unsigned i = 0; i < sc->option_n; i++) {
        struct wlb_setting *s = &lab->settings[lab->setting_n++];
        const char *value = sc->options[i].value;
        for (unsigned k = 0; k < o->setting_n; k++) {
            if (strcmp(o->settings[2 * k], sc->options[i].name) == 0)
                value = o->settings[2 * k + 1];
        }
        s->name = sc->options[i].name;
        s->text = strdup(value);
        if (!s->text)
            return wlb_fail(lab, "out of memory");
        setting_read(s);
    }
    return true;
}

/* ---- The world ---- */

static bool set_sysctls(struct wlb_lab *lab, struct wsim_host *h, const struct wlb_host *sh)
{
    for (unsigned i = 0; i < sh->sysctl_n; i++) {
        char *text = wlb_fill(lab, "sysctl", sh->sysctl[i]);
        char *value = text ? strchr(text, '=') : NULL;
        int err = -WEIR_EINVAL;
        if (value) {
            *value++ = '\0';
            err = weir_sysctl_set(h->w, text, value);
        }
        free(text);
        if (err)
            return wlb_fail(lab, "host %s: sysctl '%s': %s; the form is NAME=VALUE", sh->name, sh->sysctl[i],
                            weir_strerror(err));
    }
    return true;
}

/* A word of a few that a key may have; NULL: the first of them. False: wlb_fail has it. */
static bool is_said(struct wlb_lab *lab, const struct wlb_host *sh, const char *key, const char *value,
                    const char *word, bool *is)
{
    *is = value && strcmp(value, word) == 0;
    return !value || *is || wlb_fail(lab, "host %s: %s: '%s': it is %s, or not there", sh->name, key, value, word);
}

static bool add_host(struct wlb_lab *lab, const struct wlb_host *sh)
{
    bool is_router, is_silent;
    if (!is_said(lab, sh, "switch", sh->is_switch, "true", &lab->is_switch[lab->host_n]) ||
        !is_said(lab, sh, "router", sh->is_router, "true", &is_router) ||
        !is_said(lab, sh, "icmp", sh->icmp, "off", &is_silent))
        return false;
    if (!is_router && (is_silent || sh->syn_proxy))
        return wlb_fail(lab, "host %s: icmp and syn_proxy are for those with router: true", sh->name);
    if (is_router && sh->sysctl_n > 0)
        return wlb_fail(lab, "host %s: a router has no stack, so no sysctl", sh->name);
    struct wsim_host *h = is_router ? wsim_router_add(lab->world, sh->name) : wsim_host_add(lab->world, sh->name);
    if (!h)
        return wlb_fail(lab, "out of memory");
    h->is_silent = is_silent;
    lab->hosts[lab->host_n++] = h;
    return set_sysctls(lab, h, sh);
}

/* Once the links are there: the server is behind one of them. */
static bool add_proxies(struct wlb_lab *lab)
{
    for (unsigned i = 0; i < lab->host_n; i++) {
        const char *name = lab->scenario->hosts[i].syn_proxy;
        const struct wsim_host *server = name ? wlb_host_of(lab, name) : NULL;
        struct weir_addr at;
        if (name && (!server || server->router || !wlb_address_of(lab, lab->hosts[i], server, &at)))
            return wlb_fail(lab, "host %s: syn_proxy: there is no server '%s' on a link", lab->hosts[i]->name, name);
        if (name && !wsim_router_proxy(lab->hosts[i], at))
            return wlb_fail(lab, "out of memory");
    }
    return true;
}

static bool add_hosts(struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    if (sc->host_n > WLB_HOSTS_MAX || sc->link_n > WLB_LINKS_MAX || sc->link_n == 0)
        return wlb_fail(lab, "a scenario has at most %d hosts, and from 1 to %d links", WLB_HOSTS_MAX, WLB_LINKS_MAX);
    for (unsigned i = 0; i < sc->host_n; i++) {
        if (wlb_host_of(lab, sc->hosts[i].name))
            return wlb_fail(lab, "there are two hosts '%s'", sc->hosts[i].name);
        if (!add_host(lab, &sc->hosts[i]))
            return false;
    }
    return true;
}

static bool read_link(struct wlb_lab *lab, const struct wlb_link *sl, struct wlb_lab_link *l, bool is_captured)
{
    char err[256];
    uint64_t mtu;
    if (sl->type && strcmp(sl->type, "ethernet") != 0 && strcmp(sl->type, "ip") != 0)
        return wlb_fail(lab, "link: type '%s': it is ip or ethernet", sl->type);
    if (!wlb_count_of(lab, "link: mtu", sl->mtu, 0, &mtu))
        return false;
    l->cfg = (struct wio_link_config){
        .type = sl->type && sl->type[0] == 'e' ? WEIR_LINK_ETHERNET : WEIR_LINK_RAW_IP,
        .mtu = (uint32_t)mtu,
        .is_captured = is_captured,
    };
    char *spec = wlb_fill(lab, "link", sl->link ? sl->link : "clean");
    int bad = !spec || wio_link_spec_parse(&l->cfg, spec, err, sizeof err);
    if (spec && bad)
        wlb_fail(lab, "link from %s to %s: %s", sl->from, sl->to, err);
    free(spec);
    return !bad;
}

static bool add_links(struct wlb_lab *lab)
{
    for (unsigned i = 0; i < lab->scenario->link_n; i++) {
        const struct wlb_link *sl = &lab->scenario->links[i];
        struct wlb_lab_link *l = &lab->links[i];
        *l = (struct wlb_lab_link){
            .lab = lab, .index = i, .ends = {wlb_host_of(lab, sl->from), wlb_host_of(lab, sl->to)}};
        if (!l->ends[0] || !l->ends[1])
            return wlb_fail(lab, "link: there is no host '%s'", l->ends[0] ? sl->to : sl->from);
        /* Captured: segments as a wire has them, so that what is claimed of them is so. */
        if (!read_link(lab, sl, l, true))
            return false;
        l->link = wsim_link_add(lab->world, l->ends[0], l->ends[1], &l->cfg);
        if (!l->link)
            return wlb_fail(lab, "out of memory");
        wio_link_set_tap(l->link, wlb_on_note, l);
        lab->link_n++;
    }
    return true;
}

static bool make_world(struct wlb_lab *lab)
{
    struct wsim_config c = {
        .seed = lab->seed,
        .event_mask = WEIR_EV_ALL,
        .on_event = wlb_on_event,
        .ctx = lab,
        .steps_max = STEPS_MAX,
    };
    uint64_t arrows;
    lab->world = wsim_world_new(&c);
    if (lab->world && wlb_is_real(lab->scenario)) /* the clock's time from the start */
        wsim_run(lab->world, wlb_real_clock() - SETTLE, NULL, NULL);
    if (!lab->world || !add_hosts(lab) || !add_links(lab) || !add_proxies(lab))
        return lab->world ? false : wlb_fail(lab, "out of memory");
    if (!wlb_count_of(lab, "arrows", lab->scenario->arrows, ARROWS, &arrows))
        return false;
    lab->story = wtr_story_new(lab->links[0].cfg.type, 0);
    lab->arrows = (unsigned)arrows;
    if (!lab->story || !wtr_story_detail(lab->story, (unsigned)arrows))
        return wlb_fail(lab, "out of memory");
    wsim_run(lab->world, wsim_now(lab->world) + SETTLE, NULL, NULL);
    lab->zero = wsim_now(lab->world);
    return !wsim_error(lab->world) || wlb_fail(lab, "%s", wsim_error(lab->world));
}

/* ---- Files ---- */

static bool open_files(struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    if (o->pcap) {
        lab->pcap = wio_pcapng_open(o->pcap, &(struct wio_pcapng_config){.application = "weir " WEIR_VERSION});
        lab->capture = lab->pcap ? wtr_capture_new(lab->pcap, lab->links[0].cfg.type, lab->links[0].ends[0]->name,
                                                   lab->links[0].ends[1]->name)
                                 : NULL;
        if (!lab->capture)
            return wlb_fail(lab, "%s: %s", o->pcap, strerror(errno));
    }
    if (o->wants_doctor && !(lab->doctor = wdc_live_new(o->is_tty)))
        return wlb_fail(lab, "out of memory");
    if (o->trace) {
        FILE *out = fopen(o->trace, "w");
        lab->json = out ? wtr_json_new(out, 0) : NULL;
        if (!lab->json)
            return wlb_fail(lab, "%s: %s", o->trace, strerror(errno));
    }
    return true;
}

/* Without Markdown's links, which only a page follows: "[a word](name.md)" becomes "a word (name)". */
static char *plain_text(const char *text)
{
    char *plain = malloc(strlen(text) + 1), *at = plain;
    while (plain && *text) {
        size_t word = *text == '[' ? strcspn(text, "]") : 0, link = word ? strcspn(text + word, ")") : 0;
        if (word && strncmp(text + word, "](", 2) == 0 && link > 5 && strncmp(text + word + link - 3, ".md", 3) == 0) {
            at += sprintf(at, "%.*s (%.*s)", (int)word - 1, text + 1, (int)link - 5, text + word + 2);
            text += word + link + 1;
        } else {
            *at++ = *text++;
        }
    }
    if (plain)
        *at = '\0';
    return plain;
}

/* The page of a run needs its claims, which are judged at the end. */
static bool begin_report(struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    const struct wlb_scenario *sc = lab->scenario;
    if (!o->html)
        return true;
    char *about = plain_text(sc->about);
    lab->report = wtr_report_new(&(struct wtr_report_config){.title = sc->title, .about = about ? about : sc->about});
    free(about);
    for (unsigned i = 0; lab->report && i < lab->host_n; i++) {
        if (wtr_report_host(lab->report, lab->hosts[i]->name) < 0)
            return wlb_fail(lab, "out of memory");
    }
    return lab->report || wlb_fail(lab, "out of memory");
}

static void end_report(struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    int err = lab->report && !lab->error[0] ? wtr_report_save(lab->report, o->html) : 0;
    if (err)
        wlb_fail(lab, "%s: %s", o->html, strerror(-err));
    wtr_report_free(lab->report);
}

static bool begin_page(struct wlb_lab *lab, const char *name, const struct wlb_play_opts *o)
{
    lab->page = o->page ? wlb_page_open(o->page, name) : NULL;
    return !o->page || lab->page || wlb_fail(lab, "%s: %s", o->page, strerror(errno));
}

static void end_page(struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    int err = lab->page ? wlb_page_close(lab->page, lab) : 0;
    if (err)
        wlb_fail(lab, "%s: %s", o->page, strerror(-err));
}

static void close_files(struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    wtr_capture_free(lab->capture);
    int err = lab->pcap ? wio_pcapng_close(lab->pcap, NULL) : 0;
    if (err)
        wlb_fail(lab, "%s: %s: packets are missing from it", o->pcap, strerror(-err));
    err = wtr_json_close(lab->json);
    if (err)
        wlb_fail(lab, "%s: %s: lines are missing from it", o->trace, strerror(-err));
}

/* ---- The verdict ---- */

static void print_wrapped(FILE *out, const char *text)
{
    enum { WIDTH = 100 };
    size_t column = 0;
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (column > 0 && column + 1 + word > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (word > 0) {
            fprintf(out, "%s%.*s", column ? " " : "", (int)word, text);
            column += word + (column > 0);
        }
        text += word;
        bool is_paragraph = text[0] == '\n' && text[1] == '\n';
        if (is_paragraph) {
            fputs("\n\n", out);
            column = 0;
        }
        text += strspn(text, " \n");
    }
    if (column > 0)
        fputc('\n', out);
}

static void print_head(const struct wlb_lab *lab, const char *name, const struct wlb_play_opts *o)
{
    const char *bold = o->is_tty ? "\033[1m" : "", *plain = o->is_tty ? "\033[0m" : "";
    fprintf(o->out, "%s%s%s (%s)\n\n", bold, lab->scenario->title, plain, name);
    char *about = plain_text(lab->scenario->about);
    print_wrapped(o->out, about ? about : lab->scenario->about);
    free(about);
    for (unsigned i = 0; i < lab->setting_n; i++)
        fprintf(o->out, "%s--%s %s", i ? "  " : "\n", lab->settings[i].name, lab->settings[i].text);
    fputs(lab->setting_n ? "\n\n" : "\n", o->out);
}

static void print_stories(const struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    enum { STORIES = 4 };
    const char *near = lab->links[0].ends[0]->name, *far = lab->links[0].ends[1]->name;
    struct weir_sockaddr ends[2];
    if (wtr_story_count(lab->story) == 0 && wlb_columns_fit(lab, NULL))
        wlb_columns_print(lab, NULL, lab->arrows, o->out, o->is_tty);
    for (unsigned i = 0; i < STORIES && wtr_story_ends(lab->story, i, ends); i++) {
        bool is_columns = wlb_columns_fit(lab, ends);
        wtr_story_print(lab->story, i, is_columns ? NULL : near, far, o->out, o->is_tty);
        if (is_columns)
            wlb_columns_print(lab, ends, lab->arrows, o->out, o->is_tty);
        else
            fputc('\n', o->out);
    }
    if (wtr_story_count(lab->story) > STORIES)
        fprintf(o->out, "and %u connections more\n\n", wtr_story_count(lab->story) - STORIES);
}

/* What the scenario wants to be shown byte by byte. */
static void print_dissections(struct wlb_lab *lab, FILE *out)
{
    char err[256];
    struct wlb_expr *x = wlb_expr_parse(lab->scenario->dissect, err, sizeof err);
    for (size_t i = 0; x && i < lab->record.n; i++) {
        struct wlb_value v;
        const struct wlb_entry *e = &lab->record.entries[i];
        if (!wlb_expr_select(x, &lab->record, &lab->names, e, &v, err, sizeof err))
            break;
        if (e->kind == WLB_WIRE && v.number != 0)
            wlb_dissect_print(e, out);
    }
    if (err[0])
        wlb_fail(lab, "dissect: %s", err);
    wlb_expr_free(x);
}

static void print_pictures(struct wlb_lab *lab, const struct wlb_play_opts *o)
{
    const struct wlb_scenario *sc = lab->scenario;
    wlb_real_print(lab, o->out);
    print_stories(lab, o);
    if (sc->states && strcmp(sc->states, "yes") == 0)
        wlb_states_print(&lab->record, o->out);
    if (sc->dissect)
        print_dissections(lab, o->out);
}

static void print_claim(const struct wlb_play_opts *o, bool is_true, const char *say, const char *detail)
{
    const char *good = o->is_tty ? "\033[32m" : "", *bad = o->is_tty ? "\033[31m" : "";
    const char *plain = o->is_tty ? "\033[0m" : "";
    fprintf(o->out, "%s%s%s %s\n", is_true ? good : bad, is_true ? "ok    " : "FAILED", plain, say);
    if (!is_true && detail[0])
        fprintf(o->out, "       %s\n", detail);
}

static void judge_claim(struct wlb_lab *lab, const struct wlb_claim *c, const struct wlb_play_opts *o,
                        struct wlb_result *r)
{
    char err[256], say_err[256];
    struct wlb_value v = {0};
    struct wlb_expr *x = wlb_expr_parse(c->check, err, sizeof err);
    bool has_value = x && wlb_expr_eval(x, &lab->record, &lab->names, &v, err, sizeof err);
    bool is_true = has_value && v.type != WLB_TEXT && v.number != 0;
    char *say = wlb_expr_tell(c->say, &lab->record, &lab->names, say_err, sizeof say_err);
    char detail[512];
    snprintf(detail, sizeof detail, "%s%s%s", c->check, has_value ? "" : ": ", has_value ? "" : err);
    print_claim(o, is_true && say, say ? say : c->say, say ? detail : say_err);
    if (lab->report)
        wtr_report_claim(lab->report, is_true && say, say ? say : c->say);
    if (lab->page)
        wlb_page_claim(lab->page, is_true && say, say ? say : c->say);
    if (is_true && say)
        r->passed++;
    else
        r->failed++;
    wlb_expr_free(x);
    free(say);
}

/* ---- The whole ---- */

static bool is_over(void *ctx)
{
    const struct wlb_lab *lab = ctx;
    return lab->error[0] != '\0';
}

/* "record": an expression that says which events are kept. */
static bool limit_record(struct wlb_lab *lab)
{
    char err[256];
    const char *text = lab->scenario->record;
    if (!text)
        return true;
    lab->record.filter = wlb_expr_parse(text, err, sizeof err);
    lab->record.names = &lab->names;
    return lab->record.filter || wlb_fail(lab, "record: '%s': %s", text, err);
}

static bool run(struct wlb_lab *lab)
{
    weir_ns until;
    bool is_real = wlb_is_real(lab->scenario);
    if (!wlb_time_of(lab, "until", lab->scenario->until, is_real ? UNTIL_REAL : UNTIL, &until) || !limit_record(lab))
        return false;
    lab->is_recording = true;
    if (!wlb_procs_start(lab) || !wlb_timeline_start(lab))
        return false;
    const char *wrong = NULL;
    bool ok = !is_real || wlb_real_run(lab, until);
    if (!is_real)
        wrong = wsim_run(lab->world, lab->zero + until, is_over, lab);
    lab->is_recording = false;
    wlb_record_settle(&lab->record);
    if (lab->record.error[0])
        return wlb_fail(lab, "record: %s", lab->record.error);
    if (lab->record.is_full)
        return wlb_fail(lab, "out of memory for what happened: a shorter run would fit");
    return ok && (!wrong || wlb_fail(lab, "%s", wrong));
}

static void lab_free(struct wlb_lab *lab)
{
    wlb_real_free(lab);
    wsim_world_free(lab->world);
    wlb_procs_free(lab);
    wlb_timeline_free(lab);
    wtr_story_free(lab->story);
    wlb_record_free(&lab->record);
    for (unsigned i = 0; i < lab->setting_n; i++)
        free(lab->settings[i].text);
    free(lab->settings);
    free(lab->flows);
    free(lab);
}

bool wlb_play(const char *name, const struct wlb_scenario *sc, const struct wlb_play_opts *o, struct wlb_result *r)
{
    struct wlb_lab *lab = calloc(1, sizeof *lab);
    *r = (struct wlb_result){0};
    if (!lab) {
        snprintf(r->err, sizeof r->err, "%s: out of memory", name);
        return false;
    }
    lab->scenario = sc;
    lab->seed = o->seed;
    lab->names = (struct wlb_names){find_name, lab};
    bool is_here = wlb_real_find(lab);
    bool has_run = is_here && settings_init(lab, o) && make_world(lab) && wlb_pictures_check(lab) &&
                   begin_page(lab, name, o) && open_files(lab, o) && begin_report(lab, o) && run(lab);
    if (has_run && !o->is_brief) {
        print_head(lab, name, o);
        print_pictures(lab, o);
    }
    if (!has_run)
        wlb_real_print(lab, o->out); /* it may say why */
    for (unsigned i = 0; has_run && i < sc->claim_n; i++)
        judge_claim(lab, &sc->claims[i], o, r);
    if (has_run && o->svg)
        wlb_pictures_save(lab, o->svg);
    end_page(lab, o);
    if (lab->doctor)
        fputc('\n', o->out);
    wdc_live_finish(lab->doctor, o->out);
    close_files(lab, o);
    end_report(lab, o);
    if (lab->error[0])
        snprintf(r->err, sizeof r->err, "%.64s: %.440s", name, lab->error);
    r->is_missing = !is_here;
    lab_free(lab);
    return !r->err[0] && r->failed == 0;
}
