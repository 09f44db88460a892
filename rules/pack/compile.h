/* The pack compiler's own header: what its files share. Nobody else includes it.
 *
 * Files that a pack imports are joined with it first (imports.c), so what follows sees
 * one tree. A pack is compiled in the order of its blocks, each phase a file: events, lists,
 * features (what they are), scope (what each event type may name, then the
 * features' expressions), rules, templates, typologies, and last the limits and the
 * hashes. Errors are collected and every phase goes on with what is sound: a broken
 * thing is kept by name and marked, so that its name is not reported as unknown
 * again wherever it is used.
 */
#ifndef TSN_RULES_PACK_COMPILE_H
#define TSN_RULES_PACK_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/arena/arena.h"
#include "rules/diag/diag.h"
#include "rules/expr/expr.h"
#include "rules/pack/pack.h"
#include "rules/program/program.h"
#include "rules/yaml/yaml.h"

/* ---- names.c: names in the order of their declaration, found by hash -------- */

struct names {
    const char **items;
    uint32_t n;
    uint32_t cap;
    uint32_t *table; /* index + 1 */
    uint32_t table_cap;
};

int tsn_names_find(const struct names *names, const char *name); /* or TSN_NONE */
/* Adds a borrowed name and returns its index; TSN_NONE if it is there already. */
int tsn_names_add(struct names *names, const char *name);
void tsn_names_free(struct names *names);

/* ---- the compiler's working state ------------------------------------------ */

enum {
    PACK_NAME_MAX = 64,       /* bytes of an identifier: it goes into headers and tables */
    PACK_TEXT_MAX = 4096,     /* a reason, a title, a message */
    PACK_ROLES_MAX = 16,      /* roles in which one event type reads one feature */
    PACK_RULE_COST_MAX = 200, /* units a rule, a filter, an expression */
    PACK_COST_MAX = 50000,    /* units a pack */
};

/* Windows longer than this are a typing error; keeps time arithmetic far from overflow. */
#define PACK_WINDOW_MAX_MS (INT64_C(3653) * 86400000)

/* Filled by a list file or values a rule; a list that rules fill must end somewhere. */
enum { PACK_LIST_MAX_DEFAULT = 1000000, PACK_LIST_LINES_MAX = 20000000 };

struct pack_type {
    const struct tsn_yaml_node *node; /* NULL: nothing sound is known of it */
    struct tsn_field *fields;
    struct names field_names;
    bool *field_broken;
    int n_fields;
    struct tsn_slot *slots;
    int n_slots;
    int slots_cap;
    struct tsn_expr_name *names; /* of its scope, in input order; n_fields + n_slots */
    struct tsn_expr_set *set;
};

struct pack_feature {
    const struct tsn_yaml_node *node;
    bool broken;
};

/* A `for_each` of which the typology is not known yet. */
struct pack_fan {
    int rule;
    struct tsn_fan *out;
    const struct tsn_yaml_node *for_each;
    const struct tsn_yaml_node *hit; /* the typology's name, or NULL */
};

struct pack_list {
    const struct tsn_yaml_node *node;
    struct tsn_list *initial;
    bool written_by_any; /* also by shadow rules */
};

struct pack {
    struct tsn_yaml *doc;
    struct tsn_diags *diags;
    struct tsn_program *prog;
    struct tsn_arena *mem;    /* the program's */
    struct tsn_arena scratch; /* until the compiler returns */
    tsn_pack_open *open;
    void *user;
    unsigned lints;            /* TSN_PACK_LINT ... */
    const char **source_names; /* of each file of the pack, from the pack's folder */

    struct names type_names;
    struct pack_type *types; /* [prog->n_types] */
    struct names kind_names; /* entity kinds */
    struct names list_names;
    struct pack_list *lists;
    struct tsn_list_decl *list_decls;
    struct tsn_expr_list *handles; /* lists.<name> */
    struct names feature_names;
    struct pack_feature *features;
    struct tsn_feature *feature_out;
    struct names broken; /* whole names whose use is not reported again */
    struct names rule_names;
    struct tsn_rule *rules;
    bool *rule_broken;
    struct pack_fan *fans; /* of all rules */
    int n_fans;
    int fans_cap;
    struct names template_names;
    struct tsn_template *templates;
    struct names typology_names;
    struct tsn_typology *typologies;
    double cost;
};

/* ---- phases, in this order -------------------------------------------------- */

/* False after an error that leaves the pack without some of its files. */
bool tsn_pack_imports(struct pack *p);
void tsn_pack_events(struct pack *p);
void tsn_pack_lists(struct pack *p);
void tsn_pack_features(struct pack *p);
void tsn_pack_scopes(struct pack *p);
void tsn_pack_rules(struct pack *p);
void tsn_pack_templates(struct pack *p);
void tsn_pack_typologies(struct pack *p);
void tsn_pack_fans(struct pack *p);

/* ---- helpers between the files ---------------------------------------------- */

/* names.c: is it an identifier of expressions; if not says so at the node. */
bool tsn_pack_identifier(struct pack *p, const struct tsn_yaml_node *node, const char *what,
                         bool reserved_too);
