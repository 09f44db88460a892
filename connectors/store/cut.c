#include "connectors/store/cut.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rules/must/must.h"

enum { BLOCK_BYTES = 4 * 1024 * 1024 };

struct tsn_cut_block {
    struct tsn_cut_block *next;
    size_t used, cap;
    size_t n, n_gone; /* records in it */
    uint8_t bytes[];
};

/* Before each record in a block; unaligned. */
struct head {
    uint32_t len;
    uint32_t gone;
};

/* ---- blocks -------------------------------------------------------------------------- */

/* Blocks come from the system and go back to it: a whole cut is gigabytes for a while, and
 * what malloc gave stays with the process when something was allocated behind it. */
static void block_unmap(struct tsn_cut_block *block)
{
    if (block) {
        munmap(block, sizeof *block + block->cap);
    }
}

void tsn_cut_spare_init(struct tsn_cut_spare *spare)
{
    *spare = (struct tsn_cut_spare){0};
    pthread_mutex_init(&spare->lock, NULL);
}

void tsn_cut_spare_end(struct tsn_cut_spare *spare)
{
    for (struct tsn_cut_block *block = spare->first, *next; block; block = next) {
        next = block->next;
        block_unmap(block);
    }
    pthread_mutex_destroy(&spare->lock);
}

static struct tsn_cut_block *spare_take(struct tsn_cut_spare *spare)
{
    pthread_mutex_lock(&spare->lock);
    struct tsn_cut_block *block = spare->first;
    if (block) {
        spare->first = block->next;
        spare->n--;
    }
    pthread_mutex_unlock(&spare->lock);
    return block;
}

static struct tsn_cut_block *block_new(struct tsn_cut_spare *spare, size_t bytes)
{
    struct tsn_cut_block *block = spare && bytes <= BLOCK_BYTES ? spare_take(spare) : NULL;
    if (!block) {
        size_t cap = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        void *memory = mmap(NULL, sizeof *block + cap, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        TSN_MUST_ALLOC(memory != MAP_FAILED ? memory : NULL);
        block = memory;
        block->cap = cap;
    }
    block->next = NULL;
    block->used = 0;
    block->n = 0;
    block->n_gone = 0;
    return block;
}

static void block_free(struct tsn_cut_spare *spare, struct tsn_cut_block *block)
{
    if (spare && block->cap == BLOCK_BYTES) {
        pthread_mutex_lock(&spare->lock);
        if (spare->n < TSN_CUT_SPARE_MAX) {
            block->next = spare->first;
            spare->first = block;
            spare->n++;
            block = NULL;
        }
        pthread_mutex_unlock(&spare->lock);
    }
    block_unmap(block);
}

/* ---- collecting ---------------------------------------------------------------------- */

static uint8_t *room(struct tsn_cut *cut, size_t bytes)
{
    if (!cut->last || cut->last->cap - cut->last->used < bytes) {
        struct tsn_cut_block *block = block_new(cut->spare, bytes);
        *(cut->last ? &cut->last->next : &cut->first) = block;
        cut->last = block;
    }
    uint8_t *at = cut->last->bytes + cut->last->used;
    cut->last->used += bytes;
    cut->held += bytes;
    return at;
}

static void add(struct tsn_cut *cut, const uint8_t header[TSN_LAYOUT_HEADER], const uint8_t *bytes,
                struct head head)
{
    uint8_t *at = room(cut, sizeof head + TSN_LAYOUT_HEADER + head.len);
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, header, TSN_LAYOUT_HEADER);
    if (head.len > 0) {
        memcpy(at + sizeof head + TSN_LAYOUT_HEADER, bytes, head.len);
    }
    cut->last->n++;
    cut->last->n_gone += head.gone;
    cut->n++;
    cut->n_gone += head.gone;
}

void tsn_cut_add(struct tsn_cut *cut, const struct tsn_snapshot_record *record)
{
    TSN_MUST(record->len <= UINT32_MAX / 2);
    uint8_t header[TSN_LAYOUT_HEADER];
    header[0] = (uint8_t)record->section;
    memcpy(header + 1, record->key, sizeof record->key);
    bool gone = record->bytes == NULL;
    add(cut, header, record->bytes,
        (struct head){.len = gone ? 0 : (uint32_t)record->len, .gone = gone});
}

void tsn_cut_clear(struct tsn_cut *cut)
{
    for (struct tsn_cut_block *block = cut->first, *next; block; block = next) {
        next = block->next;
        block_free(cut->spare, block);
    }
    *cut = (struct tsn_cut){.spare = cut->spare};
}

void tsn_cut_merge(struct tsn_cut *older, struct tsn_cut *newer)
{
    TSN_MUST(!older->whole && !newer->whole);
    bool merged = older->merged || newer->merged || (older->first && newer->first);
    tsn_cut_move(newer, older, SIZE_MAX, true);
    older->merged = merged;
    newer->merged = false;
}

