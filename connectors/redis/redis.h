/* Redis: one connection that pipelines, and its errors as struct tsn_failure.
 *
 * This folder alone knows what a server is: sockets, TLS, time-outs, login, and whether it
 * is one or the masters of a Redis Cluster, each with some of the keys. That is why
 * every command is appended with the key that routes it, and why replies are taken in
 * the order of the commands whatever node gave them. A command's keys must share a
 * hash tag. hiredis and OpenSSL are included in this folder and nowhere else.
 *
 * Synchronous on purpose: the caller is a thread that has nothing else to do. Any error
 * on a connection ends it (half-read replies cannot be trusted), in a cluster with those
 * to the other nodes; the next connect makes a new one, not sooner than a back-off
 * allows.
 *
 * While a cluster moves a slot, commands are sent again to where their keys are, and
 * those after them of the same slot too, so that the order of a slot's commands holds:
 * what is pipelined must bear being executed twice.
 *
 * One thread at a time a connection.
 */
#ifndef TSN_CONNECTORS_REDIS_REDIS_H
#define TSN_CONNECTORS_REDIS_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connectors/failure/failure.h"

/* Unsent and unanswered command bytes before a caller should take replies: enough
 * to hide the round trip, little enough that hiredis and the server stay small. */
enum { TSN_REDIS_WINDOW_BYTES = 1024 * 1024 };

/* TLS to every server; all borrowed. */
struct tsn_redis_tls {
    bool on;
    const char *ca_file;     /* PEM of who signs for the servers, or NULL: the system's store */
    const char *cert_file;   /* our certificate and its chain, PEM, or NULL: we show none */
    const char *key_file;    /* its key; with cert_file */
    const char *server_name; /* whom the certificates are for, or NULL: the host connected to */
};

struct tsn_redis_address {
    const char *host; /* or NULL with unix_socket */
    uint16_t port;
    const char *unix_socket;
    const char *user;     /* or NULL: the default user */
    const char *password; /* or NULL: no login */
    int database;
    struct tsn_redis_tls tls;
    int64_t timeout_ms; /* of connecting and of each reply; 0 means 5 s */
    bool alone;         /* this server is meant, even if it is a node of a cluster */
};

/* A piece of a command. */
struct tsn_redis_part {
    const void *p;
    size_t len;
};

enum tsn_reply_kind {
    TSN_REPLY_TEXT, /* a string or a status */
    TSN_REPLY_INTEGER,
    TSN_REPLY_LIST,
    TSN_REPLY_NIL,
    TSN_REPLY_ERROR,
};

struct tsn_redis;
struct tsn_reply;

/* The strings of the address are borrowed for the connection's life. No I/O yet. */
struct tsn_redis *tsn_redis_new(const struct tsn_redis_address *address);
void tsn_redis_free(struct tsn_redis *redis);

/* "redis 127.0.0.1:6379 db 0", for messages. */
const char *tsn_redis_name(const struct tsn_redis *redis);

/* Connects, logs in and selects the database unless connected; in a cluster to every
 * master, whose map is read anew if a node said that it is old. RETRY without trying when the last
 * attempt failed less than the back-off ago (50 ms doubling to 2 s); wait_ms, if given, says how
 * long to wait before asking again. */
bool tsn_redis_connect(struct tsn_redis *redis, int64_t *wait_ms, struct tsn_failure *failure);
/* Counts connections made, and nodes that a cluster got since: whoever keeps something
 * per connection compares it. */
uint64_t tsn_redis_epoch(const struct tsn_redis *redis);
/* Whether there is no connection now: none was made yet, or it broke. */
bool tsn_redis_broken(const struct tsn_redis *redis);
/* Ends the connection; replies not yet taken are lost. */
void tsn_redis_drop(struct tsn_redis *redis);

/* Queues a command. key: what routes it, or NULL for a command without keys. The
 * parts are copied. Needs a connection. */
void tsn_redis_append(struct tsn_redis *redis, const char *key, int n,
                      const struct tsn_redis_part *parts);

/* The servers of this connection: 1, or the masters of a cluster; for what each of them
 * must be told or asked. The name is for messages. */
unsigned tsn_redis_n_nodes(const struct tsn_redis *redis);
const char *tsn_redis_node_name(const struct tsn_redis *redis, unsigned node);
void tsn_redis_append_to(struct tsn_redis *redis, unsigned node, int n,
                         const struct tsn_redis_part *parts);

