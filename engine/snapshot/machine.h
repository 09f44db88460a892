/* Machine: what rows of numbers may be written and read with where this process runs.
 *
 * Chosen at run time, so that one binary serves all: a function marked TSN_WIDE or TSN_BMI2
 * is compiled for instructions that the rest of the program does without, and called only
 * where the machine has them. Callers: numbers.c, numbers_bmi2.c, numbers_get.c, and the test
 * that compares their ways.
 */
#ifndef TSN_ENGINE_SNAPSHOT_MACHINE_H
#define TSN_ENGINE_SNAPSHOT_MACHINE_H

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

/* AVX-512 with its byte instructions. */
#define TSN_WIDE                                                                                   \
    __attribute__((                                                                                \
        target("avx512f,avx512bw,avx512vl,avx512cd,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")))

static inline bool tsn_wide_runs_here(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi2");
}

/* Bits deposited into bytes by one instruction. Whatever has BMI2 has lzcnt, for which
 * clang 14 cannot ask. */
#define TSN_BMI2 __attribute__((target("bmi,bmi2,lzcnt")))

static inline bool tsn_bmi2_runs_here(void)
{
    return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

/* AMD before Zen 3, and what others built of Zen, deposit bit by bit: slower than shifts. */
static inline bool tsn_bmi2_is_fast_here(void)
{
    return tsn_bmi2_runs_here() && (__builtin_cpu_is("intel") ||
                                    (__builtin_cpu_is("amd") && !__builtin_cpu_is("amdfam15h") &&
                                     !__builtin_cpu_is("amdfam17h")));
}
#endif

#endif
