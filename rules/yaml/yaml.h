/* YAML: a text becomes a tree whose every node knows its line and column.
 *
 * Packs and configurations are written by people, so the tree exists for messages
 * as much as for values: whatever is wrong with a node can be said at its place.
 * Built on libyaml's event API; its document API was the alternative and loses:
 * it resolves anchors and merges (a billion laughs in ten lines) before anybody
 * can refuse them, and keeps no styles.
 *
 * What is refused, each with its place: anchors, aliases, merge keys, tags,
 * duplicate keys, keys that are no plain text, several documents, more than
 * TSN_YAML_BYTES_MAX, depth over TSN_YAML_DEPTH_MAX. A plain scalar is text and
 * nothing else - `no`, `on`, 0777 mean what they say - until a schema asks for a
 * number, so the country code NO stays a country. JSON is read as the same tree.
 *
 * A document may take in further files (tsn_yaml_add): their trees are of the same
 * document, and every node knows which file it stands in.
 *
 * A tree is read-only once made; errors are added to the diagnostics it was made
 * with. O(bytes), memory about 80 bytes a node.
 */
#ifndef TSN_RULES_YAML_YAML_H
#define TSN_RULES_YAML_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/column/column.h"
#include "rules/diag/diag.h"

enum {
    TSN_YAML_BYTES_MAX = 1 << 20, /* a pack is read by people; data belongs into list files */
    TSN_YAML_DEPTH_MAX = 16,      /* the deepest schema needs 8 */
};

enum tsn_yaml_kind { TSN_YAML_SCALAR, TSN_YAML_SEQUENCE, TSN_YAML_MAP };

enum tsn_yaml_style { TSN_YAML_PLAIN, TSN_YAML_QUOTED, TSN_YAML_LITERAL, TSN_YAML_FOLDED };

struct tsn_yaml_pair;

struct tsn_yaml_node {
    uint8_t kind;    /* enum tsn_yaml_kind */
    uint8_t style;   /* enum tsn_yaml_style of a scalar */
    uint16_t source; /* index into the document's sources */
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in code points */
    uint32_t n;      /* items or pairs; bytes of a scalar */
    union {
        const char *text;                  /* n bytes and a NUL; may hold NULs of its own */
        const struct tsn_yaml_node *items; /* [n] */
        const struct tsn_yaml_pair *pairs; /* [n] in file order */
    };
    const char *raw; /* a scalar as it stands in the file, quotes and indicator included */
    uint32_t raw_len;
};

struct tsn_yaml_pair {
    struct tsn_yaml_node key; /* a scalar without NULs */
    struct tsn_yaml_node value;
};

/* A file that a tree was made from. */
struct tsn_yaml_source {
    const char *file;
    const char *text; /* a copy of the whole, for messages */
    size_t len;
};

struct tsn_yaml {
    struct tsn_arena arena;
    const struct tsn_yaml_source **sources; /* [0]: the one given to tsn_yaml_parse */
    uint32_t n_sources;
    struct tsn_diags *diags;
    const struct tsn_yaml_node *root;
};

/* Reads one document. `file` and `diags` are borrowed until tsn_yaml_free; the
 * text is copied. NULL with an error in diags if there is no usable tree; with
 * errors of hygiene only, the tree is given too, so that a caller can go on and
 * report everything: ask diags->n_errors before using what was built from it. */
struct tsn_yaml *tsn_yaml_parse(const char *file, const char *text, size_t len,
                                struct tsn_diags *diags);
void tsn_yaml_free(struct tsn_yaml *doc);

/* Reads a further file into the document, by the same rules; its tree, or NULL with
 * an error. The document's root stays what it was. At most UINT16_MAX files. */
const struct tsn_yaml_node *tsn_yaml_add(struct tsn_yaml *doc, const char *file, const char *text,
                                         size_t len);

/* The file that a node stands in; of NULL the first. */
const struct tsn_yaml_source *tsn_yaml_source(const struct tsn_yaml *doc,
                                              const struct tsn_yaml_node *node);
