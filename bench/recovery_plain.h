/* The other of bench recovery: a plain pipelined read, by hiredis alone, of all records
 * that a store has in a Redis. Nothing is opened and nothing kept. */
#ifndef TSN_BENCH_RECOVERY_PLAIN_H
#define TSN_BENCH_RECOVERY_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

struct recovery_plain {
    double seconds, cpu_s; /* of the wall clock, of this thread */
    uint64_t records, bytes;
    bool changes; /* some of it is changes not folded yet: records may come twice */
};

struct recovery_plain recovery_plain_read(const char *socket);

#endif
