#include "connectors/redis/transport.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "connectors/redis/tls.h"
#include "rules/must/must.h"

enum { KEEPALIVE_S = 15, KEEPALIVE_PROBES = 3 };

struct tsn_transport {
    const char *name;
    int64_t timeout_ms;
    int fd;
    struct tsn_tls *tls; /* NULL: plain */
    bool heard;          /* anything at all */
};

/* ---- failures ------------------------------------------------------------------------ */

static bool broke(const struct tsn_transport *transport, const char *why,
                  struct tsn_failure *failure)
{
    return tsn_fail(failure, TSN_REMEDY_RETRY, "%s: the connection broke: %s", transport->name,
                    why);
}

static bool away(const struct tsn_transport *transport, const char *why,
                 struct tsn_failure *failure)
{
    return tsn_fail(failure, TSN_REMEDY_RETRY,
                    "%s: cannot connect: %s; is redis-server running there?", transport->name, why);
}

/* Until the socket is ready for `events`: 1; 0 on a time-out, -1 with errno. */
static int wait_ready(const struct tsn_transport *transport, short events)
{
    struct pollfd one = {.fd = transport->fd, .events = events};
    int rc;
    do {
        rc = poll(&one, 1, (int)transport->timeout_ms);
    } while (rc < 0 && errno == EINTR);
    return rc;
}

/* The same, with its failure. */
static bool await(const struct tsn_transport *transport, short events, struct tsn_failure *failure)
{
    int rc = wait_ready(transport, events);
    if (rc < 0) {
        return broke(transport, strerror(errno), failure);
    }
    return rc > 0 || tsn_fail(failure, TSN_REMEDY_RETRY, "%s: no answer within %lld ms",
                              transport->name, (long long)transport->timeout_ms);
}

/* ---- sockets ------------------------------------------------------------------------- */

/* One address: connected, or NULL's opposite: the reason why not. */
static const char *connect_to(struct tsn_transport *transport, int family,
                              const struct sockaddr *address, socklen_t len)
{
    transport->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (transport->fd < 0) {
        return strerror(errno);
    }
    if (connect(transport->fd, address, len) == 0) {
        return NULL;
    }
    /* A unix socket whose server is too busy to accept says EAGAIN and begins nothing. */
    if (errno == EINPROGRESS) {
        int error = 0;
        socklen_t error_len = sizeof error;
        int rc = wait_ready(transport, POLLOUT);
        if (rc == 0) {
            errno = ETIMEDOUT;
        } else if (rc > 0 &&
                   getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0) {
            if (error == 0) {
                return NULL;
            }
            errno = error;
        }
    }
    int reason = errno;
    close(transport->fd);
    transport->fd = -1;
    return strerror(reason);
}

/* Small requests at once, and a peer that vanished is found out. */
static void tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S / KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
    }
}

static bool open_tcp(struct tsn_transport *transport, const char *host, uint16_t port,
                     struct tsn_failure *failure)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        return away(transport, gai_strerror(rc), failure);
    }
    const char *why = "the name has no address";
    for (const struct addrinfo *at = found; at && transport->fd < 0; at = at->ai_next) {
        why = connect_to(transport, at->ai_family, at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(found);
    if (why) {
        return away(transport, why, failure);
    }
    tune(transport->fd);
    return true;
}

static bool open_unix(struct tsn_transport *transport, const char *path,
                      struct tsn_failure *failure)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the path of a socket has at most %zu bytes", transport->name,
                        sizeof address.sun_path - 1);
    }
    strcpy(address.sun_path, path);
    const char *why =
        connect_to(transport, AF_UNIX, (const struct sockaddr *)&address, sizeof address);
    return !why || away(transport, why, failure);
}

/* ---- TLS ----------------------------------------------------------------------------- */

/* Waits for what a turn wants. True: take the turn again. */
static bool await_turn(struct tsn_transport *transport, enum tsn_tls_turn turn,
                       struct tsn_failure *failure)
{
    switch (turn) {
    case TSN_TLS_WANTS_READ:
        return await(transport, POLLIN, failure);
    case TSN_TLS_WANTS_WRITE:
        return await(transport, POLLOUT, failure);
    case TSN_TLS_CLOSED:
        return broke(transport, "the server closed it", failure);
    default:
        return false;
    }
}

