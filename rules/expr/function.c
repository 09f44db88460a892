/* Functions: the one table of what expressions can call.
 *
 * The checker resolves calls against it, the evaluators run what it points at,
 * the cost table stands in its last columns and docs/FUNCTIONS.md is printed from
 * it (a test compares). Operators on numbers, text and times are functions too.
 */
#include "rules/expr/function.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/function_apply.h"
#include "rules/expr/value.h"
#include "rules/must/must.h"

/* clang-format off */
const struct tsn_function tsn_functions[] = {
    {"+", "ii>i", NULL, NULL, tsn_apply_add_int, TSN_KERNEL_ADD_INT, TSN_FUNCTION_FAILS, 1, 0},
    {"+", "dd>d", NULL, NULL, tsn_apply_add_double, TSN_KERNEL_ADD_DOUBLE, 0, 1, 0},
    {"+", "ss>s", NULL, NULL, tsn_apply_add_string, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"+", "AA>A", NULL, NULL, tsn_apply_add_list, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 8, 0},
    {"+", "tu>t", NULL, NULL, tsn_apply_add_time, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"+", "ut>t", NULL, NULL, tsn_apply_add_time, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"+", "uu>u", NULL, NULL, tsn_apply_add_duration, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"-", "ii>i", NULL, NULL, tsn_apply_sub_int, TSN_KERNEL_SUB_INT, TSN_FUNCTION_FAILS, 1, 0},
    {"-", "dd>d", NULL, NULL, tsn_apply_sub_double, TSN_KERNEL_SUB_DOUBLE, 0, 1, 0},
    {"-", "tt>u", NULL, NULL, tsn_apply_sub_duration, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"-", "tu>t", NULL, NULL, tsn_apply_sub_time, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"-", "uu>u", NULL, NULL, tsn_apply_sub_duration, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"*", "ii>i", NULL, NULL, tsn_apply_mul_int, TSN_KERNEL_MUL_INT, TSN_FUNCTION_FAILS, 1, 0},
    {"*", "dd>d", NULL, NULL, tsn_apply_mul_double, TSN_KERNEL_MUL_DOUBLE, 0, 1, 0},
    {"/", "ii>i", NULL, NULL, tsn_apply_div_int, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"/", "dd>d", NULL, NULL, tsn_apply_div_double, TSN_KERNEL_DIV_DOUBLE, 0, 1, 0},
    {"%", "ii>i", NULL, NULL, tsn_apply_mod_int, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"neg", "i>i", NULL, NULL, tsn_apply_neg_int, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"neg", "d>d", NULL, NULL, tsn_apply_neg_double, TSN_KERNEL_NONE, 0, 1, 0},
    {"size", "s>i", "Text", "how many characters", tsn_apply_size_string, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"size", "s.>i", "Text", "the same", tsn_apply_size_string, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"contains", "s.s>b", "Text", "is the argument a part of the text?", tsn_apply_contains, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"startsWith", "s.s>b", "Text", "does the text begin with the argument?", tsn_apply_starts_with, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"endsWith", "s.s>b", "Text", "does the text end with the argument?", tsn_apply_ends_with, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"matches", "s.s>b", "Text", "does a part of the text match the RE2 pattern? The pattern must be a constant; anchor with ^ and $", tsn_apply_matches, TSN_KERNEL_NONE, TSN_FUNCTION_REGEX, 1, 0.25},
    {"matches", "ss>b", "Text", "the same", tsn_apply_matches, TSN_KERNEL_NONE, TSN_FUNCTION_REGEX, 1, 0.25},
    {"charAt", "s.i>s", "Text", "the character at an index from 0; empty at the end, an error beyond", tsn_apply_char_at, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"indexOf", "s.s>i", "Text", "where the argument first occurs, from 0; -1 if nowhere", tsn_apply_index_of, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"indexOf", "s.si>i", "Text", "the same, not before an index", tsn_apply_index_of, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"lastIndexOf", "s.s>i", "Text", "where the argument last occurs; -1 if nowhere", tsn_apply_last_index_of, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"lastIndexOf", "s.si>i", "Text", "the same, not after an index", tsn_apply_last_index_of, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"lowerAscii", "s.>s", "Text", "A-Z become a-z, all else stays", tsn_apply_lower_ascii, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"upperAscii", "s.>s", "Text", "a-z become A-Z, all else stays", tsn_apply_upper_ascii, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"replace", "s.ss>s", "Text", "every occurrence of the first argument becomes the second", tsn_apply_replace, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.2},
    {"replace", "s.ssi>s", "Text", "at most so many occurrences; all if negative", tsn_apply_replace, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.2},
    {"split", "s.s>L", "Text", "the parts between occurrences of the argument", tsn_apply_split, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.2},
    {"split", "s.si>L", "Text", "at most so many parts; all if negative", tsn_apply_split, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.2},
    {"substring", "s.i>s", "Text", "from an index to the end", tsn_apply_substring, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"substring", "s.ii>s", "Text", "from an index to before another", tsn_apply_substring, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"trim", "s.>s", "Text", "without white space at both ends", tsn_apply_trim, TSN_KERNEL_NONE, 0, 1, 0.1},
    {"join", "L.>s", "Text", "the texts of a list, one after the other", tsn_apply_join, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 8, 0.1},
    {"join", "L.s>s", "Text", "the same with the argument between them", tsn_apply_join, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 8, 0.1},
    {"size", "A>i", "Lists", "how many elements", tsn_apply_size_list, TSN_KERNEL_NONE, 0, 1, 0},
    {"size", "A.>i", "Lists", "the same", tsn_apply_size_list, TSN_KERNEL_NONE, 0, 1, 0},
    {"hasPrefixIn", "sL>b", "Lists", "is some element of the list a prefix of the text? Also takes `lists.<name>`", tsn_apply_has_prefix_in, TSN_KERNEL_NONE, 0, 4, 0.1},
    {"math.abs", "i>i", "Numbers", "without its sign; an error for the least int", tsn_apply_abs_int, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"math.abs", "d>d", "Numbers", "without its sign", tsn_apply_abs_double, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.ceil", "d>d", "Numbers", "up to a whole number", tsn_apply_ceil, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.floor", "d>d", "Numbers", "down to a whole number", tsn_apply_floor, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.round", "d>d", "Numbers", "to the nearest whole number, halves away from zero", tsn_apply_round, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.trunc", "d>d", "Numbers", "toward zero to a whole number", tsn_apply_trunc, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.sign", "i>i", "Numbers", "-1, 0 or 1", tsn_apply_sign_int, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.sign", "d>d", "Numbers", "-1.0, 0.0 or 1.0; NaN stays", tsn_apply_sign_double, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.isNaN", "d>b", "Numbers", "is it not a number (0.0 / 0.0)?", tsn_apply_is_nan, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.isInf", "d>b", "Numbers", "is it infinite (1.0 / 0.0)?", tsn_apply_is_inf, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.isFinite", "d>b", "Numbers", "is it neither?", tsn_apply_is_finite, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.greatest", "ii>i", "Numbers", "the greatest of one or more ints", tsn_apply_greatest_int, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.greatest", "dd>d", "Numbers", "the greatest of one or more doubles", tsn_apply_greatest_double, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.least", "ii>i", "Numbers", "the least of one or more ints", tsn_apply_least_int, TSN_KERNEL_NONE, 0, 1, 0},
    {"math.least", "dd>d", "Numbers", "the least of one or more doubles", tsn_apply_least_double, TSN_KERNEL_NONE, 0, 1, 0},
    {"exp", "d>d", "Numbers", "e to the power of the argument", tsn_apply_exp, TSN_KERNEL_NONE, 0, 4, 0},
    {"log", "d>d", "Numbers", "natural logarithm; NaN below zero, -Infinity at zero", tsn_apply_log, TSN_KERNEL_NONE, 0, 4, 0},
    {"sqrt", "d>d", "Numbers", "square root; NaN below zero", tsn_apply_sqrt, TSN_KERNEL_NONE, 0, 2, 0},
    {"pow", "dd>d", "Numbers", "the first to the power of the second", tsn_apply_pow, TSN_KERNEL_NONE, 0, 4, 0},
    {"int", "i>i", "Conversions", "the same", tsn_apply_identity, TSN_KERNEL_NONE, 0, 1, 0},
    {"int", "d>i", "Conversions", "toward zero; an error outside 64 bits", tsn_apply_double_to_int, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"int", "s>i", "Conversions", "of decimal digits", tsn_apply_string_to_int, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"int", "t>i", "Conversions", "seconds since 1970", tsn_apply_time_to_int, TSN_KERNEL_NONE, 0, 1, 0},
    {"double", "d>d", "Conversions", "the same", tsn_apply_identity, TSN_KERNEL_NONE, 0, 1, 0},
    {"double", "i>d", "Conversions", "the nearest double", tsn_apply_int_to_double, TSN_KERNEL_INT_TO_DOUBLE, 0, 1, 0},
    {"double", "s>d", "Conversions", "of decimal text, with a point or exponent", tsn_apply_string_to_double, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0.1},
    {"string", "s>s", "Conversions", "the same", tsn_apply_identity, TSN_KERNEL_NONE, 0, 1, 0},
    {"string", "b>s", "Conversions", "\"true\" or \"false\"", tsn_apply_bool_to_string, TSN_KERNEL_NONE, 0, 1, 0},
    {"string", "i>s", "Conversions", "decimal digits", tsn_apply_int_to_string, TSN_KERNEL_NONE, 0, 2, 0},
    {"string", "d>s", "Conversions", "the shortest text that reads back as the same double", tsn_apply_double_to_string, TSN_KERNEL_NONE, 0, 4, 0},
    {"string", "t>s", "Conversions", "RFC 3339 in UTC", tsn_apply_time_to_string, TSN_KERNEL_NONE, 0, 4, 0},
    {"string", "u>s", "Conversions", "in seconds: \"5400s\"", tsn_apply_duration_to_string, TSN_KERNEL_NONE, 0, 4, 0},
    {"bool", "b>b", "Conversions", "the same", tsn_apply_identity, TSN_KERNEL_NONE, 0, 1, 0},
    {"bool", "s>b", "Conversions", "1 t true TRUE True, 0 f false FALSE False; else an error", tsn_apply_string_to_bool, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"timestamp", "s>t", "Time", "of RFC 3339 text, years 0001 to 9999", tsn_apply_string_to_time, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 2, 0.1},
    {"timestamp", "i>t", "Time", "of seconds since 1970", tsn_apply_int_to_time, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 1, 0},
    {"timestamp", "t>t", "Time", "the same", tsn_apply_identity, TSN_KERNEL_NONE, 0, 1, 0},
    {"duration", "s>u", "Time", "of text with units h m s ms us ns: \"1h30m\"", tsn_apply_string_to_duration, TSN_KERNEL_NONE, TSN_FUNCTION_FAILS, 2, 0.1},
    {"duration", "u>u", "Time", "the same", tsn_apply_identity, TSN_KERNEL_NONE, 0, 1, 0},
    {"getFullYear", "t.>i", "Time", "year, in the pack's time zone", tsn_apply_get_full_year, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getFullYear", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_full_year, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getMonth", "t.>i", "Time", "month, 0 for January, in the pack's time zone", tsn_apply_get_month, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getMonth", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_month, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getDayOfMonth", "t.>i", "Time", "day of the month from 0, in the pack's time zone", tsn_apply_get_day_of_month, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getDayOfMonth", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_day_of_month, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getDate", "t.>i", "Time", "day of the month from 1, in the pack's time zone", tsn_apply_get_date, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getDate", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_date, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getDayOfWeek", "t.>i", "Time", "day of the week, 0 for Sunday, in the pack's time zone", tsn_apply_get_day_of_week, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getDayOfWeek", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_day_of_week, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getDayOfYear", "t.>i", "Time", "day of the year from 0, in the pack's time zone", tsn_apply_get_day_of_year, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getDayOfYear", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_day_of_year, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getHours", "t.>i", "Time", "hour of the day, in the pack's time zone", tsn_apply_get_hours, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getHours", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_hours, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getHours", "u.>i", "Time", "whole hours of a duration", tsn_apply_duration_hours, TSN_KERNEL_NONE, 0, 1, 0},
    {"getMinutes", "t.>i", "Time", "minute of the hour, in the pack's time zone", tsn_apply_get_minutes, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getMinutes", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_minutes, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getMinutes", "u.>i", "Time", "whole minutes of a duration", tsn_apply_duration_minutes, TSN_KERNEL_NONE, 0, 1, 0},
    {"getSeconds", "t.>i", "Time", "second of the minute, in the pack's time zone", tsn_apply_get_seconds, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getSeconds", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_seconds, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getSeconds", "u.>i", "Time", "whole seconds of a duration", tsn_apply_duration_seconds, TSN_KERNEL_NONE, 0, 1, 0},
    {"getMilliseconds", "t.>i", "Time", "millisecond of the second, in the pack's time zone", tsn_apply_get_milliseconds, TSN_KERNEL_NONE, TSN_FUNCTION_LOCAL, 3, 0},
    {"getMilliseconds", "t.s>i", "Time", "the same in a zone such as \"Europe/Dublin\" or \"+05:30\"", tsn_apply_get_milliseconds, TSN_KERNEL_NONE, TSN_FUNCTION_ZONE | TSN_FUNCTION_FAILS, 3, 0},
    {"getMilliseconds", "u.>i", "Time", "the part of a duration below a second, in milliseconds", tsn_apply_duration_milliseconds, TSN_KERNEL_NONE, 0, 1, 0},
};
/* clang-format on */
const size_t tsn_n_functions = sizeof tsn_functions / sizeof tsn_functions[0];

