/* Simulate: equal settings, equal bytes; and a city whose figures are the published ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "connectors/simulate/simulate.h"

static const char *const files[] = {"cdr.call", "cdr.sms", "bank.txn", "line.lifecycle", "truth"};
enum { N_FILES = sizeof files / sizeof files[0] };

static const char *folder(const char *name, char out[512])
{
    const char *base = getenv("TMPDIR");
    snprintf(out, 512, "%s/simulate-%s", base ? base : "/tmp", name);
    return out;
}

static struct tsn_simulate_result simulate(const char *name, struct tsn_simulate_settings settings)
{
    char path[512];
    settings.folder = folder(name, path);
    settings.n_lines = settings.n_lines ? settings.n_lines : 2000;
    settings.minutes = settings.minutes ? settings.minutes : 120;
    settings.start_ms = 1772413200000;
    settings.start_hour = 9;
    struct tsn_simulate_result result = {.victims = 0};
    struct tsn_failure failure = {.remedy = TSN_REMEDY_NONE};
    if (!tsn_simulate(&settings, NULL, NULL, &result, &failure)) {
        fail_msg("%s", failure.text);
    }
    return result;
}

/* The whole of a file; the caller frees it. */
static char *read_file(const char *name, const char *file)
{
    char base[512];
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.ndjson", folder(name, base), file);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    struct stat st;
    assert_int_equal(fstat(fileno(in), &st), 0);
    char *text = malloc((size_t)st.st_size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)st.st_size, in), st.st_size);
    text[st.st_size] = '\0';
    fclose(in);
    return text;
}

static void equal_settings_give_equal_bytes(void **state)
{
    (void)state;
    simulate("a", (struct tsn_simulate_settings){.seed = 5, .n_scams = 6});
    simulate("b", (struct tsn_simulate_settings){.seed = 5, .n_scams = 6});
    simulate("c", (struct tsn_simulate_settings){.seed = 6, .n_scams = 6});
    for (size_t i = 0; i < N_FILES; i++) {
        char *a = read_file("a", files[i]);
        char *b = read_file("b", files[i]);
        char *c = read_file("c", files[i]);
        assert_string_equal(a, b);
        assert_true(strcmp(files[i], "line.lifecycle") == 0 || strcmp(a, c) != 0);
        free(a);
        free(b);
        free(c);
    }
}

/* The number after "name": in a record, or -1. */
static int64_t number_in(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static void records_are_written_in_the_order_of_their_arrival(void **state)
{
    (void)state;
    simulate("order", (struct tsn_simulate_settings){.seed = 3, .clean = true});
    char *calls = read_file("order", "cdr.call");
    int64_t before = 0;
    int n = 0;
    for (char *line = strtok(calls, "\n"); line; line = strtok(NULL, "\n")) {
        int64_t arrived = number_in(line, "\"ingest_time_ms\":");
        int64_t happened = number_in(line, "\"event_time_ms\":");
        assert_true(arrived >= before && happened > 0 && happened <= arrived);
        before = arrived;
        n++;
    }
    assert_true(n > 1000);
    free(calls);
}

static void a_clean_run_has_no_dirt_and_a_real_one_has_its_share(void **state)
{
    (void)state;
    struct tsn_tape_counts clean =
        simulate("clean", (struct tsn_simulate_settings){.seed = 4, .clean = true}).records;
    assert_int_equal(clean.duplicates + clean.late + clean.broken, 0);
    struct tsn_tape_counts dirty =
        simulate("dirty",
                 (struct tsn_simulate_settings){.seed = 4, .n_lines = 8000, .minutes = 240})
            .records;
    uint64_t total = 0;
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        total += dirty.records[i];
    }
    assert_in_range(dirty.duplicates * 1000, total * 3, total * 7); /* 0.5 % */
    assert_in_range(dirty.late * 1000, total * 7, total * 13);      /* 1 % */
    assert_in_range(dirty.broken, 2, total / 500);                  /* 0.05 % */
}

static void the_city_telephones_as_published(void **state)
{
    (void)state;
    simulate("figures", (struct tsn_simulate_settings){
                            .seed = 9, .n_lines = 5000, .minutes = 1440, .clean = true});
    char *calls = read_file("figures", "cdr.call");
    uint64_t attempts = 0;
    uint64_t answered = 0;
    uint64_t over_20_min = 0;
    for (char *line = strtok(calls, "\n"); line; line = strtok(NULL, "\n")) {
        if (!strstr(line, "\"phase\":\"release\"")) {
            continue;
        }
        attempts++;
        answered += strstr(line, "\"answer_time_ms\"") != NULL;
        over_20_min += number_in(line, "\"call_duration_s\":") >= 1200;
    }
    free(calls);
    /* 3.6 attempts a line and day by residents, and the busy lines on top. */
    assert_in_range(attempts, 5000 * 34 / 10, 5000 * 55 / 10);
    assert_in_range(answered * 100 / attempts, 50, 75);
    assert_in_range(over_20_min * 10000 / answered, 30, 200); /* 0.5-0.8 %, families on top */
}

static void every_paying_victim_is_seen_to_pay(void **state)
{
    (void)state;
    struct tsn_simulate_result result = simulate(
        "scams",
        (struct tsn_simulate_settings){.seed = 2, .minutes = 480, .n_scams = 20, .clean = true});
    char *truth = read_file("scams", "truth");
    char *payments = read_file("scams", "bank.txn");
    char *calls = read_file("scams", "cdr.call");
    uint32_t n = 0;
    uint32_t paid = 0;
    for (char *line = strtok(truth, "\n"); line; line = strtok(NULL, "\n")) {
        n++;
        int64_t when = number_in(line, "\"t_transfer_initiated_ms\":");
        if (when < 0) {
            continue;
        }
        paid++;
        assert_true(when >= number_in(line, "\"t_contact_ms\":"));
        assert_true(when <= number_in(line, "\"t_last_preventable_ms\":"));
        char needle[64];
        if (strstr(line, "\"wangiri\"")) {
            snprintf(needle, sizeof needle, "\"answer_time_ms\":%lld", (long long)when);
            assert_non_null(strstr(calls, needle));
        } else {
            snprintf(needle, sizeof needle, "\"event_time_ms\":%lld", (long long)when);
            assert_non_null(strstr(payments, needle));
        }
    }
    assert_int_equal(n, result.victims);
    assert_true(n >= 20 && paid >= 12);
    free(truth);
    free(payments);
    free(calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_settings_give_equal_bytes),
        cmocka_unit_test(records_are_written_in_the_order_of_their_arrival),
        cmocka_unit_test(a_clean_run_has_no_dirt_and_a_real_one_has_its_share),
        cmocka_unit_test(the_city_telephones_as_published),
        cmocka_unit_test(every_paying_victim_is_seen_to_pay),
    };
    return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}
