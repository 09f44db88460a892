/* Rejects on the wire: the record as it came, and why it was refused.
 *
 * Key, headers and value stay as they were, so that a mended source can be fed from
 * the reject topic; ours are added behind, named tocsin_*. Nothing an input can hold
 * makes a reject larger than three limits: what is beyond is cut and said so, else
 * one record could stop every transaction after it.
 */
#include <inttypes.h>
#include <string.h>

#include "connectors/wire/wire.h"
#include "rules/must/must.h"

enum {
    REJECT_BYTES_MAX = 64 * 1024, /* of the value; of the key; of all original headers */
    OWN_HEADERS = 7,
    HEADER_COST = 16, /* what an empty one takes at least */
};

static void header_add(struct tsn_message *message, struct tsn_header *headers, const char *name,
                       const char *value)
{
    headers[message->n_headers++] = (struct tsn_header){name, value, strlen(value)};
}

static size_t headers_bytes(const struct tsn_header *headers, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += HEADER_COST + strlen(headers[i].name) + headers[i].len;
    }
    return bytes;
}

static size_t cut(size_t len, bool *truncated)
{
    if (len <= REJECT_BYTES_MAX) {
        return len;
    }
    *truncated = true;
    return REJECT_BYTES_MAX;
}

/* Memory that the message may keep; NULL stays NULL (a tombstone has no value). */
static const char *keep(struct tsn_arena *arena, const char *bytes, size_t len)
{
    return bytes ? tsn_arena_strdup(arena, bytes, len) : NULL;
}

void tsn_wire_reject(const struct tsn_wire *wire, const struct tsn_record *record,
                     const struct tsn_reject *reject, const char *key, size_t key_len,
                     const struct tsn_header *headers, size_t n_headers, struct tsn_arena *arena,
                     struct tsn_message *message)
{
    TSN_MUST(record->source < wire->n_origins);
    const struct tsn_origin *origin = &wire->origins[record->source];
    bool truncated = false;
    size_t len = cut(record->len, &truncated);
    key_len = cut(key_len, &truncated);
    if (headers_bytes(headers, n_headers) > REJECT_BYTES_MAX) {
        truncated = true;
        n_headers = 0;
    }
    struct tsn_header *all = tsn_arena_alloc(arena, (n_headers + OWN_HEADERS) * sizeof *all);
    *message = (struct tsn_message){
        .topic = wire->rejects_topic,
        .key = keep(arena, key, key_len),
        .key_len = key_len,
        .value = keep(arena, record->bytes, len),
        .len = len,
        .headers = all,
    };
    for (size_t i = 0; i < n_headers; i++) {
        all[message->n_headers++] = (struct tsn_header){
            .name = tsn_arena_printf(arena, "%s", headers[i].name),
            .value = keep(arena, headers[i].value, headers[i].len),
            .len = headers[i].len,
        };
    }
    header_add(message, all, "tocsin_topic", origin->topic);
    header_add(message, all, "tocsin_partition",
               tsn_arena_printf(arena, "%" PRId32, origin->partition));
    header_add(message, all, "tocsin_offset",
               tsn_arena_printf(arena, "%" PRId64, record->position));
    if (record->timestamp_ms != TSN_NO_TIMESTAMP) {
        header_add(message, all, "tocsin_timestamp",
                   tsn_arena_printf(arena, "%" PRId64, record->timestamp_ms));
    }
    header_add(message, all, "tocsin_reason", tsn_reject_word(reject->reason));
    header_add(message, all, "tocsin_text", tsn_arena_printf(arena, "%s", reject->text));
    if (truncated) {
        header_add(message, all, "tocsin_truncated", "1");
    }
}
