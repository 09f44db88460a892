#include "connectors/config/read.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/config/settings.h"
#include "rules/must/must.h"

/* ---- one setting --------------------------------------------------------------- */

bool tsn_config_bytes(const char *text, int64_t *out)
{
    static const struct {
        const char *suffix;
        int shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
    char *end;
    if (*text < '0' || *text > '9' || strlen(text) > 16) {
        return false;
    }
    long long n = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].suffix) == 0 && n <= (INT64_MAX >> units[i].shift)) {
            *out = (int64_t)n << units[i].shift;
            return true;
        }
    }
    return false;
}

static const char *path_of(struct tsn_config_read *r, const char *text)
{
    if (text[0] == '/' || strcmp(r->folder, ".") == 0) {
        return tsn_arena_strdup(&r->config->arena, text, strlen(text));
    }
    return tsn_arena_printf(&r->config->arena, "%s/%s", r->folder, text);
}

static bool read_bytes(struct tsn_config_read *r, const struct tsn_yaml_node *node,
                       const struct tsn_setting *s, const char *what, int64_t *out)
{
    const char *text;
    if (!tsn_yaml_text(r->doc, node, what, &text)) {
        return false;
    }
    if (!tsn_config_bytes(text, out)) {
        tsn_yaml_error(r->doc, node, "write a size, such as 64KiB or 256MiB", "%s must be a size",
                       what);
        return false;
    }
    if (*out < s->least || *out > s->most) {
        tsn_yaml_error(r->doc, node, NULL, "%s must be between %lld and %lld bytes", what,
                       (long long)s->least, (long long)s->most);
        return false;
    }
    return true;
}

static void read_text(struct tsn_config_read *r, const struct tsn_yaml_node *node,
                      const struct tsn_setting *s, const char *what, void *to)
{
    const char *text;
    if (!tsn_yaml_text(r->doc, node, what, &text)) {
        return;
    }
    if ((int64_t)node->n < s->least || (int64_t)node->n > s->most || strlen(text) != node->n) {
        tsn_yaml_error(r->doc, node, NULL, "%s must be text of %lld to %lld bytes", what,
                       (long long)s->least, (long long)s->most);
        return;
    }
    const char *copy = s->kind == TSN_SETTING_PATH
                           ? path_of(r, text)
                           : tsn_arena_strdup(&r->config->arena, text, node->n);
    *(const char **)to = copy;
}

/* Reads a value into base + offset. Nothing is set where it is wrong. */
static void read_setting(struct tsn_config_read *r, const struct tsn_setting *s,
                         const struct tsn_yaml_node *node, void *base)
{
    static const char *const states[] = {"redis", "memory"};
    void *to = (char *)base + s->offset;
    const char *what = tsn_arena_printf(&r->config->arena, "'%s'", s->key);
    int64_t n;
    int word;
    switch (s->kind) {
    case TSN_SETTING_TEXT:
    case TSN_SETTING_PATH:
        read_text(r, node, s, what, to);
        return;
    case TSN_SETTING_BOOL:
        tsn_yaml_bool(r->doc, node, what, to);
        return;
    case TSN_SETTING_DURATION:
        tsn_yaml_duration(r->doc, node, what, s->least, to);
        return;
    case TSN_SETTING_STATE:
        if (tsn_yaml_word(r->doc, node, what, states, 2, &word)) {
            *(bool *)to = word == 1;
        }
        return;
    case TSN_SETTING_BYTES:
        if (read_bytes(r, node, s, what, &n)) {
            *(uint64_t *)to = (uint64_t)n;
        }
        return;
    case TSN_SETTING_BYTES32:
        if (read_bytes(r, node, s, what, &n)) {
            *(uint32_t *)to = (uint32_t)n;
        }
        return;
    case TSN_SETTING_INT:
    case TSN_SETTING_U16:
    case TSN_SETTING_U32:
        break;
    }
    if (!tsn_yaml_int(r->doc, node, what, s->least, s->most, &n)) {
        return;
    }
    if (s->kind == TSN_SETTING_INT) {
        *(int *)to = (int)n;
    } else if (s->kind == TSN_SETTING_U16) {
        *(uint16_t *)to = (uint16_t)n;
    } else {
        *(uint32_t *)to = (uint32_t)n;
    }
}

/* The default, through the same reader as what people write. */
static void read_fallback(struct tsn_config_read *r, const struct tsn_setting *s, void *base)
{
    struct tsn_yaml_node node = {.kind = TSN_YAML_SCALAR, .style = TSN_YAML_PLAIN};
    if (!s->fallback) {
        return;
    }
    size_t errors = r->doc->diags->n_errors;
    node.text = s->fallback;
    node.n = (uint32_t)strlen(s->fallback);
    node.raw = s->fallback;
    node.raw_len = node.n;
    read_setting(r, s, &node, base);
    TSN_MUST(r->doc->diags->n_errors == errors);
}

