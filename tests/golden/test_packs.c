/* Golden: a shipped pack, a story told in events, and the whole of what must come out.
 *
 * tests/golden/<pack>/<story>/<event type>.ndjson hold records as carriers and banks
 * write them (units at the end of a name: _s, _ms, _minor, _d); expect.txt has one
 * line an alert. The records are fed in event-time order, in batches of 1, 7 and 4096
 * rows, which must not show. `TSN_GOLDEN_WRITE=1` writes expect.txt anew: read the
 * difference before you commit it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/file/pack_file.h"
#include "engine/engine.h"
#include "rules/program/currency.h"
#include "rules/yaml/yaml.h"

/* ---- records ---------------------------------------------------------------------- */

struct event {
    int type;
    tsn_event_ms time_ms;
    uint32_t line;
    struct tsn_yaml *record;
};

struct story {
    struct event *events;
    size_t n;
    struct tsn_diags diags;
};

/* The value of a field under its name or its name with a unit; its factor to ms or
 * to minor units. */
static const struct tsn_yaml_node *value_of(const struct tsn_yaml *record, const char *name,
                                            int64_t *factor)
{
    static const struct {
        const char *suffix;
        int64_t factor;
    } forms[] = {{"", 1}, {"_ms", 1}, {"_s", 1000}, {"_minor", 1}, {"_d", 86400000}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char key[96];
        snprintf(key, sizeof key, "%s%s", name, forms[i].suffix);
        const struct tsn_yaml_node *node = tsn_yaml_get(record->root, key);
        if (node) {
            *factor = forms[i].factor;
            return node;
        }
    }
    return NULL;
}

static int64_t whole(const struct tsn_yaml *record, const char *name, int64_t otherwise)
{
    int64_t factor = 1;
    const struct tsn_yaml_node *node = value_of(record, name, &factor);
    return node ? strtoll(node->text, NULL, 10) * factor : otherwise;
}

static int64_t scaled(const struct tsn_yaml *record, const struct tsn_field *field, int64_t minor)
{
    if (field->currency) {
        return minor;
    }
    const struct tsn_yaml_node *currency = tsn_yaml_get(record->root, "currency");
    assert_non_null(currency);
    for (int digits = tsn_currency_digits(currency->text, currency->n); digits < field->scale;
         digits++) {
        minor *= 10;
    }
    return minor;
}

static void fill_cell(struct tsn_batch *batch, const struct tsn_yaml *record,
                      const struct tsn_field *field, struct tsn_column *column, uint32_t at)
{
    int64_t factor = 1;
    const struct tsn_yaml_node *node = value_of(record, field->name, &factor);
    if (!node || (node->style == TSN_YAML_PLAIN && strcmp(node->text, "null") == 0)) {
        assert_false(field->required);
        return;
    }
    switch (field->rep) {
    case TSN_REP_STRING:
        column->str[at] =
            (struct tsn_str){tsn_arena_strdup(&batch->text, node->text, node->n), node->n};
        break;
    case TSN_REP_BOOL:
        if (strcmp(node->text, "true") == 0) {
            tsn_bits_set(column->bits, at);
        }
        break;
    case TSN_REP_DOUBLE:
        column->f64[at] = strtod(node->text, NULL);
        break;
    case TSN_REP_MONEY:
        column->i64[at] = scaled(record, field, strtoll(node->text, NULL, 10));
        break;
    case TSN_REP_ENUM:
        column->code[at] = UINT16_MAX;
        for (uint32_t i = 0; i < field->dict.n; i++) {
            if (field->dict.names[i].len == node->n &&
                memcmp(field->dict.names[i].p, node->text, node->n) == 0) {
                column->code[at] = (uint16_t)i;
            }
        }
        assert_int_not_equal(column->code[at], UINT16_MAX);
        break;
    default:
        column->i64[at] = strtoll(node->text, NULL, 10) * factor;
    }
    tsn_bits_set(column->valid, at);
}

static void fill_row(struct tsn_batch *batch, const struct event *event)
{
    const struct tsn_event_type *type = &batch->prog->types[event->type];
    uint32_t at = tsn_batch_add(batch, (uint16_t)event->type, event->time_ms, (uint16_t)event->type,
                                event->line);
    for (int f = 1; f < type->n_fields; f++) {
        fill_cell(batch, event->record, &type->fields[f], &batch->types[event->type].fields[f], at);
    }
}

static void read_events(struct story *story, const char *folder, int type, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.ndjson", folder, name);
    const char *why = NULL;
    size_t len = 0;
    char *text = tsn_file_read(path, 1 << 24, &len, &why);
    if (!text) {
        return; /* this story has none of them */
    }
    uint32_t line = 0;
    for (char *at = text; at < text + len;) {
        char *end = memchr(at, '\n', (size_t)(text + len - at));
        assert_non_null(end);
        line++;
        story->events = realloc(story->events, (story->n + 1) * sizeof *story->events);
        struct event *event = &story->events[story->n++];
        *event = (struct event){.type = type, .line = line};
        event->record = tsn_yaml_parse(path, at, (size_t)(end - at), &story->diags);
        assert_non_null(event->record);
        event->time_ms = whole(event->record, "event_time", INT64_MIN);
        assert_true(event->time_ms != INT64_MIN);
        at = end + 1;
    }
    free(text);
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;
    if (x->time_ms != y->time_ms) {
        return x->time_ms < y->time_ms ? -1 : 1;
    }
    if (x->type != y->type) {
        return x->type < y->type ? -1 : 1;
    }
    return x->line < y->line ? -1 : 1;
}

