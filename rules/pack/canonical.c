/* Pack: hashes of what a pack says, not of how it is laid out.
 *
 * Comments, quotes, indentation and the order of a map's keys do not show in a
 * rule's version; order of lists does, because features and rules have an order. The
 * program's hash covers the pack and the contents of its lists. Not cryptographic:
 * it tells programs apart, it does not protect them. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rules/must/must.h"
#include "rules/pack/compile.h"

/* Two halves of 128 bits with different seeds. */
struct canonical {
    XXH3_state_t *state[2];
};

static struct canonical canonical_begin(void)
{
    struct canonical c;
    for (uint64_t i = 0; i < 2; i++) {
        c.state[i] = XXH3_createState();
        TSN_MUST_ALLOC(c.state[i]);
        XXH3_128bits_reset_withSeed(c.state[i], UINT64_C(0x7473) + i);
    }
    return c;
}

static void put(struct canonical *c, const void *bytes, size_t len)
{
    for (int i = 0; i < 2; i++) {
        XXH3_128bits_update(c->state[i], bytes, len);
    }
}

static void put_u64(struct canonical *c, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(value >> (8 * i));
    }
    put(c, bytes, sizeof bytes);
}

static void put_text(struct canonical *c, const char *text, size_t len)
{
    put_u64(c, len);
    put(c, text, len);
}

static void canonical_end(struct canonical *c, uint8_t out[32])
{
    for (int i = 0; i < 2; i++) {
        XXH128_canonical_t bytes;
        XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(c->state[i]));
        memcpy(out + 16 * i, bytes.digest, 16);
        XXH3_freeState(c->state[i]);
    }
}

static uint64_t canonical_end_u64(struct canonical *c)
{
    uint8_t bytes[32];
    canonical_end(c, bytes);
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static int by_key(const void *a, const void *b)
{
    const struct tsn_yaml_pair *x = *(const struct tsn_yaml_pair *const *)a;
    const struct tsn_yaml_pair *y = *(const struct tsn_yaml_pair *const *)b;
    return strcmp(x->key.text, y->key.text);
}

static bool is_prose(const char *key)
{
    return strcmp(key, "description") == 0;
}

static void put_node(struct canonical *c, const struct tsn_yaml_node *node, bool sorted)
{
    if (node->kind == TSN_YAML_SCALAR) {
        put_u64(c, 's');
        put_text(c, node->text, node->n);
        return;
    }
    if (node->kind == TSN_YAML_SEQUENCE) {
        put_u64(c, 'l');
        put_u64(c, node->n);
        for (uint32_t i = 0; i < node->n; i++) {
            put_node(c, &node->items[i], sorted);
        }
        return;
    }
    const struct tsn_yaml_pair **pairs = malloc((node->n + 1) * sizeof *pairs);
    TSN_MUST_ALLOC(pairs);
    size_t n = 0;
    for (uint32_t i = 0; i < node->n; i++) {
        if (!is_prose(node->pairs[i].key.text)) {
            pairs[n++] = &node->pairs[i];
        }
    }
    if (sorted) {
        qsort(pairs, n, sizeof *pairs, by_key);
    }
    put_u64(c, 'm');
    put_u64(c, n);
    for (size_t i = 0; i < n; i++) {
        put_text(c, pairs[i]->key.text, pairs[i]->key.n);
        put_node(c, &pairs[i]->value, sorted);
    }
    free(pairs);
}

uint64_t tsn_pack_hash_node(const struct tsn_yaml_node *node)
{
    struct canonical c = canonical_begin();
    put_node(&c, node, true);
    return canonical_end_u64(&c);
}

uint64_t tsn_pack_list_version(const struct tsn_list *list, enum tsn_type of)
{
    /* A sum, so that the order of the lines does not show. */
    uint64_t sum = 0;
    size_t n = tsn_list_size(list);
    for (size_t i = 0; i < n; i++) {
        struct tsn_list_entry entry = tsn_list_at(list, i);
        sum += of == TSN_TYPE_INT ? XXH3_64bits(&entry.i, sizeof entry.i)
                                  : XXH3_64bits(entry.s.p, entry.s.len);
    }
    struct canonical c = canonical_begin();
    put_u64(&c, of);
    put_u64(&c, n);
    put_u64(&c, sum);
    return canonical_end_u64(&c);
}

/* Event types and their fields have an order that shows in the program, so maps are
 * taken as written here. */
void tsn_pack_hash_program(struct pack *p)
{
    struct canonical c = canonical_begin();
    put_node(&c, p->doc->root, false);
    for (int i = 0; i < p->prog->n_lists; i++) {
        put_u64(&c, p->prog->lists[i].version);
    }
    canonical_end(&c, p->prog->hash);
}

/* ---- features ----------------------------------------------------------------------- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* An expression without the white space that means nothing. */
static void put_expression(struct canonical *c, const char *text, size_t len)
{
    char quote = 0;
    char before = 0;
    bool blank = false;
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char at = text[i];
        if (!quote && strchr(" \t\r\n", at)) {
            blank = true;
            continue;
        }
        if (blank && is_word(before) && is_word(at)) {
            put(c, " ", 1);
            n++;
        }
        blank = false;
        put(c, &at, 1);
        n++;
        if (quote && at == '\\' && i + 1 < len) {
            put(c, &text[++i], 1);
            n++;
        } else if (quote && at == quote) {
            quote = 0;
        } else if (!quote && (at == '"' || at == '\'')) {
            quote = at;
        }
        before = at;
    }
    put_u64(c, n);
}

