/*
 * What stands between back-ticks: shell commands of the field's scripts, of which those that mean something to a stack
 * are carried out on weir, and any other is an error.
 */
#ifndef WDR_COMMAND_H
#define WDR_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wdr_command_ops {
    int (*sysctl)(void *ctx, const char *name, const char *value); /* as weir_sysctl_set */
    int (*route)(void *ctx, uint32_t mtu, uint32_t advmss, uint32_t initcwnd);
    void (*discard)(void *ctx, bool on);
    void (*sleep)(void *ctx, uint64_t ns);
    int (*nstat)(void *ctx, const char *pipeline); /* as wdr_nstat */
    void *ctx;
};

/* Carry out a script's commands. false: err says which can't be, and why. */
bool wdr_command_run(const struct wdr_command_ops *, const char *text, char *err, size_t cap);

/* The values that the public suite's defaults.sh sets. */
void wdr_command_defaults(const struct wdr_command_ops *);

#endif
