/* What a pack may not say: one slip at a time in a sound pack, and the message with
 * its place. In the replacement `@` marks where the message must stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/pack/pack.h"

static const char sound[] = "format: 1\n"
                            "pack: sound\n"
                            "version: 1\n"
                            "timezone: UTC\n"
                            "events:\n"
                            "  call:\n"
                            "    id: ref\n"
                            "    fields:\n"
                            "      ref: { type: string }\n"
                            "      caller: { type: string, entity: line }\n"
                            "      callee: { type: string, entity: line }\n"
                            "      talk: { type: duration }\n"
                            "      kind: { type: enum, values: [a, b] }\n"
                            "      n: { type: int }\n"
                            "      ok: { type: bool }\n"
                            "  pay:\n"
                            "    fields:\n"
                            "      payer: { type: string, entity: line }\n"
                            "      account: { type: string, entity: account }\n"
                            "      amount: { type: money, currency: CNY }\n"
                            "      tail: { type: int }\n"
                            "lists:\n"
                            "  known: { of: string, values: [x] }\n"
                            "  marked: { of: string, ttl: 1d, max: 10 }\n"
                            "  tails: { of: int, ttl: 1d, max: 10 }\n"
                            "features:\n"
                            "  - name: calls\n"
                            "    event: call\n"
                            "    where: 'call.ok'\n"
                            "    aggregate: count\n"
                            "    by: caller\n"
                            "    read: { pay: payer }\n"
                            "    window: 1h\n"
                            "  - name: pairs\n"
                            "    event: call\n"
                            "    aggregate: sum(n)\n"
                            "    by: [caller, callee]\n"
                            "    max_keys: 10\n"
                            "    window: 1d\n"
                            "  - name: busy\n"
                            "    event: call\n"
                            "    expr: 'f.calls > 3'\n"
                            "  - { name: reached, event: call, aggregate: set(callee), by: caller, "
                            "read: { pay: payer }, window: 7d }\n"
                            "rules:\n"
                            "  - id: many\n"
                            "    event: call\n"
                            "    when: 'f.calls >= 3 && f.busy'\n"
                            "    reason: 'made ${f.calls} calls'\n"
                            "    do: [{ add_to_list: marked, value: caller }]\n"
                            "  - id: paid\n"
                            "    event: pay\n"
                            "    when: 'pay.amount > 10'\n"
                            "    reason: 'paid ${pay.amount}'\n"
                            "    do: [{ for_each: f.reached, hit: case }]\n"
                            "templates:\n"
                            "  STOP:\n"
                            "    params: { tail: { digits: 4 } }\n"
                            "    texts: { en: 'Stop {tail}' }\n"
                            "typologies:\n"
                            "  - id: case\n"
                            "    entity: { call: caller, pay: payer }\n"
                            "    sum_over: 1d\n"
                            "    weights: { many: 50, paid: 20 }\n"
                            "    thresholds: { minor: 20, severe: 60 }\n"
                            "    actions:\n"
                            "      severe: { sms: { template: STOP, to: entity, params: { tail: "
                            "{ call: callee, pay: account } } } }\n";

struct slip {
    const char *from;
    const char *to; /* with @ */
    const char *message;
};