uint64_t tsn_pack_feature_identity(struct pack *p, const struct tsn_feature *f, const char *where,
                                   size_t where_len)
{
    const struct pack_type *t = &p->types[f->event];
    struct canonical c = canonical_begin();
    put_text(&c, p->type_names.items[f->event], strlen(p->type_names.items[f->event]));
    put_u64(&c, (uint64_t)f->agg);
    if (f->field != TSN_NONE) {
        const struct tsn_field *field = &t->fields[f->field];
        put_text(&c, field->name, strlen(field->name));
        put_u64(&c, (uint64_t)field->rep << 8 | field->scale);
    }
    put_u64(&c, (uint64_t)f->n_by);
    for (int i = 0; i < f->n_by; i++) {
        put_text(&c, t->fields[f->by[i]].name, strlen(t->fields[f->by[i]].name));
        put_u64(&c, (uint64_t)t->fields[f->by[i]].rep);
    }
    put_u64(&c, (uint64_t)f->window_ms);
    put_u64(&c, (uint64_t)f->delay_ms);
    put_u64(&c, (uint64_t)f->exclude_current << 1 | f->at_seen);
    put_u64(&c, f->max_keys);
    put_u64(&c, f->exact_up_to);
    if (f->max_members) {
        put_u64(&c, f->max_members);
    }
    put_expression(&c, where, where_len);
    /* A filter over other features changes when they do. */
    uint32_t expr = f->agg == TSN_AGG_EXPR ? f->expr : f->where;
    size_t n = 0;
    const uint32_t *inputs = expr == TSN_EXPR_NONE ? NULL : tsn_expr_inputs(t->set, expr, &n);
    for (size_t i = 0; i < n; i++) {
        if (inputs[i] >= (uint32_t)t->n_fields) {
            int read = t->slots[inputs[i] - (uint32_t)t->n_fields].feature;
            put_u64(&c, p->feature_out[read].identity);
        }
    }
    uint64_t identity = canonical_end_u64(&c);
    /* Two features that say the same keep their own state. */
    for (const struct tsn_feature *other = p->feature_out; other < f; other++) {
        if (other->identity == identity) {
            identity = XXH3_64bits_withSeed(&identity, sizeof identity, 1);
            other = p->feature_out - 1;
        }
    }
    return identity;
}
