/* Pack, key `imports`: a pack in several files.
 *
 * An import is taken as if its blocks stood in the pack, above the blocks of the file
 * that imports it: trees are joined, and every phase after this sees one pack. What is
 * refused and what is hashed therefore do not know of imports, and a pack that is split
 * into files keeps its hash if nothing changes places. The alternative, a program for
 * each file and a linker for names, would have to say what a feature's order is across
 * files; here it is the order of the text.
 *
 * Files are named relative to the file that names them and stay below the pack's
 * folder: what the caller's tsn_pack_open is asked for is always the path from there,
 * without `.` and `..`, so one file has one name and a published program can hold it
 * under that name. A file that several others import is taken once, where it is first
 * needed. */
#include <stdlib.h>
#include <string.h>

#include "rules/must/must.h"
#include "rules/pack/compile.h"

enum {
    IMPORT_FILES_MAX = 64,                     /* the pack included: more is a program */
    IMPORT_DEPTH_MAX = 8,                      /* a reader has to follow it too */
    IMPORT_BYTES_MAX = 4 * TSN_YAML_BYTES_MAX, /* of all files together */
};

struct file {
    const char *name;               /* from the pack's folder */
    const struct tsn_yaml_node *at; /* the item that first named it; NULL: the pack */
    const struct tsn_yaml_node *root;
    int importer; /* whose item that is */
    bool is_open; /* what it imports is being read */
};

struct importer {
    struct pack *p;
    struct file files[IMPORT_FILES_MAX];
    int n;
    int order[IMPORT_FILES_MAX]; /* what is imported before what imports it */
    int n_ordered;
    size_t bytes;
    bool failed; /* names that a missing file declares would all be unknown: stop */
};

/* ---- names of files --------------------------------------------------------------- */

/* `name` as it is written in the file `from`, as a path from the pack's folder without
 * empty parts, `.` and, where it stays below, `..`. */
static char *path_from(struct tsn_arena *arena, const char *from, const char *name)
{
    const char *slash = strrchr(from, '/');
    size_t folder = slash && name[0] != '/' ? (size_t)(slash - from) + 1 : 0;
    char *whole = tsn_arena_printf(arena, "%.*s%s", (int)folder, from, name);
    size_t used = 0;
    for (const char *part = whole; *part;) {
        size_t len = strcspn(part, "/");
        const char *next = part + len + (part[len] == '/');
        if (len == 2 && part[0] == '.' && part[1] == '.') {
            size_t last = used;
            while (last > 0 && whole[last - 1] != '/') {
                last--;
            }
            bool is_up = used - last == 2 && whole[last] == '.' && whole[last + 1] == '.';
            if (used > 0 && !is_up) {
                used = last > 0 ? last - 1 : 0;
                part = next;
                continue;
            }
        }
        if (len > 0 && !(len == 1 && part[0] == '.')) {
            if (used > 0) {
                whole[used++] = '/';
            }
            memmove(whole + used, part, len);
            used += len;
        }
        part = next;
    }
    whole[used] = '\0';
    return whole;
}

const char *tsn_pack_file_name(struct pack *p, const struct tsn_yaml_node *node, const char *name)
{
    if (node->source == 0 || name[0] == '/') {
        return name; /* the pack's own names are asked for as they are written */
    }
    return path_from(&p->scratch, p->source_names[node->source], name);
}

const char *tsn_pack_file_shown(struct pack *p, const char *name)
{
    const char *pack = p->doc->sources[0]->file;
    const char *slash = strrchr(pack, '/');
    int folder = slash && name[0] != '/' ? (int)(slash - pack) + 1 : 0;
    return tsn_arena_printf(&p->diags->arena, "%.*s%s", folder, pack, name);
}