static const struct slip slips[] = {
    /* top level */
    {"format: 1", "format: @2", "needs format 2"},
    {"format: 1", "@formt: 1", "unknown key of a pack: 'formt'; did you mean 'format'?"},
    {"pack: sound", "pack: @'so und'", "is no id"},
    {"timezone: UTC", "timezone: @'../etc'", "there is no time zone '../etc'"},
    {"version: 1", "version: @one", "must be a whole number, not 'one'"},
    {"version: 1", "imports: [@a.yaml]", "the import 'a.yaml' cannot be read"},
    {"version: 1", "version: 1\n@pack: again", "duplicate key 'pack', first on line 2"},
    {"version: 1", "mode: @off", "unknown value of 'mode': 'off'"},
    /* events */
    {"type: string }\n      caller", "type: @strnig }\n      caller",
     "unknown value of 'type': 'strnig'; did you mean 'string'?"},
    {"talk: { type: duration }", "talk: @{ required: true }", "field 'talk' has no 'type'"},
    {"talk: { type: duration }", "talk: { type: duration, @entty: x }", "unknown key of a field"},
    {"talk: { type: duration }", "talk: { type: duration, entity: @x }",
     "a duration cannot name an entity"},
    {"talk: { type: duration }", "@time: { type: duration }", "every event has 'time' already"},
    {"talk: { type: duration }", "@in: { type: duration }", "is a reserved word"},
    {"talk: { type: duration }", "@2talk: { type: duration }", "cannot be used in an expression"},
    {"talk: { type: duration }", "talk: @[duration]", "a field must be a map, this is a list"},
    {"  pay:\n", "  @while:\n", "'while' is a reserved word"},
    {"  pay:\n", "  @f:\n", "'f' is a reserved word"},
    {"id: ref", "id: @reff", "unknown field of call: 'reff'; did you mean 'ref'?"},
    {"id: ref", "id: @ok", "field 'ok' cannot be the id"},
    {"values: [a, b]", "values: [a, b, @a]", "value 'a' is listed twice"},
    {"kind: { type: enum, values: [a, b] }", "kind: @{ type: enum }", "must list its 'values'"},
    {"kind: { type: enum, values: [a, b] }", "kind: { type: enum, values: @[] }",
     "an enum has 1 to 65535 values"},
    {"n: { type: int }", "n: { type: int, values: @[a] }", "only an enum has 'values'"},
    {"n: { type: int }", "n: { type: int, currency: @CNY }", "only money has a 'currency'"},
    {"amount: { type: money, currency: CNY }", "amount: @{ type: money }",
     "money needs a 'currency'"},
    {"currency: CNY", "currency: @CNX", "unknown currency"},
    {"currency: CNY", "currency: @tail", "must be a string or an enum"},
    /* lists */
    {"known: { of: string, values: [x] }", "known: { of: @strings, values: [x] }",
     "unknown value of 'of': 'strings'; did you mean 'string'?"},
    {"known: { of: string, values: [x] }", "@known: { values: [x] }", "list 'known' has no 'of'"},
    {"known: { of: string, values: [x] }", "known: { of: int, values: [@x] }",
     "no whole number of 64 bits"},
    {"known: { of: string, values: [x] }", "known: { of: int, values: [@9223372036854775808] }",
     "no whole number of 64 bits"},
    {"known: { of: string, values: [x] }", "known: { of: string, values: [@''] }",
     "an empty value"},
    {"known: { of: string, values: [x] }", "known: { of: string, file: @a, values: [x] }",
     "'file' or 'values', not both"},
    {"known: { of: string, values: [x] }", "known: { of: int, match: @prefix }",
     "only a list of string holds prefixes"},
    {"known: { of: string, values: [x] }", "known: { of: string, match: @prefx }",
     "unknown value of 'match': 'prefx'; did you mean 'prefix'?"},
    {"ttl: 1d", "ttl: @1y", "'ttl' must be a duration, not '1y'"},
    {"string, ttl: 1d, max: 10 }", "string, ttl: 1d, max: @0 }", "'max' must lie between 1 and"},
    /* features */
    {"name: calls", "name: @ca-lls", "cannot be used in an expression"},
    {"  - name: calls\n    event: call", "  - @event: call", "a feature without a 'name'"},
    {"name: pairs", "name: @calls", "feature 'calls' is declared twice, first on line 27"},
    {"name: pairs\n    event: call", "name: @pairs", "feature 'pairs' has no 'event'"},
    {"name: pairs\n    event: call", "name: pairs\n    event: @cal",
     "unknown event type 'cal'; did you mean 'call'?"},
    {"aggregate: count", "aggregate: @cuont", "unknown aggregate 'cuont'; did you mean 'count'?"},
    {"aggregate: count", "aggregate: @median(n)", "unknown aggregate 'median'"},
    {"aggregate: count", "aggregate: @count(n)", "'count' takes no field"},
    {"aggregate: count", "aggregate: @set", "'set' needs a field: write set(<field>)"},
    {"aggregate: count", "aggregate: @set(talk)", "set takes a string or an int; 'talk' is of"},
    {"aggregate: count", "aggregate: @set(kind)", "set takes a string or an int; 'kind' is of"},
    {"aggregate: count", "aggregate: @sett(callee)", "unknown aggregate 'sett'; did you mean"},
    {"aggregate: count", "aggregate: set(callee)\n    max: @0", "'max' must lie between 1 and"},
    {"aggregate: count", "aggregate: set(callee)\n    max: @10001",
     "'max' must lie between 1 and 10000"},
    {"aggregate: count", "max: @10\n    aggregate: count",
     "'max' bounds the members of a set; this is a count"},
    {"aggregate: sum(n)\n    by: [caller, callee]", "aggregate: set(n)\n    by: @[caller, callee]",
     "a set is kept by one field, not by 2"},
    {"aggregate: count", "exact_up_to: @20\n    aggregate: set(callee)",
     "'exact_up_to' bounds rows; a set is exact"},
    {"expr: 'f.calls > 3'",
     "expr: '@f.got > 3'\n  - { name: got, event: call, aggregate: set(n), by: caller, window: 1d "
     "}",
     "declared below"},
    {"  - name: busy\n    event: call\n    expr: 'f.calls > 3'",
     "  - { name: got, event: call, aggregate: set(n), by: caller, window: 1d }\n"
     "  - name: busy\n    event: call\n    expr: '@f.got > 3'",
     "'f.got' is a set: an expression can only ask for its size"},
    {"  - name: busy\n    event: call\n    expr: 'f.calls > 3'",
     "  - { name: got, event: call, aggregate: set(n), by: caller, window: 1d }\n"
     "  - name: busy\n    event: call\n    expr: 'call.n in @f.got'",
     "'f.got' is a set: an expression can only ask for its size"},
    {"aggregate: sum(n)", "aggregate: @sum", "'sum' needs a field: write sum(<field>)"},
    {"aggregate: sum(n)", "aggregate: @sum(nn)", "unknown field of call: 'nn'"},
    {"aggregate: sum(n)", "aggregate: @sum(ok)", "'ok' is of type bool, which is no number"},
    {"aggregate: sum(n)", "aggregate: @sum(talk)", "sum takes an int, a double or money"},
    {"aggregate: sum(n)", "aggregate: @max(callee)", "max takes an int, double, money"},
    {"aggregate: sum(n)", "@agregate: sum(n)", "did you mean 'aggregate'?"},
    {"aggregate: sum(n)", "aggregate: sum(n)\n    expr: @'1'", "both 'aggregate' and 'expr'"},
    {"by: caller", "by: @calller", "unknown field of call: 'calller'; did you mean 'caller'?"},
    {"by: caller", "by: @talk", "'talk' cannot be a key: it is of type duration"},
    {"by: [caller, callee]", "by: [caller, @caller]", "'by' names 'caller' twice"},
    {"by: [caller, callee]", "by: @[]", "'by' names 1 to 4 fields"},
    {"name: calls\n    event: call\n    where: 'call.ok'\n    aggregate: count\n    by: caller",
     "name: @calls\n    event: call\n    where: 'call.ok'\n    aggregate: count",
     "feature 'calls' has no 'by'"},
    {"read: { pay: payer }", "read: { pay: @payr }", "did you mean 'payer'?"},
    {"read: { pay: payer }", "read: { @pai: payer }", "unknown event type 'pai'"},
    {"read: { pay: payer }", "read: { pay: @[payer, account] }", "'read' names 2 fields, 'by' 1"},
    {"read: { pay: payer }", "read: { pay: @tail }",
     "'tail' is of type int, but 'caller' in 'by' of type string"},
    {"read: { pay: payer }", "read: { pay: @account }",
     "'account' names an entity 'account', but 'caller' in 'by' names 'line'"},
    {"read: { pay: payer }", "read: { pay: { @in: payer } }", "reserved word"},
    {"window: 1h", "window: @1x", "'window' must be a duration, not '1x'"},
    {"window: 1h", "window: @0s", "'window' must be at least 1 ms"},
    {"window: 1h", "window: @9999d", "at most 3653d"},
    {"window: 1h", "window: 1h\n    current: @inclde", "did you mean 'include'?"},
    {"window: 1h", "window: 1h\n    at: @now", "unknown value of 'at': 'now'"},
    {"window: 1h", "window: 1h\n    exact_up_to: @15", "'exact_up_to' must lie between 16 and"},
    {"window: 1h", "window: 1h\n    max_keys: @10", "this one is by one"},
    {"by: caller\n    read: { pay: payer }\n    window: 1h", "by: caller\n    read: { pay: payer }",
     "feature 'calls' has no 'window'"},
    {"aggregate: count", "current: @include\n    aggregate: time_since",
     "'include' has no meaning"},
    {"aggregate: sum(n)", "current: @include\n    aggregate: last(n)", "'include' has no meaning"},
    {"by: [caller, callee]\n    max_keys: 10", "by: @[caller, callee]",
     "a feature by several fields needs 'max_keys'"},
    {"where: 'call.ok'", "where: @'f.busy'", "'f.busy' is declared below"},
    {"where: 'call.ok'", "where: @'f.pairs > 1'", "'f.pairs' is declared below"},
    {"where: 'call.ok'", "where: @'f.calls > 1'", "feature 'calls' uses itself"},
    {"where: 'call.ok'", "where: @'call.callee in lists.marked'",
     "feature 'calls' may not read list 'marked': a rule adds to it"},
    {"where: 'call.ok'", "where: 'call.ok && @pay.amount > 1'",
     "'pay.amount' is not known here: this expression is on call"},
    {"expr: 'f.calls > 3'", "expr: 'f.calls > 3'\n    by: @caller", "'by' has no meaning"},
    {"expr: 'f.calls > 3'", "expr: '@f.later > 3'\n  - { name: later, event: call, expr: '1' }",
     "'f.later' is declared below"},
    /* rules */
    {"- id: paid", "- id: @many", "rule 'many' is declared twice, first on line 45"},
    {"- id: paid", "- id: @'a b'", "is no id"},
    {"  - id: paid\n    event: pay", "  - id: @paid", "rule 'paid' has no 'event'"},
    {"when: 'pay.amount > 10'", "when: @'1 > 10'", "is false for every event"},
    {"when: 'pay.amount > 10'", "when: @'1 / 0 > 10'", "fails for every event"},
    {"when: 'pay.amount > 10'", "when: 'pay.amount @+ 10'",
     "this must be a bool, and it is a double"},
    {"where: 'call.ok'", "where: 'call@.n'", "this must be a bool, and it is an int"},
    {"when: 'pay.amount > 10'", "when: @[a]", "an expression must be text, this is a list"},
    {"when: 'pay.amount > 10'", "when: @!has(pay.amount)", "tags are refused"},
    {"when: 'pay.amount > 10'", "when: 'pay.amount > @10u'", "uint literals"},
    {"when: 'pay.amount > 10'", "when: @'pay.amount > 10 && 2 < 1'", "is false for every event"},
    {"when: 'pay.amount > 10'", "when: '@f.pairs > 10'", "pay does not read the feature 'f.pairs'"},
    {"when: 'pay.amount > 10'", "when: '@call.n > 10'", "this expression is on pay"},
    {"when: 'pay.amount > 10'", "whn: 'pay.amount > 10'", "has no 'when'"},
    {"reason: 'paid ${pay.amount}'", "reason: @'paid ${pay.amount'", "has no }"},
    {"when: 'pay.amount > 10'", "when: \"pay.payer == \\\"x\\\" && @call.n > 1\"",
     "this expression is on pay"},
    {"when: 'pay.amount > 10'", "when: \"pay.payer == \\\"x\\\" && pay.amount @> \\\"a\\\"\"",
     "double"},
    {"reason: 'paid ${pay.amount}'", "reason: 'paid ${@pay.account + \"x\"}'",
     "only by its bare name"},
    {"reason: 'paid ${pay.amount}'", "mode: @lve", "did you mean 'live'?"},
    {"reason: 'paid ${pay.amount}'", "reason: x\n    until: @2026-13-01", "must be a date"},
    {"reason: 'paid ${pay.amount}'", "reason: x\n    from: 2026-03-02\n    until: @2026-03-02",
     "must lie after 'from'"},
    {"reason: 'paid ${pay.amount}'", "reason: x\n    unless: @{ when: 'true' }",
     "'unless' belongs to a rule with 'after'"},
    {"reason: 'paid ${pay.amount}'", "reason: x\n    after: @20m", "needs 'by'"},
    {"reason: 'paid ${pay.amount}'",
     "reason: x\n    after: 20m\n    by: payer\n    unless: @{ event: call, when: 'call.ok' }",
     "'unless' on another event type needs 'by'"},
    {"reason: 'paid ${pay.amount}'",
     "reason: x\n    after: 20m\n    by: payer\n"
     "    unless: { event: call, by: @n, when: 'call.ok' }",
     "'n' is of type int, but 'payer' of type string"},
    {"reason: 'paid ${pay.amount}'", "reason: x\n    exceptions: [@{ name: a, when: 'true' }]",
     "an exception needs a 'until'"},
    {"reason: 'paid ${pay.amount}'",
     "reason: x\n    exceptions: [@{ name: a, until: 2027-01-01, fields: payer }]",
     "either 'when', or 'fields' and 'values'"},
    {"reason: 'paid ${pay.amount}'",
     "reason: x\n    exceptions: [{ name: a, until: 2027-01-01, fields: [payer, amount], "
     "values: [@[x]] }]",
     "a tuple of 1 values for 2 fields"},
    {"reason: 'paid ${pay.amount}'",
     "reason: x\n    exceptions: [{ name: a, until: 2027-01-01, fields: [payer, amount], "
     "values: [[x, @y]] }]",
     "a value must be a number, not 'y'"},
    {"reason: 'paid ${pay.amount}'",
     "reason: x\n    exceptions: [{ name: a, until: 2027-01-01, fields: [payer, amount], "
     "comps: @[in], values: [[x, 1]] }]",
     "how each of the 2 fields compares"},
    {"add_to_list: marked", "@send_sms: marked", "unknown key of an action"},
    {"add_to_list: marked", "add_to_list: @markd", "unknown list 'markd'; did you mean 'marked'?"},
    {"value: caller", "value: @n", "list 'marked' is of string, field 'n' of type int"},
    /* for_each */
    {"value: caller }]", "value: @caller, for_each: f.reached }]",
     "with 'for_each' the value is the member"},
    {"for_each: f.reached, hit: case", "for_each: f.reached, hit: @csae",
     "unknown typology 'csae'; did you mean 'case'?"},
    {"for_each: f.reached, hit: case", "for_each: @f.reachd, hit: case",
     "unknown set 'f.reachd'; did you mean 'f.reached'?"},
    {"for_each: f.reached, hit: case", "for_each: @f.calls, hit: case",
     "'f.calls' has no members: it is a count"},
    {"for_each: f.reached, hit: case", "for_each: @f.pairs, hit: case",
     "pay does not read 'f.pairs'"},
    {"for_each: f.reached, hit: case", "@for_eahc: f.reached, hit: case",
     "unknown key of an action of 'do': 'for_eahc'; did you mean 'for_each'?"},
    {"{ for_each: f.reached, hit: case }", "@{ for_each: f.reached }",
     "says one thing to do to each member, this none"},
    {"{ for_each: f.reached, hit: case }",
     "@{ for_each: f.reached, hit: case, add_to_list: marked }",
     "says one thing to do to each member, this two"},
    {"{ for_each: f.reached, hit: case }", "{ hit: @case }", "'hit' is for the members of a set"},
    {"{ for_each: f.reached, hit: case }", "{ for_each: f.reached, add_to_list: @markd }",
     "unknown list 'markd'; did you mean 'marked'?"},
    {"name: reached, event: call, aggregate: set(callee)",
     "name: reached, event: call, aggregate: set(n)", "the members of 'f.reached' name no entity"},
    {"for_each: f.reached, hit: case }]",
     "for_each: f.reached, hit: case }, { for_each: f.reached, hit: @case }]",
     "rule 'paid' hits 'case' for each member twice"},
    {"weights: { many: 50, paid: 20 }", "weights: { many: 50 }", "rule 'paid' has no weight in"},
    {"callee: { type: string, entity: line }", "callee: { type: string, entity: other }",
     "the members of 'f.reached' name an entity 'other', the typology is about 'line'"},
    {"template: STOP, to: entity", "template: STOP, to: caller",
     "goes to a field of the event, not to the member"},
    {"when: 'pay.amount > 10'", "when: 'pay.amount > 10'\n    after: 1m\n    by: payer",
     "'for_each' needs the set as the event saw it; rule 'paid' fires later"},
    {"{ for_each: f.reached, hit: case }", "{ for_each: f.reached, add_to_list: @tails }",
     "list 'tails' is of int, the set holds 'callee' of type string"},
    /* templates */
    {"{ digits: 4 }", "{ digits: @12 }", "'digits' must lie between 1 and 6"},
    {"tail: { digits: 4 }", "@tail: {}", "must be a digit tail or a closed list"},
    {"texts: { en: 'Stop {tail}' }", "texts: { en: @'Stop {tial}' }",
     "unknown parameter 'tial'; did you mean 'tail'?"},
    {"texts: { en: 'Stop {tail}' }", "texts: { en: @'Stop {tail} http://x.y' }",
     "a warning carries no link"},
    {"texts: { en: 'Stop {tail}' }", "texts: { @'e n': 'Stop {tail}' }", "is no language"},
    {"texts: { en: 'Stop {tail}' }", "texts: { en: @'Stop {tail' }", "a brace without its pair"},
    /* typologies */
    {"entity: { call: caller, pay: payer }", "entity: { call: caller, pay: @account }",
     "the typology is about 'line'"},
    {"entity: { call: caller, pay: payer }", "entity: { pay: payer }\n    title: @[x]",
     "'title' must be text"},
    {"entity: { call: caller, pay: payer }", "entity: @caller",
     "'entity' says for each event type which field names the entity"},
    {"entity: { call: caller, pay: payer }", "entity: @{}",
     "'entity' says for each event type which field names the entity"},
    {"weights: { many: 50, paid: 20 }", "weights: { many: 50, @piad: 20 }",
     "unknown rule 'piad'; did you mean 'paid'?"},
    {"weights: { many: 50, paid: 20 }", "weights: { many: 50, paid: @x }",
     "a weight must be a number"},
    {"weights: { many: 50, paid: 20 }", "weights: { many: 50, paid: 20 }\n    score: '1'",
     "both 'weights' and 'score'"},
    {"weights: { many: 50, paid: 20 }", "score: @'1'", "'entity' names 2 event types"},
    {"weights: { many: 50, paid: 20 }", "score: { pay: 'pay.amount @> 1' }", "double"},
    {"thresholds: { minor: 20, severe: 60 }", "thresholds: { minor: 20, @sever: 60 }",
     "unknown level 'sever'; did you mean 'severe'?"},
    {"thresholds: { minor: 20, severe: 60 }", "thresholds: { minor: 20, severe: @20 }",
     "must be above that of the level below"},
    {"thresholds: { minor: 20, severe: 60 }", "thresholds: { minor: @0, severe: 60 }",
     "must be above 0"},
    {"thresholds: { minor: 20, severe: 60 }", "thresholds: { minor: 20 }",
     "level severe has actions but no threshold"},
    {"sum_over: 1d", "repeat: @twice", "unknown value of 'repeat': 'twice'"},
    {"template: STOP", "template: @STOPP", "unknown template 'STOPP'; did you mean 'STOP'?"},
    {"to: entity", "to: @payer", "call has no string field 'payer'"},
    {"{ call: callee, pay: account }", "@{ call: callee }",
     "nothing fills {tail} when the event is of type pay"},
    {"{ call: callee, pay: account }", "@nobody", "no event type of this typology has 'nobody'"},
    {"params: { tail: { call: callee, pay: account } }", "params: @{}",
     "needs the parameter 'tail'"},
    {"params: { tail: { call:", "params: { @tial: x, tail: { call:", "did you mean 'tail'?"},
};

