/* Walk and shape: what is remembered of the records before must not show. Every record is
 * read by a reader that has just read another one or the same, and by a fresh reader; both
 * must say the same, and what the table says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/decode/walk.h"

enum { POINTERS = 6 };

static const char *const pointers[POINTERS] = {
    "/a", "/number", "/a_name_of_twenty_bytes", "/sub/x", "/sub/yy", "/list/1",
};

static const struct record {
    const char *why;
    const char *text;
    enum tsn_json_outcome outcome;
    int slot;          /* looked at, an index into pointers; -1: none */
    const char *value; /* its bytes; NULL: absent */
} records[] = {
    {"the usual one", "{\"a\":\"v\",\"number\":17,\"sub\":{\"x\":1,\"yy\":\"2\"}}", TSN_JSON_OK, 1,
     "17"},
    {"the same members in another order", "{\"number\":18,\"a\":\"w\",\"sub\":{\"yy\":3,\"x\":4}}",
     TSN_JSON_OK, 1, "18"},
    {"another name of the same length", "{\"b\":\"v\",\"nomber\":19}", TSN_JSON_OK, 1, NULL},
    {"a longer name that begins alike", "{\"ab\":1,\"numbers\":2}", TSN_JSON_OK, 0, NULL},
    {"the empty name", "{\"\":1,\"number\":\"x\"}", TSN_JSON_OK, 1, "x"},
    {"names that differ in their middle only",
     "{\"a_name_of_twenty_bytes\":1,\"a_name_of_TWENTy_bytes\":2}", TSN_JSON_OK, 2, "1"},
    {"... and the other way round", "{\"a_name_of_TWENTy_bytes\":2,\"a_name_of_twenty_bytes\":1}",
     TSN_JSON_OK, 2, "1"},
    {"a name longer than what is remembered",
     "{\"a_name_that_is_longer_than_forty_bytes_altogether\":1,\"a\":2}", TSN_JSON_OK, 0, "2"},
    {"a name with an escape", "{\"\\u0061\":\"v\",\"number\":17}", TSN_JSON_OK, 0, "v"},
    {"an escape in a value at its usual place", "{\"a\":\"\\n\",\"number\":17}", TSN_JSON_OK, 0,
     "\n"},
    {"an escaped quote at the end", "{\"a\":\"\\\"\",\"number\":17}", TSN_JSON_OK, 0, "\""},
    {"white space everywhere", " { \"a\" : \"v\" , \"number\" : 17 } ", TSN_JSON_OK, 1, "17"},
    {"a value of another kind", "{\"a\":{\"deep\":[1,{}]},\"number\":[]}", TSN_JSON_OK, 0, ""},
    {"words", "{\"a\":true,\"number\":null,\"sub\":false}", TSN_JSON_OK, 0, "true"},
    {"an object's members where a word stood", "{\"a\":1,\"number\":2,\"sub\":{\"x\":false}}",
     TSN_JSON_OK, 3, "false"},
    {"positions of a list", "{\"a\":1,\"list\":[10,\"eleven\",12]}", TSN_JSON_OK, 5, "eleven"},
    {"digits up to sixteen", "{\"a\":1234567890123456,\"number\":0}", TSN_JSON_OK, 0,
     "1234567890123456"},
    {"more digits", "{\"a\":12345678901234567,\"number\":-0}", TSN_JSON_OK, 0, "12345678901234567"},
    {"a fraction", "{\"a\":-12.50,\"number\":1e3}", TSN_JSON_OK, 0, "-12.50"},
    {"an exponent", "{\"a\":0,\"number\":12345678E+2}", TSN_JSON_OK, 1, "12345678E+2"},
    {"a fraction behind eight digits", "{\"a\":0,\"number\":12345678.5}", TSN_JSON_OK, 1,
     "12345678.5"},
    {"a string of sixteen bytes", "{\"a\":\"0123456789abcdef\",\"number\":17}", TSN_JSON_OK, 0,
     "0123456789abcdef"},
    {"a longer one", "{\"a\":\"0123456789abcdef0123456789abcdef0\",\"number\":17}", TSN_JSON_OK, 0,
     "0123456789abcdef0123456789abcdef0"},
    {"letters beyond ASCII", "{\"a\":\"\xe5\x8c\x97\xe4\xba\xac\",\"number\":17}", TSN_JSON_OK, 0,
     "\xe5\x8c\x97\xe4\xba\xac"},
    {"half a letter", "{\"a\":\"\xe5\x8c\",\"number\":17}", TSN_JSON_UTF8, -1, NULL},
    {"a control character", "{\"a\":\"v\n\",\"number\":17}", TSN_JSON_MALFORMED, -1, NULL},
    {"much white space behind",
     "{\"a\":\"v\",\"number\":17}                                                    "
     "                                                                               ",
     TSN_JSON_OK, 1, "17"},
    {"a fraction without digits", "{\"a\":\"v\",\"number\":17.}", TSN_JSON_MALFORMED, -1, NULL},
    {"a sign without digits", "{\"a\":\"v\",\"number\":-}", TSN_JSON_MALFORMED, -1, NULL},
    {"a string without an end", "{\"a\":\"v", TSN_JSON_MALFORMED, -1, NULL},
    {"nothing", "{}", TSN_JSON_OK, 0, NULL},
    {"an empty object inside", "{\"a\":\"\",\"sub\":{}}", TSN_JSON_OK, 0, ""},
    {"a member twice", "{\"a\":\"v\",\"a\":17}", TSN_JSON_TWICE, -1, NULL},
    {"... at the usual places", "{\"a\":\"v\",\"number\":17,\"number\":18}", TSN_JSON_TWICE, -1,
     NULL},
    {"a member that nobody maps twice", "{\"b\":1,\"b\":2,\"a\":3}", TSN_JSON_OK, 0, "3"},
    {"a word cut short", "{\"a\":tru,\"number\":17}", TSN_JSON_MALFORMED, -1, NULL},
    {"a word too long", "{\"a\":nulll,\"number\":17}", TSN_JSON_MALFORMED, -1, NULL},
    {"a leading zero", "{\"a\":\"v\",\"number\":017}", TSN_JSON_MALFORMED, -1, NULL},
    {"a letter among digits", "{\"a\":\"v\",\"number\":123456x8}", TSN_JSON_MALFORMED, -1, NULL},
    {"a colon among digits", "{\"a\":1:2}", TSN_JSON_MALFORMED, -1, NULL},
    {"no value", "{\"a\":,\"number\":17}", TSN_JSON_MALFORMED, -1, NULL},
    {"no comma", "{\"a\":\"v\"\"number\":17}", TSN_JSON_MALFORMED, -1, NULL},
    {"a comma at the end", "{\"a\":\"v\",}", TSN_JSON_MALFORMED, -1, NULL},
    {"a bracket for a brace", "{\"a\":\"v\"]", TSN_JSON_MALFORMED, -1, NULL},
    {"cut after a name", "{\"a\"", TSN_JSON_MALFORMED, -1, NULL},
    {"cut after a colon", "{\"a\":", TSN_JSON_MALFORMED, -1, NULL},
    {"cut after a value", "{\"a\":\"v\"", TSN_JSON_MALFORMED, -1, NULL},
    {"cut after a comma", "{\"a\":\"v\",", TSN_JSON_MALFORMED, -1, NULL},
    {"something behind", "{\"a\":\"v\"}}", TSN_JSON_MALFORMED, -1, NULL},
};

