/* Score: life of the state, program swaps, and the list of who may see it. The work
 * of a batch is in walk.c (order of rows), rules.c (columns) and raise.c (episodes
 * and alerts); record.c keeps checkpoints. */
#include "engine/score/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/score/state.h"
#include "rules/must/must.h"

/* ---- plan: what is fixed by a program ------------------------------------------- */

static bool reads_written_list(const struct tsn_program *prog, int type, uint32_t expr)
{
    size_t n;
    const uint32_t *lists = tsn_expr_lists(prog->types[type].exprs, expr, &n);
    for (size_t i = 0; i < n; i++) {
        if (prog->lists[lists[i]].written) {
            return true;
        }
    }
    return false;
}

static bool typology_counts(const struct tsn_typology *typology, int type)
{
    return typology->mode != TSN_MODE_DISABLED && typology->entity_field[type] != TSN_NONE;
}

/* Which typologies each live rule weighs in. Two passes: how many, then which. */
static void plan_uses(struct tsn_score *score)
{
    const struct tsn_program *prog = score->prog;
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < prog->n_typologies; t++) {
            const struct tsn_typology *typology = &prog->typologies[t];
            for (int w = 0; w < typology->n_weights; w++) {
                int r = typology->weights[w].rule;
                const struct tsn_rule *rule = &prog->rules[r];
                const struct tsn_fan *fan = tsn_rule_fan(rule, t);
                if (rule->mode != TSN_MODE_LIVE || typology->mode == TSN_MODE_DISABLED ||
                    (!fan && !typology_counts(typology, rule->event))) {
                    continue;
                }
                struct score_rule *plan = &score->rules[r];
                if (pass == 1) {
                    plan->uses[plan->n_uses] = (struct score_use){
                        .typology = t, .weight = (uint32_t)w, .set = fan ? fan->slot : TSN_NONE};
                }
                plan->n_uses++;
            }
        }
        for (int r = 0; pass == 0 && r < prog->n_rules; r++) {
            struct score_rule *plan = &score->rules[r];
            plan->uses = tsn_arena_zalloc(&score->plan, plan->n_uses, sizeof *plan->uses);
            plan->n_uses = 0;
        }
    }
}

static void plan_rule(struct tsn_score *score, int r)
{
    const struct tsn_rule *rule = &score->prog->rules[r];
    struct score_rule *plan = &score->rules[r];
    plan->evaluated = rule->mode != TSN_MODE_DISABLED;
    plan->is_timer = rule->after_ms > 0;
    plan->row_wise =
        rule->reads_written_list || reads_written_list(score->prog, rule->event, rule->when);
    for (int e = 0; e < rule->n_exceptions; e++) {
        plan->row_wise |= reads_written_list(score->prog, rule->event, rule->exceptions[e].expr);
    }
    plan->has_effect = plan->evaluated && rule->mode == TSN_MODE_LIVE &&
                       (plan->n_uses > 0 || rule->n_writes > 0 || rule->n_fans > 0);
    if (plan->is_timer && plan->evaluated) {
        score->has_timers = true;
        plan->has_effect = true; /* a row that arms it matters, in shadow too */
        tsn_score_timer_plan(score, r);
    }
}

static void plan_typology(struct tsn_score *score, int t)
{
    const struct tsn_program *prog = score->prog;
    const struct tsn_typology *typology = &prog->typologies[t];
    struct score_typology *plan = &score->typologies[t];
    plan->evaluated = typology->mode != TSN_MODE_DISABLED;
    plan->shadow = typology->mode == TSN_MODE_SHADOW || prog->mode == TSN_MODE_SHADOW;
    plan->lowest = INFINITY;
    plan->keep_ms = typology->sum_over_ms;
    for (int level = TSN_LEVEL_MINOR; level < TSN_LEVELS; level++) {
        plan->lowest = fmin(plan->lowest, typology->thresholds[level]);
        const struct tsn_action *action = &typology->actions[level];
        if (action->present && action->cooldown_ms > plan->keep_ms) {
            plan->keep_ms = action->cooldown_ms;
        }
    }
    size_t n_types = (size_t)prog->n_types;
    plan->score = tsn_arena_zalloc(&score->plan, n_types, sizeof *plan->score);
    plan->shown = tsn_arena_zalloc(&score->plan, n_types, sizeof *plan->shown);
    plan->score_row_wise = tsn_arena_zalloc(&score->plan, n_types, sizeof(bool));
    for (int type = 0; typology->score && type < prog->n_types; type++) {
        plan->score_row_wise[type] = typology->score[type] != TSN_EXPR_NONE &&
                                     reads_written_list(prog, type, typology->score[type]);
    }
}

