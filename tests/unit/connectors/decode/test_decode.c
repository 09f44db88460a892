/* Records to rows: every type, unit, format and reject reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/config/config.h"
#include "connectors/decode/decode.h"
#include "engine/alert/text.h"
#include "rules/pack/pack.h"

static const char pack[] = "format: 1\n"
                           "pack: t\n"
                           "version: 1\n"
                           "owner: tests\n"
                           "events:\n"
                           "  e:\n"
                           "    id: id\n"
                           "    fields:\n"
                           "      id: { type: string, required: true }\n"
                           "      s: { type: string }\n"
                           "      line: { type: string, entity: line }\n"
                           "      i: { type: int }\n"
                           "      d: { type: double }\n"
                           "      b: { type: bool }\n"
                           "      m: { type: money, currency: cur }\n"
                           "      cur: { type: string }\n"
                           "      yuan: { type: money, currency: CNY }\n"
                           "      yen: { type: money, currency: JPY }\n"
                           "      at: { type: timestamp }\n"
                           "      at_s: { type: timestamp }\n"
                           "      at_us: { type: timestamp }\n"
                           "      dur: { type: duration }\n"
                           "      days: { type: duration }\n"
                           "      k: { type: enum, values: [voice, text] }\n"
                           "      k2: { type: enum, values: [voice, text] }\n"
                           "      deep: { type: int }\n"
                           "      third: { type: int }\n"
                           "      c: { type: int }\n"
                           "      dflt: { type: int }\n";

static const char conf[] =
    "pack: p\n"
    "numbers: { country: '86', trunk_prefix: '0', keep: ['95'] }\n"
    "sources:\n"
    "  s:\n"
    "    event: e\n"
    "    max_bytes: 4096\n"
    "    record_time: /rec\n"
    "    fields:\n"
    "      time: { from: /t, format: epoch_ms }\n"
    "      id: /id\n"
    "      s: /s\n"
    "      line: { from: /line, e164: true }\n"
    "      i: /i\n"
    "      d: /d\n"
    "      b: /b\n"
    "      m: { from: /m, unit: major }\n"
    "      cur: { from: /cur, default: EUR }\n"
    "      yuan: { from: /yuan, unit: minor }\n"
    "      yen: { from: /yen, unit: major }\n"
    "      at: /at\n"
    "      at_s: { from: /at_s, format: epoch_s }\n"
    "      at_us: { from: /at_us, format: epoch_us }\n"
    "      dur: { from: /dur, unit: s }\n"
    "      days: { from: /days, unit: d }\n"
    "      k: /k\n"
    "      k2: { from: /k2, map: { '01': voice, '2': text, 'true': text } }\n"
    "      deep: /a~1b/c~0d/n\n"
    "      third: /list/2/x\n"
    "      c: { constant: 7 }\n"
    "      dflt: { from: /dflt, default: -5 }\n";

struct world {
    struct tsn_diags diags;
    struct tsn_program *prog;
    struct tsn_config *config;
    struct tsn_decoder *decoder;
    struct tsn_batch *batch;
};

static struct world world_of(const char *text)
{
    struct world w = {0};
    tsn_diags_init(&w.diags);
    w.prog = tsn_pack_compile("p", pack, strlen(pack), NULL, NULL, &w.diags);
    w.config = tsn_config_parse("c.yaml", text, strlen(text), &w.diags);
    if (w.prog && w.config) {
        w.decoder = tsn_decoder_new(w.config, &w.config->sources[0], w.prog, &w.diags);
    }
    if (!w.decoder) {
        tsn_diags_print(&w.diags, stderr);
    }
    assert_non_null(w.decoder);
    w.batch = tsn_batch_new(w.prog, 64);
    return w;
}

static struct world world_open(void)
{
    return world_of(conf);
}

static void world_close(struct world *w)
{
    tsn_batch_free(w->batch);
    tsn_decoder_free(w->decoder);
    tsn_config_free(w->config);
    tsn_program_free(w->prog);
    tsn_diags_free(&w->diags);
}

static bool decode(struct world *w, const char *bytes, size_t len, int64_t stamp_ms,
                   struct tsn_reject *reject)
{
    /* exactly as long as it is: reading past the end shows under ASan */
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    struct tsn_record record = {copy, len, stamp_ms, 3, 42};
    tsn_batch_clear(w->batch);
    bool ok = tsn_decode(w->decoder, &record, w->batch, reject);
    free(copy);
    return ok;
}