enum { KEYS_MAX = 32 };

/* Defaults, then what is written, of one section; other keys are unknown unless
 * named in `also`. */
static void read_section(struct tsn_config_read *r, const char *section,
                         const struct tsn_yaml_node *map, void *base, const char *const *also,
                         size_t n_also)
{
    const char *known[KEYS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < tsn_n_settings; i++) {
        const struct tsn_setting *s = &tsn_settings[i];
        if (strcmp(s->section, section) != 0) {
            continue;
        }
        TSN_MUST(n + n_also < KEYS_MAX);
        known[n++] = s->key;
        read_fallback(r, s, base);
        read_setting(r, s, tsn_yaml_get(map, s->key), base);
    }
    for (size_t i = 0; i < n_also; i++) {
        known[n++] = also[i];
    }
    const char *what =
        *section ? tsn_arena_printf(&r->config->arena, "'%s'", section) : "the configuration";
    if (map && tsn_yaml_is_map(r->doc, map, what)) {
        tsn_yaml_check_keys(r->doc, map, what, known, n);
    }
}

/* ---- kafka --------------------------------------------------------------------- */

static struct tsn_properties properties(struct tsn_config_read *r, const struct tsn_yaml_node *map,
                                        const char *what, bool top)
{
    struct tsn_properties out = {0};
    if (!tsn_yaml_is_map(r->doc, map, what)) {
        return out;
    }
    struct tsn_property *items = tsn_arena_zalloc(&r->config->arena, map->n + 1, sizeof *items);
    for (uint32_t i = 0; i < map->n; i++) {
        const struct tsn_yaml_node *key = &map->pairs[i].key, *value = &map->pairs[i].value;
        if (top && (strcmp(key->text, "consumer") == 0 || strcmp(key->text, "producer") == 0)) {
            continue;
        }
        const char *text;
        if (tsn_yaml_text(r->doc, value, key->text, &text)) {
            items[out.n].key = tsn_arena_strdup(&r->config->arena, key->text, key->n);
            items[out.n++].value = tsn_arena_strdup(&r->config->arena, text, value->n);
        }
    }
    out.items = items;
    return out;
}

static void read_kafka(struct tsn_config_read *r, const struct tsn_yaml_node *map)
{
    r->config->kafka.common = properties(r, map, "'kafka'", true);
    r->config->kafka.consumer =
        properties(r, tsn_yaml_get(map, "consumer"), "'kafka.consumer'", false);
    r->config->kafka.producer =
        properties(r, tsn_yaml_get(map, "producer"), "'kafka.producer'", false);
}

/* ---- numbers ------------------------------------------------------------------- */

static bool all_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static void check_digits(struct tsn_config_read *r, const struct tsn_yaml_node *map,
                         const char *key, const char *text)
{
    if (text && !all_digits(text)) {
        tsn_yaml_error(r->doc, tsn_yaml_get(map, key), "write digits only, in quotes",
                       "'%s' must be digits", key);
    }
}

static void read_plan(struct tsn_config_read *r, const struct tsn_yaml_node *map,
                      struct tsn_number_plan *plan)
{
    static const char *const also[] = {"keep"};
    read_section(r, "numbers", map, plan, also, 1);
    check_digits(r, map, "country", plan->country);
    check_digits(r, map, "trunk_prefix", plan->trunk_prefix);
    check_digits(r, map, "international_prefix", plan->international_prefix);
    size_t country_len = plan->country ? strlen(plan->country) : 0;
    if (country_len > 3) {
        tsn_yaml_error(r->doc, tsn_yaml_get(map, "country"), NULL,
                       "'country' must be a country code of 1 to 3 digits");
        country_len = 3;
    }
    if (plan->national_max + country_len > 15) {
        plan->national_max = 15 - (uint32_t)country_len; /* E.164: 15 digits in all */
    }
    if (plan->national_min > plan->national_max) {
        tsn_yaml_error(r->doc, map, NULL, "'national_min' is larger than 'national_max'");
    }
    const struct tsn_yaml_node *keep = tsn_yaml_get(map, "keep");
    if (!tsn_yaml_is_sequence(r->doc, keep, "'keep'")) {
        return;
    }
    const char **prefixes = tsn_arena_zalloc(&r->config->arena, keep->n + 1, sizeof *prefixes);
    for (uint32_t i = 0; i < keep->n; i++) {
        const char *text;
        if (!tsn_yaml_text(r->doc, &keep->items[i], "a prefix under 'keep'", &text)) {
            continue;
        }
        if (!all_digits(text)) {
            tsn_yaml_error(r->doc, &keep->items[i], NULL, "a prefix under 'keep' must be digits");
            continue;
        }
        prefixes[plan->n_keep++] = tsn_arena_strdup(&r->config->arena, text, keep->items[i].n);
    }
    plan->keep = prefixes;
}

