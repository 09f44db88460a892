/* Packs: the door. Runs the phases of the compiler over a text, and either hands out
 * a frozen program or nothing but messages. See compile.h for the order. */
#include "rules/pack/pack.h"

#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"
#include "rules/pack/compile.h"

enum { PACK_FORMAT = 1 };

/* ---- top level ------------------------------------------------------------------ */

void tsn_pack_format(struct pack *p, const struct tsn_yaml_node *node)
{
    int64_t format = PACK_FORMAT;
    if (tsn_yaml_int(p->doc, node, "'format'", 1, INT32_MAX, &format) && format > PACK_FORMAT) {
        tsn_yaml_error(p->doc, node, "use a newer tocsin",
                       "the pack needs format %lld; this one reads %d", (long long)format,
                       PACK_FORMAT);
    }
}

static void head(struct pack *p)
{
    static const char *const known[] = {"format",   "pack",    "version",     "timezone",  "owner",
                                        "mode",     "imports", "description", "events",    "lists",
                                        "features", "rules",   "templates",   "typologies"};
    struct tsn_program *prog = p->prog;
    const struct tsn_yaml_node *root = p->doc->root;
    tsn_yaml_check_keys(p->doc, root, "a pack", known, sizeof known / sizeof known[0]);
    tsn_pack_format(p, tsn_yaml_get(root, "format"));
    const struct tsn_yaml_node *name = tsn_yaml_get(root, "pack");
    prog->pack = "";
    if (!name) {
        tsn_yaml_error(p->doc, root, "write pack: <name>", "the pack has no name");
    } else if (tsn_pack_id(p, name, "pack name")) {
        prog->pack = tsn_pack_strdup(p, name->text);
    }
    tsn_yaml_int(p->doc, tsn_yaml_get(root, "version"), "'version'", 0, INT64_MAX, &prog->version);
    tsn_pack_mode(p, tsn_yaml_get(root, "mode"), &prog->mode);
    prog->timezone = "UTC";
    const struct tsn_yaml_node *zone = tsn_yaml_get(root, "timezone");
    const char *zone_text = NULL;
    if (tsn_yaml_text(p->doc, zone, "'timezone'", &zone_text)) {
        if (tsn_expr_zone_known(zone_text)) {
            prog->timezone = tsn_pack_strdup(p, zone_text);
        } else {
            tsn_yaml_error(p->doc, zone, "write a name such as Europe/Dublin, or +08:00",
                           "there is no time zone '%.80s' on this system", zone_text);
        }
    }
    const char *owner = NULL;
    tsn_yaml_text(p->doc, tsn_yaml_get(root, "owner"), "'owner'", &owner);
}

/* ---- life ------------------------------------------------------------------------- */

static struct tsn_program *program_new(void)
{
    struct tsn_program *prog = calloc(1, sizeof *prog);
    TSN_MUST_ALLOC(prog);
    tsn_arena_init(&prog->memory, 0);
    return prog;
}

void tsn_program_free(struct tsn_program *prog)
{
    if (!prog) {
        return;
    }
    for (int i = 0; i < prog->n_types; i++) {
        if (prog->types[i].exprs) {
            tsn_expr_set_free(prog->types[i].exprs);
        }
    }
    for (int i = 0; i < prog->n_lists; i++) {
        tsn_list_free((struct tsn_list *)(uintptr_t)prog->lists[i].initial);
    }
    tsn_arena_free(&prog->memory);
    free(prog);
}

static void pack_free(struct pack *p)
{
    for (int i = 0; i < p->prog->n_types; i++) {
        tsn_names_free(&p->types[i].field_names);
    }
    struct names *all[] = {&p->type_names, &p->kind_names, &p->list_names,     &p->feature_names,
                           &p->broken,     &p->rule_names, &p->template_names, &p->typology_names};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        tsn_names_free(all[i]);
    }
    tsn_arena_free(&p->scratch);
}

/* ---- the end ----------------------------------------------------------------------- */

static void rules_of_types(struct pack *p)
{
    for (int t = 0; t < p->prog->n_types; t++) {
        struct tsn_event_type *type = (struct tsn_event_type *)(uintptr_t)&p->prog->types[t];
        int n = 0;
        for (int i = 0; i < p->prog->n_rules; i++) {
            n += p->rules[i].event == t;
        }
        int *rules = tsn_arena_alloc(p->mem, ((size_t)n + 1) * sizeof *rules);
        for (int i = 0; i < p->prog->n_rules; i++) {
            if (p->rules[i].event == t) {
                rules[type->n_rules++] = i;
            }
        }
        type->rules = rules;
    }
}

static void entity_kinds(struct pack *p)
{
    const char **kinds = tsn_arena_alloc(p->mem, (p->kind_names.n + 1) * sizeof *kinds);
    for (uint32_t i = 0; i < p->kind_names.n; i++) {
        kinds[i] = p->kind_names.items[i];
    }
    p->prog->n_entity_kinds = (int)p->kind_names.n;
    p->prog->entity_kinds = kinds;
}

static void finish(struct pack *p)
{
    rules_of_types(p);
    entity_kinds(p);
    for (int i = 0; i < p->prog->n_features; i++) {
        p->feature_out[i].sentence = tsn_pack_sentence(p, &p->feature_out[i]);
    }
    for (int t = 0; t < p->prog->n_types; t++) {
        tsn_expr_set_freeze(p->types[t].set);
    }
    tsn_pack_hash_program(p);
}

static void compile(struct pack *p)
{
    head(p);
    if (!tsn_pack_imports(p)) {
        return;
    }
    tsn_pack_events(p);
    tsn_pack_lists(p);
    tsn_pack_features(p);
    tsn_pack_scopes(p);
    tsn_pack_rules(p);
    tsn_pack_templates(p);
    tsn_pack_typologies(p);
    tsn_pack_fans(p);
    if (p->cost > PACK_COST_MAX) {
        tsn_yaml_error(p->doc, p->doc->root, "split the pack, or move shared work into features",
                       "the pack costs %.0f units an event; at most %d", p->cost, PACK_COST_MAX);
    }
}

struct tsn_program *tsn_pack_compile(const char *file, const char *text, size_t len,
                                     tsn_pack_open *open_file, void *user, struct tsn_diags *diags)
{
    return tsn_pack_check(file, text, len, open_file, user, 0, diags);
}

struct tsn_program *tsn_pack_check(const char *file, const char *text, size_t len,
                                   tsn_pack_open *open_file, void *user, unsigned lints,
                                   struct tsn_diags *diags)
{
    size_t errors_before = diags->n_errors;
    /* Messages outlive this call, the caller's name of the file need not. */
    const char *name = tsn_arena_strdup(&diags->arena, file, strlen(file));
    struct tsn_yaml *doc = tsn_yaml_parse(name, text, len, diags);
    if (!doc) {
        return NULL;
    }
    if (!tsn_yaml_is_map(doc, doc->root, "a pack")) {
        tsn_yaml_free(doc);
        return NULL;
    }
    struct tsn_program *prog = program_new();
    struct pack p = {.doc = doc,
                     .diags = diags,
                     .prog = prog,
                     .mem = &prog->memory,
                     .open = open_file,
                     .user = user,
                     .lints = lints};
    tsn_arena_init(&p.scratch, 0);
    compile(&p);
    bool ok = diags->n_errors == errors_before;
    if (ok) {
        if (lints & TSN_PACK_LINT) {
            tsn_pack_lint(&p);
        }
        finish(&p);
    }
    pack_free(&p);
    tsn_yaml_free(doc);
    if (!ok) {
        tsn_program_free(prog);
        return NULL;
    }
    return prog;
}