/* Where a node begins. */
struct tsn_place tsn_yaml_place(const struct tsn_yaml *doc, const struct tsn_yaml_node *node);
/* Where `first` stands, for a message at `here`: "on line 7", or "at FILE:7:3" when it
 * is another file. Memory is the document's. */
const char *tsn_yaml_where(struct tsn_yaml *doc, const struct tsn_yaml_node *here,
                           const struct tsn_yaml_node *first);

/* Adds a message at a node; `advice` (what to write instead) may be NULL. */
void tsn_yaml_error(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                    const char *advice, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void tsn_yaml_warn(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *advice,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "text", "a list", "a map", "nothing". */
const char *tsn_yaml_kind_name(const struct tsn_yaml_node *node);

/* ---- maps ------------------------------------------------------------------ */

/* The value under a key, or NULL; NULL also for a node that is NULL or no map. */
const struct tsn_yaml_node *tsn_yaml_get(const struct tsn_yaml_node *map, const char *key);

/* Is the node a map / a sequence? If not, says so ("`what` must be a map") and
 * returns false. NULL nodes return false silently: nothing was written. */
bool tsn_yaml_is_map(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                     const char *what);
bool tsn_yaml_is_sequence(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                          const char *what);

/* Reports every key of a map that is not among `known`, with the nearest that is;
 * true if there is none. `what` names the map: "a feature". */
bool tsn_yaml_check_keys(const struct tsn_yaml *doc, const struct tsn_yaml_node *map,
                         const char *what, const char *const *known, size_t n_known);

/* "unknown x 'wrong'; did you mean 'right'?" at a node, for names that a schema
 * looks up. The list of known names follows as advice when nothing is near. */
void tsn_yaml_unknown(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                      const char *what, const char *wrong, const char *const *known,
                      size_t n_known);

/* ---- scalars, typed by the schema ------------------------------------------ */

/* Each returns false after saying what was expected, or silently when node is
 * NULL; *out is set only on success. `what` names the value: "'window'". */
bool tsn_yaml_text(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   const char **out);
bool tsn_yaml_bool(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   bool *out);
bool tsn_yaml_int(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                  int64_t least, int64_t most, int64_t *out);
bool tsn_yaml_double(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                     double *out);
/* 90d, 1h30m, 250ms: whole numbers with ms s m h d, largest first; at least `least`. */
bool tsn_yaml_duration(const struct tsn_yaml *doc, const struct tsn_yaml_node *node,
                       const char *what, tsn_duration_ms least, tsn_duration_ms *out);
/* 2026-03-02, or 2026-03-02T09:00:00Z with an optional fraction and offset. */
bool tsn_yaml_time(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   tsn_event_ms *out);
/* One of the words; *out is its index. */
bool tsn_yaml_word(const struct tsn_yaml *doc, const struct tsn_yaml_node *node, const char *what,
                   const char *const *words, size_t n_words, int *out);

/* The readings behind them, for text from elsewhere. */
bool tsn_duration_parse(const char *text, size_t len, tsn_duration_ms *out);
bool tsn_time_parse(const char *text, size_t len, tsn_event_ms *out);

/* ---- expressions in scalars ------------------------------------------------ */

/* The text of an expression as its author sees it, and where each of its lines
 * stands. YAML folds lines and resolves escapes; where an expression can be given
 * to its compiler as it stands in the file it is, so that columns are exact. */
struct tsn_yaml_expr {
    const struct tsn_yaml_source *source;
    const char *text;
    size_t len;
    uint32_t line; /* of the first character */
    uint32_t column;
    const uint32_t *line_columns; /* [n_lines - 1] */
    size_t n_lines;
    const char *quoted; /* as it stands in the file, if the text differs from it; or NULL */
    size_t quoted_len;
};

/* Memory is the document's. */
struct tsn_yaml_expr tsn_yaml_expression(struct tsn_yaml *doc, const struct tsn_yaml_node *node);

/* Moves a place that was counted in the text of an expression to where it is in the
 * file; only quoted text with escapes differs. O(length). */
void tsn_yaml_expression_place(const struct tsn_yaml_expr *expr, struct tsn_place *place);

#endif
