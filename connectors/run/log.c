#include "connectors/run/log.h"

#include <stdarg.h>
#include <stdio.h>

void tsn_log(const char *format, ...)
{
    char line[1024];
    int at = snprintf(line, sizeof line, "tocsin: ");
    va_list args;
    va_start(args, format);
    vsnprintf(line + at, sizeof line - (size_t)at, format, args);
    va_end(args);
    fprintf(stderr, "%s\n", line);
}
