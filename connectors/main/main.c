/* tocsin: the command line. Finds the command and hands it its arguments. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("tocsin %s\n", TSN_VERSION);
        return 0;
    }
    fprintf(stderr, "usage: tocsin --version\n");
    return 2;
}
