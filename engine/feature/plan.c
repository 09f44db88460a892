#include "engine/feature/plan.h"

#include <stdlib.h>
#include <string.h>

#include "engine/entity/key.h"
#include "rules/must/must.h"

/* The kind of a feature's entity. A `by` field that names no entity kind is a kind
 * of its own: (event type, field). */
static uint64_t kind_seed(const struct tsn_program *prog, const struct tsn_feature *feature)
{
    if (feature->entity_kind != TSN_NONE) {
        return tsn_key_seed(prog->entity_kinds[feature->entity_kind]);
    }
    const struct tsn_event_type *type = &prog->types[feature->event];
    return tsn_key_seed(type->name) * 31 + tsn_key_seed(type->fields[feature->by[0]].name);
}

static int kind_of(struct tsn_plan *plan, const struct tsn_feature *feature)
{
    uint64_t seed = kind_seed(plan->prog, feature);
    int k = 0;
    while (k < plan->n_kinds && plan->kinds[k].seed != seed) {
        k++;
    }
    if (k == plan->n_kinds) {
        plan->kinds[plan->n_kinds++] = (struct tsn_plan_kind){.seed = seed};
    }
    plan->kinds[k].seen |= feature->at_seen;
    return k;
}

/* ---- keys -------------------------------------------------------------------- */

struct keys_draft {
    struct tsn_plan_key *keys;
    int n, cap;
};

static int key_find(struct keys_draft *draft, int kind, const int *by, int n_by)
{
    for (int k = 0; k < draft->n; k++) {
        const struct tsn_plan_key *key = &draft->keys[k];
        if (key->kind == kind && key->n_by == n_by &&
            memcmp(key->by, by, (size_t)n_by * sizeof *by) == 0) {
            return k;
        }
    }
    if (draft->n == draft->cap) {
        draft->cap = draft->cap ? draft->cap * 2 : 8;
        draft->keys = realloc(draft->keys, (size_t)draft->cap * sizeof *draft->keys);
        TSN_MUST_ALLOC(draft->keys);
    }
    struct tsn_plan_key *key = &draft->keys[draft->n];
    *key = (struct tsn_plan_key){.n_by = n_by, .kind = kind, .owner = draft->n};
    memcpy(key->by, by, (size_t)n_by * sizeof *by);
    return draft->n++;
}

static int key_of(struct keys_draft *draft, int kind, const int *by, int n_by)
{
    int parts[TSN_BY_MAX] = {0};
    for (int i = 0; i < n_by; i++) {
        parts[i] = key_find(draft, kind, &by[i], 1);
    }
    int key = key_find(draft, kind, by, n_by);
    draft->keys[key].owner = parts[0];
    memcpy(draft->keys[key].parts, parts, sizeof parts);
    return key;
}

/* ---- streams ----------------------------------------------------------------- */

static bool together(const struct tsn_feature *a, const struct tsn_feature *b)
{
    return a->event == b->event && a->n_by == 1 && b->n_by == 1 && a->by[0] == b->by[0] &&
           a->entity_kind == b->entity_kind && a->agg != TSN_AGG_SET && b->agg != TSN_AGG_SET;
}

enum { GROUP_NEW = UINT32_MAX };

static uint32_t *groups_of(struct tsn_plan *plan, const struct tsn_plan_group *groups,
                           size_t n_groups)
{
    size_t n = (size_t)plan->prog->n_features + 1;
    uint32_t *of = tsn_arena_alloc(&plan->arena, n * sizeof *of);
    for (int f = 0; f < plan->prog->n_features; f++) {
        of[f] = GROUP_NEW;
        for (size_t g = 0; g < n_groups; g++) {
            if (groups[g].identity == plan->prog->features[f].identity) {
                of[f] = groups[g].group;
            }
        }
    }
    return of;
}

size_t tsn_plan_groups(const struct tsn_plan *plan, struct tsn_plan_group *groups)
{
    size_t n = 0;
    for (int s = 0; s < plan->n_streams; s++) {
        for (int i = 0; i < plan->streams[s].layout.n_items; i++) {
            groups[n++] = (struct tsn_plan_group){
                .identity = plan->prog->features[plan->streams[s].features[i]].identity,
                .group = plan->streams[s].group,
            };
        }
    }
    return n;
}

/* A group whose features are no longer on one level goes apart for good. */
static bool group_taken(const struct tsn_plan *plan, uint32_t group)
{
    bool taken = group == GROUP_NEW;
    for (int s = 0; s + 1 < plan->n_streams; s++) {
        taken |= plan->streams[s].group == group;
    }
    return taken;
}

