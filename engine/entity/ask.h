/* Ask: for memory that will be needed soon.
 *
 * __builtin_prefetch alone has no effect in the eyes of gcc: a function that does nothing
 * else is dropped with its calls (gcc 12, -O2). The empty assembly keeps both; it costs no
 * instruction.
 *
 * Into the second cache, not the first: many lines are asked for in a row here, and an AMD EPYC
 * 9004 drops what it has no room for on the way to the first. Of 64 random lines in
 * a row half were not there when they were read, however much later: 6 to 9 ns a line to ask and 5
 * to 6 to read, beside 5 to 9 and 1 this way, and 11 to 13 to read what nobody had asked for. To
 * read a line in the second cache costs little where the next reads do not wait for it.
 */
#ifndef TSN_ENGINE_ENTITY_ASK_H
#define TSN_ENGINE_ENTITY_ASK_H

/* The cache line at `at`, to be read; any address may be given. */
static inline void tsn_ask(const void *at)
{
    __asm__ volatile("");
    __builtin_prefetch(at, 0, 2);
}

/* The same, to be written. */
static inline void tsn_ask_write(const void *at)
{
    __asm__ volatile("");
    __builtin_prefetch(at, 1, 2);
}

#endif
