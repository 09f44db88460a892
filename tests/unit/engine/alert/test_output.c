
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/engine.h"

static void an_output_keeps_order_over_growth_and_forgets_on_clear(void **state)
{
    (void)state;
    struct tsn_output out;
    tsn_output_init(&out);
    for (uint32_t i = 0; i < 100; i++) {
        tsn_output_add(&out)->revision = i;
    }
    assert_int_equal(out.n_alerts, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(out.alerts[i].revision, i);
    }
    tsn_output_clear(&out);
    assert_int_equal(out.n_alerts, 0);
    struct tsn_alert *alert = tsn_output_add(&out);
    assert_int_equal(alert->revision, 0);
    assert_ptr_equal(alert, out.alerts);
    tsn_output_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_output_keeps_order_over_growth_and_forgets_on_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
