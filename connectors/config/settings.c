#include "connectors/config/settings.h"

#include <string.h>

#define AT(member) offsetof(struct tsn_config, member)
#define PLAN(member) offsetof(struct tsn_number_plan, member)
#define SOURCE(member) offsetof(struct tsn_source, member)
#define TEXT(section, key, at, fallback, what)                                                     \
    {                                                                                              \
        section, key, TSN_SETTING_TEXT, at, fallback, 1, 255, what                                 \
    }
#define DURATION(section, key, at, fallback, least, what)                                          \
    {                                                                                              \
        section, key, TSN_SETTING_DURATION, at, fallback, least, INT64_MAX, what                   \
    }

const struct tsn_setting tsn_settings[] = {
    TEXT("", "instance", AT(instance), "tocsin",
         "Names this deployment: consumer group, transactional id and Redis keys derive from it."),
    {"", "pack", TSN_SETTING_PATH, AT(pack), NULL, 1, 4096,
     "The rule pack, relative to this file. Required."},
    {"", "state", TSN_SETTING_STATE, AT(state_in_memory), "redis", 0, 0,
     "`redis` keeps checkpoints; `memory` keeps none: every start replays what Kafka still holds."},
    {"", "key_file", TSN_SETTING_PATH, AT(key_file), NULL, 1, 4096,
     "32 secret bytes (64 hex digits or raw), readable by the owner only: alert ids, pseudonyms "
     "and encrypted state depend on it."},
    {"", "insecure", TSN_SETTING_BOOL, AT(insecure), "false", 0, 0,
     "`true` runs without a key file: state in Redis and alert ids are then not protected."},
    DURATION(
        "", "start_timeout", AT(start_timeout_ms), "60s", 0,
        "How long absent servers are waited for at the start, and brokers by `tocsin topics`."),
    DURATION("", "stop_timeout", AT(stop_timeout_ms), "20s", 100,
             "Bound of a clean stop; what is not committed by then is replayed."),

    DURATION("commit", "busy", AT(kafka.commit_busy_ms), "50ms", 1,
             "A transaction is committed after this while alerts or rejects wait."),
    DURATION(
        "commit", "behind", AT(kafka.commit_behind_ms), "300ms", 1,
        "... and after this, if it is more, while the engine is behind: while Kafka holds over "
        "four times as many unread records as the transaction has. Alerts are late then anyway, "
        "and fewer transactions leave brokers and engine more time to catch up."),
    DURATION("commit", "idle", AT(kafka.commit_idle_ms), "1s", 1, "... and after this otherwise."),
    {"commit", "send_offsets", TSN_SETTING_BOOL, AT(kafka.send_offsets), "false", 0, 0,
     "Also commits group offsets, for lag tools; costs 5 to 7 ms a transaction."},

    DURATION(
        "merge", "wait", AT(kafka.merge_wait_ms), "100ms", 0,
        "How long a partition that is behind its end, but has nothing fetched, is waited for."),
    DURATION(
        "merge", "slack", AT(kafka.merge_slack_ms), "0s", 0,
        "How far one partition may run ahead of the next in event time. 0s: the order of event "
        "times, whatever the partitions; more makes longer runs and smaller manifests."),

    TEXT("topics", "alerts", AT(topics.alerts), "tocsin.alerts", "Alerts, as CloudEvents."),
    TEXT("topics", "rejects", AT(topics.rejects), "tocsin.rejects",
         "Records that could not be read, with the reason."),
    TEXT("topics", "manifest", AT(topics.manifest), "tocsin.manifest",
         "What was read, in order; the truth about positions. One partition."),
    TEXT("topics", "programs", AT(topics.programs), "tocsin.programs",
         "Packs and lists that were in force."),
    TEXT("topics", "held", AT(topics.held), "tocsin.held",
         "Alerts that a storm breaker held back."),

    DURATION("engine", "lateness", AT(engine.lateness_ms), "1h", 0,
             "An event older than the newest by more than this is too late: it is kept, but reads "
             "no windows."),
    DURATION("engine", "dedup_window", AT(engine.dedup_window_ms), "10m", 0,
             "How long an event id is remembered; 0s: duplicates are not looked for."),
    {"engine", "dedup_memory", TSN_SETTING_BYTES, AT(engine.dedup_cap_bytes), "256MiB", 1 << 20,
     INT64_C(1) << 40, "Memory for remembered ids; beyond it the oldest are forgotten."},
    DURATION("engine", "timer_grace", AT(engine.timer_grace_ms), "1s", 0,
             "How long after its due time a timer waits for the event that would stop it; at least "
             "merge.slack."),
    DURATION("engine", "future_max", AT(kafka.future_max_ms), "5m", 0,
             "An event further ahead of its record's time stamp is a reject."),
    {"engine", "batch_rows", TSN_SETTING_U32, AT(engine.batch_rows), "4096", 64, 65536,
     "Rows processed together, a multiple of 64. Changes speed, never results."},
    {"engine", "reserve", TSN_SETTING_BYTES, AT(engine.reserve_bytes), "0", 0, INT64_C(1) << 40,
     "Memory for windows that is taken and touched at the start, so that a growing state meets no "
     "page faults. Changes speed, never results."},
    {"engine", "reserve_records", TSN_SETTING_BYTES, AT(reserve_records_bytes), "0", 0,
     INT64_C(1) << 40,
     "Memory for records that are read ahead, taken and touched at the start, so that the first "
     "catching-up meets no page faults: it holds 256 MiB of records, which with what the client "
     "library keeps of each may come to three times that. Changes speed, never results."},
    {"engine", "max_resident", TSN_SETTING_U32, AT(max_resident), "0", 0, UINT32_MAX,
     "Most entities in memory, but for those that changed since the last checkpoint, which comes "
     "sooner then; the others' windows are in Redis alone and fetched when an event visits them. "
     "0: all are in memory. Changes memory and speed, never results."},

    TEXT("redis", "host", AT(redis.host), "127.0.0.1",
         "Server, or any node of a Redis Cluster, unless `unix_socket` is given. Of a name with "
         "several addresses each is tried."),
    {"redis", "port", TSN_SETTING_U16, AT(redis.port), "6379", 1, 65535, "Its port."},
    {"redis", "unix_socket", TSN_SETTING_TEXT, AT(redis.unix_socket), NULL, 1, 100,
     "Path of its socket; used instead of host and port."},
    TEXT("redis", "user", AT(redis.user), NULL, "ACL user (Redis 6 and newer)."),
    TEXT("redis", "password", AT(redis.password), NULL,
         "Its password; write ${NAME} to take it from the environment."),
    {"redis", "database", TSN_SETTING_INT, AT(redis.database), "0", 0, 65535,
     "Database number; a cluster has 0 only."},
    DURATION("redis", "timeout", AT(redis.timeout_ms), "5s", 10,
             "An answer that takes longer is a failure; checkpoints are retried."),

    {"redis.tls", "ca_file", TSN_SETTING_PATH, AT(redis.tls.ca_file), NULL, 1, 4096,
     "Certificates of the authorities that sign for the servers, PEM. Without it the system's "
     "are trusted."},
    {"redis.tls", "cert_file", TSN_SETTING_PATH, AT(redis.tls.cert_file), NULL, 1, 4096,
     "Certificate that tocsin shows, with its chain, PEM; for servers that want one "
     "(`tls-auth-clients`, on by default)."},
    {"redis.tls", "key_file", TSN_SETTING_PATH, AT(redis.tls.key_file), NULL, 1, 4096,
     "Its key, PEM, without a pass phrase. Needed with `cert_file`."},
    TEXT("redis.tls", "server_name", AT(redis.tls.server_name), NULL,
         "Name or address that the servers' certificates must be for, of every node of a cluster; "
         "without it the host that is connected to."),

    DURATION(
        "checkpoint", "interval", AT(checkpoint_ms), "10s", 100,
        "State goes to Redis this often, or as often as it can be written; a restart replays what "
        "came since."),
    {"checkpoint", "bandwidth", TSN_SETTING_BYTES, AT(checkpoint_bandwidth), "0", 0,
     INT64_C(1) << 40,
     "Most bytes a second that a checkpoint may send to Redis (`50MiB`); 0: as fast as it takes "
     "them. A checkpoint then takes longer than `interval` when more than that changes."},
    DURATION("checkpoint", "target_age", AT(checkpoint_age_ms), "1m", 0,
             "Once the newest checkpoint is older than this, `bandwidth` is not kept until one is "
             "written: a restart that replays little comes first."),

    TEXT("numbers", "country", PLAN(country), NULL,
         "Country code, digits only (`\"86\"`). Without it only international forms are known."),
    TEXT("numbers", "trunk_prefix", PLAN(trunk_prefix), NULL,
         "What is dialled before a national number (`\"0\"`)."),
    TEXT("numbers", "international_prefix", PLAN(international_prefix), "00",
         "What is dialled before a foreign one."),
    {"numbers", "national_min", TSN_SETTING_U32, PLAN(national_min), "8", 3, 14,
     "Fewest digits of a national number, trunk prefix not counted. Shorter ones are short codes."},
    {"numbers", "national_max", TSN_SETTING_U32, PLAN(national_max), "12", 3, 14,
     "Most digits of a national number."},
    {"numbers", "bare_international", TSN_SETTING_BOOL, PLAN(bare_international), "false", 0, 0,
     "Digits without any prefix are E.164 numbers without their `+`."},

    TEXT("sources", "event", SOURCE(event), NULL,
         "The pack's event type that every record becomes. Required."),
    {"sources", "max_bytes", TSN_SETTING_BYTES32, SOURCE(max_bytes), "64KiB", 64, 16 << 20,
     "Larger records are rejects."},
};

