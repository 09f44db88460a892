/* The packs that ship: each compiles without a warning, list files included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "connectors/file/pack_file.h"
#include "rules/pack/pack.h"
#include "rules/program/program.h"

static size_t check_all(const char *pattern)
{
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        struct tsn_program *prog = tsn_pack_file_check(found.gl_pathv[i], TSN_PACK_LINT, &diags);
        tsn_diags_print(&diags, stderr);
        assert_non_null(prog);
        assert_int_equal(diags.n, 0);
        tsn_program_free(prog);
        tsn_diags_free(&diags);
    }
    size_t n = found.gl_pathc;
    globfree(&found);
    return n;
}

static void every_shipped_pack_is_sound(void **state)
{
    (void)state;
    assert_true(check_all(TSN_SOURCE_DIR "/rules/packs/*.yaml") >= 1);
    assert_true(check_all(TSN_SOURCE_DIR "/rules/packs/*/*.yaml") >= 1);
}

static void the_city_pack_knows_the_frauds_it_promises(void **state)
{
    (void)state;
    static const char *const typologies[] = {
        "impersonated_authority", "wangiri", "smishing", "sim_swap", "task_rebate", "mule_drain"};
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog =
        tsn_pack_file_load(TSN_SOURCE_DIR "/rules/packs/telecom-bank.yaml", &diags);
    assert_non_null(prog);
    for (size_t i = 0; i < sizeof typologies / sizeof typologies[0]; i++) {
        assert_true(tsn_program_typology(prog, typologies[i]) != TSN_NONE);
    }
    tsn_program_free(prog);
    tsn_diags_free(&diags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shipped_pack_is_sound),
        cmocka_unit_test(the_city_pack_knows_the_frauds_it_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
