#include "connectors/demo/member.h"

#include <math.h>

const char *tsn_member_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

bool tsn_member_int(const cJSON *object, const char *name, int64_t *number)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(member) || fabs(member->valuedouble) > 9007199254740992.0 ||
        trunc(member->valuedouble) != member->valuedouble) {
        return false;
    }
    *number = (int64_t)member->valuedouble;
    return true;
}
