/* Functions on numbers, and conversions from and to them. Called by the evaluators
 * through the function table, with arguments of the declared types. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/function_apply.h"
#include "rules/expr/number.h"
#include "rules/expr/text.h"

#define DOUBLE_FUNCTION(name, expression)                                                          \
    bool tsn_apply_##name(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out) \
    {                                                                                              \
        (void)call;                                                                                \
        out->d = (expression);                                                                     \
        return true;                                                                               \
    }

#define BOOL_FUNCTION(name, expression)                                                            \
    bool tsn_apply_##name(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out) \
    {                                                                                              \
        (void)call;                                                                                \
        out->b = (expression);                                                                     \
        return true;                                                                               \
    }

#define INT_FUNCTION(name, expression)                                                             \
    bool tsn_apply_##name(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out) \
    {                                                                                              \
        (void)call;                                                                                \
        out->i = (expression);                                                                     \
        return true;                                                                               \
    }

#define CHECKED_INT(name, fails)                                                                   \
    bool tsn_apply_##name(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out) \
    {                                                                                              \
        call->error = "int overflow";                                                              \
        return !(fails);                                                                           \
    }

static double sign_of(double d)
{
    return isnan(d) ? d : d > 0 ? 1.0 : d < 0 ? -1.0 : 0.0;
}

CHECKED_INT(add_int, __builtin_add_overflow(a[0].i, a[1].i, &out->i))
CHECKED_INT(sub_int, __builtin_sub_overflow(a[0].i, a[1].i, &out->i))
CHECKED_INT(mul_int, __builtin_mul_overflow(a[0].i, a[1].i, &out->i))
CHECKED_INT(neg_int, __builtin_sub_overflow(INT64_C(0), a[0].i, &out->i))
CHECKED_INT(abs_int, a[0].i < 0 ? __builtin_sub_overflow(INT64_C(0), a[0].i, &out->i)
                                : __builtin_add_overflow(INT64_C(0), a[0].i, &out->i))
DOUBLE_FUNCTION(add_double, a[0].d + a[1].d)
DOUBLE_FUNCTION(sub_double, a[0].d - a[1].d)
DOUBLE_FUNCTION(mul_double, a[0].d *a[1].d)
DOUBLE_FUNCTION(div_double, a[0].d / a[1].d)
DOUBLE_FUNCTION(neg_double, -a[0].d)
DOUBLE_FUNCTION(abs_double, fabs(a[0].d))
DOUBLE_FUNCTION(ceil, ceil(a[0].d))
DOUBLE_FUNCTION(floor, floor(a[0].d))
DOUBLE_FUNCTION(round, round(a[0].d))
DOUBLE_FUNCTION(trunc, trunc(a[0].d))
DOUBLE_FUNCTION(sign_double, sign_of(a[0].d))
DOUBLE_FUNCTION(greatest_double, a[1].d > a[0].d || isnan(a[1].d) ? a[1].d : a[0].d)
DOUBLE_FUNCTION(least_double, a[1].d < a[0].d || isnan(a[1].d) ? a[1].d : a[0].d)
DOUBLE_FUNCTION(exp, exp(a[0].d))
DOUBLE_FUNCTION(log, log(a[0].d))
DOUBLE_FUNCTION(sqrt, sqrt(a[0].d))
DOUBLE_FUNCTION(pow, pow(a[0].d, a[1].d))
DOUBLE_FUNCTION(int_to_double, (double)a[0].i)
BOOL_FUNCTION(is_nan, isnan(a[0].d))
BOOL_FUNCTION(is_inf, isinf(a[0].d))
BOOL_FUNCTION(is_finite, isfinite(a[0].d))
INT_FUNCTION(sign_int, (a[0].i > 0) - (a[0].i < 0))
INT_FUNCTION(greatest_int, a[0].i > a[1].i ? a[0].i : a[1].i)
INT_FUNCTION(least_int, a[0].i < a[1].i ? a[0].i : a[1].i)

bool tsn_apply_div_int(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    if (a[1].i == 0) {
        call->error = "division by zero";
        return false;
    }
    if (a[0].i == INT64_MIN && a[1].i == -1) {
        call->error = "int overflow";
        return false;
    }
    out->i = a[0].i / a[1].i;
    return true;
}

bool tsn_apply_mod_int(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    if (a[1].i == 0) {
        call->error = "remainder of a division by zero";
        return false;
    }
    if (a[0].i == INT64_MIN && a[1].i == -1) {
        call->error = "int overflow"; /* as the division would */
        return false;
    }
    out->i = a[0].i % a[1].i;
    return true;
}

bool tsn_apply_identity(struct tsn_call *call, const struct tsn_value *a, struct tsn_value *out)
{
    (void)call;
    *out = a[0];
    return true;
}

bool tsn_apply_double_to_int(struct tsn_call *call, const struct tsn_value *a,
                             struct tsn_value *out)
{
    call->error = "this double does not fit an int";
    return tsn_number_truncate(a[0].d, &out->i);
}

bool tsn_apply_string_to_int(struct tsn_call *call, const struct tsn_value *a,
                             struct tsn_value *out)
{
    call->error = "this text is no int";
    return tsn_number_int(a[0].s, &out->i);
}

bool tsn_apply_string_to_double(struct tsn_call *call, const struct tsn_value *a,
                                struct tsn_value *out)
{
    call->error = "this text is no double";
    return tsn_number_double(a[0].s, &out->d);
}

bool tsn_apply_string_to_bool(struct tsn_call *call, const struct tsn_value *a,
                              struct tsn_value *out)
{
    static const char *const yes[] = {"1", "t", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "false", "FALSE", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        out->b = tsn_str_is(a[0].s, yes[i]);
        if (out->b || tsn_str_is(a[0].s, no[i])) {
            return true;
        }
    }
    call->error = "this text is no bool";
    return false;
}

static bool give(struct tsn_call *call, struct tsn_value *out, const char *text, size_t len)
{
    out->s = (struct tsn_str){tsn_arena_strdup(call->arena, text, len), (uint32_t)len};
    return true;
}

bool tsn_apply_bool_to_string(struct tsn_call *call, const struct tsn_value *a,
                              struct tsn_value *out)
{
    const char *text = a[0].b ? "true" : "false";
    return give(call, out, text, strlen(text));
}

bool tsn_apply_int_to_string(struct tsn_call *call, const struct tsn_value *a,
                             struct tsn_value *out)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)a[0].i);
    return give(call, out, text, (size_t)len);
}

bool tsn_apply_double_to_string(struct tsn_call *call, const struct tsn_value *a,
                                struct tsn_value *out)
{
    char text[32];
    size_t len = tsn_number_print(a[0].d, text);
    return give(call, out, text, len);
}
