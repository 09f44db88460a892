/* Puts an empty checkpoint of the same manifest over an instance's newest one, as another
 * semantic version of the engine would have made it: tool_semantics CONFIG SEMANTICS.
 * The configuration says `insecure: true`. */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/config/config.h"
#include "connectors/keys/keys.h"
#include "connectors/store/store.h"
#include "rules/diag/diag.h"

enum { WAIT_MS = 30000 };

static bool remake(const struct tsn_config *config, uint32_t semantics, struct tsn_failure *failure)
{
    struct tsn_keys *keys = tsn_keys_insecure();
    struct tsn_store *store = tsn_store_open(config, keys, failure);
    struct tsn_checkpoint_meta meta;
    bool ok = store && tsn_store_claim(store, failure) && tsn_store_meta(store, &meta, failure);
    if (ok) {
        meta.semantics = semantics;
        meta.whole = true;
        tsn_store_begin(store, &meta);
        ok = tsn_store_wait(store, WAIT_MS, failure) == TSN_STORE_DONE;
    }
    if (store) {
        tsn_store_close(store);
    }
    tsn_keys_free(keys);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: tool_semantics CONFIG SEMANTICS\n");
        return 2;
    }
    struct tsn_diags diags;
    struct tsn_failure failure = {0};
    tsn_diags_init(&diags);
    struct tsn_config *config = tsn_config_load(argv[1], &diags);
    tsn_diags_print(&diags, stderr);
    tsn_diags_free(&diags);
    bool ok = config && remake(config, (uint32_t)strtoul(argv[2], NULL, 10), &failure);
    if (!ok) {
        fprintf(stderr, "tool_semantics: %s\n", failure.text);
    }
    tsn_config_free(config);
    return ok ? 0 : 1;
}
