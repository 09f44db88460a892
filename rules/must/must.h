/* Always-on assertions.
 *
 * A TSN_MUST that fails is a bug in tocsin, never the fault of an input: no
 * record, pack, configuration or server answer may be able to trip one. They
 * stay on in release builds because a fraud engine that goes on with broken
 * state sends wrong warnings; the cost is a predicted branch.
 */
#ifndef TSN_RULES_MUST_MUST_H
#define TSN_RULES_MUST_MUST_H

/* Prints what failed and where on stderr, then aborts. Any thread. */
#ifdef __cplusplus
extern "C" [[noreturn]] void tsn_must_failed(const char *what, const char *file, int line);
#else
_Noreturn void tsn_must_failed(const char *what, const char *file, int line);
#endif

#define TSN_MUST(cond) ((cond) ? (void)0 : tsn_must_failed(#cond, __FILE__, __LINE__))

/* A pointer that may not be NULL, such as what an allocator gave: running out
 * of memory ends the process (the kernel's overcommit makes anything else a
 * fiction), and recovery from Kafka and Redis is the remedy. */
#define TSN_MUST_ALLOC(p)                                                                          \
    ((p) ? (void)0 : tsn_must_failed("out of memory: " #p, __FILE__, __LINE__))

#endif