enum { RECORDS = sizeof records / sizeof records[0] };

struct said {
    enum tsn_json_outcome outcome;
    struct tsn_json_error error;
};

static struct said read_one(struct tsn_json_reader *reader, const struct record *record)
{
    struct said said;
    memset(&said, 0, sizeof said);
    said.outcome = tsn_json_read(reader, record->text, strlen(record->text), &said.error);
    return said;
}

static void assert_value(const struct record *record, const struct tsn_json_reader *reader,
                         const int *slots)
{
    if (record->slot < 0) {
        return;
    }
    const struct tsn_json_value *value = tsn_json_found(reader, slots[record->slot]);
    if (!record->value) {
        assert_null(value);
        return;
    }
    assert_non_null(value);
    assert_int_equal(value->len, strlen(record->value));
    if (value->len) {
        assert_memory_equal(value->p, record->value, value->len);
    }
}

static void assert_same(const struct tsn_json_reader *warm, const struct tsn_json_reader *fresh,
                        const int *slots)
{
    for (int i = 0; i < POINTERS; i++) {
        const struct tsn_json_value *a = tsn_json_found(warm, slots[i]);
        const struct tsn_json_value *b = tsn_json_found(fresh, slots[i]);
        assert_int_equal(a != NULL, b != NULL);
        if (!a) {
            continue;
        }
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->len, b->len);
        assert_int_equal(a->plain, b->plain);
        assert_int_equal(a->plain ? a->integer : 0, b->plain ? b->integer : 0);
        if (a->len) {
            assert_memory_equal(a->p, b->p, a->len);
        }
    }
}

