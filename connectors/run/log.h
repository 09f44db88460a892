/* Lines for the operator, on stderr: one a happening, none a record, nothing of
 * what an event says. */
#ifndef TSN_CONNECTORS_RUN_LOG_H
#define TSN_CONNECTORS_RUN_LOG_H

/* Writes "tocsin: <text>" and a newline in one write. Any thread. */
void tsn_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
