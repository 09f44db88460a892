/* Stream: the layout of rows that a group of features shares. See plan.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/feature/plan.h"
#include "rules/must/must.h"

/* While a stream is laid out. */
struct draft {
    struct tsn_plan_stream *stream;
    const struct tsn_program *prog;
    struct tsn_plan_value *values;
    uint32_t *conds;
    int n_bits;
};

static enum tsn_window_kind kind_of(const struct tsn_feature *feature,
                                    const struct tsn_field *field)
{
    bool text = field->rep == TSN_REP_STRING;
    if (feature->agg == TSN_AGG_DISTINCT || feature->agg == TSN_AGG_SET) {
        return text || field->rep == TSN_REP_ENUM || field->rep == TSN_REP_DOUBLE
                   ? TSN_WINDOW_HASH
                   : TSN_WINDOW_INTEGER;
    }
    if (text) {
        return TSN_WINDOW_TEXT;
    }
    return field->rep == TSN_REP_DOUBLE ? TSN_WINDOW_DOUBLE : TSN_WINDOW_INTEGER;
}

static bool has_value(const struct tsn_feature *feature)
{
    return feature->agg != TSN_AGG_COUNT && feature->agg != TSN_AGG_TIME_SINCE;
}

static struct tsn_plan_value *value_of(struct draft *draft, const struct tsn_feature *feature,
                                       enum tsn_window_kind kind)
{
    for (int v = 0; v < draft->stream->n_values; v++) {
        if (draft->values[v].field == feature->field && draft->values[v].kind == kind) {
            return &draft->values[v];
        }
    }
    struct tsn_plan_value *value = &draft->values[draft->stream->n_values++];
    enum tsn_rep rep = draft->prog->types[feature->event].fields[feature->field].rep;
    *value = (struct tsn_plan_value){
        .field = feature->field,
        .kind = kind,
        .direct = kind == TSN_WINDOW_DOUBLE ||
                  (kind == TSN_WINDOW_INTEGER && rep != TSN_REP_BOOL && rep != TSN_REP_ENUM),
    };
    return value;
}

/* The value that the aggregate is of; NULL if it is of the rows themselves. A set of
 * strings counts by their hashes and hands out the strings, so it keeps both. */
static struct tsn_plan_value *values_of(struct draft *draft, const struct tsn_feature *feature,
                                        struct tsn_plan_value **text)
{
    *text = NULL;
    if (!has_value(feature)) {
        return NULL;
    }
    const struct tsn_field *field = &draft->prog->types[feature->event].fields[feature->field];
    struct tsn_plan_value *value = value_of(draft, feature, kind_of(feature, field));
    if (feature->agg == TSN_AGG_SET && field->rep == TSN_REP_STRING) {
        *text = value_of(draft, feature, TSN_WINDOW_TEXT);
    }
    return value;
}

static int cond_of(struct draft *draft, uint32_t where)
{
    int c = 0;
    while (c < draft->stream->n_conds && draft->conds[c] != where) {
        c++;
    }
    if (c == draft->stream->n_conds) {
        draft->conds[draft->stream->n_conds++] = where;
    }
    return c;
}

/* Rows need a word of bits when they pass different filters, or may lack a value. */
static bool bits_needed(const struct draft *draft)
{
    const struct tsn_event_type *type = &draft->prog->types[draft->stream->event];
    bool needed = draft->stream->n_conds > 1;
    for (int v = 0; v < draft->stream->n_values; v++) {
        needed |= !type->fields[draft->values[v].field].required;
    }
    return needed;
}

static void words_assign(struct draft *draft)
{
    struct tsn_plan_stream *stream = draft->stream;
    struct tsn_window_layout *layout = &stream->layout;
    const struct tsn_event_type *type = &draft->prog->types[stream->event];
    layout->has_bits = bits_needed(draft);
    layout->stride = layout->has_bits ? 2 : 1;
    int bit = stream->n_conds;
    for (int v = 0; v < stream->n_values; v++) {
        struct tsn_plan_value *value = &draft->values[v];
        value->word = layout->stride++;
        value->always_wanted = stream->n_conds == 1;
        if (!type->fields[value->field].required ||
            (value->kind == TSN_WINDOW_TEXT && stream->n_conds > 1)) {
            value->present = UINT64_C(1) << bit++;
        }
        if (value->kind == TSN_WINDOW_TEXT) {
            layout->texts[layout->n_texts++] = value->word;
        }
    }
    TSN_MUST(bit <= 64);
    if (stream->set) {
        layout->order = layout->stride++;
    }
}

static uint8_t lane_of(const struct tsn_window_layout *layout, const struct tsn_feature *feature)
{
    for (uint8_t k = 0; k < layout->n_lanes; k++) {
        const struct tsn_window_lane *lane = &layout->lanes[k];
        if (lane->window_ms == feature->window_ms && lane->delay_ms == feature->delay_ms &&
            lane->seen == feature->at_seen) {
            return k;
        }
    }
    return UINT8_MAX;
}

