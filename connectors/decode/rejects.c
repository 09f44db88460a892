/* The reject reasons: their words, and the page docs/REJECTS.md. A test compares. */
#include "connectors/decode/decode.h"
#include "rules/must/must.h"

static const struct {
    const char *word;
    const char *meaning;
} reasons[] = {
#define REASON_ROW(id, word, meaning) [TSN_REJECT_##id] = {word, meaning},
    TSN_REJECT_TABLE(REASON_ROW)
#undef REASON_ROW
};

const char *tsn_reject_word(enum tsn_reject_reason reason)
{
    TSN_MUST(reason < TSN_REJECT_REASONS);
    return reasons[reason].word;
}

const char *tsn_reject_meaning(enum tsn_reject_reason reason)
{
    TSN_MUST(reason < TSN_REJECT_REASONS);
    return reasons[reason].meaning;
}

void tsn_rejects_page(FILE *out)
{
    fputs("# Rejects\n"
          "\n"
          "A record that cannot become an event goes to the reject topic (tocsin never stops for\n"
          "one): the original bytes, key and headers, and headers that name the source topic,\n"
          "partition and offset, the reason and a text. The text says which field, at which place "
          "of\n"
          "the record, and what was expected there; it never repeats the value. `tocsin replay\n"
          "--rejects FILE` writes the same as JSON, a line each. Each reason is counted.\n"
          "\n"
          "| reason | meaning |\n"
          "| --- | --- |\n",
          out);
    for (int i = 0; i < TSN_REJECT_REASONS; i++) {
        fprintf(out, "| `%s` | %s |\n", reasons[i].word, reasons[i].meaning);
    }
    fputs(
        "\n"
        "A duplicate - an event type and id that were accepted before, within\n"
        "`engine.dedup_window` - is no reject: it is dropped and counted. A late event is no "
        "reject\n"
        "either (SEMANTICS.md).\n"
        "\n"
        "To repair and send again: take the record from the reject topic, mend it, and produce it\n"
        "to its own topic. It will be as late as it then is; its id was not remembered.\n",
        out);
}
