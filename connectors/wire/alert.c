/* Alerts on the wire: CloudEvents 1.0, Kafka binary mode.
 *
 * The value is one JSON object by a closed schema, docs/alert.schema.json; the key is
 * the entity, so a subscriber sees an entity's alerts in order. Headers may be logged
 * by anything they pass, so they name the entity by pseudonym only. Ids are keyed
 * hashes: without the deployment's key nobody can tell from an id whose alert it is.
 *
 * What goes into an id is the same in every replay: the names of entity kind,
 * typology and event type, the entity, and of the event that opened the episode its
 * time and its own id - or, when its type has none, the name of its source. Offsets
 * and clocks do not. An entity's episodes of one typology never open at one time, so
 * time and source name are enough.
 *
 * Called by the run loop and by replay for every alert; costs some microseconds.
 */
#include <stdio.h>
#include <string.h>

#include "connectors/wire/json.h"
#include "connectors/wire/wire.h"
#include "engine/alert/text.h"
#include "rules/must/must.h"

enum { ID_BYTES = 16, ID_TEXT = 2 * ID_BYTES + 1, MAX_HEADERS = 18 };

#define ALERT_SCHEMA "urn:tocsin:schema:alert:1"

/* OpenTelemetry's names and numbers, which the CloudEvents severity extension uses. */
static const struct {
    const char *text;
    const char *number;
} severities[TSN_LEVELS] = {
    [TSN_LEVEL_NONE] = {"TRACE", "1"},     [TSN_LEVEL_MINOR] = {"INFO", "9"},
    [TSN_LEVEL_MODERATE] = {"WARN", "13"}, [TSN_LEVEL_SEVERE] = {"ERROR", "17"},
    [TSN_LEVEL_EXTREME] = {"FATAL", "21"},
};

/* ---- ids -------------------------------------------------------------------------- */

/* Bytes to be hashed: each part with its length, so that no two lists of parts meet. */
struct parts {
    struct tsn_arena *arena;
    uint8_t *p;
    size_t len, cap;
};

static void part_add(struct parts *parts, const void *data, size_t len)
{
    size_t need = parts->len + 8 + len;
    if (need > parts->cap) {
        size_t cap = 2 * need;
        uint8_t *p = tsn_arena_alloc(parts->arena, cap);
        if (parts->len) {
            memcpy(p, parts->p, parts->len);
        }
        parts->p = p;
        parts->cap = cap;
    }
    for (int i = 0; i < 8; i++) {
        parts->p[parts->len++] = (uint8_t)((uint64_t)len >> (8 * i));
    }
    if (len) {
        memcpy(parts->p + parts->len, data, len);
    }
    parts->len += len;
}

static void part_name(struct parts *parts, const char *name)
{
    part_add(parts, name, strlen(name));
}

static void part_time(struct parts *parts, tsn_event_ms time_ms)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)time_ms >> (8 * i));
    }
    part_add(parts, bytes, sizeof bytes);
}

static void part_entity(struct parts *parts, const struct tsn_wire *wire,
                        const struct tsn_alert *alert)
{
    part_name(parts, wire->prog->entity_kinds[alert->entity_kind]);
    part_add(parts, alert->entity.p, alert->entity.len);
}

static void id_text(const struct tsn_wire *wire, const char *purpose, const struct parts *parts,
                    char out[ID_TEXT])
{
    uint8_t hash[ID_BYTES];
    tsn_keys_hash(wire->keys, purpose, parts->p, parts->len, hash, sizeof hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    }
}

static const struct tsn_origin *origin_of(const struct tsn_wire *wire, uint16_t source)
{
    TSN_MUST(source < wire->n_origins);
    return &wire->origins[source];
}

