/* Raise: what a row's hits do to a typology's episode of an entity, and the alert that
 * comes of it. Follows "Typologies, episodes, alerts" in docs/SEMANTICS.md sentence
 * by sentence; the order of the steps is part of the meaning.
 */
#include <math.h>
#include <string.h>

#include "engine/alert/text.h"
#include "engine/score/state.h"
#include "rules/must/must.h"

/* One hit-carrying row on one typology, while it is worked on. */
struct touch {
    struct tsn_score *score;
    const struct tsn_hit_row *at;
    int index; /* of the typology */
    const struct tsn_typology *typology;
    struct tsn_episode *episode;
    double value; /* the score */
    struct tsn_output *out;
    struct tsn_engine_counts *counts;
};

/* ---- the episode ------------------------------------------------------------------------ */

/* The entity that the row names for the typology; false if it names none. */
static bool entity_of(const struct tsn_hit_row *at, const struct tsn_typology *typology,
                      struct tsn_value *value)
{
    int field = typology->entity_field[at->row->type];
    if (field == TSN_NONE) {
        return false;
    }
    tsn_column_value(&at->inputs[field], at->row->at, value);
    return value->state == TSN_STATE_VALUE;
}

/* An episode so old that no row in time can tell is as good as gone. */
static bool is_forgotten(const struct tsn_score *score, int index,
                         const struct tsn_episode *episode, tsn_event_ms newest_ms)
{
    tsn_duration_ms keep = tsn_time_plus(score->lateness_ms, score->typologies[index].keep_ms);
    return episode->clock_ms < tsn_time_minus(newest_ms, keep);
}

static struct tsn_episode *episode_of(struct tsn_score *score, const struct tsn_hit_row *at,
                                      int index, const struct tsn_value *entity,
                                      tsn_event_ms newest_ms)
{
    const struct tsn_typology *typology = &score->prog->typologies[index];
    struct tsn_episode_table *table = &score->typologies[index].episodes;
    char room[TSN_TEXT_MAX];
    struct tsn_str text = tsn_text_value(entity, room);
    uint8_t key[16];
    tsn_episode_key(typology->id, entity->type.type, text, key);
    tsn_event_ms t = at->row->time_ms;
    struct tsn_episode *episode = tsn_episode_find(table, key);
    if (episode && is_forgotten(score, index, episode, newest_ms)) {
        tsn_score_forget(score, episode);
        episode = NULL;
    }
    if (!episode) {
        episode = tsn_episode_add(table, index, key, entity->type.type, text, t);
        tsn_score_mark(score, episode); /* no cut under way has it */
        return episode;
    }
    tsn_score_mark(score, episode);
    if (t > tsn_time_plus(episode->clock_ms, typology->sum_over_ms)) {
        tsn_episode_restart(episode, t);
    } else {
        tsn_episode_advance(episode, typology, t);
    }
    return episode;
}

/* The hit that a touch stands for, the caller's to keep. Captured once a row. */
static struct tsn_hit *hit_of(const struct touch *touch, const struct score_touch *use)
{
    struct tsn_score *score = touch->score;
    if (use->fired == UINT32_MAX) {
        uint32_t expr = touch->typology->score[touch->at->row->type];
        return tsn_hit_capture(touch->at, TSN_NONE, expr, &score->bytes);
    }
    if (!score->caught[use->fired]) {
        int rule = score->fired[use->fired];
        score->caught[use->fired] =
            tsn_hit_capture(touch->at, rule, score->prog->rules[rule].when, &score->bytes);
    }
    return tsn_hit_copy(score->caught[use->fired]);
}

static void hits_add(struct touch *touch, const struct score_touch *uses, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (uses[i].fired != UINT32_MAX) {
            tsn_episode_count(touch->episode, touch->typology, uses[i].weight,
                              touch->at->row->time_ms);
        }
        tsn_episode_keep(touch->episode, touch->typology, hit_of(touch, &uses[i]));
    }
}

