/* What expressions can call that standard CEL cannot: functions of CEL's own extension
 * libraries, which an implementation may or may not have, and those of tocsin. */
#include <string.h>

#include "rules/expr/check.h"

static const struct {
    const char *name; /* ending in '.': all that begin so */
    const char *of;
} extensions[] = {
    {"charAt", "the strings extension"},
    {"indexOf", "the strings extension"},
    {"lastIndexOf", "the strings extension"},
    {"lowerAscii", "the strings extension"},
    {"upperAscii", "the strings extension"},
    {"replace", "the strings extension"},
    {"split", "the strings extension"},
    {"substring", "the strings extension"},
    {"trim", "the strings extension"},
    {"join", "the strings extension"},
    {"math.", "the math extension"},
    {"cel.bind", "the bindings extension"},
    {"coalesce", NULL},
    {"hasPrefixIn", NULL},
    {"exp", NULL},
    {"log", NULL},
    {"sqrt", NULL},
    {"pow", NULL},
};

void tsn_check_extension_function(struct tsn_checker *c, uint32_t at, const char *name)
{
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        const char *with = extensions[i].name;
        size_t len = strlen(with);
        bool same = with[len - 1] == '.' ? strncmp(name, with, len) == 0 : strcmp(name, with) == 0;
        if (same && extensions[i].of) {
            tsn_check_extension(c, at, NULL, "%s() is of %s", name, extensions[i].of);
        } else if (same) {
            tsn_check_extension(c, at, NULL, "%s() is tocsin's own", name);
        }
    }
}
