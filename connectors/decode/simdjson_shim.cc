#include "connectors/decode/simdjson_shim.h"

#include <memory>
#include <new>

#include <simdjson.h>

#include "rules/must/must.h"

static_assert(TSN_SIMDJSON_PADDING >= simdjson::SIMDJSON_PADDING, "the padding simdjson asks for");

struct tsn_simdjson {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stages;
    simdjson::dom::parser dom;
};

static enum tsn_simdjson_verdict verdict_of(simdjson::error_code error)
{
    switch (error) {
    case simdjson::SUCCESS:
        return TSN_SIMDJSON_OK;
    case simdjson::UTF8_ERROR:
        return TSN_SIMDJSON_UTF8;
    case simdjson::NUMBER_ERROR:
        return TSN_SIMDJSON_NUMBER;
    default:
        return TSN_SIMDJSON_MALFORMED;
    }
}

extern "C" struct tsn_simdjson *tsn_simdjson_new(size_t max_bytes)
{
    tsn_simdjson *parser = new (std::nothrow) tsn_simdjson;
    TSN_MUST(parser);
    /* get_active_implementation() picks the instruction set once a process. */
    simdjson::error_code error =
        simdjson::get_active_implementation()->create_dom_parser_implementation(
            max_bytes + 1, simdjson::DEFAULT_MAX_DEPTH, parser->stages);
    TSN_MUST(error == simdjson::SUCCESS);
    return parser;
}

extern "C" void tsn_simdjson_free(struct tsn_simdjson *parser)
{
    delete parser;
}

extern "C" enum tsn_simdjson_verdict tsn_simdjson_index(struct tsn_simdjson *parser,
                                                        const char *padded, size_t len,
                                                        const uint32_t **tokens, uint32_t *n_tokens)
{
    simdjson::internal::dom_parser_implementation *stages = parser->stages.get();
    if (len == 0) {
        return TSN_SIMDJSON_MALFORMED;
    }
    TSN_MUST(len < stages->capacity());
    simdjson::error_code error = stages->stage1(reinterpret_cast<const uint8_t *>(padded), len,
                                                simdjson::stage1_mode::regular);
    *tokens = stages->structural_indexes.get();
    *n_tokens = stages->n_structural_indexes;
    if (error == simdjson::SUCCESS) { /* stage 1 has room for three more and uses it so */
        stages->structural_indexes[*n_tokens] = static_cast<uint32_t>(len);
        stages->structural_indexes[*n_tokens + 1] = static_cast<uint32_t>(len);
    }
    return verdict_of(error);
}

extern "C" bool tsn_simdjson_utf8(const char *bytes, size_t len)
{
    return simdjson::validate_utf8(bytes, len);
}

extern "C" enum tsn_simdjson_verdict
tsn_simdjson_parse(struct tsn_simdjson *parser, const char *padded, size_t len, bool *is_object)
{
    simdjson::dom::element element;
    simdjson::error_code error = parser->dom.parse(padded, len, false).get(element);
    *is_object = error == simdjson::SUCCESS && element.is_object();
    return verdict_of(error);
}
