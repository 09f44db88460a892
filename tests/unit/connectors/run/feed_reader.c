#include "tests/unit/connectors/run/feed_reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka.h"
#include "rules/must/must.h"

struct made made;

struct tsn_reader {
    pthread_t opener;
    size_t n;
    int64_t at[MADE_PARTITIONS];
    bool said_end[MADE_PARTITIONS];
};

void made_begin(int64_t n_records)
{
    memset(&made, 0, sizeof made);
    made.n_records = n_records;
    for (size_t i = 0; i < MADE_PARTITIONS; i++) {
        made.known_end[i] = n_records;
    }
    TSN_MUST(sem_init(&made.in, 0, 0) == 0 && sem_init(&made.on, 0, 0) == 0 &&
             sem_init(&made.out, 0, 0) == 0);
}

void made_end(void)
{
    sem_destroy(&made.in);
    sem_destroy(&made.on);
    sem_destroy(&made.out);
}

bool made_is_bad(int64_t offset)
{
    return offset % MADE_BAD_EVERY == MADE_BAD_EVERY / 2;
}

int64_t made_time_ms(size_t partition, int64_t offset)
{
    int64_t jitter = (offset * 7919 + (int64_t)partition * 104729) % 64;
    return 1700000000000 + offset * 10 + jitter;
}

size_t made_value(size_t partition, int64_t offset, char value[MADE_TEXT])
{
    if (made_is_bad(offset)) {
        return (size_t)snprintf(value, MADE_TEXT, "no record %zu of %lld", partition,
                                (long long)offset);
    }
    return (size_t)snprintf(value, MADE_TEXT, "{\"t\":%lld,\"id\":\"%zu-%lld\",\"i\":%lld}",
                            (long long)made_time_ms(partition, offset), partition,
                            (long long)offset, (long long)offset);
}

size_t made_key(size_t partition, int64_t offset, char key[MADE_TEXT])
{
    return (size_t)snprintf(key, MADE_TEXT, "key %zu-%lld", partition, (long long)offset);
}

struct tsn_reader *tsn_reader_open(const struct tsn_config *config,
                                   const struct tsn_reader_partition *partitions, size_t n,
                                   size_t budget_bytes, struct tsn_failure *failure)
{
    (void)config;
    (void)budget_bytes;
    (void)failure;
    TSN_MUST(n <= MADE_PARTITIONS);
    struct tsn_reader *reader = calloc(1, sizeof *reader);
    TSN_MUST_ALLOC(reader);
    reader->opener = pthread_self();
    reader->n = n;
    for (size_t i = 0; i < n; i++) {
        int64_t start = partitions[i].start - MADE_EARLIER;
        reader->at[i] = start > 0 ? start : 0;
    }
    return reader;
}

void tsn_reader_close(struct tsn_reader *reader)
{
    TSN_MUST(atomic_load(&made.n_out) == 0);
    free(reader);
}

int tsn_reader_fd(const struct tsn_reader *reader)
{
    (void)reader;
    return -1;
}

void tsn_reader_quiet(struct tsn_reader *reader)
{
    (void)reader;
}

/* Key and value in one piece, exactly as long as they are. */
static struct tsn_fetched record_of(size_t partition, int64_t offset)
{
    char value[MADE_TEXT], key[MADE_TEXT];
    size_t len = made_value(partition, offset, value);
    size_t key_len = made_key(partition, offset, key);
    char *message = malloc(len + key_len);
    TSN_MUST_ALLOC(message);
    memcpy(message, value, len);
    memcpy(message + len, key, key_len);
    atomic_fetch_add(&made.n_out, 1);
    return (struct tsn_fetched){.kind = TSN_FETCHED_RECORD,
                                .offset = offset,
                                .timestamp_ms = made_time_ms(partition, offset),
                                .value = message,
                                .len = len,
                                .key = message + len,
                                .key_len = key_len,
                                .message = message};
}

static bool fetch(struct tsn_reader *reader, size_t partition, struct tsn_fetched *items,
                  size_t cap, size_t *n, struct tsn_failure *failure)
{
    size_t most = made.most && made.most < cap ? made.most : cap;
    int64_t *at = &reader->at[partition];
    for (*n = 0; *n < most && *at < made.n_records; (*at)++) {
        if (made.fails_at && *at == made.fails_at) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG, "made to fail");
        }
        items[(*n)++] = record_of(partition, *at);
        reader->said_end[partition] = false;
    }
    if (*n < most && !reader->said_end[partition]) {
        items[(*n)++] = (struct tsn_fetched){.kind = TSN_FETCHED_END, .offset = *at};
        reader->said_end[partition] = true;
    }
    return true;
}

bool tsn_reader_fetch(struct tsn_reader *reader, size_t partition, struct tsn_fetched *items,
                      size_t cap, size_t *n, struct tsn_failure *failure)
{
    TSN_MUST(partition < reader->n);
    if (pthread_equal(pthread_self(), reader->opener)) {
        return fetch(reader, partition, items, cap, n, failure);
    }
    atomic_fetch_add(&made.n_other_thread, 1);
    if (!made.gated) {
        return fetch(reader, partition, items, cap, n, failure);
    }
    sem_post(&made.in);
    sem_wait(&made.on);
    bool ok = fetch(reader, partition, items, cap, n, failure);
    sem_post(&made.out);
    return ok;
}

void tsn_fetched_release(struct tsn_fetched *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        atomic_fetch_sub(&made.n_out, items[i].message != NULL);
        free(items[i].message);
    }
}

size_t tsn_fetched_headers(const struct tsn_fetched *item, struct tsn_header *headers, size_t cap)
{
    TSN_MUST(cap >= 1 && item->message);
    headers[0] = (struct tsn_header){.name = "key", .value = item->key, .len = item->key_len};
    return 1;
}

int64_t tsn_reader_end(const struct tsn_reader *reader, size_t partition)
{
    (void)reader;
    return made.known_end[partition];
}

bool tsn_reader_trouble(struct tsn_reader *reader, struct tsn_failure *failure)
{
    (void)reader;
    (void)failure;
    return false;
}
