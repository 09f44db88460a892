/* Pack: a feature as one sentence, in the order in which people say it: what, of
 * which event, by whom, where, how long. Printed by `check` and carried by alerts'
 * explanations. */
#include <string.h>

#include "rules/pack/compile.h"

/* An expression on one line. */
static char *one_line(struct pack *p, const struct tsn_yaml_node *node)
{
    struct tsn_yaml_expr expr = tsn_yaml_expression(p->doc, node);
    char *out = tsn_arena_alloc(&p->scratch, expr.len + 1);
    size_t used = 0;
    for (size_t i = 0; i < expr.len; i++) {
        bool blank = strchr(" \t\r\n", expr.text[i]) != NULL;
        if (!blank) {
            out[used++] = expr.text[i];
        } else if (used && out[used - 1] != ' ') {
            out[used++] = ' ';
        }
    }
    out[used] = '\0';
    return out;
}

static const char *by_text(struct pack *p, const struct tsn_feature *f)
{
    const struct tsn_field *fields = p->types[f->event].fields;
    const char *out = fields[f->by[0]].name;
    for (int i = 1; i < f->n_by; i++) {
        out = tsn_arena_printf(&p->scratch, "%s and %s", out, fields[f->by[i]].name);
    }
    return out;
}

/* What it is, and of which event. */
static const char *subject(struct pack *p, const struct tsn_feature *f)
{
    const char *event = p->type_names.items[f->event];
    if (f->agg == TSN_AGG_TIME_SINCE) {
        return tsn_arena_printf(&p->scratch, "time since the last %s", event);
    }
    if (f->field == TSN_NONE) {
        return tsn_arena_printf(&p->scratch, "count of %s", event);
    }
    return tsn_arena_printf(&p->scratch, "%s %s of %s", tsn_agg_name(f->agg),
                            p->types[f->event].fields[f->field].name, event);
}

const char *tsn_pack_sentence(struct pack *p, const struct tsn_feature *f)
{
    const struct tsn_yaml_node *node = p->features[tsn_names_find(&p->feature_names, f->name)].node;
    if (f->agg == TSN_AGG_EXPR) {
        return tsn_arena_printf(p->mem, "%s of this %s", one_line(p, tsn_yaml_get(node, "expr")),
                                p->type_names.items[f->event]);
    }
    const struct tsn_yaml_node *where = tsn_yaml_get(node, "where");
    const char *window = tsn_yaml_get(node, "window")->text; /* as the author says it */
    const char *delay = f->delay_ms ? tsn_yaml_get(node, "delay")->text : "";
    const char *newest =
        f->agg != TSN_AGG_SET
            ? ""
            : tsn_arena_printf(&p->scratch, ", the newest %u at most", (unsigned)f->max_members);
    bool always_before = f->agg == TSN_AGG_LAST || f->agg == TSN_AGG_TIME_SINCE;
    return tsn_arena_printf(p->mem, "%s by %s%s%s last %s%s%s%s%s%s", subject(p, f), by_text(p, f),
                            where ? " where " : "", where ? one_line(p, where) : "", window,
                            f->delay_ms ? ", ending " : "", f->delay_ms ? delay : "",
                            f->delay_ms ? " earlier" : "",
                            f->at_seen                             ? ", as of the newest row seen"
                            : f->exclude_current && !always_before ? ", without this event"
                                                                   : "",
                            newest);
}
