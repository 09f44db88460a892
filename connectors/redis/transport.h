/* Transport: bytes to and from one server within a time-out, and nothing of what they
 * mean. Known to connectors/redis/node.c alone.
 *
 * An own one, because hiredis 0.14 (Debian 12) knows no TLS and each later version
 * adds it in another way: hiredis formats commands and parses replies, this layer
 * moves them. The socket never blocks; every wait is a poll(2) of at most the
 * time-out, which therefore bounds each piece and not a whole reply.
 */
#ifndef TSN_CONNECTORS_REDIS_TRANSPORT_H
#define TSN_CONNECTORS_REDIS_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/redis/redis.h"

struct tsn_transport;

struct tsn_transport_target {
    const char *name; /* for messages: "redis 127.0.0.1:6379" */
    const char *host; /* or NULL with unix_socket */
    uint16_t port;
    const char *unix_socket;
    const struct tsn_redis_tls *tls; /* borrowed for the call; off with unix_socket */
    int64_t timeout_ms;
};

/* NULL with RETRY when nobody answers there, CONFIG when TLS fails because of who one of
 * the two is. Name and host are borrowed for its life. */
struct tsn_transport *tsn_transport_open(const struct tsn_transport_target *to,
                                         struct tsn_failure *failure);
void tsn_transport_close(struct tsn_transport *transport);

/* All of the bytes, or false with RETRY: then some of them may have been sent. */
bool tsn_transport_send(struct tsn_transport *transport, const void *bytes, size_t len,
                        struct tsn_failure *failure);
/* At least one byte; 0 with RETRY when the server went away or says nothing. */
size_t tsn_transport_receive(struct tsn_transport *transport, void *bytes, size_t cap,
                             struct tsn_failure *failure);

#endif
