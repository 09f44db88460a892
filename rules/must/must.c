#include "rules/must/must.h"

#include <stdio.h>
#include <stdlib.h>

void tsn_must_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "tocsin: internal error at %s:%d: %s\n", file, line, what);
    abort();
}
