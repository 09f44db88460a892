/* FIRST SLICE, to be removed whole (git rm rules/expr/slice_*) by the landing of the full
 * expression room. Scalar evaluation (first slice): one node, one row. */
#include "rules/expr/slice_scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/must/must.h"

extern const char *const tsn_slice_functions[];

static struct tsn_value value(enum tsn_type type)
{
    return (struct tsn_value){.state = TSN_STATE_VALUE, .type = {type, type, 0}};
}

static struct tsn_time time_ms(int64_t ms)
{
    int64_t s = ms / 1000;
    int64_t rest = ms % 1000;
    if (rest < 0) {
        s--;
        rest += 1000;
    }
    return (struct tsn_time){s, (int32_t)(rest * 1000000)};
}

void tsn_column_value(const struct tsn_column *column, uint32_t row, struct tsn_value *out)
{
    static const double powers[] = {1, 10, 100, 1000, 10000, 1e5, 1e6, 1e7, 1e8, 1e9};
    *out = value(tsn_rep_type(column->rep));
    if (column->error && tsn_bits_get(column->error, row)) {
        out->state = TSN_STATE_ERROR;
        out->error = "overflow";
        return;
    }
    if (!tsn_bits_get(column->valid, row)) {
        out->state = TSN_STATE_MISSING;
        return;
    }
    switch (column->rep) {
    case TSN_REP_BOOL:
        out->b = tsn_bits_get(column->bits, row);
        break;
    case TSN_REP_INT:
        out->i = column->i64[row];
        break;
    case TSN_REP_DOUBLE:
        out->d = column->f64[row];
        break;
    case TSN_REP_STRING:
        out->s = column->str[row];
        break;
    case TSN_REP_TIME_MS:
    case TSN_REP_DURATION_MS:
        out->t = time_ms(column->i64[row]);
        break;
    case TSN_REP_MONEY:
        out->d = (double)column->i64[row] / powers[column->scale];
        break;
    case TSN_REP_ENUM:
        out->s = column->dict->names[column->code[row]];
        break;
    case TSN_REP_TIME:
    case TSN_REP_DURATION:
        out->t = column->time[row];
        break;
    case TSN_REP_LIST:
    case TSN_REP_NULL:
        break;
    }
}

static int order(const struct tsn_value *a, const struct tsn_value *b, bool *unordered)
{
    *unordered = false;
    if (a->type.type != b->type.type || a->type.type == TSN_TYPE_DOUBLE) {
        long double x = a->type.type == TSN_TYPE_INT ? (long double)a->i : (long double)a->d;
        long double y = b->type.type == TSN_TYPE_INT ? (long double)b->i : (long double)b->d;
        *unordered = isnan(x) || isnan(y);
        return x < y ? -1 : x > y;
    }
    switch (a->type.type) {
    case TSN_TYPE_BOOL:
        return (int)a->b - (int)b->b;
    case TSN_TYPE_INT:
        return a->i < b->i ? -1 : a->i > b->i;
    case TSN_TYPE_STRING: {
        uint32_t n = a->s.len < b->s.len ? a->s.len : b->s.len;
        int c = n ? memcmp(a->s.p, b->s.p, n) : 0;
        return c ? c : (a->s.len < b->s.len ? -1 : a->s.len > b->s.len);
    }
    case TSN_TYPE_TIMESTAMP:
    case TSN_TYPE_DURATION:
        if (a->t.s != b->t.s) {
            return a->t.s < b->t.s ? -1 : 1;
        }
        return a->t.ns < b->t.ns ? -1 : a->t.ns > b->t.ns;
    default:
        return 0;
    }
}

static struct tsn_value failed(const char *why, uint32_t column)
{
    return (struct tsn_value){.state = TSN_STATE_ERROR, .error = why, .error_column = column};
}

static struct tsn_value truth(bool b)
{
    struct tsn_value v = value(TSN_TYPE_BOOL);
    v.b = b;
    return v;
}

static struct tsn_value compared(const struct tsn_node *node, const struct tsn_value *a,
                                 const struct tsn_value *b)
{
    bool unordered;
    int o = order(a, b, &unordered);
    switch (node->op) {
    case OP_EQ:
        return truth(!unordered && o == 0);
    case OP_NE:
        return truth(unordered || o != 0);
    case OP_LT:
        return truth(!unordered && o < 0);
    case OP_LE:
        return truth(!unordered && o <= 0);
    case OP_GT:
        return truth(!unordered && o > 0);
    default:
        return truth(!unordered && o >= 0);
    }
}

static double number(const struct tsn_value *v)
{
    return v->type.type == TSN_TYPE_INT ? (double)v->i : v->d;
}

