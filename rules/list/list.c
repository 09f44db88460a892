/* Lists: see list.h.
 *
 * Entries stand in one array in the order in which they were added, found by an
 * open-addressing table of indexes; removed ones stay as holes until half of the
 * array is holes. Telephone numbers fit into an entry, longer text is a block of
 * its own: a list that rules fill lives for months, so an arena would only grow.
 * A heap by (expiry, age) over the entries that can go serves both expiry and
 * eviction; the alternative, a timer wheel, cannot say who goes first exactly.
 *
 * About 60 bytes an entry. A probe is one hash and usually one cache miss. Prefixes
 * are probed once for each length that members have: numbering plans have a handful,
 * where a trie or a sorted array costs a miss for each of the levels it goes down and
 * would have to be kept beside the table that serves expiry.
 */
#include "rules/list/list.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "rules/must/must.h"

enum { INLINE_BYTES = 16, NO_HEAP = UINT32_MAX, NO_ENTRY = UINT32_MAX };

struct entry {
    union {
        char here[INLINE_BYTES];
        char *there; /* len > INLINE_BYTES */
        int64_t i;
    };
    tsn_event_ms expires_ms;
    uint64_t hash;
    uint32_t len;
    uint32_t heap_at; /* NO_HEAP: cannot go */
    bool gone;
};

struct tsn_list {
    enum tsn_type of;
    uint64_t max;
    struct entry *entries;
    uint32_t n; /* holes included */
    uint32_t cap;
    uint32_t live;
    uint32_t *table; /* index + 1; 0 is free */
    uint32_t table_cap;
    uint32_t *heap;
    uint32_t heap_n;
    uint32_t heap_cap;
    /* Lengths that some member has had: bit k, and the longer ones ascending. */
    uint64_t lengths;
    uint32_t *long_lengths;
    uint32_t n_long_lengths;
    uint32_t cap_long_lengths;
};

struct tsn_list *tsn_list_new(enum tsn_type of, uint64_t max)
{
    TSN_MUST(of == TSN_TYPE_STRING || of == TSN_TYPE_INT);
    struct tsn_list *list = calloc(1, sizeof *list);
    TSN_MUST_ALLOC(list);
    list->of = of;
    list->max = max;
    return list;
}

void tsn_list_free(struct tsn_list *list)
{
    if (!list) {
        return;
    }
    for (uint32_t k = 0; k < list->n; k++) {
        if (list->of == TSN_TYPE_STRING && list->entries[k].len > INLINE_BYTES) {
            free(list->entries[k].there);
        }
    }
    free(list->entries);
    free(list->table);
    free(list->heap);
    free(list->long_lengths);
    free(list);
}

static const char *entry_text(const struct entry *e)
{
    return e->len > INLINE_BYTES ? e->there : e->here;
}

struct tsn_list *tsn_list_copy(const struct tsn_list *list)
{
    struct tsn_list *copy = tsn_list_new(list->of, list->max);
    for (uint32_t k = 0; k < list->n; k++) {
        const struct entry *e = &list->entries[k];
        if (e->gone) {
            continue;
        }
        if (list->of == TSN_TYPE_STRING) {
            tsn_list_add_string(copy, (struct tsn_str){entry_text(e), e->len}, e->expires_ms);
        } else {
            tsn_list_add_int(copy, e->i, e->expires_ms);
        }
    }
    return copy;
}

/* ---- heap: who goes first -------------------------------------------------- */

static bool goes_before(const struct tsn_list *list, uint32_t a, uint32_t b)
{
    tsn_event_ms x = list->entries[a].expires_ms;
    tsn_event_ms y = list->entries[b].expires_ms;
    return x != y ? x < y : a < b;
}

static void heap_put(struct tsn_list *list, uint32_t at, uint32_t entry)
{
    list->heap[at] = entry;
    list->entries[entry].heap_at = at;
}

static void heap_up(struct tsn_list *list, uint32_t at)
{
    uint32_t entry = list->heap[at];
    while (at > 0 && goes_before(list, entry, list->heap[(at - 1) / 2])) {
        heap_put(list, at, list->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(list, at, entry);
}

static void heap_down(struct tsn_list *list, uint32_t at)
{
    uint32_t entry = list->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= list->heap_n) {
            break;
        }
        if (child + 1 < list->heap_n &&
            goes_before(list, list->heap[child + 1], list->heap[child])) {
            child++;
        }
        if (!goes_before(list, list->heap[child], entry)) {
            break;
        }
        heap_put(list, at, list->heap[child]);
        at = child;
    }
    heap_put(list, at, entry);
}

static void heap_add(struct tsn_list *list, uint32_t entry)
{
    if (list->heap_n == list->heap_cap) {
        list->heap_cap = list->heap_cap ? list->heap_cap * 2 : 64;
        list->heap = realloc(list->heap, list->heap_cap * sizeof *list->heap);
        TSN_MUST_ALLOC(list->heap);
    }
    list->heap[list->heap_n++] = entry;
    heap_up(list, list->heap_n - 1);
}

