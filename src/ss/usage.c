#include "ss/usage.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

int wss_bad_option(const char *command, int c, char *const *argv)
{
    const char short_option[] = {'-', (char)optopt, '\0'};
    const char *which = optopt > 0 && optopt < 128 ? short_option : argv[optind - 1];
    fprintf(stderr, "weir %s: %s%s. See weir %s --help\n", command,
            c == ':' ? "a value is missing after " : "there is no option ", which, command);
    return -EINVAL;
}
