/* Packs in several files: what they compile to, where their errors stand, and what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/pack/pack.h"
#include "rules/yaml/yaml.h"

struct file {
    const char *name; /* as the opener is asked for it */
    const char *text;
};

static struct tsn_diags diags;
static char asked[1024]; /* names the opener was asked for, each with a blank after it */

static int setup(void **state)
{
    (void)state;
    tsn_diags_init(&diags);
    asked[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tsn_diags_free(&diags);
    return 0;
}

/* tsn_pack_open over an array of files that ends with a NULL name. */
static char *open_file(void *user, const char *name, size_t *len, const char **why)
{
    strncat(asked, name, sizeof asked - strlen(asked) - 1);
    strncat(asked, " ", sizeof asked - strlen(asked) - 1);
    for (const struct file *file = user; file->name; file++) {
        if (strcmp(file->name, name) == 0) {
            *len = strlen(file->text);
            return strdup(file->text);
        }
    }
    *why = "there is no such file";
    return NULL;
}

/* The first file is the pack. */
static struct tsn_program *compile(const struct file *files)
{
    char path[128];
    snprintf(path, sizeof path, "packs/%s", files[0].name);
    return tsn_pack_compile(path, files[0].text, strlen(files[0].text), open_file,
                            (void *)(uintptr_t)files, &diags);
}

static struct tsn_program *sound(const struct file *files)
{
    struct tsn_program *prog = compile(files);
    tsn_diags_print(&diags, stderr);
    assert_non_null(prog);
    assert_int_equal(diags.n, 0);
    return prog;
}

#define EVENTS                                                                                     \
    "events:\n"                                                                                    \
    "  call:\n"                                                                                    \
    "    fields:\n"                                                                                \
    "      caller: { type: string, required: true, entity: line }\n"                               \
    "      n: { type: int }\n"

#define LISTS                                                                                      \
    "lists:\n"                                                                                     \
    "  known: { of: string, file: known.csv }\n"

#define FEATURES                                                                                   \
    "features:\n"                                                                                  \
    "  - { name: calls, event: call, aggregate: count, by: caller, window: 1h }\n"

#define RULES                                                                                      \
    "rules:\n"                                                                                     \
    "  - id: many\n"                                                                               \
    "    event: call\n"                                                                            \
    "    when: 'f.calls >= 3 && call.caller in lists.known'\n"                                     \
    "    reason: 'made ${f.calls} calls'\n"

static void a_split_pack_is_the_pack_in_one_file(void **state)
{
    (void)state;
    static const struct file whole[] = {
        {"p.yaml", "pack: p\nversion: 3\n" EVENTS LISTS FEATURES RULES},
        {"known.csv", "a\nb\n"},
        {0}};
    static const struct file split[] = {
        {"p.yaml", "pack: p\nversion: 3\nimports: [data.yaml, features.yaml]\n" RULES},
        {"data.yaml", EVENTS LISTS},
        {"features.yaml", "format: 1\nowner: desk\n" FEATURES},
        {"known.csv", "a\nb\n"},
        {0}};
    struct tsn_program *a = sound(whole);
    struct tsn_program *b = sound(split);
    assert_string_equal(asked, "known.csv data.yaml features.yaml known.csv ");
    assert_int_equal(b->n_types, 1);
    assert_int_equal(tsn_list_size(b->lists[0].initial), 2);
    assert_int_equal(a->features[0].identity, b->features[0].identity);
    assert_int_equal(a->rules[0].version, b->rules[0].version);
    /* The blocks stand at the end in the order in which a pack is read, but rules: so
     * only a pack that is written in that order keeps its hash. */
    static const struct file same[] = {{"p.yaml", "pack: p\nversion: 3\nimports: [all.yaml]\n"},
                                       {"all.yaml", EVENTS LISTS FEATURES RULES},
                                       {"known.csv", "a\nb\n"},
                                       {0}};
    struct tsn_program *c = sound(same);
    assert_memory_equal(a->hash, c->hash, sizeof a->hash);
    tsn_program_free(a);
    tsn_program_free(b);
    tsn_program_free(c);
}

static void a_change_in_an_import_changes_the_hash(void **state)
{
    (void)state;
    struct file files[] = {
        {"p.yaml", "pack: p\nimports: [data.yaml]\n" FEATURES}, {"data.yaml", EVENTS}, {0}};
    struct tsn_program *a = sound(files);
    files[1].text = "# a comment\n" EVENTS;
    struct tsn_program *b = sound(files);
    assert_memory_equal(a->hash, b->hash, sizeof a->hash);
    tsn_program_free(b);
    files[1].text = EVENTS "      more: { type: int }\n";
    b = sound(files);
    assert_memory_not_equal(a->hash, b->hash, sizeof a->hash);
    tsn_program_free(a);
    tsn_program_free(b);
}

/* Names are taken from the folder of the file that holds them; every file has one name;
 * one that two import is read once and stands above both. */
static void imports_of_imports_are_found_and_taken_once(void **state)
{
    (void)state;
    static const struct file files[] = {
        {"p.yaml", "pack: p\nimports: [./parts/features.yaml, parts//rules.yaml]\n"},
        {"parts/features.yaml", "imports: [../base/events.yaml]\n" FEATURES},
        {"parts/rules.yaml", "imports: [features.yaml, ../base/lists.json]\n" RULES},
        {"base/events.yaml", EVENTS},
        {"base/lists.json", "{ \"lists\": { \"known\": { \"of\": \"string\", \"file\": "
                            "\"values/../known.csv\" } } }"},
        {"base/known.csv", "a\n"},
        {0}};
    struct tsn_program *prog = sound(files);
    assert_string_equal(asked, "parts/features.yaml base/events.yaml parts/rules.yaml "
                               "base/lists.json base/known.csv ");
    assert_int_equal(prog->n_features, 1);
    assert_int_equal(prog->n_rules, 1);
    tsn_program_free(prog);
}

static void what_is_imported_stands_above_what_imports_it(void **state)
{
    (void)state;
    static const struct file files[] = {
        {"p.yaml", "pack: p\nimports: [a.yaml, b.yaml]\nfeatures:\n"
                   "  - { name: last, event: call, expr: 'f.calls + f.twice' }\n"},
        {"a.yaml", EVENTS FEATURES},
        {"b.yaml", "features:\n  - { name: twice, event: call, expr: '2 * f.calls' }\n"},
        {0}};
    struct tsn_program *prog = sound(files);
    assert_int_equal(tsn_program_feature(prog, "calls"), 0);
    assert_int_equal(tsn_program_feature(prog, "twice"), 1);
    assert_int_equal(tsn_program_feature(prog, "last"), 2);
    tsn_program_free(prog);
}

/* ---- refusals ------------------------------------------------------------------------ */

#define PACK "pack: p\nimports: [a.yaml]\n"

static const struct {
    struct file files[5];
    const char *place; /* "file:line:column" of the error that must be said */
    const char *message;
} refusals[] = {
    {{{"p.yaml", PACK}}, "packs/p.yaml:2:11", "'a.yaml' cannot be read: there is no such file"},
    {{{"p.yaml", "pack: p\nimports: a.yaml\n"}},
     "packs/p.yaml:2:10",
     "'imports' must be a list, this is text"},
    {{{"p.yaml", "pack: p\nimports: [{ a: b }]\n"}},
     "packs/p.yaml:2:11",
     "an import must be text, this is a map"},
    {{{"p.yaml", "pack: p\nimports: [/etc/a.yaml]\n"}}, "packs/p.yaml:2:11", "no absolute path"},
    {{{"p.yaml", "pack: p\nimports: [known.csv]\n"}},
     "packs/p.yaml:2:11",
     "its name ends in .yaml, .yml or .json"},
    {{{"p.yaml", "pack: p\nimports: [x/../../a.yaml]\n"}},
     "packs/p.yaml:2:11",
     "must stay in the pack's folder"},
    {{{"p.yaml", "pack: p\nimports: [x/a.yaml]\n"}, {"x/a.yaml", "imports: [../../b.yaml]\n"}},
     "packs/x/a.yaml:1:11",
     "must stay in the pack's folder"},
    {{{"p.yaml", PACK}, {"a.yaml", "pack: q\n" EVENTS}},
     "packs/a.yaml:1:7",
     "'pack' is said in the pack that imports this file"},
    {{{"p.yaml", PACK}, {"a.yaml", EVENTS "timezone: UTC\n"}},
     "packs/a.yaml:6:11",
     "'timezone' is said in the pack that imports this file"},
    {{{"p.yaml", PACK}, {"a.yaml", "format: 9\n" EVENTS}}, "packs/a.yaml:1:9", "needs format 9"},
    {{{"p.yaml", PACK}, {"a.yaml", EVENTS "fetures: []\n"}},
     "packs/a.yaml:6:1",
     "unknown key of an imported file: 'fetures'; did you mean 'features'?"},
    {{{"p.yaml", PACK}, {"a.yaml", "- x\n"}},
     "packs/a.yaml:1:1",
     "an imported file must be a map, this is a list"},
    {{{"p.yaml", PACK}, {"a.yaml", "events:\n  call: &x {}\n"}},
     "packs/a.yaml:2:9",
     "anchors are refused"},
    {{{"p.yaml", PACK}, {"a.yaml", ""}}, "packs/a.yaml:1:1", "the file is empty"},
    {{{"p.yaml", PACK}, {"a.yaml", "events: [\n"}}, "packs/a.yaml:2:1", "this is not YAML"},
    /* cycles */
    {{{"p.yaml", "pack: p\nimports: [p.yaml]\n"}},
     "packs/p.yaml:2:11",
     "'p.yaml' imports itself: p.yaml -> p.yaml"},
    {{{"p.yaml", PACK}, {"a.yaml", "imports: [b.yaml]\n"}, {"b.yaml", "imports: [./a.yaml]\n"}},
     "packs/b.yaml:1:11",
     "'a.yaml' imports itself: a.yaml -> b.yaml -> a.yaml; it is first imported at "
     "packs/p.yaml:2:11"},
    {{{"p.yaml", PACK}, {"a.yaml", "imports: [b.yaml]\n"}, {"b.yaml", "imports:\n  - p.yaml\n"}},
     "packs/b.yaml:2:5",
     "'p.yaml' imports itself: p.yaml -> a.yaml -> b.yaml -> p.yaml"},
    /* the same twice */
    {{{"p.yaml", "pack: p\nimports:\n  - a.yaml\n  - ./a.yaml\n"}, {"a.yaml", EVENTS}},
     "packs/p.yaml:4:5",
     "'./a.yaml' is imported twice, first on line 3"},
    {{{"p.yaml", PACK EVENTS}, {"a.yaml", EVENTS}},
     "packs/p.yaml:4:3",
     "event type 'call' is declared twice, first at packs/a.yaml:2:3"},
    {{{"p.yaml", "pack: p\nimports: [a.yaml, b.yaml]\n" EVENTS},
      {"a.yaml", "lists:\n  l: { of: string }\n"},
      {"b.yaml", "lists:\n\n  l: { of: string }\n"}},
     "packs/b.yaml:3:3",
     "list 'l' is declared twice, first at packs/a.yaml:2:3"},
    {{{"p.yaml", PACK FEATURES}, {"a.yaml", EVENTS FEATURES}},
     "packs/p.yaml:4:13",
     "feature 'calls' is declared twice, first at packs/a.yaml:7:13"},
    {{{"p.yaml",
       PACK EVENTS FEATURES "rules:\n"
                            "  - { id: r, event: call, when: 'call.n > 1', reason: x }\n"},
      {"a.yaml", "rules:\n  - { id: r, event: call, when: 'call.n > 1', reason: x }\n"}},
     "packs/p.yaml:11:11",
     "rule 'r' is declared twice, first at packs/a.yaml:2:11"},
    {{{"p.yaml", PACK EVENTS "typologies:\n  - { id: t }\n"},
      {"a.yaml", "typologies:\n  - id: t\n"}},
     "packs/p.yaml:9:11",
     "typology 't' is declared twice, first at packs/a.yaml:2:9"},
    {{{"p.yaml", PACK EVENTS "templates: { T: { texts: { en: x } } }\n"},
      {"a.yaml", "templates: { T: { texts: { en: x } } }\n"}},
     "packs/p.yaml:8:14",
     "template 'T' is declared twice, first at packs/a.yaml:1:14"},
    /* errors inside */
    {{{"p.yaml", PACK EVENTS}, {"a.yaml", "rules: {}\n"}},
     "packs/a.yaml:1:8",
     "'rules' must be a list, this is a map"},
    {{{"p.yaml", PACK EVENTS},
      {"a.yaml", "features:\n  - { name: x, event: call, expr: \"\\\"a\\\" == call.mm\" }\n"}},
     "packs/a.yaml:2:45",
     "there is no name 'call.mm'"},
    {{{"p.yaml", PACK EVENTS},
      {"a.yaml", "rules:\n  - id: r\n    event: call\n    when: 'call.n > 1'\n"
                 "    reason: 'n ${call.caller + \"x\"}'\n"}},
     "packs/a.yaml:5:18",
     "only by its bare name"},
    {{{"p.yaml", "pack: p\nimports: [x/a.yaml]\n" EVENTS},
      {"x/a.yaml", "lists:\n  l: { of: int, file: l.csv }\n"},
      {"x/l.csv", "1\nx\n"}},
     "packs/x/l.csv:2:1",
     "line 2 of the list file holds a value that is no whole number"},
    {{{"p.yaml", "pack: p\nimports: [x/a.yaml]\n" EVENTS},
      {"x/a.yaml", "lists:\n  l: { of: int, file: l.csv }\n"}},
     "packs/x/a.yaml:2:23",
     "list file 'l.csv' cannot be read"},
};

static bool was_said(const char *place, const char *message)
{
    for (size_t i = 0; i < diags.n; i++) {
        char at[512];
        snprintf(at, sizeof at, "%s:%u:%u", diags.items[i].place.file, diags.items[i].place.line,
                 diags.items[i].place.column);
        if (strcmp(at, place) == 0 && strstr(diags.items[i].message, message)) {
            return true;
        }
    }
    return false;
}

static void every_slip_is_refused_in_its_file(void **state)
{
    (void)state;
    size_t n_wrong = 0;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        tsn_diags_free(&diags);
        tsn_diags_init(&diags);
        struct tsn_program *prog = compile(refusals[i].files);
        if (prog || !was_said(refusals[i].place, refusals[i].message)) {
            fprintf(stderr, "case %zu: wanted '%s' at %s\n", i, refusals[i].message,
                    refusals[i].place);
            tsn_diags_print(&diags, stderr);
            n_wrong++;
        }
        tsn_program_free(prog);
    }
    assert_int_equal(n_wrong, 0);
}

