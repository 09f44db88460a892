#include "connectors/file/export.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/file/matrix.h"
#include "connectors/wire/json.h"
#include "rules/must/must.h"

struct tsn_export {
    FILE *alerts;
    FILE *rejects;
    struct tsn_matrix *features; /* or NULL */
    struct tsn_arena arena;      /* of the line at hand */
};

struct tsn_export *tsn_export_new(FILE *alerts, FILE *features, FILE *rejects,
                                  const struct tsn_origin *origins, size_t n_origins)
{
    struct tsn_export *export = calloc(1, sizeof *export);
    TSN_MUST_ALLOC(export);
    export->alerts = alerts;
    export->rejects = rejects;
    export->features = features ? tsn_matrix_new(features, origins, n_origins) : NULL;
    tsn_arena_init(&export->arena, 0);
    return export;
}

void tsn_export_free(struct tsn_export *export)
{
    if (!export) {
        return;
    }
    tsn_matrix_free(export->features);
    tsn_arena_free(&export->arena);
    free(export);
}

void tsn_export_program(struct tsn_export *export, const struct tsn_program *prog)
{
    if (export->features) {
        tsn_matrix_program(export->features, prog);
    }
}

void tsn_export_rows(struct tsn_export *export, const struct tsn_engine *eng,
                     const struct tsn_program *prog, const struct tsn_batch *batch)
{
    if (export->features) {
        tsn_matrix_rows(export->features, eng, prog, batch);
    }
}

void tsn_export_alert(struct tsn_export *export, const struct tsn_message *message)
{
    if (export->alerts) {
        fwrite(message->value, 1, message->len, export->alerts);
        fputc('\n', export->alerts);
    }
}

/* ---- rejects ------------------------------------------------------------------- */

/* Well-formed UTF-8 (Unicode 15, table 3-7). */
static bool is_utf8(const unsigned char *p, size_t len)
{
    size_t i = 0;
    while (i < len) {
        unsigned char c = p[i++];
        if (c < 0x80) {
            continue;
        }
        if (c < 0xc2 || c > 0xf4) {
            return false;
        }
        size_t more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (len - i < more) {
            return false;
        }
        unsigned char least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (p[i] < least || p[i] > most) {
            return false;
        }
        for (size_t k = 1; k < more; k++) {
            if ((p[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += more;
    }
    return true;
}

/* RFC 4648 section 4. */
static struct tsn_str base64(struct tsn_arena *arena, const unsigned char *p, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = tsn_arena_alloc(arena, (len + 2) / 3 * 4 + 1);
    uint32_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16;
        bits |= have > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= have > 2 ? p[i + 2] : 0;
        out[n++] = digits[bits >> 18];
        out[n++] = digits[bits >> 12 & 63];
        out[n++] = have > 1 ? digits[bits >> 6 & 63] : '=';
        out[n++] = have > 2 ? digits[bits & 63] : '=';
    }
    return (struct tsn_str){out, n};
}

void tsn_export_reject(struct tsn_export *export, const char *source, int64_t line,
                       const char *reason, const char *text, const char *bytes, size_t len)
{
    struct tsn_json json;
    if (!export->rejects) {
        return;
    }
    tsn_arena_reset(&export->arena);
    tsn_json_begin(&json, &export->arena);
    tsn_json_open(&json, '{');
    tsn_json_name(&json, "source");
    tsn_json_text(&json, source);
    tsn_json_name(&json, "line");
    tsn_json_int(&json, line);
    tsn_json_name(&json, "reason");
    tsn_json_text(&json, reason);
    tsn_json_name(&json, "text");
    tsn_json_text(&json, text);
    if (is_utf8((const unsigned char *)bytes, len)) {
        tsn_json_name(&json, "record");
        tsn_json_str(&json, (struct tsn_str){bytes, (uint32_t)len});
    } else {
        tsn_json_name(&json, "record_base64");
        tsn_json_str(&json, base64(&export->arena, (const unsigned char *)bytes, len));
    }
    tsn_json_close(&json, '}');
    fwrite(json.p, 1, json.len, export->rejects);
    fputc('\n', export->rejects);
}
