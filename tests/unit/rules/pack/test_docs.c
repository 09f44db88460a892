/* docs/PACKS.md: every example in it compiles, and what it says of a wrong pack is
 * what the compiler says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/file/pack_file.h"
#include "rules/pack/pack.h"

/* The events of a `wrong` example: one line, so that its own lines keep their places. */
static const char one_line_base[] =
    "{ transfer: { fields: { payer: { type: string, entity: account }, amount: { type: money, "
    "currency: CNY } } } }";

static char *document;

static int setup(void **state)
{
    (void)state;
    const char *why = NULL;
    size_t len = 0;
    document = tsn_file_read(TSN_SOURCE_DIR "/docs/PACKS.md", 1 << 20, &len, &why);
    return document ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(document);
    return 0;
}

/* The next fenced block whose fence is exactly ```<kind>; its text without the
 * fences, malloc'd. */
static char *next_block(const char **at, const char *kind)
{
    char fence[64];
    snprintf(fence, sizeof fence, "\n```%s\n", kind);
    const char *open = strstr(*at, fence);
    if (!open) {
        return NULL;
    }
    const char *text = open + strlen(fence);
    const char *close = strstr(text, "\n```\n");
    assert_non_null(close);
    *at = close;
    return strndup(text, (size_t)(close + 1 - text));
}

/* tsn_pack_open: a file that the page shows as ```yaml file <name>. */
static char *open_shown(void *user, const char *name, size_t *len, const char **why)
{
    (void)user;
    char kind[256];
    snprintf(kind, sizeof kind, "yaml file %s", name);
    const char *at = document;
    char *text = next_block(&at, kind);
    *why = "the page shows no such file";
    *len = text ? strlen(text) : 0;
    return text;
}

static bool has_line(const char *text, const char *start)
{
    char with_newline[64];
    snprintf(with_newline, sizeof with_newline, "\n%s", start);
    return strncmp(text, start, strlen(start)) == 0 || strstr(text, with_newline);
}

/* The base without its block of lists, if the fragment has its own. */
static char *with_base(const char *base, const char *fragment)
{
    char *text = NULL;
    const char *lists = strstr(base, "\nlists:");
    assert_non_null(lists);
    int keep = has_line(fragment, "lists:") ? (int)(lists + 1 - base) : (int)strlen(base);
    assert_true(asprintf(&text, "%.*s%s", keep, base, fragment) > 0);
    return text;
}

static void every_example_compiles_without_a_warning(void **state)
{
    (void)state;
    const char *at = document;
    char *base = next_block(&at, "yaml base");
    assert_non_null(base);
    at = document;
    int n = 0;
    for (char *block; (block = next_block(&at, "yaml")); n++) {
        char *text = has_line(block, "pack:") ? strdup(block) : with_base(base, block);
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        struct tsn_program *prog =
            tsn_pack_check("PACKS.md", text, strlen(text), open_shown, NULL, TSN_PACK_LINT, &diags);
        if (diags.n) {
            fprintf(stderr, "example %d:\n%s\n", n + 1, block);
            tsn_diags_print(&diags, stderr);
        }
        assert_non_null(prog);
        assert_int_equal(diags.n, 0);
        tsn_program_free(prog);
        tsn_diags_free(&diags);
        free(text);
        free(block);
    }
    assert_true(n >= 12);
    free(base);
}

static void what_is_said_of_a_wrong_pack_is_said(void **state)
{
    (void)state;
    const char *at = document;
    char *wrong = next_block(&at, "yaml wrong");
    char *said = next_block(&at, "text");
    assert_non_null(wrong);
    assert_non_null(said);
    char *text = NULL;
    assert_true(asprintf(&text, "pack: p\nevents: %s\n%s", one_line_base, wrong) > 0);
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    assert_null(tsn_pack_compile("pack.yaml", text, strlen(text), NULL, NULL, &diags));
    char *printed = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&printed, &len);
    tsn_diags_print(&diags, out);
    fclose(out);
    assert_string_equal(printed, said);
    free(printed);
    tsn_diags_free(&diags);
    free(text);
    free(wrong);
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_compiles_without_a_warning),
        cmocka_unit_test(what_is_said_of_a_wrong_pack_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
