package farsight.sys;

import static farsight.sys.ErrnoException.check;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.sockaddr_un;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/**
 * What the service manager is told, as datagrams to its socket (sd_notify(3)). Where no service manager has asked for
 * it, nothing is sent. Any thread.
 */
public final class Notification {
    private static final Call SOCKET = Native.call("socket", 3);
    private static final Call CONNECT = Native.call("connect", 3);

    private static final int LONGEST_PATH = 107;

    /** The struct sockaddr_un, as long as it is used; null when nobody listens. */
    private final byte[] path;

    private final Duration watchdog;

    private Notification(byte[] path, Duration watchdog) {
        this.path = path;
        this.watchdog = watchdog;
    }

    /**
     * What NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID ask for.
     *
     * @throws IOException one line, when they ask for what does not exist
     */
    public static Notification of(Map<String, String> environment) throws IOException {
        String socket = environment.getOrDefault("NOTIFY_SOCKET", "");
        if (socket.isEmpty()) {
            return new Notification(null, null);
        }
        byte[] path = socket.getBytes(StandardCharsets.UTF_8);
        if ((path[0] != '/' && path[0] != '@') || path.length > LONGEST_PATH) {
            throw new IOException("NOTIFY_SOCKET is '" + socket + "', which is neither a path nor an abstract socket"
                    + " (@NAME) of at most " + LONGEST_PATH + " bytes; the service manager is told nothing");
        }
        if (path[0] == '@') {
            path[0] = 0; // unix(7): the name space without files
        }
        return new Notification(path, watchdog(environment));
    }

    private static Duration watchdog(Map<String, String> environment) {
        String micros = environment.get("WATCHDOG_USEC");
        String process = environment.get("WATCHDOG_PID");
        if (micros == null || !micros.matches("[1-9]\\d{0,15}")) {
            return null;
        }
        // Inherited from another process's environment it is not meant for this one.
        if (process != null
                && !process.equals(Long.toString(ProcessHandle.current().pid()))) {
            return null;
        }
        return Duration.ofNanos(Long.parseLong(micros) * 1000);
    }

    /** Whether a service manager listens. */
    public boolean isWanted() {
        return path != null;
    }

    /** After which silence the service manager takes this process for hung; empty when it does not watch. */
    public Optional<Duration> watchdog() {
        return Optional.ofNullable(watchdog);
    }

    /** Start-up is over: what depends on this service may start. With a line for people. */
    public void ready(String status) throws ErrnoException {
        send("READY=1\nSTATUS=" + oneLine(status));
    }

    /** The configuration is read anew; {@link #ready} ends this. */
    public void reloading() throws ErrnoException {
        // Type=notify-reload compares it with CLOCK_MONOTONIC, which is what nanoTime reads on Linux.
        send("RELOADING=1\nMONOTONIC_USEC=" + System.nanoTime() / 1000);
    }

    /** The service is about to end. */
    public void stopping() throws ErrnoException {
        send("STOPPING=1");
    }

    /** One line for people, shown by {@code systemctl status}. */
    public void status(String status) throws ErrnoException {
        send("STATUS=" + oneLine(status));
    }

    /** A sign of life, for {@link #watchdog}. */
    public void alive() throws ErrnoException {
        send("WATCHDOG=1");
    }

    /** A line break would begin another assignment. */
    private static String oneLine(String text) {
        return text.replaceAll("\\p{Cntrl}", " ");
    }

    private void send(String message) throws ErrnoException {
        if (path == null) {
            return;
        }
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            int type = Linux.SOCK_DGRAM() | Linux.SOCK_CLOEXEC();
            int family = Linux.AF_UNIX();
            int fd = check("socket", state.check((int) SOCKET.invoke(state, family, type, 0)));
            try {
                MemorySegment address = arena.allocate(sockaddr_un.layout());
                sockaddr_un.sun_family(address, (short) Linux.AF_UNIX());
                long at = sockaddr_un.sun_path$offset();
                MemorySegment.copy(path, 0, address, ValueLayout.JAVA_BYTE, at, path.length);
                // The length of an abstract name is a part of it; one with a path may have a NUL at its end.
                int length = (int) at + path.length + (path[0] == 0 ? 0 : 1);
                check("notify the service manager", state.check((int)
                        CONNECT.invoke(state, fd, address.address(), length)));
                byte[] bytes = message.getBytes(StandardCharsets.UTF_8);
                MemorySegment text = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
                check("notify the service manager", Sockets.send(state, fd, text.address(), bytes.length));
            } finally {
                Process.close(fd);
            }
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }
}
