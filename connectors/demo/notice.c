#include "connectors/demo/notice.h"

#include <string.h>
#include <time.h>

int64_t tsn_notice_time(const char *text)
{
    struct tm tm = {.tm_isdst = 0};
    int ms = 0;
    int n = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms);
    if (n < 6) {
        return INT64_MIN;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm) * 1000 + (n == 7 ? ms : 0);
}

bool tsn_notice_read(const char *json, size_t len, struct tsn_notice *notice)
{
    cJSON *alert = cJSON_ParseWithLength(json, len);
    const cJSON *entity = cJSON_GetObjectItemCaseSensitive(alert, "entity");
    const cJSON *event = cJSON_GetObjectItemCaseSensitive(alert, "event");
    const cJSON *sms = cJSON_GetObjectItemCaseSensitive(alert, "sms");
    const cJSON *shadow = cJSON_GetObjectItemCaseSensitive(alert, "shadow");
    *notice = (struct tsn_notice){
        .json = alert,
        .typology = tsn_member_text(alert, "typology"),
        .level = tsn_member_text(alert, "level"),
        .entity = tsn_member_text(entity, "value"),
        .event_id = tsn_member_text(event, "id"),
        .template_ = tsn_member_text(sms, "template"),
        .sms_to = tsn_member_text(sms, "to"),
        .params = cJSON_GetObjectItemCaseSensitive(sms, "params"),
        .evidence = cJSON_GetObjectItemCaseSensitive(alert, "evidence"),
        .time_ms = tsn_notice_time(tsn_member_text(alert, "time")),
        .shadow = cJSON_IsTrue(shadow),
    };
    bool whole = entity && event && sms && shadow && notice->time_ms != INT64_MIN &&
                 *tsn_member_text(alert, "alert_id");
    if (!whole) {
        tsn_notice_free(notice);
    }
    return whole;
}

void tsn_notice_free(struct tsn_notice *notice)
{
    cJSON_Delete(notice->json);
    *notice = (struct tsn_notice){.json = NULL};
}

void tsn_notice_mask(const char *text, char *out, size_t cap)
{
    size_t len = strlen(text);
    if (len <= 6) {
        snprintf(out, cap, "%s", text);
    } else {
        snprintf(out, cap, "%.*s...%s", len >= 12 ? 5 : 2, text, text + len - 4);
    }
}

/* The reasons of the rules that this event fired, each once. */
static void print_reasons(const struct tsn_notice *notice, FILE *out)
{
    enum { SHOWN_MAX = 4 };
    const char *shown[SHOWN_MAX];
    int n_shown = 0;
    const cJSON *hit;
    cJSON_ArrayForEach(hit, notice->evidence)
    {
        const char *reason = tsn_member_text(hit, "reason");
        bool known = !*reason || n_shown == SHOWN_MAX;
        for (int i = 0; i < n_shown; i++) {
            known |= strcmp(shown[i], reason) == 0;
        }
        if (!known) {
            fprintf(out, "          - %s\n", reason);
            shown[n_shown++] = reason;
        }
    }
}

static const struct tsn_template_text *words_of(const struct tsn_program *prog, const char *id)
{
    for (int i = 0; prog && i < prog->n_templates; i++) {
        const struct tsn_template *template_ = &prog->templates[i];
        if (strcmp(template_->id, id) != 0 || template_->n_texts == 0) {
            continue;
        }
        for (int j = 0; j < template_->n_texts; j++) {
            if (strncmp(template_->texts[j].language, "en", 2) == 0) {
                return &template_->texts[j];
            }
        }
        return &template_->texts[0];
    }
    return NULL;
}

/* The template's words with {param} filled in. */
static void print_words(const struct tsn_notice *notice, const char *words, FILE *out)
{
    while (*words) {
        const char *close = *words == '{' ? strchr(words, '}') : NULL;
        if (!close || close - words > 40) {
            fputc(*words++, out);
            continue;
        }
        char name[48];
        snprintf(name, sizeof name, "%.*s", (int)(close - words - 1), words + 1);
        fputs(tsn_member_text(notice->params, name), out);
        words = close + 1;
    }
}

void tsn_notice_print(const struct tsn_notice *notice, const char *clock,
                      const struct tsn_program *prog, bool colour, FILE *out)
{
    static const struct {
        const char *level;
        const char *on;
    } colours[] = {{"minor", "\033[36m"},
                   {"moderate", "\033[33m"},
                   {"severe", "\033[31m"},
                   {"extreme", "\033[1;31m"}};
    char entity[40];
    tsn_notice_mask(notice->entity, entity, sizeof entity);
    const char *on = "";
    for (size_t i = 0; colour && i < sizeof colours / sizeof colours[0]; i++) {
        on = strcmp(notice->level, colours[i].level) == 0 ? colours[i].on : on;
    }
    fprintf(out, "%s  %s%-8s%s  %s  %s%s\n", clock, on, notice->level, *on ? "\033[0m" : "",
            notice->typology, entity, notice->shadow ? "  (shadow)" : "");
    print_reasons(notice, out);
    const struct tsn_template_text *words = words_of(prog, notice->template_);
    if (words && notice->params && *notice->sms_to) {
        char to[40];
        tsn_notice_mask(notice->sms_to, to, sizeof to);
        fprintf(out, "          SMS to %s: ", to);
        print_words(notice, words->text, out);
        fputc('\n', out);
    }
}
