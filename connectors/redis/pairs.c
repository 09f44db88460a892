/* Pairs: a hash shown to its reader field by field while it comes in.
 *
 * A plain reply is a tree: two objects and two blocks of memory for each field, the
 * whole hash in memory before the first is seen. Here hiredis's reader calls us for
 * each string while it stands in the read buffer, so that reading a hash of a million
 * fields takes a buffer of 16 KiB and no allocation. Only the head of the list is made,
 * empty, by hiredis's own function: whoever frees it needs to know nothing of this.
 */
#include "connectors/redis/pairs.h"

#include <string.h>

/* hiredis counts elements by int before its 1.0. */
#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

/* What a list's element is known by: no reader looks at it. */
static void *taken(struct tsn_pairs_reader *reader)
{
    return reader;
}

static void *on_array(const redisReadTask *task, element_count n)
{
    struct tsn_pairs_reader *reader = task->privdata;
    if (task->parent) {
        return NULL; /* no hash has lists in it: an error of the protocol */
    }
    (void)n;
    return reader->plain->createArray(task, 0);
}

static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    struct tsn_pairs_reader *reader = task->privdata;
    if (!task->parent) {
        return reader->plain->createString(task, text, len);
    }
    if (task->idx % 2 == 0) { /* kept until its value is whole: the buffer moves */
        reader->field_len = len <= sizeof reader->field ? len : 0;
        memcpy(reader->field, text, reader->field_len);
    } else {
        reader->pair(reader->user, reader->field, reader->field_len, text, len);
    }
    return taken(reader);
}

static void *on_integer(const redisReadTask *task, long long value)
{
    struct tsn_pairs_reader *reader = task->privdata;
    return task->parent ? NULL : reader->plain->createInteger(task, value);
}

static void *on_nil(const redisReadTask *task)
{
    struct tsn_pairs_reader *reader = task->privdata;
    return task->parent ? NULL : reader->plain->createNil(task);
}

void tsn_pairs_begin(struct tsn_pairs_reader *reader, redisReader *of, tsn_redis_pair *pair,
                     void *user)
{
    reader->of = of;
    reader->plain = of->fn;
    reader->pair = pair;
    reader->user = user;
    reader->field_len = 0;
    reader->functions = *of->fn;
    reader->functions.createArray = on_array;
    reader->functions.createString = on_string;
    reader->functions.createInteger = on_integer;
    reader->functions.createNil = on_nil;
    of->fn = &reader->functions;
    of->privdata = reader;
}

void tsn_pairs_end(struct tsn_pairs_reader *reader)
{
    reader->of->fn = reader->plain;
    reader->of->privdata = NULL;
}

void tsn_reply_give_pairs(struct tsn_reply *reply, tsn_redis_pair *pair, void *user)
{
    redisReply *list = (redisReply *)(void *)reply;
    if (list->type != REDIS_REPLY_ARRAY) {
        return;
    }
    for (size_t i = 0; i + 1 < list->elements; i += 2) {
        const redisReply *field = list->element[i];
        const redisReply *value = list->element[i + 1];
        size_t field_len = field->len <= TSN_REDIS_FIELD_MAX ? (size_t)field->len : 0;
        pair(user, field->str, field_len, value->str, (size_t)value->len);
    }
    for (size_t i = 0; i < list->elements; i++) {
        freeReplyObject(list->element[i]);
    }
    list->elements = 0;
}
