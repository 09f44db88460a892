/* Fuzz target: any bytes as a pack, with any bytes as its list file. The compiler
 * either gives a program or says at least one error; nothing else. Lints are looked
 * for as well. The text before a
 * first NUL is the pack, what follows it every list file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"
#include "rules/pack/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rest {
    const uint8_t *bytes;
    size_t len;
};

static char *open_rest(void *user, const char *name, size_t *len, const char **why)
{
    (void)name;
    const struct rest *rest = user;
    if (!rest->bytes) {
        *why = "there is no such file";
        return NULL;
    }
    char *copy = malloc(rest->len + 1);
    TSN_MUST_ALLOC(copy);
    memcpy(copy, rest->bytes, rest->len);
    *len = rest->len;
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size;
    struct rest rest = {0};
    if (nul) {
        rest = (struct rest){nul + 1, size - len - 1};
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = tsn_pack_check("fuzz.yaml", (const char *)data, len, open_rest,
                                              &rest, TSN_PACK_LINT | TSN_PACK_PORTABLE, &diags);
    TSN_MUST((prog == NULL) == (diags.n_errors > 0));
    tsn_program_free(prog);
    tsn_diags_free(&diags);
    return 0;
}
