/* tocsin check PACK: says everything that is wrong with a pack or probably not meant,
 * and what it will count if nothing is wrong. Runs nothing. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "connectors/failure/failure.h"
#include "connectors/file/pack_file.h"
#include "connectors/main/commands.h"
#include "rules/diag/diag.h"
#include "rules/pack/pack.h"
#include "rules/program/program.h"

static void print_usage(FILE *out)
{
    fprintf(out,
            "usage: tocsin check [--quiet] [--strict] [--portable] PACK [PACK ...]\n\n"
            "Checks rule packs without running them: all errors, and warnings of what is sound\n"
            "but probably not meant, with file, line and column. Prints each feature as a\n"
            "sentence.\n\n"
            "  --quiet     print only what is wrong\n"
            "  --strict    refuse a pack with warnings\n"
            "  --portable  warn of every use of what standard CEL does not have\n\n"
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

struct options {
    bool quiet;
    bool strict;
    unsigned lints;
};

static bool check(const char *path, const struct options *options)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    if (options->lints & TSN_PACK_PORTABLE) {
        diags.max = SIZE_MAX; /* each use was asked for */
    }
    struct tsn_program *prog = tsn_pack_file_check(path, options->lints, &diags);
    tsn_diags_print(&diags, stderr);
    if (prog && !options->quiet) {
        print_program(prog);
    }
    if (!prog) {
        fprintf(stderr, "%s: refused, %zu error%s\n", path, diags.n_errors,
                plural((int)diags.n_errors));
    }
    size_t n_warnings = diags.n + diags.n_dropped - diags.n_errors;
    bool ok = prog && !(options->strict && n_warnings);
    if (prog && !ok) {
        fprintf(stderr, "%s: refused, %zu warning%s and --strict\n", path, n_warnings,
                plural(n_warnings > 1 ? 2 : 1));
    }
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    return ok;
}

int tsn_command_check(int argc, char **argv)
{
    struct options options = {.lints = TSN_PACK_LINT};
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--help") == 0) {
            print_usage(stdout);
            return TSN_EXIT_OK;
        }
        if (strcmp(argv[at], "--quiet") == 0) {
            options.quiet = true;
        } else if (strcmp(argv[at], "--strict") == 0) {
            options.strict = true;
        } else if (strcmp(argv[at], "--portable") == 0) {
            options.lints |= TSN_PACK_PORTABLE;
        } else {
            fprintf(stderr, "tocsin check: unknown option '%s'\n", argv[at]);
            print_usage(stderr);
            return TSN_EXIT_USAGE;
        }
    }
    if (at == argc) {
        print_usage(stderr);
        return TSN_EXIT_USAGE;
    }
    bool ok = true;
    for (; at < argc; at++) {
        ok = check(argv[at], &options) && ok;
    }
    return ok ? TSN_EXIT_OK : TSN_EXIT_FOUND;
}