static struct tsn_value computed(struct tsn_eval *eval, const struct tsn_node *node,
                                 const struct tsn_value *a, const struct tsn_value *b)
{
    struct tsn_value v = value(node->type.type);
    if (node->type.type == TSN_TYPE_DOUBLE) {
        double x = number(a);
        double y = number(b);
        v.d = node->op == OP_ADD   ? x + y
              : node->op == OP_SUB ? x - y
              : node->op == OP_MUL ? x * y
                                   : x / y;
        return v;
    }
    if (node->type.type == TSN_TYPE_STRING) {
        char *text = tsn_arena_alloc(&eval->arena, (size_t)a->s.len + b->s.len + 1);
        memcpy(text, a->s.p, a->s.len);
        memcpy(text + a->s.len, b->s.p, b->s.len);
        v.s = (struct tsn_str){text, a->s.len + b->s.len};
        return v;
    }
    if (node->type.type != TSN_TYPE_INT) {
        int sign = node->op == OP_ADD ? 1 : -1;
        v.t.s = a->t.s + sign * b->t.s;
        int64_t ns = (int64_t)a->t.ns + sign * b->t.ns;
        v.t.s += ns < 0 ? -1 : ns >= 1000000000 ? 1 : 0;
        v.t.ns = (int32_t)(ns < 0 ? ns + 1000000000 : ns >= 1000000000 ? ns - 1000000000 : ns);
        return v;
    }
    bool over = false;
    if ((node->op == OP_DIV || node->op == OP_MOD) && b->i == 0) {
        return failed("division by zero", node->column);
    }
    switch (node->op) {
    case OP_ADD:
        over = __builtin_add_overflow(a->i, b->i, &v.i);
        break;
    case OP_SUB:
        over = __builtin_sub_overflow(a->i, b->i, &v.i);
        break;
    case OP_MUL:
        over = __builtin_mul_overflow(a->i, b->i, &v.i);
        break;
    default:
        over = a->i == INT64_MIN && b->i == -1;
        v.i = over ? 0 : node->op == OP_DIV ? a->i / b->i : a->i % b->i;
        break;
    }
    return over ? failed("integer overflow", node->column) : v;
}

static bool duration_parse(struct tsn_str s, struct tsn_time *out)
{
    char text[64];
    if (s.len >= sizeof text || s.len == 0) {
        return false;
    }
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    const char *p = text;
    double sign = *p == '-' ? -1 : 1;
    p += *p == '-';
    long double ns = 0;
    while (*p) {
        char *end;
        long double x = strtold(p, &end);
        if (end == p) {
            return false;
        }
        p = end;
        long double unit;
        if (strncmp(p, "ms", 2) == 0) {
            unit = 1e6L;
            p += 2;
        } else if (*p == 'h' || *p == 'm' || *p == 's') {
            unit = *p == 'h' ? 3600e9L : *p == 'm' ? 60e9L : 1e9L;
            p++;
        } else {
            return false;
        }
        ns += x * unit;
    }
    long double total = sign * ns;
    out->s = (int64_t)floorl(total / 1e9L);
    out->ns = (int32_t)llroundl(total - (long double)out->s * 1e9L);
    return true;
}

static bool timestamp_parse(struct tsn_str s, struct tsn_time *out)
{
    char text[64];
    if (s.len >= sizeof text) {
        return false;
    }
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end || strcmp(end, "Z") != 0) {
        return false;
    }
    *out = (struct tsn_time){timegm(&tm), 0};
    return true;
}

static bool affix(struct tsn_str s, struct tsn_str part, bool end)
{
    return part.len <= s.len && memcmp(s.p + (end ? s.len - part.len : 0), part.p, part.len) == 0;
}

static struct tsn_value called(struct tsn_eval *eval, const struct tsn_node *node, uint32_t row,
                               const struct tsn_value *a, const struct tsn_value *b)
{
    const char *f = tsn_slice_functions[node->function];
    struct tsn_value v = value(node->type.type);
    tsn_event_ms at_ms = eval->frame.time_ms ? eval->frame.time_ms[row] : 0;
    if (strcmp(f, "duration") == 0) {
        return duration_parse(a->s, &v.t) ? v : failed("not a duration", node->column);
    } else if (strcmp(f, "timestamp") == 0) {
        return timestamp_parse(a->s, &v.t) ? v : failed("not a timestamp", node->column);
    } else if (strcmp(f, "size") == 0) {
        v.i = 0;
        for (uint32_t i = 0; i < a->s.len; i++) {
            v.i += ((unsigned char)a->s.p[i] & 0xC0) != 0x80;
        }
    } else if (strcmp(f, "contains") == 0) {
        v.b = b->s.len == 0 || memmem(a->s.p, a->s.len, b->s.p, b->s.len) != NULL;
    } else if (strcmp(f, "startsWith") == 0) {
        v.b = affix(a->s, b->s, false);
    } else if (strcmp(f, "endsWith") == 0) {
        v.b = affix(a->s, b->s, true);
    } else if (strcmp(f, "hasPrefixIn") == 0) {
        v.b = tsn_list_has_prefix_of(eval->frame.lists[eval->set->nodes[node->args[1]].input], a->s,
                                     at_ms);
    } else if (strcmp(f, "double") == 0) {
        v.d = number(a);
    } else if (strcmp(f, "int") == 0) {
        v.i = a->type.type == TSN_TYPE_INT ? a->i : (int64_t)a->d;
    } else {
        double x = number(a);
        v.d = strcmp(f, "exp") == 0    ? exp(x)
              : strcmp(f, "log") == 0  ? log(x)
              : strcmp(f, "sqrt") == 0 ? sqrt(x)
                                       : pow(x, number(b));
    }
    return v;
}