/* ... an id of rules, typologies, templates: letters, digits, '-', '_', '.'. */
bool tsn_pack_id(struct pack *p, const struct tsn_yaml_node *node, const char *what);
/* Text of at most PACK_TEXT_MAX bytes, copied into the program; NULL if absent or wrong. */
const char *tsn_pack_text(struct pack *p, const struct tsn_yaml_node *node, const char *what);
/* "rule 'x' is declared twice, first on line 7", at the second name. */
void tsn_pack_twice(struct pack *p, const struct tsn_yaml_node *node, const char *what,
                    const struct tsn_yaml_node *first);
bool tsn_pack_mode(struct pack *p, const struct tsn_yaml_node *node, enum tsn_mode *mode);
char *tsn_pack_strdup(struct pack *p, const char *text);

/* events.c: a field of a type by name, with or without "<type>."; says what is
 * wrong and returns TSN_NONE. A broken field is TSN_NONE without a word. */
int tsn_pack_field(struct pack *p, int type, const struct tsn_yaml_node *node, const char *what);
/* An event type by name; the same. */
int tsn_pack_type(struct pack *p, const struct tsn_yaml_node *node, const char *what);
/* Index of an entity kind, added if new. */
int tsn_pack_kind(struct pack *p, const char *name);

/* scope.c: compiles an expression over an event type. `want` may be NULL. Returns
 * TSN_EXPR_NONE after an error, or in silence if it uses something broken. */
uint32_t tsn_pack_expr(struct pack *p, int type, const struct tsn_yaml_node *node,
                       const struct tsn_expr_type *want);
uint32_t tsn_pack_expr_text(struct pack *p, int type, const struct tsn_yaml_expr *text,
                            const struct tsn_expr_type *want);
/* Where a byte of an expression stands in its file. */
struct tsn_place tsn_pack_place(const struct tsn_yaml_expr *text, size_t offset);
/* The text as it was compiled, copied into the program. */
const char *tsn_pack_expr_source(struct pack *p, const struct tsn_yaml_node *node);
/* Does an expression read a list that some rule adds to? Its name, or NULL. */
const char *tsn_pack_reads_written(struct pack *p, int type, uint32_t expr, bool live_only);
/* Adds an expression's cost to a sum; reports a sum over PACK_RULE_COST_MAX. */
void tsn_pack_cost(struct pack *p, int type, uint32_t expr, const struct tsn_yaml_node *node,
                   const char *what, double *sum);

/* money.c: a feature whose expressions are compiled. */
void tsn_pack_warn_of_mixed_currencies(struct pack *p, const struct tsn_feature *f,
                                       const struct tsn_yaml_node *node);

/* rules.c: a list by name at a node, or TSN_NONE; and that the rule adds to it. */
int tsn_pack_list(struct pack *p, const struct tsn_yaml_node *node);
void tsn_pack_list_written(struct pack *p, const struct tsn_rule *rule, int list);

/* for_each.c: an action of `do` that has the key. */
bool tsn_pack_for_each(struct pack *p, int rule, const struct tsn_yaml_node *node,
                       struct tsn_fan *out);
/* Do hits of a rule count in the typology (by id) on the members of a set? */
bool tsn_pack_fans_into(const struct pack *p, int rule, const char *typology);
/* May an event of this type raise the typology's alerts? Its weights are known. */
bool tsn_pack_raises(const struct pack *p, const struct tsn_typology *typology, int type);

/* reason.c */
void tsn_pack_reason(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node);
/* exceptions.c */
void tsn_pack_exceptions(struct pack *p, struct tsn_rule *rule, const struct tsn_yaml_node *node);
/* templates.c: an id of which the pack does not give the text. */
int tsn_pack_template_elsewhere(struct pack *p, const struct tsn_yaml_node *node);
/* typologies.c: a level by name, or TSN_NONE. */
int tsn_pack_level(struct pack *p, const struct tsn_yaml_node *key);
/* actions.c */
void tsn_pack_actions(struct pack *p, struct tsn_typology *typology,
                      const struct tsn_yaml_node *node);

/* pack.c: does this version read the format level? Says so if not. */
void tsn_pack_format(struct pack *p, const struct tsn_yaml_node *node);

/* imports.c: a file that a node names, as it is asked for (from the pack's folder) ... */
const char *tsn_pack_file_name(struct pack *p, const struct tsn_yaml_node *node, const char *name);
/* ... and as messages show it: beside the pack's own path. Outlives the compiler. */
const char *tsn_pack_file_shown(struct pack *p, const char *name);

/* lists.c: the contents of a list file. */
void tsn_pack_list_file(struct pack *p, struct tsn_list *list, enum tsn_type of, const char *name,
                        const struct tsn_yaml_node *node);

/* lint.c: of a pack without errors. */
void tsn_pack_lint(struct pack *p);

/* sentence.c */
const char *tsn_pack_sentence(struct pack *p, const struct tsn_feature *feature);

/* canonical.c: hashes that do not see comments, quotes or white space. */
struct canonical;
uint64_t tsn_pack_hash_node(const struct tsn_yaml_node *node);
void tsn_pack_hash_program(struct pack *p);
uint64_t tsn_pack_feature_identity(struct pack *p, const struct tsn_feature *feature,
                                   const char *where, size_t where_len);
uint64_t tsn_pack_list_version(const struct tsn_list *list, enum tsn_type of);

#endif
