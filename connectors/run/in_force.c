#include "connectors/run/in_force.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/run/bundle.h"
#include "connectors/run/log.h"
#include "rules/must/must.h"

/* ---- the text ------------------------------------------------------------------------------ */

static const char *const time_formats[] = {
    [TSN_TIME_RFC3339] = "rfc3339",
    [TSN_TIME_EPOCH_S] = "epoch_s",
    [TSN_TIME_EPOCH_MS] = "epoch_ms",
    [TSN_TIME_EPOCH_US] = "epoch_us",
};
static const char *const units[] = {
    [TSN_UNIT_NONE] = "none",   [TSN_UNIT_MS] = "ms",       [TSN_UNIT_S] = "s",
    [TSN_UNIT_MIN] = "min",     [TSN_UNIT_H] = "h",         [TSN_UNIT_D] = "d",
    [TSN_UNIT_MAJOR] = "major", [TSN_UNIT_MINOR] = "minor",
};

/* Quoted, so that no value can look like another line or member. */
static void put(FILE *out, const char *name, const char *value)
{
    if (!value) {
        return;
    }
    fprintf(out, " %s=\"", name);
    for (const char *p = value; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\' || c < 0x20) {
            fprintf(out, "\\x%02x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

static void put_numbers(FILE *out, const struct tsn_source *source)
{
    const struct tsn_number_plan *plan = &source->numbers;
    fprintf(out, "sources.%s.numbers: %u to %u digits%s", source->name, plan->national_min,
            plan->national_max, plan->bare_international ? ", bare international" : "");
    put(out, "country", plan->country);
    put(out, "trunk", plan->trunk_prefix);
    put(out, "international", plan->international_prefix);
    for (size_t i = 0; i < plan->n_keep; i++) {
        put(out, "keep", plan->keep[i]);
    }
    fputc('\n', out);
}

static void put_field(FILE *out, const struct tsn_source *source,
                      const struct tsn_field_mapping *field)
{
    fprintf(out, "sources.%s.fields.%s: %s %s%s%s", source->name, field->field,
            time_formats[field->time_format], units[field->unit], field->e164 ? " e164" : "",
            field->quoted ? " quoted" : "");
    put(out, "from", field->pointer);
    put(out, "value", field->constant);
    put(out, "default", field->fallback);
    for (size_t i = 0; i < field->n_map; i++) {
        put(out, "map", field->map[i].key);
        put(out, "to", field->map[i].value);
    }
    fputc('\n', out);
}

void tsn_in_force_init(struct tsn_in_force *in_force, const struct tsn_config *config,
                       const struct tsn_keys *keys)
{
    memset(in_force, 0, sizeof *in_force);
    in_force->config = config;
    FILE *out = open_memstream(&in_force->text, &in_force->len);
    TSN_MUST_ALLOC(out);
    fprintf(out, "tocsin-settings 1\n");
    fprintf(out, "instance:");
    put(out, "name", config->instance);
    fprintf(out, "\nengine.lateness: %" PRId64 " ms\n", config->engine.lateness_ms);
    fprintf(out, "engine.dedup_window: %" PRId64 " ms\n", config->engine.dedup_window_ms);
    fprintf(out, "engine.dedup_memory: %" PRIu64 " bytes\n", config->engine.dedup_cap_bytes);
    fprintf(out, "engine.timer_grace: %" PRId64 " ms\n", config->engine.timer_grace_ms);
    fprintf(out, "engine.future_max: %" PRId64 " ms\n", config->kafka.future_max_ms);
    for (size_t i = 0; i < config->n_sources; i++) {
        const struct tsn_source *source = &config->sources[i];
        fprintf(out, "sources.%s.event: %s\n", source->name, source->event);
        fprintf(out, "sources.%s.max_bytes: %u\n", source->name, source->max_bytes);
        put_numbers(out, source);
        for (size_t f = 0; f < source->n_fields; f++) {
            put_field(out, source, &source->fields[f]);
        }
    }
    fclose(out);
    tsn_keys_hash(keys, "settings", in_force->text, in_force->len, in_force->digest,
                  sizeof in_force->digest);
}

void tsn_in_force_free(struct tsn_in_force *in_force)
{
    free(in_force->text);
    in_force->text = NULL;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* The line of `text` that begins with key (up to and with its ": "), or NULL. */
static const char *find_line(const char *text, const char *key, size_t key_len)
{
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, key_len) == 0) {
            return line;
        }
    }
    return NULL;
}

static size_t key_len_of(const char *line)
{
    const char *colon = strstr(line, ": ");
    const char *end = strchr(line, '\n');
    return colon && (!end || colon < end) ? (size_t)(colon - line) : strcspn(line, "\n");
}

/* "sources.TOPIC.fields." -> is there a source TOPIC in `text`? Topics may have dots:
 * the event's line names the topic whole, so every such line is tried. */
static bool source_is_in(const char *text, const char *line)
{
    static const char event[] = ".event: ";
    for (const char *at = strstr(text, event); at; at = strstr(at + 1, event)) {
        const char *start = at;
        while (start > text && start[-1] != '\n') {
            start--;
        }
        if (strncmp(start, line, (size_t)(at - start) + 1) == 0) {
            return true;
        }
    }
    return strncmp(line, "sources.", 8) != 0;
}

static void name_line(char *names, size_t cap, size_t *n, const char *line)
{
    enum { NAMED_MAX = 5 };
    size_t len = strlen(names);
    if (*n < NAMED_MAX) {
        snprintf(names + len, cap - len, "%s%.*s", *n ? ", " : "", (int)key_len_of(line), line);
    } else if (*n == NAMED_MAX) {
        snprintf(names + len, cap - len, " and more");
    }
    ++*n;
}

bool tsn_in_force_differ(const char *then, const char *now, char *names, size_t cap)
{
    size_t n = 0;
    names[0] = '\0';
    for (const char *line = then; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t len = strcspn(line, "\n");
        size_t key_len = key_len_of(line);
        const char *today = find_line(now, line, key_len);
        if (len && (!today || strcspn(today, "\n") != len || strncmp(today, line, len) != 0)) {
            name_line(names, cap, &n, line);
        }
    }
    for (const char *line = now; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line && source_is_in(then, line) && !find_line(then, line, key_len_of(line))) {
            name_line(names, cap, &n, line);
        }
    }
    return n > 0;
}

