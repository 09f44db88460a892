/* Stages: how long each part of a start or a takeover took, for one line in the log.
 * One thread. */
#ifndef TSN_CONNECTORS_RUN_STAGES_H
#define TSN_CONNECTORS_RUN_STAGES_H

#include <stddef.h>
#include <stdint.h>

enum { TSN_STAGES_MAX = 16, TSN_STAGES_TEXT_MAX = 512 };

struct tsn_stages {
    int64_t begun_ms; /* monotonic */
    int64_t last_ms;
    size_t n;
    struct {
        const char *name; /* static */
        int64_t ms;
    } items[TSN_STAGES_MAX];
};

void tsn_stages_begin(struct tsn_stages *stages);
/* What has passed since the last mark was this. The same name twice adds up. */
void tsn_stages_mark(struct tsn_stages *stages, const char *name);
int64_t tsn_stages_total_ms(const struct tsn_stages *stages);
/* "fencing 210 ms, newest manifest 95 ms". */
void tsn_stages_text(const struct tsn_stages *stages, char text[TSN_STAGES_TEXT_MAX]);

#endif
