#include "connectors/demo/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/demo/notice.h"
#include "connectors/kafka/kafka.h"
#include "connectors/wire/wire.h"
#include "rules/must/must.h"

enum { PARTITIONS = 4, FETCH_MAX = 64, BUDGET_BYTES = 32 << 20, REMINDERS_SHOWN = 6 };

enum role { ALERTS, REJECTS, MANIFESTS };

struct tsn_watch {
    struct tsn_watch_settings settings;
    struct tsn_reader *reader;
    size_t n_partitions;
    enum role roles[2 * PARTITIONS + 1];
    struct tsn_arena arena; /* for one manifest */
    struct tsn_watch_counts counts;
    uint32_t reminders[TSN_WATCH_TYPOLOGIES_MAX]; /* minor alerts of each typology */
    size_t latencies_cap;
    int64_t *latencies_us;
};

struct tsn_watch *tsn_watch_open(const struct tsn_watch_settings *settings,
                                 struct tsn_failure *failure)
{
    struct tsn_watch *watch = calloc(1, sizeof *watch);
    TSN_MUST_ALLOC(watch);
    watch->settings = *settings;
    tsn_arena_init(&watch->arena, 0);
    struct tsn_reader_partition partitions[2 * PARTITIONS + 1];
    for (int i = 0; i < PARTITIONS; i++) {
        watch->roles[watch->n_partitions] = ALERTS;
        partitions[watch->n_partitions++] =
            (struct tsn_reader_partition){settings->config->topics.alerts, i, 0};
        watch->roles[watch->n_partitions] = REJECTS;
        partitions[watch->n_partitions++] =
            (struct tsn_reader_partition){settings->config->topics.rejects, i, 0};
    }
    watch->roles[watch->n_partitions] = MANIFESTS;
    partitions[watch->n_partitions++] =
        (struct tsn_reader_partition){settings->config->topics.manifest, 0, 0};
    watch->reader =
        tsn_reader_open(settings->config, partitions, watch->n_partitions, BUDGET_BYTES, failure);
    if (!watch->reader) {
        tsn_watch_close(watch);
        return NULL;
    }
    return watch;
}

void tsn_watch_close(struct tsn_watch *watch)
{
    if (watch->reader) {
        tsn_reader_close(watch->reader);
    }
    tsn_arena_free(&watch->arena);
    free(watch->latencies_us);
    free(watch);
}

int tsn_watch_fd(const struct tsn_watch *watch)
{
    return tsn_reader_fd(watch->reader);
}

/* ---- alerts ------------------------------------------------------------------------ */

/* The index of a typology's counts; TSN_WATCH_TYPOLOGIES_MAX: no more room. */
static size_t typology_of(struct tsn_watch *watch, const char *name)
{
    struct tsn_watch_counts *counts = &watch->counts;
    size_t i = 0;
    while (i < counts->n_typologies && strcmp(counts->typologies[i].name, name) != 0) {
        i++;
    }
    if (i == counts->n_typologies && i < TSN_WATCH_TYPOLOGIES_MAX) {
        snprintf(counts->typologies[i].name, sizeof counts->typologies[i].name, "%s", name);
        counts->n_typologies++;
    }
    return i;
}

/* One ring can warn hundreds: reminders are shown a few times a case type. */
static bool may_show(struct tsn_watch *watch, const struct tsn_notice *notice)
{
    size_t i = typology_of(watch, notice->typology);
    bool reminder = strcmp(notice->level, "minor") == 0;
    if (!reminder || i == TSN_WATCH_TYPOLOGIES_MAX) {
        return true;
    }
    watch->reminders[i]++;
    if (watch->reminders[i] == REMINDERS_SHOWN + 1) {
        printf("          further minor alerts of %s are counted, not shown\n", notice->typology);
    }
    return watch->reminders[i] <= REMINDERS_SHOWN;
}