/* A file that is not there leaves names unknown: they are not reported one by one. */
static void what_a_missing_file_declares_is_not_reported_too(void **state)
{
    (void)state;
    static const struct file files[] = {{"p.yaml", PACK FEATURES RULES}, {0}};
    assert_null(compile(files));
    assert_int_equal(diags.n_errors, 1);
}

static void the_line_shown_is_that_of_the_import(void **state)
{
    (void)state;
    static const struct file files[] = {
        {"p.yaml", PACK EVENTS},
        {"a.yaml", "\nfeatures:\n  - { name: x, event: call, expr: 'call.n + call.nn' }\n"},
        {0}};
    assert_null(compile(files));
    assert_int_equal(diags.n, 1);
    assert_string_equal(diags.items[0].source,
                        "  - { name: x, event: call, expr: 'call.n + call.nn' }");
    assert_int_equal(diags.items[0].place.column, 45);
}

/* ---- bounds -------------------------------------------------------------------------- */

/* Files f0.yaml, f1.yaml ... of which each imports the next; or all of which the pack
 * imports. User: how many bytes each has beside. */
static char *open_numbered(void *user, const char *name, size_t *len, const char **why)
{
    (void)why;
    const size_t *bytes = user;
    int k = atoi(name + 1);
    char *text = malloc(*bytes + 64);
    int used = name[0] == 'f' ? sprintf(text, "imports: [f%d.yaml]\n", k + 1)
                              : sprintf(text, "description: x\n");
    memset(text + used, '#', *bytes);
    *len = (size_t)used + *bytes;
    return text;
}

