/* Rejects on the wire: everything that came is there, up to a bound that is stated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/wire/wire.h"

static const struct tsn_origin origins[] = {{"cdr.call", 5}};
static const struct tsn_wire wire = {
    .rejects_topic = "tocsin.rejects", .origins = origins, .n_origins = 1};
static const struct tsn_reject why = {.reason = TSN_REJECT_TYPE, .text = "talk: expected a number"};

static const char *header(const struct tsn_message *message, const char *name, size_t *len)
{
    const char *found = NULL;
    for (size_t i = 0; i < message->n_headers; i++) {
        if (strcmp(message->headers[i].name, name) == 0) {
            found = message->headers[i].value;
            *len = message->headers[i].len;
        }
    }
    return found;
}

static void assert_header(const struct tsn_message *message, const char *name, const char *value)
{
    size_t len = 0;
    const char *found = header(message, name, &len);
    assert_non_null(found);
    assert_int_equal(len, strlen(value));
    assert_memory_equal(found, value, len);
}

static void a_reject_carries_the_record_as_it_came_and_why(void **state)
{
    (void)state;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    const struct tsn_header own[] = {{"trace", "a\0b", 3}, {"empty", NULL, 0}};
    const struct tsn_record record = {"{\"talk\":\"x\"}", 12, 1772442000250, 0, 9007199254740993};
    struct tsn_message message;
    tsn_wire_reject(&wire, &record, &why, "k\0y", 3, own, 2, &arena, &message);
    assert_string_equal(message.topic, "tocsin.rejects");
    assert_int_equal(message.len, 12);
    assert_memory_equal(message.value, record.bytes, 12);
    assert_int_equal(message.key_len, 3);
    assert_memory_equal(message.key, "k\0y", 3);
    size_t len = 0;
    assert_memory_equal(header(&message, "trace", &len), "a\0b", 3);
    assert_int_equal(len, 3);
    assert_header(&message, "tocsin_topic", "cdr.call");
    assert_header(&message, "tocsin_partition", "5");
    assert_header(&message, "tocsin_offset", "9007199254740993");
    assert_header(&message, "tocsin_timestamp", "1772442000250");
    assert_header(&message, "tocsin_reason", "wrong-type");
    assert_header(&message, "tocsin_text", "talk: expected a number");
    assert_null(header(&message, "tocsin_truncated", &len));
    tsn_arena_free(&arena);
}

static void a_tombstone_stays_a_record_without_value_and_key(void **state)
{
    (void)state;
    struct tsn_arena arena;
    tsn_arena_init(&arena, 0);
    const struct tsn_record record = {NULL, 0, TSN_NO_TIMESTAMP, 0, 1};
    struct tsn_message message;
    size_t len;
    tsn_wire_reject(&wire, &record, &why, NULL, 0, NULL, 0, &arena, &message);
    assert_null(message.value);
    assert_null(message.key);
    assert_null(header(&message, "tocsin_timestamp", &len));
    tsn_arena_free(&arena);
}

static void no_record_makes_a_reject_too_large_to_publish(void **state)
{
    (void)state;
    enum { BIG = 1024 * 1024, KEPT = 64 * 1024 };
    char *big = malloc(BIG);
    assert_non_null(big);
    memset(big, 'x', BIG);
    struct tsn_header *many = malloc(BIG / 8 * sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < BIG / 8; i++) {
        many[i] = (struct tsn_header){"", "", 0};
    }
    const struct tsn_header large[] = {{"large", big, BIG}};
    const struct {
        const char *what;
        size_t len, key_len, n_headers;
        const struct tsn_header *headers;
        bool truncated;
    } cases[] = {
        {"as much as is kept", KEPT, KEPT, 0, NULL, false},
        {"a long value", KEPT + 1, 3, 0, NULL, true},
        {"a long key", 3, KEPT + 1, 0, NULL, true},
        {"a large header", 3, 3, 1, large, true},
        {"many empty headers", 3, 3, BIG / 8, many, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_arena arena;
        tsn_arena_init(&arena, 0);
        const struct tsn_record record = {big, cases[i].len, 1, 0, 1};
        struct tsn_message message;
        size_t len = 0;
        tsn_wire_reject(&wire, &record, &why, big, cases[i].key_len, cases[i].headers,
                        cases[i].n_headers, &arena, &message);
        size_t total = message.len + message.key_len;
        for (size_t h = 0; h < message.n_headers; h++) {
            total += strlen(message.headers[h].name) + message.headers[h].len;
        }
        if (total > 200 * 1024 || message.n_headers > 20) {
            fail_msg("%s: %zu bytes, %zu headers", cases[i].what, total, message.n_headers);
        }
        assert_int_equal(header(&message, "tocsin_truncated", &len) != NULL, cases[i].truncated);
        tsn_arena_free(&arena);
    }
    free(many);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reject_carries_the_record_as_it_came_and_why),
        cmocka_unit_test(a_tombstone_stays_a_record_without_value_and_key),
        cmocka_unit_test(no_record_makes_a_reject_too_large_to_publish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
