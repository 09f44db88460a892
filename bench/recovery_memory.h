/* What the kernel's memory costs whoever touches it first, and how it is brought into the
 * state that a restore is to find.
 *
 * A virtual machine's host may give memory only when the guest touches it for the first
 * time, and take back what the guest freed after some seconds: then a page costs its
 * first user what the host takes to find one, and whoever gets it later what the kernel
 * takes to clear it. Children do the touching here, so that the process that restores
 * has every page from the kernel, cleared, as any process has.
 */
#ifndef TSN_BENCH_RECOVERY_MEMORY_H
#define TSN_BENCH_RECOVERY_MEMORY_H

#include <stdint.h>

/* A child touches so many bytes, in huge pages where it can have them, and ends; returns
 * the ns a byte that the first touch took. */
double recovery_memory_touch(uint64_t bytes);
/* The same until it becomes no cheaper: a child does not get quite the pages of the one before. */
void recovery_memory_use(uint64_t bytes);

/* Memory of the machine that is in use until a restore wants it. */
struct recovery_memory;

/* A child takes so many bytes, and gives them back to the kernel as a restore goes on: *done of
 * `all`, some way ahead of it, so that the host has no time to take them. *done is in shared
 * memory. Returns when all are touched; *touch_ns: what a byte took. */
struct recovery_memory *recovery_memory_hold(uint64_t bytes, const volatile uint64_t *done,
                                             uint64_t all, double *touch_ns);
/* All of it is given back. */
void recovery_memory_end(struct recovery_memory *memory);

#endif
