/* Delta: the part of a checkpoint that changed - written, folded, deleted.
 *
 * The three bulk jobs of the writing thread. Each pipelines a bounded window of
 * commands, stops between two of them when told to, and may be broken off anywhere:
 * see layout.h for why that is harmless.
 */
#ifndef TSN_CONNECTORS_STORE_DELTA_H
#define TSN_CONNECTORS_STORE_DELTA_H

#include <stdatomic.h>

#include "connectors/store/cut.h"
#include "connectors/store/root.h"

enum {
    /* Records a command: about a millisecond of the server's time. */
    TSN_DELTA_RECORDS = 1000,
    /* Sealed bytes a command, so that large records do not add up. */
    TSN_DELTA_BYTES = 256 * 1024,
};

/* Who holds back a writer that is too fast; called after each command with its bytes. */
struct tsn_delta_brake {
    void (*sent)(void *user, uint64_t bytes);
    void *user;
};

enum tsn_delta_result {
    TSN_DELTA_OK,
    TSN_DELTA_FAILED,  /* see the failure */
    TSN_DELTA_STOPPED, /* *stop became true */
    TSN_DELTA_LOST,    /* a slot does not fit the root: Redis lost or rolled back keys */
};

/* A delta being written, part by part. */
struct tsn_delta {
    const char *id;
    size_t n[TSN_LAYOUT_SLOTS]; /* records of each slot that were sent */
    uint64_t bytes;             /* sent */
};

/* Seals every entry of the index and writes it to the slot's hash of this delta. With the
 * last part each slot is told how many records it has, none too: a loader must tell an empty
 * delta from a lost one. No key comes in two parts. brake may be NULL. All of it is
 * acknowledged when this returns OK. */
enum tsn_delta_result tsn_delta_write(struct tsn_root_place *place,
                                      const struct tsn_cut_index *index, struct tsn_delta *delta,
                                      bool last, const struct tsn_delta_brake *brake,
                                      const atomic_bool *stop, struct tsn_failure *failure);

/* Folds root's chain into the base of every slot. The root is not changed. */
enum tsn_delta_result tsn_delta_fold(struct tsn_root_place *place, struct tsn_script *script,
                                     const struct tsn_root *root, const atomic_bool *stop,
                                     struct tsn_failure *failure);
void tsn_delta_fold_script(struct tsn_script *script);

/* Deletes the rubbish that root remembers, once, and counts that in root. */
enum tsn_delta_result tsn_delta_clean(struct tsn_root_place *place, struct tsn_root *root,
                                      const atomic_bool *stop, struct tsn_failure *failure);

#endif
