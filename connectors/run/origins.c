#include "connectors/run/origins.h"

#include <poll.h>
#include <string.h>

/* A topic that was made a moment ago is not known to every broker yet: absent is what
 * is absent at every look. */
enum { ASK_MS = 5000, TOPICS_MAX = 256, LOOKS = 13, LOOK_AGAIN_MS = 250 };

static bool count(struct tsn_kafka *kafka, struct tsn_topic_count *topics, size_t n,
                  struct tsn_failure *failure)
{
    for (int look = 1;; look++) {
        if (!tsn_kafka_count(kafka, topics, n, ASK_MS, failure)) {
            return false;
        }
        bool all = true;
        for (size_t i = 0; i < n; i++) {
            all = all && topics[i].n_partitions > 0;
        }
        if (all || look == LOOKS) {
            return true;
        }
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
}

static bool topic_absent(const struct tsn_config *config, const char *name, const char *role,
                         struct tsn_failure *failure)
{
    return tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "kafka: topic %s (%s) does not exist; `tocsin topics --config %s --create` "
                    "makes what is missing",
                    name, role, config->file);
}

static bool inputs_fit(const struct tsn_config *config, struct tsn_kafka *kafka,
                       struct tsn_failure *failure)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        char policy[64];
        const char *name = config->sources[i].name;
        if (!tsn_kafka_topic_setting(kafka, name, "cleanup.policy", policy, sizeof policy, ASK_MS,
                                     failure)) {
            return false;
        }
        if (strstr(policy, "compact")) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: the input topic %s is compacted (cleanup.policy=%s): records "
                            "would vanish between a run and its replay; set "
                            "cleanup.policy=delete on it",
                            name, policy);
        }
    }
    return true;
}

bool tsn_origins_check_topics(const struct tsn_config *config, struct tsn_kafka *kafka,
                              struct tsn_failure *failure)
{
    struct tsn_topic_count topics[TOPICS_MAX];
    const char *roles[TOPICS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < config->n_sources && n < TOPICS_MAX - 4; i++) {
        roles[n] = "a source";
        topics[n++].name = config->sources[i].name;
    }
    const char *const outputs[] = {config->topics.alerts, config->topics.rejects,
                                   config->topics.manifest, config->topics.programs};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        roles[n] = "an output";
        topics[n++].name = outputs[i];
    }
    if (!count(kafka, topics, n, failure)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (topics[i].n_partitions == 0) {
            return topic_absent(config, topics[i].name, roles[i], failure);
        }
        if (topics[i].name == config->topics.manifest && topics[i].n_partitions != 1) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: topic %s has %d partitions and must have one: its order is "
                            "the order of everything; name another topic for it",
                            topics[i].name, (int)topics[i].n_partitions);
        }
    }
    return inputs_fit(config, kafka, failure);
}

/* ---- origins ------------------------------------------------------------------------------- */

static int32_t count_of(const struct tsn_topic_count *topics, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            return topics[i].n_partitions;
        }
    }
    return -1;
}

static bool take_known(const struct tsn_config *config, const struct tsn_manifest *last,
                       const struct tsn_topic_count *topics, struct tsn_arena *arena,
                       struct tsn_origins *origins, struct tsn_failure *failure)
{
    for (size_t i = 0; i < last->n_origins; i++) {
        const struct tsn_origin *origin = &last->origins[i];
        int32_t now = count_of(topics, config->n_sources, origin->topic);
        if (now < 0) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "%s: the committed manifests read topic %s, which is no source of "
                            "this configuration; put it back (its events are part of the "
                            "state), or start another instance",
                            config->file, origin->topic);
        }
        if (now != last->partitions[i]) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: topic %s has %d partitions, and had %d when manifest %llu was "
                            "written: keys have moved between partitions, or the topic was made "
                            "anew. Restore it, or start another instance (another `instance:` "
                            "name and manifest topic)",
                            origin->topic, (int)now, (int)last->partitions[i],
                            (unsigned long long)last->sequence);
        }
        origins->items[origins->n] = (struct tsn_origin){
            .topic = tsn_arena_strdup(arena, origin->topic, strlen(origin->topic)),
            .partition = origin->partition};
        origins->partitions[origins->n++] = now;
    }
    origins->n_known = origins->n;
    return true;
}

static bool is_known(const struct tsn_origins *origins, const char *topic)
{
    for (size_t i = 0; i < origins->n_known; i++) {
        if (strcmp(origins->items[i].topic, topic) == 0) {
            return true;
        }
    }
    return false;
}

bool tsn_origins_find(const struct tsn_config *config, struct tsn_kafka *kafka,
                      const struct tsn_manifest *last, struct tsn_arena *arena,
                      struct tsn_origins *origins, struct tsn_failure *failure)
{
    struct tsn_topic_count *topics =
        tsn_arena_zalloc(arena, config->n_sources ? config->n_sources : 1, sizeof *topics);
    size_t most = last ? last->n_origins : 0;
    for (size_t i = 0; i < config->n_sources; i++) {
        topics[i].name = config->sources[i].name;
    }
    if (!count(kafka, topics, config->n_sources, failure)) {
        return false;
    }
    for (size_t i = 0; i < config->n_sources; i++) {
        if (topics[i].n_partitions == 0) {
            return topic_absent(config, topics[i].name, "a source", failure);
        }
        most += (size_t)topics[i].n_partitions;
    }
    if (most > UINT16_MAX) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "kafka: the sources have more than 65535 partitions together");
    }
    memset(origins, 0, sizeof *origins);
    origins->items = tsn_arena_zalloc(arena, most ? most : 1, sizeof *origins->items);
    origins->partitions = tsn_arena_zalloc(arena, most ? most : 1, sizeof *origins->partitions);
    if (last && !take_known(config, last, topics, arena, origins, failure)) {
        return false;
    }
    for (size_t i = 0; i < config->n_sources; i++) {
        for (int32_t p = 0; !is_known(origins, topics[i].name) && p < topics[i].n_partitions; p++) {
            origins->items[origins->n] =
                (struct tsn_origin){.topic = topics[i].name, .partition = p};
            origins->partitions[origins->n++] = topics[i].n_partitions;
        }
    }
    return true;
}

void tsn_origins_before(const struct tsn_manifest *manifest, int64_t *positions)
{
    for (size_t i = 0; i < manifest->n_origins; i++) {
        positions[i] = manifest->positions[i];
    }
    for (size_t s = manifest->n_steps; s > 0; s--) {
        const struct tsn_step *step = &manifest->steps[s - 1];
        if (step->kind == TSN_STEP_RUN && step->source < manifest->n_origins) {
            positions[step->source] = step->first;
        }
    }
}
