/* replay_corpus: main of a fuzz target that is built without libFuzzer.
 *
 * Feeds every file of the folders given on the command line to the target, in name
 * order, so that whatever a fuzzer once found is a plain test under any compiler
 * and sanitizer. The input is copied to a block of its exact size: a read past its
 * end is seen. An empty corpus fails: a target without one tests nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(size > 0 ? (size_t)size : 1);
    int status = -1;
    if (size >= 0 && bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size) {
        uint8_t *exact = realloc(bytes, size > 0 ? (size_t)size : 1);
        bytes = exact ? exact : bytes;
        LLVMFuzzerTestOneInput(bytes, (size_t)size);
        status = 0;
    }
    free(bytes);
    fclose(file);
    return status;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The number of files replayed, or -1. */
static int replay_folder(const char *path)
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, visible, alphasort);
    if (n < 0) {
        perror(path);
        return -1;
    }
    int done = 0;
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (done >= 0) {
            done = replay_file(file) == 0 ? done + 1 : -1;
        }
        free(entries[i]);
    }
    free(entries);
    return done;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);
        if (n < 0) {
            return 1;
        }
        total += n;
    }
    printf("%s - %d inputs replayed\n", total > 0 ? "ok" : "not ok", total);
    return total > 0 ? 0 : 1;
}