/* {"t":1,"id":"x",<more>} */
static bool decode_more(struct world *w, const char *more, struct tsn_reject *reject)
{
    char text[4096];
    int len = snprintf(text, sizeof text, "{\"t\":1700000000000,\"id\":\"x\"%s%s}",
                       *more ? "," : "", more);
    return decode(w, text, (size_t)len, TSN_NO_TIMESTAMP, reject);
}

static const char *cell(struct world *w, const char *field, char *room)
{
    int f = tsn_event_type_field(&w->prog->types[0], field);
    assert_true(f != TSN_NONE);
    const struct tsn_column *column = &w->batch->types[0].fields[f];
    if (!tsn_bits_get(column->valid, 0)) {
        return "-";
    }
    switch (column->rep) {
    case TSN_REP_STRING:
        snprintf(room, 512, "%.*s", (int)column->str[0].len, column->str[0].p);
        break;
    case TSN_REP_ENUM:
        snprintf(room, 512, "%.*s", (int)column->dict->names[column->code[0]].len,
                 column->dict->names[column->code[0]].p);
        break;
    case TSN_REP_BOOL:
        snprintf(room, 512, "%d", tsn_bits_get(column->bits, 0));
        break;
    case TSN_REP_DOUBLE:
        tsn_text_double(column->f64[0], room);
        break;
    default:
        snprintf(room, 512, "%lld", (long long)column->i64[0]);
    }
    return room;
}