const size_t tsn_n_settings = sizeof tsn_settings / sizeof tsn_settings[0];

/* ---- the page ---------------------------------------------------------------- */

static const char *const kinds[] = {
    [TSN_SETTING_TEXT] = "text",          [TSN_SETTING_PATH] = "path",
    [TSN_SETTING_BOOL] = "true or false", [TSN_SETTING_DURATION] = "duration",
    [TSN_SETTING_INT] = "number",         [TSN_SETTING_U16] = "number",
    [TSN_SETTING_U32] = "number",         [TSN_SETTING_BYTES] = "size",
    [TSN_SETTING_BYTES32] = "size",       [TSN_SETTING_STATE] = "`redis` or `memory`",
};

static const char opening[] =
    "# The configuration file\n"
    "\n"
    "One YAML file, checked whole before anything runs: every mistake is reported with its line,\n"
    "unknown keys with the nearest known name. `packaging/tocsin.yaml` is an example.\n"
    "\n"
    "- `${NAME}` in a value is replaced by the environment variable NAME, so secrets need not "
    "stand\n"
    "  in the file; an unset variable is an error, and `$${` is a literal `${`.\n"
    "- Durations are `50ms`, `10s`, `5m`, `1h30m`, `7d`; sizes `65536`, `64KiB`, `256MiB`, "
    "`1GiB`.\n"
    "- Paths are relative to the folder of the file.\n";

