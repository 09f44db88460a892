#include "connectors/store/pace.h"

enum { BURST_MS = 100 };

int64_t tsn_pace_spend(struct tsn_pace *pace, uint64_t n, int64_t now_ms)
{
    int64_t limited_ms = pace->written_ms + pace->target_age_ms - now_ms; /* for so long yet */
    if (pace->bytes_per_s == 0 || limited_ms < 0) {
        return 0;
    }
    if (pace->at_ms < now_ms - BURST_MS) {
        pace->at_ms = now_ms - BURST_MS;
        pace->owed = 0;
    }
    uint64_t owed = pace->owed + n * 1000;
    pace->at_ms += (int64_t)(owed / pace->bytes_per_s);
    pace->owed = owed % pace->bytes_per_s;
    int64_t wait_ms = pace->at_ms > now_ms ? pace->at_ms - now_ms : 0;
    return wait_ms < limited_ms ? wait_ms : limited_ms;
}