static void a_value_becomes_the_cell_that_its_mapping_says(void **state)
{
    static const struct {
        const char *why, *more, *field, *is;
    } cases[] = {
        {"text", "\"s\":\"abc\"", "s", "abc"},
        {"empty text is a value", "\"s\":\"\"", "s", ""},
        {"null is missing", "\"s\":null", "s", "-"},
        {"absent is missing", "", "s", "-"},
        {"escapes", "\"s\":\"a\\n\\u00e9\\ud83d\\ude00\\/\\\"\"", "s",
         "a\n\xc3\xa9\xf0\x9f\x98\x80/\""},
        {"white space anywhere", " \"s\" : \"abc\" ", "s", "abc"},
        {"a member name in escapes", "\"\\u0073\":\"abc\"", "s", "abc"},
        {"largest int", "\"i\":9223372036854775807", "i", "9223372036854775807"},
        {"smallest int", "\"i\":-9223372036854775808", "i", "-9223372036854775808"},
        {"beyond a double's integers", "\"i\":9007199254740993", "i", "9007199254740993"},
        {"1.0 is an integer", "\"i\":1.0", "i", "1"},
        {"1e3 is an integer", "\"i\":1e3", "i", "1000"},
        {"-0", "\"i\":-0", "i", "0"},
        {"120e-1", "\"i\":120e-1", "i", "12"},
        {"double", "\"d\":0.1", "d", "0.1"},
        {"double of 17 digits", "\"d\":0.30000000000000004", "d", "0.30000000000000004"},
        {"double from an int", "\"d\":3", "d", "3"},
        {"double smaller than any", "\"d\":1e-400", "d", "0"},
        {"true", "\"b\":true", "b", "1"},
        {"false", "\"b\":false", "b", "0"},
        {"money exactly", "\"m\":0.1,\"cur\":\"CNY\"", "m", "1000"},
        {"money in text", "\"m\":\"129.50\",\"cur\":\"CNY\"", "m", "1295000"},
        {"money at the default currency", "\"m\":2", "m", "20000"},
        {"money with an exponent", "\"m\":1.5e2,\"cur\":\"JPY\"", "m", "1500000"},
        {"zeros beyond the decimals are none", "\"m\":1.500,\"cur\":\"CNY\"", "m", "15000"},
        {"three decimals where a currency has them", "\"m\":1.005,\"cur\":\"KWD\"", "m", "10050"},
        {"negative money", "\"m\":-3.01", "m", "-30100"},
        {"minor units", "\"yuan\":1050", "yuan", "1050"},
        {"a currency without decimals", "\"yen\":1050", "yen", "1050"},
        {"RFC 3339", "\"at\":\"2026-01-02T03:04:05.678+08:00\"", "at", "1767294245678"},
        {"RFC 3339, cut to ms", "\"at\":\"1969-12-31t23:59:59.9999z\"", "at", "-1"},
        {"leap day", "\"at\":\"2024-02-29T00:00:00Z\"", "at", "1709164800000"},
        {"leap second", "\"at\":\"2016-12-31T23:59:60Z\"", "at", "1483228800000"},
        {"seconds with decimals", "\"at_s\":1.2345", "at_s", "1234"},
        {"seconds before 1970, floored", "\"at_s\":-0.0001", "at_s", "-1"},
        {"microseconds, floored", "\"at_us\":-1", "at_us", "-1"},
        {"microseconds", "\"at_us\":1700000000000999", "at_us", "1700000000000"},
        {"duration", "\"dur\":12.5", "dur", "12500"},
        {"days", "\"days\":30", "days", "2592000000"},
        {"enum", "\"k\":\"text\"", "k", "text"},
        {"mapped enum", "\"k2\":\"01\"", "k2", "voice"},
        {"mapped from a number", "\"k2\":2", "k2", "text"},
        {"mapped from a boolean", "\"k2\":true", "k2", "text"},
        {"not in the map: as written", "\"k2\":\"voice\"", "k2", "voice"},
        {"nested, with escaped pointer", "\"a/b\":{\"z\":[1,{}],\"c~d\":{\"n\":9}}", "deep", "9"},
        {"path ends early: missing", "\"a/b\":{}", "deep", "-"},
        {"path ends in null: missing", "\"a/b\":null", "deep", "-"},
        {"list position", "\"list\":[1,[2,[]],{\"x\":4}]", "third", "4"},
        {"list too short", "\"list\":[]", "third", "-"},
        {"constant", "", "c", "7"},
        {"default", "", "dflt", "-5"},
        {"default for null", "\"dflt\":null", "dflt", "-5"},
        {"default not used", "\"dflt\":1", "dflt", "1"},
        {"national number", "\"line\":\"0139 0990-0001\"", "line", "+8613909900001"},
        {"short code", "\"line\":\"95588\"", "line", "95588"},
        {"sender name", "\"line\":\"BANK\"", "line", "BANK"},
        {"a number that no integer holds, unread", "\"zz\":123456789012345678901234567890", "c",
         "7"},
        {"a double that no double holds, unread", "\"zz\":1e999", "c", "7"},
        {"the same unmapped member twice", "\"zz\":1,\"zz\":2", "c", "7"},
    };
    struct world w = world_open();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_reject reject;
        char room[512];
        if (!decode_more(&w, cases[i].more, &reject)) {
            fail_msg("%s: rejected: %s", cases[i].why, reject.text);
        }
        const char *is = cell(&w, cases[i].field, room);
        if (strcmp(is, cases[i].is) != 0) {
            fail_msg("%s: is %s, expected %s", cases[i].why, is, cases[i].is);
        }
    }
    world_close(&w);
}

/* Every mapping of a number says `quoted: true`. */
static const char quoted_conf[] = "pack: p\n"
                                  "sources:\n"
                                  "  s:\n"
                                  "    event: e\n"
                                  "    fields:\n"
                                  "      time: { from: /t, format: epoch_ms, quoted: true }\n"
                                  "      id: /id\n"
                                  "      i: { from: /i, quoted: true, map: { many: '99' } }\n"
                                  "      d: { from: /d, quoted: true }\n"
                                  "      m: { from: /m, unit: major, quoted: true }\n"
                                  "      cur: { constant: EUR }\n"
                                  "      yuan: { from: /yuan, unit: minor, quoted: true }\n"
                                  "      at_s: { from: /at_s, format: epoch_s, quoted: true }\n"
                                  "      at_us: { from: /at_us, format: epoch_us, quoted: true }\n"
                                  "      dur: { from: /dur, unit: s, quoted: true }\n"
                                  "      days: { from: /days, unit: d, quoted: true }\n"
                                  "      c: { from: /c, quoted: true, default: 7 }\n";