static void plan_type(struct tsn_score *score, int t)
{
    const struct tsn_program *prog = score->prog;
    const struct tsn_event_type *type = &prog->types[t];
    struct score_type *plan = &score->types[t];
    size_t n_inputs = (size_t)type->n_fields + (size_t)type->n_slots;
    bool *masked = tsn_arena_zalloc(&score->plan, n_inputs, 1);
    tsn_hit_masks(prog, t, masked);
    plan->masked = masked;
    plan->active = tsn_arena_zalloc(&score->plan, (size_t)type->n_rules, sizeof(int));
    for (int i = 0; i < type->n_rules; i++) {
        const struct score_rule *rule = &score->rules[type->rules[i]];
        plan->row_wise |= rule->evaluated && rule->row_wise;
    }
    int *scores = tsn_arena_zalloc(&score->plan, (size_t)prog->n_typologies, sizeof(int));
    for (int y = 0; y < prog->n_typologies; y++) {
        const struct tsn_typology *typology = &prog->typologies[y];
        if (typology->score && typology->score[t] != TSN_EXPR_NONE &&
            typology_counts(typology, t)) {
            scores[plan->n_scores++] = y;
            plan->row_wise |= score->typologies[y].score_row_wise[t];
        }
    }
    plan->scores = scores;
    int *unless = tsn_arena_zalloc(&score->plan, (size_t)prog->n_rules, sizeof(int));
    for (int r = 0; r < prog->n_rules; r++) {
        const struct tsn_rule *rule = &prog->rules[r];
        if (score->rules[r].evaluated && score->rules[r].is_timer &&
            rule->unless != TSN_EXPR_NONE && rule->unless_event == t) {
            unless[plan->n_unless++] = r;
        }
    }
    plan->unless = unless;
}

/* Everything but state: episodes and lists are the caller's. */
static void plan_program(struct tsn_score *score, const struct tsn_program *prog)
{
    score->prog = prog;
    score->has_timers = false;
    tsn_arena_reset(&score->plan);
    score->timer_evals =
        tsn_arena_zalloc(&score->plan, (size_t)prog->n_types, sizeof(struct tsn_eval *));
    score->rules = tsn_arena_zalloc(&score->plan, (size_t)prog->n_rules, sizeof *score->rules);
    score->types = tsn_arena_zalloc(&score->plan, (size_t)prog->n_types, sizeof *score->types);
    score->typologies =
        tsn_arena_zalloc(&score->plan, (size_t)prog->n_typologies, sizeof *score->typologies);
    plan_uses(score);
    for (int r = 0; r < prog->n_rules; r++) {
        plan_rule(score, r);
    }
    int n_weights = 1;
    for (int t = 0; t < prog->n_typologies; t++) {
        plan_typology(score, t);
        if (prog->typologies[t].n_weights > n_weights) {
            n_weights = prog->typologies[t].n_weights;
        }
    }
    for (int t = 0; t < prog->n_types; t++) {
        plan_type(score, t);
    }
    size_t n_rules = (size_t)prog->n_rules;
    score->weight_counts = tsn_arena_zalloc(&score->plan, (size_t)n_weights, sizeof(uint64_t));
    score->fired = tsn_arena_zalloc(&score->plan, n_rules, sizeof(int));
    score->caught = tsn_arena_zalloc(&score->plan, n_rules, sizeof(struct tsn_hit *));
    score->lists = tsn_arena_zalloc(&score->plan, (size_t)prog->n_lists, sizeof *score->lists);
    score->list_changed = tsn_arena_zalloc(&score->plan, (size_t)prog->n_lists, sizeof(bool));
}

static struct tsn_list *list_start(const struct tsn_list_decl *decl)
{
    return decl->initial ? tsn_list_copy(decl->initial) : tsn_list_new(decl->of, decl->max);
}

/* ---- life ------------------------------------------------------------------------ */

struct tsn_score *tsn_score_new(const struct tsn_program *prog,
                                const struct tsn_engine_settings *settings)
{
    struct tsn_score *score = calloc(1, sizeof *score);
    TSN_MUST_ALLOC(score);
    score->lateness_ms = settings->lateness_ms;
    score->grace_ms = settings->timer_grace_ms;
    score->newest_ms = INT64_MIN;
    score->tick_ms = INT64_MIN;
    score->expired_ms = INT64_MIN;
    score->epoch = 1;
    tsn_arena_init(&score->plan, 0);
    tsn_arena_init(&score->batch, 0);
    tsn_arena_init(&score->timer_memory, 0);
    plan_program(score, prog);
    for (int l = 0; l < prog->n_lists; l++) {
        score->lists[l] = list_start(&prog->lists[l]);
        score->list_changed[l] = true; /* the first cut holds every list */
    }
    score->newest_changed = true;
    return score;
}