/* Entries of a pair feature go by its own max_keys and its own rows, so a feature
 * by several fields is alone in its stream; and so is a set, whose rows are wider. */
static void streams_group(struct tsn_plan *plan, const struct tsn_plan_order *order,
                          const uint32_t *groups)
{
    const struct tsn_program *prog = plan->prog;
    size_t n = (size_t)prog->n_features + 1;
    bool *taken = tsn_arena_zalloc(&plan->arena, n, sizeof *taken);
    plan->streams = tsn_arena_zalloc(&plan->arena, n, sizeof *plan->streams);
    for (int f = 0; f < prog->n_features; f++) {
        const struct tsn_feature *first = &prog->features[f];
        if (taken[f] || first->agg == TSN_AGG_EXPR) {
            continue;
        }
        int *features = tsn_arena_alloc(&plan->arena, TSN_PLAN_ITEMS_MAX * sizeof *features);
        int n_features = 0;
        for (int g = f; g < prog->n_features && n_features < TSN_PLAN_ITEMS_MAX; g++) {
            const struct tsn_feature *other = &prog->features[g];
            if (!taken[g] && other->agg != TSN_AGG_EXPR && order->value[g] == order->value[f] &&
                groups[g] == groups[f] && (g == f || together(first, other))) {
                features[n_features++] = g;
                taken[g] = true;
            }
        }
        struct tsn_plan_stream *stream = &plan->streams[plan->n_streams++];
        stream->event = first->event;
        stream->group = group_taken(plan, groups[f]) ? plan->next_group++ : groups[f];
        stream->level = order->value[f];
        stream->kind = order->kind[f];
        stream->pair = first->n_by > 1;
        stream->set = first->agg == TSN_AGG_SET;
        stream->max_keys = first->max_keys;
        TSN_MUST(!stream->pair || stream->max_keys > 0);
        tsn_plan_stream(plan, stream, features, n_features);
        stream->stepwise = !stream->pair && !stream->set && stream->layout.n_texts == 0;
    }
    TSN_MUST(plan->n_streams < UINT16_MAX);
}

/* Where each feature went. */
struct home {
    int stream;
    uint16_t item;
};

static int visit_find(struct tsn_plan_visit *visits, uint16_t *n, int key)
{
    for (uint16_t v = 0; v < *n; v++) {
        if (visits[v].key == key) {
            return v;
        }
    }
    visits[*n] = (struct tsn_plan_visit){.key = key};
    return (*n)++;
}

static bool reads_after(const struct tsn_feature *feature)
{
    return !feature->exclude_current && feature->agg != TSN_AGG_LAST &&
           feature->agg != TSN_AGG_TIME_SINCE;
}

static int items_by_item(const void *a, const void *b)
{
    const struct tsn_plan_item *x = a;
    const struct tsn_plan_item *y = b;
    if (x->lane != y->lane) {
        return (int)x->lane - (int)y->lane; /* items of a lane together: see tsn_window_pass */
    }
    return x->item != y->item ? (int)x->item - (int)y->item : (int)x->slot - (int)y->slot;
}

/* The slots of one event type that read one stream, by the entity they read. */
static struct tsn_plan_reads reads_of(struct tsn_plan *plan, int stream, int type,
                                      const struct home *homes, const int *slot_keys)
{
    const struct tsn_event_type *of = &plan->prog->types[type];
    struct tsn_plan_reads reads = {0};
    size_t n_slots = 0;
    for (int s = 0; s < of->n_slots; s++) {
        n_slots += homes[of->slots[s].feature].stream == stream;
    }
    if (n_slots == 0) {
        return reads;
    }
    const struct tsn_window_layout *layout = &plan->streams[stream].layout;
    struct tsn_plan_visit *visits = tsn_arena_zalloc(&plan->arena, n_slots, sizeof *visits);
    struct tsn_plan_item *items = tsn_arena_alloc(&plan->arena, 2 * n_slots * sizeof *items);
    for (int s = 0; s < of->n_slots; s++) {
        if (homes[of->slots[s].feature].stream == stream) {
            visit_find(visits, &reads.n, slot_keys[s]);
        }
    }
    for (uint16_t v = 0; v < reads.n; v++) {
        struct tsn_plan_item *parts[2];
        uint16_t n[2] = {0, 0};
        for (int after = 0; after < 2; after++) {
            parts[after] = items;
            for (int s = 0; s < of->n_slots; s++) {
                int f = of->slots[s].feature;
                if (homes[f].stream == stream && slot_keys[s] == visits[v].key &&
                    reads_after(&plan->prog->features[f]) == after) {
                    enum tsn_rep rep = plan->prog->features[f].rep;
                    *items++ = (struct tsn_plan_item){.item = homes[f].item,
                                                      .slot = (uint16_t)s,
                                                      .lane = layout->items[homes[f].item].lane,
                                                      .wide = rep != TSN_REP_BOOL &&
                                                              rep != TSN_REP_STRING &&
                                                              rep != TSN_REP_ENUM};
                    n[after]++;
                }
            }
            qsort(parts[after], n[after], sizeof *items, items_by_item);
        }
        visits[v].before = parts[0];
        visits[v].n_before = n[0];
        visits[v].after = parts[1];
        visits[v].n_after = n[1];
    }
    reads.visits = visits;
    return reads;
}

