/* The one file that rules/ reads: a zone of the system's time zone database.
 *
 * Calendar functions need the zone that a pack names, and the database is part of
 * the system like libc's own tables: it comes with the operating system's updates
 * and not with the pack. It is read while an expression is compiled, never during
 * evaluation. The alternative, copying the database into the binary, would go
 * stale. Missing files are no failure here: the checker reports an unknown zone.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/expr/zone.h"
#include "rules/must/must.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"
enum { ZONE_BYTES_MAX = 256 * 1024, ZONE_NAME_MAX = 64 };

unsigned char *tsn_zone_read(const char *name, size_t *len)
{
    char path[sizeof ZONE_FOLDER + 1 + ZONE_NAME_MAX];
    if (strlen(name) > ZONE_NAME_MAX) {
        return NULL;
    }
    snprintf(path, sizeof path, ZONE_FOLDER "/%s", name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    unsigned char *bytes = malloc(ZONE_BYTES_MAX);
    TSN_MUST_ALLOC(bytes);
    *len = fread(bytes, 1, ZONE_BYTES_MAX, file);
    bool ok = !ferror(file) && *len < ZONE_BYTES_MAX && *len >= 4 && memcmp(bytes, "TZif", 4) == 0;
    fclose(file);
    if (!ok) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

/* The name in a line of tzdata.zi: "Z name ..." or "L target name"; NULL if none. */
static const char *name_of(char *line)
{
    char *rest = NULL;
    const char *kind = strtok_r(line, " \n", &rest);
    if (!kind || (strcmp(kind, "Z") != 0 && strcmp(kind, "L") != 0)) {
        return NULL;
    }
    const char *name = strtok_r(NULL, " \n", &rest);
    return kind[0] == 'L' ? strtok_r(NULL, " \n", &rest) : name;
}

void tsn_zone_list(void (*each)(void *user, const char *name), void *user)
{
    FILE *file = fopen(ZONE_FOLDER "/tzdata.zi", "r");
    if (!file) {
        return;
    }
    char line[1024];
    while (fgets(line, sizeof line, file)) {
        const char *name = name_of(line);
        if (name) {
            each(user, name);
        }
    }
    fclose(file);
}
