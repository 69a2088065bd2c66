/*
 * Scenarios that name commands: each runs under weir run's machinery on its host's stack, and the world, its links and
 * its other hosts go by the clock. All is one process and one thread; what happens is recorded as in virtual time.
 *
 * The run ends when everything that does not serve has ended: then the servers are told to end, and what is still open
 * may close.
 */
#include "lab/proc.h"

#include "run/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

#define OUTPUT_MAX 65536u       /* of each program; what is beyond is thrown away */
#define LINGER     WEIR_SEC(5)  /* for connections to close once the programs are told to end */
#define NAP        WEIR_MS(100) /* at most, so that whatever was forgotten shows as slowness only */

struct guest {
    const struct wlb_program *program;
    const char *where;
    struct wsim_host *host;
    char **argv;
    weir_ns start, due;            /* the scenario's; when it is to begin: WEIR_NEVER until its `after` listens */
    const struct wsim_host *after; /* NULL: it waits for nobody */
    uint16_t after_port;
    struct wir_guest *guest; /* NULL: not begun */
    weir_ns began;
    bool serves, is_noted; /* its end is recorded */
    int out_fd;            /* of a pipe: what the program writes */
    char *output;
    size_t output_len;
};

struct wlb_real {
    struct wir_guest_house *house;
    struct guest *guests;
    unsigned guest_n;
    int epoll_fd;
};

bool wlb_is_real(const struct wlb_scenario *sc)
{
    for (unsigned i = 0; i < sc->program_n; i++) {
        if (sc->programs[i].command_n > 0)
            return true;
    }
    return false;
}

weir_ns wlb_real_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return WEIR_SEC((uint64_t)ts.tv_sec) + (uint64_t)ts.tv_nsec;
}

/* ---- Before ---- */

/* As execvp looks for it. */
static bool is_installed(const char *name)
{
    char path[4096];
    const char *dirs = getenv("PATH");
    if (strchr(name, '/'))
        return access(name, X_OK) == 0;
    for (const char *d = dirs ? dirs : "/bin:/usr/bin"; *d;) {
        size_t len = strcspn(d, ":");
        int n = snprintf(path, sizeof path, "%.*s/%s", (int)len, d, name);
        if (n > 0 && (size_t)n < sizeof path && access(path, X_OK) == 0)
            return true;
        d += len + (d[len] == ':');
    }
    return false;
}

bool wlb_real_find(struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    for (unsigned i = 0; i < sc->program_n; i++) {
        const struct wlb_program *pr = &sc->programs[i];
        if (pr->command_n > 0 && !is_installed(pr->command[0]))
            return wlb_fail(lab, "host %s: there is no program '%s' here", pr->host, pr->command[0]);
    }
    return true;
}

static char **fill_command(struct wlb_lab *lab, const struct guest *g)
{
    char **argv = calloc(g->program->command_n + 1u, sizeof *argv);
    lab->here = g->host;
    for (unsigned i = 0; argv && i < g->program->command_n; i++) {
        argv[i] = wlb_fill(lab, g->where, g->program->command[i]);
        if (!argv[i])
            break;
    }
    lab->here = NULL;
    if (!argv)
        wlb_fail(lab, "out of memory");
    return argv;
}

static bool add_guest(struct wlb_lab *lab, const struct wlb_program *pr)
{
    struct wlb_real *real = lab->real;
    struct guest *g = &real->guests[real->guest_n++];
    *g = (struct guest){.program = pr, .where = pr->name ? pr->name : pr->host, .due = WEIR_NEVER, .out_fd = -1};
    g->host = wlb_host_of(lab, pr->host);
    if (!g->host || g->host->router)
        return wlb_fail(lab, "program %s: there is no host '%s' with a stack", g->where, pr->host);
    if (pr->step_n > 0 || pr->count || pr->every)
        return wlb_fail(lab, "program %s: it has a command, so neither steps nor count nor every", g->where);
    g->serves = pr->serves != NULL;
    if (!wlb_time_of(lab, g->where, pr->start, 0, &g->start) ||
        (pr->after && !wlb_read_after(lab, pr, &g->after, &g->after_port)))
        return false;
    if (!g->after)
        g->due = lab->zero + g->start;
    g->argv = fill_command(lab, g);
    return !lab->error[0];
}

static bool open_house(struct wlb_lab *lab)
{
    const struct wlb_scenario *sc = lab->scenario;
    struct wlb_real *real = lab->real = calloc(1, sizeof *real);
    if (!real)
        return wlb_fail(lab, "out of memory");
    real->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    real->guests = calloc(sc->program_n, sizeof *real->guests);
    real->house = wir_guest_house_new();
    struct epoll_event ev = {.events = EPOLLIN};
    if (!real->guests || !real->house || real->epoll_fd < 0 ||
        epoll_ctl(real->epoll_fd, EPOLL_CTL_ADD, wir_guest_house_fd(real->house), &ev) < 0)
        return wlb_fail(lab, "the programs' surroundings could not be made: %s", strerror(errno));
    for (unsigned i = 0; i < sc->program_n; i++) {
        if (sc->programs[i].command_n > 0 && !add_guest(lab, &sc->programs[i]))
            return false;
    }
    return true;
}

