/* Cut: scoring state as of one moment, given away while rows go on changing it.
 *
 * As engine/feature/cut.c does with entities: beginning counts up the epoch and takes
 * over the lists of what changed; each episode and timer is then given once, in steps,
 * at the latest just before it changes or goes. A timer never changes, so its list holds
 * those armed since the cut before. A whole cut walks the tables instead. Written lists
 * and the records of what is gone are given at the beginning: lists are bounded by
 * their `max`, and an episode that is gone may come back under its key.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/score/state.h"
#include "rules/must/must.h"

enum { LOOK_BYTES = 32 }; /* what a look at a place costs, in bytes of a record */

/* ---- what changed -------------------------------------------------------------------- */

static bool episode_due(const struct tsn_score *score, const struct tsn_episode *episode)
{
    if (!score->cut.runs || episode->given == score->epoch ||
        !(episode->given | episode->changed)) {
        return false; /* not any more, or made at this moment */
    }
    return score->cut.whole ? episode->changed != score->epoch
                            : episode->changed == score->epoch - 1;
}

static void dirty_remove(struct tsn_episode **dirty, size_t *n, const struct tsn_episode *episode)
{
    struct tsn_episode *last = dirty[--*n];
    dirty[episode->dirty_at] = last;
    last->dirty_at = episode->dirty_at;
}

static size_t give(struct score_cut *cut, enum tsn_snapshot_section section, const uint8_t key[16],
                   bool is_gone)
{
    struct tsn_snapshot_record record = {
        .section = section,
        .bytes = is_gone ? NULL : cut->bytes.p,
        .len = is_gone ? 0 : cut->bytes.len,
    };
    memcpy(record.key, key, 16);
    cut->sink(cut->user, &record);
    cut->n++;
    return record.len;
}

static size_t episode_give(struct tsn_score *score, struct tsn_episode *episode)
{
    struct score_cut *cut = &score->cut;
    if (!cut->whole) {
        dirty_remove(cut->dirty, &cut->n_dirty, episode);
    }
    episode->given = score->epoch;
    cut->bytes.len = 0;
    tsn_score_episode_write(score->prog, episode, &cut->bytes);
    return give(cut, TSN_SNAPSHOT_EPISODE, episode->key, false);
}

void tsn_score_mark(struct tsn_score *score, struct tsn_episode *episode)
{
    if (episode->changed == score->epoch) {
        return;
    }
    if (episode_due(score, episode)) {
        episode_give(score, episode);
    }
    if (score->n_dirty == score->dirty_cap) {
        score->dirty_cap = score->dirty_cap ? 2 * score->dirty_cap : 64;
        score->dirty = realloc(score->dirty, score->dirty_cap * sizeof(struct tsn_episode *));
        TSN_MUST_ALLOC(score->dirty);
    }
    episode->changed = score->epoch;
    episode->dirty_at = score->n_dirty;
    score->dirty[score->n_dirty++] = episode;
}

/* A removal moves those behind the hole, maybe to where the walk has been: they are
 * given first. From the first place the episode may have to the end of its run. */
static void run_give(struct tsn_score *score, const struct tsn_episode *episode)
{
    const struct tsn_episode_table *table = &score->typologies[episode->typology].episodes;
    size_t at = tsn_episode_home(table, episode->key);
    for (; table->slots[at]; at = (at + 1) & (table->cap - 1)) {
        if (episode_due(score, table->slots[at])) {
            episode_give(score, table->slots[at]);
        }
    }
}

void tsn_score_forget(struct tsn_score *score, struct tsn_episode *episode)
{
    if (score->cut.runs && score->cut.whole) {
        run_give(score, episode);
    } else if (episode_due(score, episode)) {
        episode_give(score, episode);
    }
    if (episode->changed == score->epoch) {
        dirty_remove(score->dirty, &score->n_dirty, episode);
    }
    if (score->n_gone == score->gone_cap) {
        score->gone_cap = score->gone_cap ? 2 * score->gone_cap : 64;
        score->gone = realloc(score->gone, score->gone_cap * sizeof *score->gone);
        TSN_MUST_ALLOC(score->gone);
    }
    memcpy(score->gone[score->n_gone++].bytes, episode->key, sizeof episode->key);
    tsn_episode_remove(&score->typologies[episode->typology].episodes, episode);
}

