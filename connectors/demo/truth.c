#include "connectors/demo/truth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/demo/member.h"
#include "rules/must/must.h"

struct victim {
    char typology[40];
    char number[24];
    char account[24];
    int64_t contact_ms;
    int64_t paying_ms; /* INT64_MAX: never */
    int64_t last_ms;   /* after it nothing can be saved */
    int64_t warned_ms; /* first alert; INT64_MAX: none */
};

struct tsn_truth {
    size_t n;
    size_t cap;
    struct victim *victims;
};

static void copy(char *out, size_t cap, const char *text)
{
    snprintf(out, cap, "%s", text);
}

static void add_victim(struct tsn_truth *truth, const cJSON *line)
{
    if (truth->n == truth->cap) {
        truth->cap = truth->cap ? truth->cap * 2 : 64;
        truth->victims = realloc(truth->victims, truth->cap * sizeof *truth->victims);
        TSN_MUST_ALLOC(truth->victims);
    }
    struct victim *victim = &truth->victims[truth->n++];
    *victim = (struct victim){.paying_ms = INT64_MAX, .last_ms = INT64_MAX, .warned_ms = INT64_MAX};
    copy(victim->typology, sizeof victim->typology, tsn_member_text(line, "typology"));
    copy(victim->number, sizeof victim->number, tsn_member_text(line, "victim"));
    copy(victim->account, sizeof victim->account, tsn_member_text(line, "account"));
    tsn_member_int(line, "t_contact_ms", &victim->contact_ms);
    tsn_member_int(line, "t_transfer_initiated_ms", &victim->paying_ms);
    tsn_member_int(line, "t_last_preventable_ms", &victim->last_ms);
}

struct tsn_truth *tsn_truth_load(const char *folder, struct tsn_failure *failure)
{
    char path[512];
    snprintf(path, sizeof path, "%s/truth.ndjson", folder);
    FILE *file = fopen(path, "r");
    if (!file) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot read this file: %s", path,
                 strerror(errno));
        return NULL;
    }
    struct tsn_truth *truth = calloc(1, sizeof *truth);
    TSN_MUST_ALLOC(truth);
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, file) >= 0) {
        cJSON *json = cJSON_Parse(line);
        if (json) {
            add_victim(truth, json);
        }
        cJSON_Delete(json);
    }
    free(line);
    fclose(file);
    return truth;
}

void tsn_truth_free(struct tsn_truth *truth)
{
    if (truth) {
        free(truth->victims);
        free(truth);
    }
}

const char *tsn_truth_note(struct tsn_truth *truth, const char *entity, int64_t time_ms)
{
    const char *script = NULL;
    for (size_t i = 0; i < truth->n; i++) {
        struct victim *victim = &truth->victims[i];
        if (strcmp(victim->number, entity) != 0 && strcmp(victim->account, entity) != 0) {
            continue;
        }
        script = victim->typology;
        if (time_ms >= victim->contact_ms && time_ms < victim->warned_ms) {
            victim->warned_ms = time_ms;
        }
    }
    return script;
}

static struct tsn_truth_tally *tally_of(struct tsn_truth_tally *tallies, size_t *n, size_t cap,
                                        const char *typology)
{
    for (size_t i = 0; i < *n; i++) {
        if (strcmp(tallies[i].typology, typology) == 0) {
            return &tallies[i];
        }
    }
    if (*n == cap) {
        return NULL;
    }
    tallies[*n] = (struct tsn_truth_tally){.typology = typology};
    return &tallies[(*n)++];
}

size_t tsn_truth_tally(const struct tsn_truth *truth, struct tsn_truth_tally *tallies, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < truth->n; i++) {
        const struct victim *victim = &truth->victims[i];
        struct tsn_truth_tally *tally = tally_of(tallies, &n, cap, victim->typology);
        if (!tally) {
            continue;
        }
        bool warned = victim->warned_ms != INT64_MAX;
        bool paying = victim->paying_ms != INT64_MAX;
        tally->planted++;
        tally->paying += paying;
        tally->unpaid_warned += warned && !paying;
        tally->before += paying && victim->warned_ms < victim->paying_ms;
        tally->at += paying && victim->warned_ms >= victim->paying_ms &&
                     victim->warned_ms <= victim->last_ms;
    }
    return n;
}
