/* House: who may include what, checked on the text of every file.
 *
 * The linker already refuses a call upwards (closed_rules, closed_engine in
 * CMakeLists.txt); this refuses the include, which is where such a call begins, and
 * keeps each library behind the one folder that translates it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FILES_MAX = 2000, PATH_CAP = 256 };

static char files[FILES_MAX][PATH_CAP]; /* repo-relative */
static int n_files;

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void collect(const char *folder)
{
    char path[PATH_CAP * 4];
    snprintf(path, sizeof path, "%s/%s", TSN_SOURCE_DIR, folder);
    DIR *dir = opendir(path);
    if (!dir) {
        return;
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char name[PATH_CAP * 2];
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        assert_true(strlen(name) < PATH_CAP);
        snprintf(path, sizeof path, "%s/%s", TSN_SOURCE_DIR, name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            collect(name);
        } else if (ends_with(name, ".c") || ends_with(name, ".h") || ends_with(name, ".cc")) {
            assert_true(n_files < FILES_MAX);
            snprintf(files[n_files++], PATH_CAP, "%s", name);
        }
    }
    closedir(dir);
}

static int collect_all(void **state)
{
    (void)state;
    static const char *const roots[] = {"rules", "engine", "connectors", "bench", "tests"};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        collect(roots[i]);
    }
    return n_files > 20 ? 0 : -1; /* an empty walk would pass every test */
}

static FILE *open_source(const char *file)
{
    char path[PATH_CAP * 4];
    int len = snprintf(path, sizeof path, "%s/%s", TSN_SOURCE_DIR, file);
    return len < (int)sizeof path ? fopen(path, "r") : NULL;
}

/* The next #include of an open file: its name without quotes, and whether it stood
 * in angle brackets. */
static bool next_include(FILE *in, char name[PATH_CAP], bool *angle)
{
    char line[1024];
    while (fgets(line, sizeof line, in)) {
        char open = 0;
        if (sscanf(line, " # include %c%255[^\">]", &open, name) == 2 &&
            (open == '"' || open == '<')) {
            *angle = open == '<';
            return true;
        }
    }
    return false;
}

/* Calls `visit` for every include of every file; counts its complaints. */
static int visit_includes(bool (*visit)(const char *file, const char *name, bool angle))
{
    int wrong = 0;
    for (int i = 0; i < n_files; i++) {
        FILE *in = open_source(files[i]);
        assert_non_null(in);
        char name[PATH_CAP];
        bool angle = false;
        while (next_include(in, name, &angle)) {
            wrong += !visit(files[i], name, angle);
        }
        fclose(in);
    }
    return wrong;
}

/* ---- layers --------------------------------------------------------------------- */

static const struct {
    const char *who;
    const char *may[5];
} layers[] = {
    {"rules/", {"rules/"}},
    {"engine/", {"rules/", "engine/"}},
    {"connectors/", {"rules/", "engine/", "connectors/"}},
    {"bench/", {"rules/", "engine/", "connectors/", "bench/"}},
    {"tests/", {"rules/", "engine/", "connectors/", "tests/"}},
};

static bool include_stays_below(const char *file, const char *name, bool angle)
{
    if (angle) {
        return true;
    }
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        if (!starts_with(file, layers[i].who)) {
            continue;
        }
        for (size_t j = 0; j < 5 && layers[i].may[j]; j++) {
            if (starts_with(name, layers[i].may[j])) {
                return true;
            }
        }
    }
    print_error("%s includes \"%s\"; names are relative to the top of the tree, and only of "
                "this layer or one below\n",
                file, name);
    return false;
}

static void a_file_includes_only_its_layer_and_those_below(void **state)
{
    (void)state;
    assert_int_equal(visit_includes(include_stays_below), 0);
}

/* ---- libraries ------------------------------------------------------------------ */

static const struct {
    const char *header; /* how its name starts */
    const char *folder; /* the only one of the three layers that includes it */
} libraries[] = {
    {"yaml.h", "rules/yaml/"},
    {"re2/", "rules/expr/"},
    {"simdjson.h", "connectors/decode/"},
    {"librdkafka/", "connectors/kafka/"},
    {"rdkafka.h", "connectors/kafka/"},
    {"hiredis/", "connectors/redis/"},
    {"hiredis.h", "connectors/redis/"},
    {"openssl/evp.h", "connectors/keys/"}, /* libcrypto's ciphers; the rest is TLS */
    {"openssl/", "connectors/redis/"},
    {"cjson/", "connectors/demo/"},
    {"sodium.h", "connectors/keys/"},
    {"microhttpd.h", "connectors/http/"},
    {"cmocka.h", "tests/"},
    {"xxhash.h", ""}, /* a hash function: wherever one is needed */
};

