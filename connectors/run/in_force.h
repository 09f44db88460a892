/* In force: the settings and source mappings that results depend on, beside the program.
 *
 * A manifest carries their keyed digest, and the programs topic their text (one line a
 * setting, "engine.lateness: 3600000 ms"), so that a replay under another configuration
 * does not differ in silence: it is refused, and the text says which setting it is.
 * Settings that change no result (batch sizes, time-outs, merge slack - the order is in
 * the manifest) are not among them. The digest is keyed with the deployment's secret,
 * because alert ids are: another key file gives another digest and the same text.
 */
#ifndef TSN_CONNECTORS_RUN_IN_FORCE_H
#define TSN_CONNECTORS_RUN_IN_FORCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "connectors/failure/failure.h"
#include "connectors/kafka/kafka.h"
#include "connectors/keys/keys.h"
#include "connectors/wire/wire.h"

struct tsn_in_force {
    const struct tsn_config *config;
    uint8_t digest[32];
    char *text;
    size_t len;
    bool lenient;         /* differences are said and lived with */
    uint8_t accepted[32]; /* another digest that was looked at and may be replayed */
    uint32_t semantics;   /* of the engine that wrote what was replayed last, if another; or 0 */
};

/* Of this configuration; borrowed. */
void tsn_in_force_init(struct tsn_in_force *in_force, const struct tsn_config *config,
                       const struct tsn_keys *keys);
void tsn_in_force_free(struct tsn_in_force *in_force);

/* Names what differs between two texts, the first few, in `names` ("engine.lateness,
 * sources.cdr.call.fields.caller"); sources that only `now` has do not count. False:
 * nothing. */
bool tsn_in_force_differ(const char *then, const char *now, char *names, size_t cap);

/* May this manifest be replayed with what is in force here? CONFIG when it was written
 * under other settings, unless lenient. Its text is fetched once a digest. */
bool tsn_in_force_fit(struct tsn_in_force *in_force, const struct tsn_manifest *manifest,
                      struct tsn_kafka *kafka, struct tsn_failure *failure);

#endif
