package farsight.device;

import farsight.config.ClientConfig;
import farsight.config.ConfigException;
import farsight.sys.ErrnoException;
import farsight.sys.Inotify;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;

/**
 * A directory of clients' configuration files, each of which is a device for as long as it is there. One file does not
 * touch the device of another, whatever is wrong with it.
 */
public final class ClientDirectory implements AutoCloseable {
    private static final Logger LOG = Logger.getLogger("farsight.device");

    private static final int EVENTS =
            Inotify.CREATED | Inotify.WRITTEN | Inotify.MOVED_IN | Inotify.MOVED_OUT | Inotify.DELETED;
    private static final Duration LONG = Duration.ofHours(1);

    /** How long the first attempts may take before they are no longer waited for. */
    private static final Duration FIRST_LIMIT = Duration.ofSeconds(60);

    private static final Duration STOP_LIMIT = Duration.ofSeconds(75);

    private final Path directory;
    private final Reader reader;
    private final Consumer<String> status;
    private final Inotify inotify;
    private final Map<String, ConfiguredDevice> devices = new ConcurrentHashMap<>();

    /** How a file is read. */
    public interface Reader {
        ClientConfig read(Path file) throws IOException;
    }

    private ClientDirectory(Path directory, Reader reader, Consumer<String> status) throws ErrnoException {
        this.directory = directory;
        this.reader = reader;
        this.status = status;
        inotify = new Inotify();
    }

    /**
     * Begins to watch a directory; nothing is attached yet.
     *
     * @param status told in one line how many devices are attached, whenever that changes
     * @throws IOException when the directory cannot be watched
     */
    public static ClientDirectory watch(Path directory, Reader reader, Consumer<String> status) throws IOException {
        ClientDirectory watched = new ClientDirectory(directory, reader, status);
        try {
            watched.inotify.watch(directory.toString(), EVENTS);
            return watched;
        } catch (IOException e) {
            watched.inotify.close();
            throw e;
        }
    }

    /** Attaches what the directory has; returns when each file was tried once. */
    public void start() throws IOException {
        lookAtAll();
        CompletableFuture<?>[] attempts =
                devices.values().stream().map(ConfiguredDevice::attempted).toArray(CompletableFuture[]::new);
        try {
            CompletableFuture.allOf(attempts).get(FIRST_LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (TimeoutException | ExecutionException e) {
            LOG.log(Level.WARNING, "{0}: not all servers have answered; going on without them", directory);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** How many devices of how many files are attached. */
    public String status() {
        long attached =
                devices.values().stream().filter(ConfiguredDevice::isAttached).count();
        return directory + ": " + attached + " of " + devices.size() + " devices attached";
    }

    private void changed() {
        devices.values().removeIf(ConfiguredDevice::isOver);
        status.accept(status());
    }

    /**
     * Follows the directory, for ever.
     *
     * @throws IOException when the directory is gone
     */
    public void run() throws IOException {
        while (true) {
            Set<String> names = new HashSet<>();
            for (Inotify.Event event : inotify.await(LONG)) {
                if (event.isEnd()) {
                    throw new IOException(directory + ": is gone; make it, and start again");
                }
                if (event.isOverflow() || isSwitch(event)) {
                    lookAtAll();
                } else if (isConfiguration(event.name()) && isComplete(event)) {
                    names.add(event.name());
                }
            }
            names.forEach(this::lookAt);
        }
    }

    /** A new file is written after it is made; a link is complete at once. */
    private boolean isComplete(Inotify.Event event) {
        if (!event.is(Inotify.CREATED)) {
            return true;
        }
        Path file = directory.resolve(event.name());
        try {
            return Files.isSymbolicLink(file)
                    || ((Integer) Files.getAttribute(file, "unix:nlink", LinkOption.NOFOLLOW_LINKS)) > 1;
        } catch (IOException e) {
            return false; // gone already, which is an event of its own
        }
    }

    /** Where the files are links into a hidden directory that is replaced as a whole, as Kubernetes does. */
    private boolean isSwitch(Inotify.Event event) {
        return event.is(Inotify.MOVED_IN)
                && event.name().startsWith(".")
                && Files.isSymbolicLink(directory.resolve(event.name()));
    }

    static boolean isConfiguration(String name) {
        return name.endsWith(".toml") && !name.startsWith(".") && !name.startsWith("tmp.");
    }

    private void lookAtAll() throws IOException {
        Set<String> names = new HashSet<>(devices.keySet());
        try (Stream<Path> files = Files.list(directory)) {
            files.map(file -> file.getFileName().toString())
                    .filter(ClientDirectory::isConfiguration)
                    .forEach(names::add);
        }
        names.forEach(this::lookAt);
    }

    private void lookAt(String name) {
        Path file = directory.resolve(name);
        if (!Files.exists(file)) {
            ConfiguredDevice gone = devices.get(name);
            if (gone != null) {
                gone.leave();
            }
            return;
        }
        try {
            ClientConfig config = reader.read(file);
            ConfiguredDevice there = devices.get(name);
            if (there == null || !there.want(config)) {
                devices.put(name, new ConfiguredDevice(file.toString(), config, this::changed));
            }
        } catch (IOException e) {
            LOG.log(Level.WARNING, "{0}{1}", new Object[] {
                problem(e), devices.containsKey(name) ? "; its device stays as it is" : ""
            });
        }
    }

    /** One line, however much is wrong. */
    private static String problem(IOException e) {
        List<String> lines = e.getMessage() == null
                ? List.of(e.toString())
                : e.getMessage().lines().toList();
        int more = lines.size() - 1;
        return lines.getFirst() + (more > 0 && e instanceof ConfigException ? "; and " + more + " more mistakes" : "");
    }

    /** Detaches the devices that nobody uses. The others are left to the kernel and to the next client. */
    @Override
    public void close() {
        Set<ConfiguredDevice> all = new HashSet<>(devices.values());
        all.forEach(ConfiguredDevice::stop);
        long deadline = System.nanoTime() + STOP_LIMIT.toNanos();
        try {
            for (ConfiguredDevice device : all) {
                device.awaitOver((deadline - System.nanoTime()) / 1_000_000);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
