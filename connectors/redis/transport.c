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

#include "rules/must/must.h"

enum { KEEPALIVE_S = 15, KEEPALIVE_PROBES = 3 };

struct tsn_transport {
    const char *name;
    int64_t timeout_ms;
    int fd;
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
    if (!ok) {
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
    if (transport->fd >= 0) {
        close(transport->fd);
    }
    free(transport);
}

bool tsn_transport_send(struct tsn_transport *transport, const void *bytes, size_t len,
                        struct tsn_failure *failure)
{
    const char *at = bytes;
    while (len > 0) {
        /* A server that goes away must not end the process by SIGPIPE. */
        ssize_t n = send(transport->fd, at, len, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!await(transport, POLLOUT, failure)) {
                return false;
            }
        } else if (errno != EINTR) {
            return broke(transport, strerror(errno), failure);
        }
    }
    return true;
}

size_t tsn_transport_receive(struct tsn_transport *transport, void *bytes, size_t cap,
                             struct tsn_failure *failure)
{
    for (;;) {
        ssize_t n = recv(transport->fd, bytes, cap, 0);
        if (n > 0) {
            return (size_t)n;
        }
        if (n == 0) {
            broke(transport, "the server closed it", failure);
            return 0;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!await(transport, POLLIN, failure)) {
                return 0;
            }
        } else if (errno != EINTR) {
            broke(transport, strerror(errno), failure);
            return 0;
        }
    }
}