static void numbers_in_text_are_read_exactly_where_the_mapping_says_so(void **state)
{
    static const struct {
        const char *why, *more, *field, *is; /* is: NULL: rejected as bad-format */
    } cases[] = {
        {"an int", "\"i\":\"35\"", "i", "35"},
        {"an int as a number", "\"i\":35", "i", "35"},
        {"largest int", "\"i\":\"9223372036854775807\"", "i", "9223372036854775807"},
        {"1e3", "\"i\":\"1e3\"", "i", "1000"},
        {"mapped first", "\"i\":\"many\"", "i", "99"},
        {"escapes in the text", "\"i\":\"\\u0033\\u0035\"", "i", "35"},
        {"a double", "\"d\":\"0.1\"", "d", "0.1"},
        {"money, exactly", "\"m\":\"0.1\"", "m", "1000"},
        {"minor units", "\"yuan\":\"1050\"", "yuan", "1050"},
        {"seconds since 1970", "\"at_s\":\"1.2345\"", "at_s", "1234"},
        {"microseconds since 1970", "\"at_us\":\"-1\"", "at_us", "-1"},
        {"a duration", "\"dur\":\"12.5\"", "dur", "12500"},
        {"days", "\"days\":\"30\"", "days", "2592000000"},
        {"a default", "\"c\":null", "c", "7"},
        {"empty text", "\"i\":\"\"", "i", NULL},
        {"white space", "\"i\":\" 35\"", "i", NULL},
        {"a plus sign", "\"i\":\"+35\"", "i", NULL},
        {"a leading zero", "\"i\":\"035\"", "i", NULL},
        {"a grouped number", "\"m\":\"1,000.00\"", "m", NULL},
        {"a comma for the point", "\"dur\":\"12,5\"", "dur", NULL},
        {"hexadecimal", "\"i\":\"0x1f\"", "i", NULL},
        {"no number", "\"d\":\"NaN\"", "d", NULL},
        {"more than the number", "\"days\":\"30 d\"", "days", NULL},
    };
    struct world w = world_of(quoted_conf);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_reject reject;
        char text[300];
        char room[512];
        int len =
            snprintf(text, sizeof text, "{\"t\":\"1700000000000\",\"id\":\"x\",%s}", cases[i].more);
        bool ok = decode(&w, text, (size_t)len, TSN_NO_TIMESTAMP, &reject);
        if (ok != (cases[i].is != NULL) || (!ok && reject.reason != TSN_REJECT_FORMAT)) {
            fail_msg("%s: %s", cases[i].why, ok ? "accepted" : reject.text);
        }
        if (ok) {
            assert_int_equal(w.batch->types[0].time_ms[0], INT64_C(1700000000000));
            const char *is = cell(&w, cases[i].field, room);
            if (strcmp(is, cases[i].is) != 0) {
                fail_msg("%s: is %s, expected %s", cases[i].why, is, cases[i].is);
            }
        }
    }
    world_close(&w);
}

