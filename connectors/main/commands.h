/* The commands of the binary: one row here, one file command_<name>.c beside it.
 *
 * A command parses its own arguments (argv[0] is its name) and returns an exit
 * code of enum tsn_exit.
 */
#ifndef TSN_CONNECTORS_MAIN_COMMANDS_H
#define TSN_CONNECTORS_MAIN_COMMANDS_H

/*    name, what it does (one line of `tocsin --help`) */
#define TSN_COMMAND_TABLE(X)                                                                       \
    X(run, "the live engine: reads the sources, publishes alerts, keeps state")                    \
    X(topics, "which topics must exist; --create makes what is missing")                           \
    X(check, "check rule packs, and say in words what they count")                                 \
    X(replay, "run files of records through the engine: alerts, features, rejects")                \
    X(eval, "evaluate expressions over given values, one JSON request a line")                     \
    X(simulate, "write a city's calls, messages and payments, scams inside, as files")             \
    X(demo, "a city in under a minute: broker, Redis, engine, live alerts, summary")               \
    X(broker, "an embedded Kafka broker for demos; keeps nothing")

#define TSN_COMMAND_DECLARE(name, what) int tsn_command_##name(int argc, char **argv);
TSN_COMMAND_TABLE(TSN_COMMAND_DECLARE)
#undef TSN_COMMAND_DECLARE

#endif
