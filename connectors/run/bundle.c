#include "connectors/run/bundle.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/file/pack_file.h"
#include "connectors/run/clock.h"
#include "rules/must/must.h"
#include "rules/pack/pack.h"

enum { SILENCE_MS = 15000, ASK_MS = 5000, ITEMS = 64, PARTS_MAX = 4096 };

/* What is published must fit into PARTS_MAX records. */
static const size_t FILE_BYTES_MAX = (size_t)1 << 30;

void tsn_bundle_hex(const uint8_t hash[32], char hex[65])
{
    for (int i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
}

/* ---- files ----------------------------------------------------------------------------- */

struct file {
    char *name;
    char *content;
    size_t len;
};

/* The files of a bundle while it is made or read. */
struct files {
    const char *folder; /* of the pack, to be read from; NULL: only what is held */
    struct file items[1024];
    size_t n;
    char why[200];
};

static void files_free(struct files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->items[i].name);
        free(files->items[i].content);
    }
    free(files);
}

static bool hold(struct files *files, const char *name, const char *content, size_t len)
{
    if (files->n == sizeof files->items / sizeof files->items[0]) {
        snprintf(files->why, sizeof files->why, "a pack may name at most 1023 files");
        return false;
    }
    struct file *file = &files->items[files->n++];
    file->name = strdup(name);
    file->content = malloc(len + 1);
    TSN_MUST_ALLOC(file->name);
    TSN_MUST_ALLOC(file->content);
    memcpy(file->content, content, len);
    file->content[len] = '\0';
    file->len = len;
    return true;
}

static char *open_list(void *user, const char *name, size_t *len, const char **why)
{
    struct files *files = user;
    for (size_t i = 1; i < files->n; i++) {
        if (strcmp(files->items[i].name, name) == 0) {
            char *copy = malloc(files->items[i].len + 1);
            TSN_MUST_ALLOC(copy);
            memcpy(copy, files->items[i].content, files->items[i].len + 1);
            *len = files->items[i].len;
            return copy;
        }
    }
    if (!files->folder) {
        *why = "the published program does not hold this file";
        return NULL;
    }
    char path[4096];
    snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : files->folder,
             name[0] == '/' ? "" : "/", name);
    char *bytes = tsn_file_read(path, FILE_BYTES_MAX, len, why);
    if (bytes && !hold(files, name, bytes, *len)) {
        free(bytes);
        *why = files->why;
        return NULL;
    }
    return bytes;
}

/* ---- bytes ------------------------------------------------------------------------------- */

static void encode(struct tsn_bundle *bundle, const struct files *files)
{
    FILE *out = open_memstream(&bundle->bytes, &bundle->len);
    TSN_MUST_ALLOC(out);
    fprintf(out, "tocsin-program 1 %zu\n", files->n);
    for (size_t i = 0; i < files->n; i++) {
        const struct file *file = &files->items[i];
        fprintf(out, "%zu %zu\n%s\n", strlen(file->name), file->len, file->name);
        fwrite(file->content, 1, file->len, out);
        fputc('\n', out);
    }
    fclose(out);
}

/* A decimal that ends with `end`; SIZE_MAX if there is none. */
static size_t number(const char **at, const char *stop, char end)
{
    size_t value = 0;
    const char *p = *at;
    while (p < stop && *p >= '0' && *p <= '9' && value < (SIZE_MAX >> 8)) {
        value = value * 10 + (size_t)(*p++ - '0');
    }
    if (p == *at || p >= stop || *p != end) {
        return SIZE_MAX;
    }
    *at = p + 1;
    return value;
}

static bool decode(struct files *files, const char *bytes, size_t len)
{
    static const char magic[] = "tocsin-program 1 ";
    const char *at = bytes;
    const char *stop = bytes + len;
    if (len < sizeof magic || memcmp(at, magic, sizeof magic - 1) != 0) {
        return false;
    }
    at += sizeof magic - 1;
    size_t n = number(&at, stop, '\n');
    if (n == 0 || n > sizeof files->items / sizeof files->items[0]) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        size_t name_len = number(&at, stop, ' ');
        size_t content_len = name_len == SIZE_MAX ? SIZE_MAX : number(&at, stop, '\n');
        size_t left = (size_t)(stop - at);
        if (content_len > left || name_len > 4096 || name_len + content_len + 2 > left ||
            at[name_len] != '\n' || at[name_len + 1 + content_len] != '\n') {
            return false;
        }
        char name[4097];
        memcpy(name, at, name_len);
        name[name_len] = '\0';
        if (!hold(files, name, at + name_len + 1, content_len)) {
            return false;
        }
        at += name_len + content_len + 2;
    }
    return at == stop;
}

/* ---- making ------------------------------------------------------------------------------ */

