/* Gates: a log that was walked before settles rules whose features are read off another.
 *
 * A rule that asks for many calls of the caller and something of the callee is false wherever the
 * caller's log is short, as demand.c has it for features of one log. Where all rules for whose
 * sake a part of a step is read ask so much of the log of an earlier step, that step is
 * the part's gate: it leaves the length of its log for each row, and the part is read where that
 * is enough. Nothing that leaves the engine can tell: the rules are false there,
 * whatever the part's features are.
 *
 * Once a program, O(steps * rules) walks over conditions. What it costs a row: a store a gate.
 */
#include "engine/feature/feature.h"

/* One step of an event type. */
struct gate {
    struct tsn_plan_step *step;
    uint64_t *least; /* [n_rules] rows of its log without which the rule cannot fire */
    bool used;
};

struct gates {
    struct tsn_plan *plan;
    int type;
    size_t n;
    struct gate *of; /* in the order in which a row's visits are done */
    struct tsn_arena memory;
};

static void gates_of_stream(struct gates *gates, int s)
{
    const struct tsn_plan_stream *stream = &gates->plan->streams[s];
    const struct tsn_plan_reads *reads = &stream->reads[gates->type];
    size_t n_rules = (size_t)gates->plan->types[gates->type].n_rules;
    for (unsigned i = 0; stream->stepwise && i < reads->n_steps; i++) {
        struct tsn_plan_step *step = (struct tsn_plan_step *)&reads->steps[i];
        if (step->n_before + step->n_after == 0) {
            continue;
        }
        struct gate *gate = &gates->of[gates->n++];
        *gate = (struct gate){.step = step};
        gate->least = tsn_arena_alloc(&gates->memory, (n_rules + 1) * sizeof *gate->least);
        tsn_demand_least(gates->plan, stream, gates->type, step->outputs[0].slot, gate->least);
    }
}

static size_t steps_of(const struct tsn_plan *plan, int type)
{
    size_t n = 0;
    for (int s = 0; s < plan->n_streams; s++) {
        n += plan->streams[s].reads[type].n_steps;
    }
    return n;
}

/* Rows of a gate's log without which no rule of a want can fire. */
static uint64_t least_of(const struct gate *gate, const struct tsn_plan_want *want)
{
    uint64_t least = want->n_rules ? UINT64_MAX : 0;
    for (unsigned r = 0; r < want->n_rules; r++) {
        uint64_t of = gate->least[want->rules[r]];
        least = of < least ? of : least;
    }
    return least;
}

/* The earlier step that asks most. A gate's own features are there for it to tell: those that
 * count are read, or given the length, wherever one of the rules is open. */
static void part_gate(struct gates *gates, size_t of, struct tsn_plan_part *part)
{
    const struct tsn_plan_want *want = &gates->plan->types[gates->type].wants[part->want];
    struct gate *best = NULL;
    for (size_t g = 0; g < of; g++) {
        uint64_t least = least_of(&gates->of[g], want);
        if (least > part->gate_least) {
            part->gate_least = least;
            best = &gates->of[g];
        }
    }
    if (best) {
        struct tsn_plan_type *type = &gates->plan->types[gates->type];
        if (!best->used) {
            best->used = true;
            best->step->length = type->n_lengths++;
        }
        part->gate = best->step->length;
    }
}

static void type_gates(struct tsn_plan *plan, int t)
{
    struct gates gates = {.plan = plan, .type = t};
    tsn_arena_init(&gates.memory, 0);
    gates.of = tsn_arena_alloc(&gates.memory, (steps_of(plan, t) + 1) * sizeof *gates.of);
    for (int l = 0; l < plan->n_levels; l++) {
        for (int s = 0; s < plan->levels[l].n_streams; s++) {
            gates_of_stream(&gates, plan->levels[l].streams[s]);
        }
    }
    for (size_t g = 0; g < gates.n; g++) {
        struct tsn_plan_step *step = gates.of[g].step;
        for (unsigned p = 0; p < step->n_parts; p++) {
            part_gate(&gates, g, (struct tsn_plan_part *)&step->parts[p]);
        }
    }
    tsn_arena_free(&gates.memory);
}

void tsn_gates_plan(struct tsn_plan *plan)
{
    for (int t = 0; t < plan->prog->n_types && !plan->rowwise; t++) {
        type_gates(plan, t);
    }
}
