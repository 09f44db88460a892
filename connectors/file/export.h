/* Export: what a replay writes - alerts, features and rejects, a line each.
 *
 * Streams are the caller's: files, or memory in tests. Equal input gives equal
 * bytes, however rows were batched. File replay and the replay of manifests write
 * through the same functions.
 */
#ifndef TSN_CONNECTORS_FILE_EXPORT_H
#define TSN_CONNECTORS_FILE_EXPORT_H

#include <stdint.h>
#include <stdio.h>

#include "connectors/wire/wire.h"
#include "engine/engine.h"

struct tsn_export;

/* Any stream may be NULL: then that part costs nothing. origins: what rows' source
 * means; borrowed. */
struct tsn_export *tsn_export_new(FILE *alerts, FILE *features, FILE *rejects,
                                  const struct tsn_origin *origins, size_t n_origins);
void tsn_export_free(struct tsn_export *export);

/* The program whose rows come next: writes the header, also when no row follows. */
void tsn_export_program(struct tsn_export *export, const struct tsn_program *prog);

/* One CSV row (RFC 4180) per accepted row of the batch that the engine processed
 * last, which must have been asked for columns (tsn_engine_want_columns). Header
 * first. Columns: source,line,event,id,time_ms, then every feature, rule and
 * typology in pack order; a feature read in several roles has a column for each. */
void tsn_export_rows(struct tsn_export *export, const struct tsn_engine *eng,
                     const struct tsn_program *prog, const struct tsn_batch *batch);

/* The alert's JSON value and a newline. */
void tsn_export_alert(struct tsn_export *export, const struct tsn_message *message);

/* {"source":...,"line":...,"reason":...,"text":...,"record":...}; bytes that are not
 * UTF-8 stand under "record_base64". */
void tsn_export_reject(struct tsn_export *export, const char *source, int64_t line,
                       const char *reason, const char *text, const char *bytes, size_t len);

#endif