static void alert_id(const struct tsn_wire *wire, const struct tsn_alert *alert,
                     struct tsn_arena *arena, char out[ID_TEXT])
{
    struct parts parts = {.arena = arena};
    const struct tsn_event_ref *event = &alert->opened_by;
    part_entity(&parts, wire, alert);
    part_name(&parts, wire->prog->typologies[alert->typology].id);
    part_name(&parts, wire->prog->types[event->type].name);
    part_time(&parts, event->time_ms);
    if (event->id.len) {
        part_name(&parts, "id");
        part_add(&parts, event->id.p, event->id.len);
    } else {
        part_name(&parts, "source");
        part_name(&parts, origin_of(wire, event->source)->topic);
    }
    if (alert->opened_ms != event->time_ms) { /* by a timer: an event may set several */
        part_name(&parts, "timer");
        part_time(&parts, alert->opened_ms);
    }
    id_text(wire, "alert-id", &parts, out);
}

/* What a sender may use to say the same thing to the same entity once only, whichever
 * typology asked for it: the entity and the template, or the typology without one. */
static void dedup_key(const struct tsn_wire *wire, const struct tsn_alert *alert,
                      struct tsn_arena *arena, char out[ID_TEXT])
{
    struct parts parts = {.arena = arena};
    bool has_sms = alert->action && alert->action->sms.template_ != TSN_NONE;
    part_entity(&parts, wire, alert);
    part_name(&parts, has_sms ? "template" : "typology");
    part_name(&parts, has_sms ? wire->prog->templates[alert->action->sms.template_].id
                              : wire->prog->typologies[alert->typology].id);
    id_text(wire, "dedup-key", &parts, out);
}

static void pseudonym(const struct tsn_wire *wire, const struct tsn_alert *alert,
                      struct tsn_arena *arena, char out[ID_TEXT])
{
    struct parts parts = {.arena = arena};
    part_entity(&parts, wire, alert);
    id_text(wire, "pseudonym", &parts, out);
}

/* ---- value ------------------------------------------------------------------------- */

static void event_write(const struct tsn_wire *wire, const struct tsn_event_ref *event,
                        struct tsn_json *json)
{
    const struct tsn_origin *origin = origin_of(wire, event->source);
    tsn_json_open(json, '{');
    tsn_json_name(json, "type");
    tsn_json_text(json, wire->prog->types[event->type].name);
    tsn_json_name(json, "id");
    if (event->id.len) {
        tsn_json_str(json, event->id);
    } else {
        tsn_json_null(json);
    }
    tsn_json_name(json, "time");
    tsn_json_time_ms(json, event->time_ms);
    tsn_json_name(json, "topic");
    tsn_json_text(json, origin->topic);
    tsn_json_name(json, "partition");
    tsn_json_int(json, origin->partition);
    tsn_json_name(json, "offset");
    tsn_json_int(json, event->position);
    tsn_json_close(json, '}');
}

static void params_write(const struct tsn_alert *alert, struct tsn_json *json)
{
    tsn_json_open(json, '{');
    for (uint32_t i = 0; i < alert->n_params; i++) {
        tsn_json_name(json, alert->params[i].name);
        tsn_json_str(json, alert->params[i].value);
    }
    tsn_json_close(json, '}');
}

static void sms_write(const struct tsn_wire *wire, const struct tsn_alert *alert,
                      struct tsn_json *json)
{
    if (!alert->action || alert->action->sms.template_ == TSN_NONE) {
        tsn_json_null(json);
        return;
    }
    const struct tsn_template *template_ = &wire->prog->templates[alert->action->sms.template_];
    tsn_json_open(json, '{');
    tsn_json_name(json, "to");
    if (alert->sms_to.len) {
        tsn_json_str(json, alert->sms_to);
    } else {
        tsn_json_null(json);
    }
    tsn_json_name(json, "muted");
    tsn_json_bool(json, alert->sms_muted);
    tsn_json_name(json, "template");
    tsn_json_text(json, template_->id);
    tsn_json_name(json, "template_version");
    tsn_json_int(json, template_->version);
    tsn_json_name(json, "languages");
    tsn_json_open(json, '[');
    for (int i = 0; i < template_->n_texts; i++) {
        tsn_json_text(json, template_->texts[i].language);
    }
    tsn_json_close(json, ']');
    tsn_json_name(json, "params");
    params_write(alert, json);
    tsn_json_close(json, '}');
}

