/* Read: the configuration's tree -> struct tsn_config. Used by config.c only. */
#ifndef TSN_CONNECTORS_CONFIG_READ_H
#define TSN_CONNECTORS_CONFIG_READ_H

#include "connectors/config/config.h"
#include "rules/yaml/yaml.h"

struct tsn_config_read {
    struct tsn_config *config;
    struct tsn_yaml *doc;
    const char *folder; /* of the file: relative paths begin here */
};

/* Replaces ${NAME} in all values below node. */
void tsn_config_expand(struct tsn_config_read *r, const struct tsn_yaml_node *node);

/* Reads every key, defaults first. Errors go to the document's diagnostics. */
void tsn_config_read_all(struct tsn_config_read *r);

/* 65536, 64KiB, 256MiB, 1GiB. */
bool tsn_config_bytes(const char *text, int64_t *out);

#endif
