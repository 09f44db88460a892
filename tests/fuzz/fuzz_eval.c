/* Any bytes as a line of `tocsin eval`: one line comes back, rows and columns answer
 * the same, and a value that was given is itself a binding that reads as that value. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/eval/eval.h"
#include "rules/must/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *answer(const char *line, size_t len, uint32_t n_columns)
{
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    TSN_MUST_ALLOC(out);
    tsn_eval_line(line, len, n_columns, out);
    fclose(out);
    TSN_MUST(text_len > 1 && memchr(text, '\n', text_len) == text + text_len - 1);
    return text;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *rows = answer((const char *)data, size, 0);
    char *columns = answer((const char *)data, size, 2);
    TSN_MUST(strcmp(rows, columns) == 0);
    if (begins(rows, "{\"type\"")) {
        char *request = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&request, &len);
        TSN_MUST_ALLOC(out);
        fprintf(out, "{\"expr\": \"x\", \"bindings\": {\"x\": %s}}", rows);
        fclose(out);
        char *again = answer(request, len, 0);
        bool too_deep = begins(again, "{\"error\": {\"stage\": \"input\"");
        TSN_MUST(strcmp(again, rows) == 0 || (too_deep && strstr(rows, "[[[[[[[[[[[[[[[[[")));
        free(again);
        free(request);
    } else {
        TSN_MUST(begins(rows, "{\"error\"") || begins(rows, "{\"missing\": true}"));
    }
    free(rows);
    free(columns);
    return 0;
}
