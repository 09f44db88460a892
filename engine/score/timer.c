/* Timers: rules with `after`. A row on which such a rule is true arms it; it fires when
 * the clock has come to the row's time + after, unless an event with the same entity
 * called it off meanwhile (docs/SEMANTICS.md, "Timers").
 *
 * An armed timer keeps the cells that the rule will need - not the rendered hit, because
 * the alert's addresses and parameters come from the event too - and fires as a batch of
 * one row, so that everything behind it is the same code as for rows. A heap by (due,
 * entity, rule, order) gives the order that the semantics fix; a hash by rule and entity
 * finds what an event calls off. Arming, calling off and firing cost O(log n). Most timers
 * are called off soon: one that was in no checkpoint yet leaves no trace in any.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/alert/text.h"
#include "engine/score/state.h"
#include "rules/must/must.h"

enum { TIMER_FORMAT = 1, FIRST_BUCKETS = 64 }; /* the format is checked with all others */
enum { CELL_VALUE = 1, CELL_ERROR = 2, CELL_APPROXIMATE = 3 /* a value, too */ };

/* ---- plan: what a rule needs of its event ------------------------------------------- */

static void keep_input(bool *kept, int input)
{
    if (input != TSN_NONE) {
        kept[input] = true;
    }
}

static void keep_expr(bool *kept, const struct tsn_expr_set *exprs, uint32_t expr)
{
    size_t n;
    const uint32_t *inputs = tsn_expr_inputs(exprs, expr, &n);
    for (size_t i = 0; i < n; i++) {
        kept[inputs[i]] = true;
    }
}

static void keep_action(bool *kept, const struct tsn_program *prog, const struct tsn_action *action,
                        int type)
{
    if (!action->present || action->sms.template_ == TSN_NONE) {
        return;
    }
    if (!action->sms.to_entity) {
        keep_input(kept, action->sms.to_field[type]);
    }
    for (int p = 0; p < prog->templates[action->sms.template_].n_params; p++) {
        keep_input(kept, action->sms.param_field[p][type]);
    }
}

void tsn_score_timer_plan(struct tsn_score *score, int r)
{
    const struct tsn_program *prog = score->prog;
    const struct tsn_rule *rule = &prog->rules[r];
    const struct tsn_event_type *type = &prog->types[rule->event];
    struct score_rule *plan = &score->rules[r];
    uint32_t n_inputs = (uint32_t)(type->n_fields + type->n_slots);
    bool *kept = tsn_arena_zalloc(&score->plan, n_inputs, 1);
    keep_input(kept, 0);
    keep_input(kept, type->id_field);
    keep_expr(kept, type->exprs, rule->when);
    for (int i = 0; i < rule->n_reason; i++) {
        if (rule->reason[i].expr != TSN_EXPR_NONE) {
            keep_expr(kept, type->exprs, rule->reason[i].expr);
        }
    }
    for (int w = 0; w < rule->n_writes; w++) {
        keep_input(kept, rule->writes[w].field);
    }
    for (uint32_t u = 0; u < plan->n_uses; u++) {
        const struct tsn_typology *typology = &prog->typologies[plan->uses[u].typology];
        keep_input(kept, typology->entity_field[rule->event]);
        for (int level = 0; level < TSN_LEVELS; level++) {
            keep_action(kept, prog, &typology->actions[level], rule->event);
        }
    }
    plan->n_kept = 0;
    plan->kept = tsn_arena_zalloc(&score->plan, n_inputs, sizeof *plan->kept);
    for (uint32_t i = 0; i < n_inputs; i++) {
        if (kept[i]) {
            plan->kept[plan->n_kept++] = i;
        }
    }
}

/* ---- cells ----------------------------------------------------------------------------- */

static void cell_write(const struct tsn_column *column, uint32_t at, bool approximate,
                       struct tsn_bytes *to)
{
    bool valid = tsn_bits_get(column->valid, at);
    tsn_bytes_u8(to, valid ? (approximate ? CELL_APPROXIMATE : CELL_VALUE) : CELL_ERROR);
    if (!valid) {
        return;
    }
    switch (column->rep) {
    case TSN_REP_BOOL:
        tsn_bytes_u8(to, tsn_bits_get(column->bits, at));
        break;
    case TSN_REP_STRING:
        tsn_bytes_str(to, column->str[at]);
        break;
    case TSN_REP_ENUM:
        tsn_bytes_str(to, column->dict->names[column->code[at]]);
        break;
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
        tsn_bytes_u64(to, (uint64_t)column->time[at].s);
        tsn_bytes_u32(to, (uint32_t)column->time[at].ns);
        break;
    case TSN_REP_INT:
    case TSN_REP_DOUBLE:
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
    case TSN_REP_MONEY:
        tsn_bytes_u64(to, (uint64_t)column->i64[at]);
        break;
    case TSN_REP_LIST:
    case TSN_REP_NULL:
        break; /* no input is one */
    }
}

