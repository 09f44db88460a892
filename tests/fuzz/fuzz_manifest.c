/* Manifests: whatever is read is canonical, so writing it again gives the same bytes - of
 * the current format: format 1 is written no more. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "connectors/wire/wire.h"
#include "rules/must/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    struct tsn_manifest manifest;
    const char *why = NULL;
    if (tsn_wire_manifest_read((const char *)data, size, &arena, &manifest, &why)) {
        struct tsn_message message;
        tsn_wire_manifest(&manifest, &arena, &message);
        static const char format_1[] = "{\"manifest\":1,";
        bool old = size > sizeof format_1 - 1 && memcmp(data, format_1, sizeof format_1 - 1) == 0;
        TSN_MUST(old || (message.len == size && memcmp(message.value, data, size) == 0));
    } else {
        TSN_MUST(why && why[0]);
    }
    tsn_arena_free(&arena);
    return 0;
}
