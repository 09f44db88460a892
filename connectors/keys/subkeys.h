/* Subkeys: what the files of this room share. */
#ifndef TSN_CONNECTORS_KEYS_SUBKEYS_H
#define TSN_CONNECTORS_KEYS_SUBKEYS_H

#include "connectors/keys/keys.h"

struct tsn_keys {
    uint8_t secret[TSN_KEYS_BYTES];
    /* Subkeys on the checkpoint's path, ready made: */
    uint8_t seal[TSN_KEYS_BYTES];
    uint8_t pseudonym[TSN_KEYS_BYTES];
};

#endif
