#include "engine/entity/pages.h"

#include <stdint.h>
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

/* Twice as much holds such a place. The highest is taken: the kernel goes downwards, so one
 * mapping lies beside the one before. */
void *tsn_pages_map(size_t bytes)
{
    TSN_MUST(bytes >= HUGE_PAGE && (bytes & (bytes - 1)) == 0);
    uint8_t *wide =
        mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TSN_MUST_ALLOC(wide != MAP_FAILED);
    size_t below = bytes - ((uintptr_t)wide & (bytes - 1));
    uint8_t *memory = wide + below;
    tsn_pages_unmap(wide, below);
    if (below < bytes) {
        tsn_pages_unmap(memory + bytes, bytes - below);
    }
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

void tsn_pages_unmap(void *memory, size_t bytes)
{
    TSN_MUST(munmap(memory, bytes) == 0);
}