static const char kafka_part[] =
    "\n"
    "## `kafka`\n"
    "\n"
    "Every key is a property of librdkafka and is passed through as it is, `bootstrap.servers` "
    "among\n"
    "them. Properties under `consumer` and `producer` go to that client only. What tocsin sets "
    "itself\n"
    "for its guarantees (isolation level, transactional id, idempotence, offset reset) is refused\n"
    "with a message when the clients start.\n"
    "\n"
    "While it catches up, the consumer keeps up to 256 MiB of records ready, shared evenly among "
    "the\n"
    "partitions, and the library needs about as much again to manage them; less lets partitions "
    "run "
    "dry\n"
    "while the library pauses. `queued.max.messages.kbytes` under `consumer` sets another bound "
    "for "
    "each\n"
    "partition.\n"
    "\n"
    "```yaml\n"
    "kafka:\n"
    "  bootstrap.servers: kafka1:9092,kafka2:9092\n"
    "  sasl.password: ${KAFKA_PASSWORD}\n"
    "  consumer: { fetch.message.max.bytes: 1048576 }\n"
    "  producer: { linger.ms: 5 }\n"
    "```\n";

static const char tls_part[] =
    "\n"
    "The section, even when it is empty (`tls: {}`), has every connection to Redis encrypted, with "
    "TLS 1.2\n"
    "or 1.3, to a server whose certificate is trusted and for its name; `port` is then the "
    "server's "
    "`tls-port`.\n"
    "The files are read for each connection: a renewed certificate needs no restart.\n"
    "\n"
    "```yaml\n"
    "redis:\n"
    "  host: redis.example\n"
    "  port: 6380\n"
    "  tls: { ca_file: redis-ca.pem, cert_file: tocsin.pem, key_file: tocsin-key.pem }\n"
    "```\n";