static void a_bad_record_is_rejected_with_its_reason_and_leaves_no_row(void **state)
{
    static const struct {
        const char *why, *more;
        enum tsn_reject_reason reason;
        const char *says;
    } cases[] = {
        {"text for int", "\"i\":\"1\"", TSN_REJECT_TYPE,
         "i (/i): expected an integer of 64 bits, found a number in text: `quoted: true`"},
        {"a word for int", "\"i\":\"one\"", TSN_REJECT_TYPE, "64 bits, found text"},
        {"1.5 for int", "\"i\":1.5", TSN_REJECT_TYPE, "an integer"},
        {"int out of range", "\"i\":9223372036854775808", TSN_REJECT_RANGE, "i (/i)"},
        {"int far out of range", "\"i\":1e100", TSN_REJECT_RANGE, "i (/i)"},
        {"huge exponent", "\"i\":1e999999999999", TSN_REJECT_RANGE, "i (/i)"},
        {"double out of range", "\"d\":1e400", TSN_REJECT_RANGE, "d (/d)"},
        {"number for text", "\"s\":5", TSN_REJECT_TYPE, "expected text, found a number"},
        {"object for text", "\"s\":{}", TSN_REJECT_TYPE, "found an object"},
        {"list for int", "\"i\":[1]", TSN_REJECT_TYPE, "found an array"},
        {"number for bool", "\"b\":1", TSN_REJECT_TYPE, "true or false"},
        {"required null", "\"id\":null", TSN_REJECT_MALFORMED, "only once"},
        {"mapped member twice", "\"i\":1,\"i\":1", TSN_REJECT_MALFORMED, "only once"},
        {"three decimals of a currency with two", "\"m\":1.005,\"cur\":\"CNY\"",
         TSN_REJECT_DECIMALS, "at most 2 decimals"},
        {"decimals of a currency without", "\"yen\":1.5", TSN_REJECT_DECIMALS, "at most 0"},
        {"minor units with decimals", "\"yuan\":1.5", TSN_REJECT_TYPE, "minor units"},
        {"minor units in text", "\"yuan\":\"150\"", TSN_REJECT_TYPE, "`quoted: true`"},
        {"a duration in text", "\"dur\":\"35\"", TSN_REJECT_TYPE, "`quoted: true`"},
        {"money that is no number", "\"m\":\"12,50\"", TSN_REJECT_FORMAT, "m (/m)"},
        {"money too large", "\"m\":922337203685477581", TSN_REJECT_RANGE, "m (/m)"},
        {"no such currency", "\"m\":1,\"cur\":\"XQZ\"", TSN_REJECT_CURRENCY, "ISO 4217"},
        {"currency in lower case", "\"m\":1,\"cur\":\"cny\"", TSN_REJECT_CURRENCY, "ISO 4217"},
        {"time without offset", "\"at\":\"2026-01-02T03:04:05\"", TSN_REJECT_FORMAT, "offset"},
        {"no such day", "\"at\":\"2026-02-29T03:04:05Z\"", TSN_REJECT_FORMAT, "RFC 3339"},
        {"number for RFC 3339", "\"at\":1700000000", TSN_REJECT_TYPE, "found a number"},
        {"text for epoch", "\"at_s\":\"1700000000\"", TSN_REJECT_TYPE, "`quoted: true`"},
        {"after the year 9999", "\"at_s\":253402300800", TSN_REJECT_RANGE, "at_s"},
        {"finer than a millisecond", "\"dur\":0.0001", TSN_REJECT_FORMAT, "3 decimals"},
        {"days beyond 64 bits of ms", "\"days\":999999999999", TSN_REJECT_RANGE, "days"},
        {"enum value not listed", "\"k\":\"fax\"", TSN_REJECT_ENUM, "k (/k)"},
        {"path through text", "\"a/b\":\"x\"", TSN_REJECT_TYPE, "an object above it, found text"},
        {"malformed in a value nobody reads", "\"zz\":[1,2", TSN_REJECT_MALFORMED, "expected"},
        {"wrong literal nobody reads", "\"zz\":nul", TSN_REJECT_MALFORMED, "a value"},
        {"leading zero nobody reads", "\"zz\":01", TSN_REJECT_MALFORMED, "a value"},
        {"plus sign nobody reads", "\"zz\":+1", TSN_REJECT_MALFORMED, "a value"},
        {"point without digits", "\"zz\":1.", TSN_REJECT_MALFORMED, "a value"},
        {"NaN", "\"zz\":NaN", TSN_REJECT_MALFORMED, "a value"},
        {"trailing comma", "\"zz\":[1,]", TSN_REJECT_MALFORMED, "a value"},
        {"missing colon", "\"zz\" 1", TSN_REJECT_MALFORMED, "':'"},
        {"unknown escape nobody reads", "\"zz\":\"\\x\"", TSN_REJECT_MALFORMED, "backslash"},
        {"half a surrogate pair", "\"zz\":\"\\ud800\"", TSN_REJECT_MALFORMED, "\\u"},
        {"control character in text", "\"zz\":\"a\tb\"", TSN_REJECT_MALFORMED, "control"},
        {"open text", "\"zz\":\"a", TSN_REJECT_MALFORMED, "closed"},
        {"brackets that cross", "\"zz\":[{]}", TSN_REJECT_MALFORMED, "member name"},
        {"form feed is no comma", "\"zz\":[1\f2]", TSN_REJECT_MALFORMED, "','"},
        {"not UTF-8", "\"zz\":\"\xff\"", TSN_REJECT_UTF8, "UTF-8"},
        {"overlong UTF-8", "\"zz\":\"\xc0\xaf\"", TSN_REJECT_UTF8, "UTF-8"},
        {"a surrogate in UTF-8", "\"zz\":\"\xed\xa0\x80\"", TSN_REJECT_UTF8, "UTF-8"},
    };
    struct world w = world_open();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_reject reject;
        if (decode_more(&w, cases[i].more, &reject)) {
            fail_msg("%s: accepted", cases[i].why);
        }
        if (reject.reason != cases[i].reason || !strstr(reject.text, cases[i].says)) {
            fail_msg("%s: %s: %s", cases[i].why, tsn_reject_word(reject.reason), reject.text);
        }
        assert_int_equal(w.batch->n, 0);
    }
    world_close(&w);
}

