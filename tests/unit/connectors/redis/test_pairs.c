/* Pairs: replies cut at any byte give the same fields and values, and nothing else than
 * a flat list is taken for a hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "connectors/redis/pairs.h"
#include "rules/must/must.h"

/* Everything that was shown, as one text. */
struct seen {
    char text[512];
    size_t len;
};

static void see(void *user, const char *field, size_t field_len, const char *value, size_t len)
{
    struct seen *seen = user;
    TSN_MUST(seen->len + field_len + len + 2 < sizeof seen->text);
    memcpy(seen->text + seen->len, field, field_len);
    seen->len += field_len;
    seen->text[seen->len++] = '=';
    memcpy(seen->text + seen->len, value, len);
    seen->len += len;
    seen->text[seen->len++] = ';';
    seen->text[seen->len] = '\0';
}

/* Reads one reply that comes in pieces of `piece` bytes; NULL when it is none. */
static redisReply *read_in_pieces(const char *bytes, size_t piece, struct seen *seen)
{
    struct tsn_pairs_reader pairs;
    redisContext *context = redisConnectFd(-1); /* for its reader, as redis.c has it */
    redisReader *reader = context->reader;
    void *reply = NULL;
    *seen = (struct seen){0};
    tsn_pairs_begin(&pairs, reader, see, seen);
    size_t n = strlen(bytes);
    int rc = REDIS_OK;
    for (size_t at = 0; at < n && !reply && rc == REDIS_OK; at += piece) {
        size_t some = n - at < piece ? n - at : piece;
        char copy[64]; /* what was fed is not there any more when it is read */
        TSN_MUST(some <= sizeof copy);
        memcpy(copy, bytes + at, some);
        redisReaderFeed(reader, copy, some);
        memset(copy, 'x', sizeof copy);
        rc = redisReaderGetReply(reader, &reply);
    }
    tsn_pairs_end(&pairs);
    assert_ptr_equal(reader->fn, pairs.plain);
    redisFree(context);
    return rc == REDIS_OK ? reply : NULL;
}

static void hash_in_pieces_of_any_size_gives_its_pairs(void **state)
{
    (void)state;
    static const char bytes[] = "*6\r\n$1\r\n#\r\n$1\r\n2\r\n$5\r\nfield\r\n$0\r\n\r\n"
                                "$2\r\nno\r\n$10\r\n0123456789\r\n";
    for (size_t piece = 1; piece <= 64; piece++) {
        struct seen seen;
        redisReply *reply = read_in_pieces(bytes, piece, &seen);
        assert_non_null(reply);
        assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
        assert_int_equal(reply->elements, 0);
        assert_string_equal(seen.text, "#=2;field=;no=0123456789;");
        freeReplyObject(reply);
    }
}

static void other_replies_are_as_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int type;
        const char *text;
    } cases[] = {
        {"*0\r\n", REDIS_REPLY_ARRAY, NULL},
        {"-LOADING wait\r\n", REDIS_REPLY_ERROR, "LOADING wait"},
        {"$3\r\nabc\r\n", REDIS_REPLY_STRING, "abc"},
        {":7\r\n", REDIS_REPLY_INTEGER, NULL},
        {"$-1\r\n", REDIS_REPLY_NIL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        redisReply *reply = read_in_pieces(cases[i].bytes, 3, &seen);
        assert_non_null(reply);
        assert_int_equal(reply->type, cases[i].type);
        if (cases[i].text) {
            assert_string_equal(reply->str, cases[i].text);
        }
        assert_int_equal(seen.len, 0);
        freeReplyObject(reply);
    }
}

static void what_no_hash_is_ends_the_connection(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "*2\r\n$1\r\na\r\n:1\r\n",
        "*2\r\n$1\r\na\r\n$-1\r\n",
        "*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n",
        "*2\r\n*-1\r\n$1\r\nb\r\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen;
        assert_null(read_in_pieces(cases[i], 64, &seen));
    }
}

static void field_longer_than_any_of_ours_is_given_without_its_name(void **state)
{
    (void)state;
    struct seen seen;
    redisReply *reply = read_in_pieces(
        "*2\r\n$65\r\n"
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefX\r\n$1\r\nv\r\n",
        7, &seen);
    assert_non_null(reply);
    assert_string_equal(seen.text, "=v;");
    freeReplyObject(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_in_pieces_of_any_size_gives_its_pairs),
        cmocka_unit_test(other_replies_are_as_they_are),
        cmocka_unit_test(what_no_hash_is_ends_the_connection),
        cmocka_unit_test(field_longer_than_any_of_ours_is_given_without_its_name),
    };
    return cmocka_run_group_tests_name("redis_pairs", tests, NULL, NULL);
}
