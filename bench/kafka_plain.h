/* Plain: a publisher without transactions, for `./dev bench kafka` only.
 *
 * What exactly-once costs is measured against the same engine whose output is sent
 * and acknowledged, but not in a transaction: at least once. The program is linked so
 * that calls of the publisher come here first (CMakeLists.txt: --wrap); the product
 * has no such switch.
 */
#ifndef TSN_BENCH_KAFKA_PLAIN_H
#define TSN_BENCH_KAFKA_PLAIN_H

/* From the next publisher that is opened in this process on. */
void plain_use(void);

#endif
