/* Pack: sums of money. Nothing is converted, so what is added must be of one currency;
 * the compiler cannot know the rows, but it can see whether the author thought of it. */
#include <stdio.h>

#include "rules/pack/compile.h"

/* Does an expression look at a field, itself or through an `expr` feature? */
static bool looks_at(const struct pack *p, int type, uint32_t expr, uint32_t field, int depth)
{
    const struct pack_type *t = &p->types[type];
    size_t n = 0;
    const uint32_t *inputs = tsn_expr_inputs(t->set, expr, &n);
    for (size_t i = 0; i < n; i++) {
        if (inputs[i] == field) {
            return true;
        }
        if (inputs[i] >= (uint32_t)t->n_fields && depth < 16) {
            uint32_t read =
                p->feature_out[t->slots[inputs[i] - (uint32_t)t->n_fields].feature].expr;
            if (read != TSN_EXPR_NONE && looks_at(p, type, read, field, depth + 1)) {
                return true;
            }
        }
    }
    return false;
}

/* A sum over a field whose currency differs from row to row says nothing, unless a
 * filter looks at the currency. */
void tsn_pack_warn_of_mixed_currencies(struct pack *p, const struct tsn_feature *f,
                                       const struct tsn_yaml_node *node)
{
    if (f->agg == TSN_AGG_EXPR || f->field == TSN_NONE || f->agg == TSN_AGG_DISTINCT ||
        f->agg == TSN_AGG_FIRST || f->agg == TSN_AGG_LAST) {
        return;
    }
    const struct pack_type *t = &p->types[f->event];
    const struct tsn_field *field = &t->fields[f->field];
    if (field->rep != TSN_REP_MONEY || field->currency_field == TSN_NONE) {
        return;
    }
    const char *currency = t->fields[field->currency_field].name;
    for (int i = 0; i < f->n_by; i++) {
        if (f->by[i] == field->currency_field) {
            return;
        }
    }
    if (f->where == TSN_EXPR_NONE ||
        !looks_at(p, f->event, f->where, (uint32_t)field->currency_field, 0)) {
        char advice[240];
        snprintf(advice, sizeof advice, "add %s.%s == \"...\" to 'where', or '%s' to 'by'",
                 p->type_names.items[f->event], currency, currency);
        tsn_yaml_warn(p->doc, tsn_yaml_get(node, "aggregate"), advice,
                      "%s of '%s' mixes currencies: each row has its own '%s'",
                      tsn_agg_name(f->agg), field->name, currency);
    }
}