static bool ends_as_yaml(const char *name)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t end = strlen(ends[i]);
        if (len > end && strcmp(name + len - end, ends[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The file that an item names; NULL after saying why not. */
static const char *file_named(struct importer *in, int from, const struct tsn_yaml_node *item)
{
    struct pack *p = in->p;
    const char *text = NULL;
    if (!tsn_yaml_text(p->doc, item, "an import", &text)) {
        return NULL;
    }
    if (text[0] == '/') {
        tsn_yaml_error(p->doc, item, "write the path from this file's folder",
                       "an import is no absolute path");
        return NULL;
    }
    if (!ends_as_yaml(text)) {
        tsn_yaml_error(p->doc, item, "values of a list belong under lists: { <name>: { file: } }",
                       "an import is a YAML file: its name ends in .yaml, .yml or .json");
        return NULL;
    }
    const char *name = path_from(&p->scratch, in->files[from].name, text);
    if (strncmp(name, "../", 3) == 0) {
        tsn_yaml_error(p->doc, item, "move the file beside the pack, or the pack above both",
                       "an import must stay in the pack's folder");
        return NULL;
    }
    return name;
}

/* ---- reading ----------------------------------------------------------------------- */

static void check_keys(struct importer *in, const struct tsn_yaml_node *root)
{
    static const char *const known[] = {"format",    "owner",     "description", "imports",
                                        "events",    "lists",     "rules",       "features",
                                        "templates", "typologies"};
    static const char *const of_pack[] = {"pack", "version", "timezone", "mode"};
    struct pack *p = in->p;
    enum { N_KNOWN = sizeof known / sizeof known[0], N_OF = sizeof of_pack / sizeof of_pack[0] };
    const char *all[N_KNOWN + N_OF];
    memcpy(all, known, sizeof known);
    memcpy(all + N_KNOWN, of_pack, sizeof of_pack);
    tsn_yaml_check_keys(p->doc, root, "an imported file", all, N_KNOWN + N_OF);
    for (int i = 0; i < N_OF; i++) {
        const struct tsn_yaml_node *value = tsn_yaml_get(root, of_pack[i]);
        if (value) {
            tsn_yaml_error(p->doc, value, "leave it out here: an imported file is a part of a pack",
                           "'%s' is said in the pack that imports this file", of_pack[i]);
        }
    }
    tsn_pack_format(p, tsn_yaml_get(root, "format"));
}

/* The tree of a file, or NULL after saying why not. */
static const struct tsn_yaml_node *read_file(struct importer *in, const char *name,
                                             const struct tsn_yaml_node *item)
{
    struct pack *p = in->p;
    const char *why = NULL;
    size_t len = 0;
    char *text = p->open ? p->open(p->user, name, &len, &why) : NULL;
    if (!text) {
        tsn_yaml_error(p->doc, item, "the name is taken relative to the folder of this file",
                       "the import '%.200s' cannot be read: %s", item->text,
                       why ? why : "files cannot be read here");
        return NULL;
    }
    const struct tsn_yaml_node *root = NULL;
    in->bytes += len;
    if (len > TSN_YAML_BYTES_MAX) {
        tsn_yaml_error(p->doc, item, "move long lists of values into list files",
                       "the import '%.200s' has %zu bytes; at most %d are read", item->text, len,
                       TSN_YAML_BYTES_MAX);
    } else if (in->bytes > IMPORT_BYTES_MAX) {
        tsn_yaml_error(p->doc, item, "move long lists of values into list files",
                       "the pack and its imports have more than %d bytes", IMPORT_BYTES_MAX);
    } else {
        root = tsn_yaml_add(p->doc, tsn_pack_file_shown(p, name), text, len);
    }
    free(text);
    if (root && !tsn_yaml_is_map(p->doc, root, "an imported file")) {
        root = NULL;
    }
    return root;
}

/* "a.yaml -> b.yaml -> a.yaml", from the file that is met again. */
static const char *chain_of(struct importer *in, int from, int again)
{
    struct tsn_arena *arena = &in->p->scratch;
    const char *chain = in->files[again].name;
    for (int at = from; at != again; at = in->files[at].importer) {
        chain = tsn_arena_printf(arena, "%s -> %s", in->files[at].name, chain);
    }
    return tsn_arena_printf(arena, "%s -> %s", in->files[again].name, chain);
}

static void refuse_cycle(struct importer *in, int from, const struct tsn_yaml_node *item, int again)
{
    struct pack *p = in->p;
    const struct file *file = &in->files[again];
    const char *where = file->at ? tsn_arena_printf(&p->scratch, "; it is first imported %s",
                                                    tsn_yaml_where(p->doc, item, file->at))
                                 : "";
    tsn_yaml_error(p->doc, item, "move what both need into a file of its own",
                   "'%.200s' imports itself: %.600s%.400s", file->name, chain_of(in, from, again),
                   where);
}

static int find_file(const struct importer *in, const char *name)
{
    int at = 0;
    while (at < in->n && strcmp(in->files[at].name, name) != 0) {
        at++;
    }
    return at < in->n ? at : TSN_NONE;
}

static void read_imports(struct importer *in, int from, int depth);

static void read_import(struct importer *in, int from, const struct tsn_yaml_node *item, int depth)
{
    struct pack *p = in->p;
    const char *name = file_named(in, from, item);
    int known = name ? find_file(in, name) : TSN_NONE;
    if (known != TSN_NONE) {
        struct file *file = &in->files[known];
        if (file->is_open) {
            refuse_cycle(in, from, item, known);
            in->failed = true;
        } else if (file->importer == from) {
            tsn_yaml_error(p->doc, item, "leave it out here",
                           "'%.200s' is imported twice, first %s", item->text,
                           tsn_yaml_where(p->doc, item, file->at));
        }
        return;
    }
    if (name && depth == IMPORT_DEPTH_MAX) {
        tsn_yaml_error(p->doc, item, "import it from the pack itself",
                       "imports nested deeper than %d files", IMPORT_DEPTH_MAX);
        name = NULL;
    }
    if (name && in->n == IMPORT_FILES_MAX) {
        tsn_yaml_error(p->doc, item, "join some of them", "a pack of more than %d files",
                       IMPORT_FILES_MAX);
        name = NULL;
    }
    const struct tsn_yaml_node *root = name ? read_file(in, name, item) : NULL;
    if (!root) {
        in->failed = true;
        return;
    }
    check_keys(in, root);
    p->source_names[root->source] = name;
    in->files[in->n] = (struct file){.name = name, .at = item, .root = root, .importer = from};
    read_imports(in, in->n++, depth + 1);
}

/* Recursion is bounded by IMPORT_DEPTH_MAX. */
static void read_imports(struct importer *in, int from, int depth)
{
    const struct tsn_yaml_node *items = tsn_yaml_get(in->files[from].root, "imports");
    in->files[from].is_open = true;
    if (tsn_yaml_is_sequence(in->p->doc, items, "'imports'")) {
        for (uint32_t i = 0; i < items->n; i++) {
            read_import(in, from, &items->items[i], depth);
        }
    }
    in->files[from].is_open = false;
    in->order[in->n_ordered++] = from;
}

/* ---- joining ----------------------------------------------------------------------- */

static const struct {
    const char *key;
    const char *what; /* of a map: what its keys are */
} blocks[] = {
    {"events", "event type"}, {"lists", "list"},         {"features", NULL},
    {"rules", NULL},          {"templates", "template"}, {"typologies", NULL},
};

enum { N_BLOCKS = sizeof blocks / sizeof blocks[0] };

static bool is_block(const char *key)
{
    for (size_t i = 0; i < N_BLOCKS; i++) {
        if (strcmp(key, blocks[i].key) == 0) {
            return true;
        }
    }
    return false;
}

/* The pairs or items of a block that several files have, in their order. A name that
 * two files declare is refused here if the block is a map; names of list items are
 * compared by their own phases. */
struct joined {
    struct tsn_yaml_node node;
    struct tsn_yaml_pair *pairs;
    struct tsn_yaml_node *items;
    struct names names;
};

static void join_pairs(struct importer *in, struct joined *out, const struct tsn_yaml_node *node,
                       const char *what)
{
    struct pack *p = in->p;
    uint32_t first_here = out->node.n;
    for (uint32_t i = 0; i < node->n; i++) {
        const struct tsn_yaml_pair *pair = &node->pairs[i];
        int at = tsn_names_add(&out->names, pair->key.text);
        if (at != TSN_NONE) {
            out->pairs[out->node.n++] = *pair;
            continue;
        }
        int first = tsn_names_find(&out->names, pair->key.text);
        if ((uint32_t)first < first_here) { /* else said as a duplicate key */
            tsn_pack_twice(p, &pair->key, what, &out->pairs[first].key);
        }
    }
}

/* A block of all files; NULL if none has it. A node of the wrong kind is left to the
 * phase that knows the block, which will say so. */
static const struct tsn_yaml_node *join_block(struct importer *in, const char *key,
                                              const char *what)
{
    struct pack *p = in->p;
    const struct tsn_yaml_node *nodes[IMPORT_FILES_MAX];
    int n_nodes = 0;
    uint32_t n = 0;
    for (int i = 0; i < in->n_ordered; i++) {
        const struct tsn_yaml_node *node = tsn_yaml_get(in->files[in->order[i]].root, key);
        if (node && node->kind != (what ? TSN_YAML_MAP : TSN_YAML_SEQUENCE)) {
            return node;
        }
        if (node) {
            nodes[n_nodes++] = node;
            n += node->n;
        }
    }
    if (n_nodes < 2) {
        return n_nodes ? nodes[0] : NULL;
    }
    struct joined *out = tsn_arena_zalloc(&p->scratch, 1, sizeof *out);
    out->node = *nodes[0];
    out->node.n = 0;
    out->pairs = tsn_arena_alloc(&p->scratch, what ? n * sizeof *out->pairs + 1 : 1);
    out->items = tsn_arena_alloc(&p->scratch, what ? 1 : n * sizeof *out->items + 1);
    for (int k = 0; k < n_nodes; k++) {
        if (what) {
            join_pairs(in, out, nodes[k], what);
        } else if (nodes[k]->n) {
            memcpy(out->items + out->node.n, nodes[k]->items, nodes[k]->n * sizeof *out->items);
            out->node.n += nodes[k]->n;
        }
    }
    if (what) {
        out->node.pairs = out->pairs;
    } else {
        out->node.items = out->items;
    }
    tsn_names_free(&out->names);
    return &out->node;
}

/* The pack's own tree with the joined blocks in it, in the places where the pack has
 * them, the others at the end. */
static void join(struct importer *in)
{
    struct pack *p = in->p;
    const struct tsn_yaml_node *old = p->doc->root;
    struct tsn_yaml_node *root = tsn_arena_alloc(&p->scratch, sizeof *root);
    struct tsn_yaml_pair *pairs =
        tsn_arena_zalloc(&p->scratch, (size_t)old->n + N_BLOCKS, sizeof *pairs);
    *root = *old;
    root->n = 0;
    root->pairs = pairs;
    bool done[N_BLOCKS] = {false};
    for (uint32_t i = 0; i < old->n; i++) {
        const char *key = old->pairs[i].key.text;
        if (strcmp(key, "imports") == 0) {
            continue;
        }
        pairs[root->n] = old->pairs[i];
        for (size_t b = 0; b < N_BLOCKS && is_block(key); b++) {
            if (strcmp(key, blocks[b].key) == 0) {
                pairs[root->n].value = *join_block(in, key, blocks[b].what);
                done[b] = true;
            }
        }
        root->n++;
    }
    for (size_t b = 0; b < N_BLOCKS; b++) {
        const struct tsn_yaml_node *node =
            done[b] ? NULL : join_block(in, blocks[b].key, blocks[b].what);
        if (node) {
            struct tsn_yaml_node key = *root;
            key.kind = TSN_YAML_SCALAR;
            key.text = blocks[b].key;
            key.n = (uint32_t)strlen(blocks[b].key);
            pairs[root->n++] = (struct tsn_yaml_pair){key, *node};
        }
    }
    p->doc->root = root;
}

bool tsn_pack_imports(struct pack *p)
{
    p->source_names = tsn_arena_zalloc(&p->scratch, IMPORT_FILES_MAX, sizeof *p->source_names);
    if (!tsn_yaml_get(p->doc->root, "imports")) {
        return true;
    }
    struct importer *in = tsn_arena_zalloc(&p->scratch, 1, sizeof *in);
    in->p = p;
    const char *pack = p->doc->sources[0]->file;
    const char *slash = strrchr(pack, '/');
    p->source_names[0] = slash ? slash + 1 : pack;
    in->bytes = p->doc->sources[0]->len;
    in->files[in->n++] = (struct file){.name = p->source_names[0], .root = p->doc->root};
    read_imports(in, 0, 0);
    if (!in->failed) {
        join(in);
    }
    return !in->failed;
}