static bool include_is_behind_its_door(const char *file, const char *name, bool angle)
{
    if (!angle || starts_with(file, "tests/") || starts_with(file, "bench/")) {
        return true;
    }
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        if (!starts_with(name, libraries[i].header)) {
            continue;
        }
        if (starts_with(file, libraries[i].folder)) {
            return true;
        }
        print_error("%s includes <%s>, which belongs to %s alone\n", file, name,
                    libraries[i].folder);
        return false;
    }
    return true;
}

static void each_library_is_included_in_one_folder(void **state)
{
    (void)state;
    assert_int_equal(visit_includes(include_is_behind_its_door), 0);
}

/* ---- the deterministic layers ------------------------------------------------------ */

static bool include_knows_no_world(const char *file, const char *name, bool angle)
{
    static const char *const world[] = {"pthread.h", "threads.h", "unistd.h", "fcntl.h",
                                        "dirent.h",  "signal.h",  "sys/",     "netinet/",
                                        "arpa/",     "poll.h",    "syslog.h", "stdatomic.h"};
    if (!angle || !(starts_with(file, "rules/") || starts_with(file, "engine/"))) {
        return true;
    }
    if (strcmp(name, "sys/mman.h") == 0) { /* memory from the kernel, not I/O */
        return true;
    }
    for (size_t i = 0; i < sizeof world / sizeof world[0]; i++) {
        if (starts_with(name, world[i])) {
            print_error("%s includes <%s>; rules/ and engine/ do no I/O and start no threads\n",
                        file, name);
            return false;
        }
    }
    return true;
}

static void rules_and_engine_include_nothing_of_the_world(void **state)
{
    (void)state;
    assert_int_equal(visit_includes(include_knows_no_world), 0);
}

/* ---- hubs ----------------------------------------------------------------------- */

static int includers_of(const char *header, int *n_sources)
{
    int n = 0;
    *n_sources = 0;
    for (int i = 0; i < n_files; i++) {
        if (starts_with(files[i], "tests/") || starts_with(files[i], "bench/")) {
            continue;
        }
        (*n_sources)++;
        FILE *in = open_source(files[i]);
        assert_non_null(in);
        char name[PATH_CAP];
        bool angle = false;
        bool found = false;
        while (!found && next_include(in, name, &angle)) {
            found = !angle && strcmp(name, header) == 0;
        }
        fclose(in);
        n += found;
    }
    return n;
}

static void no_header_is_included_by_half_of_the_files(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < n_files; i++) {
        if (!ends_with(files[i], ".h") || starts_with(files[i], "tests/")) {
            continue;
        }
        int n_sources = 0;
        int n = includers_of(files[i], &n_sources);
        if (n * 2 >= n_sources) {
            print_error("%s is included by %d of %d files\n", files[i], n, n_sources);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* ---- how a file begins, and how it is called ------------------------------------------ */

/* column.c beside column.h is explained there. */
static bool has_header_beside(const char *file)
{
    char header[PATH_CAP];
    snprintf(header, sizeof header, "%.*sh", (int)(strrchr(file, '.') + 1 - file), file);
    for (int i = 0; i < n_files; i++) {
        if (strcmp(files[i], header) == 0 && strcmp(file, header) != 0) {
            return true;
        }
    }
    return false;
}

static void every_file_opens_with_what_it_is(void **state)
{
    (void)state;
    int wrong = 0;
    for (int i = 0; i < n_files; i++) {
        if (starts_with(files[i], "tests/") || has_header_beside(files[i])) {
            continue;
        }
        FILE *in = open_source(files[i]);
        assert_non_null(in);
        char line[1024] = "";
        if (!fgets(line, sizeof line, in) ||
            !(starts_with(line, "/* ") || starts_with(line, "// "))) {
            print_error("%s does not open with a comment\n", files[i]);
            wrong++;
        }
        fclose(in);
    }
    assert_int_equal(wrong, 0);
}

static void no_file_or_folder_is_a_drawer_for_everything(void **state)
{
    (void)state;
    static const char *const drawers[] = {"util", "utils", "common", "helper", "helpers", "misc"};
    int wrong = 0;
    for (int i = 0; i < n_files; i++) {
        char path[PATH_CAP];
        snprintf(path, sizeof path, "%s", files[i]);
        for (char *part = strtok(path, "/."); part; part = strtok(NULL, "/.")) {
            for (size_t j = 0; j < sizeof drawers / sizeof drawers[0]; j++) {
                if (strcmp(part, drawers[j]) == 0) {
                    print_error("%s: '%s' says nothing; name the thing\n", files[i], part);
                    wrong++;
                }
            }
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_includes_only_its_layer_and_those_below),
        cmocka_unit_test(each_library_is_included_in_one_folder),
        cmocka_unit_test(rules_and_engine_include_nothing_of_the_world),
        cmocka_unit_test(no_header_is_included_by_half_of_the_files),
        cmocka_unit_test(every_file_opens_with_what_it_is),
        cmocka_unit_test(no_file_or_folder_is_a_drawer_for_everything),
    };
    return cmocka_run_group_tests_name("house: layers", tests, collect_all, NULL);
}