static void logic_row(struct tsn_eval *eval, const struct tsn_node *node, uint32_t row,
                      struct tsn_value *out)
{
    struct tsn_value a;
    struct tsn_value b;
    bool absorbing = node->op == OP_OR;
    tsn_node_row(eval, node->args[0], row, &a);
    tsn_node_row(eval, node->args[1], row, &b);
    if ((a.state == TSN_STATE_VALUE && a.b == absorbing) ||
        (b.state == TSN_STATE_VALUE && b.b == absorbing)) {
        *out = truth(absorbing);
    } else if (a.state == TSN_STATE_ERROR || b.state == TSN_STATE_ERROR) {
        *out = a.state == TSN_STATE_ERROR ? a : b;
    } else if (a.state == TSN_STATE_MISSING || b.state == TSN_STATE_MISSING) {
        *out = (struct tsn_value){.state = TSN_STATE_MISSING};
    } else {
        *out = truth(!absorbing);
    }
}

static void in_row(struct tsn_eval *eval, const struct tsn_node *node, uint32_t row,
                   const struct tsn_value *a, struct tsn_value *out)
{
    const struct tsn_node *list = &eval->set->nodes[node->args[1]];
    if (list->op == OP_HANDLE) {
        const struct tsn_list *of = eval->frame.lists[list->input];
        tsn_event_ms at_ms = eval->frame.time_ms ? eval->frame.time_ms[row] : 0;
        *out = truth(a->type.type == TSN_TYPE_INT ? tsn_list_has_int(of, a->i, at_ms)
                                                  : tsn_list_has_string(of, a->s, at_ms));
        return;
    }
    *out = truth(false);
    for (uint8_t i = 0; i < list->n_args; i++) {
        struct tsn_value item;
        bool unordered;
        tsn_node_row(eval, list->args[i], row, &item);
        if (item.state != TSN_STATE_VALUE) {
            *out = item;
        } else if (order(a, &item, &unordered) == 0 && !unordered) {
            *out = truth(true);
            return;
        }
    }
}

void tsn_node_row(struct tsn_eval *eval, uint32_t n, uint32_t row, struct tsn_value *out)
{
    const struct tsn_node *node = &eval->set->nodes[n];
    struct tsn_value args[3];
    switch (node->op) {
    case OP_CONST:
        *out = node->value;
        return;
    case OP_INPUT:
        tsn_column_value(&eval->frame.inputs[node->input], row, out);
        return;
    case OP_HAS:
        tsn_column_value(&eval->frame.inputs[node->input], row, &args[0]);
        *out = truth(args[0].state != TSN_STATE_MISSING);
        if (args[0].state == TSN_STATE_ERROR) {
            *out = args[0];
        }
        return;
    case OP_AND:
    case OP_OR:
        logic_row(eval, node, row, out);
        return;
    case OP_COND:
        tsn_node_row(eval, node->args[0], row, &args[0]);
        if (args[0].state != TSN_STATE_VALUE) {
            *out = args[0];
            return;
        }
        tsn_node_row(eval, node->args[args[0].b ? 1 : 2], row, out);
        return;
    case OP_LIST:
    case OP_HANDLE:
        *out = value(node->type.type);
        return;
    default:
        break;
    }
    bool missing = false;
    for (uint8_t i = 0; i < node->n_args; i++) {
        tsn_node_row(eval, node->args[i], row, &args[i]);
    }
    if (node->op == OP_CALL && strcmp(tsn_slice_functions[node->function], "coalesce") == 0) {
        *out = args[0].state == TSN_STATE_MISSING ? args[1] : args[0];
        return;
    }
    for (uint8_t i = 0; i < node->n_args; i++) {
        if (args[i].state == TSN_STATE_ERROR) {
            *out = args[i];
            return;
        }
        missing |= args[i].state == TSN_STATE_MISSING;
    }
    if (missing) {
        *out = (struct tsn_value){.state = TSN_STATE_MISSING};
    } else if (node->op == OP_NOT) {
        *out = truth(!args[0].b);
    } else if (node->op == OP_NEG) {
        *out = args[0];
        if (node->type.type == TSN_TYPE_DOUBLE) {
            out->d = -out->d;
        } else if (out->i == INT64_MIN) {
            *out = failed("integer overflow", node->column);
        } else {
            out->i = -out->i;
        }
    } else if (node->op == OP_IN) {
        in_row(eval, node, row, &args[0], out);
    } else if (node->op == OP_CALL) {
        *out = called(eval, node, row, &args[0], &args[1]);
    } else if (node->op >= OP_EQ && node->op <= OP_GE) {
        *out = compared(node, &args[0], &args[1]);
    } else {
        *out = computed(eval, node, &args[0], &args[1]);
    }
}
