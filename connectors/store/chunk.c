#include "connectors/store/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

_Static_assert((int)TSN_CHUNK_RECORDS <= (int)TSN_OPENINGS_MAX &&
                   (int)TSN_LAYOUT_FIELD == (int)TSN_OPENING_OWN &&
                   (int)TSN_LAYOUT_KEY_MAX <= (int)TSN_OPENING_CONTEXT_MAX,
               "a chunk is opened at once");

void tsn_chunk_reset(struct tsn_chunk *chunk, unsigned slot)
{
    if (chunk->cap > 4 * (size_t)TSN_CHUNK_BYTES) {
        tsn_chunk_free(chunk);
    }
    chunk->slot = slot;
    chunk->last = false;
    chunk->n = chunk->n_bad = chunk->used = 0;
}

void tsn_chunk_free(struct tsn_chunk *chunk)
{
    free(chunk->bytes);
    chunk->bytes = NULL;
    chunk->cap = 0;
}

void tsn_chunk_add(struct tsn_chunk *chunk, const uint8_t field[TSN_LAYOUT_FIELD],
                   const void *sealed, size_t len)
{
    TSN_MUST(!tsn_chunk_full(chunk));
    size_t need = chunk->used + TSN_LAYOUT_FIELD + len;
    if (need > chunk->cap) {
        chunk->cap = need > TSN_CHUNK_BYTES ? need + need / 4 : TSN_CHUNK_BYTES;
        chunk->bytes = realloc(chunk->bytes, chunk->cap);
        TSN_MUST_ALLOC(chunk->bytes);
    }
    memcpy(chunk->bytes + chunk->used, field, TSN_LAYOUT_FIELD);
    memcpy(chunk->bytes + chunk->used + TSN_LAYOUT_FIELD, sealed, len);
    chunk->records[chunk->n++] = (struct tsn_chunk_record){.at = chunk->used, .len = len};
    chunk->used = need;
}

void tsn_chunk_open(struct tsn_chunk *chunk, const struct tsn_layout *layout,
                    const struct tsn_keys *keys)
{
    static const uint8_t no_field[TSN_LAYOUT_FIELD];
    struct tsn_opening openings[TSN_CHUNK_RECORDS];
    char context[TSN_LAYOUT_KEY_MAX];
    size_t context_len = tsn_layout_context(layout, chunk->slot, no_field, context);
    for (size_t i = 0; i < chunk->n; i++) {
        const struct tsn_chunk_record *record = &chunk->records[i];
        uint8_t *field = chunk->bytes + record->at;
        openings[i] = (struct tsn_opening){
            .own = field, .sealed = field + TSN_LAYOUT_FIELD, .len = record->len};
    }
    tsn_keys_open_many(keys, context, context_len - TSN_LAYOUT_FIELD, openings, chunk->n);
    size_t i = 0;
    for (; i < chunk->n; i++) {
        struct tsn_chunk_record *record = &chunk->records[i];
        if (!openings[i].ours || record->len < TSN_SEAL_OVERHEAD + TSN_LAYOUT_HEADER) {
            break;
        }
        record->plain = openings[i].sealed + TSN_SEAL_NONCE;
        record->len -= TSN_SEAL_OVERHEAD;
    }
    chunk->n_bad = i;
}
