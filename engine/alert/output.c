/* Output: the container of what steps gave.
 *
 * The caller owns it for an interval of many batches; steps append alerts whose
 * memory is the output's arena, so that clearing it is one reset and a warmed-up
 * output allocates nothing. Called by engine/score (append) and by every user of
 * the engine's door (init, clear, free).
 */
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "rules/must/must.h"

enum { OUTPUT_FIRST_CAP = 16 };

void tsn_output_init(struct tsn_output *out)
{
    *out = (struct tsn_output){0};
    tsn_arena_init(&out->arena, 0);
}

void tsn_output_clear(struct tsn_output *out)
{
    out->n_alerts = 0;
    tsn_arena_reset(&out->arena);
}

void tsn_output_free(struct tsn_output *out)
{
    free(out->alerts);
    tsn_arena_free(&out->arena);
    *out = (struct tsn_output){0};
}

struct tsn_alert *tsn_output_add(struct tsn_output *out)
{
    if (out->n_alerts == out->alerts_cap) {
        out->alerts_cap = out->alerts_cap ? 2 * out->alerts_cap : OUTPUT_FIRST_CAP;
        out->alerts = realloc(out->alerts, out->alerts_cap * sizeof *out->alerts);
        TSN_MUST_ALLOC(out->alerts);
    }
    struct tsn_alert *alert = &out->alerts[out->n_alerts++];
    memset(alert, 0, sizeof *alert);
    return alert;
}
