/* Notice: an alert as lines for a person; and the truth that alerts are held against. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/demo/notice.h"
#include "connectors/demo/truth.h"

static const char alert[] =
    "{\"alert_id\":\"ab\",\"revision\":2,\"typology\":\"impersonated_authority\",\"title\":\"T\","
    "\"level\":\"severe\",\"level_before\":\"minor\",\"score\":75,\"shadow\":false,"
    "\"entity\":{\"kind\":\"line\",\"value\":\"+9991390013819\",\"pseudonym\":\"ps:0\"},"
    "\"time\":\"2026-03-02T02:30:00.250Z\",\"not_before\":\"2026-03-02T02:30:00.250Z\","
    "\"sms\":{\"to\":\"+9991390013819\",\"muted\":false,\"template\":\"WARN\",\"params\":"
    "{\"tail\":\"0168\"}},\"queue\":null,\"opened_by\":{\"type\":\"call\",\"id\":\"c1\"},"
    "\"event\":{\"type\":\"transfer\",\"id\":\"t1\",\"time\":\"2026-03-02T02:30:00.250Z\"},"
    "\"evidence\":[{\"rule\":\"a\",\"reason\":\"a long call\",\"current\":false,\"event\":{}},"
    "{\"rule\":\"b\",\"reason\":\"money to a new payee\",\"current\":true,\"event\":{}},"
    "{\"rule\":\"b\",\"reason\":\"money to a new payee\",\"current\":true,\"event\":{}}]}";

static void an_alert_is_shown_with_reasons_and_the_words_of_its_message(void **state)
{
    (void)state;
    const struct tsn_template_text texts[] = {{"zh-Hans", "?"}, {"en", "Caller {tail} lies."}};
    const struct tsn_template templates[] = {{.id = "WARN", .n_texts = 2, .texts = texts}};
    const struct tsn_program prog = {.n_templates = 1, .templates = templates};
    struct tsn_notice notice;
    assert_true(tsn_notice_read(alert, strlen(alert), &notice));
    assert_int_equal(notice.time_ms, 1772418600250);
    assert_string_equal(notice.event_id, "t1");
    char text[1024] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    assert_non_null(out);
    tsn_notice_print(&notice, "10:30:00", &prog, false, out);
    fclose(out);
    tsn_notice_free(&notice);
    assert_string_equal(text, "10:30:00  severe    impersonated_authority  +9991...3819\n"
                              "          - a long call\n"
                              "          - money to a new payee\n"
                              "          SMS to +9991...3819: Caller 0168 lies.\n");
    assert_null(strstr(text, "390013819"));
}

static void what_is_no_alert_is_refused(void **state)
{
    (void)state;
    struct tsn_notice notice;
    assert_false(tsn_notice_read("", 0, &notice));
    assert_false(tsn_notice_read("{\"alert_id\":\"x\"}", 16, &notice));
    assert_false(tsn_notice_read(alert, strlen(alert) - 1, &notice));
}

static const char *write_truth(char folder[512])
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, 512, "%s", base ? base : "/tmp");
    char path[600];
    snprintf(path, sizeof path, "%s/truth.ndjson", folder);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    static const char *const victims[][3] = {
        {"v1", "200", "300"}, {"v2", "200", "300"}, {"v3", "200", "300"}, {"v4", NULL, NULL}};
    for (size_t i = 0; i < 4; i++) {
        fprintf(out, "{\"typology\":\"x\",\"victim\":\"%s\",\"account\":\"a-%s\"", victims[i][0],
                victims[i][0]);
        fprintf(out, ",\"t_contact_ms\":100");
        if (victims[i][1]) {
            fprintf(out, ",\"t_transfer_initiated_ms\":%s,\"t_last_preventable_ms\":%s",
                    victims[i][1], victims[i][2]);
        }
        fprintf(out, "}\n");
    }
    fclose(out);
    return folder;
}

static void a_warning_counts_by_when_it_came(void **state)
{
    (void)state;
    char folder[512];
    struct tsn_failure failure;
    struct tsn_truth *truth = tsn_truth_load(write_truth(folder), &failure);
    assert_non_null(truth);
    assert_string_equal(tsn_truth_note(truth, "v1", 50), "x"); /* before any contact */
    tsn_truth_note(truth, "v1", 199);
    tsn_truth_note(truth, "a-v2", 200); /* by the account, as the transfer begins */
    tsn_truth_note(truth, "v3", 301);   /* all is gone */
    tsn_truth_note(truth, "v4", 150);   /* never paid */
    assert_null(tsn_truth_note(truth, "somebody", 150));
    struct tsn_truth_tally tally;
    assert_int_equal(tsn_truth_tally(truth, &tally, 1), 1);
    assert_int_equal(tally.planted, 4);
    assert_int_equal(tally.paying, 3);
    assert_int_equal(tally.before, 1);
    assert_int_equal(tally.at, 1);
    assert_int_equal(tally.unpaid_warned, 1);
    tsn_truth_free(truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alert_is_shown_with_reasons_and_the_words_of_its_message),
        cmocka_unit_test(what_is_no_alert_is_refused),
        cmocka_unit_test(a_warning_counts_by_when_it_came),
    };
    return cmocka_run_group_tests_name("demo: notices", tests, NULL, NULL);
}
