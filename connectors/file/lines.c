#include "connectors/file/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules/must/must.h"

enum { BLOCK_BYTES = 1 << 20 };

struct tsn_lines {
    int fd;
    int stop_fd;      /* -1: none */
    const char *path; /* borrowed */
    char *buffer;
    size_t cap;
    size_t start; /* of what is not taken yet */
    size_t end;
    bool at_end;
    bool rest; /* of a line that was cut: to be dropped */
    int64_t number;
    uint64_t done;
    uint64_t total;
};

struct tsn_lines *tsn_lines_open(const char *path, struct tsn_failure *failure)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "input '%s' cannot be opened: %s", path,
                 strerror(errno));
        if (fd > STDIN_FILENO) {
            close(fd);
        }
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "input '%s' is a folder; name a file of lines", path);
        if (!standard) {
            close(fd);
        }
        return NULL;
    }
    struct tsn_lines *lines = calloc(1, sizeof *lines);
    TSN_MUST_ALLOC(lines);
    lines->fd = fd;
    lines->stop_fd = -1;
    lines->path = path;
    lines->cap = BLOCK_BYTES;
    lines->buffer = malloc(lines->cap);
    TSN_MUST_ALLOC(lines->buffer);
    lines->total = S_ISREG(st.st_mode) && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    return lines;
}

void tsn_lines_close(struct tsn_lines *lines)
{
    if (!lines) {
        return;
    }
    if (lines->fd != STDIN_FILENO) {
        close(lines->fd);
    }
    free(lines->buffer);
    free(lines);
}

void tsn_lines_stop_by(struct tsn_lines *lines, int fd)
{
    lines->stop_fd = fd;
}

/* A pipe may stay silent for ever: waits for it or for the wish to stop. */
static bool wait_for_bytes(const struct tsn_lines *lines, struct tsn_failure *failure)
{
    struct pollfd fds[2] = {{lines->fd, POLLIN, 0}, {lines->stop_fd, POLLIN, 0}};
    int n;
    do {
        n = poll(fds, 2, -1);
    } while (n < 0 && errno == EINTR);
    return !(fds[1].revents & POLLIN) || tsn_fail(failure, TSN_REMEDY_RETRY, "interrupted");
}

/* Reads more behind what is there. False when reading failed. */
static bool fill(struct tsn_lines *lines, struct tsn_failure *failure)
{
    if (lines->start > 0) {
        memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    if (lines->end == lines->cap) {
        lines->cap *= 2;
        lines->buffer = realloc(lines->buffer, lines->cap);
        TSN_MUST_ALLOC(lines->buffer);
    }
    if (lines->stop_fd >= 0 && lines->total == 0 && !wait_for_bytes(lines, failure)) {
        return false;
    }
    ssize_t n;
    do {
        n = read(lines->fd, lines->buffer + lines->end, lines->cap - lines->end);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return tsn_fail(failure, TSN_REMEDY_FATAL, "input '%s' cannot be read: %s", lines->path,
                        strerror(errno));
    }
    lines->at_end = n == 0;
    lines->end += (size_t)n;
    return true;
}

/* Drops bytes up to and including the next LF: the rest of a line that was cut. */
static bool drop_rest(struct tsn_lines *lines, struct tsn_failure *failure)
{
    for (;;) {
        char *p = lines->buffer + lines->start;
        char *newline = memchr(p, '\n', lines->end - lines->start);
        size_t n = newline ? (size_t)(newline - p) + 1 : lines->end - lines->start;
        lines->start += n;
        lines->done += n;
        if (newline || lines->at_end) {
            return true;
        }
        if (!fill(lines, failure)) {
            return false;
        }
    }
}

/* Length of the line at start, its LF not counted; SIZE_MAX: none is whole yet. */
static size_t whole_line(const struct tsn_lines *lines, size_t *searched)
{
    size_t have = lines->end - lines->start;
    const char *p = lines->buffer + lines->start;
    const char *newline = memchr(p + *searched, '\n', have - *searched);
    *searched = have;
    if (newline) {
        return (size_t)(newline - p);
    }
    return lines->at_end && have > 0 ? have : SIZE_MAX;
}

/* One physical line. The bytes stay where they are until the next fill. */
static bool take(struct tsn_lines *lines, struct tsn_line *line, struct tsn_failure *failure)
{
    size_t searched = 0, len;
    while ((len = whole_line(lines, &searched)) == SIZE_MAX || len > TSN_LINE_MAX) {
        if (searched >= TSN_LINE_MAX) {
            len = TSN_LINE_MAX;
            lines->rest = true;
            break;
        }
        if (lines->at_end || !fill(lines, failure)) {
            return false;
        }
    }
    *line = (struct tsn_line){lines->buffer + lines->start, len, ++lines->number};
    size_t taken = len + (!lines->rest && lines->start + len < lines->end);
    lines->start += taken;
    lines->done += taken;
    return true;
}

bool tsn_lines_next(struct tsn_lines *lines, struct tsn_line *line, struct tsn_failure *failure)
{
    failure->remedy = TSN_REMEDY_NONE;
    do {
        if (lines->rest && !drop_rest(lines, failure)) {
            return false;
        }
        lines->rest = false;
        if (!take(lines, line, failure)) {
            return false;
        }
        if (line->len > 0 && line->bytes[line->len - 1] == '\r') {
            line->len--;
        }
    } while (line->len == 0);
    return true;
}

uint64_t tsn_lines_done(const struct tsn_lines *lines)
{
    return lines->done;
}

uint64_t tsn_lines_total(const struct tsn_lines *lines)
{
    return lines->total;
}

int64_t tsn_lines_count(const struct tsn_lines *lines)
{
    return lines->number;
}
