// Committed: what a foreign client that reads committed sees of a topic, and whether it
// is what a replay gives. Run by tests as one file: java -cp 'JARS/*' Committed.java ...
//
//   Committed.java BOOTSTRAP TOPIC                prints PARTITION, key and value, tab-separated
//   Committed.java BOOTSTRAP TOPIC REPLAY.ndjson  compares: every value of the file is committed
//                                                 once, nothing else is, and each partition has
//                                                 its values in the file's order

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

    public static void main(String[] args) throws Exception {
        Map<Integer, List<ConsumerRecord<byte[], byte[]>>> committed = read(args[0], args[1]);
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
