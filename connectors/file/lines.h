/* Lines: a file of newline-JSON, in big blocks, with the numbers an editor shows.
 *
 * A line ends with LF or CRLF; the last one may end with the file. Empty lines are
 * counted and skipped. Blocks are read() into one buffer that grows only for a
 * line longer than it: getline would copy every line once more, and mmap cannot
 * read standard input and turns a shortened file into SIGBUS.
 */
#ifndef TSN_CONNECTORS_FILE_LINES_H
#define TSN_CONNECTORS_FILE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/failure/failure.h"

/* A longer line is given cut to this length: longer than any record may be
 * (sources.max_bytes is at most 16 MiB), so it is a reject with its beginning. */
enum { TSN_LINE_MAX = (16 << 20) + 1 };

struct tsn_line {
    const char *bytes; /* until the next call */
    size_t len;
    int64_t number; /* physical, from 1 */
};

struct tsn_lines;

/* "-" is standard input. NULL with a failure that names the path. */
struct tsn_lines *tsn_lines_open(const char *path, struct tsn_failure *failure);
void tsn_lines_close(struct tsn_lines *lines);

/* While `fd` is readable, a read that might wait fails with RETRY instead; nothing is lost.
 * Regular files never wait. */
void tsn_lines_stop_by(struct tsn_lines *lines, int fd);

/* False at the end, or with a failure (remedy not NONE) if reading failed. */
bool tsn_lines_next(struct tsn_lines *lines, struct tsn_line *line, struct tsn_failure *failure);

/* Bytes taken so far, and of the whole file (0: unknown, as of a pipe). */
uint64_t tsn_lines_done(const struct tsn_lines *lines);
uint64_t tsn_lines_total(const struct tsn_lines *lines);
/* Physical lines seen so far. */
int64_t tsn_lines_count(const struct tsn_lines *lines);

#endif
