#include "connectors/run/fit.h"

#include <inttypes.h>
#include <string.h>

enum { ASK_MS = 5000 };

bool tsn_fit_start(struct tsn_session *session, size_t from, int64_t *positions,
                   struct tsn_failure *failure)
{
    for (size_t i = from; i < session->origins.n; i++) {
        const struct tsn_origin *origin = &session->origins.items[i];
        int64_t low, high;
        if (tsn_session_interrupted(session, failure) ||
            !tsn_kafka_watermarks(session->kafka, origin->topic, origin->partition, &low, &high,
                                  ASK_MS, failure)) {
            return false;
        }
        positions[i] = session->options->from_end ? high : low;
    }
    return true;
}

bool tsn_fit_positions(struct tsn_session *session, int64_t *positions, bool clip,
                       size_t *n_clipped, struct tsn_failure *failure)
{
    *n_clipped = 0;
    for (size_t i = 0; i < session->origins.n; i++) {
        const struct tsn_origin *origin = &session->origins.items[i];
        int64_t low, high;
        if (tsn_session_interrupted(session, failure) ||
            !tsn_kafka_watermarks(session->kafka, origin->topic, origin->partition, &low, &high,
                                  ASK_MS, failure)) {
            return false;
        }
        if (positions[i] > high) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: %s/%d ends at offset %" PRId64 ", but the committed manifests "
                            "stand at %" PRId64 ": the topic was made anew, the cluster is "
                            "another, or its log was cut. Restore the topic, or start another "
                            "instance",
                            origin->topic, (int)origin->partition, high, positions[i]);
        }
        if (positions[i] >= low) {
            continue;
        }
        if (!clip) {
            return tsn_fail(failure, TSN_REMEDY_CONFIG,
                            "kafka: %s/%d begins at offset %" PRId64 ", but the committed "
                            "manifests stand at %" PRId64 ": the records between were deleted "
                            "before they were read (retention is too short for the outage). To "
                            "go on without them, start another instance; to prevent it, raise "
                            "retention.ms",
                            origin->topic, (int)origin->partition, low, positions[i]);
        }
        positions[i] = low;
        ++*n_clipped;
    }
    return true;
}

bool tsn_fit_cluster(const struct tsn_session *session, const struct tsn_manifest *last,
                     struct tsn_failure *failure)
{
    if (!last->cluster_id || strcmp(last->cluster_id, session->cluster_id) == 0) {
        return true;
    }
    return tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "kafka: this cluster is %s, the manifests in topic %s were written on %s: "
                    "offsets mean nothing here. Point bootstrap.servers to the old cluster, or "
                    "start another instance",
                    session->cluster_id, session->config->topics.manifest, last->cluster_id);
}

bool tsn_fit_origins(const struct tsn_session *session, const struct tsn_manifest *manifest,
                     struct tsn_failure *failure)
{
    const struct tsn_origins *origins = &session->origins;
    bool same = manifest->n_origins <= origins->n;
    for (size_t i = 0; same && i < manifest->n_origins; i++) {
        same = manifest->origins[i].partition == origins->items[i].partition &&
               strcmp(manifest->origins[i].topic, origins->items[i].topic) == 0;
    }
    return same || tsn_fail(failure, TSN_REMEDY_STAND_BY,
                            "manifest %" PRIu64 " reads other sources than the ones before it: "
                            "whoever leads was started with another configuration",
                            manifest->sequence);
}

bool tsn_fit_checkpoint(const struct tsn_session *session, const struct tsn_checkpoint_meta *meta,
                        uint64_t newest, struct tsn_failure *failure)
{
    if (strcmp(meta->cluster_id, session->cluster_id) != 0) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "redis holds a checkpoint of cluster %.63s, this is cluster %s; use "
                        "another Redis database or another `instance:` name",
                        meta->cluster_id, session->cluster_id);
    }
    if (meta->semantics != TSN_ENGINE_SEMANTICS) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "the checkpoint of manifest %" PRIu64 " was made by engine semantics %u, "
                        "this binary has %u: its state is not what this one would have. Use the "
                        "version that made it; or remove the checkpoint (another Redis database), "
                        "and this one rebuilds the state from Kafka by its own semantics",
                        meta->sequence, meta->semantics, (unsigned)TSN_ENGINE_SEMANTICS);
    }
    if (meta->sequence > newest && /* committed since, if somebody leads meanwhile */
        !tsn_session_tail(session->config, &newest, failure)) {
        return false;
    }
    return meta->sequence <= newest ||
           tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "redis holds a checkpoint of manifest %" PRIu64 ", but topic %s ends with "
                    "%" PRIu64 ": committed manifests were lost, or the checkpoint is "
                    "another instance's",
                    meta->sequence, session->config->topics.manifest, newest);
}

bool tsn_fit_no_manifest(const struct tsn_session *session, uint64_t sequence,
                         struct tsn_failure *failure)
{
    uint64_t newest;
    if (!tsn_session_tail(session->config, &newest, failure)) {
        return false;
    }
    if (newest >= sequence) { /* another's first start, since the topic was read */
        return tsn_fail(failure, TSN_REMEDY_STAND_BY,
                        "another instance took over while this one recovered");
    }
    return tsn_fail(failure, TSN_REMEDY_CONFIG,
                    "redis holds a checkpoint of manifest %" PRIu64 ", but topic %s holds no "
                    "manifest: it was made anew or is another one. Restore the topic; or, to "
                    "begin again, start with another `instance:` name",
                    sequence, session->config->topics.manifest);
}
