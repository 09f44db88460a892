#include "connectors/store/root.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"

enum {
    LEASE_S = 30,
    META_VERSION = 1,
    META_BYTES = 1 + 8 + 32 + 4 + 64 + 8 + 8 + 8 + TSN_LAYOUT_ID,
    LIST_MAX = TSN_ROOT_DEAD_MAX * (TSN_LAYOUT_ID + 3) + 1,
};

/* ---- scripts ---------------------------------------------------------------------- */

static const char claim_text[] = "local owner = redis.call('HGET', KEYS[1], 'owner') or ''\n"
                                 "if owner ~= ARGV[1] then return 'OTHER' end\n"
                                 "redis.call('HSET', KEYS[1], 'owner', ARGV[2])\n"
                                 "return 'OK'\n";

/* What begin, commit and trim compare first. ARGV[1] owner, ARGV[2] last. */
#define COMPARE                                                                                    \
    "local is = redis.call('HMGET', KEYS[1], 'owner', 'last', 'pending')\n"                        \
    "if not is[1] then return 'GONE' end\n"                                                        \
    "if is[1] ~= ARGV[1] then return 'OTHER' end\n"                                                \
    "if (is[2] or '') ~= ARGV[2] then return 'MOVED' end\n"

static const char begin_text[] =
    COMPARE "redis.call('HSET', KEYS[1], 'pending', ARGV[3], 'dead', ARGV[4])\n"
            "return 'OK'\n";

static const char commit_text[] =
    COMPARE "if is[3] ~= ARGV[3] then return 'STALE' end\n"
            "redis.call('HSET', KEYS[1], 'last', ARGV[3], 'pending', '', 'gen', ARGV[4],\n"
            "  'folded', ARGV[5], 'chain', ARGV[6], 'dead', ARGV[7], 'meta', ARGV[8],\n"
            "  'sequence', ARGV[9], 'written_at_ms', ARGV[10])\n"
            "return redis.call('EXISTS', KEYS[2]) == 1 and 'READER' or 'OK'\n";

static const char trim_text[] =
    COMPARE "redis.call('HSET', KEYS[1], 'folded', ARGV[3], 'chain', ARGV[4], 'dead', ARGV[5])\n"
            "return 'OK'\n";

static const char release_text[] =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end\n"
    "return 'OK'\n";

void tsn_root_scripts_init(struct tsn_root_scripts *scripts)
{
    *scripts = (struct tsn_root_scripts){
        .claim.text = claim_text,
        .begin.text = begin_text,
        .commit.text = commit_text,
        .trim.text = trim_text,
        .release.text = release_text,
    };
}

/* The words a script answers with, translated once. */
static enum tsn_root_answer answer_of(struct tsn_reply *reply, struct tsn_failure *failure)
{
    static const struct {
        const char *word;
        enum tsn_root_answer answer;
    } words[] = {
        {"OK", TSN_ROOT_OK},       {"READER", TSN_ROOT_READER}, {"OTHER", TSN_ROOT_OTHER},
        {"MOVED", TSN_ROOT_MOVED}, {"GONE", TSN_ROOT_GONE},     {"STALE", TSN_ROOT_STALE},
    };
    if (!reply) {
        return TSN_ROOT_FAILED;
    }
    enum tsn_root_answer answer = TSN_ROOT_FAILED;
    const char *text = tsn_reply_text(reply, NULL);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].word) == 0) {
            answer = words[i].answer;
        }
    }
    if (answer == TSN_ROOT_FAILED) {
        tsn_fail(failure, TSN_REMEDY_FATAL, "redis: a script of the store gave no known answer");
    }
    tsn_reply_free(reply);
    return answer;
}

static struct tsn_redis_part part(const char *text)
{
    return (struct tsn_redis_part){text, strlen(text)};
}

/* ---- lists in text ------------------------------------------------------------------ */

static void write_chain(const struct tsn_root *root, char *text)
{
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < root->n_chain; i++) {
        len += (size_t)sprintf(text + len, "%s%s", i > 0 ? " " : "", root->chain[i]);
    }
}

static void write_dead(const struct tsn_root *root, char *text)
{
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < root->n_dead; i++) {
        const struct tsn_dead *dead = &root->dead[i];
        len += (size_t)sprintf(text + len, "%s%c%c%s", i > 0 ? " " : "", dead->kind, dead->left,
                               dead->name);
    }
}