void tsn_score_free(struct tsn_score *score)
{
    if (!score) {
        return;
    }
    for (int l = 0; l < score->prog->n_lists; l++) {
        tsn_list_free(score->lists[l]);
    }
    for (int t = 0; t < score->prog->n_typologies; t++) {
        tsn_episode_table_free(&score->typologies[t].episodes);
    }
    tsn_score_timers_free(score);
    tsn_arena_free(&score->timer_memory);
    free(score->dirty);
    free(score->gone);
    tsn_score_cut_free(score);
    free(score->touches);
    tsn_bytes_free(&score->bytes);
    tsn_arena_free(&score->batch);
    tsn_arena_free(&score->plan);
    free(score);
}

void tsn_score_members_from(struct tsn_score *score, tsn_score_members *members, void *user)
{
    score->members = members;
    score->members_user = user;
}

struct tsn_members tsn_score_members_of(const struct tsn_score *score, const struct score_batch *of,
                                        const struct tsn_hit_row *at, int set)
{
    struct tsn_members members = {0};
    if (score->members) {
        uint32_t r = (uint32_t)(at->row - of->batch->rows);
        score->members(score->members_user, r, set, &members);
        of->counts->sets_full += members.full;
    }
    return members;
}

const struct tsn_list *const *tsn_score_lists(const struct tsn_score *score)
{
    return (const struct tsn_list *const *)score->lists;
}

void tsn_score_columns_forget(struct tsn_score *score)
{
    for (int r = 0; r < score->prog->n_rules; r++) {
        score->rules[r].column = (struct tsn_column){0};
    }
    for (int y = 0; y < score->prog->n_typologies; y++) {
        memset(score->typologies[y].shown, 0,
               (size_t)score->prog->n_types * sizeof(struct tsn_column));
    }
}

void tsn_score_want_columns(struct tsn_score *score, bool want)
{
    tsn_score_columns_forget(score);
    score->want_columns = want;
}

const struct tsn_column *tsn_score_rule(const struct tsn_score *score, int rule)
{
    TSN_MUST(rule >= 0 && rule < score->prog->n_rules);
    const struct score_rule *plan = &score->rules[rule];
    return score->want_columns && plan->column.valid ? &plan->column : NULL;
}

const struct tsn_column *tsn_score_typology(const struct tsn_score *score, int typology, int type)
{
    TSN_MUST(typology >= 0 && typology < score->prog->n_typologies);
    TSN_MUST(type >= 0 && type < score->prog->n_types);
    const struct tsn_column *shown = &score->typologies[typology].shown[type];
    return score->want_columns && shown->valid ? shown : NULL;
}

/* ---- another program --------------------------------------------------------------- */

