#include "connectors/config/config.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/config/read.h"
#include "connectors/config/settings.h"
#include "connectors/file/pack_file.h"
#include "rules/must/must.h"
#include "rules/yaml/yaml.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

/* ---- checks that concern several keys ------------------------------------------ */

static void check_whole(struct tsn_config_read *r)
{
    struct tsn_config *config = r->config;
    const struct tsn_yaml_node *root = r->doc->root;
    if (!config->pack) {
        tsn_yaml_error(r->doc, root, "write `pack: rules/packs/telecom-bank.yaml`",
                       "the configuration names no pack");
    }
    if (config->n_sources == 0) {
        tsn_yaml_error(r->doc, root, "see docs/CONFIG.md, sources",
                       "the configuration names no sources");
    }
    if (config->engine.batch_rows % 64 != 0) {
        tsn_yaml_error(r->doc, tsn_yaml_get(tsn_yaml_get(root, "engine"), "batch_rows"), NULL,
                       "'batch_rows' must be a multiple of 64");
    }
    if (config->engine.timer_grace_ms < config->kafka.merge_slack_ms) {
        tsn_yaml_error(r->doc, root, "make engine.timer_grace at least merge.slack",
                       "a timer could fire while the event that stops it waits in another "
                       "partition");
    }
    if (config->max_resident && config->state_in_memory) {
        tsn_yaml_error(r->doc, tsn_yaml_get(tsn_yaml_get(root, "engine"), "max_resident"),
                       "leave one of them out",
                       "'max_resident' needs a Redis for the other entities, and 'state: memory' "
                       "has none");
    }
    if (config->insecure && config->key_file) {
        tsn_yaml_error(r->doc, tsn_yaml_get(root, "insecure"), "leave one of them out",
                       "'insecure: true' and 'key_file' contradict each other");
    }
    const char *topics[] = {config->topics.alerts, config->topics.rejects, config->topics.manifest,
                            config->topics.programs, config->topics.held};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < i; j++) {
            if (topics[i] && topics[j] && strcmp(topics[i], topics[j]) == 0) {
                tsn_yaml_error(r->doc, tsn_yaml_get(root, "topics"), NULL,
                               "two outputs go to topic '%s'", topics[i]);
            }
        }
        for (size_t s = 0; s < config->n_sources; s++) {
            if (topics[i] && strcmp(topics[i], config->sources[s].name) == 0) {
                tsn_yaml_error(r->doc, tsn_yaml_get(root, "topics"), NULL,
                               "topic '%s' is a source and an output", topics[i]);
            }
        }
    }
}

/* ---- the door ------------------------------------------------------------------ */

static struct tsn_config *config_new(const char *path)
{
    struct tsn_config *config = calloc(1, sizeof *config);
    TSN_MUST_ALLOC(config);
    tsn_arena_init(&config->arena, 0);
    config->file = tsn_arena_strdup(&config->arena, path, strlen(path));
    config->engine = tsn_engine_defaults();
    return config;
}

struct tsn_config *tsn_config_parse(const char *path, const char *text, size_t len,
                                    struct tsn_diags *diags)
{
    struct tsn_config *config = config_new(path);
    config->text = tsn_arena_strdup(&config->arena, text, len);
    config->text_len = len;
    size_t errors_before = diags->n_errors;
    char *copy = tsn_arena_strdup(&config->arena, path, strlen(path));
    struct tsn_config_read r = {.config = config, .folder = dirname(copy)};
    /* the name in messages must outlive the configuration when it is refused */
    r.doc = tsn_yaml_parse(path, text, len, diags);
    if (r.doc) {
        tsn_config_expand(&r, r.doc->root);
        tsn_config_read_all(&r);
        check_whole(&r);
        tsn_yaml_free(r.doc);
    }
    if (diags->n_errors > errors_before) {
        tsn_config_free(config);
        return NULL;
    }
    return config;
}

struct tsn_config *tsn_config_load(const char *path, struct tsn_diags *diags)
{
    size_t len;
    const char *why = NULL;
    char *text = tsn_file_read(path, CONFIG_BYTES_MAX, &len, &why);
    if (!text) {
        tsn_diags_add(diags, TSN_SEVERITY_ERROR, (struct tsn_place){path, 0, 0}, NULL, 0,
                      "give the configuration with --config; packaging/tocsin.yaml is an example",
                      "the configuration cannot be read: %s", why);
        return NULL;
    }
    struct tsn_config *config = tsn_config_parse(path, text, len, diags);
    free(text);
    return config;
}

void tsn_config_free(struct tsn_config *config)
{
    if (!config) {
        return;
    }
    tsn_arena_free(&config->arena);
    free(config);
}

const struct tsn_source *tsn_config_source(const struct tsn_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        if (strcmp(config->sources[i].name, name) == 0) {
            return &config->sources[i];
        }
    }
    return NULL;
}

struct tsn_program *tsn_config_pack(const struct tsn_config *config, struct tsn_diags *diags)
{
    return tsn_pack_file_load(config->pack, diags);
}
