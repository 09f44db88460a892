/* Names of keys, and which slot a record belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/store/layout.h"

static void keys_of_a_slot_share_one_hash_tag(void **state)
{
    (void)state;
    struct tsn_failure failure;
    struct tsn_layout layout;
    char keys[4][TSN_LAYOUT_KEY_MAX];
    assert_true(tsn_layout_init(&layout, "fraud-1", &failure));
    tsn_layout_slot_key(&layout, 42, "b", "0123456789abcdef", keys[0]);
    tsn_layout_slot_key(&layout, 42, "at", "0123456789abcdef", keys[1]);
    tsn_layout_slot_key(&layout, 42, "d", "0123456789abcdef", keys[2]);
    assert_string_equal(keys[0], "tocsin:1:{fraud-1.42}:b:0123456789abcdef");
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(strstr(keys[i], "{fraud-1.42}"), keys[i] + strlen("tocsin:1:"));
    }
    tsn_layout_root(&layout, keys[0]);
    tsn_layout_reader(&layout, keys[1]);
    assert_string_equal(keys[0], "tocsin:1:{fraud-1}:root");
    assert_string_equal(keys[1], "tocsin:1:{fraud-1}:reader");
}

static void instance_that_would_break_keys_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "a b",
                                        "a{b",
                                        "a}b",
                                        "a*",
                                        "a\n",
                                        ("name-of-97-characters--------------------------------"
                                         "---------------------------------------------")};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tsn_failure failure = {0};
        struct tsn_layout layout;
        assert_false(tsn_layout_init(&layout, names[i], &failure));
        assert_int_equal(failure.remedy, TSN_REMEDY_CONFIG);
    }
}

static void pseudonym_depends_on_key_section_and_secret(void **state)
{
    (void)state;
    uint8_t other_secret[TSN_KEYS_BYTES] = {1};
    struct tsn_keys *keys = tsn_keys_insecure();
    struct tsn_keys *other = tsn_keys_from(other_secret);
    uint8_t key[16] = {7};
    uint8_t a[TSN_LAYOUT_FIELD];
    uint8_t b[TSN_LAYOUT_FIELD];
    tsn_layout_field(keys, TSN_SNAPSHOT_ENTITY, key, a);
    tsn_layout_field(keys, TSN_SNAPSHOT_ENTITY, key, b);
    assert_memory_equal(a, b, sizeof a);
    tsn_layout_field(keys, TSN_SNAPSHOT_EPISODE, key, b);
    assert_memory_not_equal(a, b, sizeof a);
    tsn_layout_field(other, TSN_SNAPSHOT_ENTITY, key, b);
    assert_memory_not_equal(a, b, sizeof a);
    key[15] = 1;
    tsn_layout_field(keys, TSN_SNAPSHOT_ENTITY, key, b);
    assert_memory_not_equal(a, b, sizeof a);
    tsn_keys_free(keys);
    tsn_keys_free(other);
}

static void slots_are_used_evenly(void **state)
{
    (void)state;
    struct tsn_keys *keys = tsn_keys_insecure();
    unsigned n[TSN_LAYOUT_SLOTS] = {0};
    for (unsigned i = 0; i < 256 * TSN_LAYOUT_SLOTS; i++) {
        uint8_t key[16] = {0};
        uint8_t field[TSN_LAYOUT_FIELD];
        memcpy(key, &i, sizeof i);
        tsn_layout_field(keys, TSN_SNAPSHOT_ENTITY, key, field);
        n[tsn_layout_slot(field)]++;
    }
    for (unsigned s = 0; s < TSN_LAYOUT_SLOTS; s++) {
        assert_in_range(n[s], 256 - 96, 256 + 96); /* six standard deviations */
    }
    tsn_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_a_slot_share_one_hash_tag),
        cmocka_unit_test(instance_that_would_break_keys_is_refused),
        cmocka_unit_test(pseudonym_depends_on_key_section_and_secret),
        cmocka_unit_test(slots_are_used_evenly),
    };
    return cmocka_run_group_tests_name("store_layout", tests, NULL, NULL);
}