static void whole_records_are_judged_before_their_fields(void **state)
{
    static const struct {
        const char *why, *text;
        enum tsn_reject_reason reason;
    } cases[] = {
        {"nothing", "", TSN_REJECT_EMPTY},
        {"white space", "  ", TSN_REJECT_MALFORMED},
        {"a list", "[]", TSN_REJECT_MALFORMED},
        {"a number", "1", TSN_REJECT_MALFORMED},
        {"two objects", "{\"t\":1,\"id\":\"x\"}{}", TSN_REJECT_MALFORMED},
        {"trailing text", "{\"t\":1,\"id\":\"x\"} x", TSN_REJECT_MALFORMED},
        {"byte order mark", "\xef\xbb\xbf{\"t\":1,\"id\":\"x\"}", TSN_REJECT_MALFORMED},
        {"no time", "{\"id\":\"x\"}", TSN_REJECT_MISSING},
        {"no required field", "{\"t\":1}", TSN_REJECT_MISSING},
        {"required field null", "{\"t\":1,\"id\":null}", TSN_REJECT_MISSING},
        {"time before 1970", "{\"t\":-1,\"id\":\"x\"}", TSN_REJECT_RANGE},
        {"empty object", "{}", TSN_REJECT_MISSING},
    };
    struct world w = world_open();
    struct tsn_reject reject;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (decode(&w, cases[i].text, strlen(cases[i].text), 0, &reject) ||
            reject.reason != cases[i].reason) {
            fail_msg("%s: %s", cases[i].why, reject.text);
        }
    }
    struct tsn_record tombstone = {NULL, 0, 5, 0, 0};
    assert_false(tsn_decode(w.decoder, &tombstone, w.batch, &reject));
    assert_int_equal(reject.reason, TSN_REJECT_EMPTY);
    char large[4200];
    memset(large, ' ', sizeof large);
    memcpy(large, "{\"t\":1,\"id\":\"x\"}", 16);
    assert_true(decode(&w, large, 4096, 0, &reject));
    assert_false(decode(&w, large, 4097, 0, &reject));
    assert_int_equal(reject.reason, TSN_REJECT_OVERSIZE);
    world_close(&w);
}

