/* A reader of partitions that are made up, for the tests of the feed: record o of
 * partition p is a function of both, so nothing is kept. Every record given out is a
 * piece of memory of its own, so that whoever reads one that he gave back is caught. */
#ifndef TSN_TESTS_UNIT_CONNECTORS_RUN_FEED_READER_H
#define TSN_TESTS_UNIT_CONNECTORS_RUN_FEED_READER_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* MADE_EARLIER: records that are given before the position asked for, as of a batch that
 * is fetched whole. */
enum { MADE_PARTITIONS = 16, MADE_TEXT = 128, MADE_BAD_EVERY = 97, MADE_EARLIER = 5 };

struct made {
    int64_t n_records;                  /* of each partition */
    int64_t known_end[MADE_PARTITIONS]; /* what the broker said of its end last */
    size_t most;                        /* items a call; 0: as many as are asked for */
    int64_t fails_at;                   /* no partition can be read on from here; 0: none */
    atomic_long n_out;                  /* records given and not given back */
    atomic_long n_other_thread;         /* calls that another thread made */
    bool gated;                         /* those post `in`, wait for `on`, post `out` */
    sem_t in, on, out;
};

extern struct made made;

/* Zeroed, with partitions of so many records. */
void made_begin(int64_t n_records);
void made_end(void);

/* Every MADE_BAD_EVERY-th cannot be decoded. */
bool made_is_bad(int64_t offset);
int64_t made_time_ms(size_t partition, int64_t offset);
/* Returns the length. */
size_t made_value(size_t partition, int64_t offset, char value[MADE_TEXT]);
size_t made_key(size_t partition, int64_t offset, char key[MADE_TEXT]);

#endif