static enum tsn_level level_of(const struct tsn_typology *typology, double score)
{
    for (int level = TSN_LEVELS - 1; level > TSN_LEVEL_NONE; level--) {
        if (isfinite(typology->thresholds[level]) && score >= typology->thresholds[level]) {
            return (enum tsn_level)level;
        }
    }
    return TSN_LEVEL_NONE;
}

/* ---- the alert -------------------------------------------------------------------------- */

static struct tsn_str text_copy(struct tsn_arena *arena, struct tsn_str text)
{
    return (struct tsn_str){tsn_arena_strdup(arena, text.p, text.len), text.len};
}

/* A field or slot of the raising row as text in the arena; empty if it has none. */
static struct tsn_str input_text(const struct tsn_hit_row *at, int input, struct tsn_arena *arena)
{
    struct tsn_value value = {.state = TSN_STATE_MISSING};
    if (input != TSN_NONE) {
        tsn_column_value(&at->inputs[input], at->row->at, &value);
    }
    if (value.state != TSN_STATE_VALUE) {
        return (struct tsn_str){"", 0};
    }
    char room[TSN_TEXT_MAX];
    return text_copy(arena, tsn_text_value(&value, room));
}

/* Cut to the parameter's type: no free text of an event goes into a message. */
static struct tsn_str param_cut(const struct tsn_template_param *param, struct tsn_str text)
{
    if (param->tail) {
        return tsn_text_tail(text, param->digits);
    }
    for (int v = 0; v < param->n_values; v++) {
        if (strlen(param->values[v]) == text.len &&
            memcmp(param->values[v], text.p, text.len) == 0) {
            return text;
        }
    }
    return (struct tsn_str){"", 0};
}

/* False if a parameter has nothing to say and no fallback: then no SMS is sent. */
static bool params_fill(const struct touch *touch, struct tsn_alert *alert)
{
    const struct tsn_sms_action *sms = &alert->action->sms;
    const struct tsn_template *template_ = &touch->score->prog->templates[sms->template_];
    struct tsn_arena *arena = &touch->out->arena;
    struct tsn_alert_param *params =
        tsn_arena_zalloc(arena, (size_t)template_->n_params, sizeof *params);
    bool complete = true;
    for (int p = 0; p < template_->n_params; p++) {
        const struct tsn_template_param *param = &template_->params[p];
        int input = sms->param_field[p][touch->at->row->type];
        struct tsn_str value = param_cut(param, input_text(touch->at, input, arena));
        if (value.len == 0 && param->fallback) {
            value = (struct tsn_str){param->fallback, (uint32_t)strlen(param->fallback)};
            value = text_copy(arena, value);
        }
        complete &= value.len > 0;
        params[p] = (struct tsn_alert_param){.name = param->name, .value = value};
    }
    alert->n_params = (uint32_t)template_->n_params;
    alert->params = params;
    return complete;
}

/* To whom, unless this level's SMS went less than its cooldown ago. */
static void sms_address(const struct touch *touch, struct tsn_alert *alert)
{
    const struct tsn_action *action = alert->action;
    struct tsn_episode *episode = touch->episode;
    struct tsn_str to = alert->entity;
    if (!action->sms.to_entity) {
        to = input_text(touch->at, action->sms.to_field[touch->at->row->type], &touch->out->arena);
    }
    if (to.len == 0) {
        return;
    }
    tsn_event_ms *sent = &episode->sms_ms[alert->level];
    if (action->cooldown_ms > 0 && *sent != TSN_NEVER &&
        episode->clock_ms < tsn_time_plus(*sent, action->cooldown_ms)) {
        alert->sms_muted = true;
        return;
    }
    *sent = episode->clock_ms;
    alert->sms_to = to;
}

