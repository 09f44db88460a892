/* `tocsin eval`: expressions over given values, one JSON request a line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/eval/eval.h"
#include "connectors/failure/failure.h"
#include "connectors/main/commands.h"

enum { COLUMNS_MAX = 65536 };

static const char usage[] =
    "usage: tocsin eval [--columns N]\n"
    "\n"
    "Reads JSON lines from standard input and answers each with one line:\n"
    "  {\"expr\": \"x + 1\", \"bindings\": {\"x\": {\"type\": \"int\", \"value\": 3}}}\n"
    "  {\"type\": \"int\", \"value\": 4}\n"
    "or {\"missing\": true}, or {\"error\": {\"stage\": ..., \"message\": ..., \"column\": ...}}.\n"
    "\n"
    "  --columns N   use the column evaluator over N rows, with every literal lifted\n"
    "                into a column; the answers are the same (1 to 65536)\n";

int tsn_command_eval(int argc, char **argv)
{
    uint32_t n_columns = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            return TSN_EXIT_OK;
        }
        char *end = NULL;
        errno = 0;
        long n =
            strcmp(argv[i], "--columns") == 0 && i + 1 < argc ? strtol(argv[++i], &end, 10) : 0;
        if (errno || !end || *end || n < 1 || n > COLUMNS_MAX) {
            fprintf(stderr, "tocsin eval: cannot use '%s'\n%s", argv[i], usage);
            return TSN_EXIT_USAGE;
        }
        n_columns = (uint32_t)n;
    }
    tsn_eval_stream(stdin, n_columns, stdout);
    return TSN_EXIT_OK;
}