static void text_or_null(struct tsn_json *json, const char *text)
{
    if (text) {
        tsn_json_text(json, text);
    } else {
        tsn_json_null(json);
    }
}

static void value_write(const struct tsn_value *value, struct tsn_json *json)
{
    char room[TSN_TEXT_MAX];
    if (value->state != TSN_STATE_VALUE) {
        tsn_json_null(json);
        return;
    }
    switch (value->type.type) {
    case TSN_TYPE_BOOL:
        tsn_json_bool(json, value->b);
        break;
    case TSN_TYPE_INT:
        tsn_json_int(json, value->i);
        break;
    case TSN_TYPE_DOUBLE:
        tsn_json_double(json, value->d);
        break;
    case TSN_TYPE_NULL:
        tsn_json_null(json);
        break;
    default:
        tsn_json_str(json, tsn_text_value(value, room));
        break;
    }
}

static void approximation_write(const struct tsn_approximation *off, struct tsn_json *json)
{
    struct tsn_value edge = {
        .state = TSN_STATE_VALUE,
        .type = {.type = TSN_TYPE_DURATION},
        .t = {.s = off->edge_ms / 1000, .ns = (int32_t)(off->edge_ms % 1000) * 1000000},
    };
    tsn_json_open(json, '{');
    tsn_json_name(json, "window_edge");
    value_write(&edge, json);
    if (off->sketched) {
        tsn_json_name(json, "standard_error");
        tsn_json_double(json, TSN_DISTINCT_ERROR);
    }
    tsn_json_close(json, '}');
}

static void evidence_write(const struct tsn_evidence *evidence, struct tsn_json *json)
{
    static const char *const states[] = {
        [TSN_STATE_VALUE] = "value",
        [TSN_STATE_MISSING] = "missing",
        [TSN_STATE_ERROR] = "error",
    };
    static const char *const causes[] = {
#define CAUSE_WORD(id, word) [TSN_CAUSE_##id] = word,
        TSN_CAUSE_TABLE(CAUSE_WORD)
#undef CAUSE_WORD
    };
    tsn_json_open(json, '{');
    tsn_json_name(json, "name");
    tsn_json_text(json, evidence->name);
    tsn_json_name(json, "type");
    tsn_json_text(json, tsn_type_name(evidence->value.type.type));
    tsn_json_name(json, "state");
    tsn_json_text(json, states[evidence->value.state]);
    tsn_json_name(json, "value");
    value_write(&evidence->value, json);
    if (evidence->cause != TSN_CAUSE_NONE) {
        tsn_json_name(json, "cause");
        tsn_json_text(json, causes[evidence->cause]);
    }
    tsn_json_name(json, "sensitive");
    tsn_json_bool(json, evidence->masked);
    if (evidence->approximation.holds) {
        tsn_json_name(json, "approximate");
        approximation_write(&evidence->approximation, json);
    }
    tsn_json_close(json, '}');
}

static void hit_write(const struct tsn_wire *wire, const struct tsn_alert_hit *hit,
                      struct tsn_json *json)
{
    const struct tsn_rule *rule = hit->rule == TSN_NONE ? NULL : &wire->prog->rules[hit->rule];
    char version[17] = "";
    tsn_json_open(json, '{');
    tsn_json_name(json, "rule");
    text_or_null(json, rule ? rule->id : NULL);
    tsn_json_name(json, "rule_version");
    if (rule) {
        snprintf(version, sizeof version, "%016llx", (unsigned long long)rule->version);
    }
    text_or_null(json, rule ? version : NULL);
    tsn_json_name(json, "points");
    tsn_json_double(json, hit->points);
    tsn_json_name(json, "when");
    text_or_null(json, rule ? rule->when_text : NULL);
    tsn_json_name(json, "reason");
    tsn_json_str(json, hit->reason);
    tsn_json_name(json, "current");
    tsn_json_bool(json, hit->current);
    if (hit->for_each) {
        tsn_json_name(json, "member_of");
        tsn_json_text(json, hit->for_each);
    }
    tsn_json_name(json, "event");
    event_write(wire, &hit->event, json);
    tsn_json_name(json, "values");
    tsn_json_open(json, '[');
    for (uint32_t i = 0; i < hit->n_evidence; i++) {
        evidence_write(&hit->evidence[i], json);
    }
    tsn_json_close(json, ']');
    tsn_json_close(json, '}');
}

