#include "connectors/run/stages.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connectors/run/clock.h"

void tsn_stages_begin(struct tsn_stages *stages)
{
    memset(stages, 0, sizeof *stages);
    stages->begun_ms = stages->last_ms = tsn_clock_monotonic_ms();
}

void tsn_stages_mark(struct tsn_stages *stages, const char *name)
{
    int64_t now_ms = tsn_clock_monotonic_ms();
    size_t i = 0;
    while (i < stages->n && strcmp(stages->items[i].name, name) != 0) {
        i++;
    }
    if (i < TSN_STAGES_MAX) {
        stages->items[i].name = name;
        stages->items[i].ms += now_ms - stages->last_ms;
        stages->n = i == stages->n ? i + 1 : stages->n;
    }
    stages->last_ms = now_ms;
}

int64_t tsn_stages_total_ms(const struct tsn_stages *stages)
{
    return stages->last_ms - stages->begun_ms;
}

void tsn_stages_text(const struct tsn_stages *stages, char text[TSN_STAGES_TEXT_MAX])
{
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < stages->n && len < TSN_STAGES_TEXT_MAX; i++) {
        int n = snprintf(text + len, TSN_STAGES_TEXT_MAX - len, "%s%s %" PRId64 " ms",
                         i ? ", " : "", stages->items[i].name, stages->items[i].ms);
        len += n > 0 ? (size_t)n : 0;
    }
}
