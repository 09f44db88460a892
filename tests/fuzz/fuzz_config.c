/* Configurations: any text is a configuration or has errors, never both, never a crash. */
#include <stddef.h>
#include <stdint.h>

#include "connectors/config/config.h"
#include "rules/must/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_config *config =
        tsn_config_parse("conf/tocsin.yaml", (const char *)data, size, &diags);
    TSN_MUST((config != NULL) == (diags.n_errors == 0));
    tsn_config_free(config);
    tsn_diags_free(&diags);
    return 0;
}
