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

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Committed {
    static Map<Integer, List<ConsumerRecord<byte[], byte[]>>> read(String bootstrap, String topic) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("isolation.level", "read_committed");
        settings.put("enable.auto.commit", "false");
        Map<Integer, List<ConsumerRecord<byte[], byte[]>>> all = new TreeMap<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(topic).forEach(
                info -> partitions.add(new TopicPartition(topic, info.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            partitions.forEach(p -> all.put(p.partition(), new ArrayList<>()));
            long giveUp = System.nanoTime() + 60_000_000_000L;
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                if (System.nanoTime() > giveUp) {
                    throw new IllegalStateException("the end of " + topic + " was not reached");
                }
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                    all.get(r.partition()).add(r);
                }
            }
        }
        return all;
    }

    static String text(byte[] bytes) {
        return bytes == null ? "" : new String(bytes, StandardCharsets.UTF_8);
    }

    static int compare(Map<Integer, List<ConsumerRecord<byte[], byte[]>>> committed, Path file)
            throws Exception {
        List<String> replayed = Files.readAllLines(file, StandardCharsets.UTF_8);
        Map<String, Integer> place = new HashMap<>();
        for (String line : replayed) {
            if (place.put(line, place.size()) != null) {
                System.out.println("the replay gives this twice: " + line);
                return 1;
            }
        }
        int n = 0;
        Map<String, Integer> seen = new HashMap<>();
        for (Map.Entry<Integer, List<ConsumerRecord<byte[], byte[]>>> e : committed.entrySet()) {
            int last = -1;
            for (ConsumerRecord<byte[], byte[]> record : e.getValue()) {
                String value = text(record.value());
                Integer at = place.get(value);
                n++;
                if (at == null) {
                    System.out.println("committed, but not in the replay: " + value);
                    return 1;
                }
                if (seen.put(value, e.getKey()) != null) {
                    System.out.println("committed twice: " + value);
                    return 1;
                }
                if (at < last) {
                    System.out.println("partition " + e.getKey() + " is not in the replay's order");
                    return 1;
                }
                last = at;
            }
        }
        if (n != replayed.size()) {
            System.out.println(n + " are committed, the replay gives " + replayed.size());
            return 1;
        }
        System.out.println(n);
        return 0;
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

    static long high(String bootstrap, String topic, int partition) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            TopicPartition p = new TopicPartition(topic, partition);
            return consumer.endOffsets(List.of(p)).get(p);
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
        List<ConsumerRecord<byte[], byte[]>> all = read(bootstrap, manifests).get(0);
        String wrong = walk(all, stands);
        long events = 0;
        for (String topic : topics) {
            for (int partition : read(bootstrap, topic).keySet()) {
                long high = high(bootstrap, topic, partition);
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
        Map<Integer, List<ConsumerRecord<byte[], byte[]>>> committed = read(args[0], args[1]);
        if (args.length > 3) {
            System.exit(rejects(committed, Path.of(args[3])));
        }
        if (args.length > 2) {
            System.exit(compare(committed, Path.of(args[2])));
        }
        StringBuilder out = new StringBuilder();
        committed.forEach((partition, records) -> records.forEach(
            r -> out.append(partition).append('\t').append(text(r.key())).append('\t')
                    .append(text(r.value())).append('\n')));
        System.out.print(out);
    }
}
