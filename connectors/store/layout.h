/* Layout: how a checkpoint lies in Redis, and why every crash leaves one whole.
 *
 *   tocsin:1:{<instance>}:root        hash: who owns the state, the last checkpoint
 *   tocsin:1:{<instance>}:reader      lease of somebody who loads; the one key that expires
 *   tocsin:1:{<instance>.<slot>}:b:<generation>   hash: the slot's base
 *   tocsin:1:{<instance>.<slot>}:at:<generation>  delta that the base holds, and its length
 *   tocsin:1:{<instance>.<slot>}:d:<id>           hash: the slot's part of one delta
 *
 * A field is the keyed pseudonym of a record's section and key; its value is the
 * sealed record, or "" when the record is gone. A record's slot follows from its
 * pseudonym, all keys of a slot share a hash tag, and no command or script touches
 * two tags: the same layout serves Redis Cluster.
 *
 * Writing checkpoint k: (begin) compare-and-set on {owner, last} announces a fresh
 * random id; one delta hash a slot is written under that id, in as many parts as the
 * writer likes, its number of records with the last; (commit) compare-and-
 * set on {owner, last, announced id} makes it the last and appends it to the chain.
 * Afterwards each slot's script folds the chain into the base, and (trim) empties
 * the chain. What is stored is base + chain, always; keys outside it are rubbish.
 *
 * Why the names are random and used once: commands of a connection that timed out
 * may be executed later. They can then only fill rubbish, or fail a compare-and-set.
 * Sequence numbers alone would be handed out twice after Redis was rolled back.
 * Rubbish is remembered in the root (`dead`) and deleted twice, some time apart.
 *
 * Crash before commit: the root stands at k - 1. After it: at k, and folding is done
 * by whoever owns the state next; a slot's script moves at, base and delta in one
 * step, or repeats what it did with the same result. A slot whose `at` is neither in
 * the chain nor what the chain builds on was written under another history: Redis
 * was rolled back, and the state is rebuilt from Kafka.
 *
 * A zombie that lost ownership fails begin or commit; its deltas have names that
 * nobody reads; its folding is conditional on `at`, and folds what is committed.
 *
 * A generation starts with a whole cut: bases of the one before become rubbish.
 */
#ifndef TSN_CONNECTORS_STORE_LAYOUT_H
#define TSN_CONNECTORS_STORE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/keys/keys.h"
#include "engine/engine.h"

enum {
    TSN_LAYOUT_VERSION = 1, /* of keys and values; in every key */
    TSN_LAYOUT_SLOTS = 256, /* 10 M entities make hashes of 40,000: 25 ms to read one */
    TSN_LAYOUT_FIELD = 16,  /* bytes of a pseudonym: no collision in 2^40 records */
    TSN_LAYOUT_ID = 16,     /* hex digits of a random id */
    TSN_LAYOUT_KEY_MAX = 192,
    TSN_LAYOUT_INSTANCE_MAX = 96,
    TSN_LAYOUT_HEADER = 17, /* before a record's bytes in the sealed value: section, key */
};

/* In a delta: how many fields it has besides this one. No pseudonym is this short. */
#define TSN_LAYOUT_COUNT_FIELD "#"

struct tsn_layout {
    char instance[TSN_LAYOUT_INSTANCE_MAX];
};

typedef char tsn_layout_id[TSN_LAYOUT_ID + 1];

/* False with CONFIG when the instance's name cannot be part of a key. */
bool tsn_layout_init(struct tsn_layout *layout, const char *instance, struct tsn_failure *failure);

/* Key names; key has room for TSN_LAYOUT_KEY_MAX. Return the length. */
size_t tsn_layout_root(const struct tsn_layout *layout, char *key);
size_t tsn_layout_reader(const struct tsn_layout *layout, char *key);
/* kind: "b", "at" (name: a generation) or "d" (name: a delta's id). */
size_t tsn_layout_slot_key(const struct tsn_layout *layout, unsigned slot, const char *kind,
                           const char *name, char *key);
/* What the values of a slot are sealed with besides their field: their place. The same
 * in delta and base, so that folding moves sealed bytes. */
size_t tsn_layout_context(const struct tsn_layout *layout, unsigned slot,
                          const uint8_t field[TSN_LAYOUT_FIELD], char *context);

/* 64 random bits in hex. */
void tsn_layout_new_id(tsn_layout_id id);

/* The pseudonym of a record and the slot it belongs to. */
void tsn_layout_field(const struct tsn_keys *keys, enum tsn_snapshot_section section,
                      const uint8_t key[16], uint8_t field[TSN_LAYOUT_FIELD]);
unsigned tsn_layout_slot(const uint8_t field[TSN_LAYOUT_FIELD]);

#endif
