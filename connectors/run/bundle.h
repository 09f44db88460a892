/* Bundle: the bytes of a program - pack text and list files - as one thing that can
 * be published, so that a replay has the rules of that day.
 *
 * Form: a line "tocsin-program 1 N", then N times a line "NAME_LEN CONTENT_LEN" and
 * the name and the content, each followed by a newline; the pack comes first. Text
 * with counts, because a person may want to read it with kcat. The programs topic
 * is keyed "HASH/PART/PARTS" and compacted; parts keep below the broker's record
 * limit whatever a list file holds.
 */
#ifndef TSN_CONNECTORS_RUN_BUNDLE_H
#define TSN_CONNECTORS_RUN_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/kafka/kafka.h"
#include "connectors/wire/wire.h"
#include "rules/arena/arena.h"
#include "rules/diag/diag.h"

struct tsn_program;

struct tsn_bundle {
    char *bytes;
    size_t len;
    struct tsn_program *prog; /* compiled from these bytes; the bundle's */
};

/* Reads and compiles the configuration's pack and its list files. NULL: errors in
 * diags. */
struct tsn_bundle *tsn_bundle_load(const struct tsn_config *config, struct tsn_diags *diags);

/* From published bytes (copied). */
struct tsn_bundle *tsn_bundle_read(const char *bytes, size_t len, struct tsn_diags *diags);
void tsn_bundle_free(struct tsn_bundle *bundle);

enum { TSN_BUNDLE_PART_BYTES = 512 * 1024 };

/* Bytes known by a hash - a program, or the settings in force - as records of the
 * programs topic. The value of part i is borrowed. */
size_t tsn_bundle_bytes_parts(size_t len);
void tsn_bundle_bytes_part(const uint8_t hash[32], const char *bytes, size_t len, size_t i,
                           const char *topic, struct tsn_arena *arena, struct tsn_message *message);
/* And back, with a NUL behind; the caller's. CONFIG when the topic does not hold them
 * (whole): the text names them as `what`. */
bool tsn_bundle_bytes_fetch(const struct tsn_config *config, struct tsn_kafka *kafka,
                            const uint8_t hash[32], const char *what, char **bytes, size_t *len,
                            struct tsn_failure *failure);

/* Fetches the program of this hash from the programs topic. CONFIG when the topic
 * does not hold it (whole). */
struct tsn_bundle *tsn_bundle_fetch(const struct tsn_config *config, struct tsn_kafka *kafka,
                                    const uint8_t hash[32], struct tsn_failure *failure);

/* 64 hex digits and a NUL. */
void tsn_bundle_hex(const uint8_t hash[32], char hex[65]);

#endif
