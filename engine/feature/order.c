/* Order: which level each feature and each filter is computed on. See plan.h. */
#include "engine/feature/plan.h"

static void raise_to(int *level, int at_least, bool *changed)
{
    if (*level < at_least) {
        *level = at_least;
        *changed = true;
    }
}

/* One above the largest level among the features that an expression reads. */
static int level_behind(const struct tsn_program *prog, int type, uint32_t expr, const int *value)
{
    if (expr == TSN_EXPR_NONE) {
        return 0;
    }
    const struct tsn_event_type *of = &prog->types[type];
    size_t n;
    const uint32_t *inputs = tsn_expr_inputs(of->exprs, expr, &n);
    int level = 0;
    for (size_t i = 0; i < n; i++) {
        int slot = (int)inputs[i] - of->n_fields;
        if (slot >= 0 && value[of->slots[slot].feature] >= level) {
            level = value[of->slots[slot].feature] + 1;
        }
    }
    return level;
}

/* One relaxation over all edges; true if a level rose. */
static bool relax(const struct tsn_plan *plan, struct tsn_plan_order *order, bool with_seen)
{
    const struct tsn_program *prog = plan->prog;
    bool changed = false;
    for (int f = 0; f < prog->n_features; f++) {
        const struct tsn_feature *feature = &prog->features[f];
        if (feature->agg == TSN_AGG_EXPR) {
            raise_to(&order->value[f],
                     level_behind(prog, feature->event, feature->expr, order->value), &changed);
            continue;
        }
        raise_to(&order->filter[f],
                 level_behind(prog, feature->event, feature->where, order->value), &changed);
        raise_to(&order->value[f], order->filter[f], &changed);
        int kind = order->kind[f];
        raise_to(&order->kind_level[kind], order->filter[f], &changed);
        if (with_seen && feature->at_seen) {
            raise_to(&order->value[f], order->kind_level[kind], &changed);
        }
    }
    return changed;
}

static void reset(const struct tsn_plan *plan, struct tsn_plan_order *order)
{
    for (int f = 0; f < plan->prog->n_features; f++) {
        order->value[f] = order->filter[f] = 0;
    }
    for (int k = 0; k < plan->n_kinds; k++) {
        order->kind_level[k] = 0;
    }
}

void tsn_plan_order(const struct tsn_plan *plan, struct tsn_plan_order *order,
                    struct tsn_arena *arena)
{
    size_t n = (size_t)plan->prog->n_features + 1;
    order->value = tsn_arena_alloc(arena, n * sizeof(int));
    order->filter = tsn_arena_alloc(arena, n * sizeof(int));
    order->kind_level = tsn_arena_alloc(arena, ((size_t)plan->n_kinds + 1) * sizeof(int));
    /* Without a cycle every level is final after as many rounds as there are nodes
     * on the longest path; one that still rises then is on a cycle. */
    int rounds = 2 * plan->prog->n_features + plan->n_kinds + 2;
    reset(plan, order);
    bool changed = true;
    for (int i = 0; changed && i < rounds; i++) {
        changed = relax(plan, order, true);
    }
    order->rowwise = changed;
    if (changed) {
        reset(plan, order);
        while (relax(plan, order, false)) {
        }
    }
    order->n_levels = 1;
    for (int f = 0; f < plan->prog->n_features; f++) {
        if (order->value[f] >= order->n_levels) {
            order->n_levels = order->value[f] + 1;
        }
    }
}