static struct tsn_bundle *compile(struct files *files, const char *name, struct tsn_diags *diags)
{
    struct tsn_bundle *bundle = calloc(1, sizeof *bundle);
    TSN_MUST_ALLOC(bundle);
    bundle->prog = tsn_pack_compile(name, files->items[0].content, files->items[0].len, open_list,
                                    files, diags);
    if (!bundle->prog) {
        free(bundle);
        return NULL;
    }
    encode(bundle, files);
    return bundle;
}

struct tsn_bundle *tsn_bundle_load(const struct tsn_config *config, struct tsn_diags *diags)
{
    struct files *files = calloc(1, sizeof *files);
    TSN_MUST_ALLOC(files);
    char *folder = strdup(config->pack);
    TSN_MUST_ALLOC(folder);
    char *slash = strrchr(folder, '/');
    const char *base = slash ? config->pack + (slash - folder) + 1 : config->pack;
    if (slash) {
        *slash = '\0';
    }
    files->folder = slash ? folder : ".";
    size_t len;
    const char *why = NULL;
    struct tsn_bundle *bundle = NULL;
    char *text = tsn_file_read(config->pack, FILE_BYTES_MAX, &len, &why);
    if (text) {
        hold(files, base, text, len);
        bundle = compile(files, config->pack, diags);
    } else {
        tsn_diags_add(diags, TSN_SEVERITY_ERROR, (struct tsn_place){.file = config->file}, NULL, 0,
                      "give the path of a pack, relative to the configuration's folder",
                      "the pack %s cannot be read: %s", config->pack, why);
    }
    free(text);
    free(folder);
    files_free(files);
    return bundle;
}

struct tsn_bundle *tsn_bundle_read(const char *bytes, size_t len, struct tsn_diags *diags)
{
    struct files *files = calloc(1, sizeof *files);
    TSN_MUST_ALLOC(files);
    struct tsn_bundle *bundle = NULL;
    if (decode(files, bytes, len)) {
        bundle = compile(files, "published pack", diags);
    } else {
        tsn_diags_add(diags, TSN_SEVERITY_ERROR, (struct tsn_place){.file = "published pack"}, NULL,
                      0, NULL, "these bytes are not a published program of this version");
    }
    files_free(files);
    return bundle;
}

void tsn_bundle_free(struct tsn_bundle *bundle)
{
    if (bundle) {
        tsn_program_free(bundle->prog);
        free(bundle->bytes);
        free(bundle);
    }
}

/* ---- Kafka ------------------------------------------------------------------------------- */

size_t tsn_bundle_bytes_parts(size_t len)
{
    return (len + TSN_BUNDLE_PART_BYTES - 1) / TSN_BUNDLE_PART_BYTES;
}

void tsn_bundle_bytes_part(const uint8_t hash[32], const char *bytes, size_t len, size_t i,
                           const char *topic, struct tsn_arena *arena, struct tsn_message *message)
{
    char hex[65];
    tsn_bundle_hex(hash, hex);
    size_t at = i * TSN_BUNDLE_PART_BYTES;
    size_t left = len - at;
    char *key = tsn_arena_printf(arena, "%s/%zu/%zu", hex, i, tsn_bundle_bytes_parts(len));
    *message = (struct tsn_message){
        .topic = topic,
        .key = key,
        .key_len = strlen(key),
        .value = bytes + at,
        .len = left < TSN_BUNDLE_PART_BYTES ? left : TSN_BUNDLE_PART_BYTES,
    };
}

/* The parts of one program as they come. */
struct parts {
    char hex[65];
    size_t n; /* 0: none seen yet */
    struct file items[PARTS_MAX];
};

static void keep_part(struct parts *parts, const struct tsn_fetched *item)
{
    char key[128];
    size_t i, n;
    if (!item->key || !item->value || item->key_len >= sizeof key || item->key_len < 65) {
        return;
    }
    memcpy(key, item->key, item->key_len);
    key[item->key_len] = '\0';
    if (memcmp(key, parts->hex, 64) != 0 || sscanf(key + 64, "/%zu/%zu", &i, &n) != 2 || i >= n ||
        n > PARTS_MAX) {
        return;
    }
    parts->n = n;
    free(parts->items[i].content);
    parts->items[i].content = malloc(item->len + 1);
    TSN_MUST_ALLOC(parts->items[i].content);
    memcpy(parts->items[i].content, item->value, item->len);
    parts->items[i].len = item->len;
}

