#include "rules/diag/diag.h"

#include <stdlib.h>
#include <string.h>

#include "rules/column/column.h"
#include "rules/must/must.h"

void tsn_diags_init(struct tsn_diags *diags)
{
    *diags = (struct tsn_diags){.max = TSN_DIAGS_MAX};
    tsn_arena_init(&diags->arena, 4096);
}

void tsn_diags_free(struct tsn_diags *diags)
{
    tsn_arena_free(&diags->arena);
    free(diags->items);
    *diags = (struct tsn_diags){0};
}

/* Line `line` of the text, without its end. */
static struct tsn_str line_of(const char *text, size_t len, uint32_t line)
{
    const char *end = text + len;
    for (uint32_t at = 1; at < line; at++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        if (!newline) {
            return (struct tsn_str){0};
        }
        text = newline + 1;
    }
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    size_t n = (size_t)((newline ? newline : end) - text);
    if (n && text[n - 1] == '\r') {
        n--;
    }
    return (struct tsn_str){text, (uint32_t)n};
}

/* A longer line is cut: a pack may be one line of a megabyte. */
enum { SOURCE_LINE_MAX = 240 };

static const char *source_copy(struct tsn_diags *diags, const char *text, size_t len,
                               struct tsn_place place)
{
    if (!text || place.line == 0) {
        return NULL;
    }
    struct tsn_str line = line_of(text, len, place.line);
    if (!line.p || line.len > SOURCE_LINE_MAX) {
        return NULL;
    }
    return tsn_arena_strdup(&diags->arena, line.p, line.len);
}

void tsn_diags_add(struct tsn_diags *diags, enum tsn_severity severity, struct tsn_place place,
                   const char *text, size_t text_len, const char *advice, const char *format, ...)
{
    if (severity == TSN_SEVERITY_ERROR) {
        diags->n_errors++;
    }
    if (diags->n >= diags->max) {
        diags->n_dropped++;
        return;
    }
    if (diags->n == diags->cap) {
        diags->cap = diags->cap ? diags->cap * 2 : 8;
        diags->items = realloc(diags->items, diags->cap * sizeof *diags->items);
        TSN_MUST_ALLOC(diags->items);
    }
    va_list args;
    va_start(args, format);
    char message[1024];
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    TSN_MUST(n >= 0);
    size_t length = (size_t)n < sizeof message ? (size_t)n : sizeof message - 1;
    diags->items[diags->n++] = (struct tsn_diag){
        .severity = severity,
        .place = place,
        .message = tsn_arena_strdup(&diags->arena, message, length),
        .advice = advice ? tsn_arena_strdup(&diags->arena, advice, strlen(advice)) : NULL,
        .source = source_copy(diags, text, text_len, place),
    };
}

void tsn_diags_move(struct tsn_diags *diags, size_t item, struct tsn_place place, const char *text,
                    size_t text_len)
{
    TSN_MUST(item < diags->n);
    struct tsn_diag *d = &diags->items[item];
    if (place.line != d->place.line) {
        d->source = source_copy(diags, text, text_len, place);
    }
    d->place = place;
}

/* The caret stands under the column; tabs of the line are kept so that it does. */
static void caret_print(const char *source, uint32_t column, FILE *out)
{
    fprintf(out, "    %s\n    ", source);
    uint32_t at = 1;
    for (const unsigned char *p = (const unsigned char *)source; *p && at < column; p++) {
        if ((*p & 0xC0) != 0x80) {
            fputc(*p == '\t' ? '\t' : ' ', out);
            at++;
        }
    }
    fprintf(out, "^\n");
}

static int by_place(const void *a, const void *b)
{
    const struct tsn_diag *x = *(const struct tsn_diag *const *)a;
    const struct tsn_diag *y = *(const struct tsn_diag *const *)b;
    int file = strcmp(x->place.file ? x->place.file : "", y->place.file ? y->place.file : "");
    if (file != 0) {
        return file;
    }
    if (x->place.line != y->place.line) {
        return x->place.line < y->place.line ? -1 : 1;
    }
    if (x->place.column != y->place.column) {
        return x->place.column < y->place.column ? -1 : 1;
    }
    return x < y ? -1 : 1; /* as found */
}

void tsn_diags_print(const struct tsn_diags *diags, FILE *out)
{
    const struct tsn_diag **sorted = malloc((diags->n ? diags->n : 1) * sizeof *sorted);
    TSN_MUST_ALLOC(sorted);
    for (size_t i = 0; i < diags->n; i++) {
        sorted[i] = &diags->items[i];
    }
    qsort(sorted, diags->n, sizeof *sorted, by_place);
    for (size_t i = 0; i < diags->n; i++) {
        const struct tsn_diag *d = sorted[i];
        if (d->place.file) {
            fprintf(out, "%s:", d->place.file);
        }
        if (d->place.line) {
            fprintf(out, "%u:%u:", (unsigned)d->place.line, (unsigned)d->place.column);
        }
        fprintf(out, "%s%s: %s\n", d->place.file ? " " : "",
                d->severity == TSN_SEVERITY_ERROR ? "error" : "warning", d->message);
        if (d->source) {
            caret_print(d->source, d->place.column, out);
        }
        if (d->advice) {
            fprintf(out, "    %s\n", d->advice);
        }
    }
    if (diags->n_dropped) {
        fprintf(out, "... and %zu more\n", diags->n_dropped);
    }
    free(sorted);
}

enum { NAME_MAX_LEN = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment distance: Damerau-Levenshtein without a second edit of
 * a swapped pair. */
static size_t name_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NAME_MAX_LEN + 1];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3];
        const size_t *up = rows[(i - 1) % 3];
        const size_t *up2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < now[j]) {
                now[j] = up2[j - 2] + 1;
            }
        }
    }
    return rows[a_len % 3][b_len];
}

const char *tsn_nearest_name(const char *wrong, const char *const *names, size_t n_names)
{
    size_t wrong_len = strlen(wrong);
    if (wrong_len == 0 || wrong_len > NAME_MAX_LEN) {
        return NULL;
    }
    size_t allowed = wrong_len / 3 ? wrong_len / 3 : 1;
    const char *nearest = NULL;
    size_t least = allowed + 1;
    for (size_t i = 0; i < n_names; i++) {
        size_t len = strlen(names[i]);
        if (len == 0 || len > NAME_MAX_LEN) {
            continue;
        }
        size_t distance = name_distance(wrong, wrong_len, names[i], len);
        if (distance < least) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

const char *tsn_article(const char *noun)
{
    return noun[0] && strchr("aeio", noun[0]) ? "an" : "a"; /* u: a uint */
}