const struct tsn_macro tsn_macros[] = {
    {"has", "has(transfer.payee)", "is there a value? True or false, never missing"},
    {"coalesce", "coalesce(f.last_amount, 0.0)",
     "the second argument where the first is missing; errors stay errors"},
    {"size", "size(f.lines_rung)", "how many members a feature that is a `set` has"},
    {"all", "list.all(x, condition)", "true for every element?"},
    {"exists", "list.exists(x, condition)", "true for some element?"},
    {"exists_one", "list.exists_one(x, condition)", "true for exactly one element?"},
    {"filter", "list.filter(x, condition)", "the elements for which it is true"},
    {"map", "list.map(x, value)", "the value of each element"},
    {"map", "list.map(x, condition, value)", "the value of each element for which it is true"},
    {"cel.bind", "cel.bind(x, value, expression)",
     "the expression, in which the name stands for the value"},
    {"hasPrefixIn", "hasPrefixIn(call.caller, lists.premium)",
     "is some entry of the list a prefix of the text?"},
};
const size_t tsn_n_macros = sizeof tsn_macros / sizeof tsn_macros[0];

/* Functions of CEL and its extensions that are left out. */
static const struct {
    const char *name;
    const char *why;
} unsupported[] = {
    {"uint", "unsigned ints; use int()"},
    {"bytes", "bytes; use text"},
    {"dyn", "dynamic types; every value has one type"},
    {"type", "types as values; every value has one type"},
    {"format", "format()"},
    {"quote", "strings.quote()"},
    {"strings.quote", "strings.quote()"},
    {"reverse", "reverse()"},
    {"sort", "sort()"},
    {"slice", "slice()"},
    {"flatten", "flatten()"},
    {"distinct", "distinct(); as a feature, `aggregate: distinct(field)` counts"},
    {"lists.range", "lists.range()"},
    {"existsOne", "existsOne(); write exists_one()"},
    {"transformList", "two-variable comprehensions"},
    {"transformMap", "two-variable comprehensions"},
    {"transformMapEntry", "two-variable comprehensions"},
    {"optional.of", "optional values; use has() or coalesce()"},
    {"optional.none", "optional values; use has() or coalesce()"},
    {"optional.ofNonZeroValue", "optional values; use has() or coalesce()"},
    {"orValue", "optional values; use has() or coalesce()"},
    {"optMap", "optional values; use has() or coalesce()"},
    {"optFlatMap", "optional values; use has() or coalesce()"},
    {"hasValue", "optional values; use has() or coalesce()"},
    {"base64.encode", "base64"},
    {"base64.decode", "base64"},
    {"sets.contains", "sets; use all() and exists()"},
    {"sets.equivalent", "sets; use all() and exists()"},
    {"sets.intersects", "sets; use all() and exists()"},
    {"math.bitAnd", "bit operations"},
    {"math.bitOr", "bit operations"},
    {"math.bitXor", "bit operations"},
    {"math.bitNot", "bit operations"},
    {"math.bitShiftLeft", "bit operations"},
    {"math.bitShiftRight", "bit operations"},
    {"math.sqrt", "math.sqrt(); write sqrt()"},
    {"ip", "network addresses"},
    {"cidr", "network addresses"},
    {"isIP", "network addresses"},
    {"isCIDR", "network addresses"},
    {"cel.block", "cel.block()"},
    {"regex.extract", "regex.extract(); use matches()"},
    {"regex.replace", "regex.replace(); use replace()"},
    {"proto.hasExt", "protobuf messages"},
    {"proto.getExt", "protobuf messages"},
};