/* ---- alerts as lines ---------------------------------------------------------------- */

static void print_time(FILE *out, tsn_event_ms ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(out, "%s.%03dZ", text, (int)(ms % 1000));
}

static void print_alert(FILE *out, const struct tsn_program *prog, const struct tsn_alert *alert)
{
    print_time(out, alert->time_ms);
    fprintf(out, " %s %s r%u score=%.10g %s=%.*s", prog->typologies[alert->typology].id,
            tsn_level_name(alert->level), (unsigned)alert->revision, alert->score,
            prog->entity_kinds[alert->entity_kind], (int)alert->entity.len, alert->entity.p);
    const struct tsn_action *action = alert->action;
    if (alert->sms_to.len && action) {
        fprintf(out, " sms=%s", prog->templates[action->sms.template_].id);
        for (uint32_t i = 0; i < alert->n_params; i++) {
            fprintf(out, "%s%s=%.*s", i ? "," : "(", alert->params[i].name,
                    (int)alert->params[i].value.len, alert->params[i].value.p);
        }
        fprintf(out, "%s", alert->n_params ? ")" : "");
    }
    if (action && action->queue) {
        fprintf(out, " queue=%s", action->queue);
    }
    if (action && action->decision) {
        fprintf(out, " decision=%s", action->decision);
    }
    fprintf(out, "%s\n", alert->shadow ? " shadow" : "");
    for (uint32_t i = 0; i < alert->n_hits; i++) {
        const struct tsn_alert_hit *hit = &alert->hits[i];
        if (hit->current && hit->rule != TSN_NONE) { /* a score is no rule's hit */
            fprintf(out, "    %s%s%s: %.*s\n", prog->rules[hit->rule].id,
                    hit->for_each ? " to each of " : "", hit->for_each ? hit->for_each : "",
                    (int)hit->reason.len, hit->reason.p);
        }
    }
}

/* Everything that comes out, malloc'd. */
static char *run(const struct tsn_program *prog, const struct story *story, uint32_t batch_rows)
{
    struct tsn_engine_settings settings = tsn_engine_defaults();
    struct tsn_engine *eng = tsn_engine_new(prog, &settings);
    struct tsn_batch *batch = tsn_batch_new(prog, 4096);
    struct tsn_output output;
    tsn_output_init(&output);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    for (size_t i = 0; i < story->n; i++) {
        fill_row(batch, &story->events[i]);
        if (batch->n == batch_rows || i + 1 == story->n) {
            tsn_engine_rows(eng, batch, &output);
            for (uint32_t k = 0; k < output.n_alerts; k++) {
                print_alert(out, prog, &output.alerts[k]);
            }
            tsn_output_clear(&output);
            tsn_batch_clear(batch);
        }
    }
    fclose(out);
    tsn_output_free(&output);
    tsn_batch_free(batch);
    tsn_engine_free(eng);
    return text;
}

/* ---- stories ---------------------------------------------------------------------- */

static void write_expected(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static bool tell(const struct tsn_program *prog, const char *folder)
{
    struct story story = {0};
    tsn_diags_init(&story.diags);
    for (int t = 0; t < prog->n_types; t++) {
        read_events(&story, folder, t, prog->types[t].name);
    }
    assert_true(story.n > 0);
    qsort(story.events, story.n, sizeof *story.events, by_time);
    char path[1024];
    snprintf(path, sizeof path, "%s/expect.txt", folder);
    char *first = run(prog, &story, 4096);
    if (getenv("TSN_GOLDEN_WRITE")) {
        write_expected(path, first);
    }
    const char *why = NULL;
    size_t len = 0;
    char *expected = tsn_file_read(path, 1 << 24, &len, &why);
    bool ok = expected && strcmp(expected, first) == 0;
    if (!ok) {
        fprintf(stderr, "%s: expected\n%s\nis\n%s\n", folder, expected ? expected : "(no file)",
                first);
    }
    static const uint32_t sizes[] = {1, 7};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *again = run(prog, &story, sizes[i]);
        if (strcmp(again, first) != 0) {
            fprintf(stderr, "%s: batches of %u rows give\n%s\n", folder, sizes[i], again);
            ok = false;
        }
        free(again);
    }
    for (size_t i = 0; i < story.n; i++) {
        tsn_yaml_free(story.events[i].record);
    }
    free(story.events);
    free(expected);
    free(first);
    tsn_diags_free(&story.diags);
    return ok;
}

static void stories_of(const char *pack, const char *file)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    char path[1024];
    snprintf(path, sizeof path, "%s/rules/packs/%s", TSN_SOURCE_DIR, file);
    struct tsn_program *prog = tsn_pack_file_load(path, &diags);
    tsn_diags_print(&diags, stderr);
    assert_non_null(prog);
    snprintf(path, sizeof path, "%s/tests/golden/%s/*/", TSN_SOURCE_DIR, pack);
    glob_t found;
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    bool ok = true;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        ok = tell(prog, found.gl_pathv[i]) && ok;
    }
    globfree(&found);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    assert_true(ok);
}

static void stories_of_a_city_end_as_told(void **state)
{
    (void)state;
    stories_of("telecom-bank", "telecom-bank.yaml");
}

static void stories_of_card_terminals_end_as_told(void **state)
{
    (void)state;
    stories_of("terminal", "terminal/terminal.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_of_a_city_end_as_told),
        cmocka_unit_test(stories_of_card_terminals_end_as_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
