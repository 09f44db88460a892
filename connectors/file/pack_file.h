/* Pack files: reads a pack and the list files it names, and compiles them.
 *
 * The compiler opens no files; this is where its names become paths, relative to the
 * folder of the pack, so that a pack and its lists can be moved together. Messages
 * name lines of list files and never quote them: lists hold people's numbers.
 */
#ifndef TSN_CONNECTORS_FILE_PACK_FILE_H
#define TSN_CONNECTORS_FILE_PACK_FILE_H

#include <stddef.h>

#include "rules/diag/diag.h"
#include "rules/program/program.h"

/* NULL with at least one error in diags. Warnings may be there either way. The path
 * is borrowed for the call. */
struct tsn_program *tsn_pack_file_load(const char *path, struct tsn_diags *diags);

/* The same with lints, an or of TSN_PACK_LINT and others (rules/pack/pack.h). */
struct tsn_program *tsn_pack_file_check(const char *path, unsigned lints, struct tsn_diags *diags);

/* The bytes of a regular file of at most `max` bytes, malloc'd; NULL with *why
 * (static text) if it cannot be read. */
char *tsn_file_read(const char *path, size_t max, size_t *len, const char **why);

#endif