/* Commands whose reply was not taken, and the bytes of them not known to have been
 * received. */
unsigned tsn_redis_pending(const struct tsn_redis *redis);
size_t tsn_redis_pending_bytes(const struct tsn_redis *redis);

/* The reply of the oldest command pending; sends what is queued first. NULL with
 * the connection dropped when it broke or timed out: then whether the commands
 * pending were executed is unknown. A reply that is an error is a reply. */
struct tsn_reply *tsn_redis_take(struct tsn_redis *redis, struct tsn_failure *failure);
/* The same for the reply to HGETALL, whose pairs are given away as they come in; the
 * reply is then a LIST without elements. A field of more than TSN_REDIS_FIELD_MAX bytes
 * is given as "". A connection that breaks may have given some pairs before. */
enum { TSN_REDIS_FIELD_MAX = 64 };
/* Field and value are borrowed for the call, in which the connection is not used. */
typedef void tsn_redis_pair(void *user, const char *field, size_t field_len, const char *value,
                            size_t len);
struct tsn_reply *tsn_redis_take_pairs(struct tsn_redis *redis, tsn_redis_pair *pair, void *user,
                                       struct tsn_failure *failure);
/* append + take, with nothing else pending. An error reply is NULL with its
 * failure, and the connection lives on. */
struct tsn_reply *tsn_redis_ask(struct tsn_redis *redis, const char *key, int n,
                                const struct tsn_redis_part *parts, struct tsn_failure *failure);

void tsn_reply_free(struct tsn_reply *reply);
enum tsn_reply_kind tsn_reply_kind(const struct tsn_reply *reply);
/* TEXT and ERROR; NUL-terminated besides. "" for other kinds. */
const char *tsn_reply_text(const struct tsn_reply *reply, size_t *len);
int64_t tsn_reply_integer(const struct tsn_reply *reply);
/* Elements of a LIST, 0 for other kinds; they belong to the list. */
size_t tsn_reply_n(const struct tsn_reply *reply);
const struct tsn_reply *tsn_reply_at(const struct tsn_reply *reply, size_t i);

/* Whether the error reply starts with this code ("NOSCRIPT"). */
bool tsn_reply_is_error(const struct tsn_reply *reply, const char *code);

/* The one translation of Redis errors: an error reply's code -> remedy and text, which
 * names the node of the reply taken last. */
bool tsn_redis_failure(const struct tsn_redis *redis, const struct tsn_reply *error,
                       struct tsn_failure *failure);
/* The same for an error's text; `where` names the server. */
bool tsn_redis_translate(const char *where, const char *error, struct tsn_failure *failure);

/* ---- scripts ------------------------------------------------------------------ */

/* A Lua script: sent whole to every node once a connection, by its hash after that. A server that
 * forgot it (restart, failover, SCRIPT FLUSH) says NOSCRIPT: then it is sent whole
 * again, once. */
struct tsn_script {
    const char *text;
    char sha[41];   /* filled by the first use */
    uint64_t epoch; /* connection that knows it */
};

/* Makes sure that the servers know the script. */
bool tsn_script_load(struct tsn_redis *redis, struct tsn_script *script,
                     struct tsn_failure *failure);
/* Queues a call of a loaded script. parts: the keys, then the arguments; the first
 * key routes. The caller handles NOSCRIPT: tsn_script_forget, load, call again. */
void tsn_script_append(struct tsn_redis *redis, const struct tsn_script *script, int n_keys, int n,
                       const struct tsn_redis_part *parts);
void tsn_script_forget(struct tsn_script *script);
/* load + call + NOSCRIPT handled. Nothing else may be pending. */
struct tsn_reply *tsn_script_ask(struct tsn_redis *redis, struct tsn_script *script, int n_keys,
                                 int n, const struct tsn_redis_part *parts,
                                 struct tsn_failure *failure);

/* ---- what a server must be ----------------------------------------------------- */

/* Whether state may live on this server, or on every master of this cluster: version,
 * policy, role. False with the remedy in *failure. *warning gets what is allowed and yet unwise, or
 * "". */
bool tsn_redis_check(struct tsn_redis *redis, char *warning, size_t warning_cap,
                     struct tsn_failure *failure);

#endif