static char *with_slip(const struct slip *slip, uint32_t *line, uint32_t *column)
{
    const char *at = strstr(sound, slip->from);
    if (!at) {
        fail_msg("the sound pack has no '%s'", slip->from);
    }
    char *text = NULL;
    assert_true(asprintf(&text, "%.*s%s%s", (int)(at - sound), sound, slip->to,
                         at + strlen(slip->from)) > 0);
    *line = 0;
    *column = 0;
    char *mark = strchr(text, '@');
    if (mark) {
        *line = 1;
        *column = 1;
        for (const char *c = text; c < mark; c++) {
            *column = *c == '\n' ? 1 : *column + 1;
            *line += *c == '\n';
        }
        memmove(mark, mark + 1, strlen(mark));
    }
    return text;
}

static bool said(const struct tsn_diags *diags, const struct slip *slip, uint32_t line,
                 uint32_t column)
{
    for (size_t i = 0; i < diags->n; i++) {
        const struct tsn_diag *d = &diags->items[i];
        if (d->severity == TSN_SEVERITY_ERROR && strstr(d->message, slip->message) &&
            (line == 0 || (d->place.line == line && d->place.column == column))) {
            return true;
        }
    }
    return false;
}

static void the_pack_without_a_slip_is_sound(void **state)
{
    (void)state;
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    struct tsn_program *prog = tsn_pack_compile("p.yaml", sound, strlen(sound), NULL, NULL, &diags);
    tsn_diags_print(&diags, stderr);
    assert_non_null(prog);
    assert_int_equal(diags.n, 0);
    tsn_program_free(prog);
    tsn_diags_free(&diags);
}