const char *tsn_function_unsupported(const char *name)
{
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        if (strcmp(name, unsupported[i].name) == 0) {
            return unsupported[i].why;
        }
    }
    return NULL;
}

struct tsn_expr_type tsn_function_letter(char letter)
{
    switch (letter) {
    case 'b':
        return tsn_plain(TSN_TYPE_BOOL);
    case 'i':
        return tsn_plain(TSN_TYPE_INT);
    case 'd':
        return tsn_plain(TSN_TYPE_DOUBLE);
    case 's':
        return tsn_plain(TSN_TYPE_STRING);
    case 't':
        return tsn_plain(TSN_TYPE_TIMESTAMP);
    case 'u':
        return tsn_plain(TSN_TYPE_DURATION);
    case 'L':
        return tsn_list_of(tsn_plain(TSN_TYPE_STRING));
    default:
        return tsn_list_of(tsn_plain(TSN_TYPE_NULL));
    }
}

/* "text.indexOf(string, int) -> int" of "s.si>i". */
static void print_form(FILE *out, const struct tsn_function *f)
{
    const char *p = f->signature;
    const char *dot = strchr(p, '.');
    struct tsn_arena arena;
    tsn_arena_init(&arena, 256);
    if (dot) {
        fprintf(out, "%s.", tsn_type_text(tsn_function_letter(p[0]), &arena));
        p = dot + 1;
    }
    fprintf(out, "%s(", f->name);
    for (const char *separator = ""; *p != '>'; p++, separator = ", ") {
        fprintf(out, "%s%s", separator, tsn_type_text(tsn_function_letter(*p), &arena));
    }
    fprintf(out, ")` | %s", tsn_type_text(tsn_function_letter(p[1]), &arena));
    tsn_arena_free(&arena);
}

