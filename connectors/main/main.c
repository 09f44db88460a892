/* tocsin: the command line. Finds the command and hands it its arguments. */
#include <stdio.h>
#include <string.h>

#include "connectors/failure/failure.h"
#include "connectors/main/commands.h"
#include "rules/diag/diag.h"

static const struct {
    const char *name;
    const char *what;
    int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND_ROW(name, what) {#name, what, tsn_command_##name},
    TSN_COMMAND_TABLE(COMMAND_ROW)
#undef COMMAND_ROW
        {NULL, NULL, NULL},
};

static void print_usage(FILE *out)
{
    fprintf(out, "usage: tocsin COMMAND [ARGUMENT ...]\n\n");
    for (size_t i = 0; commands[i].name; i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
    }
    fprintf(out, "\n`tocsin COMMAND --help` says more. `tocsin --version` prints the version.\n");
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof commands[0]] = {NULL};
    size_t n = 0;
    while (commands[n].name) {
        names[n] = commands[n].name;
        n++;
    }
    const char *nearest = tsn_nearest_name(name, names, n);
    fprintf(stderr, "tocsin: there is no command '%s'", name);
    if (nearest) {
        fprintf(stderr, "; did you mean '%s'?", nearest);
    }
    fprintf(stderr, "\n`tocsin --help` lists the commands.\n");
    return TSN_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return TSN_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("tocsin %s\n", TSN_VERSION);
        return TSN_EXIT_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return TSN_EXIT_OK;
    }
    for (size_t i = 0; commands[i].name; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    return unknown_command(argv[1]);
}
