/*
 * What the subcommands say of a command line that is no good.
 */
#ifndef WSS_USAGE_H
#define WSS_USAGE_H

/* getopt_long has returned '?' or ':' for `weir COMMAND`: say what of. -EINVAL. */
int wss_bad_option(const char *command, int c, char *const *argv);

#endif
