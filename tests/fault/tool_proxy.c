/* A bad network on loopback, for tests.
 *
 *   tool_proxy LISTEN_PORT TARGET_PORT CONTROL_FILE
 *
 * Forwards TCP connections of 127.0.0.1. CONTROL_FILE is read again when it changes, at
 * most 10 ms later; its first word says what the network does now:
 *
 *   pass       forwards at once
 *   delay N    each piece waits N ms, in each direction
 *   stall      forwards nothing; connections stay open, new ones are accepted
 *   reset N    once: ends every connection with RST; then forwards. N only makes it anew
 *
 * One thread, one poll(2). Prints "ready" when it listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS_MAX = 256, PIECE_BYTES = 64 << 10, LOOK_MS = 10 };

/* One direction of a connection: at most one piece is under way. */
struct way {
    int from, to;
    size_t at, n;
    int64_t due_ms;
    uint8_t bytes[PIECE_BYTES];
};

struct pair {
    bool open;
    struct way ways[2];
};

struct network {
    const char *control;
    char words[64]; /* as read last */
    bool stalled;
    int64_t delay_ms;
    uint16_t target;
    struct pair pairs[PAIRS_MAX];
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    fprintf(stderr, "tool_proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void prepare(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* With RST, whatever is still under way. */
static void end(struct pair *pair)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    for (int w = 0; w < 2; w++) {
        setsockopt(pair->ways[w].from, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(pair->ways[w].from);
    }
    pair->open = false;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void take_connection(struct network *network, int listener)
{
    int client = accept(listener, NULL, NULL);
    if (client < 0) {
        return;
    }
    struct sockaddr_in address = loopback(network->target);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    size_t i = 0;
    while (i < PAIRS_MAX && network->pairs[i].open) {
        i++;
    }
    if (i == PAIRS_MAX || server < 0 ||
        connect(server, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(client);
        close(server);
        return;
    }
    struct pair *pair = &network->pairs[i];
    prepare(client);
    prepare(server);
    pair->open = true;
    for (int w = 0; w < 2; w++) {
        pair->ways[w].from = w == 0 ? client : server;
        pair->ways[w].to = w == 0 ? server : client;
        pair->ways[w].at = pair->ways[w].n = 0;
    }
}

/* Reads a piece, or writes what is due of it; false: the connection is over. */
static bool move(struct network *network, struct way *way, int64_t now)
{
    if (way->n == 0) {
        ssize_t n = read(way->from, way->bytes, sizeof way->bytes);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        }
        way->at = 0;
        way->n = (size_t)n;
        way->due_ms = now + network->delay_ms;
    }
    if (way->due_ms > now) {
        return true;
    }
    ssize_t n = write(way->to, way->bytes + way->at, way->n);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    way->at += (size_t)n;
    way->n -= (size_t)n;
    return true;
}

static void look_at_control(struct network *network)
{
    char words[sizeof network->words] = "";
    FILE *file = fopen(network->control, "re");
    if (!file) {
        return;
    }
    if (!fgets(words, sizeof words, file)) {
        words[0] = '\0';
    }
    fclose(file);
    if (words[0] == '\0' || strcmp(words, network->words) == 0) {
        return;
    }
    strcpy(network->words, words);
    network->stalled = strncmp(words, "stall", 5) == 0;
    network->delay_ms = strncmp(words, "delay ", 6) == 0 ? strtol(words + 6, NULL, 10) : 0;
    for (size_t i = 0; i < PAIRS_MAX && strncmp(words, "reset", 5) == 0; i++) {
        if (network->pairs[i].open) {
            end(&network->pairs[i]);
        }
    }
}

/* One turn: waits for something to do, does it. */
static void turn(struct network *network, int listener)
{
    static struct pollfd fds[1 + 2 * PAIRS_MAX];
    nfds_t n = 0;
    fds[n++] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (size_t i = 0; i < PAIRS_MAX && !network->stalled; i++) {
        for (int w = 0; w < 2 && network->pairs[i].open; w++) {
            const struct way *way = &network->pairs[i].ways[w];
            if (way->n == 0) {
                fds[n++] = (struct pollfd){.fd = way->from, .events = POLLIN};
            }
        }
    }
    poll(fds, n, network->delay_ms > 0 ? 1 : LOOK_MS);
    look_at_control(network);
    if (fds[0].revents & POLLIN) {
        take_connection(network, listener);
    }
    int64_t now = now_ms();
    for (size_t i = 0; i < PAIRS_MAX && !network->stalled; i++) {
        struct pair *pair = &network->pairs[i];
        if (pair->open &&
            (!move(network, &pair->ways[0], now) || !move(network, &pair->ways[1], now))) {
            end(pair);
        }
    }
}

int main(int argc, char **argv)
{
    static struct network network;
    if (argc != 4) {
        fprintf(stderr, "usage: tool_proxy LISTEN_PORT TARGET_PORT CONTROL_FILE\n");
        return 2;
    }
    network.target = (uint16_t)strtoul(argv[2], NULL, 10);
    network.control = argv[3];
    signal(SIGPIPE, SIG_IGN);
    int one = 1;
    struct sockaddr_in address = loopback((uint16_t)strtoul(argv[1], NULL, 10));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 64) != 0) {
        fail(argv[1]);
    }
    fcntl(listener, F_SETFL, O_NONBLOCK);
    puts("ready");
    fflush(stdout);
    for (;;) {
        turn(&network, listener);
    }
}
