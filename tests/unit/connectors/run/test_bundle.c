/* Bundles: what is published of a program compiles to it again where its files are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/run/bundle.h"
#include "rules/program/program.h"

static char folder[512];

static void write_file(const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void remove_file(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/bundle.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        return -1;
    }
    char parts[600];
    snprintf(parts, sizeof parts, "%s/parts", folder);
    if (mkdir(parts, 0700) != 0) {
        return -1;
    }
    write_file("p.yaml", "pack: p\nimports: [parts/events.yaml]\n"
                         "lists: { premium: { of: string, file: premium.csv } }\n"
                         "rules:\n"
                         "  - id: r\n    event: call\n    reason: x\n"
                         "    when: 'call.who in lists.premium || call.who in lists.gangs'\n");
    write_file("premium.csv", "+999\n");
    write_file("parts/events.yaml",
               "events: { call: { fields: { who: { type: string, required: true } } } }\n"
               "lists: { gangs: { of: string, match: prefix, file: gangs.csv } }\n");
    write_file("parts/gangs.csv", "+1\n+2\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[1024];
    snprintf(command, sizeof command, "%s/parts", folder);
    rmdir(command);
    return rmdir(folder);
}

static void a_published_program_holds_imports_and_lists(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s/p.yaml", folder);
    struct tsn_config config = {.file = "tocsin.yaml", .pack = path};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_bundle *made = tsn_bundle_load(&config, &diags);
    tsn_diags_print(&diags, stderr);
    assert_non_null(made);
    static const char *const files[] = {"p.yaml", "premium.csv", "parts/events.yaml",
                                        "parts/gangs.csv"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        remove_file(files[i]);
    }
    struct tsn_bundle *read = tsn_bundle_read(made->bytes, made->len, &diags);
    tsn_diags_print(&diags, stderr);
    assert_non_null(read);
    assert_memory_equal(read->prog->hash, made->prog->hash, sizeof made->prog->hash);
    assert_int_equal(read->len, made->len);
    assert_memory_equal(read->bytes, made->bytes, made->len);
    assert_int_equal(read->prog->n_lists, 2);
    assert_int_equal(tsn_list_size(read->prog->lists[0].initial), 2);
    assert_true(read->prog->lists[0].prefixes);
    tsn_bundle_free(read);

    /* A program without one of its files is refused, not run with less. */
    char *cut = strndup(made->bytes, made->len);
    char *name = strstr(cut, "\nparts/gangs.csv\n");
    assert_non_null(name);
    name[1] = 'P';
    assert_null(tsn_bundle_read(cut, made->len, &diags));
    assert_non_null(strstr(diags.items[0].message,
                           "'gangs.csv' cannot be read: the published program does not hold"));
    assert_null(tsn_bundle_read(made->bytes, made->len - 1, &diags));
    free(cut);
    tsn_bundle_free(made);
    tsn_diags_free(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_published_program_holds_imports_and_lists, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