static struct tsn_plan_step step_of(struct tsn_plan *plan, const struct tsn_plan_visit *visit,
                                    bool before, bool after, bool writes)
{
    struct tsn_plan_step step = {.key = visit->key, .writes = writes};
    step.n_before = before ? visit->n_before : 0;
    step.n_after = after ? visit->n_after : 0;
    size_t n = (size_t)step.n_before + step.n_after;
    uint16_t *items = tsn_arena_alloc(&plan->arena, (n + 1) * sizeof *items);
    struct tsn_plan_item *outputs = tsn_arena_alloc(&plan->arena, (n + 1) * sizeof *outputs);
    for (unsigned i = 0; i < n; i++) {
        outputs[i] =
            i < step.n_before ? visit->before[i] : visit->after[i - (unsigned)step.n_before];
        items[i] = outputs[i].item;
    }
    step.items = items;
    step.outputs = outputs;
    return step;
}

/* Reads before the row is written, the write with the reads under the same key, the
 * other reads after it. Two keys of a row may be one entity. */
static void steps_plan(struct tsn_plan *plan, const struct tsn_plan_stream *stream, int type,
                       struct tsn_plan_reads *reads)
{
    size_t n = 2 * (size_t)reads->n + 1;
    struct tsn_plan_step *steps = tsn_arena_zalloc(&plan->arena, n, sizeof *steps);
    bool writes = stream->event == type;
    const struct tsn_plan_visit none = {.key = stream->key};
    const struct tsn_plan_visit *own = &none;
    for (unsigned v = 0; v < reads->n; v++) {
        const struct tsn_plan_visit *visit = &reads->visits[v];
        if (writes && visit->key == stream->key) {
            own = visit;
        } else if (visit->n_before) {
            steps[reads->n_steps++] = step_of(plan, visit, true, !writes, false);
        }
    }
    if (writes) {
        steps[reads->n_steps++] = step_of(plan, own, true, true, true);
    }
    for (unsigned v = 0; v < reads->n; v++) {
        const struct tsn_plan_visit *visit = &reads->visits[v];
        if (visit != own && visit->n_after && (writes || visit->n_before == 0)) {
            steps[reads->n_steps++] = step_of(plan, visit, false, true, false);
        }
    }
    reads->steps = steps;
}

static void visits_plan(struct tsn_plan *plan, const struct tsn_plan_order *order)
{
    const struct tsn_program *prog = plan->prog;
    struct home *homes =
        tsn_arena_zalloc(&plan->arena, (size_t)prog->n_features + 1, sizeof *homes);
    for (int f = 0; f < prog->n_features; f++) {
        homes[f].stream = TSN_NONE;
    }
    for (int s = 0; s < plan->n_streams; s++) {
        for (uint16_t i = 0; i < plan->streams[s].layout.n_items; i++) {
            homes[plan->streams[s].features[i]] = (struct home){.stream = s, .item = i};
        }
        plan->streams[s].alone = true;
        plan->streams[s].reads =
            tsn_arena_zalloc(&plan->arena, (size_t)prog->n_types, sizeof *plan->streams[s].reads);
    }
    for (int t = 0; t < prog->n_types; t++) {
        const struct tsn_event_type *type = &prog->types[t];
        struct keys_draft keys = {0};
        int *slot_keys =
            tsn_arena_alloc(&plan->arena, ((size_t)type->n_slots + 1) * sizeof *slot_keys);
        for (int s = 0; s < type->n_slots; s++) {
            int f = type->slots[s].feature;
            slot_keys[s] = TSN_NONE;
            if (homes[f].stream != TSN_NONE) {
                slot_keys[s] =
                    key_of(&keys, order->kind[f], type->slots[s].by, prog->features[f].n_by);
            }
        }
        for (int s = 0; s < plan->n_streams; s++) {
            struct tsn_plan_stream *stream = &plan->streams[s];
            if (stream->event == t) {
                const struct tsn_feature *first = &prog->features[stream->features[0]];
                stream->key = key_of(&keys, stream->kind, first->by, first->n_by);
            }
            struct tsn_plan_reads *reads = (struct tsn_plan_reads *)stream->reads;
            reads[t] = reads_of(plan, s, t, homes, slot_keys);
            steps_plan(plan, stream, t, &reads[t]);
            stream->alone &= t == stream->event || reads[t].n_steps == 0;
            for (unsigned i = 0; i < reads[t].n_steps; i++) {
                keys.keys[reads[t].steps[i].key].streams |= UINT64_C(1) << (s % 64);
            }
        }
        struct tsn_plan_key *kept =
            tsn_arena_alloc(&plan->arena, ((size_t)keys.n + 1) * sizeof *kept);
        if (keys.n) {
            memcpy(kept, keys.keys, (size_t)keys.n * sizeof *kept);
        }
        free(keys.keys);
        plan->types[t].n_keys = keys.n;
        plan->types[t].keys = kept;
    }
}

