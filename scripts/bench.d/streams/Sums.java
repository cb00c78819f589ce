import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/**
 * Counts and sums rows `ms,key,value`, whose key is that of their record, in windows of 10 s, as
 * Kafka Streams does it exactly once: rows `from,until,key,count,sum`, written again as they grow.
 *
 *     java -cp ... Sums BROKERS APPLICATION FROM TO
 *
 * Ends when the offsets of all that was in FROM at the start are committed, and at once: what is
 * measured is the time until then. State is kept in memory, which is the fastest store there is.
 */
public final class Sums {
    private static final long WINDOW_MS = 10_000;

    private Sums() {}

    /** What is known of a window of a key. */
    private record Sum(long count, long sum) {
        Sum plus(long value) {
            return new Sum(count + 1, sum + value);
        }
    }

    public static void main(String[] args) throws Exception {
        var settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[1]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 500);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir"));
        var failure = new AtomicReference<Throwable>();
        try (var admin = Admin.create(Map.of("bootstrap.servers", args[0]));
                var streams = new KafkaStreams(topology(args[2], args[3]), settings)) {
            streams.setUncaughtExceptionHandler(error -> {
                failure.set(error);
                return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse
                        .SHUTDOWN_CLIENT;
            });
            var ends = ends(admin, args[2]);
            streams.start();
            while (!isCommitted(admin, args[1], ends)) {
                if (failure.get() != null) {
                    failure.get().printStackTrace();
                    Runtime.getRuntime().halt(1);
                }
                Thread.sleep(20);
            }
            Runtime.getRuntime().halt(0);
        }
    }

    private static Topology topology(String from, String to) {
        var builder = new StreamsBuilder();
        var consumed = Consumed.with(Serdes.String(), Serdes.String())
                .withTimestampExtractor((record, time) -> {
                    var row = (String) record.value();
                    return Long.parseLong(row, 0, row.indexOf(','), 10);
                });
        var kept = Duration.ofMillis(2 * WINDOW_MS);
        var window = Duration.ofMillis(WINDOW_MS);
        var stored = Materialized
                .<String, Sum>as(Stores.inMemoryWindowStore("sums", kept, window, false))
                .withKeySerde(Serdes.String())
                .withValueSerde(sums());
        builder.stream(from, consumed)
                .mapValues(row -> Long.parseLong(row, row.lastIndexOf(',') + 1, row.length(), 10))
                .groupByKey(Grouped.with(Serdes.String(), Serdes.Long()))
                .windowedBy(TimeWindows.ofSizeWithNoGrace(window))
                .aggregate(() -> new Sum(0, 0), (key, value, sum) -> sum.plus(value), stored)
                .toStream()
                .map((key, sum) -> KeyValue.pair(key.key(), String.join(",",
                        Long.toString(key.window().start()), Long.toString(key.window().end()),
                        key.key(), Long.toString(sum.count()), Long.toString(sum.sum()))))
                .to(to, Produced.with(Serdes.String(), Serdes.String()));
        return builder.build();
    }

    private static Serde<Sum> sums() {
        return Serdes.serdeFrom(
                (topic, sum) -> sum == null ? null : ByteBuffer.allocate(16)
                        .putLong(sum.count()).putLong(sum.sum()).array(),
                (topic, bytes) -> {
                    if (bytes == null) {
                        return null;
                    }
                    var buffer = ByteBuffer.wrap(bytes);
                    return new Sum(buffer.getLong(), buffer.getLong());
                });
    }

    /** Where the partitions of a topic end. */
    private static Map<TopicPartition, ListOffsetsResultInfo> ends(Admin admin, String topic)
            throws Exception {
        var partitions = admin.describeTopics(List.of(topic)).allTopicNames().get()
                .get(topic).partitions();
        return admin.listOffsets(partitions.stream()
                .map(one -> new TopicPartition(topic, one.partition()))
                .collect(Collectors.toMap(one -> one, one -> OffsetSpec.latest()))).all().get();
    }

    private static boolean isCommitted(
            Admin admin, String group, Map<TopicPartition, ListOffsetsResultInfo> ends)
            throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets;
        try {
            offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        } catch (ExecutionException error) {
            return false; // there is no such group yet
        }
        return ends.entrySet().stream().allMatch(end -> {
            var offset = offsets.get(end.getKey());
            return offset != null && offset.offset() >= end.getValue().offset();
        });
    }
}