static void a_time_ahead_of_its_record_is_rejected_only_beyond_the_limit(void **state)
{
    static const struct {
        const char *why, *text;
        int64_t stamp_ms;
        bool accepted;
    } cases[] = {
        {"at the limit", "{\"t\":1300000,\"id\":\"x\"}", 1000000, true},
        {"beyond it", "{\"t\":1300001,\"id\":\"x\"}", 1000000, false},
        {"no time stamp: no check", "{\"t\":9999999999999,\"id\":\"x\"}", 0, true},
        {"the record's own time", "{\"t\":1300001,\"id\":\"x\",\"rec\":1000000}", 0, false},
        {"Kafka's time wins over it", "{\"t\":1300001,\"id\":\"x\",\"rec\":5}", 1300001, true},
        {"the record's time null: no check", "{\"t\":9,\"id\":\"x\",\"rec\":null}", 0, true},
    };
    struct world w = world_open();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_reject reject = {.text = ""};
        bool ok = decode(&w, cases[i].text, strlen(cases[i].text), cases[i].stamp_ms, &reject);
        if (ok != cases[i].accepted || (!ok && reject.reason != TSN_REJECT_FUTURE)) {
            fail_msg("%s: %s", cases[i].why, reject.text);
        }
    }
    struct tsn_reject reject;
    const char *bad = "{\"t\":9,\"id\":\"x\",\"rec\":\"soon\"}";
    assert_false(decode(&w, bad, strlen(bad), 0, &reject));
    assert_int_equal(reject.reason, TSN_REJECT_TYPE);
    world_close(&w);
}

static void a_reject_never_repeats_the_value(void **state)
{
    static const char *const secrets[] = {
        "\"i\":\"13909900001\"",
        "\"k\":\"13909900001\"",
        "\"m\":\"13909900001x\"",
        "\"at\":\"13909900001\"",
        "\"cur\":\"13909900001\",\"m\":1",
        "\"s\":[\"13909900001\"]",
        "\"zz\":13909900001x",
        "\"13909900001\" 1",
    };
    struct world w = world_open();
    (void)state;
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        struct tsn_reject reject;
        assert_false(decode_more(&w, secrets[i], &reject));
        assert_null(strstr(reject.text, "1390"));
    }
    world_close(&w);
}

static void nesting_is_bounded_in_values_nobody_reads(void **state)
{
    struct world w = world_open();
    struct tsn_reject reject;
    char more[4096];
    (void)state;
    static const struct {
        int depth;
        bool accepted;
    } cases[] = {{1022, true}, {1023, false}, {1900, false}};
    for (size_t i = 0; i < 3; i++) {
        int depth = cases[i].depth, at = snprintf(more, sizeof more, "\"zz\":");
        memset(more + at, '[', (size_t)depth);
        memset(more + at + depth, ']', (size_t)depth);
        more[at + 2 * depth] = '\0';
        assert_int_equal(decode_more(&w, more, &reject), cases[i].accepted);
    }
    world_close(&w);
}

static void rows_keep_their_origin_and_text_outlives_the_record(void **state)
{
    struct world w = world_open();
    struct tsn_reject reject;
    (void)state;
    tsn_batch_clear(w.batch);
    for (int i = 0; i < 3; i++) {
        char text[100];
        int len = snprintf(text, sizeof text, "{\"t\":%d,\"id\":\"id-%d\",\"s\":\"text %d\"}",
                           100 + i, i, i);
        struct tsn_record record = {text, (size_t)len, 0, (uint16_t)(i + 1), 1000 + i};
        assert_true(tsn_decode(w.decoder, &record, w.batch, &reject));
        memset(text, 'x', sizeof text);
    }
    assert_int_equal(w.batch->n, 3);
    assert_int_equal(w.batch->rows[2].position, 1002);
    assert_int_equal(w.batch->rows[2].source, 3);
    assert_int_equal(w.batch->rows[1].time_ms, 101);
    assert_memory_equal(w.batch->types[0].fields[1].str[1].p, "id-1", 4);
    assert_memory_equal(w.batch->types[0].fields[2].str[0].p, "text 0", 6);
    world_close(&w);
}

