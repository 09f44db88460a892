#include "engine/entity/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rules/must/must.h"

enum { LINE = 64, HUGE_PAGE = 2 * 1024 * 1024, SMALL_MAX = HUGE_PAGE / 4 };

static size_t rounded(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

void *tsn_pages_alloc(size_t bytes)
{
    if (bytes <= SMALL_MAX) {
        void *small = aligned_alloc(LINE, rounded(bytes ? bytes : 1, LINE));
        TSN_MUST_ALLOC(small);
        return small;
    }
    size_t whole = rounded(bytes, HUGE_PAGE);
    void *memory = aligned_alloc(HUGE_PAGE, whole);
    TSN_MUST_ALLOC(memory);
    madvise(memory, whole, MADV_HUGEPAGE);
    return memory;
}

void *tsn_pages_zalloc(size_t bytes)
{
    return memset(tsn_pages_alloc(bytes), 0, bytes);
}
