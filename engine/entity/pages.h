/* Pages: large memory, in huge pages where the kernel has them, to spare page walks. */
#ifndef TSN_ENGINE_ENTITY_PAGES_H
#define TSN_ENGINE_ENTITY_PAGES_H

#include <stddef.h>

/* Memory for `bytes`, aligned to a cache line at least, never NULL; freed with free(). Not
 * zeroed. More than 512 KiB are aligned to huge pages and rounded up to whole ones. */
void *tsn_pages_alloc(size_t bytes);

/* The same, all zero. */
void *tsn_pages_zalloc(size_t bytes);

/* Memory that begins at a multiple of its own size, a power of two of 2 MiB at least; all
 * zero, not touched, never NULL. For what goes back to the system while the process runs:
 * what malloc has stays with it as long as anything above is in use. A few system calls. */
void *tsn_pages_map(size_t bytes);
void tsn_pages_unmap(void *memory, size_t bytes);

#endif
