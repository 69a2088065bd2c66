/*
 * A script and a block of code: whatever stands in them, reading ends, and what is refused says why. What was read of a
 * packet is printed, and read again gives the same.
 */
#include "drill/code.h"
#include "drill/command.h"
#include "drill/nstat.h"
#include "drill/parse.h"
#include "drill/print.h"
#include "fuzz.h"
#include <weir/weir.h>

#include <stdlib.h>
#include <string.h>

static bool lookup(void *ctx, const char *name, uint64_t *value)
{
    (void)ctx;
    *value = 7;
    return strncmp(name, "tcpi_", 5) == 0;
}

static void check_packet(const struct wdr_packet *p)
{
    char text[WDR_PACKET_TEXT_CAP + 8] = "0 ", again[WDR_PACKET_TEXT_CAP];
    struct wdr_error error;
    wdr_print_packet(p, NULL, text + 2, sizeof text - 2);
    struct wdr_script *s = wdr_parse("again", text, strlen(text), NULL, &error);
    FUZZ_ASSERT(s && s->events && s->events->packet);
    wdr_print_packet(s->events->packet, NULL, again, sizeof again);
    FUZZ_ASSERT(strcmp(text + 2, again) == 0);
    wdr_script_free(s);
}

static int no_sysctl(void *ctx, const char *name, const char *value)
{
    (void)ctx;
    (void)name;
    (void)value;
    return 0;
}

static int no_route(void *ctx, uint32_t mtu, uint32_t advmss, uint32_t initcwnd)
{
    (void)ctx;
    (void)mtu;
    (void)advmss;
    (void)initcwnd;
    return 0;
}

static void no_discard(void *ctx, bool on)
{
    (void)ctx;
    (void)on;
}

static void no_sleep(void *ctx, uint64_t ns)
{
    (void)ctx;
    (void)ns;
}

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void give(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    (void)size;
    free(ptr);
}

/* Over the counters of a stack that has seen nothing. */
static int fresh_nstat(void *ctx, const char *pipeline)
{
    struct weir_config cfg = {.alloc = {take, give, NULL}};
    struct weir *w = weir_new(&cfg);
    uint64_t *seen = NULL;
    (void)ctx;
    int err = wdr_nstat(w, &seen, pipeline);
    free(seen);
    weir_free(w);
    return err;
}

static void run_text(char *text, bool is_code)
{
    char err[256] = "";
    struct wdr_error error = {0};
    struct wdr_command_ops ops = {no_sysctl, no_route, no_discard, no_sleep, fresh_nstat, NULL};
    struct wdr_code *c = wdr_code_new(lookup, NULL, NULL);
    if (is_code)
        FUZZ_ASSERT(wdr_code_run(c, text, 1, &error) || error.text[0]);
    else
        FUZZ_ASSERT(wdr_command_run(&ops, text, err, sizeof err) || err[0]);
    wdr_code_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wdr_error error = {0};
    struct fuzz_in in = {data, n};
    unsigned how = fuzz_u8(&in) % 4;
    char *text = malloc(in.n + 1);
    memcpy(text, in.p, in.n);
    text[in.n] = '\0';
    if (how < 2) {
        run_text(text, how == 0);
    } else {
        struct wdr_script *s = wdr_parse("fuzz", text, in.n, NULL, &error);
        FUZZ_ASSERT(s || error.text[0]);
        for (const struct wdr_event *e = s ? s->events : NULL; e; e = e->next) {
            FUZZ_ASSERT(e->begin <= e->body && e->body <= e->end && e->end <= in.n);
            if (e->type == WDR_EVENT_PACKET)
                check_packet(e->packet);
        }
        wdr_script_free(s);
    }
    free(text);
    return 0;
}
