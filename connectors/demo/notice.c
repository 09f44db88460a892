#include "connectors/demo/notice.h"

#include <string.h>
#include <time.h>

int64_t tsn_notice_time(struct tsn_text text)
{
    char copy[40];
    struct tm tm = {.tm_isdst = 0};
    int ms = 0;
    snprintf(copy, sizeof copy, "%.*s", (int)(text.len < 39 ? text.len : 39), text.start);
    int n = sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms);
    if (n < 6) {
        return INT64_MIN;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm) * 1000 + (n == 7 ? ms : 0);
}

static bool is(struct tsn_text text, const char *word)
{
    return text.len == strlen(word) && memcmp(text.start, word, text.len) == 0;
}

bool tsn_notice_read(const char *json, struct tsn_notice *notice)
{
    const char *entity = tsn_text_find(json, "entity");
    const char *event = tsn_text_find(json, "event");
    const char *sms = tsn_text_find(json, "sms");
    const char *shadow = tsn_text_find(json, "shadow");
    if (!tsn_text_find(json, "alert_id") || !entity || !event || !sms || !shadow) {
        return false;
    }
    *notice = (struct tsn_notice){
        .typology = tsn_text_of(json, "typology"),
        .level = tsn_text_of(json, "level"),
        .entity = tsn_text_of(entity, "value"),
        .event_id = tsn_text_of(event, "id"),
        .evidence = tsn_text_find(json, "evidence"),
        .time_ms = tsn_notice_time(tsn_text_of(json, "time")),
        .shadow = *shadow == 't',
    };
    if (*sms == '{') {
        notice->template_ = tsn_text_of(sms, "template");
        notice->sms_to = tsn_text_of(sms, "to");
        notice->params = tsn_text_find(sms, "params");
    }
    return notice->time_ms != INT64_MIN;
}

void tsn_notice_mask(struct tsn_text text, char *out, size_t cap)
{
    if (text.len <= 6) {
        snprintf(out, cap, "%.*s", (int)text.len, text.start);
    } else {
        size_t head = text.len >= 12 ? 5 : 2;
        snprintf(out, cap, "%.*s...%.*s", (int)head, text.start, 4, text.start + text.len - 4);
    }
}

/* The reasons of the rules that this event fired, each once. */
static void print_reasons(const struct tsn_notice *notice, FILE *out)
{
    enum { SHOWN_MAX = 4 };
    struct tsn_text shown[SHOWN_MAX];
    int n_shown = 0;
    for (const char *at = notice->evidence; at && n_shown < SHOWN_MAX;) {
        struct tsn_text reason = tsn_text_of(at, "reason");
        const char *next = tsn_text_find(at, "current");
        if (!next) {
            return;
        }
        at = next;
        bool known = reason.len == 0;
        for (int i = 0; i < n_shown; i++) {
            known |=
                shown[i].len == reason.len && memcmp(shown[i].start, reason.start, reason.len) == 0;
        }
        if (!known) {
            fprintf(out, "          - %.*s\n", (int)reason.len, reason.start);
            shown[n_shown++] = reason;
        }
    }
}

static const struct tsn_template_text *words_of(const struct tsn_program *prog, struct tsn_text id)
{
    for (int i = 0; prog && i < prog->n_templates; i++) {
        const struct tsn_template *template_ = &prog->templates[i];
        if (!is(id, template_->id) || template_->n_texts == 0) {
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
        struct tsn_text value = tsn_text_of(notice->params, name);
        fprintf(out, "%.*s", (int)value.len, value.start);
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
        on = is(notice->level, colours[i].level) ? colours[i].on : on;
    }
    fprintf(out, "%s  %s%-8.*s%s  %.*s  %s%s\n", clock, on, (int)notice->level.len,
            notice->level.start, *on ? "\033[0m" : "", (int)notice->typology.len,
            notice->typology.start, entity, notice->shadow ? "  (shadow)" : "");
    print_reasons(notice, out);
    const struct tsn_template_text *words = words_of(prog, notice->template_);
    if (words && notice->params && notice->sms_to.len) {
        char to[40];
        tsn_notice_mask(notice->sms_to, to, sizeof to);
        fprintf(out, "          SMS to %s: ", to);
        print_words(notice, words->text, out);
        fputc('\n', out);
    }
}
