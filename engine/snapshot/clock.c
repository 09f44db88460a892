/* The records of clock and duplicates: small, or flat. */
#include <stdlib.h>
#include <string.h>

#include "engine/snapshot/snapshot.h"
#include "rules/must/must.h"

static void give(struct tsn_snapshot_out *out, enum tsn_snapshot_section section,
                 const uint8_t key[16], bool gone)
{
    struct tsn_snapshot_record record = {.section = section};
    memcpy(record.key, key, sizeof record.key);
    if (!gone) {
        record.bytes = out->bytes.p;
        record.len = out->bytes.n;
    }
    out->sink(out->user, &record);
    out->n++;
}

static bool refuse(const char **why, const char *text)
{
    *why = text;
    return false;
}

void tsn_snapshot_clock_cut(struct tsn_snapshot_out *out, const struct tsn_snapshot_clock *clock,
                            const struct tsn_features *feat, const struct tsn_dedup *dedup)
{
    static const uint8_t key[16] = {0};
    struct tsn_snapshot_bytes *bytes = &out->bytes;
    bytes->n = 0;
    tsn_snapshot_put_u8(bytes, TSN_SNAPSHOT_FORMAT);
    tsn_snapshot_put_u64(bytes, (uint64_t)clock->newest_ms);
    tsn_snapshot_put_u64(bytes, (uint64_t)clock->tick_ms);
    tsn_snapshot_put_u64(bytes, feat->next_order);
    tsn_snapshot_put_u64(bytes, (uint64_t)dedup->kept_from);
    tsn_snapshot_put_u8(bytes, feat->regrouped);
    if (feat->regrouped) {
        size_t cap = (size_t)feat->prog->n_features + 1;
        struct tsn_plan_group *groups = malloc(cap * sizeof *groups);
        TSN_MUST_ALLOC(groups);
        size_t n = tsn_plan_groups(&feat->plan, groups);
        tsn_snapshot_put_count(bytes, feat->plan.next_group);
        tsn_snapshot_put_count(bytes, n);
        for (size_t i = 0; i < n; i++) {
            tsn_snapshot_put_u64(bytes, groups[i].identity);
            tsn_snapshot_put_count(bytes, groups[i].group);
        }
        free(groups);
    }
    give(out, TSN_SNAPSHOT_CLOCK, key, false);
}

static bool groups_load(struct tsn_snapshot_reader *reader, struct tsn_features *feat,
                        const char **why)
{
    uint64_t next_group = tsn_snapshot_get_count(reader);
    uint64_t n = tsn_snapshot_get_items(reader, sizeof(uint64_t) + 1);
    if (reader->wrong || next_group >= UINT32_MAX / 2 || n > TSN_FEATURES_MAX) {
        return refuse(why, "the clock's record names impossible groups of features");
    }
    struct tsn_plan_group *groups = calloc(n + 1, sizeof *groups);
    TSN_MUST_ALLOC(groups);
    for (uint64_t i = 0; i < n; i++) {
        groups[i].identity = tsn_snapshot_get_u64(reader);
        uint64_t group = tsn_snapshot_get_count(reader);
        reader->wrong |= group >= next_group;
        groups[i].group = (uint32_t)group;
    }
    bool right = !reader->wrong && reader->left == 0;
    if (right) {
        tsn_features_regroup(feat, groups, n, (uint32_t)next_group);
    }
    free(groups);
    return right || refuse(why, "the clock's record ends too early or too late");
}

