#include "connectors/demo/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "connectors/kafka/kafka.h"
#include "rules/must/must.h"

enum { PARTITIONS = 4, READY_TIMEOUT_MS = 30000, ARGUMENT_CAP = 128, SOCKET_PATH_MAX = 100 };

/* ---- files ------------------------------------------------------------------------ */

static void path_in(const struct tsn_stage *stage, const char *name, char out[TSN_STAGE_PATH_CAP])
{
    int len = snprintf(out, TSN_STAGE_PATH_CAP, "%s/%s", stage->settings->folder, name);
    TSN_MUST(len < TSN_STAGE_PATH_CAP); /* tsn_demo checked the folder's length */
}

/* A key of this demo alone. */
static bool make_key(struct tsn_stage *stage, struct tsn_failure *failure)
{
    uint8_t key[32];
    path_in(stage, "key", stage->key_path);
    unlink(stage->key_path);
    int fd = open(stage->key_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && getrandom(key, sizeof key, 0) == (ssize_t)sizeof key &&
              write(fd, key, sizeof key) == (ssize_t)sizeof key;
    if (fd >= 0) {
        close(fd);
    }
    return ok || tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot write the key: %s",
                          stage->key_path, strerror(errno));
}

/* Is this line the beginning of a top-level key that the demo sets itself? */
static bool begins(const char *line, const char *const *keys)
{
    for (; *keys; keys++) {
        size_t len = strlen(*keys);
        if (strncmp(line, *keys, len) == 0 && line[len] == ':') {
            return true;
        }
    }
    return false;
}

/* The given configuration, except what says where servers are and where things lie. */
static bool make_config(struct tsn_stage *stage, const struct tsn_config *base,
                        struct tsn_failure *failure)
{
    static const char *const replaced[] = {"instance", "pack",     "kafka",      "redis", "state",
                                           "key_file", "insecure", "checkpoint", NULL};
    path_in(stage, "tocsin.yaml", stage->config_path);
    FILE *in = fopen(stage->settings->config, "r");
    FILE *out = fopen(stage->config_path, "w");
    if (!in || !out) {
        if (in) {
            fclose(in);
        }
        if (out) {
            fclose(out);
        }
        return tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot be copied to %s: %s",
                        stage->settings->config, stage->config_path, strerror(errno));
    }
    char *pack = realpath(base->pack, NULL);
    fprintf(out,
            "instance: demo\n"
            "pack: %s\n"
            "key_file: %s\n"
            "kafka:\n"
            "  bootstrap.servers: %s\n"
            "  consumer:\n"
            "    fetch.wait.max.ms: 20\n"
            "    session.timeout.ms: 6000\n"
            "redis:\n"
            "  unix_socket: %s\n"
            "checkpoint:\n"
            "  interval: 5s\n",
            pack ? pack : base->pack, stage->key_path, stage->bootstrap, stage->socket);
    free(pack);
    char *line = NULL;
    size_t cap = 0;
    bool copying = true;
    while (getline(&line, &cap, in) >= 0) {
        bool top_level = line[0] >= 'a' && line[0] <= 'z';
        copying = top_level ? !begins(line, replaced) : copying;
        if (copying) {
            fputs(line, out);
        }
    }
    free(line);
    fclose(in);
    return fclose(out) == 0 || tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: cannot write: %s",
                                        stage->config_path, strerror(errno));
}

static struct tsn_config *load(const char *path, struct tsn_program **prog,
                               struct tsn_failure *failure)
{
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_config *config = tsn_config_load(path, &diags);
    if (config && prog) {
        *prog = tsn_config_pack(config, &diags);
        if (!*prog) {
            tsn_config_free(config);
            config = NULL;
        }
    }
    tsn_diags_print(&diags, stderr);
    tsn_diags_free(&diags);
    if (!config) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s was refused", path);
    }
    return config;
}

/* ---- servers ---------------------------------------------------------------------- */

