#include "engine/score/hit.h"

#include <stdlib.h>
#include <string.h>

#include "engine/alert/text.h"
#include "rules/must/must.h"

/* Of evidence, before its value. */
enum {
    EVIDENCE_MASKED = 1,
    EVIDENCE_APPROXIMATE = 2 /* its edge follows */,
    EVIDENCE_SKETCHED = 4,
    EVIDENCE_CAUSE_SHIFT = 3, /* above: enum tsn_cause */
};

/* ---- what is masked --------------------------------------------------------- */

static bool slot_masked(const struct tsn_program *prog, const struct tsn_event_type *type,
                        const struct tsn_slot *slot, const bool *masked)
{
    const struct tsn_feature *feature = &prog->features[slot->feature];
    if (feature->agg == TSN_AGG_FIRST || feature->agg == TSN_AGG_LAST) {
        const struct tsn_event_type *writer = &prog->types[feature->event];
        return feature->field != TSN_NONE && writer->fields[feature->field].entity_kind != TSN_NONE;
    }
    if (feature->agg == TSN_AGG_EXPR) {
        size_t n;
        const uint32_t *inputs = tsn_expr_inputs(type->exprs, feature->expr, &n);
        bool text = tsn_expr_type_of(type->exprs, feature->expr).type == TSN_TYPE_STRING;
        for (size_t i = 0; text && i < n; i++) {
            if (masked[inputs[i]]) {
                return true;
            }
        }
    }
    return false;
}

void tsn_hit_masks(const struct tsn_program *prog, int t, bool *masked)
{
    const struct tsn_event_type *type = &prog->types[t];
    for (int f = 0; f < type->n_fields; f++) {
        masked[f] = type->fields[f].entity_kind != TSN_NONE;
    }
    for (int s = 0; s < type->n_slots; s++) {
        masked[type->n_fields + s] = false; /* an expression reads earlier slots only */
    }
    for (int s = 0; s < type->n_slots; s++) {
        masked[type->n_fields + s] = slot_masked(prog, type, &type->slots[s], masked);
    }
}

/* ---- capture ------------------------------------------------------------------ */

struct tsn_event_ref tsn_hit_event(const struct tsn_hit_row *at, char *room)
{
    const struct tsn_event_type *type = &at->prog->types[at->row->type];
    struct tsn_event_ref ref = {
        .type = at->row->type,
        .source = at->row->source,
        .position = at->row->position,
        .time_ms = at->inputs[0].i64[at->row->at],
        .id = {"", 0},
    };
    if (type->id_field != TSN_NONE) {
        struct tsn_value id;
        tsn_column_value(&at->inputs[type->id_field], at->row->at, &id);
        if (id.state == TSN_STATE_VALUE) {
            ref.id = tsn_text_value(&id, room);
        }
    }
    return ref;
}

/* ---- what is approximate ---------------------------------------------------------- */

/* Of a feature read from panes; of an expression, the worst that it reads. `surely`: it is
 * known to be approximate, as a timer's inputs are, whose own inputs are not kept. */
static void approximation_join(const struct tsn_hit_row *at, uint32_t input, bool surely,
                               struct tsn_approximation *worst)
{
    const struct tsn_event_type *type = &at->prog->types[at->row->type];
    const struct tsn_column *column = &at->inputs[input];
    if (input < (uint32_t)type->n_fields) {
        return;
    }
    const struct tsn_feature *feature =
        &at->prog->features[type->slots[input - (uint32_t)type->n_fields].feature];
    surely |= column->approximate && tsn_bits_get(column->approximate, at->row->at);
    if (feature->agg == TSN_AGG_EXPR) {
        size_t n;
        const uint32_t *inputs = tsn_expr_inputs(type->exprs, feature->expr, &n);
        for (size_t i = 0; i < n; i++) {
            approximation_join(at, inputs[i], surely, worst);
        }
    } else if (surely) {
        tsn_duration_ms back_ms;
        if (__builtin_add_overflow(feature->window_ms, feature->delay_ms, &back_ms)) {
            back_ms = INT64_MAX;
        }
        tsn_duration_ms edge_ms = back_ms / TSN_PANE_PART + (back_ms % TSN_PANE_PART != 0);
        worst->holds = true;
        worst->sketched |= feature->agg == TSN_AGG_DISTINCT;
        worst->edge_ms = edge_ms > worst->edge_ms ? edge_ms : worst->edge_ms;
    }
}

struct tsn_approximation tsn_hit_approximation(const struct tsn_hit_row *at, uint32_t input)
{
    struct tsn_approximation worst = {0};
    approximation_join(at, input, false, &worst);
    return worst;
}