static bool begin_tls(struct tsn_transport *transport, const struct tsn_transport_target *to,
                      struct tsn_failure *failure)
{
    transport->tls = tsn_tls_new(to->tls, to->name, to->host, transport->fd, failure);
    if (!transport->tls) {
        return false;
    }
    enum tsn_tls_turn turn;
    do {
        turn = tsn_tls_handshake(transport->tls, failure);
        if (turn == TSN_TLS_DONE) {
            return true;
        }
    } while (await_turn(transport, turn, failure));
    if (failure->remedy == TSN_REMEDY_RETRY) {
        struct tsn_failure how = *failure;
        tsn_fail(failure, TSN_REMEDY_RETRY, "%.400s, in the TLS handshake; is it the tls-port?",
                 how.text);
    }
    return false;
}

/* ---- the door ------------------------------------------------------------------------ */

struct tsn_transport *tsn_transport_open(const struct tsn_transport_target *to,
                                         struct tsn_failure *failure)
{
    struct tsn_transport *transport = calloc(1, sizeof *transport);
    TSN_MUST_ALLOC(transport);
    transport->name = to->name;
    transport->timeout_ms = to->timeout_ms;
    transport->fd = -1;
    bool ok = to->unix_socket ? open_unix(transport, to->unix_socket, failure)
                              : open_tcp(transport, to->host, to->port, failure);
    if (!ok || (to->tls->on && !to->unix_socket && !begin_tls(transport, to, failure))) {
        tsn_transport_close(transport);
        return NULL;
    }
    return transport;
}

void tsn_transport_close(struct tsn_transport *transport)
{
    if (!transport) {
        return;
    }
    tsn_tls_free(transport->tls);
    if (transport->fd >= 0) {
        close(transport->fd);
    }
    free(transport);
}

/* The same as send(2) and recv(2) said, in the words of a TLS session. A server that goes
 * away must not end the process by SIGPIPE. */
static enum tsn_tls_turn plain_turn(struct tsn_transport *transport, ssize_t rc,
                                    enum tsn_tls_turn wants, size_t *n, struct tsn_failure *failure)
{
    if (rc > 0) {
        *n = (size_t)rc;
        return TSN_TLS_DONE;
    }
    if (rc < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return wants;
    }
    const char *why = rc < 0 ? strerror(errno) : "the server closed it";
    if (transport->heard) {
        broke(transport, why, failure);
    } else {
        tsn_fail(failure, TSN_REMEDY_RETRY,
                 "%s: the connection broke before the server said a word: %s; if that port speaks "
                 "TLS, set redis.tls",
                 transport->name, why);
    }
    return TSN_TLS_FAILED;
}

/* A server that ended the session may have said why, behind what we were to send. */
static bool last_word(struct tsn_transport *transport, struct tsn_failure *failure)
{
    char bytes[1024];
    size_t n;
    enum tsn_tls_turn turn;
    do {
        turn = tsn_tls_read(transport->tls, bytes, sizeof bytes, &n, failure);
    } while (turn == TSN_TLS_DONE);
    return turn == TSN_TLS_FAILED;
}

bool tsn_transport_send(struct tsn_transport *transport, const void *bytes, size_t len,
                        struct tsn_failure *failure)
{
    const char *at = bytes;
    while (len > 0) {
        size_t n = 0;
        enum tsn_tls_turn turn =
            transport->tls ? tsn_tls_write(transport->tls, at, len, &n, failure)
                           : plain_turn(transport, send(transport->fd, at, len, MSG_NOSIGNAL),
                                        TSN_TLS_WANTS_WRITE, &n, failure);
        if (turn == TSN_TLS_CLOSED && last_word(transport, failure)) {
            return false;
        }
        if (turn != TSN_TLS_DONE && !await_turn(transport, turn, failure)) {
            return false;
        }
        at += n;
        len -= n;
    }
    return true;
}

size_t tsn_transport_receive(struct tsn_transport *transport, void *bytes, size_t cap,
                             struct tsn_failure *failure)
{
    for (;;) {
        size_t n = 0;
        enum tsn_tls_turn turn = transport->tls
                                     ? tsn_tls_read(transport->tls, bytes, cap, &n, failure)
                                     : plain_turn(transport, recv(transport->fd, bytes, cap, 0),
                                                  TSN_TLS_WANTS_READ, &n, failure);
        if (turn == TSN_TLS_DONE) {
            transport->heard = true;
            return n;
        }
        if (!await_turn(transport, turn, failure)) {
            return 0;
        }
    }
}