static void every_slip_is_refused_at_its_place(void **state)
{
    (void)state;
    size_t n_wrong = 0;
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        if (slips[i].to[0] == '\0') {
            continue;
        }
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        uint32_t line = 0;
        uint32_t column = 0;
        char *text = with_slip(&slips[i], &line, &column);
        struct tsn_program *prog =
            tsn_pack_compile("p.yaml", text, strlen(text), NULL, NULL, &diags);
        if (prog || !said(&diags, &slips[i], line, column)) {
            fprintf(stderr, "case %zu, '%s': wanted '%s' at %u:%u\n", i, slips[i].to,
                    slips[i].message, line, column);
            tsn_diags_print(&diags, stderr);
            n_wrong++;
        }
        tsn_program_free(prog);
        free(text);
        tsn_diags_free(&diags);
    }
    assert_int_equal(n_wrong, 0);
}

/* A slip is one message: what it breaks is not reported as unknown again. */
static void a_broken_thing_is_reported_once(void **state)
{
    (void)state;
    static const struct slip once[] = {
        {"aggregate: count", "aggregate: cuont", ""},
        {"talk: { type: duration }", "talk: { type: duratoin }", ""},
        {"expr: 'f.calls > 3'", "expr: 'f.calls + \"x\"'", ""},
        {"amount: { type: money, currency: CNY }", "amount: { type: money }", ""},
    };
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        uint32_t line = 0;
        uint32_t column = 0;
        char *text = with_slip(&once[i], &line, &column);
        assert_null(tsn_pack_compile("p.yaml", text, strlen(text), NULL, NULL, &diags));
        if (diags.n_errors != 1) {
            tsn_diags_print(&diags, stderr);
        }
        assert_int_equal(diags.n_errors, 1);
        free(text);
        tsn_diags_free(&diags);
    }
}

