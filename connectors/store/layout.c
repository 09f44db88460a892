#include "connectors/store/layout.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "rules/must/must.h"

bool tsn_layout_init(struct tsn_layout *layout, const char *instance, struct tsn_failure *failure)
{
    size_t len = strlen(instance);
    bool ok = len > 0 && len < sizeof layout->instance;
    for (size_t i = 0; ok && i < len; i++) {
        ok = isgraph((unsigned char)instance[i]) && !strchr("{}*?[]\\", instance[i]);
    }
    if (!ok) {
        return tsn_fail(failure, TSN_REMEDY_CONFIG,
                        "instance: a name of 1 to %d printable characters without blanks and "
                        "{ } * ? [ ] \\ is needed, because it becomes part of Redis keys",
                        TSN_LAYOUT_INSTANCE_MAX - 1);
    }
    memcpy(layout->instance, instance, len + 1);
    return true;
}

size_t tsn_layout_root(const struct tsn_layout *layout, char *key)
{
    return (size_t)snprintf(key, TSN_LAYOUT_KEY_MAX, "tocsin:%d:{%s}:root", TSN_LAYOUT_VERSION,
                            layout->instance);
}

size_t tsn_layout_reader(const struct tsn_layout *layout, char *key)
{
    return (size_t)snprintf(key, TSN_LAYOUT_KEY_MAX, "tocsin:%d:{%s}:reader", TSN_LAYOUT_VERSION,
                            layout->instance);
}

size_t tsn_layout_slot_key(const struct tsn_layout *layout, unsigned slot, const char *kind,
                           const char *name, char *key)
{
    TSN_MUST(slot < TSN_LAYOUT_SLOTS && name[0] != '\0');
    int len = snprintf(key, TSN_LAYOUT_KEY_MAX, "tocsin:%d:{%s.%u}:%s:%s", TSN_LAYOUT_VERSION,
                       layout->instance, slot, kind, name);
    TSN_MUST(len > 0 && len < TSN_LAYOUT_KEY_MAX);
    return (size_t)len;
}

size_t tsn_layout_context(const struct tsn_layout *layout, unsigned slot,
                          const uint8_t field[TSN_LAYOUT_FIELD], char *context)
{
    int len = snprintf(context, TSN_LAYOUT_KEY_MAX, "tocsin:%d:{%s.%u}:", TSN_LAYOUT_VERSION,
                       layout->instance, slot);
    TSN_MUST(len > 0 && len + TSN_LAYOUT_FIELD < TSN_LAYOUT_KEY_MAX);
    memcpy(context + len, field, TSN_LAYOUT_FIELD);
    return (size_t)len + TSN_LAYOUT_FIELD;
}

void tsn_layout_new_id(tsn_layout_id id)
{
    uint64_t bits;
    ssize_t got;
    do {
        got = getrandom(&bits, sizeof bits, 0);
    } while (got < 0 && errno == EINTR);
    TSN_MUST(got == sizeof bits);
    snprintf(id, TSN_LAYOUT_ID + 1, "%016llx", (unsigned long long)bits);
}

void tsn_layout_field(const struct tsn_keys *keys, enum tsn_snapshot_section section,
                      const uint8_t key[16], uint8_t field[TSN_LAYOUT_FIELD])
{
    uint8_t named[TSN_LAYOUT_HEADER];
    named[0] = (uint8_t)section;
    memcpy(named + 1, key, 16);
    tsn_keys_hash(keys, "pseudonym", named, sizeof named, field, TSN_LAYOUT_FIELD);
}

unsigned tsn_layout_slot(const uint8_t field[TSN_LAYOUT_FIELD])
{
    return field[0] % TSN_LAYOUT_SLOTS;
}
