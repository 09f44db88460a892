#include "connectors/redis/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rules/must/must.h"

struct tsn_tls {
    const char *name;
    const char *server_name; /* what the certificate must be for */
    BIO_METHOD *method;
    SSL_CTX *context;
    SSL *ssl;
};

/* ---- bytes to the socket ------------------------------------------------------------------ */

/* OpenSSL's own sockets write without MSG_NOSIGNAL: a server that goes away would end the
 * process. */
static int bio_write(BIO *bio, const char *bytes, int len)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = send((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int)n;
}

static int bio_read(BIO *bio, char *bytes, int cap)
{
    BIO_clear_retry_flags(bio);
    ssize_t n = recv((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)cap, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        BIO_set_retry_read(bio);
    }
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static bool attach(struct tsn_tls *tls, int fd)
{
    tls->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (!tls->method || !BIO_meth_set_write(tls->method, bio_write) ||
        !BIO_meth_set_read(tls->method, bio_read) || !BIO_meth_set_ctrl(tls->method, bio_ctrl)) {
        return false;
    }
    BIO *bio = BIO_new(tls->method);
    if (!bio) {
        return false;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio); /* takes it */
    return true;
}

/* ---- what is trusted, who we are ------------------------------------------------------------ */

/* The newest reason that OpenSSL has, in its words. */
static const char *reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *words = error != 0 ? ERR_reason_error_string(error) : NULL;
    return words ? words : ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : "no reason";
}

static bool unusable(const struct tsn_tls *tls, const char *setting, const char *file,
                     struct tsn_failure *failure)
{
    return tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: redis.tls.%s: %s cannot be used: %s",
                    tls->name, setting, file, reason());
}

/* A key file that wants a pass phrase is refused: nobody is there to type one. */
static int no_pass_phrase(char *text, int cap, int writing, void *user)
{
    (void)text;
    (void)cap;
    (void)writing;
    (void)user;
    return -1;
}

static bool load_files(struct tsn_tls *tls, const struct tsn_redis_tls *as,
                       struct tsn_failure *failure)
{
    SSL_CTX_set_default_passwd_cb(tls->context, no_pass_phrase);
    if (as->ca_file ? !SSL_CTX_load_verify_file(tls->context, as->ca_file)
                    : !SSL_CTX_set_default_verify_paths(tls->context)) {
        return unusable(tls, "ca_file", as->ca_file ? as->ca_file : "the system's store", failure);
    }
    if (!as->cert_file) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(tls->context, as->cert_file) != 1) {
        return unusable(tls, "cert_file", as->cert_file, failure);
    }
    /* It compares the key with the certificate, too. */
    if (SSL_CTX_use_PrivateKey_file(tls->context, as->key_file, SSL_FILETYPE_PEM) != 1) {
        return unusable(tls, "key_file", as->key_file, failure);
    }
    return true;
}

static bool is_address(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom the certificate must be for; a name is told to the server as well (SNI). */
static bool expect(struct tsn_tls *tls)
{
    if (is_address(tls->server_name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), tls->server_name) == 1;
    }
    SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(tls->ssl, tls->server_name) == 1 &&
           SSL_set_tlsext_host_name(tls->ssl, tls->server_name) == 1;
}

struct tsn_tls *tsn_tls_new(const struct tsn_redis_tls *as, const char *name, const char *host,
                            int fd, struct tsn_failure *failure)
{
    struct tsn_tls *tls = calloc(1, sizeof *tls);
    TSN_MUST_ALLOC(tls);
    tls->name = name;
    tls->server_name = as->server_name ? as->server_name : host;
    ERR_clear_error();
    tls->context = SSL_CTX_new(TLS_client_method());
    TSN_MUST_ALLOC(tls->context);
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (!load_files(tls, as, failure)) {
        tsn_tls_free(tls);
        return NULL;
    }
    tls->ssl = SSL_new(tls->context);
    TSN_MUST_ALLOC(tls->ssl);
    if (!attach(tls, fd) || !expect(tls)) {
        tsn_fail(failure, TSN_REMEDY_CONFIG, "%s: redis.tls: '%s' is no name of a server: %s", name,
                 tls->server_name, reason());
        tsn_tls_free(tls);
        return NULL;
    }
    SSL_set_connect_state(tls->ssl);
    return tls;
}