char *tsn_function_page(void)
{
    char *page = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&page, &len);
    TSN_MUST_ALLOC(out);
    fprintf(out,
            "# Functions\n\n"
            "What expressions can call. This page is printed from the function table of the\n"
            "language; a test compares the two. A missing argument makes the result missing, an\n"
            "error makes it an error, unless a line says otherwise. Indexes of text count\n"
            "characters from 0.\n\n"
            "## Macros and forms\n\n| form | meaning |\n| --- | --- |\n");
    for (size_t i = 0; i < tsn_n_macros; i++) {
        fprintf(out, "| `%s` | %s |\n", tsn_macros[i].form, tsn_macros[i].what);
    }
    fprintf(out, "\nMacros take lists of at most %d elements.\n", TSN_EXPR_MACRO_MAX);
    static const char *const groups[] = {"Text", "Numbers", "Conversions", "Time", "Lists"};
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        fprintf(out, "\n## %s\n\n| call | gives | meaning |\n| --- | --- | --- |\n", groups[g]);
        for (size_t i = 0; i < tsn_n_functions; i++) {
            const struct tsn_function *f = &tsn_functions[i];
            if (f->group && strcmp(f->group, groups[g]) == 0) {
                fprintf(out, "| `");
                print_form(out, f);
                fprintf(out, " | %s |\n", f->what);
            }
        }
    }
    fprintf(out, "\n## Valid CEL that is left out\n\n");
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++) {
        fprintf(out, "- `%s`: %s\n", unsupported[i].name, unsupported[i].why);
    }
    TSN_MUST(fclose(out) == 0);
    return page;
}