void tsn_cut_move(struct tsn_cut *from, struct tsn_cut *to, size_t bytes, bool all)
{
    while (from->first && to->held < bytes && (all || from->first != from->last)) {
        struct tsn_cut_block *block = from->first;
        from->first = block->next;
        from->last = from->first ? from->last : NULL;
        from->n -= block->n;
        from->n_gone -= block->n_gone;
        from->held -= block->used;
        block->next = NULL;
        *(to->last ? &to->last->next : &to->first) = block;
        to->last = block;
        to->n += block->n;
        to->n_gone += block->n_gone;
        to->held += block->used;
    }
}

/* Every record of the cut that counts, in arrival order, with its pseudonym. */
static struct tsn_cut_entry *read_entries(const struct tsn_cut *cut, const struct tsn_keys *keys,
                                          size_t *n_entries)
{
    struct tsn_cut_entry *entries = malloc((cut->n > 0 ? cut->n : 1) * sizeof *entries);
    TSN_MUST_ALLOC(entries);
    size_t n = 0;
    for (const struct tsn_cut_block *block = cut->first; block; block = block->next) {
        for (size_t at = 0; at < block->used;) {
            struct head head;
            memcpy(&head, block->bytes + at, sizeof head);
            const uint8_t *header = block->bytes + at + sizeof head;
            at += sizeof head + TSN_LAYOUT_HEADER + head.len;
            if (head.gone && cut->whole) {
                continue;
            }
            struct tsn_cut_entry *entry = &entries[n++];
            entry->header = header;
            entry->len = head.len;
            entry->gone = head.gone != 0;
            tsn_layout_field(keys, header[0], header + 1, entry->field);
        }
    }
    TSN_MUST(n == cut->n - (cut->whole ? cut->n_gone : 0));
    *n_entries = n;
    return entries;
}

/* Keeps the last version of every field among entries[0..n), in place; returns how
 * many are left. table: room for 2 * n rounded up to a power of two. */
static size_t keep_newest(struct tsn_cut_entry *entries, size_t n, uint32_t *table, size_t table_n)
{
    memset(table, 0xff, table_n * sizeof *table);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t hash;
        memcpy(&hash, entries[i].field + 8, sizeof hash);
        size_t at = hash & (table_n - 1);
        while (table[at] != UINT32_MAX &&
               memcmp(entries[table[at]].field, entries[i].field, TSN_LAYOUT_FIELD) != 0) {
            at = (at + 1) & (table_n - 1);
        }
        if (table[at] == UINT32_MAX) {
            table[at] = (uint32_t)kept++;
        }
        entries[table[at]] = entries[i];
    }
    return kept;
}

static void drop_older(struct tsn_cut_index *index)
{
    size_t largest = 0;
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        largest = index->n[s] > largest ? index->n[s] : largest;
    }
    size_t table_cap = 16;
    while (table_cap < 2 * largest) {
        table_cap *= 2;
    }
    uint32_t *table = malloc(table_cap * sizeof *table);
    TSN_MUST_ALLOC(table);
    index->n_all = 0;
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        size_t table_n = 16;
        while (table_n < 2 * index->n[s]) {
            table_n *= 2;
        }
        index->n[s] = keep_newest(index->entries + index->begin[s], index->n[s], table, table_n);
        index->n_all += index->n[s];
    }
    free(table);
}

void tsn_cut_index(const struct tsn_cut *cut, const struct tsn_keys *keys,
                   struct tsn_cut_index *index)
{
    *index = (struct tsn_cut_index){0};
    size_t n;
    struct tsn_cut_entry *arrived = read_entries(cut, keys, &n);
    index->entries = malloc((n > 0 ? n : 1) * sizeof *index->entries);
    TSN_MUST_ALLOC(index->entries);
    for (size_t i = 0; i < n; i++) {
        index->n[tsn_layout_slot(arrived[i].field)]++;
    }
    size_t next[TSN_LAYOUT_SLOTS];
    size_t begin = 0;
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        index->begin[s] = next[s] = begin;
        begin += index->n[s];
    }
    for (size_t i = 0; i < n; i++) {
        index->entries[next[tsn_layout_slot(arrived[i].field)]++] = arrived[i];
    }
    free(arrived);
    index->n_all = n;
    if (cut->merged || (cut->n_gone > 1 && !cut->whole)) { /* that one is gone may be said twice */
        drop_older(index);
    }
}

void tsn_cut_index_free(struct tsn_cut_index *index)
{
    free(index->entries);
    *index = (struct tsn_cut_index){0};
}

void tsn_cut_compact(struct tsn_cut *cut, struct tsn_cut_index *index, const struct tsn_keys *keys)
{
    struct tsn_cut copy = {.spare = cut->spare};
    TSN_MUST(!cut->whole);
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        for (size_t i = 0; i < index->n[s]; i++) {
            const struct tsn_cut_entry *entry = &index->entries[index->begin[s] + i];
            add(&copy, entry->header, entry->header + TSN_LAYOUT_HEADER,
                (struct head){.len = entry->len, .gone = entry->gone});
        }
    }
    tsn_cut_clear(cut);
    *cut = copy;
    tsn_cut_index_free(index);
    tsn_cut_index(cut, keys, index);
}
