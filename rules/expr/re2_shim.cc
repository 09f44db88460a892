/* Regular expressions by RE2, behind C.
 *
 * CEL asks for RE2's language, and RE2 matches in linear time whatever the
 * pattern: an analyst cannot write one that hangs the engine (PCRE2 backtracks).
 * No C++ type and no exception crosses this file. Memory per pattern is capped.
 */
#include "rules/expr/re2_shim.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include <re2/re2.h>

struct tsn_regex {
    re2::RE2 re;
    tsn_regex(re2::StringPiece pattern, const re2::RE2::Options &options) : re(pattern, options)
    {
    }
};

extern "C" struct tsn_regex *tsn_regex_new(const char *pattern, size_t len, char **why)
{
    *why = nullptr;
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_max_mem(4 << 20);
    tsn_regex *regex = new (std::nothrow) tsn_regex(re2::StringPiece(pattern, len), options);
    if (!regex) {
        abort();
    }
    if (!regex->re.ok()) {
        *why = strdup(regex->re.error().c_str());
        delete regex;
        return nullptr;
    }
    return regex;
}

extern "C" void tsn_regex_free(struct tsn_regex *regex)
{
    delete regex;
}

extern "C" bool tsn_regex_search(const struct tsn_regex *regex, const char *text, size_t len)
{
    return re2::RE2::PartialMatch(re2::StringPiece(text, len), regex->re);
}