/* ---- A program's life ---- */

static bool listen_to(const struct wlb_real *real, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN};
    return epoll_ctl(real->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static bool start_guest(struct wlb_lab *lab, struct guest *g)
{
    int ends[2] = {-1, -1};
    g->due = WEIR_NEVER;
    g->began = wsim_now(lab->world);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        fcntl(ends[1], F_SETFL, 0);
        g->out_fd = ends[0];
        g->guest = wir_guest_start(lab->real->house, &(struct wir_guest_config){wsim_stack(g->host), g->argv, ends[1]});
        close(ends[1]);
    }
    if (!g->guest || !listen_to(lab->real, g->out_fd) || !listen_to(lab->real, wir_guest_fd(g->guest)))
        return wlb_fail(lab, "host %s: '%s' could not be started", g->host->name, g->argv[0]);
    return true;
}

static void read_output(const struct wlb_real *real, struct guest *g)
{
    char piece[4096];
    for (ssize_t n; g->out_fd >= 0;) {
        n = read(g->out_fd, piece, sizeof piece);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            epoll_ctl(real->epoll_fd, EPOLL_CTL_DEL, g->out_fd, NULL);
            close(g->out_fd);
            g->out_fd = -1;
            return;
        }
        size_t room = OUTPUT_MAX - g->output_len, take = (size_t)n < room ? (size_t)n : room;
        char *more = take ? realloc(g->output, g->output_len + take) : NULL;
        if (!more)
            continue;
        memcpy(more + g->output_len, piece, take);
        g->output = more;
        g->output_len += take;
    }
}

/* The program has ended: that is a call that returned, as those of its steps would be. */
static bool note_end(struct wlb_lab *lab, struct guest *g)
{
    int status, start_err;
    bool has_ended = wir_guest_has_ended(g->guest, &status, &start_err);
    if (g->is_noted || !has_ended)
        return true;
    g->is_noted = true;
    if (start_err)
        return wlb_fail(lab, "host %s: '%s': %s", g->host->name, g->argv[0], strerror(start_err));
    struct wlb_entry *e = wlb_call_returned(lab, g->host, "exit", status, g->began);
    if (e)
        e->program = g->where;
    return true;
}

static bool is_over(const struct guest *g)
{
    return g->serves || (g->is_noted && wir_guest_is_gone(g->guest));
}

/* Who waits for a host on which nothing runs any more would wait for ever. */
static bool check_hope(struct wlb_lab *lab, const struct wsim_host *h, uint16_t port, const char *waiting)
{
    bool has_ended = false;
    for (unsigned i = 0; i < lab->real->guest_n; i++) {
        const struct guest *s = &lab->real->guests[i];
        if (s->host == h && !s->is_noted)
            return true;
        has_ended |= s->host == h;
    }
    for (const struct wlb_proc *p = lab->procs; p; p = p->next) {
        if (p->conn.host == h && !p->is_over)
            return true;
    }
    return !has_ended || wlb_fail(lab, "host %s: its program ended before it listened on port %u, for which '%s' waits",
                                  h->name, port, waiting);
}

static bool check_hopes(struct wlb_lab *lab)
{
    for (unsigned i = 0; i < lab->real->guest_n; i++) {
        const struct guest *g = &lab->real->guests[i];
        if (!g->guest && g->due == WEIR_NEVER && !check_hope(lab, g->after, g->after_port, g->where))
            return false;
    }
    for (const struct wlb_proc *p = lab->procs; p; p = p->next) {
        if (p->after && !check_hope(lab, p->after, p->after_port, p->where))
            return false;
    }
    return true;
}

/* A turn of one. False: wlb_fail has it. */
static bool turn(struct wlb_lab *lab, struct guest *g, bool *was_any)
{
    if (!g->guest) {
        bool is_due = g->due <= wsim_now(lab->world);
        *was_any |= is_due;
        return !is_due || start_guest(lab, g);
    }
    if (wir_guest_turn(g->guest)) {
        wsim_stack(g->host); /* somebody has called into it */
        *was_any = true;
    }
    read_output(lab->real, g);
    return note_end(lab, g);
}

void wlb_real_on_listen(struct wlb_lab *lab, const struct wsim_host *h, uint16_t port)
{
    for (unsigned i = 0; lab->real && i < lab->real->guest_n; i++) {
        struct guest *g = &lab->real->guests[i];
        if (g->after == h && g->after_port == port && !g->guest && g->due == WEIR_NEVER)
            g->due = wsim_now(lab->world) + g->start;
    }
}

/* ---- The loop ---- */

