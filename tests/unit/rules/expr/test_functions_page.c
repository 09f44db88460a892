/* docs/FUNCTIONS.md is the function table, printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/function.h"

static void the_page_is_what_the_table_prints(void **state)
{
    (void)state;
    char *page = tsn_function_page();
    const char *write_to = getenv("TSN_WRITE_FUNCTIONS");
    if (write_to) { /* how the page is made anew */
        FILE *out = fopen(write_to, "w");
        assert_non_null(out);
        fputs(page, out);
        fclose(out);
    }
    FILE *file = fopen(TSN_SOURCE_DIR "/docs/FUNCTIONS.md", "r");
    assert_non_null(file);
    char *kept = calloc(1, 256 * 1024);
    assert_non_null(kept);
    size_t len = fread(kept, 1, 256 * 1024 - 1, file);
    fclose(file);
    assert_int_equal(len, strlen(page));
    assert_string_equal(kept, page);
    free(kept);
    free(page);
}

static void every_row_has_a_signature_that_can_be_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < tsn_n_functions; i++) {
        const char *signature = tsn_functions[i].signature;
        const char *end = strchr(signature, '>');
        assert_non_null(end);
        assert_int_equal(strlen(end), 2);
        assert_int_equal(strspn(signature, "bidstuLA.>"), strlen(signature));
        assert_non_null(tsn_functions[i].apply);
        assert_true(tsn_functions[i].group == NULL || strlen(tsn_functions[i].what) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_is_what_the_table_prints),
        cmocka_unit_test(every_row_has_a_signature_that_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