void tsn_tls_free(struct tsn_tls *tls)
{
    if (tls) {
        SSL_free(tls->ssl); /* without a good-bye: the socket is closed next */
        SSL_CTX_free(tls->context);
        BIO_meth_free(tls->method);
        free(tls);
    }
}

/* ---- failures ------------------------------------------------------------------------------ */

/* Why the server's certificate does not do. */
static bool distrusted(const struct tsn_tls *tls, long result, struct tsn_failure *failure)
{
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the server's certificate is not for '%s'; set redis.tls.server_name "
                        "to the name that it is for",
                        tls->name, tls->server_name);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the server's certificate, or its authority's, has expired; renew it "
                        "there",
                        tls->name);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the server's certificate is not valid yet; look at the clocks of both "
                        "machines",
                        tls->name);
    default:
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the server's certificate is not trusted (%s); give the authority that "
                        "signed it as redis.tls.ca_file",
                        tls->name, X509_verify_cert_error_string(result));
    }
}

/* What the server thinks of us, by the alert that it sent; with TLS 1.3 it comes only
 * after our side of the handshake is over. */
static bool refused(const struct tsn_tls *tls, struct tsn_failure *failure)
{
    switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the server wants a client certificate; set redis.tls.cert_file and "
                        "redis.tls.key_file (%s)",
                        tls->name, reason());
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: the server does not accept the certificate in redis.tls.cert_file: %s",
                        tls->name, reason());
    case SSL_R_WRONG_VERSION_NUMBER:
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "%s: this is not TLS; use the server's tls-port, or leave redis.tls out",
                        tls->name);
    default:
        return tsn_fail(failure, TSN_REMEDY_RETRY, "%s: TLS broke: %s", tls->name, reason());
    }
}

/* What a call that gave `rc` wants next. */
static enum tsn_tls_turn turn_of(struct tsn_tls *tls, int rc, struct tsn_failure *failure)
{
    switch (SSL_get_error(tls->ssl, rc)) {
    case SSL_ERROR_NONE:
        return TSN_TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TSN_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TSN_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN: /* with a good-bye */
    case SSL_ERROR_SYSCALL:     /* without */
        return TSN_TLS_CLOSED;
    default:
        break;
    }
    long result = SSL_get_verify_result(tls->ssl);
    if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return TSN_TLS_CLOSED;
    }
    if (result != X509_V_OK) {
        distrusted(tls, result, failure);
    } else {
        refused(tls, failure);
    }
    return TSN_TLS_FAILED;
}

/* ---- turns --------------------------------------------------------------------------------- */

enum tsn_tls_turn tsn_tls_handshake(struct tsn_tls *tls, struct tsn_failure *failure)
{
    ERR_clear_error();
    return turn_of(tls, SSL_do_handshake(tls->ssl), failure);
}

enum tsn_tls_turn tsn_tls_write(struct tsn_tls *tls, const void *bytes, size_t len, size_t *n,
                                struct tsn_failure *failure)
{
    ERR_clear_error();
    *n = 0;
    return turn_of(tls, SSL_write_ex(tls->ssl, bytes, len, n), failure);
}

enum tsn_tls_turn tsn_tls_read(struct tsn_tls *tls, void *bytes, size_t cap, size_t *n,
                               struct tsn_failure *failure)
{
    ERR_clear_error();
    *n = 0;
    return turn_of(tls, SSL_read_ex(tls->ssl, bytes, cap, n), failure);
}
