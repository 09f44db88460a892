/* Configuration: one YAML file -> one struct, checked whole before anything runs.
 *
 * Unknown keys are errors with the nearest name; ${NAME} in a value is replaced by
 * the environment (for secrets); every librdkafka property passes through. The
 * struct and its strings live until tsn_config_free.
 */
#ifndef TSN_CONNECTORS_CONFIG_CONFIG_H
#define TSN_CONNECTORS_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "rules/arena/arena.h"
#include "rules/diag/diag.h"

struct tsn_property {
    const char *key;
    const char *value;
};

struct tsn_properties {
    size_t n;
    const struct tsn_property *items; /* in file order */
};

/* How a carrier or bank writes its numbers: becomes E.164 with a leading '+'. */
struct tsn_number_plan {
    const char *country;              /* "86"; NULL: only international forms are known */
    const char *trunk_prefix;         /* "0" */
    const char *international_prefix; /* "00" */
    uint32_t national_min;            /* digits of a national number without the trunk */
    uint32_t national_max;            /* prefix; default 8 to 15 - digits of the country */
    bool bare_international;          /* digits without a prefix are E.164 without its '+' */
    size_t n_keep;                    /* digits that begin so are short codes: left alone */
    const char *const *keep;
};

enum tsn_time_format { TSN_TIME_RFC3339, TSN_TIME_EPOCH_S, TSN_TIME_EPOCH_MS, TSN_TIME_EPOCH_US };
enum tsn_unit {
    TSN_UNIT_NONE,
    TSN_UNIT_MS, /* of durations */
    TSN_UNIT_S,
    TSN_UNIT_MIN,
    TSN_UNIT_H,
    TSN_UNIT_D,
    TSN_UNIT_MAJOR, /* of money: 12.50 */
    TSN_UNIT_MINOR, /* 1250 */
};

/* How one field of the event type is found in a record. */
struct tsn_field_mapping {
    const char *field;    /* of the pack's event type; "time" for the event time */
    const char *pointer;  /* JSON pointer (RFC 6901), or NULL with a constant */
    const char *constant; /* value for every record, as text, or NULL */
    const char *fallback; /* value when the record has none (`default`), or NULL */
    enum tsn_time_format time_format;
    enum tsn_unit unit;
    bool e164;    /* normalise as a telephone number */
    bool quoted;  /* a number may be written as text: "12.50" */
    size_t n_map; /* enum map: written -> meant */
    const struct tsn_property *map;
    uint32_t line; /* where it stands in the configuration */
    uint32_t column;
};

struct tsn_source {
    const char *name;               /* the topic; for file replay the SOURCE of --input */
    const char *event;              /* the pack's event type */
    struct tsn_number_plan numbers; /* the source's own, else the file's */
    size_t n_fields;
    const struct tsn_field_mapping *fields;
    uint32_t max_bytes;      /* larger records are rejects; default 64 KiB */
    const char *record_time; /* file replay: JSON pointer to the record's time stamp (for the
                                future check), or NULL: no check */
    enum tsn_time_format record_time_format;
    uint32_t line;
    uint32_t column;
};

struct tsn_config {
    struct tsn_arena arena;
    const char *file;
    const char *text; /* of the file: messages show the line they speak of */
    size_t text_len;
    const char *instance; /* names group id, transactional id and Redis keys */
    const char *pack;     /* path, resolved against the configuration's folder */
    struct tsn_engine_settings engine;

    struct {
        struct tsn_properties common; /* bootstrap.servers and all else */
        struct tsn_properties consumer;
        struct tsn_properties producer;
        tsn_duration_ms commit_busy_ms;   /* 50: while output waits */
        tsn_duration_ms commit_behind_ms; /* 300: the same, while much more is to be read */
        tsn_duration_ms commit_idle_ms;   /* 1000 */
        tsn_duration_ms merge_wait_ms;    /* 100 */
        tsn_duration_ms merge_slack_ms;   /* 1000 */
        tsn_duration_ms future_max_ms;    /* 5 min */
        bool send_offsets;                /* group offsets for people's lag tools */
    } kafka;

    struct {
        const char *alerts, *rejects, *manifest, *programs, *held;
    } topics;

    size_t n_sources;
    const struct tsn_source *sources;

    bool state_in_memory;           /* state: memory */
    uint64_t reserve_records_bytes; /* of malloc, touched at the start */
    uint32_t max_resident;          /* entities in memory; 0: all */
    struct {
        const char *host; /* or NULL with unix_socket */
        uint16_t port;
        const char *unix_socket;
        const char *user;
        const char *password;
        int database;
        tsn_duration_ms timeout_ms;
        struct {
            bool on; /* the section is there */
            const char *ca_file, *cert_file, *key_file, *server_name;
        } tls;
    } redis;
    tsn_duration_ms checkpoint_ms;     /* interval; default 10 s */
    tsn_duration_ms checkpoint_age_ms; /* of the newest, beyond which bandwidth is not limited */
    uint64_t checkpoint_bandwidth;     /* bytes a second to Redis; 0: no limit */
    tsn_duration_ms start_timeout_ms;  /* how long absent servers are waited for at start; 60 s */
    tsn_duration_ms stop_timeout_ms;   /* bound of a clean stop; 20 s */

    const char *key_file; /* 32 bytes, hex or raw: alert ids, pseudonyms, encryption */
    bool insecure;        /* no key file: ids and Redis are not protected */
};

/* Reads and checks a configuration. NULL with errors in diags. */
struct tsn_config *tsn_config_load(const char *path, struct tsn_diags *diags);
/* The same from memory; `path` names it and its folder resolves relative paths. */
struct tsn_config *tsn_config_parse(const char *path, const char *text, size_t len,
                                    struct tsn_diags *diags);
void tsn_config_free(struct tsn_config *config);

/* The source of this name, or NULL. */
const struct tsn_source *tsn_config_source(const struct tsn_config *config, const char *name);

/* Reads the pack that the configuration names and the list files beside it, and
 * compiles it. NULL with errors in diags. */
struct tsn_program *tsn_config_pack(const struct tsn_config *config, struct tsn_diags *diags);

#endif
