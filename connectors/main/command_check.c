/* tocsin check PACK: says everything that is wrong with a pack, and what it will
 * count if nothing is. Runs nothing. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "connectors/failure/failure.h"
#include "connectors/file/pack_file.h"
#include "connectors/main/commands.h"
#include "rules/diag/diag.h"
#include "rules/program/program.h"

static void print_usage(FILE *out)
{
    fprintf(out, "usage: tocsin check [--quiet] PACK [PACK ...]\n\n"
                 "Checks rule packs without running them: all errors with file, line and column.\n"
                 "Prints each feature as a sentence; --quiet prints only what is wrong.\n"
                 "Exit code: 0 every pack is sound, 1 errors were found, 2 wrong arguments.\n");
}

static void print_features(const struct tsn_program *prog)
{
    int widest = 0;
    for (int i = 0; i < prog->n_features; i++) {
        int len = (int)strlen(prog->features[i].name);
        widest = len > widest && len <= 40 ? len : widest;
    }
    for (int i = 0; i < prog->n_features; i++) {
        printf("  f.%-*s  %s\n", widest, prog->features[i].name, prog->features[i].sentence);
    }
}

static void print_fans(const struct tsn_program *prog, const struct tsn_rule *rule)
{
    for (int i = 0; i < rule->n_fans; i++) {
        const struct tsn_fan *fan = &rule->fans[i];
        printf("  %s: for each of f.%s ", rule->id, prog->types[rule->event].slots[fan->slot].name);
        if (fan->typology != TSN_NONE) {
            printf("a hit in %s\n", prog->typologies[fan->typology].id);
        } else {
            printf("add it to list %s\n", prog->lists[fan->list].name);
        }
    }
}

static const char *plural(int n)
{
    return n == 1 ? "" : "s";
}

static void print_program(const struct tsn_program *prog)
{
    int shadow = 0;
    for (int i = 0; i < prog->n_rules; i++) {
        shadow += prog->rules[i].mode == TSN_MODE_SHADOW;
    }
    printf("pack %s, version %" PRId64 ", hash ", prog->pack, prog->version);
    for (int i = 0; i < 8; i++) {
        printf("%02x", prog->hash[i]);
    }
    printf("%s\n", prog->mode == TSN_MODE_SHADOW     ? ", in shadow"
                   : prog->mode == TSN_MODE_DISABLED ? ", disabled"
                                                     : "");
    printf("%d event type%s, %d list%s, %d feature%s, %d rule%s (%d in shadow), "
           "%d typolog%s, %d template%s\n",
           prog->n_types, plural(prog->n_types), prog->n_lists, plural(prog->n_lists),
           prog->n_features, plural(prog->n_features), prog->n_rules, plural(prog->n_rules), shadow,
           prog->n_typologies, prog->n_typologies == 1 ? "y" : "ies", prog->n_templates,
           plural(prog->n_templates));
    print_features(prog);
    for (int i = 0; i < prog->n_rules; i++) {
        print_fans(prog, &prog->rules[i]);
    }
}

static bool check(const char *path, bool quiet)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = tsn_pack_file_load(path, &diags);
    tsn_diags_print(&diags, stderr);
    if (prog && !quiet) {
        print_program(prog);
    }
    if (!prog) {
        fprintf(stderr, "%s: refused, %zu error%s\n", path, diags.n_errors,
                plural((int)diags.n_errors));
    }
    bool ok = prog != NULL;
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    return ok;
}

int tsn_command_check(int argc, char **argv)
{
    bool quiet = false;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--help") == 0) {
            print_usage(stdout);
            return TSN_EXIT_OK;
        }
        if (strcmp(argv[at], "--quiet") != 0) {
            fprintf(stderr, "tocsin check: unknown option '%s'\n", argv[at]);
            print_usage(stderr);
            return TSN_EXIT_USAGE;
        }
        quiet = true;
    }
    if (at == argc) {
        print_usage(stderr);
        return TSN_EXIT_USAGE;
    }
    bool ok = true;
    for (; at < argc; at++) {
        ok = check(argv[at], quiet) && ok;
    }
    return ok ? TSN_EXIT_OK : TSN_EXIT_FOUND;
}
