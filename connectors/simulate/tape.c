#include "connectors/simulate/tape.h"

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

struct tsn_tape {
    uint64_t seed;
    bool dirty;
    uint64_t serial;
    size_t n;
    size_t cap;
    struct waiting *waiting;
    FILE *files[TSN_TAPE_TOPICS];
    char paths[TSN_TAPE_TOPICS][512];
    struct tsn_tape_counts counts;
};

const char *tsn_tape_topic_name(enum tsn_tape_topic topic)
{
    static const char *const names[] = {
#define TAPE_NAME(id, topic) topic,
        TSN_TAPE_TABLE(TAPE_NAME)
#undef TAPE_NAME
    };
    return names[topic];
}

struct tsn_tape *tsn_tape_open(const char *folder, uint64_t seed, bool dirty,
                               struct tsn_failure *failure)
{
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot make this folder: %s", folder,
                 strerror(errno));
        return NULL;
    }
    struct tsn_tape *tape = calloc(1, sizeof *tape);
    TSN_MUST_ALLOC(tape);
    tape->seed = seed;
    tape->dirty = dirty;
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        int len = snprintf(tape->paths[i], sizeof tape->paths[i], "%s/%s.ndjson", folder,
                           tsn_tape_topic_name((enum tsn_tape_topic)i));
        tape->files[i] = len < (int)sizeof tape->paths[i] ? fopen(tape->paths[i], "w") : NULL;
        if (!tape->files[i]) {
            tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot write this file: %s", tape->paths[i],
                     strerror(errno));
            struct tsn_failure ignored;
            tsn_tape_close(tape, &ignored);
            return NULL;
        }
    }
    return tape;
}

static void put(struct tsn_tape *tape, enum tsn_tape_topic topic, int64_t due_ms, char *text,
                size_t len)
{
    if (tape->n == tape->cap) {
        tape->cap = tape->cap ? tape->cap * 2 : 4096;
        tape->waiting = realloc(tape->waiting, tape->cap * sizeof *tape->waiting);
        TSN_MUST_ALLOC(tape->waiting);
    }
    tape->waiting[tape->n++] = (struct waiting){
        .due_ms = due_ms,
        .serial = tape->serial++,
        .text = text,
        .len = (uint32_t)len,
        .topic = (uint8_t)topic,
    };
}

/* How long a record is on its way: most a moment, a few minutes or hours. */
static int64_t delay_ms(struct tsn_tape *tape, struct tsn_dice *dice)
{
    if (tape->dirty && tsn_dice_chance(dice, 0.01)) {
        tape->counts.late++;
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

void tsn_tape_add(struct tsn_tape *tape, enum tsn_tape_topic topic, int64_t event_ms,
                  const char *text, size_t len)
{
    struct tsn_dice dice = tsn_dice_new(tape->seed, (uint32_t)tape->serial,
                                        (uint32_t)(tape->serial >> 32), TSN_PURPOSE_DIRT);
    int64_t due_ms = event_ms + delay_ms(tape, &dice);
    char *whole = malloc(len + 64);
    TSN_MUST_ALLOC(whole);
    memcpy(whole, text, len);
    size_t whole_len =
        len + (size_t)snprintf(whole + len, 64, ",\"ingest_time_ms\":%lld}\n", (long long)due_ms);
    bool again = tape->dirty && tsn_dice_chance(&dice, 0.005);
    bool broken = tape->dirty && tsn_dice_chance(&dice, 0.0005);
    if (again) {
        char *copy = malloc(whole_len);
        TSN_MUST_ALLOC(copy);
        memcpy(copy, whole, whole_len);
        tape->counts.duplicates++;
        put(tape, topic, due_ms + tsn_dice_between(&dice, 100, 60000), copy, whole_len);
    }
    if (broken) {
        tape->counts.broken++;
        whole_len = break_record(&dice, whole, whole_len);
    }
    put(tape, topic, due_ms, whole, whole_len);
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

bool tsn_tape_flush(struct tsn_tape *tape, int64_t until_ms, struct tsn_failure *failure)
{
    qsort(tape->waiting, tape->n, sizeof *tape->waiting, by_due);
    size_t done = 0;
    while (done < tape->n && tape->waiting[done].due_ms < until_ms) {
        struct waiting *w = &tape->waiting[done];
        if (fwrite(w->text, 1, w->len, tape->files[w->topic]) != w->len) {
            return tsn_fail(failure, TSN_REMEDY_FATAL, "%s: cannot write: %s",
                            tape->paths[w->topic], strerror(errno));
        }
        tape->counts.records[w->topic]++;
        tape->counts.bytes += w->len;
        free(w->text);
        w->text = NULL;
        done++;
    }
    memmove(tape->waiting, tape->waiting + done, (tape->n - done) * sizeof *tape->waiting);
    tape->n -= done;
    return true;
}

bool tsn_tape_close(struct tsn_tape *tape, struct tsn_failure *failure)
{
    bool ok = true;
    for (int i = 0; i < TSN_TAPE_TOPICS; i++) {
        if (tape->files[i] && fclose(tape->files[i]) != 0) {
            ok = tsn_fail(failure, TSN_REMEDY_FATAL, "%s: cannot write: %s", tape->paths[i],
                          strerror(errno));
        }
    }
    for (size_t i = 0; i < tape->n; i++) {
        free(tape->waiting[i].text);
    }
    free(tape->waiting);
    free(tape);
    return ok;
}

struct tsn_tape_counts tsn_tape_counts(const struct tsn_tape *tape)
{
    return tape->counts;
}
