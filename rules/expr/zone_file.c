/* The one file that rules/ reads: a zone of the system's time zone database.
 *
 * Calendar functions need the zone that a pack names, and the database is part of
 * the system like libc's own tables: it comes with the operating system's updates
 * and not with the pack. It is read while an expression is compiled, never during
 * evaluation. The alternative, copying the database into the binary, would go
 * stale. Missing files are no failure here: the checker reports an unknown zone.
 */
#include <dirent.h>
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

static void list_folder(const char *prefix, int depth, void (*each)(void *, const char *),
                        void *user)
{
    char path[sizeof ZONE_FOLDER + 1 + ZONE_NAME_MAX];
    snprintf(path, sizeof path, ZONE_FOLDER "/%s", prefix);
    DIR *folder = opendir(path);
    if (!folder) {
        return;
    }
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char name[ZONE_NAME_MAX];
        int n = snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "/" : "", entry->d_name);
        if (entry->d_name[0] < 'A' || entry->d_name[0] > 'Z' || n >= (int)sizeof name) {
            continue; /* posix/ and right/ repeat the rest */
        }
        if (entry->d_type == DT_DIR) {
            if (depth < 3) {
                list_folder(name, depth + 1, each, user);
            }
        } else {
            each(user, name);
        }
    }
    closedir(folder);
}

void tsn_zone_list(void (*each)(void *user, const char *name), void *user)
{
    list_folder("", 0, each, user);
}