/* ---- levels ------------------------------------------------------------------ */

static void levels_plan(struct tsn_plan *plan, const struct tsn_plan_order *order)
{
    const struct tsn_program *prog = plan->prog;
    plan->n_levels = order->n_levels;
    plan->levels = tsn_arena_zalloc(&plan->arena, (size_t)plan->n_levels, sizeof *plan->levels);
    for (int l = 0; l < plan->n_levels; l++) {
        struct tsn_plan_level *level = &plan->levels[l];
        int *streams =
            tsn_arena_alloc(&plan->arena, ((size_t)plan->n_streams + 1) * sizeof *streams);
        for (int s = 0; s < plan->n_streams; s++) {
            if (plan->streams[s].level == l) {
                streams[level->n_streams++] = s;
            }
        }
        size_t n_slots = 1;
        for (int t = 0; t < prog->n_types; t++) {
            n_slots += (size_t)prog->types[t].n_slots;
        }
        struct tsn_plan_expr *exprs = tsn_arena_alloc(&plan->arena, n_slots * sizeof *exprs);
        for (int t = 0; t < prog->n_types; t++) {
            for (int s = 0; s < prog->types[t].n_slots; s++) {
                int f = prog->types[t].slots[s].feature;
                if (prog->features[f].agg == TSN_AGG_EXPR && order->value[f] == l) {
                    exprs[level->n_exprs++] = (struct tsn_plan_expr){
                        .type = t, .slot = s, .expr = prog->features[f].expr};
                }
            }
        }
        level->streams = streams;
        level->exprs = exprs;
    }
}

void tsn_plan_init(struct tsn_plan *plan, const struct tsn_program *prog,
                   const struct tsn_plan_group *groups, size_t n_groups, uint32_t next_group)
{
    *plan = (struct tsn_plan){.prog = prog, .next_group = next_group};
    tsn_arena_init(&plan->arena, 0);
    size_t n_features = (size_t)prog->n_features + 1;
    plan->types = tsn_arena_zalloc(&plan->arena, (size_t)prog->n_types + 1, sizeof *plan->types);
    plan->kinds = tsn_arena_zalloc(&plan->arena, n_features, sizeof *plan->kinds);
    struct tsn_plan_order order = {0};
    order.kind = tsn_arena_alloc(&plan->arena, n_features * sizeof(int));
    for (int f = 0; f < prog->n_features; f++) {
        bool stateless = prog->features[f].agg == TSN_AGG_EXPR;
        order.kind[f] = stateless ? TSN_NONE : kind_of(plan, &prog->features[f]);
    }
    tsn_plan_order(plan, &order, &plan->arena);
    plan->rowwise = order.rowwise;
    for (int k = 0; k < plan->n_kinds; k++) {
        plan->kinds[k].level = order.kind_level[k];
    }
    tsn_demand_plan(plan);
    streams_group(plan, &order, groups_of(plan, groups, n_groups));
    visits_plan(plan, &order);
    levels_plan(plan, &order);
    tsn_demand_steps(plan);
    tsn_gates_plan(plan);
}

void tsn_plan_free(struct tsn_plan *plan)
{
    tsn_arena_free(&plan->arena);
    *plan = (struct tsn_plan){0};
}