static void heap_remove_first(struct tsn_list *list)
{
    list->entries[list->heap[0]].heap_at = NO_HEAP;
    uint32_t last = list->heap[--list->heap_n];
    if (list->heap_n) {
        list->heap[0] = last;
        heap_down(list, 0);
    }
}

/* ---- table ----------------------------------------------------------------- */

static uint64_t hash_string(struct tsn_str value)
{
    return XXH3_64bits(value.p, value.len);
}

static uint64_t hash_int(int64_t value)
{
    return XXH3_64bits(&value, sizeof value);
}

static bool is_value(const struct tsn_list *list, const struct entry *e, uint64_t hash,
                     struct tsn_str s, int64_t i)
{
    if (e->hash != hash) {
        return false;
    }
    if (list->of == TSN_TYPE_INT) {
        return e->i == i;
    }
    return e->len == s.len && (s.len == 0 || memcmp(entry_text(e), s.p, s.len) == 0);
}

static uint32_t find(const struct tsn_list *list, uint64_t hash, struct tsn_str s, int64_t i)
{
    if (list->table_cap == 0) {
        return NO_ENTRY;
    }
    uint32_t mask = list->table_cap - 1;
    for (uint32_t at = (uint32_t)hash & mask; list->table[at]; at = (at + 1) & mask) {
        uint32_t entry = list->table[at] - 1;
        if (is_value(list, &list->entries[entry], hash, s, i)) {
            return entry;
        }
    }
    return NO_ENTRY;
}

static void table_insert(struct tsn_list *list, uint32_t entry)
{
    uint32_t mask = list->table_cap - 1;
    uint32_t at = (uint32_t)list->entries[entry].hash & mask;
    while (list->table[at]) {
        at = (at + 1) & mask;
    }
    list->table[at] = entry + 1;
}

/* Takes an entry out of the table, closing the gap (Knuth's algorithm R). */
static void table_remove(struct tsn_list *list, uint32_t entry)
{
    uint32_t mask = list->table_cap - 1;
    uint32_t gap = (uint32_t)list->entries[entry].hash & mask;
    while (list->table[gap] != entry + 1) {
        gap = (gap + 1) & mask;
    }
    for (uint32_t at = (gap + 1) & mask; list->table[at]; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)list->entries[list->table[at] - 1].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            list->table[gap] = list->table[at];
            gap = at;
        }
    }
    list->table[gap] = 0;
}

static void table_rebuild(struct tsn_list *list, uint32_t cap)
{
    free(list->table);
    list->table_cap = cap;
    list->table = calloc(cap, sizeof *list->table);
    TSN_MUST_ALLOC(list->table);
    for (uint32_t k = 0; k < list->n; k++) {
        if (!list->entries[k].gone) {
            table_insert(list, k);
        }
    }
}

/* ---- entries --------------------------------------------------------------- */

/* Closes the holes; the order stays, so the heap's does too. */
static void compact(struct tsn_list *list)
{
    uint32_t to = 0;
    for (uint32_t from = 0; from < list->n; from++) {
        struct entry *e = &list->entries[from];
        if (e->gone) {
            continue;
        }
        if (to != from) {
            list->entries[to] = *e;
        }
        if (list->entries[to].heap_at != NO_HEAP) {
            list->heap[list->entries[to].heap_at] = to;
        }
        to++;
    }
    list->n = to;
    if (list->table_cap) {
        table_rebuild(list, list->table_cap);
    }
}

static void remove_first(struct tsn_list *list)
{
    uint32_t entry = list->heap[0];
    heap_remove_first(list);
    table_remove(list, entry);
    struct entry *e = &list->entries[entry];
    if (list->of == TSN_TYPE_STRING && e->len > INLINE_BYTES) {
        free(e->there);
    }
    e->len = 0;
    e->gone = true;
    list->live--;
    if (list->n - list->live > 64 && list->n - list->live > list->live) {
        compact(list);
    }
}

static void grow(struct tsn_list *list)
{
    TSN_MUST(list->n < UINT32_MAX / 4);
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 16;
        list->entries = realloc(list->entries, list->cap * sizeof *list->entries);
        TSN_MUST_ALLOC(list->entries);
    }
    if (list->live * 2 >= list->table_cap) {
        table_rebuild(list, list->table_cap ? list->table_cap * 2 : 32);
    }
}