struct named {
    const char *name;
    int at;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* [n_old] index of the same name among the new, or TSN_NONE. malloc'd. */
static int *map_names(const char **old, int n_old, const char **new, int n_new)
{
    struct named *sorted = malloc(((size_t)n_new + 1) * sizeof *sorted);
    int *map = malloc(((size_t)n_old + 1) * sizeof *map);
    TSN_MUST_ALLOC(sorted);
    TSN_MUST_ALLOC(map);
    for (int i = 0; i < n_new; i++) {
        sorted[i] = (struct named){new[i], i};
    }
    qsort(sorted, (size_t)n_new, sizeof *sorted, by_name);
    for (int i = 0; i < n_old; i++) {
        struct named wanted = {old[i], 0};
        const struct named *found =
            bsearch(&wanted, sorted, (size_t)n_new, sizeof *sorted, by_name);
        map[i] = found ? found->at : TSN_NONE;
    }
    free(sorted);
    return map;
}

#define NAMES(to, count, expression)                                                               \
    const char **to = malloc(((size_t)(count) + 1) * sizeof *to);                                  \
    TSN_MUST_ALLOC(to);                                                                            \
    for (int i = 0; i < (count); i++) {                                                            \
        to[i] = (expression);                                                                      \
    }

static int *map_rules(const struct tsn_program *old, const struct tsn_program *new)
{
    NAMES(from, old->n_rules, old->rules[i].id);
    NAMES(to, new->n_rules, new->rules[i].id);
    int *map = map_names(from, old->n_rules, to, new->n_rules);
    free(from);
    free(to);
    return map;
}

static int *map_types(const struct tsn_program *old, const struct tsn_program *new)
{
    NAMES(from, old->n_types, old->types[i].name);
    NAMES(to, new->n_types, new->types[i].name);
    int *map = map_names(from, old->n_types, to, new->n_types);
    free(from);
    free(to);
    return map;
}

static int weight_of(const struct tsn_typology *typology, int rule)
{
    for (int w = 0; w < typology->n_weights; w++) {
        if (typology->weights[w].rule == rule) {
            return w;
        }
    }
    return TSN_NONE;
}

static void remap_episodes(struct tsn_score *score, int typology, const struct tsn_typology *old,
                           const int *rule_map, const int *type_map)
{
    const struct tsn_typology *new = &score->prog->typologies[typology];
    struct tsn_episode_table *table = &score->typologies[typology].episodes;
    int *weight_map = malloc(((size_t)old->n_weights + 1) * sizeof *weight_map);
    TSN_MUST_ALLOC(weight_map);
    for (int w = 0; w < old->n_weights; w++) {
        int rule = rule_map[old->weights[w].rule];
        weight_map[w] = rule == TSN_NONE ? TSN_NONE : weight_of(new, rule);
    }
    for (size_t i = 0; i < table->cap; i++) {
        if (table->slots[i]) {
            tsn_score_mark(score, table->slots[i]);
            table->slots[i]->typology = typology;
            tsn_episode_remap(table->slots[i], weight_map, rule_map, type_map);
        }
    }
    free(weight_map);
}

/* Takes the tables out of the old plan; those of typologies that are gone are freed. */
static void swap_episodes(struct tsn_score *score, const struct tsn_program *old,
                          struct tsn_episode_table *tables)
{
    const struct tsn_program *prog = score->prog;
    int *rule_map = map_rules(old, prog);
    int *type_map = map_types(old, prog);
    for (int t = 0; t < old->n_typologies; t++) {
        int to = tsn_program_typology(prog, old->typologies[t].id);
        if (to == TSN_NONE) {
            continue;
        }
        score->typologies[to].episodes = tables[t];
        tables[t] = (struct tsn_episode_table){0};
        remap_episodes(score, to, &old->typologies[t], rule_map, type_map);
    }
    free(rule_map);
    free(type_map);
}

static struct tsn_list *list_follow(const struct tsn_list_decl *decl, const struct tsn_program *old,
                                    struct tsn_list **old_lists, bool *changed)
{
    for (int l = 0; l < old->n_lists; l++) {
        const struct tsn_list_decl *before = &old->lists[l];
        if (strcmp(before->name, decl->name) != 0) {
            continue;
        }
        if (!before->written || !decl->written || before->of != decl->of) {
            break;
        }
        struct tsn_list *list = tsn_list_new(decl->of, decl->max);
        for (size_t i = 0; i < tsn_list_size(old_lists[l]); i++) {
            struct tsn_list_entry entry = tsn_list_at(old_lists[l], i);
            if (decl->of == TSN_TYPE_STRING) {
                tsn_list_add_string(list, entry.s, entry.expires_ms);
            } else {
                tsn_list_add_int(list, entry.i, entry.expires_ms);
            }
        }
        *changed = true;
        return list;
    }
    *changed = true;
    return list_start(decl);
}

void tsn_score_swap(struct tsn_score *score, const struct tsn_program *prog)
{
    TSN_MUST(!score->cut.runs);
    const struct tsn_program *old = score->prog;
    struct tsn_episode_table *tables = malloc(((size_t)old->n_typologies + 1) * sizeof *tables);
    struct tsn_list **lists = malloc(((size_t)old->n_lists + 1) * sizeof(struct tsn_list *));
    TSN_MUST_ALLOC(tables);
    TSN_MUST_ALLOC(lists);
    /* The new program may look back further than the old one: how far the sweep has come,
     * which depends on batches, must not show. */
    for (int t = 0; t < old->n_typologies; t++) {
        bool gone = tsn_program_typology(prog, old->typologies[t].id) == TSN_NONE;
        tsn_score_prune(score, t, gone);
        tables[t] = score->typologies[t].episodes;
    }
    for (int l = 0; l < old->n_lists; l++) {
        lists[l] = score->lists[l];
    }
    struct tsn_bytes timers = {0};
    tsn_score_timers_pack(score, &timers);
    plan_program(score, prog);
    for (int l = 0; l < prog->n_lists; l++) {
        score->lists[l] = list_follow(&prog->lists[l], old, lists, &score->list_changed[l]);
    }
    swap_episodes(score, old, tables);
    tsn_score_timers_unpack(score, &timers);
    tsn_bytes_free(&timers);
    for (int t = 0; t < old->n_typologies; t++) {
        tsn_episode_table_free(&tables[t]);
    }
    for (int l = 0; l < old->n_lists; l++) {
        tsn_list_free(lists[l]);
    }
    free(tables);
    free(lists);
}