bool tsn_snapshot_clock_load(const struct tsn_snapshot_record *record,
                             struct tsn_snapshot_clock *clock, struct tsn_features *feat,
                             struct tsn_dedup *dedup, const char **why)
{
    struct tsn_snapshot_reader reader = {.p = record->bytes, .left = record->len};
    if (tsn_snapshot_get_u8(&reader) != TSN_SNAPSHOT_FORMAT) {
        return refuse(why, "the clock's record has a format that this version does not know");
    }
    clock->newest_ms = (tsn_event_ms)tsn_snapshot_get_u64(&reader);
    clock->tick_ms = (tsn_event_ms)tsn_snapshot_get_u64(&reader);
    feat->next_order = tsn_snapshot_get_u64(&reader);
    int64_t kept_from = (int64_t)tsn_snapshot_get_u64(&reader);
    uint8_t regrouped = tsn_snapshot_get_u8(&reader);
    if (reader.wrong || regrouped > 1 || (!regrouped && reader.left)) {
        return refuse(why, "the clock's record ends too early or too late");
    }
    dedup->kept_from = kept_from == INT64_MIN ? INT64_MIN + 1 : kept_from;
    return !regrouped || groups_load(&reader, feat, why);
}

/* ---- duplicates: key is the pane's minute and the page ------------------------------ */

static void page_key(int64_t minute, uint32_t page, uint8_t key[16])
{
    memset(key, 0, 16);
    for (int i = 0; i < 8; i++) {
        key[i] = (uint8_t)((uint64_t)minute >> (8 * i));
        key[8 + i] = (uint8_t)((uint64_t)page >> (8 * i));
    }
}

static size_t page_take(void *user, int64_t minute, uint32_t page, const uint64_t *hashes, size_t n)
{
    struct tsn_snapshot_out *out = user;
    uint8_t key[16];
    out->bytes.n = 0;
    tsn_snapshot_put_u8(&out->bytes, TSN_SNAPSHOT_FORMAT);
    tsn_snapshot_put_count(&out->bytes, n);
    for (size_t i = 0; i < n; i++) {
        tsn_snapshot_put_u64(&out->bytes, hashes[i]);
    }
    page_key(minute, page, key);
    give(out, TSN_SNAPSHOT_DEDUP, key, false);
    return out->bytes.n;
}

static size_t page_gone(void *user, int64_t minute, uint32_t page)
{
    uint8_t key[16];
    page_key(minute, page, key);
    give(user, TSN_SNAPSHOT_DEDUP, key, true);
    return 0;
}

void tsn_snapshot_dedup_begin(struct tsn_snapshot_out *out, struct tsn_dedup *dedup, bool whole)
{
    const struct tsn_dedup_taker taker = {.page = page_take, .gone = page_gone, .user = out};
    tsn_dedup_cut_begin(dedup, whole, &taker);
}

bool tsn_snapshot_dedup_load(const struct tsn_snapshot_record *record, struct tsn_dedup *dedup,
                             const char **why)
{
    enum { MINUTE_MS = 60000, PAGES_MAX = 1 << 24, AT_ONCE = 512 };
    struct tsn_snapshot_reader reader = {.p = record->bytes, .left = record->len};
    struct tsn_snapshot_reader key = {.p = record->key, .left = sizeof record->key};
    int64_t minute = (int64_t)tsn_snapshot_get_u64(&key);
    uint64_t page = tsn_snapshot_get_u64(&key);
    if (minute < INT64_MIN / MINUTE_MS - 1 || minute > INT64_MAX / MINUTE_MS || page >= PAGES_MAX) {
        return refuse(why, "a record of duplicates names an impossible minute or page");
    }
    if (tsn_snapshot_get_u8(&reader) != TSN_SNAPSHOT_FORMAT) {
        return refuse(why, "a record of duplicates has a format that this version does not know");
    }
    uint64_t n = tsn_snapshot_get_items(&reader, sizeof(uint64_t));
    if (reader.wrong || reader.left != n * sizeof(uint64_t)) {
        return refuse(why, "a record of duplicates ends too early or too late");
    }
    while (n) {
        uint64_t hashes[AT_ONCE];
        size_t some = n < AT_ONCE ? n : AT_ONCE;
        for (size_t i = 0; i < some; i++) {
            hashes[i] = tsn_snapshot_get_u64(&reader);
        }
        tsn_dedup_load(dedup, minute, (uint32_t)page, hashes, some);
        n -= some;
    }
    return true;
}