static bool expr_approximate(const struct tsn_hit_row *at, uint32_t expr)
{
    size_t n;
    const uint32_t *inputs = tsn_expr_inputs(at->prog->types[at->row->type].exprs, expr, &n);
    bool holds = false;
    for (size_t i = 0; i < n; i++) {
        holds |= tsn_hit_approximation(at, inputs[i]).holds;
    }
    return holds;
}

static void reason_value(const struct tsn_hit_row *at, const struct tsn_reason_part *part,
                         struct tsn_bytes *to)
{
    char room[TSN_TEXT_MAX];
    char masked[TSN_TEXT_MAX];
    const struct tsn_column *column = part->input == UINT32_MAX ? NULL : &at->inputs[part->input];
    if (expr_approximate(at, part->expr)) {
        tsn_bytes_put(to, "about ", 6);
    }
    if (column && column->rep == TSN_REP_MONEY && tsn_bits_get(column->valid, at->row->at)) {
        tsn_bytes_put(to, room, tsn_text_money(column->i64[at->row->at], column->scale, room));
        return;
    }
    struct tsn_value value;
    tsn_eval_row(at->eval, part->expr, at->row->at, &value);
    struct tsn_str text = tsn_text_value(&value, room);
    if (part->masked && value.state == TSN_STATE_VALUE) {
        text = tsn_text_mask(text, masked);
    }
    tsn_bytes_put(to, text.p, text.len);
}

static void reason_write(const struct tsn_hit_row *at, const struct tsn_rule *rule,
                         struct tsn_bytes *to)
{
    for (int i = 0; i < rule->n_reason; i++) {
        const struct tsn_reason_part *part = &rule->reason[i];
        tsn_bytes_put(to, part->text.p, part->text.len);
        if (part->expr != TSN_EXPR_NONE) {
            reason_value(at, part, to);
        }
    }
}

static void value_write(const struct tsn_value *value, struct tsn_bytes *to)
{
    tsn_bytes_u8(to, (uint8_t)value->state);
    tsn_bytes_u8(to, (uint8_t)value->type.type);
    if (value->state != TSN_STATE_VALUE) {
        return;
    }
    uint64_t bits;
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        tsn_bytes_u8(to, value->b);
        break;
    case TSN_TYPE_INT:
        tsn_bytes_u64(to, (uint64_t)value->i);
        break;
    case TSN_TYPE_DOUBLE:
        memcpy(&bits, &value->d, sizeof bits);
        tsn_bytes_u64(to, bits);
        break;
    case TSN_TYPE_STRING:
        tsn_bytes_str(to, value->s);
        break;
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION:
        tsn_bytes_u64(to, (uint64_t)value->t.s);
        tsn_bytes_u32(to, (uint32_t)value->t.ns);
        break;
    case TSN_TYPE_NULL:
    case TSN_TYPE_LIST:
    case TSN_TYPE_HANDLE:
        break; /* no input of an event type is one */
    }
}

/* Why this input of the row is missing. */
static enum tsn_cause cause_of(const struct tsn_hit_row *at, uint32_t input)
{
    const struct tsn_event_type *type = &at->prog->types[at->row->type];
    if (input < (uint32_t)type->n_fields) {
        return TSN_CAUSE_ABSENT;
    }
    const struct tsn_slot *slot = &type->slots[input - (uint32_t)type->n_fields];
    const struct tsn_feature *feature = &at->prog->features[slot->feature];
    if (feature->agg == TSN_AGG_EXPR) {
        return TSN_CAUSE_EXPRESSION;
    }
    if (at->partial) {
        return TSN_CAUSE_NONE;
    }
    for (int i = 0; i < feature->n_by; i++) {
        if (!tsn_bits_get(at->inputs[slot->by[i]].valid, at->row->at)) {
            return TSN_CAUSE_KEY;
        }
    }
    return at->too_late ? TSN_CAUSE_LATE : TSN_CAUSE_EMPTY;
}