static void lanes_assign(struct draft *draft, int *features, int n, struct tsn_arena *arena)
{
    struct tsn_window_layout *layout = &draft->stream->layout;
    layout->lanes = tsn_arena_zalloc(arena, (size_t)n, sizeof *layout->lanes);
    int *sorted = tsn_arena_alloc(arena, (size_t)n * sizeof *sorted);
    for (int i = 0; i < n; i++) {
        const struct tsn_feature *feature = &draft->prog->features[features[i]];
        TSN_MUST(feature->window_ms > 0 && feature->delay_ms >= 0);
        if (lane_of(layout, feature) == UINT8_MAX) {
            layout->lanes[layout->n_lanes++] = (struct tsn_window_lane){
                .window_ms = feature->window_ms,
                .delay_ms = feature->delay_ms,
                .seen = feature->at_seen,
            };
            TSN_MUST(layout->n_lanes < UINT8_MAX);
        }
        tsn_duration_ms keep_ms;
        if (__builtin_add_overflow(feature->window_ms, feature->delay_ms, &keep_ms)) {
            keep_ms = INT64_MAX;
        }
        layout->keep_ms = keep_ms > layout->keep_ms ? keep_ms : layout->keep_ms;
    }
    uint16_t at = 0;
    for (uint8_t k = 0; k < layout->n_lanes; k++) {
        layout->lanes[k].first = at;
        for (int i = 0; i < n; i++) {
            if (lane_of(layout, &draft->prog->features[features[i]]) == k) {
                sorted[at++] = features[i];
            }
        }
        layout->lanes[k].n = (uint16_t)(at - layout->lanes[k].first);
    }
    memcpy(features, sorted, (size_t)n * sizeof *sorted);
}

static void item_fill(struct draft *draft, const struct tsn_feature *feature,
                      struct tsn_window_item *item)
{
    const struct tsn_window_layout *layout = &draft->stream->layout;
    item->agg = feature->agg;
    item->lane = lane_of(layout, feature);
    item->unit = 1.0;
    int cond = cond_of(draft, feature->where);
    if (draft->stream->n_conds > 1 && feature->where != TSN_EXPR_NONE) {
        item->need |= UINT64_C(1) << cond; /* every row passes no filter */
    }
    struct tsn_plan_value *text;
    struct tsn_plan_value *value = values_of(draft, feature, &text);
    if (value) {
        const struct tsn_field *field = &draft->prog->types[feature->event].fields[feature->field];
        item->kind = value->kind;
        item->word = value->word;
        item->is_double = field->rep == TSN_REP_DOUBLE;
        item->need |= value->present;
        value->wanted_by |= UINT64_C(1) << cond;
        if (field->rep == TSN_REP_MONEY) {
            item->unit = pow(10.0, field->scale);
        }
    }
    if (text) {
        item->text = text->word;
        item->need |= text->present;
        text->wanted_by |= UINT64_C(1) << cond;
    }
    item->max = feature->max_members;
    bool edges = feature->agg == TSN_AGG_COUNT || feature->agg == TSN_AGG_FIRST ||
                 feature->agg == TSN_AGG_LAST || feature->agg == TSN_AGG_TIME_SINCE;
    item->plain = edges && item->need == 0;
    item->scanned =
        item->is_double && (feature->agg == TSN_AGG_SUM || feature->agg == TSN_AGG_AVG ||
                            feature->agg == TSN_AGG_STDDEV);
}

/* Rows kept one by one: as many as the feature wants that wants most. */
static uint32_t rows_max(const struct tsn_program *prog, const int *features, int n)
{
    uint64_t most = 0;
    for (int i = 0; i < n; i++) {
        uint64_t wants = prog->features[features[i]].exact_up_to;
        wants = wants ? wants : TSN_EXACT_DEFAULT;
        most = wants > most ? wants : most;
    }
    TSN_MUST(most <= TSN_EXACT_MAX);
    return (uint32_t)most;
}

/* The bit that every row of the stream has, in its identity: records hold it. */
static uint64_t no_filter_bit(struct draft *draft, const struct tsn_feature *feature)
{
    bool has = draft->stream->n_conds > 1 && feature->where == TSN_EXPR_NONE;
    return has ? UINT64_C(1) << cond_of(draft, feature->where) : 0;
}

void tsn_plan_stream(struct tsn_plan *plan, struct tsn_plan_stream *stream, int *features, int n)
{
    struct tsn_arena *arena = &plan->arena;
    struct draft draft = {
        .stream = stream,
        .prog = plan->prog,
        .values = tsn_arena_zalloc(arena, (size_t)n + 1, sizeof *draft.values),
        .conds = tsn_arena_alloc(arena, (size_t)n * sizeof *draft.conds),
    };
    lanes_assign(&draft, features, n, arena);
    for (int i = 0; i < n; i++) {
        const struct tsn_feature *feature = &plan->prog->features[features[i]];
        cond_of(&draft, feature->where);
        struct tsn_plan_value *text;
        values_of(&draft, feature, &text);
    }
    words_assign(&draft);
    stream->layout.n_items = (uint16_t)n;
    stream->layout.items = tsn_arena_zalloc(arena, (size_t)n, sizeof *stream->layout.items);
    uint64_t identity = (uint64_t)n;
    for (int i = 0; i < n; i++) {
        const struct tsn_feature *feature = &plan->prog->features[features[i]];
        item_fill(&draft, feature, &stream->layout.items[i]);
        uint64_t parts[] = {identity, feature->identity, stream->layout.items[i].word,
                            stream->layout.items[i].need | no_filter_bit(&draft, feature)};
        identity = XXH3_64bits(parts, sizeof parts);
    }
    stream->layout.rows_max = stream->set ? 0 : rows_max(plan->prog, features, n);
    stream->features = features;
    tsn_demand_lanes(plan, stream);
    tsn_window_arrange(&stream->layout);
    stream->identity = identity;
    stream->salt = XXH3_64bits(&identity, sizeof identity);
    stream->values = draft.values;
    stream->conds = draft.conds;
}