static void depth_number_and_size_are_bounded(void **state)
{
    (void)state;
    size_t bytes = 0;
    const char deep[] = "pack: p\nimports: [f1.yaml]\n";
    assert_null(tsn_pack_compile("p.yaml", deep, strlen(deep), open_numbered, &bytes, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_true(was_said("f8.yaml:1:11", "imports nested deeper than 8 files"));

    char wide[2048] = "pack: p\nimports: [";
    for (int i = 0; i < 64; i++) {
        sprintf(wide + strlen(wide), "%sw%d.yaml", i ? ", " : "", i);
    }
    strcat(wide, "]\n");
    teardown(NULL);
    setup(NULL);
    assert_null(tsn_pack_compile("p.yaml", wide, strlen(wide), open_numbered, &bytes, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_non_null(strstr(diags.items[0].message, "a pack of more than 64 files"));
    assert_int_equal(diags.items[0].place.line, 2);

    static const char one[] = "pack: p\nimports: [w1.yaml]\n";
    bytes = TSN_YAML_BYTES_MAX;
    teardown(NULL);
    setup(NULL);
    assert_null(tsn_pack_compile("p.yaml", one, strlen(one), open_numbered, &bytes, &diags));
    assert_int_equal(diags.n_errors, 1);
    assert_true(was_said("p.yaml:2:11", "at most 1048576 are read"));

    bytes = TSN_YAML_BYTES_MAX / 2;
    teardown(NULL);
    setup(NULL);
    assert_null(tsn_pack_compile("p.yaml", wide, strlen(wide), open_numbered, &bytes, &diags));
    assert_non_null(strstr(diags.items[0].message, "have more than 4194304 bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_split_pack_is_the_pack_in_one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_in_an_import_changes_the_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(imports_of_imports_are_found_and_taken_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_imported_stands_above_what_imports_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_slip_is_refused_in_its_file, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_missing_file_declares_is_not_reported_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_line_shown_is_that_of_the_import, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_number_and_size_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