static void a_mapping_that_does_not_fit_the_pack_is_refused_at_its_place(void **state)
{
    static const struct {
        const char *why, *fields, *says;
    } cases[] = {
        {"field that is none", "{ time: /t, id: /id, ss: /s }", "no field 'ss'"},
        {"no time", "{ id: /id }", "the event time"},
        {"required field unmapped", "{ time: /t }", "required field 'id'"},
        {"money without a unit", "{ time: /t, id: /id, yuan: /m }", "unit must be said"},
        {"duration without a unit", "{ time: /t, id: /id, dur: /m }", "unit must be said"},
        {"duration in minor units", "{ time: /t, id: /id, dur: { from: /m, unit: minor } }",
         "unit"},
        {"text with a unit", "{ time: /t, id: /id, s: { from: /m, unit: s } }", "has no unit"},
        {"number as telephone number", "{ time: /t, id: /id, i: { from: /m, e164: true } }",
         "only text"},
        {"text that is quoted", "{ time: /t, id: /id, s: { from: /m, quoted: true } }",
         "read from text: only a number can be quoted"},
        {"quoted RFC 3339", "{ time: { from: /t, quoted: true }, id: /id }", "say its `format`"},
        {"format of no time", "{ time: /t, id: /id, i: { from: /m, format: epoch_s } }",
         "only timestamps"},
        {"constant of another type", "{ time: /t, id: /id, i: { constant: abc } }", "'abc' is not"},
        {"default that the enum lacks", "{ time: /t, id: /id, k: { from: /k, default: fax } }",
         "'fax' is not"},
        {"map to what the enum lacks", "{ time: /t, id: /id, k: { from: /k, map: { a: fax } } }",
         "'fax' is not"},
        {"money without its currency", "{ time: /t, id: /id, m: { from: /m, unit: major } }",
         "currency of field 'cur'"},
        {"pointer with a bad escape", "{ time: /t, id: /a~2b }", "~0"},
    };
    struct tsn_diags diags;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000];
        tsn_diags_init(&diags);
        struct tsn_program *prog = tsn_pack_compile("p", pack, strlen(pack), NULL, NULL, &diags);
        snprintf(text, sizeof text, "pack: p\nsources:\n  s:\n    event: e\n    fields: %s\n",
                 cases[i].fields);
        struct tsn_config *config = tsn_config_parse("c.yaml", text, strlen(text), &diags);
        assert_non_null(config);
        assert_null(tsn_decoder_new(config, &config->sources[0], prog, &diags));
        assert_true(diags.n_errors >= 1);
        const struct tsn_diag *last = &diags.items[diags.n - 1];
        if ((!strstr(last->message, cases[i].says) &&
             !(last->advice && strstr(last->advice, cases[i].says))) ||
            last->place.line < 3) {
            fail_msg("%s: %s", cases[i].why, last->message);
        }
        tsn_config_free(config);
        tsn_program_free(prog);
        tsn_diags_free(&diags);
    }
}

static void the_reference_page_lists_the_reasons_of_the_table(void **state)
{
    char *page = NULL;
    size_t len = 0;
    (void)state;
    FILE *out = open_memstream(&page, &len);
    tsn_rejects_page(out);
    fclose(out);
    FILE *file = fopen(TSN_SOURCE_DIR "/docs/REJECTS.md", "r");
    char *is = calloc(1, len + 2);
    size_t n = file ? fread(is, 1, len + 1, file) : 0;
    if (file) {
        fclose(file);
    }
    if (n != len || memcmp(is, page, len) != 0) {
        if (getenv("TSN_WRITE_DOCS")) {
            file = fopen(TSN_SOURCE_DIR "/docs/REJECTS.md", "w");
            fwrite(page, 1, len, file);
            fclose(file);
        } else {
            fail_msg("docs/REJECTS.md is out of date: run this test with TSN_WRITE_DOCS=1");
        }
    }
    free(is);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_becomes_the_cell_that_its_mapping_says),
        cmocka_unit_test(numbers_in_text_are_read_exactly_where_the_mapping_says_so),
        cmocka_unit_test(a_bad_record_is_rejected_with_its_reason_and_leaves_no_row),
        cmocka_unit_test(whole_records_are_judged_before_their_fields),
        cmocka_unit_test(a_time_ahead_of_its_record_is_rejected_only_beyond_the_limit),
        cmocka_unit_test(a_reject_never_repeats_the_value),
        cmocka_unit_test(nesting_is_bounded_in_values_nobody_reads),
        cmocka_unit_test(rows_keep_their_origin_and_text_outlives_the_record),
        cmocka_unit_test(a_mapping_that_does_not_fit_the_pack_is_refused_at_its_place),
        cmocka_unit_test(the_reference_page_lists_the_reasons_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