static void sleep_until(const struct wlb_real *real, weir_ns at)
{
    struct epoll_event events[16];
    weir_ns now = wlb_real_clock(), nap = at <= now ? 0 : at - now < NAP ? at - now : NAP;
    struct timespec ts = {.tv_sec = 0, .tv_nsec = (long)nap};
    epoll_pwait2(real->epoll_fd, events, sizeof events / sizeof events[0], &ts, NULL);
}

static weir_ns next_due(struct wlb_lab *lab)
{
    weir_ns at = wsim_next(lab->world);
    for (unsigned i = 0; i < lab->real->guest_n; i++) {
        const struct guest *g = &lab->real->guests[i];
        weir_ns due = g->guest ? wir_guest_deadline(g->guest) : g->due;
        at = due < at ? due : at;
    }
    return at;
}

/* One round of everything. False: the run is over, or wlb_fail has why. */
static bool go_round(struct wlb_lab *lab)
{
    bool was_any = false;
    const char *wrong = wsim_run(lab->world, wlb_real_clock(), NULL, NULL);
    if (wrong)
        return wlb_fail(lab, "%s", wrong);
    for (unsigned i = 0; i < lab->real->guest_n; i++) {
        if (!turn(lab, &lab->real->guests[i], &was_any))
            return false;
    }
    if (wir_guest_house_is_asked_to_end(lab->real->house))
        return wlb_fail(lab, "interrupted");
    if (!check_hopes(lab))
        return false;
    if (!was_any)
        sleep_until(lab->real, next_due(lab));
    return !lab->error[0];
}

static const struct guest *first_running(const struct wlb_lab *lab)
{
    for (unsigned i = 0; i < lab->real->guest_n; i++) {
        if (!is_over(&lab->real->guests[i]))
            return &lab->real->guests[i];
    }
    return NULL;
}

static bool is_anybody_left(const struct wlb_lab *lab)
{
    for (unsigned i = 0; i < lab->real->guest_n; i++) {
        const struct guest *g = &lab->real->guests[i];
        if (g->guest && !wir_guest_is_gone(g->guest))
            return true;
    }
    return lab->live_n > 0;
}

bool wlb_real_run(struct wlb_lab *lab, weir_ns until)
{
    if (!open_house(lab))
        return false;
    while (lab->awaited_n > 0 || first_running(lab)) {
        if (!go_round(lab))
            return false;
        if (wsim_now(lab->world) < lab->zero + until)
            continue;
        const struct guest *g = first_running(lab);
        return wlb_fail(lab,
                        "not over after %.0f s: %s%s%s%s has not ended; until: may be more, serves: true is for those "
                        "that never do",
                        (double)until / 1e9, g ? g->where : "a program of steps", g ? " (" : "", g ? g->argv[0] : "",
                        g ? ")" : "");
    }
    for (unsigned i = 0; i < lab->real->guest_n; i++) {
        if (lab->real->guests[i].guest)
            wir_guest_stop(lab->real->guests[i].guest);
    }
    for (weir_ns end = wlb_real_clock() + LINGER; is_anybody_left(lab) && wlb_real_clock() < end;) {
        if (!go_round(lab))
            return false;
    }
    return true;
}

/* ---- After ---- */

void wlb_real_print(const struct wlb_lab *lab, FILE *out)
{
    for (unsigned i = 0; lab->real && i < lab->real->guest_n; i++) {
        const struct guest *g = &lab->real->guests[i];
        const char *p = g->output, *end = p ? p + g->output_len : NULL;
        while (p < end) {
            const char *line_end = memchr(p, '\n', (size_t)(end - p));
            size_t len = (size_t)((line_end ? line_end : end) - p);
            fprintf(out, "%s | ", g->where);
            for (size_t k = 0; k < len; k++)
                fputc((unsigned char)p[k] < ' ' && p[k] != '\t' ? '?' : p[k], out);
            fputc('\n', out);
            p += len + 1;
        }
        if (g->output_len > 0)
            fputc('\n', out);
    }
}

void wlb_real_free(struct wlb_lab *lab)
{
    struct wlb_real *real = lab->real;
    if (!real)
        return;
    for (unsigned i = 0; i < real->guest_n; i++) /* all at once: each may take its time */
        if (real->guests[i].guest)
            wir_guest_stop(real->guests[i].guest);
    for (unsigned i = 0; i < real->guest_n; i++) {
        struct guest *g = &real->guests[i];
        if (g->out_fd >= 0)
            close(g->out_fd);
        wir_guest_free(g->guest);
        for (unsigned k = 0; g->argv && k < g->program->command_n; k++)
            free(g->argv[k]);
        free(g->argv);
        free(g->output);
    }
    free(real->guests);
    wir_guest_house_free(real->house);
    if (real->epoll_fd >= 0)
        close(real->epoll_fd);
    free(real);
    lab->real = NULL;
}
