#include "connectors/run/resident.h"

#include <poll.h>
#include <string.h>

#include "connectors/run/clock.h"
#include "connectors/run/log.h"
#include "connectors/run/signals.h"

enum { RETRY_MS = 100, ALL_AT_ONCE = 4096 };

static bool admit(void *user, const struct tsn_snapshot_record *record, const char **why)
{
    return tsn_engine_admit(user, record, why);
}

static enum tsn_residence fetch(struct tsn_resident *resident, struct tsn_engine *eng,
                                const struct tsn_entity_key *keys, size_t n, int64_t now_ms,
                                struct tsn_failure *failure)
{
    _Static_assert(sizeof *keys == sizeof keys->bytes, "an array of keys is an array of bytes");
    if (n == 0 || tsn_store_fetch(resident->store, TSN_SNAPSHOT_ENTITY, &keys->bytes, n, admit, eng,
                                  failure)) {
        if (n && resident->away_since_ms) {
            tsn_log("redis answers again after %.1f s: going on",
                    (double)(now_ms - resident->away_since_ms) / 1000);
            resident->away_since_ms = 0;
        }
        return TSN_RESIDENCE_WHOLE;
    }
    if (failure->remedy == TSN_REMEDY_RECOVER) {
        char text[sizeof failure->text];
        memcpy(text, failure->text, sizeof text);
        tsn_fail(failure, TSN_REMEDY_RETRY, "%.400s; dropping the state and recovering it", text);
        return TSN_RESIDENCE_LOST;
    }
    if (!resident->away_since_ms) {
        tsn_log("%s; entities that are not in memory cannot be read: taking no more events until "
                "they can",
                failure->text);
        resident->away_since_ms = now_ms;
    }
    resident->retry_ms = now_ms + RETRY_MS;
    return TSN_RESIDENCE_AWAY;
}

enum tsn_residence tsn_resident_bring(struct tsn_resident *resident, struct tsn_engine *eng,
                                      const struct tsn_batch *batch, int64_t now_ms,
                                      struct tsn_failure *failure)
{
    const struct tsn_entity_key *keys;
    if (resident->away_since_ms && now_ms < resident->retry_ms) {
        return TSN_RESIDENCE_AWAY;
    }
    size_t n = tsn_engine_missing(eng, batch, &keys);
    return fetch(resident, eng, keys, n, now_ms, failure);
}

/* Some of what is away: bounded, so that it need not stand in memory twice. */
static enum tsn_residence bring_some(struct tsn_resident *resident, struct tsn_engine *eng,
                                     int64_t now_ms, bool *all, struct tsn_failure *failure)
{
    const struct tsn_entity_key *keys;
    size_t n = tsn_engine_away(eng, ALL_AT_ONCE, &keys);
    *all = n == 0;
    return fetch(resident, eng, keys, n, now_ms, failure);
}

bool tsn_resident_await(struct tsn_resident *resident, struct tsn_engine *eng,
                        const struct tsn_batch *batch, bool (*go_on)(void *user), void *user,
                        struct tsn_failure *failure)
{
    for (;;) {
        bool all = true;
        int64_t now_ms = tsn_clock_monotonic_ms();
        enum tsn_residence residence =
            batch ? tsn_resident_bring(resident, eng, batch, now_ms, failure)
                  : bring_some(resident, eng, now_ms, &all, failure);
        if (residence == TSN_RESIDENCE_LOST) {
            return false;
        }
        if (residence == TSN_RESIDENCE_WHOLE) {
            if (all) {
                return true;
            }
            continue;
        }
        if (go_on ? !go_on(user) : tsn_signals_stop()) {
            return tsn_fail(failure, TSN_REMEDY_NONE, "stopped");
        }
        struct pollfd fd = {.fd = tsn_signals_fd(), .events = POLLIN};
        poll(&fd, 1, RETRY_MS);
    }
}

/* ---- restoring ------------------------------------------------------------------------- */

struct loading {
    struct tsn_engine *eng;
    bool clock; /* it is loaded */
};

/* The clock's record says how features share logs, which other records need: it comes
 * first, or all of them would wait for it in memory. */
static bool load_record(void *user, const struct tsn_snapshot_record *record, const char **why)
{
    struct loading *loading = user;
    if (record->section == TSN_SNAPSHOT_CLOCK && loading->clock) {
        return true;
    }
    loading->clock |= record->section == TSN_SNAPSHOT_CLOCK;
    return tsn_snapshot_load(loading->eng, record, why);
}

bool tsn_resident_load(struct tsn_resident *resident, struct tsn_engine *eng,
                       struct tsn_checkpoint_meta *meta, struct tsn_failure *failure)
{
    static const uint8_t clock_key[1][16] = {{0}};
    struct loading loading = {.eng = eng};
    if (!tsn_store_fetch(resident->store, TSN_SNAPSHOT_CLOCK, clock_key, 1, load_record, &loading,
                         failure)) {
        if (failure->remedy == TSN_REMEDY_RECOVER) {
            failure->remedy = TSN_REMEDY_CONFIG; /* as a load would say of what is not whole */
        }
        return false;
    }
    return tsn_store_read(resident->store, load_record, &loading, meta, failure);
}

bool tsn_resident_sound(const struct tsn_resident *resident, const struct tsn_engine *eng,
                        struct tsn_failure *failure)
{
    return tsn_engine_counts(eng).cold == 0 || !tsn_store_wants_whole(resident->store) ||
           tsn_fail(failure, TSN_REMEDY_RETRY,
                    "redis lost or rolled back what this engine keeps there alone; dropping the "
                    "state and recovering it");
}
