#include "connectors/demo/player.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "connectors/demo/member.h"
#include "connectors/simulate/tape.h"
#include "rules/must/must.h"

/* One file of the simulator, read line by line. */
struct track {
    FILE *file;
    const char *topic;
    char *line; /* the next record, without its newline; NULL at the end */
    size_t cap;
    size_t len;
    int64_t due_ms; /* its arrival */
    cJSON *json;    /* the record read; NULL if it is broken, as some are on purpose */
};

struct sent {
    uint64_t hash; /* 0: free */
    int64_t at_us;
};

struct tsn_player {
    struct track tracks[TSN_TAPE_TOPICS];
    int64_t start_ms;
    double speed;
    bool hurry;
    uint64_t n_sent;
    uint64_t n_known;
    uint64_t cap; /* power of two */
    struct sent *known;
};

static uint64_t hash_id(const char *id, size_t len)
{
    uint64_t hash = XXH3_64bits(id, len);
    return hash ? hash : 1;
}

static struct sent *slot_of(const struct tsn_player *player, uint64_t hash)
{
    uint64_t at = hash & (player->cap - 1);
    while (player->known[at].hash && player->known[at].hash != hash) {
        at = (at + 1) & (player->cap - 1);
    }
    return &player->known[at];
}

static void grow(struct tsn_player *player)
{
    struct sent *old = player->known;
    uint64_t old_cap = player->cap;
    player->cap = old_cap ? old_cap * 2 : 65536;
    player->known = calloc(player->cap, sizeof *player->known);
    TSN_MUST_ALLOC(player->known);
    for (uint64_t i = 0; i < old_cap; i++) {
        if (old[i].hash) {
            *slot_of(player, old[i].hash) = old[i];
        }
    }
    free(old);
}

static void remember(struct tsn_player *player, const char *id, size_t len, int64_t at_us)
{
    if (player->n_known * 2 >= player->cap) {
        grow(player);
    }
    struct sent *slot = slot_of(player, hash_id(id, len));
    if (!slot->hash) { /* a duplicate keeps the time of the first */
        *slot = (struct sent){hash_id(id, len), at_us};
        player->n_known++;
    }
}

/* A broken record may have lost its time of arrival: then it comes with the one before. */
static void advance(struct track *track)
{
    cJSON_Delete(track->json);
    track->json = NULL;
    ssize_t len = track->file ? getline(&track->line, &track->cap, track->file) : -1;
    if (len < 0) {
        free(track->line);
        track->line = NULL;
        return;
    }
    track->len = (size_t)len;
    if (len > 0 && track->line[len - 1] == '\n') {
        track->line[--track->len] = '\0';
    }
    track->json = cJSON_ParseWithLength(track->line, track->len);
    tsn_member_int(track->json, "ingest_time_ms", &track->due_ms);
}

struct tsn_player *tsn_player_open(const char *folder, int64_t start_ms, double speed,
                                   struct tsn_failure *failure)
{
    struct tsn_player *player = calloc(1, sizeof *player);
    TSN_MUST_ALLOC(player);
    player->start_ms = start_ms;
    player->speed = speed;
    grow(player);
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        struct track *track = &player->tracks[i];
        char path[512];
        track->topic = tsn_tape_topic_name((enum tsn_tape_topic)i);
        snprintf(path, sizeof path, "%s/%s.ndjson", folder, track->topic);
        track->file = fopen(path, "r");
        if (!track->file) {
            tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot read this file: %s", path,
                     strerror(errno));
            tsn_player_close(player);
            return NULL;
        }
        advance(track);
    }
    return player;
}

void tsn_player_close(struct tsn_player *player)
{
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        if (player->tracks[i].file) {
            fclose(player->tracks[i].file);
        }
        free(player->tracks[i].line);
        cJSON_Delete(player->tracks[i].json);
    }
    free(player->known);
    free(player);
}

static struct track *oldest(struct tsn_player *player)
{
    struct track *best = NULL;
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        struct track *track = &player->tracks[i];
        if (track->line && (!best || track->due_ms < best->due_ms)) {
            best = track;
        }
    }
    return best;
}

/* The line or account that the record is about: what it is keyed by. */
static const char *key_of(const struct track *track)
{
    static const char *const keys[TSN_TAPE_TOPICS][2] = {
        [TSN_TAPE_CALLS] = {"called_number", "calling_number"},
        [TSN_TAPE_MESSAGES] = {"destination_number", "event_id"},
        [TSN_TAPE_PAYMENTS] = {"debtor_msisdn", "debtor_account"},
        [TSN_TAPE_LINES] = {"msisdn", "event_id"},
    };
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        if (track->topic != tsn_tape_topic_name((enum tsn_tape_topic)i)) {
            continue;
        }
        const char *key = tsn_member_text(track->json, keys[i][0]);
        return *key ? key : tsn_member_text(track->json, keys[i][1]);
    }
    return "";
}

int64_t tsn_player_city_ms(const struct tsn_player *player, int64_t elapsed_us)
{
    return player->start_ms + (int64_t)((double)elapsed_us * player->speed / 1000.0);
}

bool tsn_player_play(struct tsn_player *player, int64_t elapsed_us, uint32_t most,
                     struct tsn_sender *sender, struct tsn_failure *failure)
{
    int64_t now_ms = tsn_player_city_ms(player, elapsed_us);
    for (uint32_t n = 0; n < most; n++) {
        struct track *track = oldest(player);
        if (!track || (track->due_ms > now_ms && !player->hurry)) {
            return true;
        }
        const char *key = key_of(track);
        const char *id = tsn_member_text(track->json, "event_id");
        if (!tsn_sender_send(sender, track->topic, key, strlen(key), track->line, track->len,
                             track->due_ms, failure)) {
            return false;
        }
        remember(player, id, strlen(id), elapsed_us);
        player->n_sent++;
        advance(track);
    }
    return true;
}

void tsn_player_hurry(struct tsn_player *player, bool hurry)
{
    player->hurry = hurry;
}

bool tsn_player_finished(const struct tsn_player *player)
{
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        if (player->tracks[i].line) {
            return false;
        }
    }
    return true;
}

uint64_t tsn_player_sent(const struct tsn_player *player)
{
    return player->n_sent;
}

int64_t tsn_player_when(const struct tsn_player *player, const char *id, size_t len)
{
    const struct sent *slot = slot_of(player, hash_id(id, len));
    return slot->hash ? slot->at_us : -1;
}