static bool collect_parts(struct tsn_reader *reader, size_t partition, struct parts *parts,
                          struct tsn_failure *failure)
{
    struct tsn_fetched items[ITEMS];
    int64_t give_up_ms = tsn_clock_monotonic_ms() + SILENCE_MS;
    while (tsn_clock_monotonic_ms() < give_up_ms) {
        size_t n;
        tsn_reader_quiet(reader);
        bool ok = tsn_reader_fetch(reader, partition, items, ITEMS, &n, failure);
        bool end = false;
        for (size_t i = 0; i < n && !end; i++) {
            end = items[i].kind == TSN_FETCHED_END;
            if (!end) {
                keep_part(parts, &items[i]);
                give_up_ms = tsn_clock_monotonic_ms() + SILENCE_MS;
            }
        }
        tsn_fetched_release(items, n);
        if (!ok || end) {
            return ok;
        }
        if (n == 0) {
            struct pollfd fd = {.fd = tsn_reader_fd(reader), .events = POLLIN};
            poll(&fd, 1, 100);
        }
    }
    return tsn_fail(failure, TSN_REMEDY_RETRY,
                    "kafka: cannot read the programs topic: nothing "
                    "came for %d s",
                    SILENCE_MS / 1000);
}

static bool collect(const struct tsn_config *config, struct tsn_kafka *kafka, struct parts *parts,
                    struct tsn_failure *failure)
{
    struct tsn_topic_count topic = {.name = config->topics.programs};
    if (!tsn_kafka_count(kafka, &topic, 1, ASK_MS, failure)) {
        return false;
    }
    bool ok = true;
    for (int32_t i = 0; i < topic.n_partitions && ok; i++) {
        struct tsn_reader_partition partition = {.topic = topic.name, .partition = i};
        int64_t high;
        ok = tsn_kafka_watermarks(kafka, topic.name, i, &partition.start, &high, ASK_MS, failure);
        if (!ok || partition.start == high) {
            continue;
        }
        struct tsn_reader *reader = tsn_reader_open(config, &partition, 1, 16 << 20, failure);
        ok = reader && collect_parts(reader, 0, parts, failure);
        tsn_reader_close(reader);
    }
    return ok;
}

static bool join(const struct tsn_config *config, const struct parts *parts, const char *what,
                 char **bytes, size_t *len, struct tsn_failure *failure)
{
    *bytes = NULL;
    *len = 0;
    bool whole = parts->n > 0;
    for (size_t i = 0; i < parts->n && whole; i++) {
        whole = parts->items[i].content != NULL;
        if (whole) {
            *bytes = realloc(*bytes, *len + parts->items[i].len + 1);
            TSN_MUST_ALLOC(*bytes);
            memcpy(*bytes + *len, parts->items[i].content, parts->items[i].len);
            *len += parts->items[i].len;
            (*bytes)[*len] = '\0';
        }
    }
    if (!whole) {
        free(*bytes);
        *bytes = NULL;
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "topic %s does not hold %s %.16s..., which the committed manifests were "
                        "made with; start with that pack, or read its records back from a backup",
                        config->topics.programs, what, parts->hex);
    }
    return true;
}

bool tsn_bundle_bytes_fetch(const struct tsn_config *config, struct tsn_kafka *kafka,
                            const uint8_t hash[32], const char *what, char **bytes, size_t *len,
                            struct tsn_failure *failure)
{
    struct parts *parts = calloc(1, sizeof *parts);
    TSN_MUST_ALLOC(parts);
    tsn_bundle_hex(hash, parts->hex);
    bool ok =
        collect(config, kafka, parts, failure) && join(config, parts, what, bytes, len, failure);
    for (size_t i = 0; i < PARTS_MAX; i++) {
        free(parts->items[i].content);
    }
    free(parts);
    return ok;
}

struct tsn_bundle *tsn_bundle_fetch(const struct tsn_config *config, struct tsn_kafka *kafka,
                                    const uint8_t hash[32], struct tsn_failure *failure)
{
    char hex[65];
    char *bytes;
    size_t len;
    tsn_bundle_hex(hash, hex);
    if (!tsn_bundle_bytes_fetch(config, kafka, hash, "the program", &bytes, &len, failure)) {
        return NULL;
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_bundle *bundle = tsn_bundle_read(bytes, len, &diags);
    free(bytes);
    if (!bundle) {
        tsn_fail(failure, TSN_REMEDY_CONFIG,
                 "topic %s: the program %.16s... does not compile with this version: %s",
                 config->topics.programs, hex, diags.n ? diags.items[0].message : "unknown");
    }
    tsn_diags_free(&diags);
    if (bundle && memcmp(bundle->prog->hash, hash, 32) != 0) {
        tsn_fail(failure, TSN_REMEDY_CONFIG,
                 "topic %s: the program %.16s... compiles to another hash with this version of "
                 "tocsin; finish the replay with the version that wrote it",
                 config->topics.programs, hex);
        tsn_bundle_free(bundle);
        bundle = NULL;
    }
    return bundle;
}
