// Committed: what a foreign client that reads committed sees of a topic, and whether it
// is what a replay gives. Run by tests as one file: java -cp 'JARS/*' Committed.java ...
//
//   Committed.java BOOTSTRAP TOPIC                prints PARTITION, key and value, tab-separated
//   Committed.java BOOTSTRAP TOPIC REPLAY.ndjson  compares: every value of the file is committed
//                                                 once, nothing else is, and each partition has
//                                                 its values in the file's order
//   Committed.java BOOTSTRAP TOPIC --rejects REPLAY.ndjson
//                                                 compares rejects: topic, offset, reason, bytes
//   Committed.java BOOTSTRAP --covered MANIFESTS TOPIC ...
//                                                 compares: every offset of the topics is in
//                                                 exactly one run of exactly one committed
//                                                 manifest; sequences ascend by one from 1.
//                                                 Prints how many events and manifests

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Committed {
    static KafkaConsumer<byte[], byte[]> open(String bootstrap) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("isolation.level", "read_committed");
        settings.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(
            settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> consumer, String topic) {
        List<TopicPartition> partitions = new ArrayList<>();
        consumer.partitionsFor(topic).forEach(
            info -> partitions.add(new TopicPartition(topic, info.partition())));
        return partitions;
    }

    /* Every record once, in each partition's order; none is kept. */
    static void each(
            String bootstrap, String topic, Consumer<ConsumerRecord<byte[], byte[]>> use) {
        try (KafkaConsumer<byte[], byte[]> consumer = open(bootstrap)) {
            List<TopicPartition> partitions = partitions(consumer, topic);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            long giveUp = System.nanoTime() + 60_000_000_000L;
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                if (System.nanoTime() > giveUp) {
                    throw new IllegalStateException("the end of " + topic + " was not reached");
                }
                consumer.poll(Duration.ofMillis(200)).forEach(use);
            }
        }
    }

    static Map<Integer, List<ConsumerRecord<byte[], byte[]>>> read(String bootstrap, String topic) {
        Map<Integer, List<ConsumerRecord<byte[], byte[]>>> all = new TreeMap<>();
        each(bootstrap, topic,
            r -> all.computeIfAbsent(r.partition(), p -> new ArrayList<>()).add(r));
        return all;
    }

    static String text(byte[] bytes) {
        return bytes == null ? "" : new String(bytes, StandardCharsets.UTF_8);
    }

    /* A value as its digest: the alerts of hours need not fit into memory. */
    static ByteBuffer digest(byte[] value) {
        try {
            return ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(value));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    static int compare(String bootstrap, String topic, Path file) throws Exception {
        Map<ByteBuffer, Integer> place = new HashMap<>();
        try (Stream<String> lines = Files.lines(file, StandardCharsets.UTF_8)) {
            for (String line : (Iterable<String>) lines::iterator) {
                if (place.put(digest(line.getBytes(StandardCharsets.UTF_8)), place.size()) != null) {
                    System.out.println("the replay gives this twice: " + line);
                    return 1;
                }
            }
        }
        BitSet seen = new BitSet();
        Map<Integer, Integer> last = new HashMap<>();
        List<String> wrong = new ArrayList<>();
        int[] n = {0};
        each(bootstrap, topic, record -> {
            Integer at = place.get(digest(record.value()));
            n[0]++;
            if (!wrong.isEmpty()) {
                return;
            }
            if (at == null) {
                wrong.add("committed, but not in the replay: " + text(record.value()));
            } else if (seen.get(at)) {
                wrong.add("committed twice: " + text(record.value()));
            } else if (at < last.getOrDefault(record.partition(), -1)) {
                wrong.add("partition " + record.partition() + " is not in the replay's order");
            } else {
                seen.set(at);
                last.put(record.partition(), at);
            }
        });
        if (wrong.isEmpty() && n[0] != place.size()) {
            wrong.add(n[0] + " are committed, the replay gives " + place.size());
        }
        System.out.println(wrong.isEmpty() ? "" + n[0] : wrong.get(0));
        return wrong.isEmpty() ? 0 : 1;
    }

    static final Pattern REJECT = Pattern.compile(
        "\\{\"source\":\"([^\"]*)\",\"line\":(\\d+),\"reason\":\"([^\"]*)\".*\"record\":\"(.*)\"\\}");

    static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        return text(record.headers().lastHeader(name).value());
    }

    /* Rejects as topic, offset, reason and bytes: the replay writes them in another form.
       (Records without a character that JSON escapes.) */
    static int rejects(Map<Integer, List<ConsumerRecord<byte[], byte[]>>> committed, Path file)
            throws Exception {
        List<String> are = new ArrayList<>();
        List<String> expected = new ArrayList<>();
        committed.values().forEach(records -> records.forEach(
            r -> are.add(header(r, "tocsin_topic") + " " + header(r, "tocsin_offset") + " "
                         + header(r, "tocsin_reason") + " " + text(r.value()))));
        for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
            Matcher m = REJECT.matcher(line);
            expected.add(m.matches() ? m.group(1) + " " + m.group(2) + " " + m.group(3) + " "
                                           + m.group(4)
                                     : line);
        }
        are.sort(null);
        expected.sort(null);
        System.out.println(are.equals(expected) ? "" + are.size()
                                                : "committed: " + are + "\nreplay: " + expected);
        return are.equals(expected) ? 0 : 1;
    }

    static final Pattern SEQUENCE = Pattern.compile("\"sequence\":(\\d+)");
    static final Pattern ORIGIN =
        Pattern.compile("\\{\"topic\":\"([^\"]*)\",\"partition\":(\\d+),");
    static final Pattern STEPS = Pattern.compile("\"steps\":\\[(.*)\\],\"alerts\":");
    /* A run with its offsets; one that goes on, by several offsets or one; any other step. */
    static final Pattern STEP = Pattern.compile(
        "\\[\"run\",(\\d+),(\\d+),(\\d+)\\]|\\[(\\d+),(\\d+)\\]|(\\d+)|\\[\"[^\\]]*\\]");

    static Map<TopicPartition, Long> ends(String bootstrap, String topic) {
        try (KafkaConsumer<byte[], byte[]> consumer = open(bootstrap)) {
            return consumer.endOffsets(partitions(consumer, topic));
        }
    }

    /* Takes one step of a manifest; gives what is wrong, or null. */
    static String take(Matcher m, List<String> origins, Map<String, Long> stands) {
        String index = m.group(1) != null ? m.group(1) : m.group(4) != null ? m.group(4) : m.group(6);
        if (index == null) {
            return null; // a tick or a swap
        }
        String origin = origins.get(Integer.parseInt(index));
        long at = stands.getOrDefault(origin, 0L);
        if (m.group(1) != null && Long.parseLong(m.group(2)) != at) {
            return origin + " goes on at " + m.group(2) + ", it stood at " + at;
        }
        stands.put(origin, m.group(1) != null ? Long.parseLong(m.group(3))
                               : at + (m.group(4) != null ? Long.parseLong(m.group(5)) : 1));
        return null;
    }

    /* Walks the runs; gives what is wrong, or null. Fills where each partition stands. */
    static String walk(List<ConsumerRecord<byte[], byte[]>> manifests, Map<String, Long> stands) {
        long sequence = 0;
        for (ConsumerRecord<byte[], byte[]> record : manifests) {
            String json = text(record.value());
            Matcher found = SEQUENCE.matcher(json);
            if (!found.find() || Long.parseLong(found.group(1)) != ++sequence) {
                return "manifest " + sequence + " was expected: " + json;
            }
            List<String> origins = new ArrayList<>();
            for (Matcher m = ORIGIN.matcher(json); m.find(); ) {
                origins.add(m.group(1) + "/" + m.group(2));
            }
            Matcher steps = STEPS.matcher(json);
            if (!steps.find()) {
                return "manifest " + sequence + " has no steps: " + json;
            }
            for (Matcher m = STEP.matcher(steps.group(1)); m.find(); ) {
                String wrong = take(m, origins, stands);
                if (wrong != null) {
                    return "manifest " + sequence + ": " + wrong;
                }
            }
        }
        return null;
    }

    static int covered(String bootstrap, String manifests, List<String> topics) {
        Map<String, Long> stands = new TreeMap<>();
        List<ConsumerRecord<byte[], byte[]>> all = read(bootstrap, manifests).getOrDefault(0, List.of());
        String wrong = walk(all, stands);
        long events = 0;
        for (String topic : topics) {
            Map<TopicPartition, Long> ends = ends(bootstrap, topic);
            for (TopicPartition of : ends.keySet()) {
                int partition = of.partition();
                long high = ends.get(of);
                long at = stands.getOrDefault(topic + "/" + partition, 0L);
                if (wrong == null && at != high) {
                    wrong = topic + "/" + partition + ": manifests cover " + at + " of " + high;
                }
                events += high;
            }
        }
        System.out.println(wrong != null ? wrong : events + " " + all.size());
        return wrong != null ? 1 : 0;
    }

    public static void main(String[] args) throws Exception {
        if (args[1].equals("--covered")) {
            System.exit(covered(args[0], args[2], List.of(args).subList(3, args.length)));
        }
        if (args.length == 3) {
            System.exit(compare(args[0], args[1], Path.of(args[2])));
        }
        Map<Integer, List<ConsumerRecord<byte[], byte[]>>> committed = read(args[0], args[1]);
        if (args.length > 3) {
            System.exit(rejects(committed, Path.of(args[3])));
        }
        StringBuilder out = new StringBuilder();
        committed.forEach((partition, records) -> records.forEach(
            r -> out.append(partition).append('\t').append(text(r.key())).append('\t')
                    .append(text(r.value())).append('\n')));
        System.out.print(out);
    }
}