/* ---- sources ------------------------------------------------------------------- */

static const char *const formats[] = {"rfc3339", "epoch_s", "epoch_ms", "epoch_us"};
static const char *const units[] = {"ms", "s", "min", "h", "d", "major", "minor"};

static const char *copy_text(struct tsn_config_read *r, const struct tsn_yaml_node *node,
                             const char *what)
{
    const char *text;
    if (!tsn_yaml_text(r->doc, node, what, &text)) {
        return NULL;
    }
    return tsn_arena_strdup(&r->config->arena, text, node->n);
}

static const char *read_pointer(struct tsn_config_read *r, const struct tsn_yaml_node *node)
{
    const char *text = copy_text(r, node, "a JSON pointer");
    if (text && text[0] != '/') {
        tsn_yaml_error(r->doc, node,
                       tsn_arena_printf(&r->config->arena,
                                        "write `/%s`, or `{constant: %s}` for a fixed value", text,
                                        text),
                       "'%s' is no JSON pointer: it must begin with '/'", text);
        return NULL;
    }
    return text;
}

static void read_map(struct tsn_config_read *r, const struct tsn_yaml_node *node,
                     struct tsn_field_mapping *map)
{
    if (!tsn_yaml_is_map(r->doc, node, "'map'")) {
        return;
    }
    struct tsn_property *items = tsn_arena_zalloc(&r->config->arena, node->n + 1, sizeof *items);
    for (uint32_t i = 0; i < node->n; i++) {
        items[i].key =
            tsn_arena_strdup(&r->config->arena, node->pairs[i].key.text, node->pairs[i].key.n);
        items[i].value = copy_text(r, &node->pairs[i].value, "a mapped value");
        if (!items[i].value) {
            return;
        }
    }
    map->n_map = node->n;
    map->map = items;
}

static void read_format(struct tsn_config_read *r, const struct tsn_yaml_node *node,
                        enum tsn_time_format *out)
{
    int word;
    if (tsn_yaml_word(r->doc, node, "'format'", formats, 4, &word)) {
        *out = (enum tsn_time_format)word;
    }
}

static void read_field(struct tsn_config_read *r, const struct tsn_yaml_pair *pair,
                       struct tsn_field_mapping *map)
{
    static const char *const keys[] = {"from", "constant", "default", "format",
                                       "unit", "e164",     "quoted",  "map"};
    const struct tsn_yaml_node *node = &pair->value;
    int word;
    map->field = tsn_arena_strdup(&r->config->arena, pair->key.text, pair->key.n);
    map->line = pair->key.line;
    map->column = pair->key.column;
    if (node->kind == TSN_YAML_SCALAR) {
        map->pointer = read_pointer(r, node);
        return;
    }
    if (!tsn_yaml_is_map(r->doc, node, map->field)) {
        return;
    }
    tsn_yaml_check_keys(r->doc, node, "a field", keys, sizeof keys / sizeof keys[0]);
    const struct tsn_yaml_node *from = tsn_yaml_get(node, "from");
    map->pointer = read_pointer(r, from);
    map->constant = copy_text(r, tsn_yaml_get(node, "constant"), "'constant'");
    map->fallback = copy_text(r, tsn_yaml_get(node, "default"), "'default'");
    read_format(r, tsn_yaml_get(node, "format"), &map->time_format);
    if (tsn_yaml_word(r->doc, tsn_yaml_get(node, "unit"), "'unit'", units, 7, &word)) {
        map->unit = (enum tsn_unit)(word + 1);
    }
    tsn_yaml_bool(r->doc, tsn_yaml_get(node, "e164"), "'e164'", &map->e164);
    tsn_yaml_bool(r->doc, tsn_yaml_get(node, "quoted"), "'quoted'", &map->quoted);
    read_map(r, tsn_yaml_get(node, "map"), map);
    if (!from == !tsn_yaml_get(node, "constant")) {
        tsn_yaml_error(r->doc, node, "write `from: /pointer` or `constant: value`",
                       "field '%s' needs either 'from' or 'constant'", map->field);
    }
    if (map->constant && map->fallback) {
        tsn_yaml_error(r->doc, node, "leave 'default' out",
                       "field '%s' is a constant: its default is never used", map->field);
    }
}

static void read_record_time(struct tsn_config_read *r, const struct tsn_yaml_node *node,
                             struct tsn_source *source)
{
    static const char *const keys[] = {"from", "format"};
    source->record_time_format = TSN_TIME_RFC3339;
    for (size_t i = 0; i < source->n_fields; i++) {
        if (strcmp(source->fields[i].field, "time") == 0) {
            source->record_time_format = source->fields[i].time_format;
        }
    }
    if (!node || node->kind == TSN_YAML_SCALAR) {
        source->record_time = read_pointer(r, node);
    } else if (tsn_yaml_is_map(r->doc, node, "'record_time'")) {
        tsn_yaml_check_keys(r->doc, node, "'record_time'", keys, 2);
        source->record_time = read_pointer(r, tsn_yaml_get(node, "from"));
        read_format(r, tsn_yaml_get(node, "format"), &source->record_time_format);
    }
}