/* An id is hex digits or nothing; false for anything else. */
static bool read_id(const char *text, size_t len, tsn_layout_id id)
{
    if (len != 0 && (len != TSN_LAYOUT_ID || strspn(text, "0123456789abcdef") < TSN_LAYOUT_ID)) {
        return false;
    }
    memcpy(id, text, len);
    id[len] = '\0';
    return true;
}

static bool read_chain(const char *text, size_t len, struct tsn_root *root)
{
    root->n_chain = 0;
    if (len == 0) {
        return true;
    }
    if ((len + 1) % (TSN_LAYOUT_ID + 1) != 0 ||
        (len + 1) / (TSN_LAYOUT_ID + 1) > TSN_ROOT_CHAIN_MAX) {
        return false;
    }
    for (size_t at = 0; at < len; at += TSN_LAYOUT_ID + 1) {
        if (!read_id(text + at, TSN_LAYOUT_ID, root->chain[root->n_chain++])) {
            return false;
        }
    }
    return true;
}

static bool read_dead(const char *text, size_t len, struct tsn_root *root)
{
    enum { STEP = TSN_LAYOUT_ID + 3 };
    root->n_dead = 0;
    if (len == 0) {
        return true;
    }
    if ((len + 1) % STEP != 0 || (len + 1) / STEP > TSN_ROOT_DEAD_MAX) {
        return false;
    }
    for (size_t at = 0; at < len; at += STEP) {
        struct tsn_dead *dead = &root->dead[root->n_dead++];
        dead->kind = text[at];
        dead->left = text[at + 1];
        if ((dead->kind != 'd' && dead->kind != 'g') || (dead->left != '1' && dead->left != '2') ||
            !read_id(text + at + 2, TSN_LAYOUT_ID, dead->name)) {
            return false;
        }
    }
    return true;
}

void tsn_root_bury(struct tsn_root *root, char kind, const char *name)
{
    if (name[0] == '\0') {
        return;
    }
    if (root->n_dead == TSN_ROOT_DEAD_MAX) {
        memmove(root->dead, root->dead + 1, (TSN_ROOT_DEAD_MAX - 1) * sizeof root->dead[0]);
        root->n_dead--;
    }
    struct tsn_dead *dead = &root->dead[root->n_dead++];
    dead->kind = kind;
    dead->left = '2';
    memcpy(dead->name, name, sizeof dead->name);
}

/* ---- meta ------------------------------------------------------------------------------ */

static uint8_t *put(uint8_t *at, const void *from, size_t len)
{
    memcpy(at, from, len);
    return at + len;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
    return at + 8;
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | at[i];
    }
    return value;
}

/* What sealed meta stands for is bound to the delta it came with. */
static size_t seal_meta(const struct tsn_root_place *place, const struct tsn_root *root,
                        uint8_t out[META_BYTES + TSN_SEAL_OVERHEAD])
{
    const struct tsn_checkpoint_meta *meta = &root->meta;
    uint8_t plain[META_BYTES];
    uint8_t *at = plain;
    *at++ = META_VERSION;
    at = put_u64(at, meta->sequence);
    at = put(at, meta->program, sizeof meta->program);
    for (int i = 0; i < 4; i++) {
        *at++ = (uint8_t)(meta->semantics >> (8 * i));
    }
    at = put(at, meta->cluster_id, sizeof meta->cluster_id);
    at = put_u64(at, (uint64_t)meta->written_at_ms);
    at = put_u64(at, meta->records);
    at = put_u64(at, meta->bytes);
    at = put(at, root->last, TSN_LAYOUT_ID);
    TSN_MUST(at == plain + sizeof plain);
    char key[TSN_LAYOUT_KEY_MAX];
    size_t key_len = tsn_layout_root(place->layout, key);
    return tsn_keys_seal(place->keys, key, key_len, plain, sizeof plain, out);
}

