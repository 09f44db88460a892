/* Tls: one TLS session over a socket that never blocks; the only user of OpenSSL.
 * transport.c waits and speaks of time-outs, this room says what it must wait for.
 * Private to this folder.
 *
 * Versions 1.2 and 1.3. The server's certificate is always verified, its name too: a
 * session that is encrypted to nobody in particular protects nothing. The files are
 * read for every connection, so that a renewed certificate is used without a restart.
 */
#ifndef TSN_CONNECTORS_REDIS_TLS_H
#define TSN_CONNECTORS_REDIS_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "connectors/redis/redis.h"

struct tsn_tls;

enum tsn_tls_turn {
    TSN_TLS_DONE,
    TSN_TLS_WANTS_READ,  /* call again when the socket is readable */
    TSN_TLS_WANTS_WRITE, /* ... writable */
    TSN_TLS_CLOSED,      /* the server ended the session, or the connection */
    TSN_TLS_FAILED,      /* see the failure */
};

/* A session that is not begun. name is for messages and borrowed; host is what was
 * connected to: its certificate must be for tls->server_name, or else for it. NULL with
 * CONFIG when a file cannot be used. */
struct tsn_tls *tsn_tls_new(const struct tsn_redis_tls *tls, const char *name, const char *host,
                            int fd, struct tsn_failure *failure);
void tsn_tls_free(struct tsn_tls *tls);

/* CONFIG when the server is not whom we want to talk to, or does not want to talk to us. */
enum tsn_tls_turn tsn_tls_handshake(struct tsn_tls *tls, struct tsn_failure *failure);
/* *n: bytes written or read. */
enum tsn_tls_turn tsn_tls_write(struct tsn_tls *tls, const void *bytes, size_t len, size_t *n,
                                struct tsn_failure *failure);
enum tsn_tls_turn tsn_tls_read(struct tsn_tls *tls, void *bytes, size_t cap, size_t *n,
                               struct tsn_failure *failure);

#endif