static void read_source(struct tsn_config_read *r, const struct tsn_yaml_pair *pair,
                        const struct tsn_number_plan *shared, struct tsn_source *source)
{
    static const char *const also[] = {"fields", "numbers", "record_time"};
    const struct tsn_yaml_node *node = &pair->value;
    source->name = tsn_arena_strdup(&r->config->arena, pair->key.text, pair->key.n);
    source->line = pair->key.line;
    source->column = pair->key.column;
    if (!tsn_yaml_is_map(r->doc, node, source->name)) {
        return;
    }
    read_section(r, "sources", node, source, also, 3);
    if (!source->event) {
        tsn_yaml_error(r->doc, &pair->key, "write `event:` and the pack's event type",
                       "source '%s' names no event type", source->name);
    }
    const struct tsn_yaml_node *numbers = tsn_yaml_get(node, "numbers");
    source->numbers = *shared;
    if (numbers) {
        source->numbers = (struct tsn_number_plan){0};
        read_plan(r, numbers, &source->numbers);
    }
    const struct tsn_yaml_node *fields = tsn_yaml_get(node, "fields");
    if (!fields) {
        tsn_yaml_error(r->doc, &pair->key, "write `fields:` with at least `time`",
                       "source '%s' maps no fields", source->name);
        return;
    }
    if (!tsn_yaml_is_map(r->doc, fields, "'fields'")) {
        return;
    }
    struct tsn_field_mapping *maps =
        tsn_arena_zalloc(&r->config->arena, fields->n + 1, sizeof *maps);
    for (uint32_t i = 0; i < fields->n; i++) {
        read_field(r, &fields->pairs[i], &maps[i]);
    }
    source->n_fields = fields->n;
    source->fields = maps;
    read_record_time(r, tsn_yaml_get(node, "record_time"), source);
}

static void read_sources(struct tsn_config_read *r, const struct tsn_yaml_node *map,
                         const struct tsn_number_plan *shared)
{
    if (!tsn_yaml_is_map(r->doc, map, "'sources'")) {
        return;
    }
    struct tsn_source *sources = tsn_arena_zalloc(&r->config->arena, map->n + 1, sizeof *sources);
    for (uint32_t i = 0; i < map->n; i++) {
        read_source(r, &map->pairs[i], shared, &sources[i]);
    }
    r->config->n_sources = map->n;
    r->config->sources = sources;
}

/* ---- redis --------------------------------------------------------------------- */

static void read_redis(struct tsn_config_read *r, const struct tsn_yaml_node *map)
{
    static const char *const also[] = {"tls"};
    struct tsn_config *config = r->config;
    const struct tsn_yaml_node *tls = tsn_yaml_get(map, "tls");
    read_section(r, "redis", map, config, also, 1);
    read_section(r, "redis.tls", tls, config, NULL, 0);
    config->redis.tls.on = tls != NULL;
    if (!config->redis.tls.cert_file != !config->redis.tls.key_file) {
        tsn_yaml_error(r->doc, tls, "give both, or neither",
                       "'cert_file' and 'key_file' belong together");
    }
    if (tls && config->redis.unix_socket) {
        tsn_yaml_error(r->doc, tls, "leave one of them out",
                       "'tls' is for host and port, and 'unix_socket' is used instead of them");
    }
    if (config->redis.unix_socket) {
        config->redis.host = NULL;
    }
}

void tsn_config_read_all(struct tsn_config_read *r)
{
    static const char *const sections[] = {"commit", "merge", "topics", "engine", "checkpoint"};
    static const char *const top[] = {"kafka", "commit",     "merge",   "topics", "engine",
                                      "redis", "checkpoint", "numbers", "sources"};
    const struct tsn_yaml_node *root = r->doc->root;
    struct tsn_number_plan shared = {0};
    if (!tsn_yaml_is_map(r->doc, root, "the configuration")) {
        return;
    }
    read_section(r, "", root, r->config, top, sizeof top / sizeof top[0]);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        read_section(r, sections[i], tsn_yaml_get(root, sections[i]), r->config, NULL, 0);
    }
    read_redis(r, tsn_yaml_get(root, "redis"));
    read_kafka(r, tsn_yaml_get(root, "kafka"));
    read_plan(r, tsn_yaml_get(root, "numbers"), &shared);
    read_sources(r, tsn_yaml_get(root, "sources"), &shared);
}
