import com.sun.management.HotSpotDiagnosticMXBean;
import com.sun.management.ThreadMXBean;
import farsight.client.NbdClient;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadInfo;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Runs the packaged server in this process, loads one export after another with reads and writes, and counts what the
 * server's threads allocate: java --module-path target/farsight/lib --add-modules farsight
 * --add-exports farsight/farsight.cli=ALL-UNNAMED Garbage.java SERVER.TOML SOCKET BYTES_PER_OPERATION SECONDS EXPORT...
 *
 * <p>The compiler needs a while until it has seen all of the path: until then each call that captures errno makes a view
 * of where it is captured. So rounds are run until three in a row are clean, or the seconds are over, which is status 1.
 */
public final class Garbage {
    private static final int BLOCK = 4096;
    private static final int BLOCKS = 1024;
    private static final int DEPTH = 32;
    private static final long ROUND_NANOS = 400_000_000;
    private static final int CLEAN_ROUNDS = 3;

    /** Its bytes are the same from both ends, so that it looks alike in every array that may hold it. */
    private static final long PATTERN = 0x5AC33C96963CC35AL;

    private static final int LEAST_FOUND = 256;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private Garbage() {}

    public static void main(String[] arguments) throws Exception {
        String configuration = arguments[0];
        String socket = arguments[1];
        double most = Double.parseDouble(arguments[2]);
        int seconds = Integer.parseInt(arguments[3]);
        start(configuration, Path.of(socket));
        boolean clean = true;
        for (String export : List.of(arguments).subList(4, arguments.length)) {
            clean &= measure(export, "nbd+unix:///" + export + "?socket=" + socket, most, seconds);
        }
        Runtime.getRuntime().halt(clean ? 0 : 1);
    }

    private static void start(String configuration, Path socket) throws InterruptedException {
        Thread server = new Thread(() -> farsight.cli.Main.main(new String[] {"server", configuration}), "command");
        server.setDaemon(true);
        server.start();
        while (!Files.exists(socket)) {
            if (!server.isAlive()) {
                throw new AssertionError("the server ended");
            }
            Thread.onSpinWait();
        }
    }

    private static boolean measure(String export, String uri, double most, int seconds) throws IOException {
        List<String> rounds = new ArrayList<>();
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        int clean = 0;
        Map<String, Long> growth = Map.of();
        boolean heap;
        try (NbdClient client = NbdClient.connect(uri);
                Arena arena = Arena.ofShared()) {
            MemorySegment memory = arena.allocate((long) DEPTH * BLOCK, BLOCK);
            fill(memory);
            do {
                Map<String, Long> before = allocated();
                long operations = load(client, memory);
                growth = grown(before, allocated());
                double each =
                        growth.values().stream().mapToLong(Long::longValue).sum() / (double) operations;
                rounds.add(String.format("%.2f", each));
                clean = each < most ? clean + 1 : 0;
            } while (clean < CLEAN_ROUNDS && System.nanoTime() < end);
            heap = payloadOnHeap();
        }
        System.out.println(export + ": bytes per operation, round by round: " + String.join(" ", rounds));
        System.out.println(export + ": payload in a dump of the heap: " + (heap ? "yes" : "no"));
        if (clean < CLEAN_ROUNDS) {
            System.out.println(export + ": last round, bytes by thread: " + growth);
        }
        return clean >= CLEAN_ROUNDS && !heap;
    }

    private static void fill(MemorySegment memory) {
        for (long at = 0; at < memory.byteSize(); at += Long.BYTES) {
            memory.set(ValueLayout.JAVA_LONG_UNALIGNED, at, PATTERN);
        }
    }

    /** Reads and writes in turn, always as many in flight; how many there were. */
    private static long load(NbdClient client, MemorySegment memory) {
        long end = System.nanoTime() + ROUND_NANOS;
        List<CompletableFuture<Void>> slots = new ArrayList<>();
        int i = 0;
        while (i % DEPTH != 0 || i == 0 || System.nanoTime() < end) {
            int slot = i % DEPTH;
            MemorySegment block = memory.asSlice((long) slot * BLOCK, BLOCK);
            if (i >= DEPTH) {
                slots.get(slot).join();
            }
            long offset = i * 31L % BLOCKS * BLOCK;
            CompletableFuture<Void> next =
                    i < DEPTH || i % 2 == 0 ? client.writeAsync(block, offset, false) : client.readAsync(block, offset);
            if (i < DEPTH) {
                slots.add(next);
            } else {
                slots.set(slot, next);
            }
            i++;
        }
        slots.forEach(CompletableFuture::join);
        return i;
    }

    // ---- what was allocated --------------------------------------------------------------------------------------

    /** By thread; all threads but those of the load and of this count. */
    private static Map<String, Long> allocated() {
        long[] threads = Arrays.stream(THREADS.getThreadInfo(THREADS.getAllThreadIds()))
                .filter(thread -> thread != null && isServers(thread.getThreadName()))
                .mapToLong(ThreadInfo::getThreadId)
                .toArray();
        long[] bytes = THREADS.getThreadAllocatedBytes(threads);
        Map<String, Long> all = new HashMap<>();
        for (int i = 0; i < threads.length; i++) {
            ThreadInfo thread = THREADS.getThreadInfo(threads[i]);
            if (thread != null && bytes[i] >= 0) {
                all.put(thread.getThreadName() + "#" + threads[i], bytes[i]);
            }
        }
        if (all.keySet().stream().noneMatch(name -> name.startsWith("loop-"))) {
            throw new AssertionError("no loop among " + all.keySet());
        }
        return all;
    }

    private static boolean isServers(String name) {
        return !name.equals("main") && !name.startsWith("nbd-replies");
    }

    private static Map<String, Long> grown(Map<String, Long> before, Map<String, Long> after) {
        Map<String, Long> grown = new HashMap<>();
        after.forEach((name, bytes) -> grown.put(name, bytes - before.getOrDefault(name, 0L)));
        grown.values().removeIf(bytes -> bytes == 0);
        return grown;
    }

    // ---- what is on the heap -------------------------------------------------------------------------------------

    /** Looks for payload in a dump of all objects, dead ones included; it first proves that it would be found. */
    private static boolean payloadOnHeap() throws IOException {
        boolean found = inDump();
        byte[] planted = new byte[BLOCK];
        fill(MemorySegment.ofArray(planted));
        if (!inDump()) {
            throw new AssertionError("payload that is on the heap is not found there");
        }
        // Not to be found next time.
        Arrays.fill(planted, (byte) 0);
        return found;
    }

    private static boolean inDump() throws IOException {
        Path folder = Files.createTempDirectory("garbage");
        Path dump = folder.resolve("heap.hprof");
        try {
            ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class).dumpHeap(dump.toString(), false);
            return contains(dump);
        } finally {
            Files.deleteIfExists(dump);
            Files.delete(folder);
        }
    }

    /** Whether the pattern is there, several times in a row, wherever it begins. */
    private static boolean contains(Path dump) throws IOException {
        try (FileChannel file = FileChannel.open(dump);
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = file.map(FileChannel.MapMode.READ_ONLY, 0, file.size(), arena);
            long run = 0;
            for (long at = 0; at + Long.BYTES <= bytes.byteSize(); at++) {
                while (at + Long.BYTES <= bytes.byteSize()
                        && bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, at) == PATTERN) {
                    at += Long.BYTES;
                    run += Long.BYTES;
                    if (run == LEAST_FOUND) {
                        return true;
                    }
                }
                run = 0;
            }
            return false;
        }
    }
}