static bool start_broker(struct tsn_stage *stage, const struct tsn_config *base,
                         struct tsn_failure *failure)
{
    enum { ARGUMENTS_MAX = 60 };
    char topics[ARGUMENTS_MAX][ARGUMENT_CAP];
    const char *argv[ARGUMENTS_MAX + 3] = {stage->settings->program, "broker"};
    const struct tsn_mock {
        const char *name;
        int n_partitions;
    } own[] = {{base->topics.alerts, PARTITIONS},
               {base->topics.rejects, PARTITIONS},
               {base->topics.held, PARTITIONS},
               {base->topics.manifest, 1},
               {base->topics.programs, 1}};
    size_t n = 0;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (own[i].name) {
            snprintf(topics[n], ARGUMENT_CAP, "%s=%d", own[i].name, own[i].n_partitions);
            argv[2 + n] = topics[n];
            n++;
        }
    }
    for (size_t i = 0; i < base->n_sources && n < ARGUMENTS_MAX; i++) {
        snprintf(topics[n], ARGUMENT_CAP, "%s=%d", base->sources[i].name, PARTITIONS);
        argv[2 + n] = topics[n];
        n++;
    }
    path_in(stage, "broker.log", stage->logs[0]);
    stage->broker = (struct tsn_process){.name = "the embedded broker", .log = stage->logs[0]};
    return tsn_process_start(&stage->broker, argv, stage->bootstrap, sizeof stage->bootstrap,
                             failure);
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static bool start_redis(struct tsn_stage *stage, struct tsn_failure *failure)
{
    path_in(stage, "redis.sock", stage->socket);
    if (strlen(stage->socket) > SOCKET_PATH_MAX) {
        snprintf(stage->socket, sizeof stage->socket, "/tmp/tocsin-demo-%d.sock", (int)getpid());
    }
    unlink(stage->socket);
    path_in(stage, "redis.log", stage->logs[1]);
    stage->redis = (struct tsn_process){.name = "redis-server", .log = stage->logs[1]};
    const char *const argv[] = {"redis-server",
                                "--port",
                                "0",
                                "--unixsocket",
                                stage->socket,
                                "--unixsocketperm",
                                "700",
                                "--dir",
                                stage->settings->folder,
                                "--save",
                                "",
                                "--appendonly",
                                "no",
                                "--daemonize",
                                "no",
                                "--maxmemory-policy",
                                "noeviction",
                                NULL};
    if (!tsn_process_start(&stage->redis, argv, NULL, 0, failure)) {
        return false;
    }
    struct stat st;
    for (int waited = 0; waited < 10000; waited += 10) {
        int status = 0;
        if (stat(stage->socket, &st) == 0) {
            return true;
        }
        if (!tsn_process_runs(&stage->redis, &status)) {
            break;
        }
        pause_ms(10);
    }
    return tsn_fail(failure, TSN_REMEDY_CONFIG, "redis-server did not start; %s says why",
                    stage->logs[1]);
}

/* The engine is ready when its program stands in the programs topic. */
static bool await_engine(struct tsn_stage *stage, struct tsn_failure *failure)
{
    struct tsn_kafka *kafka = tsn_kafka_open(stage->config, failure);
    if (!kafka) {
        return false;
    }
    bool ready = false;
    bool stands = true;
    for (int waited = 0; !ready && stands && waited < READY_TIMEOUT_MS; waited += 100) {
        int64_t low = 0;
        int64_t high = 0;
        struct tsn_failure not_yet;
        ready = tsn_kafka_watermarks(kafka, stage->config->topics.programs, 0, &low, &high, 2000,
                                     &not_yet) &&
                high > 0;
        stands = tsn_stage_stands(stage, failure);
        pause_ms(ready ? 0 : 100);
    }
    tsn_kafka_close(kafka);
    if (stands && !ready) {
        return tsn_fail(failure, TSN_REMEDY_FATAL, "the engine was not ready in %d s; %s says why",
                        READY_TIMEOUT_MS / 1000, stage->logs[2]);
    }
    return ready;
}

static bool start_engine(struct tsn_stage *stage, struct tsn_failure *failure)
{
    path_in(stage, "engine.log", stage->logs[2]);
    stage->engine = (struct tsn_process){.name = "the engine", .log = stage->logs[2]};
    const char *const argv[] = {stage->settings->program, "run", "--config", stage->config_path,
                                NULL};
    return tsn_process_start(&stage->engine, argv, NULL, 0, failure) &&
           await_engine(stage, failure);
}

/* ---- all of it -------------------------------------------------------------------- */

bool tsn_stage_set(struct tsn_stage *stage, const struct tsn_demo_settings *settings,
                   struct tsn_failure *failure)
{
    *stage = (struct tsn_stage){.settings = settings};
    struct tsn_config *base = load(settings->config, NULL, failure);
    if (!base) {
        return false;
    }
    bool ok = start_broker(stage, base, failure) && start_redis(stage, failure) &&
              make_key(stage, failure) && make_config(stage, base, failure);
    tsn_config_free(base);
    if (ok) {
        stage->config = load(stage->config_path, &stage->prog, failure);
    }
    return ok && stage->config && start_engine(stage, failure);
}

bool tsn_stage_stands(struct tsn_stage *stage, struct tsn_failure *failure)
{
    struct tsn_process *all[] = {&stage->broker, &stage->redis, &stage->engine};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        int status = 0;
        if (!tsn_process_runs(all[i], &status)) {
            return tsn_fail(failure, TSN_REMEDY_FATAL, "%s ended by itself; %s says why",
                            all[i]->name, all[i]->log);
        }
    }
    return true;
}

int tsn_stage_strike(struct tsn_stage *stage)
{
    int code = -1;
    if (stage->engine.pid) {
        code = tsn_process_stop(&stage->engine, 25000);
    }
    if (stage->redis.pid) {
        tsn_process_stop(&stage->redis, 5000);
        unlink(stage->socket);
    }
    if (stage->broker.pid) {
        tsn_process_stop(&stage->broker, 5000);
    }
    if (stage->prog) {
        tsn_program_free(stage->prog);
    }
    tsn_config_free(stage->config);
    return code;
}