/* ---- manifests ----------------------------------------------------------------------------- */

static bool is_unknown(const uint8_t digest[32])
{
    static const uint8_t none[32];
    return memcmp(digest, none, sizeof none) == 0;
}

bool tsn_in_force_fit(struct tsn_in_force *in_force, const struct tsn_manifest *manifest,
                      struct tsn_kafka *kafka, struct tsn_failure *failure)
{
    const uint8_t *theirs = manifest->settings;
    if (is_unknown(theirs) || memcmp(theirs, in_force->digest, 32) == 0 ||
        memcmp(theirs, in_force->accepted, 32) == 0) {
        return true;
    }
    char names[280];
    char *text;
    size_t len;
    if (!tsn_bundle_bytes_fetch(in_force->config, kafka, theirs, "the settings", &text, &len,
                                failure)) {
        if (failure->remedy == TSN_REMEDY_RETRY) {
            return false;
        }
        snprintf(names, sizeof names, "which ones cannot be said: topic %s does not hold them",
                 in_force->config->topics.programs);
    } else if (strcmp(text, in_force->text) == 0) {
        snprintf(names, sizeof names, "key_file (another secret: alert ids would differ)");
        free(text);
    } else {
        bool differ = tsn_in_force_differ(text, in_force->text, names, sizeof names);
        free(text);
        if (!differ) { /* sources were added, or stand in another order */
            memcpy(in_force->accepted, theirs, 32);
            return true;
        }
    }
    if (in_force->lenient) {
        tsn_log("manifest %" PRIu64 " was written under other settings than are in force here: "
                "%s; going on with today's",
                manifest->sequence, names);
        memcpy(in_force->accepted, theirs, 32);
        return true;
    }
    return tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "manifest %" PRIu64 " was written under other settings, and would replay "
                    "differently: %s. Use the configuration of then; `run`: stop it cleanly with "
                    "that one first; `replay`: or say --any-settings",
                    manifest->sequence, names);
}