static void pack_write(const struct tsn_program *prog, const struct tsn_typology *typology,
                       struct tsn_json *json)
{
    char version[17];
    snprintf(version, sizeof version, "%016llx", (unsigned long long)typology->version);
    tsn_json_open(json, '{');
    tsn_json_name(json, "name");
    tsn_json_text(json, prog->pack);
    tsn_json_name(json, "version");
    tsn_json_int(json, prog->version);
    tsn_json_name(json, "program");
    tsn_json_hex(json, prog->hash, sizeof prog->hash);
    tsn_json_name(json, "typology_version");
    tsn_json_text(json, version);
    tsn_json_name(json, "engine_semantics");
    tsn_json_int(json, TSN_ENGINE_SEMANTICS);
    tsn_json_close(json, '}');
}

static void entity_write(const struct tsn_wire *wire, const struct tsn_alert *alert,
                         const char *alias, struct tsn_json *json)
{
    tsn_json_open(json, '{');
    tsn_json_name(json, "kind");
    tsn_json_text(json, wire->prog->entity_kinds[alert->entity_kind]);
    tsn_json_name(json, "value");
    tsn_json_str(json, alert->entity);
    tsn_json_name(json, "pseudonym");
    tsn_json_text(json, alias);
    tsn_json_close(json, '}');
}

static void alert_value(const struct tsn_wire *wire, const struct tsn_alert *alert, const char *id,
                        const char *alias, struct tsn_json *json)
{
    const struct tsn_typology *typology = &wire->prog->typologies[alert->typology];
    char dedup[ID_TEXT];
    dedup_key(wire, alert, json->arena, dedup);
    tsn_json_open(json, '{');
    tsn_json_name(json, "alert_id");
    tsn_json_text(json, id);
    tsn_json_name(json, "revision");
    tsn_json_uint(json, alert->revision);
    tsn_json_name(json, "typology");
    tsn_json_text(json, typology->id);
    tsn_json_name(json, "title");
    tsn_json_text(json, typology->title ? typology->title : "");
    tsn_json_name(json, "level");
    tsn_json_text(json, tsn_level_name(alert->level));
    tsn_json_name(json, "level_before");
    tsn_json_text(json, tsn_level_name(alert->level_before));
    tsn_json_name(json, "score");
    tsn_json_double(json, alert->score);
    tsn_json_name(json, "shadow");
    tsn_json_bool(json, alert->shadow);
    tsn_json_name(json, "entity");
    entity_write(wire, alert, alias, json);
    tsn_json_name(json, "time");
    tsn_json_time_ms(json, alert->time_ms);
    tsn_json_name(json, "not_before");
    tsn_json_time_ms(json, alert->not_before_ms);
    tsn_json_name(json, "not_after");
    if (alert->not_after_ms == INT64_MAX) {
        tsn_json_null(json);
    } else {
        tsn_json_time_ms(json, alert->not_after_ms);
    }
    tsn_json_name(json, "dedup_key");
    tsn_json_text(json, dedup);
    tsn_json_name(json, "sms");
    sms_write(wire, alert, json);
    tsn_json_name(json, "queue");
    text_or_null(json, alert->action ? alert->action->queue : NULL);
    tsn_json_name(json, "decision");
    text_or_null(json, alert->action ? alert->action->decision : NULL);
    tsn_json_name(json, "opened_by");
    event_write(wire, &alert->opened_by, json);
    tsn_json_name(json, "event");
    event_write(wire, &alert->event, json);
    tsn_json_name(json, "evidence");
    tsn_json_open(json, '[');
    for (uint32_t i = 0; i < alert->n_hits; i++) {
        hit_write(wire, &alert->hits[i], json);
    }
    tsn_json_close(json, ']');
    tsn_json_name(json, "pack");
    pack_write(wire->prog, typology, json);
    tsn_json_close(json, '}');
}