static void evidence_write(const struct tsn_hit_row *at, uint32_t input, struct tsn_bytes *to)
{
    const struct tsn_event_type *type = &at->prog->types[at->row->type];
    bool is_field = input < (uint32_t)type->n_fields;
    const char *prefix = is_field ? type->name : "f";
    const char *name =
        is_field ? type->fields[input].name : type->slots[input - (uint32_t)type->n_fields].name;
    size_t prefix_len = strlen(prefix);
    size_t name_len = strlen(name);
    tsn_bytes_u32(to, (uint32_t)(prefix_len + 1 + name_len));
    tsn_bytes_put(to, prefix, prefix_len);
    tsn_bytes_put(to, ".", 1);
    tsn_bytes_put(to, name, name_len);
    struct tsn_value value;
    tsn_column_value(&at->inputs[input], at->row->at, &value);
    struct tsn_approximation off = tsn_hit_approximation(at, input);
    unsigned cause = value.state == TSN_STATE_MISSING ? cause_of(at, input) : TSN_CAUSE_NONE;
    tsn_bytes_u8(to,
                 (uint8_t)((at->masked[input] ? EVIDENCE_MASKED : 0) |
                           (off.holds ? EVIDENCE_APPROXIMATE : 0) |
                           (off.sketched ? EVIDENCE_SKETCHED : 0) | cause << EVIDENCE_CAUSE_SHIFT));
    if (off.holds) {
        tsn_bytes_u64(to, (uint64_t)off.edge_ms);
    }
    value_write(&value, to);
}

struct tsn_hit *tsn_hit_capture(const struct tsn_hit_row *at, int rule, uint32_t expr,
                                struct tsn_bytes *scratch)
{
    char room[TSN_TEXT_MAX];
    struct tsn_event_ref event = tsn_hit_event(at, room);
    scratch->len = 0;
    tsn_bytes_put(scratch, event.id.p, event.id.len);
    size_t reason_from = scratch->len;
    if (rule >= 0) {
        reason_write(at, &at->prog->rules[rule], scratch);
    }
    size_t evidence_from = scratch->len;
    size_t n;
    const uint32_t *inputs = tsn_expr_inputs(at->prog->types[at->row->type].exprs, expr, &n);
    for (size_t i = 0; i < n; i++) {
        evidence_write(at, inputs[i], scratch);
    }
    struct tsn_hit *hit = malloc(sizeof *hit + scratch->len);
    TSN_MUST_ALLOC(hit);
    *hit = (struct tsn_hit){
        .time_ms = at->row->time_ms,
        .event_ms = event.time_ms,
        .rule = rule,
        .type = event.type,
        .source = event.source,
        .position = event.position,
        .n_evidence = (uint32_t)n,
        .id_len = event.id.len,
        .reason_len = (uint32_t)(evidence_from - reason_from),
        .len = (uint32_t)scratch->len,
    };
    if (scratch->len) {
        memcpy(hit->bytes, scratch->p, scratch->len);
    }
    return hit;
}

struct tsn_hit *tsn_hit_copy(const struct tsn_hit *hit)
{
    size_t bytes = sizeof *hit + hit->len;
    struct tsn_hit *copy = malloc(bytes);
    TSN_MUST_ALLOC(copy);
    memcpy(copy, hit, bytes);
    return copy;
}

void tsn_hit_free(struct tsn_hit *hit)
{
    free(hit);
}

/* ---- show ----------------------------------------------------------------------- */

/* Texts stay borrowed from the bytes read. */
static void value_read(struct tsn_bytes_reader *from, struct tsn_value *value)
{
    uint8_t state = tsn_bytes_get_u8(from);
    uint8_t type = tsn_bytes_get_u8(from);
    from->bad |= state > TSN_STATE_ERROR || type > TSN_TYPE_NULL;
    *value =
        (struct tsn_value){.state = (enum tsn_state)state, .type = {.type = (enum tsn_type)type}};
    if (from->bad || value->state != TSN_STATE_VALUE) {
        return;
    }
    uint64_t bits;
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        value->b = tsn_bytes_get_u8(from) != 0;
        break;
    case TSN_TYPE_INT:
        value->i = (int64_t)tsn_bytes_get_u64(from);
        break;
    case TSN_TYPE_DOUBLE:
        bits = tsn_bytes_get_u64(from);
        memcpy(&value->d, &bits, sizeof bits);
        break;
    case TSN_TYPE_STRING:
        value->s = tsn_bytes_get_str(from);
        break;
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION:
        value->t.s = (int64_t)tsn_bytes_get_u64(from);
        value->t.ns = (int32_t)tsn_bytes_get_u32(from);
        from->bad |= value->t.ns < 0 || value->t.ns >= 1000000000;
        break;
    default:
        break;
    }
}

static struct tsn_str str_copy(struct tsn_arena *arena, const void *p, uint32_t len)
{
    return (struct tsn_str){tsn_arena_strdup(arena, p, len), len};
}