/* ---- timers -------------------------------------------------------------------------- */

/* Is it among what the cut has yet to give? */
static bool timer_waits(const struct tsn_score *score, const struct score_timer *timer)
{
    return timer->fresh_at != SIZE_MAX && timer->armed != score->epoch;
}

static size_t timer_give(struct tsn_score *score, struct score_timer *timer)
{
    struct score_cut *cut = &score->cut;
    uint8_t key[16];
    if (timer_waits(score, timer)) {
        struct score_timer *last = cut->fresh[--cut->n_fresh];
        cut->fresh[timer->fresh_at] = last;
        last->fresh_at = timer->fresh_at;
        timer->fresh_at = SIZE_MAX;
    }
    timer->given = score->epoch;
    cut->bytes.len = 0;
    tsn_score_timer_write(score, timer, &cut->bytes, key);
    return give(cut, TSN_SNAPSHOT_TIMER, key, false);
}

void tsn_score_timer_goes(struct tsn_score *score, struct score_timer *timer)
{
    bool old = timer->fresh_at == SIZE_MAX;
    if (score->cut.runs &&
        (timer_waits(score, timer) || (score->cut.whole && old && timer->given != score->epoch))) {
        timer_give(score, timer);
    }
}

/* ---- the cut ------------------------------------------------------------------------- */

static void named_key(const char *kind, const char *name, uint8_t key[16])
{
    XXH128_canonical_t canonical;
    XXH64_hash_t seed = XXH3_64bits(kind, strlen(kind));
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(name, strlen(name), seed));
    memcpy(key, canonical.digest, 16);
}

static bool episode_exists(const struct tsn_score *score, const uint8_t key[16])
{
    for (int y = 0; y < score->prog->n_typologies; y++) {
        if (tsn_episode_find(&score->typologies[y].episodes, key)) {
            return true;
        }
    }
    return false;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct score_key));
}

/* Each once: an episode may have ended, opened and ended again. */
static void gone_once(struct tsn_score *score)
{
    size_t n = 0;
    if (score->n_gone > 1) {
        qsort(score->gone, score->n_gone, sizeof *score->gone, by_bytes);
    }
    for (size_t i = 0; i < score->n_gone; i++) {
        if (n == 0 || by_bytes(&score->gone[n - 1], &score->gone[i]) != 0) {
            score->gone[n++] = score->gone[i];
        }
    }
    score->n_gone = n;
}

/* What is given at once. */
static void begin_give(struct tsn_score *score)
{
    struct score_cut *cut = &score->cut;
    uint8_t key[16];
    gone_once(score);
    for (size_t i = 0; i < score->n_gone; i++) {
        if (!episode_exists(score, score->gone[i].bytes)) {
            give(cut, TSN_SNAPSHOT_EPISODE, score->gone[i].bytes, true);
        }
    }
    score->n_gone = 0;
    for (int l = 0; l < score->prog->n_lists; l++) {
        const struct tsn_list_decl *decl = &score->prog->lists[l];
        if (decl->written && (cut->whole || score->list_changed[l])) {
            cut->bytes.len = 0;
            tsn_score_list_write(decl, score->lists[l], &cut->bytes);
            named_key("list", decl->name, key);
            give(cut, TSN_SNAPSHOT_LIST, key, false);
        }
        score->list_changed[l] = false;
    }
    if (cut->whole || score->newest_changed) {
        cut->bytes.len = 0;
        tsn_score_newest_write(score, &cut->bytes);
        named_key("newest", "", key);
        give(cut, TSN_SNAPSHOT_EPISODE, key, false);
    }
    score->newest_changed = false;
}

#define EXCHANGE(type, a, b)                                                                       \
    do {                                                                                           \
        type kept = (a);                                                                           \
        (a) = (b);                                                                                 \
        (b) = kept;                                                                                \
    } while (0)