/* ---- record ---------------------------------------------------------------------------- */

struct headers {
    struct tsn_header *items;
    size_t n;
};

static void header_add(struct headers *headers, const char *name, const char *value)
{
    TSN_MUST(headers->n < MAX_HEADERS);
    headers->items[headers->n++] = (struct tsn_header){name, value, strlen(value)};
}

static const char *event_type(const struct tsn_alert *alert)
{
    if (alert->revision == 1) {
        return "io.tocsin.alert.raised.v1";
    }
    return alert->level > alert->level_before ? "io.tocsin.alert.escalated.v1"
                                              : "io.tocsin.alert.updated.v1";
}

static const char *time_text(struct tsn_arena *arena, tsn_event_ms ms)
{
    char *text = tsn_arena_alloc(arena, TSN_TEXT_MAX);
    tsn_text_time_ms(ms, text);
    return text;
}

static void headers_fill(const struct tsn_wire *wire, const struct tsn_alert *alert, const char *id,
                         const char *alias, struct tsn_arena *arena, struct headers *headers)
{
    header_add(headers, "content-type", "application/json");
    header_add(headers, "ce_specversion", "1.0");
    header_add(headers, "ce_id", tsn_arena_printf(arena, "%s.%u", id, (unsigned)alert->revision));
    header_add(headers, "ce_source", tsn_arena_printf(arena, "urn:tocsin:%s", wire->instance));
    header_add(headers, "ce_type", event_type(alert));
    header_add(headers, "ce_time", time_text(arena, alert->time_ms));
    header_add(headers, "ce_dataschema", ALERT_SCHEMA);
    header_add(headers, "ce_subject", alias);
    header_add(headers, "ce_partitionkey", alias);
    header_add(headers, "ce_correlationid", tsn_arena_strdup(arena, id, strlen(id)));
    if (alert->not_after_ms != INT64_MAX) {
        header_add(headers, "ce_expirytime", time_text(arena, alert->not_after_ms));
    }
    header_add(headers, "ce_severitytext", severities[alert->level].text);
    header_add(headers, "ce_severitynumber", severities[alert->level].number);
    header_add(headers, "ce_dataclassification", "restricted");
    header_add(headers, "ce_shadow", alert->shadow ? "true" : "false");
}

void tsn_wire_alert(const struct tsn_wire *wire, const struct tsn_alert *alert,
                    struct tsn_arena *arena, struct tsn_message *message)
{
    char id[ID_TEXT];
    char hash[ID_TEXT];
    alert_id(wire, alert, arena, id);
    pseudonym(wire, alert, arena, hash);
    const char *alias = tsn_arena_printf(arena, "ps:%s", hash);
    struct headers headers = {.items = tsn_arena_alloc(arena, MAX_HEADERS * sizeof *headers.items)};
    headers_fill(wire, alert, id, alias, arena, &headers);
    struct tsn_json json;
    tsn_json_begin(&json, arena);
    alert_value(wire, alert, id, alias, &json);
    *message = (struct tsn_message){
        .topic = wire->alerts_topic,
        .key = tsn_arena_strdup(arena, alert->entity.p, alert->entity.len),
        .key_len = alert->entity.len,
        .value = json.p,
        .len = json.len,
        .n_headers = headers.n,
        .headers = headers.items,
    };
}