static void a_record_is_read_the_same_whatever_came_before_it(void **state)
{
    (void)state;
    int slots[POINTERS];
    for (int before = 0; before < RECORDS; before++) {
        for (int at = 0; at < RECORDS; at++) {
            const struct record *record = &records[at];
            struct tsn_json_reader *warm = tsn_json_reader_new(pointers, POINTERS, slots, 4096);
            struct tsn_json_reader *fresh = tsn_json_reader_new(pointers, POINTERS, slots, 4096);
            read_one(warm, &records[before]);
            struct said a = read_one(warm, record), b = read_one(fresh, record);
            if (a.outcome != record->outcome || b.outcome != record->outcome) {
                fail_msg("%s, after %s: outcomes %d and %d", record->why, records[before].why,
                         (int)a.outcome, (int)b.outcome);
            }
            if (a.outcome != TSN_JSON_OK) {
                assert_int_equal(a.error.at, b.error.at);
                assert_string_equal(a.error.expected, b.error.expected);
            } else {
                assert_value(record, warm, slots);
                assert_value(record, fresh, slots);
                assert_same(warm, fresh, slots);
            }
            tsn_json_reader_free(warm);
            tsn_json_reader_free(fresh);
        }
    }
}

/* Is the record that the reader has just read of a shape it knows? */
static bool shape_is_known(struct tsn_json_reader *reader, const char *text)
{
    return tsn_shape_read(reader, strlen(text));
}