static bool open_meta(const struct tsn_root_place *place, const char *sealed, size_t len,
                      struct tsn_root *root)
{
    uint8_t plain[META_BYTES];
    char key[TSN_LAYOUT_KEY_MAX];
    size_t key_len = tsn_layout_root(place->layout, key);
    if (len != META_BYTES + TSN_SEAL_OVERHEAD ||
        !tsn_keys_open(place->keys, key, key_len, sealed, len, plain) || plain[0] != META_VERSION ||
        memcmp(plain + META_BYTES - TSN_LAYOUT_ID, root->last, TSN_LAYOUT_ID) != 0) {
        return false;
    }
    struct tsn_checkpoint_meta *meta = &root->meta;
    const uint8_t *at = plain + 1;
    meta->sequence = get_u64(at);
    memcpy(meta->program, at + 8, 32);
    at += 40;
    meta->semantics = 0;
    for (int i = 3; i >= 0; i--) {
        meta->semantics = meta->semantics << 8 | at[i];
    }
    memcpy(meta->cluster_id, at + 4, 64);
    meta->cluster_id[63] = '\0';
    at += 68;
    meta->written_at_ms = (int64_t)get_u64(at);
    meta->records = get_u64(at + 8);
    meta->bytes = get_u64(at + 16);
    return true;
}

/* ---- reading ------------------------------------------------------------------------------ */

static const char *value_of(const struct tsn_reply *hash, const char *name, size_t *len)
{
    for (size_t i = 0; i + 1 < tsn_reply_n(hash); i += 2) {
        if (strcmp(tsn_reply_text(tsn_reply_at(hash, i), NULL), name) == 0) {
            return tsn_reply_text(tsn_reply_at(hash, i + 1), len);
        }
    }
    *len = 0;
    return "";
}

static bool parse(const struct tsn_reply *hash, struct tsn_root *root)
{
    size_t len;
    const struct {
        const char *name;
        char *id;
    } ids[] = {
        {"owner", root->owner}, {"last", root->last},     {"pending", root->pending},
        {"gen", root->gen},     {"folded", root->folded},
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const char *text = value_of(hash, ids[i].name, &len);
        if (!read_id(text, len, ids[i].id)) {
            return false;
        }
    }
    const char *chain = value_of(hash, "chain", &len);
    if (!read_chain(chain, len, root)) {
        return false;
    }
    const char *dead = value_of(hash, "dead", &len);
    if (!read_dead(dead, len, root) || root->owner[0] == '\0') {
        return false;
    }
    const char *newest = root->n_chain > 0 ? root->chain[root->n_chain - 1] : root->folded;
    return strcmp(newest, root->last) == 0 && (root->last[0] == '\0' || root->gen[0] != '\0');
}

bool tsn_root_read(struct tsn_root_place *place, struct tsn_root *root, struct tsn_failure *failure)
{
    memset(root, 0, sizeof *root);
    char key[TSN_LAYOUT_KEY_MAX];
    size_t key_len = tsn_layout_root(place->layout, key);
    const struct tsn_redis_part parts[] = {{"HGETALL", 7}, {key, key_len}};
    struct tsn_reply *reply = tsn_redis_ask(place->redis, key, 2, parts, failure);
    if (!reply) {
        return false;
    }
    bool ok = true;
    root->exists = tsn_reply_n(reply) > 0;
    if (root->exists && !parse(reply, root)) {
        ok = tsn_fail(failure, TSN_REMEDY_CONFIG,
                      "%s: %s is damaged; delete the keys tocsin:%d:{%s* and start again: state "
                      "is rebuilt from Kafka",
                      tsn_redis_name(place->redis), key, TSN_LAYOUT_VERSION,
                      place->layout->instance);
    } else if (root->last[0] != '\0') {
        size_t len;
        const char *meta = value_of(reply, "meta", &len);
        ok = open_meta(place, meta, len, root) ||
             tsn_fail(failure, TSN_REMEDY_CONFIG,
                      "%s: the checkpoint of instance %s was written with another key file, or "
                      "altered; give the key file it was written with, or delete the keys "
                      "tocsin:%d:{%s* and start again: state is rebuilt from Kafka",
                      tsn_redis_name(place->redis), place->layout->instance, TSN_LAYOUT_VERSION,
                      place->layout->instance);
    }
    tsn_reply_free(reply);
    return ok;
}

int tsn_root_folded_to(const struct tsn_root *root, const char *at, size_t *length)
{
    size_t id_len = strcspn(at, ":");
    *length = at[id_len] == ':' ? strtoull(at + id_len + 1, NULL, 10) : 0;
    if (id_len == strlen(root->folded) && strncmp(at, root->folded, id_len) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < root->n_chain; i++) {
        if (id_len == TSN_LAYOUT_ID && strncmp(at, root->chain[i], id_len) == 0) {
            return (int)i + 1;
        }
    }
    return -1;
}