static const char sources_part[] =
    "\n"
    "A source is a topic; `tocsin replay` reads it from a file by the same name. Its key under\n"
    "`sources` is the topic's name.\n"
    "\n"
    "```yaml\n"
    "sources:\n"
    "  bank.txn:\n"
    "    event: transaction\n"
    "    record_time: /ingest_time_ms\n"
    "    fields:\n"
    "      time:       { from: /event_time_ms, format: epoch_ms }\n"
    "      event_id:   /event_id\n"
    "      amount:     { from: /amount_minor, unit: minor }\n"
    "      currency:   { from: /currency, default: CNY }\n"
    "      channel:    { from: /chan, map: { \"01\": mobile_app, \"02\": web } }\n"
    "      payer_line: { from: /customer/msisdn, e164: true }\n"
    "```\n"
    "\n"
    "- `record_time` - where a file says when the record was written (a pointer, or `from` and\n"
    "  `format`); used for the check against `engine.future_max` when there is no Kafka time "
    "stamp.\n"
    "- `numbers` - this source's own number plan instead of the file's.\n"
    "- `fields` - the event time under `time`, and each field of the event type. A field that is "
    "not\n"
    "  named is missing in every event. A plain value is short for `from`.\n"
    "\n"
    "| key of a field | meaning |\n"
    "| --- | --- |\n"
    "| `from` | JSON pointer (RFC 6901) into the record, nested names and list positions included "
    "|\n"
    "| `constant` | the same value for every record, instead of `from` |\n"
    "| `default` | the value where the record has none, or null |\n"
    "| `format` | of a time: `rfc3339` (default; an offset is required), `epoch_s`, `epoch_ms`, "
    "`epoch_us`. Finer than a millisecond is cut |\n"
    "| `unit` | of a duration: `ms`, `s` (up to 3 decimals), `min`, `h`, `d`; of money: `major` "
    "(12.50, number or text) or `minor` (1250). Required for both |\n"
    "| `e164` | `true`: normalised to E.164 with a leading `+` by the number plan |\n"
    "| `quoted` | `true`: a number may be written as text, `\"12.50\"`, by the same grammar and "
    "just "
    "as exactly; of numbers, money, durations and `epoch_...` times. Money in `major` may always "
    "|\n"
    "| `map` | written value: meant value. What is not listed is taken as written |\n"
    "\n"
    "How values are read:\n"
    "\n"
    "- null or absent is missing; a missing required field rejects the record; an empty text is a\n"
    "  value. A value of another JSON type than its field rejects: text is not turned into a "
    "number\n"
    "  (unless its mapping says `quoted: true`), nor a number into text.\n"
    "- Integers are exact over 64 bits; `1.0` and `1e3` are integers, `1.5` is not.\n"
    "- Money is read from its text, never through floating point; more decimals than its currency\n"
    "  has (ISO 4217) rejects, zeros excepted.\n"
    "- A member that a field names and that occurs twice in a record rejects it as malformed.\n"
    "- Event times before 1970 and after 9999 are out of range.\n"
    "\n"
    "How telephone numbers are read (`e164: true`), first match: text with letters, `*` or `#` "
    "stays\n"
    "as it is; `+` or the international prefix and 7 to 15 digits becomes `+` and the digits; "
    "digits\n"
    "that begin with a `keep` prefix stay; the trunk prefix and a national number, the country and "
    "a\n"
    "national number, or a national number alone become `+`, country, number; everything else "
    "stays\n"
    "as it is. Separators (space `-` `.` `(` `)` `/`) are dropped. No number is ever a reject.\n";

static void rows(FILE *out, const char *section)
{
    fprintf(out, "\n| key | kind | default | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < tsn_n_settings; i++) {
        const struct tsn_setting *s = &tsn_settings[i];
        if (strcmp(s->section, section) == 0) {
            fprintf(out, "| `%s` | %s | %s%s%s | %s |\n", s->key, kinds[s->kind],
                    s->fallback ? "`" : "", s->fallback ? s->fallback : "", s->fallback ? "`" : "",
                    s->what);
        }
    }
}

void tsn_settings_page(FILE *out)
{
    fputs(opening, out);
    const char *section = NULL;
    for (size_t i = 0; i < tsn_n_settings; i++) {
        const char *next = tsn_settings[i].section;
        if (section && strcmp(section, next) == 0) {
            continue;
        }
        section = next;
        if (*section) {
            fprintf(out, "\n## `%s`\n", section);
        } else {
            fprintf(out, "\n## At the top\n");
        }
        if (strcmp(section, "sources") == 0) {
            fputs(sources_part, out);
        } else if (strcmp(section, "redis.tls") == 0) {
            fputs(tls_part, out);
        }
        rows(out, section);
        if (strcmp(section, "numbers") == 0) {
            fputs("\n`keep` is a list of prefixes: digits that begin with one are short codes and "
                  "stay as they are\n(`[\"106\", \"95\"]`).\n",
                  out);
        }
        if (!*section) {
            fputs(kafka_part, out);
        }
    }
}
