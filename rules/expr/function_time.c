/* Functions on timestamps and durations. Called by the evaluators through the
 * function table. Results are kept inside the years 0001 to 9999 and inside 64
 * bits of nanoseconds, as the reference has it; outside is an error. */
#include <string.h>

#include "rules/expr/function_apply.h"
#include "rules/expr/graph.h"
#include "rules/expr/time.h"
#include "rules/expr/zone.h"

static bool timestamp_result(struct tsn_call *call, bool ok, const struct tsn_value *out)
{
    call->error = "a timestamp outside the years 0001 to 9999";
    return ok && tsn_time_is_timestamp(out->t);
}

static bool duration_result(struct tsn_call *call, bool ok, const struct tsn_value *out)
{
    call->error = "a duration longer than 292 years";
    return ok && tsn_time_is_duration(out->t);
}

bool tsn_apply_add_time(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    return timestamp_result(call, tsn_time_add(a[0].t, a[1].t, &out->t), out);
}

bool tsn_apply_sub_time(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    return timestamp_result(call, tsn_time_subtract(a[0].t, a[1].t, &out->t), out);
}

bool tsn_apply_add_duration(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    return duration_result(call, tsn_time_add(a[0].t, a[1].t, &out->t), out);
}

bool tsn_apply_sub_duration(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    return duration_result(call, tsn_time_subtract(a[0].t, a[1].t, &out->t), out);
}

bool tsn_apply_string_to_time(struct tsn_call *call, const struct tsn_value *a,
                              struct tsn_value *out)
{
    call->error = "this text is no RFC 3339 timestamp of the years 0001 to 9999";
    return tsn_time_parse_timestamp(a[0].s, &out->t);
}

bool tsn_apply_int_to_time(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    out->t = (struct tsn_time){a[0].i, 0};
    return timestamp_result(call, true, out);
}

bool tsn_apply_string_to_duration(struct tsn_call *call, const struct tsn_value *a,
                                  struct tsn_value *out)
{
    if (!tsn_time_parse_duration(a[0].s, &out->t)) {
        call->error = "this text is no duration; write \"90s\", \"1h30m\" or \"500ms\"";
        return false;
    }
    return duration_result(call, true, out);
}

bool tsn_apply_time_to_int(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    out->i = a[0].t.s;
    return true;
}

bool tsn_apply_time_to_string(struct tsn_call *call, const struct tsn_value *a,
                              struct tsn_value *out)
{
    char text[40];
    size_t len = tsn_time_print(a[0].t, text);
    out->s = (struct tsn_str){tsn_arena_strdup(call->arena, text, len), (uint32_t)len};
    return true;
}

bool tsn_apply_duration_to_string(struct tsn_call *call, const struct tsn_value *a,
                                  struct tsn_value *out)
{
    char text[40];
    size_t len = tsn_time_print_duration(a[0].t, text);
    out->s = (struct tsn_str){tsn_arena_strdup(call->arena, text, len), (uint32_t)len};
    return true;
}

/* The zone of a getter: of its constant argument, the pack's, or by name. */
static bool local(struct tsn_call *call, const struct tsn_value *a, bool has_zone,
                  struct tsn_civil *civil)
{
    int32_t offset = 0;
    if (call->zone) {
        offset = tsn_zone_offset(call->zone, a[0].t.s);
    } else if (has_zone && !tsn_zone_parse_offset(a[1].s, &offset)) {
        const struct tsn_zone *zone = tsn_zones_find(call->zones, a[1].s);
        if (!zone) {
            call->error = "there is no such time zone";
            return false;
        }
        offset = tsn_zone_offset(zone, a[0].t.s);
    }
    *civil = tsn_time_civil(a[0].t.s + offset);
    return true;
}

#define GETTER(name, expression)                                                                   \
    bool tsn_apply_get_##name(struct tsn_call *call, const struct tsn_value *a,                    \
                              struct tsn_value *out)                                               \
    {                                                                                              \
        struct tsn_civil c;                                                                        \
        bool ok = local(call, a, call->n_args == 2, &c);                                           \
        out->i = ok ? (expression) : 0;                                                            \
        return ok;                                                                                 \
    }

GETTER(full_year, c.year)
GETTER(month, c.month)
GETTER(day_of_month, c.day)
GETTER(date, c.day + 1)
GETTER(day_of_week, c.day_of_week)
GETTER(day_of_year, c.day_of_year)
GETTER(hours, c.hour)
GETTER(minutes, c.minute)
GETTER(seconds, c.second)
GETTER(milliseconds, a[0].t.ns / 1000000)

/* Toward zero: {-1, 0.5 s} is -0.5 s. */
static int64_t whole_seconds(struct tsn_time t)
{
    return t.s < 0 && t.ns > 0 ? t.s + 1 : t.s;
}

#define DURATION_GETTER(name, expression)                                                          \
    bool tsn_apply_duration_##name(struct tsn_call *call, const struct tsn_value *a,               \
                                   struct tsn_value *out)                                          \
    {                                                                                              \
        (void)call;                                                                                \
        struct tsn_time t = a[0].t;                                                                \
        out->i = (expression);                                                                     \
        return true;                                                                               \
    }

DURATION_GETTER(hours, whole_seconds(t) / 3600)
DURATION_GETTER(minutes, whole_seconds(t) / 60)
DURATION_GETTER(seconds, whole_seconds(t))
DURATION_GETTER(milliseconds, t.s<0 && t.ns> 0 ? -((1000000000 - t.ns) / 1000000) : t.ns / 1000000)
