/* Regular expressions by RE2, behind C; see re2_shim.cc. */
#ifndef TSN_RULES_EXPR_RE2_SHIM_H
#define TSN_RULES_EXPR_RE2_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tsn_regex;

/* NULL if the pattern is wrong; *why then holds the reason, malloc'd. */
struct tsn_regex *tsn_regex_new(const char *pattern, size_t len, char **why);
void tsn_regex_free(struct tsn_regex *regex);

/* Does some part of the text match? Linear in the text. Any thread. */
bool tsn_regex_search(const struct tsn_regex *regex, const char *text, size_t len);

#ifdef __cplusplus
}
#endif

#endif
