import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.consumer.ConsoleConsumer;

/**
 * Runs Kafka's console consumer once for each line of stdin, which holds its arguments in hex,
 * parted by blanks. For each it writes a line: exit code, stdout and stderr, the latter two in hex.
 */
public class ConsoleConsumers {
    private static final class Left extends RuntimeException {
        final int code;

        Left(int code) {
            this.code = code;
        }
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        PrintStream errors = System.err;
        Exit.Procedure leave = (code, message) -> {
            throw new Left(code);
        };
        Exit.setExitProcedure(leave);
        Exit.setHaltProcedure(leave);
        Exit.setShutdownHookAdder((name, hook) -> { });
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null;) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            System.setOut(new PrintStream(out, true));
            System.setErr(new PrintStream(err, true));
            int code = 0;
            try {
                count(0);
                ConsoleConsumer.main(arguments(line));
            } catch (Left left) {
                code = left.code;
            } catch (Throwable thrown) {
                thrown.printStackTrace();
                code = 1;
            }
            System.out.flush();
            System.err.flush();
            System.setOut(answers);
            System.setErr(errors);
            HexFormat hex = HexFormat.of();
            answers.println(code + " " + hex.formatHex(out.toByteArray()) + " "
                + hex.formatHex(err.toByteArray()));
            answers.flush();
        }
    }

    private static String[] arguments(String line) {
        String[] words = line.split(" ");
        for (int at = 0; at < words.length; at++) {
            words[at] = new String(HexFormat.of().parseHex(words[at]), StandardCharsets.UTF_8);
        }
        return words;
    }

    /** The console consumer counts in a static field, from one call to the next. */
    private static void count(int messages) throws Exception {
        Field field = ConsoleConsumer.class.getDeclaredField("messageCount");
        field.setAccessible(true);
        field.setInt(null, messages);
    }
}