static void evidence_flags(struct tsn_bytes_reader *from, struct tsn_evidence *out)
{
    uint8_t flags = tsn_bytes_get_u8(from);
    from->bad |= flags >> EVIDENCE_CAUSE_SHIFT >= TSN_CAUSES;
    out->masked = flags & EVIDENCE_MASKED;
    out->cause = (enum tsn_cause)(flags >> EVIDENCE_CAUSE_SHIFT);
    if (flags & EVIDENCE_APPROXIMATE) {
        out->approximation.holds = true;
        out->approximation.sketched = flags & EVIDENCE_SKETCHED;
        out->approximation.edge_ms = (int64_t)tsn_bytes_get_u64(from);
    }
}

void tsn_hit_show(const struct tsn_hit *hit, double points, struct tsn_arena *arena,
                  struct tsn_alert_hit *out)
{
    struct tsn_evidence *evidence =
        tsn_arena_zalloc(arena, hit->n_evidence ? hit->n_evidence : 1, sizeof *evidence);
    *out = (struct tsn_alert_hit){
        .rule = hit->rule,
        .points = points,
        .reason = str_copy(arena, hit->bytes + hit->id_len, hit->reason_len),
        .event =
            {
                .type = hit->type,
                .source = hit->source,
                .position = hit->position,
                .time_ms = hit->event_ms,
                .id = str_copy(arena, hit->bytes, hit->id_len),
            },
        .n_evidence = hit->n_evidence,
        .evidence = evidence,
    };
    uint32_t skip = hit->id_len + hit->reason_len;
    struct tsn_bytes_reader from = {.p = hit->bytes + skip, .left = hit->len - skip};
    for (uint32_t i = 0; i < hit->n_evidence; i++) {
        struct tsn_str name = tsn_bytes_get_str(&from);
        evidence[i].name = tsn_arena_strdup(arena, name.p, name.len);
        evidence_flags(&from, &evidence[i]);
        value_read(&from, &evidence[i].value);
        if (evidence[i].value.type.type == TSN_TYPE_STRING &&
            evidence[i].value.state == TSN_STATE_VALUE) {
            evidence[i].value.s = str_copy(arena, evidence[i].value.s.p, evidence[i].value.s.len);
        }
    }
    TSN_MUST(!from.bad); /* captured here, or checked when it was read */
}

/* ---- records --------------------------------------------------------------------- */

void tsn_hit_write(const struct tsn_hit *hit, struct tsn_bytes *to)
{
    tsn_bytes_u64(to, (uint64_t)hit->time_ms);
    tsn_bytes_u64(to, (uint64_t)hit->event_ms);
    tsn_bytes_u32(to, hit->source);
    tsn_bytes_u64(to, (uint64_t)hit->position);
    tsn_bytes_u32(to, hit->n_evidence);
    tsn_bytes_u32(to, hit->id_len);
    tsn_bytes_u32(to, hit->reason_len);
    tsn_bytes_u32(to, hit->len);
    tsn_bytes_put(to, hit->bytes, hit->len);
}

/* Is the evidence whole, and nothing behind it? */
static bool evidence_sound(const uint8_t *bytes, size_t len, uint32_t n)
{
    struct tsn_bytes_reader from = {.p = bytes, .left = len};
    for (uint32_t i = 0; i < n && !from.bad; i++) {
        struct tsn_evidence evidence;
        tsn_bytes_get_str(&from);
        evidence_flags(&from, &evidence);
        value_read(&from, &evidence.value);
    }
    return !from.bad && from.left == 0;
}

struct tsn_hit *tsn_hit_read(struct tsn_bytes_reader *from)
{
    struct tsn_hit head = {.time_ms = (int64_t)tsn_bytes_get_u64(from)};
    head.event_ms = (int64_t)tsn_bytes_get_u64(from);
    uint32_t source = tsn_bytes_get_u32(from);
    head.source = (uint16_t)source;
    head.position = (int64_t)tsn_bytes_get_u64(from);
    head.n_evidence = tsn_bytes_get_u32(from);
    head.id_len = tsn_bytes_get_u32(from);
    head.reason_len = tsn_bytes_get_u32(from);
    head.len = tsn_bytes_get_u32(from);
    const uint8_t *bytes = tsn_bytes_take(from, head.len);
    uint64_t texts = (uint64_t)head.id_len + head.reason_len;
    if (!bytes || source > UINT16_MAX || texts > head.len ||
        !evidence_sound(bytes + texts, head.len - texts, head.n_evidence)) {
        from->bad = true;
        return NULL;
    }
    struct tsn_hit *hit = malloc(sizeof *hit + head.len);
    TSN_MUST_ALLOC(hit);
    *hit = head;
    if (head.len) {
        memcpy(hit->bytes, bytes, head.len);
    }
    return hit;
}