static void note_length(struct tsn_list *list, uint32_t len)
{
    if (len < 64) {
        list->lengths |= UINT64_C(1) << len;
        return;
    }
    uint32_t at = list->n_long_lengths;
    while (at > 0 && list->long_lengths[at - 1] > len) {
        at--;
    }
    if (at > 0 && list->long_lengths[at - 1] == len) {
        return;
    }
    if (list->n_long_lengths == list->cap_long_lengths) {
        list->cap_long_lengths = list->cap_long_lengths ? list->cap_long_lengths * 2 : 8;
        list->long_lengths =
            realloc(list->long_lengths, list->cap_long_lengths * sizeof *list->long_lengths);
        TSN_MUST_ALLOC(list->long_lengths);
    }
    memmove(list->long_lengths + at + 1, list->long_lengths + at,
            (list->n_long_lengths - at) * sizeof *list->long_lengths);
    list->long_lengths[at] = len;
    list->n_long_lengths++;
}

static void add(struct tsn_list *list, uint64_t hash, struct tsn_str s, int64_t i,
                tsn_event_ms expires_ms)
{
    uint32_t known = find(list, hash, s, i);
    if (known != NO_ENTRY) {
        struct entry *e = &list->entries[known];
        if (expires_ms > e->expires_ms) {
            e->expires_ms = expires_ms;
            if (e->heap_at != NO_HEAP) {
                heap_down(list, e->heap_at);
            }
        }
        return;
    }
    grow(list);
    uint32_t entry = list->n++;
    struct entry *e = &list->entries[entry];
    *e = (struct entry){.expires_ms = expires_ms, .hash = hash, .heap_at = NO_HEAP};
    if (list->of == TSN_TYPE_INT) {
        e->i = i;
    } else {
        e->len = s.len;
        char *to = e->here;
        if (s.len > INLINE_BYTES) {
            e->there = malloc(s.len);
            TSN_MUST_ALLOC(e->there);
            to = e->there;
        }
        if (s.len) {
            memcpy(to, s.p, s.len);
        }
        note_length(list, s.len);
    }
    list->live++;
    table_insert(list, entry);
    if (list->max || expires_ms != TSN_LIST_FOREVER) {
        heap_add(list, entry);
    }
    while (list->max && list->live > list->max) {
        remove_first(list);
    }
}

void tsn_list_add_string(struct tsn_list *list, struct tsn_str value, tsn_event_ms expires_ms)
{
    TSN_MUST(list->of == TSN_TYPE_STRING);
    add(list, hash_string(value), value, 0, expires_ms);
}

void tsn_list_add_int(struct tsn_list *list, int64_t value, tsn_event_ms expires_ms)
{
    TSN_MUST(list->of == TSN_TYPE_INT);
    add(list, hash_int(value), (struct tsn_str){0}, value, expires_ms);
}

bool tsn_list_has_string(const struct tsn_list *list, struct tsn_str value, tsn_event_ms at_ms)
{
    TSN_MUST(list->of == TSN_TYPE_STRING);
    uint32_t entry = find(list, hash_string(value), value, 0);
    return entry != NO_ENTRY && at_ms < list->entries[entry].expires_ms;
}

bool tsn_list_has_int(const struct tsn_list *list, int64_t value, tsn_event_ms at_ms)
{
    TSN_MUST(list->of == TSN_TYPE_INT);
    uint32_t entry = find(list, hash_int(value), (struct tsn_str){0}, value);
    return entry != NO_ENTRY && at_ms < list->entries[entry].expires_ms;
}

bool tsn_list_has_prefix_of(const struct tsn_list *list, struct tsn_str value, tsn_event_ms at_ms)
{
    TSN_MUST(list->of == TSN_TYPE_STRING);
    uint64_t lengths = list->lengths & ~UINT64_C(1); /* an empty member is no prefix */
    for (; lengths; lengths &= lengths - 1) {
        uint32_t len = (uint32_t)__builtin_ctzll(lengths);
        if (len > value.len) {
            return false;
        }
        if (tsn_list_has_string(list, (struct tsn_str){value.p, len}, at_ms)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < list->n_long_lengths && list->long_lengths[i] <= value.len; i++) {
        struct tsn_str head = {value.p, list->long_lengths[i]};
        if (tsn_list_has_string(list, head, at_ms)) {
            return true;
        }
    }
    return false;
}

void tsn_list_expire(struct tsn_list *list, tsn_event_ms until_ms)
{
    while (list->heap_n && list->entries[list->heap[0]].expires_ms <= until_ms) {
        remove_first(list);
    }
}

size_t tsn_list_size(const struct tsn_list *list)
{
    return list->live;
}

struct tsn_list_entry tsn_list_at(const struct tsn_list *list, size_t index)
{
    TSN_MUST(index < list->live);
    if (list->live != list->n) {
        /* The same list to every reader; only a list that loses entries gets here,
         * and that one belongs to one thread. */
        compact((struct tsn_list *)(uintptr_t)list);
    }
    const struct entry *e = &list->entries[index];
    struct tsn_list_entry out = {.expires_ms = e->expires_ms};
    if (list->of == TSN_TYPE_INT) {
        out.i = e->i;
    } else {
        out.s = (struct tsn_str){entry_text(e), e->len};
    }
    return out;
}