static void all_errors_of_a_pack_are_shown(void **state)
{
    (void)state;
    static const struct slip several[] = {
        {"aggregate: count", "aggregate: cuont", "unknown aggregate"},
        {"window: 1d", "window: 1x", "must be a duration"},
        {"add_to_list: marked", "add_to_list: markd", "unknown list"},
        {"sever", "servr", "unknown level"},
    };
    char *text = strdup(sound);
    for (size_t i = 0; i < sizeof several / sizeof several[0]; i++) {
        char *at = strstr(text, several[i].from);
        char *next = NULL;
        assert_true(asprintf(&next, "%.*s%s%s", (int)(at - text), text, several[i].to,
                             at + strlen(several[i].from)) > 0);
        free(text);
        text = next;
    }
    struct tsn_diags diags;
    tsn_diags_init(&diags);
    assert_null(tsn_pack_compile("p.yaml", text, strlen(text), NULL, NULL, &diags));
    for (size_t i = 0; i < sizeof several / sizeof several[0]; i++) {
        assert_true(said(&diags, &several[i], 0, 0));
    }
    free(text);
    tsn_diags_free(&diags);
}

/* What a newcomer leaves out is the word before the dot. */
static void a_name_without_its_first_word_is_known(void **state)
{
    (void)state;
    static const struct {
        struct slip slip;
        const char *advice;
    } cases[] = {
        {{"when: 'pay.amount > 10'", "when: '@amount > 10'", "there is no name 'amount'"},
         "did you mean 'pay.amount'?"},
        {{"where: 'call.ok'", "where: '@talk > duration(\"1s\")'", "there is no name 'talk'"},
         "did you mean 'call.talk'?"},
        {{"expr: 'f.calls > 3'", "expr: '@calls > 3'", "there is no name 'calls'"},
         "did you mean 'f.calls'?"},
        {{"when: 'pay.amount > 10'", "when: 'pay.payer in @marked'", "there is no name 'marked'"},
         "did you mean 'lists.marked'?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tsn_diags diags;
        tsn_diags_init(&diags);
        uint32_t line = 0;
        uint32_t column = 0;
        char *text = with_slip(&cases[i].slip, &line, &column);
        assert_null(tsn_pack_compile("p.yaml", text, strlen(text), NULL, NULL, &diags));
        assert_true(said(&diags, &cases[i].slip, line, column));
        assert_string_equal(diags.items[0].advice, cases[i].advice);
        free(text);
        tsn_diags_free(&diags);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pack_without_a_slip_is_sound),
        cmocka_unit_test(every_slip_is_refused_at_its_place),
        cmocka_unit_test(a_broken_thing_is_reported_once),
        cmocka_unit_test(all_errors_of_a_pack_are_shown),
        cmocka_unit_test(a_name_without_its_first_word_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
