/* Player: sends what `tocsin simulate` wrote to its topics, compressed in time.
 *
 * The files are merged by time of arrival; record timestamps are the times of the
 * city, so that nothing downstream notices the compression. When each event was sent
 * is remembered by the hash of its id: 16 bytes an event, for the latency of alerts.
 */
#ifndef TSN_CONNECTORS_DEMO_PLAYER_H
#define TSN_CONNECTORS_DEMO_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/failure/failure.h"
#include "connectors/kafka/sender.h"

struct tsn_player;

/* folder: of tocsin simulate. start_ms: the city's first minute; what arrived before
 * is sent at once. speed: seconds of the city a second. NULL on failure. */
struct tsn_player *tsn_player_open(const char *folder, int64_t start_ms, double speed,
                                   struct tsn_failure *failure);
void tsn_player_close(struct tsn_player *player);

/* Sends what is due at elapsed_us after the start, at most `most` records. */
bool tsn_player_play(struct tsn_player *player, int64_t elapsed_us, uint32_t most,
                     struct tsn_sender *sender, struct tsn_failure *failure);

/* Whether what is left is due now. */
void tsn_player_hurry(struct tsn_player *player, bool hurry);

bool tsn_player_finished(const struct tsn_player *player);
uint64_t tsn_player_sent(const struct tsn_player *player);
/* The city's clock at elapsed_us: ms since the epoch. */
int64_t tsn_player_city_ms(const struct tsn_player *player, int64_t elapsed_us);

/* When (elapsed_us) the event of this id was sent first; -1: never. */
int64_t tsn_player_when(const struct tsn_player *player, const char *id, size_t len);

#endif
