/* Ask: for memory that will be needed soon.
 *
 * __builtin_prefetch alone has no effect in the eyes of gcc: a function that does nothing
 * else is dropped with its calls (gcc 12, -O2). The empty assembly keeps both; it costs no
 * instruction.
 */
#ifndef TSN_ENGINE_ENTITY_ASK_H
#define TSN_ENGINE_ENTITY_ASK_H

/* The cache line at `at`, to be read; any address may be given. */
static inline void tsn_ask(const void *at)
{
    __asm__ volatile("");
    __builtin_prefetch(at);
}

/* The same, to be written. */
static inline void tsn_ask_write(const void *at)
{
    __asm__ volatile("");
    __builtin_prefetch(at, 1);
}

#endif