/* An enum's text as a code of this column, or UINT32_MAX. */
static uint32_t code_of(const struct tsn_column *column, struct tsn_str text)
{
    for (uint32_t i = 0; column->dict && i < column->dict->n; i++) {
        const struct tsn_str *name = &column->dict->names[i];
        if (name->len == text.len && memcmp(name->p, text.p, text.len) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* Reads a cell of representation `rep` into row 0 of the column; a NULL column only skips
 * it. Text stays borrowed. */
static void cell_read(struct tsn_bytes_reader *from, enum tsn_rep rep, struct tsn_column *column)
{
    uint8_t state = tsn_bytes_get_u8(from);
    from->bad |= state != CELL_VALUE && state != CELL_ERROR && state != CELL_APPROXIMATE;
    bool valid = state == CELL_VALUE || state == CELL_APPROXIMATE;
    uint64_t bits = 0;
    struct tsn_str text = {"", 0};
    struct tsn_time time = {0};
    if (valid) {
        switch (rep) {
        case TSN_REP_BOOL:
            bits = tsn_bytes_get_u8(from);
            break;
        case TSN_REP_STRING:
        case TSN_REP_ENUM:
            text = tsn_bytes_get_str(from);
            break;
        case TSN_REP_TIME:
        case TSN_REP_DURATION:
            time.s = (int64_t)tsn_bytes_get_u64(from);
            time.ns = (int32_t)tsn_bytes_get_u32(from);
            from->bad |= time.ns < 0 || time.ns >= 1000000000;
            break;
        case TSN_REP_LIST:
        case TSN_REP_NULL:
            from->bad = true;
            break;
        default:
            bits = tsn_bytes_get_u64(from);
            break;
        }
    }
    if (from->bad || !column) {
        return;
    }
    uint32_t code = rep == TSN_REP_ENUM && valid ? code_of(column, text) : 0;
    if (!valid || code == UINT32_MAX) {
        if (!valid) {
            tsn_bits_set(column->error, 0);
        }
        return; /* an enum value that the pack has dropped is missing */
    }
    tsn_bits_set(column->valid, 0);
    if (state == CELL_APPROXIMATE) {
        tsn_bits_set(column->approximate, 0);
    }
    if (rep == TSN_REP_BOOL) {
        column->bits[0] = bits != 0;
    } else if (rep == TSN_REP_STRING) {
        column->str[0] = text;
    } else if (rep == TSN_REP_ENUM) {
        column->code[0] = (uint16_t)code;
    } else if (rep == TSN_REP_TIME || rep == TSN_REP_DURATION) {
        column->time[0] = time;
    } else {
        column->i64[0] = (int64_t)bits;
    }
}

/* ---- heap and buckets --------------------------------------------------------------------- */

static int text_compare(const void *a, uint32_t a_len, const void *b, uint32_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : (a_len > b_len) - (a_len < b_len);
}

static bool fires_before(const struct score_timer *a, const struct score_timer *b)
{
    if (a->due_ms != b->due_ms) {
        return a->due_ms < b->due_ms;
    }
    int entity = text_compare(a->bytes, a->entity_len, b->bytes, b->entity_len);
    if (entity != 0) {
        return entity < 0;
    }
    if (a->entity_type != b->entity_type) {
        return a->entity_type < b->entity_type;
    }
    return a->rule != b->rule ? a->rule < b->rule : a->order < b->order;
}

static void heap_put(struct score_timers *timers, struct score_timer *timer, size_t at)
{
    timers->heap[at] = timer;
    timer->heap_at = at;
}

static void heap_settle(struct score_timers *timers, struct score_timer *timer, size_t at)
{
    while (at > 0 && fires_before(timer, timers->heap[(at - 1) / 2])) {
        heap_put(timers, timers->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < timers->n && fires_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (child >= timers->n || !fires_before(timers->heap[child], timer)) {
            break;
        }
        heap_put(timers, timers->heap[child], at);
        at = child;
    }
    heap_put(timers, timer, at);
}

static uint64_t timer_hash(int rule, enum tsn_type type, const void *entity, size_t len)
{
    return XXH3_64bits_withSeed(entity, len, (uint64_t)rule * 64 + (uint64_t)type);
}

static void buckets_grow(struct score_timers *timers)
{
    free(timers->buckets);
    timers->n_buckets = timers->n_buckets ? 2 * timers->n_buckets : FIRST_BUCKETS;
    timers->buckets = calloc(timers->n_buckets, sizeof(struct score_timer *));
    TSN_MUST_ALLOC(timers->buckets);
    for (size_t i = 0; i < timers->n; i++) {
        struct score_timer **bucket =
            &timers->buckets[timers->heap[i]->hash & (timers->n_buckets - 1)];
        timers->heap[i]->next = *bucket;
        *bucket = timers->heap[i];
    }
}

static void timer_insert(struct score_timers *timers, struct score_timer *timer)
{
    if (timers->n == timers->cap) {
        timers->cap = timers->cap ? 2 * timers->cap : 64;
        timers->heap = realloc(timers->heap, timers->cap * sizeof(struct score_timer *));
        TSN_MUST_ALLOC(timers->heap);
    }
    if (timers->n >= timers->n_buckets) {
        buckets_grow(timers);
    }
    timers->n++;
    heap_settle(timers, timer, timers->n - 1);
    struct score_timer **bucket = &timers->buckets[timer->hash & (timers->n_buckets - 1)];
    timer->next = *bucket;
    *bucket = timer;
}

static void timer_key(const struct tsn_score *score, const struct score_timer *timer,
                      uint8_t key[16])
{
    const char *id = score->prog->rules[timer->rule].id;
    const uint64_t parts[] = {(uint64_t)timer->due_ms, (uint64_t)timer->position, timer->source,
                              XXH3_64bits(id, strlen(id))};
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(parts, sizeof parts));
    memcpy(key, canonical.digest, 16);
}

static void gone_add(struct score_timers *timers, const uint8_t key[16])
{
    if (timers->n_gone == timers->gone_cap) {
        timers->gone_cap = timers->gone_cap ? 2 * timers->gone_cap : 64;
        timers->gone = realloc(timers->gone, timers->gone_cap * sizeof *timers->gone);
        TSN_MUST_ALLOC(timers->gone);
    }
    memcpy(timers->gone[timers->n_gone++].bytes, key, 16);
}

static void fresh_add(struct score_timers *timers, struct score_timer *timer, uint32_t epoch)
{
    if (timers->n_fresh == timers->fresh_cap) {
        timers->fresh_cap = timers->fresh_cap ? 2 * timers->fresh_cap : 64;
        timers->fresh = realloc(timers->fresh, timers->fresh_cap * sizeof(struct score_timer *));
        TSN_MUST_ALLOC(timers->fresh);
    }
    timer->armed = epoch;
    timer->fresh_at = timers->n_fresh;
    timers->fresh[timers->n_fresh++] = timer;
}

/* Takes it out of everything; the caller frees it. */
static void timer_take(struct tsn_score *score, struct score_timer *timer)
{
    struct score_timers *timers = &score->timers;
    tsn_score_timer_goes(score, timer);
    if (timer->fresh_at != SIZE_MAX) {
        struct score_timer *last = timers->fresh[--timers->n_fresh];
        timers->fresh[timer->fresh_at] = last;
        last->fresh_at = timer->fresh_at;
    } else {
        uint8_t key[16];
        timer_key(score, timer, key);
        gone_add(timers, key);
    }
    struct score_timer **link = &timers->buckets[timer->hash & (timers->n_buckets - 1)];
    while (*link != timer) {
        link = &(*link)->next;
    }
    *link = timer->next;
    size_t hole = timer->heap_at;
    struct score_timer *last = timers->heap[--timers->n];
    if (last != timer) {
        heap_settle(timers, last, hole);
    }
}

/* ---- arming and calling off -------------------------------------------------------------- */

/* The entity that a row names for a timer, as text; false if it names none. */
static bool entity_of(const struct tsn_hit_row *at, int field, char *room, struct tsn_str *text,
                      enum tsn_type *type)
{
    struct tsn_value value;
    tsn_column_value(&at->inputs[field], at->row->at, &value);
    *type = value.type.type;
    *text = tsn_text_value(&value, room);
    return value.state == TSN_STATE_VALUE;
}

static struct score_timer *timer_new(const struct tsn_bytes *bytes)
{
    struct score_timer *timer = calloc(1, sizeof *timer + bytes->len);
    TSN_MUST_ALLOC(timer);
    timer->len = (uint32_t)bytes->len;
    memcpy(timer->bytes, bytes->p, bytes->len);
    return timer;
}

static void timer_arm(struct tsn_score *score, const struct tsn_hit_row *at, int r)
{
    const struct tsn_rule *rule = &score->prog->rules[r];
    const struct score_rule *plan = &score->rules[r];
    char room[TSN_TEXT_MAX];
    struct tsn_str entity;
    enum tsn_type type;
    if (!entity_of(at, rule->timer_by, room, &entity, &type)) {
        return;
    }
    struct tsn_bytes *bytes = &score->bytes;
    bytes->len = 0;
    tsn_bytes_put(bytes, entity.p, entity.len);
    for (uint32_t i = 0; i < plan->n_kept; i++) {
        const struct tsn_column *column = &at->inputs[plan->kept[i]];
        uint32_t row = at->row->at;
        if (tsn_bits_get(column->valid, row) ||
            (column->error && tsn_bits_get(column->error, row))) {
            tsn_bytes_u32(bytes, plan->kept[i]);
            cell_write(column, row, tsn_hit_approximation(at, plan->kept[i]).holds, bytes);
        }
    }
    struct score_timer *timer = timer_new(bytes);
    timer->due_ms = tsn_time_plus(at->row->time_ms, rule->after_ms);
    timer->armed_ms = at->row->time_ms;
    timer->order = score->timers.order++;
    timer->position = at->row->position;
    timer->rule = r;
    timer->source = at->row->source;
    timer->entity_type = (uint8_t)type;
    timer->entity_len = entity.len;
    timer->hash = timer_hash(r, type, timer->bytes, entity.len);
    timer_insert(&score->timers, timer);
    fresh_add(&score->timers, timer, score->epoch);
}

/* An event of time t calls off what was armed up to it and is not due before it. */
static void timers_call_off(struct tsn_score *score, const struct tsn_hit_row *at, int r)
{
    struct score_timers *timers = &score->timers;
    char room[TSN_TEXT_MAX];
    struct tsn_str entity;
    enum tsn_type type;
    if (timers->n == 0 || !entity_of(at, score->prog->rules[r].unless_by, room, &entity, &type)) {
        return;
    }
    uint64_t hash = timer_hash(r, type, entity.p, entity.len);
    struct score_timer *next;
    for (struct score_timer *timer = timers->buckets[hash & (timers->n_buckets - 1)]; timer;
         timer = next) {
        next = timer->next;
        if (timer->hash == hash && timer->rule == r && timer->entity_type == type &&
            text_compare(timer->bytes, timer->entity_len, entity.p, entity.len) == 0 &&
            timer->armed_ms <= at->row->time_ms && at->row->time_ms <= timer->due_ms) {
            timer_take(score, timer);
            free(timer);
        }
    }
}

void tsn_score_timer_row(struct tsn_score *score, const struct tsn_hit_row *at)
{
    const struct score_type *type = &score->types[at->row->type];
    for (uint32_t i = 0; i < type->n_unless; i++) {
        const struct tsn_column *unless = score->rules[type->unless[i]].unless;
        if (tsn_bits_get(unless->valid, at->row->at) && tsn_bits_get(unless->bits, at->row->at)) {
            timers_call_off(score, at, type->unless[i]);
        }
    }
    for (uint32_t i = 0; i < type->n_active; i++) {
        const struct score_rule *rule = &score->rules[type->active[i]];
        if (rule->is_timer && tsn_bits_get(rule->column.bits, at->row->at)) {
            timer_arm(score, at, type->active[i]);
        }
    }
}

/* ---- firing ---------------------------------------------------------------------------------- */

static void input_shape(const struct tsn_program *prog, int t, uint32_t input,
                        struct tsn_column *shape)
{
    const struct tsn_event_type *type = &prog->types[t];
    if (input < (uint32_t)type->n_fields) {
        const struct tsn_field *field = &type->fields[input];
        *shape =
            (struct tsn_column){.rep = field->rep, .scale = field->scale, .dict = &field->dict};
        return;
    }
    const struct tsn_feature *feature =
        &prog->features[type->slots[input - (uint32_t)type->n_fields].feature];
    *shape =
        (struct tsn_column){.rep = feature->rep, .scale = feature->scale, .dict = feature->dict};
}

/* The event again, as a batch of one row. */
static struct tsn_column *inputs_make(struct tsn_score *score, const struct score_timer *timer)
{
    int t = score->prog->rules[timer->rule].event;
    const struct tsn_event_type *type = &score->prog->types[t];
    uint32_t n = (uint32_t)(type->n_fields + type->n_slots);
    tsn_arena_reset(&score->timer_memory);
    struct tsn_column *inputs = tsn_arena_zalloc(&score->timer_memory, n, sizeof *inputs);
    for (uint32_t i = 0; i < n; i++) {
        struct tsn_column shape;
        input_shape(score->prog, t, i, &shape);
        tsn_column_alloc(&inputs[i], shape.rep, 1, true, &score->timer_memory);
        inputs[i].approximate = tsn_arena_zalloc(&score->timer_memory, 1, sizeof(uint64_t));
        inputs[i].scale = shape.scale;
        inputs[i].dict = shape.rep == TSN_REP_ENUM ? shape.dict : NULL;
    }
    struct tsn_bytes_reader from = {.p = timer->bytes + timer->entity_len,
                                    .left = timer->len - timer->entity_len};
    while (from.left) {
        uint32_t input = tsn_bytes_get_u32(&from);
        TSN_MUST(!from.bad && input < n);
        cell_read(&from, inputs[input].rep, &inputs[input]);
        TSN_MUST(!from.bad); /* written here, or checked when it was loaded */
    }
    return inputs;
}

static bool timer_fire(struct tsn_score *score, const struct score_batch *of,
                       const struct score_timer *timer, tsn_event_ms newest_ms)
{
    int t = score->prog->rules[timer->rule].event;
    struct tsn_row row = {
        .time_ms = timer->due_ms,
        .position = timer->position,
        .type = (uint16_t)t,
        .source = timer->source,
    };
    if (!score->timer_evals[t]) {
        score->timer_evals[t] = tsn_eval_new(score->prog->types[t].exprs);
    }
    struct tsn_frame frame = {
        .n_rows = 1,
        .inputs = inputs_make(score, timer),
        .lists = tsn_score_lists(score),
        .time_ms = &row.time_ms,
    };
    tsn_eval_begin(score->timer_evals[t], &frame);
    struct tsn_hit_row at = {
        .prog = score->prog,
        .row = &row,
        .eval = score->timer_evals[t],
        .inputs = frame.inputs,
        .masked = score->types[t].masked,
        .partial = true,
    };
    return tsn_score_fire(score, of, &at, timer->rule, newest_ms);
}

bool tsn_score_timers_due(const struct tsn_score *score, tsn_event_ms clock_ms)
{
    return score->timers.n &&
           score->timers.heap[0]->due_ms <= tsn_time_minus(clock_ms, score->grace_ms);
}

bool tsn_score_timers_fire(struct tsn_score *score, const struct score_batch *of,
                           tsn_event_ms clock_ms, tsn_event_ms newest_ms, size_t *n)
{
    bool lists_changed = false;
    while (tsn_score_timers_due(score, clock_ms)) {
        struct score_timer *timer = score->timers.heap[0];
        timer_take(score, timer);
        lists_changed |= timer_fire(score, of, timer, newest_ms);
        free(timer);
        ++*n;
    }
    return lists_changed;
}

bool tsn_score_clock(struct tsn_score *score, tsn_event_ms clock_ms, struct tsn_output *out,
                     struct tsn_engine_counts *counts)
{
    if (!tsn_score_timers_due(score, clock_ms)) {
        return false;
    }
    struct score_batch of = {.out = out, .counts = counts};
    size_t n = 0;
    tsn_score_timers_fire(score, &of, clock_ms, score->newest_ms, &n);
    if (clock_ms > score->tick_ms) {
        score->tick_ms = clock_ms;
        score->newest_changed = true;
    }
    return true;
}

/* ---- records --------------------------------------------------------------------------------- */

static const char *input_name(const struct tsn_event_type *type, uint32_t input)
{
    return input < (uint32_t)type->n_fields ? type->fields[input].name
                                            : type->slots[input - (uint32_t)type->n_fields].name;
}

static uint32_t cells_count(const struct tsn_program *prog, const struct score_timer *timer)
{
    struct tsn_bytes_reader from = {.p = timer->bytes + timer->entity_len,
                                    .left = timer->len - timer->entity_len};
    uint32_t n = 0;
    for (; from.left; n++) {
        struct tsn_column shape;
        input_shape(prog, prog->rules[timer->rule].event, tsn_bytes_get_u32(&from), &shape);
        cell_read(&from, shape.rep, NULL);
    }
    return n;
}

static void timer_write(const struct tsn_program *prog, const struct score_timer *timer,
                        struct tsn_bytes *to)
{
    const struct tsn_rule *rule = &prog->rules[timer->rule];
    const struct tsn_event_type *type = &prog->types[rule->event];
    tsn_bytes_name(to, rule->id);
    tsn_bytes_name(to, type->name);
    tsn_bytes_u64(to, (uint64_t)timer->due_ms);
    tsn_bytes_u64(to, (uint64_t)timer->armed_ms);
    tsn_bytes_u64(to, timer->order);
    tsn_bytes_u64(to, (uint64_t)timer->position);
    tsn_bytes_u32(to, timer->source);
    tsn_bytes_u8(to, timer->entity_type);
    tsn_bytes_str(to, (struct tsn_str){(const char *)timer->bytes, timer->entity_len});
    struct tsn_bytes_reader from = {.p = timer->bytes + timer->entity_len,
                                    .left = timer->len - timer->entity_len};
    tsn_bytes_u32(to, cells_count(prog, timer));
    while (from.left) {
        uint32_t input = tsn_bytes_get_u32(&from);
        struct tsn_column shape;
        input_shape(prog, rule->event, input, &shape);
        tsn_bytes_u8(to, input < (uint32_t)type->n_fields);
        tsn_bytes_name(to, input_name(type, input));
        tsn_bytes_u8(to, (uint8_t)shape.rep);
        tsn_bytes_u8(to, shape.scale);
        const uint8_t *start = from.p;
        cell_read(&from, shape.rep, NULL);
        TSN_MUST(!from.bad);
        tsn_bytes_put(to, start, (size_t)(from.p - start));
    }
}

/* Keeps the cells of inputs that the program still has, under their indexes now. */
static void cells_map(const struct tsn_program *prog, int t, struct tsn_bytes_reader *from,
                      struct tsn_bytes *to)
{
    const struct tsn_event_type *type = &prog->types[t];
    for (uint32_t n = tsn_bytes_get_u32(from); n > 0 && !from->bad; n--) {
        bool is_field = tsn_bytes_get_u8(from) != 0;
        struct tsn_str name = tsn_bytes_get_str(from);
        uint8_t rep = tsn_bytes_get_u8(from);
        uint8_t scale = tsn_bytes_get_u8(from);
        const uint8_t *start = from->p;
        from->bad |= rep > TSN_REP_DURATION;
        cell_read(from, (enum tsn_rep)rep, NULL);
        if (from->bad) {
            return;
        }
        uint32_t input = is_field ? 0 : (uint32_t)type->n_fields;
        uint32_t end = (uint32_t)(is_field ? type->n_fields : type->n_fields + type->n_slots);
        while (input < end && !tsn_str_is(name, input_name(type, input))) {
            input++;
        }
        struct tsn_column shape = {.rep = TSN_REP_NULL};
        if (input < end) {
            input_shape(prog, t, input, &shape);
        }
        if (shape.rep == (enum tsn_rep)rep && shape.scale == scale) {
            tsn_bytes_u32(to, input);
            tsn_bytes_put(to, start, (size_t)(from->p - start));
        }
    }
}

/* Arms what was written; NULL if the program has no such rule now, or the bytes lie. */
static struct score_timer *timer_read(struct tsn_score *score, struct tsn_bytes_reader *from)
{
    struct tsn_str rule = tsn_bytes_get_str(from);
    struct tsn_str type = tsn_bytes_get_str(from);
    struct score_timer head = {.due_ms = (int64_t)tsn_bytes_get_u64(from)};
    head.armed_ms = (int64_t)tsn_bytes_get_u64(from);
    head.order = tsn_bytes_get_u64(from);
    head.position = (int64_t)tsn_bytes_get_u64(from);
    head.source = (uint16_t)tsn_bytes_get_u32(from);
    head.entity_type = tsn_bytes_get_u8(from);
    struct tsn_str entity = tsn_bytes_get_str(from);
    from->bad |= head.entity_type > TSN_TYPE_NULL || head.order == UINT64_MAX;
    const struct tsn_program *prog = score->prog;
    head.rule = 0;
    while (head.rule < prog->n_rules && !tsn_str_is(rule, prog->rules[head.rule].id)) {
        head.rule++;
    }
    if (from->bad || head.rule == prog->n_rules || !score->rules[head.rule].evaluated ||
        !score->rules[head.rule].is_timer ||
        !tsn_str_is(type, prog->types[prog->rules[head.rule].event].name)) {
        return NULL;
    }
    struct tsn_bytes bytes = {0};
    tsn_bytes_put(&bytes, entity.p, entity.len);
    cells_map(prog, prog->rules[head.rule].event, from, &bytes);
    from->bad |= from->left > 0;
    struct score_timer *timer = NULL;
    if (!from->bad) {
        timer = timer_new(&bytes);
        head.len = timer->len;
        head.entity_len = entity.len;
        head.hash = timer_hash(head.rule, (enum tsn_type)head.entity_type, entity.p, entity.len);
        head.fresh_at = SIZE_MAX;
        head.given = 1; /* by an epoch that no cut has */
        *timer = head;  /* without its bytes */
        timer_insert(&score->timers, timer);
        if (head.order >= score->timers.order) {
            score->timers.order = head.order + 1;
        }
    }
    tsn_bytes_free(&bytes);
    return timer;
}

bool tsn_score_timer_load(struct tsn_score *score, struct tsn_bytes_reader *from, const char **why)
{
    timer_read(score, from);
    if (from->bad) {
        *why = "a timer record does not hold what it says";
    }
    return !from->bad;
}

/* For each: its record, its key, and whether it is in no checkpoint yet. */
void tsn_score_timers_pack(struct tsn_score *score, struct tsn_bytes *to)
{
    struct score_timers *timers = &score->timers;
    struct tsn_bytes one = {0};
    for (size_t i = 0; i < timers->n; i++) {
        uint8_t key[16];
        one.len = 0;
        timer_write(score->prog, timers->heap[i], &one);
        timer_key(score, timers->heap[i], key);
        tsn_bytes_str(to, (struct tsn_str){(const char *)one.p, (uint32_t)one.len});
        tsn_bytes_put(to, key, sizeof key);
        tsn_bytes_u8(to, timers->heap[i]->fresh_at != SIZE_MAX);
        free(timers->heap[i]);
    }
    tsn_bytes_free(&one);
    timers->n = 0;
    timers->n_fresh = 0;
    free(timers->buckets);
    timers->buckets = NULL;
    timers->n_buckets = 0;
    for (int t = 0; t < score->prog->n_types; t++) {
        tsn_eval_free(score->timer_evals[t]);
        score->timer_evals[t] = NULL;
    }
}

void tsn_score_timers_unpack(struct tsn_score *score, const struct tsn_bytes *packed)
{
    struct tsn_bytes_reader from = {.p = packed->p, .left = packed->len};
    while (from.left) {
        struct tsn_str record = tsn_bytes_get_str(&from);
        const uint8_t *key = tsn_bytes_take(&from, 16);
        bool fresh = tsn_bytes_get_u8(&from) != 0;
        struct tsn_bytes_reader one = {.p = (const uint8_t *)record.p, .left = record.len};
        struct score_timer *timer = timer_read(score, &one);
        TSN_MUST(!from.bad && !one.bad);
        if (timer && fresh) {
            fresh_add(&score->timers, timer, score->epoch);
        } else if (!timer && !fresh) {
            gone_add(&score->timers, key);
        }
    }
}

void tsn_score_timers_free(struct tsn_score *score)
{
    struct score_timers *timers = &score->timers;
    for (size_t i = 0; i < timers->n; i++) {
        free(timers->heap[i]);
    }
    free(timers->heap);
    free(timers->buckets);
    free(timers->fresh);
    free(timers->gone);
    for (int t = 0; t < score->prog->n_types; t++) {
        tsn_eval_free(score->timer_evals[t]);
    }
}

void tsn_score_timer_write(const struct tsn_score *score, const struct score_timer *timer,
                           struct tsn_bytes *to, uint8_t key[16])
{
    tsn_bytes_u8(to, TIMER_FORMAT);
    timer_write(score->prog, timer, to);
    timer_key(score, timer, key);
}