/* ---- compare and set ------------------------------------------------------------------------ */

enum tsn_root_answer tsn_root_claim(struct tsn_root_place *place, const char *expected,
                                    const char *owner, struct tsn_failure *failure)
{
    char key[TSN_LAYOUT_KEY_MAX];
    tsn_layout_root(place->layout, key);
    const struct tsn_redis_part parts[] = {part(key), part(expected), part(owner)};
    return answer_of(tsn_script_ask(place->redis, &place->scripts->claim, 1, 3, parts, failure),
                     failure);
}

enum tsn_root_answer tsn_root_begin(struct tsn_root_place *place, const struct tsn_root *root,
                                    const char *id, struct tsn_failure *failure)
{
    char key[TSN_LAYOUT_KEY_MAX];
    char dead[LIST_MAX];
    tsn_layout_root(place->layout, key);
    write_dead(root, dead);
    const struct tsn_redis_part parts[] = {part(key), part(root->owner), part(root->last), part(id),
                                           part(dead)};
    return answer_of(tsn_script_ask(place->redis, &place->scripts->begin, 1, 5, parts, failure),
                     failure);
}

enum tsn_root_answer tsn_root_commit(struct tsn_root_place *place, const char *expected_last,
                                     const struct tsn_root *next, struct tsn_failure *failure)
{
    char key[TSN_LAYOUT_KEY_MAX];
    char reader[TSN_LAYOUT_KEY_MAX];
    char chain[LIST_MAX];
    char dead[LIST_MAX];
    char sequence[24];
    char written_at[24];
    uint8_t meta[META_BYTES + TSN_SEAL_OVERHEAD];
    tsn_layout_root(place->layout, key);
    tsn_layout_reader(place->layout, reader);
    write_chain(next, chain);
    write_dead(next, dead);
    size_t meta_len = seal_meta(place, next, meta);
    snprintf(sequence, sizeof sequence, "%llu", (unsigned long long)next->meta.sequence);
    snprintf(written_at, sizeof written_at, "%lld", (long long)next->meta.written_at_ms);
    const struct tsn_redis_part parts[] = {
        part(key),        part(reader),     part(next->owner),  part(expected_last),
        part(next->last), part(next->gen),  part(next->folded), part(chain),
        part(dead),       {meta, meta_len}, part(sequence),     part(written_at),
    };
    return answer_of(tsn_script_ask(place->redis, &place->scripts->commit, 2,
                                    sizeof parts / sizeof parts[0], parts, failure),
                     failure);
}

enum tsn_root_answer tsn_root_trim(struct tsn_root_place *place, const struct tsn_root *root,
                                   struct tsn_failure *failure)
{
    char key[TSN_LAYOUT_KEY_MAX];
    char chain[LIST_MAX];
    char dead[LIST_MAX];
    tsn_layout_root(place->layout, key);
    write_chain(root, chain);
    write_dead(root, dead);
    const struct tsn_redis_part parts[] = {part(key),          part(root->owner), part(root->last),
                                           part(root->folded), part(chain),       part(dead)};
    return answer_of(tsn_script_ask(place->redis, &place->scripts->trim, 1,
                                    sizeof parts / sizeof parts[0], parts, failure),
                     failure);
}

bool tsn_root_lease(struct tsn_root_place *place, const char *token, struct tsn_failure *failure)
{
    char key[TSN_LAYOUT_KEY_MAX];
    char seconds[8];
    tsn_layout_reader(place->layout, key);
    snprintf(seconds, sizeof seconds, "%d", LEASE_S);
    const struct tsn_redis_part parts[] = {part("SET"), part(key), part(token), part("EX"),
                                           part(seconds)};
    struct tsn_reply *reply = tsn_redis_ask(place->redis, key, 5, parts, failure);
    tsn_reply_free(reply);
    return reply != NULL;
}

void tsn_root_release(struct tsn_root_place *place, const char *token)
{
    char key[TSN_LAYOUT_KEY_MAX];
    struct tsn_failure ignored;
    if (!tsn_redis_connect(place->redis, NULL, &ignored)) {
        return;
    }
    tsn_layout_reader(place->layout, key);
    const struct tsn_redis_part parts[] = {part(key), part(token)};
    tsn_reply_free(tsn_script_ask(place->redis, &place->scripts->release, 1, 2, parts, &ignored));
}
