#include "connectors/file/pack_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules/must/must.h"
#include "rules/pack/pack.h"
#include "rules/yaml/yaml.h"

/* Lists of a carrier hold millions of values; beyond this it is some other file. */
static const size_t list_bytes_max = (size_t)2 << 30;

/* strerror's words are the system's; these are for somebody who edits packs. */
static const char *reason_of(int error)
{
    switch (error) {
    case ENOENT:
        return "there is no such file";
    case EACCES:
        return "no permission to read it";
    case EISDIR:
        return "it is a folder";
    case ELOOP:
        return "too many links";
    case ENAMETOOLONG:
        return "the name is too long";
    default:
        return strerror(error);
    }
}

static char *read_all(int fd, size_t size, size_t *len, const char **why)
{
    char *text = malloc(size + 1);
    TSN_MUST_ALLOC(text);
    size_t used = 0;
    while (used < size) {
        ssize_t n = read(fd, text + used, size - used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            *why = reason_of(errno);
            free(text);
            return NULL;
        }
        if (n == 0) {
            break; /* became shorter while we read it */
        }
        used += (size_t)n;
    }
    text[used] = '\0';
    *len = used;
    return text;
}

char *tsn_file_read(const char *path, size_t max, size_t *len, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        *why = reason_of(errno);
        return NULL;
    }
    struct stat st;
    char *text = NULL;
    if (fstat(fd, &st) != 0) {
        *why = reason_of(errno);
    } else if (S_ISDIR(st.st_mode)) {
        *why = "it is a folder";
    } else if (!S_ISREG(st.st_mode)) {
        *why = "it is no regular file";
    } else if (st.st_size < 0 || (size_t)st.st_size > max) {
        *why = "it is too large";
    } else {
        text = read_all(fd, (size_t)st.st_size, len, why);
    }
    close(fd);
    return text;
}

/* tsn_pack_open; user is the pack's path. */
static char *open_list(void *user, const char *name, size_t *len, const char **why)
{
    const char *pack = user;
    const char *slash = strrchr(pack, '/');
    int folder = slash && name[0] != '/' ? (int)(slash - pack + 1) : 0;
    char *path = NULL;
    TSN_MUST(asprintf(&path, "%.*s%s", folder, pack, name) >= 0);
    char *text = tsn_file_read(path, list_bytes_max, len, why);
    free(path);
    return text;
}

struct tsn_program *tsn_pack_file_load(const char *path, struct tsn_diags *diags)
{
    return tsn_pack_file_check(path, 0, diags);
}

struct tsn_program *tsn_pack_file_check(const char *path, unsigned lints, struct tsn_diags *diags)
{
    const char *why = NULL;
    size_t len = 0;
    /* The compiler refuses what is over its bound, with its own words; this one only
     * keeps a wrong path from filling memory. */
    char *text = tsn_file_read(path, (size_t)64 * TSN_YAML_BYTES_MAX, &len, &why);
    if (!text) {
        const char *file = tsn_arena_strdup(&diags->arena, path, strlen(path));
        tsn_diags_add(diags, TSN_SEVERITY_ERROR, (struct tsn_place){.file = file}, NULL, 0, NULL,
                      "the pack cannot be read: %s", why);
        return NULL;
    }
    struct tsn_program *prog =
        tsn_pack_check(path, text, len, open_list, (void *)(uintptr_t)path, lints, diags);
    free(text);
    return prog;
}
