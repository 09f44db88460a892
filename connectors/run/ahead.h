/* Ahead: a thread that does tasks before somebody asks for them.
 *
 * One thread submits tasks and claims them later. A claim either finds the task done,
 * waits while it is being done, or takes it back because nobody has begun it; then the
 * claimant does it himself. So what comes of a task never depends on the thread, only
 * who worked for it does, and a thread that gets no core holds nobody up by more than
 * the task it is in.
 *
 * The thread sleeps while it has no task. A submit and a claim take a lock each, and the
 * submit wakes the thread if it sleeps: a few microseconds, so a task should be some
 * hundred.
 */
#ifndef TSN_CONNECTORS_RUN_AHEAD_H
#define TSN_CONNECTORS_RUN_AHEAD_H

#include <stdbool.h>

struct tsn_ahead;

enum tsn_ahead_state { TSN_AHEAD_NONE, TSN_AHEAD_WAITS, TSN_AHEAD_BEGUN, TSN_AHEAD_DONE };

/* Part of what is to be done, which stays in place and is the thread's from submit to
 * claim. Zeroed at first. */
struct tsn_ahead_task {
    struct tsn_ahead_task *next;
    enum tsn_ahead_state state;
};

typedef void tsn_ahead_work(struct tsn_ahead_task *task);

/* Starts the thread, which takes no signals. `work` is called in it. */
struct tsn_ahead *tsn_ahead_new(tsn_ahead_work *work);
/* Waits for the task under way; those that wait are not begun. NULL: nothing. */
void tsn_ahead_free(struct tsn_ahead *ahead);

void tsn_ahead_submit(struct tsn_ahead *ahead, struct tsn_ahead_task *task);
/* True: it is done. False: nobody has begun it, and the thread will not. Either way it
 * is the caller's again. */
bool tsn_ahead_claim(struct tsn_ahead *ahead, struct tsn_ahead_task *task);
/* Would a claim wait? */
bool tsn_ahead_is_begun(struct tsn_ahead *ahead, const struct tsn_ahead_task *task);

#endif
