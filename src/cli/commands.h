/*
 * The subcommands of weir: a table, an entry for each.
 */
#ifndef WCL_COMMANDS_H
#define WCL_COMMANDS_H

#include <stddef.h>

struct wcl_command {
    const char *name;
    const char *about;                  /* a line for `weir --help` */
    int (*main)(int argc, char **argv); /* argv[0] is the subcommand's name; the exit status */
};

extern const struct wcl_command wcl_commands[];
extern const size_t wcl_commands_n;

/* The subcommand whose name is nearest to a mistyped one, or NULL when none is near. */
const char *wcl_nearest(const char *word);

#endif
