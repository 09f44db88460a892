/* Packs: the analysts' file, checked like a program and compiled to one.
 *
 * One error refuses the whole pack; all errors are reported.
 */
#ifndef TSN_RULES_PACK_PACK_H
#define TSN_RULES_PACK_PACK_H

#include <stddef.h>

#include "rules/diag/diag.h"
#include "rules/program/program.h"

/* Gives the bytes of a file named in a pack: an import or the contents of a list. The
 * core opens no files: the caller (connectors, tests) does. `name` is relative to the
 * pack's folder (or absolute, for lists); the answer is malloc'd and owned by the compiler, NULL
 * means that it cannot be read and *why says why (static or owned by the caller's user pointer). */
typedef char *tsn_pack_open(void *user, const char *name, size_t *len, const char **why);

/* Compiles `text` (YAML or JSON). `file` names it in messages and is borrowed for
 * the call. Returns a program to be released with tsn_program_free, or NULL with
 * at least one error in `diags`. Warnings alone do not refuse. */
struct tsn_program *tsn_pack_compile(const char *file, const char *text, size_t len,
                                     tsn_pack_open *open_file, void *user, struct tsn_diags *diags);

/* What a check may look for beyond errors; each finding is a warning. */
enum {
    TSN_PACK_LINT = 1,     /* what is sound but probably not meant; only in a sound pack */
    TSN_PACK_PORTABLE = 2, /* every use of something that standard CEL does not have */
};

/* The same with lints: an or of the above. */
struct tsn_program *tsn_pack_check(const char *file, const char *text, size_t len,
                                   tsn_pack_open *open_file, void *user, unsigned lints,
                                   struct tsn_diags *diags);

#endif
