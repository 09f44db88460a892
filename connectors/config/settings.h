/* Settings: every key of the configuration, its kind, default and meaning, in one
 * table. The reader, the list of known keys, the defaults and docs/CONFIG.md all
 * come from it; a test compares the page.
 */
#ifndef TSN_CONNECTORS_CONFIG_SETTINGS_H
#define TSN_CONNECTORS_CONFIG_SETTINGS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "connectors/config/config.h"

enum tsn_setting_kind {
    TSN_SETTING_TEXT,     /* const char * */
    TSN_SETTING_PATH,     /* const char *, against the configuration's folder */
    TSN_SETTING_BOOL,     /* bool */
    TSN_SETTING_DURATION, /* tsn_duration_ms */
    TSN_SETTING_INT,      /* int */
    TSN_SETTING_U16,      /* uint16_t */
    TSN_SETTING_U32,      /* uint32_t */
    TSN_SETTING_BYTES,    /* uint64_t; 64KiB, 256MiB, 1GiB */
    TSN_SETTING_BYTES32,  /* uint32_t */
    TSN_SETTING_STATE,    /* bool: memory is true, redis false */
};

struct tsn_setting {
    const char *section; /* "" at the top */
    const char *key;
    enum tsn_setting_kind kind;
    size_t offset;        /* in struct tsn_config, tsn_number_plan or tsn_source */
    const char *fallback; /* as it would be written; NULL: none */
    int64_t least;
    int64_t most;
    const char *what;
};

/* In the order of the page. Sections "numbers" and "sources" are relative to struct
 * tsn_number_plan and struct tsn_source, all others to struct tsn_config. */
extern const struct tsn_setting tsn_settings[];
extern const size_t tsn_n_settings;

/* The page docs/CONFIG.md. */
void tsn_settings_page(FILE *out);

#endif
