/* Root: the one hash in Redis that says what the state is and whose.
 *
 * Every change of it is a script that compares owner and last checkpoint first, so
 * two writers can never both succeed. See layout.h for the protocol.
 */
#ifndef TSN_CONNECTORS_STORE_ROOT_H
#define TSN_CONNECTORS_STORE_ROOT_H

#include "connectors/redis/redis.h"
#include "connectors/store/layout.h"
#include "connectors/store/store.h"

enum {
    /* Deltas that may wait for folding while somebody loads; each makes a load slower. */
    TSN_ROOT_CHAIN_MAX = 64,
    /* Names of rubbish remembered; beyond it the oldest are forgotten (a leak of
     * memory in Redis until the next generation, not of truth). */
    TSN_ROOT_DEAD_MAX = 256,
};

/* Rubbish to be deleted: a delta, or a generation's bases. */
struct tsn_dead {
    char kind; /* 'd' or 'g' */
    char left; /* how many more times to delete it: '2', '1' */
    tsn_layout_id name;
};

struct tsn_root {
    bool exists;
    tsn_layout_id owner;   /* "" before the first claim */
    tsn_layout_id last;    /* delta of the last checkpoint; "": none was written */
    tsn_layout_id pending; /* announced and not committed, or "" */
    tsn_layout_id gen;
    tsn_layout_id folded; /* what every slot's base holds at least; "": nothing */
    unsigned n_chain;     /* committed deltas after `folded`; the newest is `last` */
    tsn_layout_id chain[TSN_ROOT_CHAIN_MAX];
    unsigned n_dead;
    struct tsn_dead dead[TSN_ROOT_DEAD_MAX];
    struct tsn_checkpoint_meta meta; /* sequence 0: none */
};

/* What compares and sets answer. */
enum tsn_root_answer {
    TSN_ROOT_OK,
    TSN_ROOT_READER, /* commit: done, and somebody is loading: do not fold now */
    TSN_ROOT_OTHER,  /* another owner */
    TSN_ROOT_MOVED,  /* ours, but another last checkpoint: rolled back, or an earlier
                        commit of ours was executed after all */
    TSN_ROOT_GONE,   /* no root: flushed */
    TSN_ROOT_STALE,  /* commit: another id is announced */
    TSN_ROOT_FAILED, /* see the failure; the outcome is unknown when the connection broke */
};

/* Scripts of this room, per connection. */
struct tsn_root_scripts {
    struct tsn_script claim, begin, commit, trim, release;
};
void tsn_root_scripts_init(struct tsn_root_scripts *scripts);

/* What root functions need; all borrowed. */
struct tsn_root_place {
    struct tsn_redis *redis;
    const struct tsn_layout *layout;
    const struct tsn_keys *keys;
    struct tsn_root_scripts *scripts;
};

/* Reads it; exists = false when there is none. CONFIG when its meta was sealed by
 * another key, or the hash makes no sense. */
bool tsn_root_read(struct tsn_root_place *place, struct tsn_root *root,
                   struct tsn_failure *failure);

/* What a slot's `at` says: chain index after the delta it names, or -1 when it names
 * none that the root knows. *length: fields the base had then. */
int tsn_root_folded_to(const struct tsn_root *root, const char *at, size_t *length);

/* {expected owner -> owner}, creating the root when expected is "" and it is gone. */
enum tsn_root_answer tsn_root_claim(struct tsn_root_place *place, const char *expected,
                                    const char *owner, struct tsn_failure *failure);
/* Announces id under {root->owner, root->last}, and stores root->dead. */
enum tsn_root_answer tsn_root_begin(struct tsn_root_place *place, const struct tsn_root *root,
                                    const char *id, struct tsn_failure *failure);
/* Makes `next` the root if {next->owner, expected last, next->last announced} holds. */
enum tsn_root_answer tsn_root_commit(struct tsn_root_place *place, const char *expected_last,
                                     const struct tsn_root *next, struct tsn_failure *failure);
/* After folding: stores root's folded, chain and dead under {owner, last}. */
enum tsn_root_answer tsn_root_trim(struct tsn_root_place *place, const struct tsn_root *root,
                                   struct tsn_failure *failure);

/* Takes or renews the reader's lease; folding waits for at most TTL of it. */
bool tsn_root_lease(struct tsn_root_place *place, const char *token, struct tsn_failure *failure);
/* Gives it back if it is still this reader's. */
void tsn_root_release(struct tsn_root_place *place, const char *token);

/* Remembers rubbish: kind 'd' or 'g'. */
void tsn_root_bury(struct tsn_root *root, char kind, const char *name);

#endif