static void hits_show(const struct touch *touch, struct tsn_alert *alert)
{
    const struct tsn_episode *episode = touch->episode;
    struct tsn_alert_hit *hits =
        tsn_arena_zalloc(&touch->out->arena, episode->n_hits, sizeof *hits);
    const struct tsn_row *row = touch->at->row;
    for (uint32_t i = 0; i < episode->n_hits; i++) {
        const struct tsn_hit *hit = episode->hits[i];
        double points = touch->value;
        for (int w = 0; hit->rule != TSN_NONE && w < touch->typology->n_weights; w++) {
            if (touch->typology->weights[w].rule == hit->rule) {
                points = touch->typology->weights[w].points;
            }
        }
        tsn_hit_show(hit, points, &touch->out->arena, &hits[i]);
        const struct tsn_program *prog = touch->score->prog;
        const struct tsn_rule *rule = hit->rule == TSN_NONE ? NULL : &prog->rules[hit->rule];
        const struct tsn_fan *fan = rule ? tsn_rule_fan(rule, touch->index) : NULL;
        hits[i].for_each = fan ? prog->types[rule->event].slots[fan->slot].name : NULL;
        hits[i].current = hit->type == row->type && hit->source == row->source &&
                          hit->position == row->position && hit->time_ms == row->time_ms;
    }
    alert->n_hits = episode->n_hits;
    alert->hits = hits;
}

static struct tsn_event_ref ref_copy(struct tsn_arena *arena, struct tsn_event_ref ref)
{
    ref.id = text_copy(arena, ref.id);
    return ref;
}

static void alert_raise(const struct touch *touch, enum tsn_level before)
{
    struct tsn_episode *episode = touch->episode;
    struct tsn_arena *arena = &touch->out->arena;
    const struct tsn_action *action = &touch->typology->actions[episode->level];
    struct tsn_alert *alert = tsn_output_add(touch->out);
    char room[TSN_TEXT_MAX];
    alert->typology = touch->index;
    alert->level = (enum tsn_level)episode->level;
    alert->level_before = before;
    alert->score = touch->value;
    alert->shadow = touch->score->typologies[touch->index].shadow;
    alert->revision = ++episode->revision;
    alert->entity_kind = touch->typology->entity_kind;
    alert->entity = text_copy(arena, (struct tsn_str){episode->entity, episode->entity_len});
    alert->opened_by = ref_copy(arena, episode->opened_by);
    alert->opened_ms = episode->opened_ms;
    alert->event = ref_copy(arena, tsn_hit_event(touch->at, room));
    alert->time_ms = touch->at->row->time_ms;
    alert->sms_to = (struct tsn_str){"", 0};
    alert->not_before_ms = alert->time_ms;
    alert->not_after_ms = INT64_MAX;
    if (action->present) {
        alert->action = action;
        if (action->valid_for_ms > 0) {
            alert->not_after_ms = tsn_time_plus(alert->time_ms, action->valid_for_ms);
        }
        if (action->sms.template_ != TSN_NONE && params_fill(touch, alert)) {
            sms_address(touch, alert);
        }
    }
    hits_show(touch, alert);
    episode->alerted_ms = episode->clock_ms;
    if (alert->shadow) {
        touch->counts->shadow_alerts++;
    } else {
        touch->counts->alerts++;
    }
}

/* Does the episode, at its level before this row or above, speak again? */
static bool episode_speaks(struct touch *touch)
{
    struct tsn_episode *episode = touch->episode;
    enum tsn_level now = level_of(touch->typology, touch->value);
    if (now > episode->level) {
        if (episode->level == TSN_LEVEL_NONE) {
            char room[TSN_TEXT_MAX];
            struct tsn_event_ref opened_by = tsn_hit_event(touch->at, room);
            tsn_episode_open(episode, &opened_by, touch->at->row->time_ms);
        }
        episode->level = (uint8_t)now;
        return true;
    }
    if (episode->level == TSN_LEVEL_NONE) {
        return false;
    }
    const struct tsn_action *action = &touch->typology->actions[episode->level];
    if (now == episode->level && action->present && action->cooldown_ms > 0 &&
        episode->clock_ms >= tsn_time_plus(episode->alerted_ms, action->cooldown_ms)) {
        return true;
    }
    touch->counts->suppressed++;
    return false;
}

