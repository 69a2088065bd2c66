/*
 * The weir command.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

static void print_help(FILE *out)
{
    fputs("usage: weir COMMAND [ARGUMENT]...\n\n", out);
    for (size_t i = 0; i < wcl_commands_n; i++)
        fprintf(out, "  %-10s %s\n", wcl_commands[i].name, wcl_commands[i].about);
    fputs("\nweir COMMAND --help tells about one of them; weir --version says which weir this is.\n", out);
}

static int unknown(const char *word)
{
    const char *meant = wcl_nearest(word);
    if (meant)
        fprintf(stderr, "weir: there is no command '%s'. Did you mean '%s'?\n", word, meant);
    else
        fprintf(stderr, "weir: there is no command '%s'. See weir --help\n", word);
    return 2;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("weir " WEIR_VERSION);
        return 0;
    }
    for (size_t i = 0; i < wcl_commands_n; i++) {
        if (strcmp(word, wcl_commands[i].name) == 0)
            return wcl_commands[i].main(argc - 1, argv + 1);
    }
    return unknown(word);
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "weir: standard output: %s\n", errno ? strerror(errno) : "not all of it could be written");
    return status ? status : 2;
}
