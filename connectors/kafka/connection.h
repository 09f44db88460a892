/* What the files of this folder share: properties -> configuration, the one
 * translation of the library's errors, and an end that cannot hang.
 */
#ifndef TSN_CONNECTORS_KAFKA_CONNECTION_H
#define TSN_CONNECTORS_KAFKA_CONNECTION_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/wire/wire.h"

enum tsn_client_role { TSN_CLIENT_ASK, TSN_CLIENT_READ, TSN_CLIENT_PUBLISH, TSN_CLIENT_LEAD };

/* What the library said last, written by its threads: the opaque of every client.
 * Lives as long as the client. */
struct tsn_client_news {
    _Atomic int down;       /* all brokers are unreachable */
    _Atomic int last_error; /* rd_kafka_resp_err_t of the last error event */
    _Atomic int lock;       /* guards text */
    char text[256];
};

/* A configuration of this role: our defaults, then the user's `kafka` properties,
 * then those of `consumer` or `producer`; what correctness rests on last. NULL: a
 * property was refused, and the failure names it. `n_shares`: partitions that the
 * prefetch budget is shared by (READ). */
rd_kafka_conf_t *tsn_client_conf(const struct tsn_config *config, enum tsn_client_role role,
                                 size_t n_shares, size_t budget_bytes, struct tsn_client_news *news,
                                 struct tsn_failure *failure);

/* The group whose offsets are committed for people's lag tools, into `text`: the user's
 * group.id, else one named after the instance. Nobody joins it: of all clients only the
 * leader's has a group, and that is another one. */
const char *tsn_client_group(const struct tsn_config *config, char *text, size_t cap);

/* rd_kafka_new; takes the configuration. NULL on failure. */
rd_kafka_t *tsn_client_new(rd_kafka_conf_t *conf, enum tsn_client_role role,
                           struct tsn_failure *failure);

/* Ends a client in a thread of its own and waits at most timeout_ms for it: the
 * library waits for ever when a reference was leaked, and a process that ends must
 * end. True if it ended; if not, `news` must stay valid (it is leaked too). */
bool tsn_client_end(rd_kafka_t *rk, int timeout_ms);

/* A record's headers for the library, which takes them with the record it accepts. */
rd_kafka_headers_t *tsn_client_headers(const struct tsn_message *message);

/* The text of the last news, or "". */
void tsn_client_text(struct tsn_client_news *news, char *text, size_t cap);

/* The one translation of the library's errors. `flags`: what an rd_kafka_error_t
 * says beside its code, or 0. `what` completes the sentence "cannot ...". */
enum { TSN_ERROR_RETRIABLE = 1, TSN_ERROR_ABORTABLE = 2, TSN_ERROR_FATAL = 4 };
bool tsn_client_failure(struct tsn_failure *failure, rd_kafka_resp_err_t code, int flags,
                        const char *detail, const char *what_format, ...)
    __attribute__((format(printf, 5, 6)));
/* The same for an error object, which is destroyed. */
bool tsn_client_error(struct tsn_failure *failure, rd_kafka_error_t *error, const char *what);

#endif
