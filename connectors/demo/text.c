#include "connectors/demo/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *tsn_text_find(const char *line, const char *name)
{
    char needle[64];
    int len = snprintf(needle, sizeof needle, "\"%s\":", name);
    const char *at = strstr(line, needle);
    return at ? at + len : NULL;
}

struct tsn_text tsn_text_of(const char *line, const char *name)
{
    const char *at = tsn_text_find(line, name);
    if (!at || *at != '"') {
        return (struct tsn_text){"", 0};
    }
    const char *end = ++at;
    while (*end && *end != '"') {
        end += *end == '\\' && end[1] ? 2 : 1;
    }
    return (struct tsn_text){at, (size_t)(end - at)};
}

bool tsn_text_number(const char *line, const char *name, int64_t *number)
{
    const char *at = tsn_text_find(line, name);
    char *end = NULL;
    long long value = at ? strtoll(at, &end, 10) : 0;
    if (!at || end == at) {
        return false;
    }
    *number = value;
    return true;
}
