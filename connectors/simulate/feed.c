#include "connectors/simulate/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "connectors/simulate/dice.h"
#include "connectors/simulate/purpose.h"
#include "rules/must/must.h"

struct waiting {
    int64_t due_ms;
    uint64_t serial; /* order of making: decides between equal times */
    char *text;      /* owned */
    uint32_t len;
    uint8_t topic;
};

struct tsn_feed {
    uint64_t seed;
    bool dirty;
    uint64_t serial;
    size_t n;
    size_t cap;
    struct waiting *waiting;
    FILE *files[TSN_FEED_TOPICS];
    char paths[TSN_FEED_TOPICS][512];
    struct tsn_feed_counts counts;
};

const char *tsn_feed_topic_name(enum tsn_feed_topic topic)
{
    static const char *const names[] = {
#define FEED_NAME(id, topic) topic,
        TSN_FEED_TABLE(FEED_NAME)
#undef FEED_NAME
    };
    return names[topic];
}

struct tsn_feed *tsn_feed_open(const char *folder, uint64_t seed, bool dirty,
                               struct tsn_failure *failure)
{
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot make this folder: %s", folder,
                 strerror(errno));
        return NULL;
    }
    struct tsn_feed *feed = calloc(1, sizeof *feed);
    TSN_MUST_ALLOC(feed);
    feed->seed = seed;
    feed->dirty = dirty;
    for (int i = 0; i < TSN_FEED_TOPICS; i++) {
        int len = snprintf(feed->paths[i], sizeof feed->paths[i], "%s/%s.ndjson", folder,
                           tsn_feed_topic_name((enum tsn_feed_topic)i));
        feed->files[i] = len < (int)sizeof feed->paths[i] ? fopen(feed->paths[i], "w") : NULL;
        if (!feed->files[i]) {
            tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot write this file: %s", feed->paths[i],
                     strerror(errno));
            struct tsn_failure ignored;
            tsn_feed_close(feed, &ignored);
            return NULL;
        }
    }
    return feed;
}

static void put(struct tsn_feed *feed, enum tsn_feed_topic topic, int64_t due_ms, char *text,
                size_t len)
{
    if (feed->n == feed->cap) {
        feed->cap = feed->cap ? feed->cap * 2 : 4096;
        feed->waiting = realloc(feed->waiting, feed->cap * sizeof *feed->waiting);
        TSN_MUST_ALLOC(feed->waiting);
    }
    feed->waiting[feed->n++] = (struct waiting){
        .due_ms = due_ms,
        .serial = feed->serial++,
        .text = text,
        .len = (uint32_t)len,
        .topic = (uint8_t)topic,
    };
}

/* How long a record is on its way: most a moment, a few minutes or hours. */
static int64_t delay_ms(struct tsn_feed *feed, struct tsn_dice *dice)
{
    if (feed->dirty && tsn_dice_chance(dice, 0.01)) {
        feed->counts.late++;
        bool hours = tsn_dice_chance(dice, 0.1);
        return hours ? tsn_dice_between(dice, 3600000, 3 * 3600000)
                     : tsn_dice_between(dice, 5 * 60000, 50 * 60000);
    }
    return tsn_dice_between(dice, 50, 400);
}

/* The ways in which a real feed breaks a record. */
static size_t break_record(struct tsn_dice *dice, char *text, size_t len)
{
    switch (tsn_dice_below(dice, 3)) {
    case 0: /* cut in the middle: the writer's buffer was full */
        len /= 2;
        text[len++] = '\n';
        break;
    case 1: { /* a field that has lost its name */
        char *name = strstr(text, "\"event_time_ms\"");
        if (name) {
            name[1] = 'x';
        }
        break;
    }
    default: { /* Latin-1 in a UTF-8 stream */
        char *name = strstr(text, "\"source\":\"");
        if (name) {
            name[10] = (char)0xe9;
        }
        break;
    }
    }
    return len;
}

void tsn_feed_add(struct tsn_feed *feed, enum tsn_feed_topic topic, int64_t event_ms,
                  const char *text, size_t len)
{
    struct tsn_dice dice = tsn_dice_new(feed->seed, (uint32_t)feed->serial,
                                        (uint32_t)(feed->serial >> 32), TSN_PURPOSE_DIRT);
    int64_t due_ms = event_ms + delay_ms(feed, &dice);
    char *whole = malloc(len + 64);
    TSN_MUST_ALLOC(whole);
    memcpy(whole, text, len);
    size_t whole_len =
        len + (size_t)snprintf(whole + len, 64, ",\"ingest_time_ms\":%lld}\n", (long long)due_ms);
    bool again = feed->dirty && tsn_dice_chance(&dice, 0.005);
    bool broken = feed->dirty && tsn_dice_chance(&dice, 0.0005);
    if (again) {
        char *copy = malloc(whole_len);
        TSN_MUST_ALLOC(copy);
        memcpy(copy, whole, whole_len);
        feed->counts.duplicates++;
        put(feed, topic, due_ms + tsn_dice_between(&dice, 100, 60000), copy, whole_len);
    }
    if (broken) {
        feed->counts.broken++;
        whole_len = break_record(&dice, whole, whole_len);
    }
    put(feed, topic, due_ms, whole, whole_len);
}

static int by_due(const void *a, const void *b)
{
    const struct waiting *x = a;
    const struct waiting *y = b;
    if (x->due_ms != y->due_ms) {
        return x->due_ms < y->due_ms ? -1 : 1;
    }
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

bool tsn_feed_flush(struct tsn_feed *feed, int64_t until_ms, struct tsn_failure *failure)
{
    qsort(feed->waiting, feed->n, sizeof *feed->waiting, by_due);
    size_t done = 0;
    while (done < feed->n && feed->waiting[done].due_ms < until_ms) {
        struct waiting *w = &feed->waiting[done];
        if (fwrite(w->text, 1, w->len, feed->files[w->topic]) != w->len) {
            return tsn_fail(failure, TSN_REMEDY_FATAL, "%s: cannot write: %s",
                            feed->paths[w->topic], strerror(errno));
        }
        feed->counts.records[w->topic]++;
        feed->counts.bytes += w->len;
        free(w->text);
        w->text = NULL;
        done++;
    }
    memmove(feed->waiting, feed->waiting + done, (feed->n - done) * sizeof *feed->waiting);
    feed->n -= done;
    return true;
}

bool tsn_feed_close(struct tsn_feed *feed, struct tsn_failure *failure)
{
    bool ok = true;
    for (int i = 0; i < TSN_FEED_TOPICS; i++) {
        if (feed->files[i] && fclose(feed->files[i]) != 0) {
            ok = tsn_fail(failure, TSN_REMEDY_FATAL, "%s: cannot write: %s", feed->paths[i],
                          strerror(errno));
        }
    }
    for (size_t i = 0; i < feed->n; i++) {
        free(feed->waiting[i].text);
    }
    free(feed->waiting);
    free(feed);
    return ok;
}

struct tsn_feed_counts tsn_feed_counts(const struct tsn_feed *feed)
{
    return feed->counts;
}