static void a_shape_is_known_from_its_first_record_on(void **state)
{
    static const struct {
        const char *first, *then;
        bool known;
    } cases[] = {
        {"{\"a\":\"v\",\"number\":17}", "{\"a\":\"other\",\"number\":-1.5}", true},
        {"{\"a\":\"v\",\"number\":17}", "{\"a\":\"\xe5\x8c\x97\",\"number\":1}", true},
        {"{\"a\": \"v\", \"number\": 17}\n", "{\"a\": \"w\", \"number\": 18}\n", true},
        {"{\"x\":{\"y\":[1,{\"z\":true}]},\"a\":1}", "{\"x\":{\"y\":[2,{\"z\":false}]},\"a\":2}",
         true},
        {"{\"sub\":{\"x\":1},\"list\":[1,2]}", "{\"sub\":{\"x\":3},\"list\":[4,5]}", true},
        {"{\"a_name_that_is_longer_than_a_step_of_thirty_two_bytes_and_twice_that\":1}",
         "{\"a_name_that_is_longer_than_a_step_of_thirty_two_bytes_and_twice_that\":2}", true},
        {"{\"a\":\"v\",\"number\":17}", "{\"a\":\"v\",\"number\":null}", false},
        {"{\"a\":\"v\",\"number\":17}", "{\"a\":\"\\t\",\"number\":17}", false},
        {"{\"a\":\"v\",\"number\":17}", "{\"number\":17,\"a\":\"v\"}", false},
        {"{\"a\":\"v\",\"number\":17}", "{\"a\":\"v\", \"number\":17}", false},
        {"{\"list\":[1,2]}", "{\"list\":[1,2,3]}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int slots[POINTERS];
        struct tsn_json_reader *reader = tsn_json_reader_new(pointers, POINTERS, slots, 4096);
        struct record first = {.text = cases[i].first}, then = {.text = cases[i].then};
        assert_int_equal(read_one(reader, &first).outcome, TSN_JSON_OK);
        memset(reader->text, ' ', 200);
        memcpy(reader->text, then.text, strlen(then.text));
        assert_int_equal(shape_is_known(reader, then.text), cases[i].known);
        tsn_json_reader_free(reader);
    }
}

/* Every byte of a record that is known, changed to every byte that means something. */
static void a_byte_changed_is_read_as_by_a_fresh_reader(void **state)
{
    static const char usual[] = "{\"v\":1,\"a\":\"abcdefgh\",\"number\":1712345678901,"
                                "\"sub\":{\"x\":true,\"yy\":null},\"list\":[1,\"e\"]}";
    static const char bytes[] = "\"\\\x1f\x80\xc3 0-.e,:{}[]x\n";
    (void)state;
    int slots[POINTERS];
    struct tsn_json_reader *warm = tsn_json_reader_new(pointers, POINTERS, slots, 4096);
    struct record record = {.text = usual};
    assert_int_equal(read_one(warm, &record).outcome, TSN_JSON_OK);
    for (size_t at = 0; at < sizeof usual - 1; at++) {
        for (const char *byte = bytes; *byte; byte++) {
            char text[sizeof usual];
            memcpy(text, usual, sizeof usual);
            text[at] = *byte;
            record.text = text;
            struct tsn_json_reader *fresh = tsn_json_reader_new(pointers, POINTERS, slots, 4096);
            struct said a = read_one(warm, &record), b = read_one(fresh, &record);
            if (a.outcome != b.outcome || a.error.at != b.error.at) {
                fail_msg("%s: outcomes %d and %d", text, (int)a.outcome, (int)b.outcome);
            }
            if (a.outcome == TSN_JSON_OK) {
                assert_same(warm, fresh, slots);
            }
            tsn_json_reader_free(fresh);
        }
        record.text = usual;
        assert_int_equal(read_one(warm, &record).outcome, TSN_JSON_OK);
        assert_true(shape_is_known(warm, usual));
    }
    tsn_json_reader_free(warm);
}

static void shapes_beyond_the_room_are_read_and_learned_in_time(void **state)
{
    (void)state;
    int slots[POINTERS];
    struct tsn_json_reader *reader = tsn_json_reader_new(pointers, POINTERS, slots, 4096);
    char text[64];
    struct record record = {.text = text};
    for (int i = 0; i < TSN_SHAPE_STEPS; i++) {
        snprintf(text, sizeof text, "{\"m%d\":1,\"number\":%d}", i, i);
        assert_int_equal(read_one(reader, &record).outcome, TSN_JSON_OK);
        assert_int_equal(tsn_json_found(reader, slots[1])->integer, i);
    }
    assert_int_equal(reader->shape.n, TSN_SHAPE_STEPS);
    assert_false(shape_is_known(reader, text));
    int n = 0;
    for (; n < 100000 && !shape_is_known(reader, text); n++) {
        assert_int_equal(read_one(reader, &record).outcome, TSN_JSON_OK);
        assert_int_equal(tsn_json_found(reader, slots[1])->integer, TSN_SHAPE_STEPS - 1);
    }
    assert_in_range(n, 2, 99999);
    tsn_json_reader_free(reader);
}

static void more_members_than_are_remembered_are_read(void **state)
{
    (void)state;
    int slots[POINTERS];
    static char text[64 * 1024];
    struct tsn_json_reader *reader = tsn_json_reader_new(pointers, POINTERS, slots, sizeof text);
    for (int round = 0; round < 3; round++) {
        int len = 1;
        text[0] = '{';
        for (int i = 0; i < 3 * TSN_SHAPE_STEPS; i++) {
            len += snprintf(text + len, sizeof text - (size_t)len, "\"m%d\":%d,", i, i);
        }
        len += snprintf(text + len, sizeof text - (size_t)len, "\"number\":%d}", round);
        struct record record = {.text = text};
        assert_int_equal(read_one(reader, &record).outcome, TSN_JSON_OK);
        const struct tsn_json_value *value = tsn_json_found(reader, slots[1]);
        assert_non_null(value);
        assert_true(value->plain);
        assert_int_equal(value->integer, round);
    }
    tsn_json_reader_free(reader);
}

static void integers_of_every_length_say_what_their_digits_say(void **state)
{
    (void)state;
    int slots[POINTERS];
    struct tsn_json_reader *reader = tsn_json_reader_new(pointers, POINTERS, slots, 4096);
    int64_t value = 0;
    for (int digits = 1; digits <= 18; digits++) {
        char text[64];
        value = value * 10 + digits % 10;
        snprintf(text, sizeof text, "{\"number\":%lld,\"a\":9}", (long long)value);
        struct record record = {.text = text};
        assert_int_equal(read_one(reader, &record).outcome, TSN_JSON_OK);
        const struct tsn_json_value *found = tsn_json_found(reader, slots[1]);
        assert_int_equal(found->plain, digits <= 16);
        assert_int_equal(found->plain ? found->integer : 0, digits <= 16 ? value : 0);
        assert_int_equal(found->len, digits);
    }
    tsn_json_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_the_same_whatever_came_before_it),
        cmocka_unit_test(a_shape_is_known_from_its_first_record_on),
        cmocka_unit_test(a_byte_changed_is_read_as_by_a_fresh_reader),
        cmocka_unit_test(shapes_beyond_the_room_are_read_and_learned_in_time),
        cmocka_unit_test(more_members_than_are_remembered_are_read),
        cmocka_unit_test(integers_of_every_length_say_what_their_digits_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