static void keep_latency(struct tsn_watch *watch, const char *event_id, int64_t elapsed_us)
{
    int64_t sent_us = tsn_player_when(watch->settings.player, event_id, strlen(event_id));
    if (sent_us < 0) {
        return;
    }
    if (watch->counts.n_latencies == watch->latencies_cap) {
        watch->latencies_cap = watch->latencies_cap ? 2 * watch->latencies_cap : 256;
        watch->latencies_us =
            realloc(watch->latencies_us, watch->latencies_cap * sizeof *watch->latencies_us);
        TSN_MUST_ALLOC(watch->latencies_us);
    }
    watch->latencies_us[watch->counts.n_latencies++] = elapsed_us - sent_us;
}

/* The city's wall clock. */
static void clock_text(const struct tsn_watch *watch, int64_t time_ms, char out[16])
{
    int64_t s =
        (time_ms - watch->settings.start_ms) / 1000 + (int64_t)watch->settings.start_hour * 3600;
    s = ((s % 86400) + 86400) % 86400;
    snprintf(out, 16, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

static void take_notice(struct tsn_watch *watch, const struct tsn_notice *notice,
                        int64_t elapsed_us)
{
    keep_latency(watch, notice->event_id, elapsed_us);
    if (notice->shadow) {
        watch->counts.shadow++;
        return;
    }
    watch->counts.alerts++;
    const char *planted = tsn_truth_note(watch->settings.truth, notice->entity, notice->time_ms);
    size_t i = typology_of(watch, notice->typology);
    if (i < TSN_WATCH_TYPOLOGIES_MAX) {
        watch->counts.typologies[i].alerts++;
        watch->counts.typologies[i].on_victims += planted != NULL;
    }
    if (!may_show(watch, notice)) {
        return;
    }
    char clock[16];
    clock_text(watch, notice->time_ms, clock);
    tsn_notice_print(notice, clock, watch->settings.prog, watch->settings.colour, stdout);
    fflush(stdout);
}

static void take_alert(struct tsn_watch *watch, const struct tsn_fetched *item, int64_t elapsed_us)
{
    struct tsn_notice notice;
    if (tsn_notice_read(item->value, item->len, &notice)) {
        take_notice(watch, &notice, elapsed_us);
        tsn_notice_free(&notice);
    }
}

static void take_manifest(struct tsn_watch *watch, const struct tsn_fetched *item)
{
    struct tsn_manifest manifest;
    const char *why = NULL;
    tsn_arena_reset(&watch->arena);
    if (!tsn_wire_manifest_read(item->value, item->len, &watch->arena, &manifest, &why)) {
        return;
    }
    uint64_t processed = 0;
    for (size_t i = 0; i < manifest.n_origins; i++) {
        processed += (uint64_t)manifest.positions[i];
    }
    watch->counts.processed = processed;
}

static void take(struct tsn_watch *watch, enum role role, const struct tsn_fetched *item,
                 int64_t elapsed_us, void (**before_line)(void))
{
    if (item->kind != TSN_FETCHED_RECORD || !item->value) {
        return;
    }
    switch (role) {
    case ALERTS:
        if (*before_line) {
            (*before_line)();
            *before_line = NULL;
        }
        take_alert(watch, item, elapsed_us);
        break;
    case REJECTS:
        watch->counts.rejects++;
        break;
    case MANIFESTS:
        take_manifest(watch, item);
        break;
    }
}

bool tsn_watch_look(struct tsn_watch *watch, int64_t elapsed_us, void (*before_line)(void),
                    struct tsn_failure *failure)
{
    tsn_reader_quiet(watch->reader);
    for (size_t i = 0; i < watch->n_partitions; i++) {
        struct tsn_fetched items[FETCH_MAX];
        size_t n = FETCH_MAX;
        while (n == FETCH_MAX) {
            bool ok = tsn_reader_fetch(watch->reader, i, items, FETCH_MAX, &n, failure);
            for (size_t j = 0; j < n; j++) {
                take(watch, watch->roles[i], &items[j], elapsed_us, &before_line);
            }
            tsn_fetched_release(items, n);
            if (!ok) {
                return false;
            }
        }
    }
    return true;
}

struct tsn_watch_counts tsn_watch_counts(const struct tsn_watch *watch)
{
    struct tsn_watch_counts counts = watch->counts;
    counts.latencies_us = watch->latencies_us;
    return counts;
}