void tsn_score_cut_begin(struct tsn_score *score, bool whole, tsn_snapshot_sink *sink, void *user)
{
    struct score_cut *cut = &score->cut;
    struct score_timers *timers = &score->timers;
    TSN_MUST(!cut->runs && !cut->n_fresh && !cut->n_gone && score->epoch < UINT32_MAX);
    cut->runs = true;
    cut->whole = whole;
    cut->sink = sink;
    cut->user = user;
    cut->n = 0;
    cut->typology = 0;
    cut->slot_at = cut->n_slots = 0;
    cut->bucket_at = cut->n_buckets = 0;
    cut->n_dirty = 0; /* the lists change places: no memory is asked for */
    EXCHANGE(struct tsn_episode **, score->dirty, cut->dirty);
    EXCHANGE(size_t, score->n_dirty, cut->n_dirty);
    EXCHANGE(size_t, score->dirty_cap, cut->dirty_cap);
    EXCHANGE(struct score_timer **, timers->fresh, cut->fresh);
    EXCHANGE(size_t, timers->n_fresh, cut->n_fresh);
    EXCHANGE(size_t, timers->fresh_cap, cut->fresh_cap);
    EXCHANGE(struct score_key *, timers->gone, cut->gone);
    EXCHANGE(size_t, timers->n_gone, cut->n_gone);
    EXCHANGE(size_t, timers->gone_cap, cut->gone_cap);
    score->epoch++;
    begin_give(score);
}

/* All episodes. A table that has grown since the last step is walked from its start:
 * what was given is passed over. */
static bool tables_walk(struct tsn_score *score, int64_t *budget)
{
    struct score_cut *cut = &score->cut;
    while (cut->typology < score->prog->n_typologies) {
        const struct tsn_episode_table *table = &score->typologies[cut->typology].episodes;
        if (cut->n_slots != table->cap) {
            cut->n_slots = table->cap;
            cut->slot_at = 0;
        }
        for (; cut->slot_at<table->cap && * budget> 0; cut->slot_at++) {
            struct tsn_episode *episode = table->slots[cut->slot_at];
            if (episode && episode_due(score, episode)) {
                *budget -= (int64_t)episode_give(score, episode);
            }
            *budget -= LOOK_BYTES;
        }
        if (cut->slot_at < table->cap) {
            return false;
        }
        cut->typology++;
        cut->slot_at = cut->n_slots = 0;
    }
    return true;
}

static bool buckets_walk(struct tsn_score *score, int64_t *budget)
{
    struct score_cut *cut = &score->cut;
    const struct score_timers *timers = &score->timers;
    if (cut->n_buckets != timers->n_buckets) {
        cut->n_buckets = timers->n_buckets;
        cut->bucket_at = 0;
    }
    for (; cut->bucket_at<timers->n_buckets && * budget> 0; cut->bucket_at++) {
        struct score_timer *timer = timers->buckets[cut->bucket_at];
        for (; timer; timer = timer->next) {
            if (timer->fresh_at == SIZE_MAX && timer->given != score->epoch) {
                *budget -= (int64_t)timer_give(score, timer);
            }
        }
        *budget -= LOOK_BYTES;
    }
    return cut->bucket_at == timers->n_buckets;
}

bool tsn_score_cut_step(struct tsn_score *score, int64_t *budget)
{
    struct score_cut *cut = &score->cut;
    if (!cut->runs) {
        return true;
    }
    for (; cut->n_gone && *budget > 0; *budget -= LOOK_BYTES) {
        give(cut, TSN_SNAPSHOT_TIMER, cut->gone[--cut->n_gone].bytes, true);
    }
    while (!cut->whole && cut->n_dirty && *budget > 0) {
        *budget -= (int64_t)episode_give(score, cut->dirty[cut->n_dirty - 1]) + LOOK_BYTES;
    }
    while (cut->n_fresh && *budget > 0) {
        *budget -= (int64_t)timer_give(score, cut->fresh[cut->n_fresh - 1]) + LOOK_BYTES;
    }
    bool walked = !cut->whole || (tables_walk(score, budget) && buckets_walk(score, budget));
    cut->runs = cut->n_gone || cut->n_fresh || (!cut->whole && cut->n_dirty) || !walked;
    return !cut->runs;
}

uint64_t tsn_score_cut(struct tsn_score *score, bool whole, tsn_snapshot_sink *sink, void *user)
{
    int64_t budget = INT64_MAX;
    tsn_score_cut_begin(score, whole, sink, user);
    bool complete = tsn_score_cut_step(score, &budget);
    TSN_MUST(complete);
    return score->cut.n;
}

void tsn_score_cut_free(struct tsn_score *score)
{
    free(score->cut.dirty);
    free(score->cut.fresh);
    free(score->cut.gone);
    tsn_bytes_free(&score->cut.bytes);
}