static void entity_touch(struct tsn_score *score, const struct score_batch *of,
                         const struct tsn_hit_row *at, tsn_event_ms newest_ms,
                         const struct tsn_value *entity, const struct score_touch *touches,
                         size_t n)
{
    int index = touches[0].typology;
    struct touch touch = {
        .score = score,
        .at = at,
        .index = index,
        .typology = &score->prog->typologies[index],
        .out = of->out,
        .counts = of->counts,
    };
    touch.episode = episode_of(score, at, index, entity, newest_ms);
    hits_add(&touch, touches, n);
    touch.value = touch.typology->score
                      ? score->typologies[index].score[at->row->type].f64[at->row->at]
                      : tsn_episode_score(touch.episode, touch.typology, touch.episode->clock_ms,
                                          score->weight_counts);
    enum tsn_level before = (enum tsn_level)touch.episode->level;
    if (episode_speaks(&touch)) {
        alert_raise(&touch, before);
    }
}

void tsn_score_touch(struct tsn_score *score, const struct score_batch *of,
                     const struct tsn_hit_row *at, tsn_event_ms newest_ms,
                     const struct score_touch *touches, size_t n)
{
    struct tsn_value entity;
    if (entity_of(at, &score->prog->typologies[touches[0].typology], &entity)) {
        entity_touch(score, of, at, newest_ms, &entity, touches, n);
    }
}

void tsn_score_touch_members(struct tsn_score *score, const struct score_batch *of,
                             const struct tsn_hit_row *at, tsn_event_ms newest_ms,
                             const struct score_touch *touch)
{
    struct tsn_members members = tsn_score_members_of(score, of, at, touch->set);
    for (uint32_t m = 0; m < members.n; m++) {
        entity_touch(score, of, at, newest_ms, &members.values[m], touch, 1);
    }
}

/* ---- exports ------------------------------------------------------------------------------ */

static double shown_score(struct tsn_score *score, int index, const struct tsn_hit_row *at,
                          const struct tsn_value *entity, tsn_event_ms newest_ms)
{
    const struct tsn_typology *typology = &score->prog->typologies[index];
    char room[TSN_TEXT_MAX];
    uint8_t key[16];
    tsn_episode_key(typology->id, entity->type.type, tsn_text_value(entity, room), key);
    const struct tsn_episode *episode = tsn_episode_find(&score->typologies[index].episodes, key);
    if (!episode || is_forgotten(score, index, episode, newest_ms)) {
        return 0;
    }
    tsn_event_ms t = at->row->time_ms > episode->clock_ms ? at->row->time_ms : episode->clock_ms;
    return tsn_episode_score(episode, typology, t, score->weight_counts);
}

void tsn_score_show(struct tsn_score *score, const struct tsn_hit_row *at, tsn_event_ms newest_ms)
{
    for (int y = 0; y < score->prog->n_typologies; y++) {
        struct tsn_column *shown = &score->typologies[y].shown[at->row->type];
        struct tsn_value entity;
        if (!shown->valid || !entity_of(at, &score->prog->typologies[y], &entity)) {
            continue;
        }
        uint32_t i = at->row->at;
        if (!score->prog->typologies[y].score) {
            shown->f64[i] = shown_score(score, y, at, &entity, newest_ms);
            tsn_bits_set(shown->valid, i);
            continue;
        }
        const struct tsn_column *from = &score->typologies[y].score[at->row->type];
        if (score->prog->typologies[y].score[at->row->type] == TSN_EXPR_NONE) {
            continue;
        }
        if (tsn_bits_get(from->valid, i)) {
            shown->f64[i] = from->f64[i];
            tsn_bits_set(shown->valid, i);
        } else if (tsn_bits_get(from->error, i)) {
            tsn_bits_set(shown->error, i);
        }
    }
}
