package farsight.sys;

import static farsight.sys.ErrnoException.check;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.inotify_event;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** What happens to the files of directories (inotify(7)). One thread reads; it may be closed when that has ended. */
public final class Inotify implements AutoCloseable {
    /** A name is there that was not: an empty file, a link, a directory. */
    public static final int CREATED = Linux.IN_CREATE();
    /** A file that was open for writing is closed. */
    public static final int WRITTEN = Linux.IN_CLOSE_WRITE();
    /** A name came by rename(2). */
    public static final int MOVED_IN = Linux.IN_MOVED_TO();
    /** A name went by rename(2). */
    public static final int MOVED_OUT = Linux.IN_MOVED_FROM();
    /** A name went. */
    public static final int DELETED = Linux.IN_DELETE();

    /** The watched directory itself went; nothing more will come from it. */
    private static final int ENDED =
            Linux.IN_DELETE_SELF() | Linux.IN_MOVE_SELF() | Linux.IN_IGNORED() | Linux.IN_UNMOUNT();

    /** Room for many events: each has at most 255 bytes of name. */
    private static final int ROOM = 64 << 10;

    private static final Call INIT = Native.call("inotify_init1", 1);
    private static final Call ADD = Native.call("inotify_add_watch", 3);
    private static final Call READ = Native.call("read", 3);

    private final int fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(ROOM, Long.BYTES);

    /**
     * Something that happened.
     *
     * @param kinds the constants of this class, or'ed
     * @param name within the directory; empty for the directory itself
     */
    public record Event(int kinds, String name) {
        public boolean is(int kind) {
            return (kinds & kind) != 0;
        }

        /** Events were lost: anything may have happened. */
        public boolean isOverflow() {
            return is(Linux.IN_Q_OVERFLOW());
        }

        /** The directory is gone, or no longer has the name that it was watched by. */
        public boolean isEnd() {
            return is(ENDED);
        }
    }

    /** @throws ErrnoException EMFILE over the limit fs.inotify.max_user_instances */
    public Inotify() throws ErrnoException {
        try (CallState state = CallState.open()) {
            int flags = Linux.IN_CLOEXEC() | Linux.IN_NONBLOCK();
            fd = check("inotify_init1", state.check((int) INIT.invoke(state, flags)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Begins to watch a directory for some kinds of events, and always for its own end. */
    public void watch(String directory, int kinds) throws ErrnoException {
        try (Arena confined = Arena.ofConfined();
                CallState state = CallState.open()) {
            long name = confined.allocateFrom(directory).address();
            int mask = kinds | Linux.IN_DELETE_SELF() | Linux.IN_MOVE_SELF() | Linux.IN_ONLYDIR();
            int ignored = check("watch " + directory, state.check((int) ADD.invoke(state, fd, name, mask)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Waits for events; empty after the time. */
    public List<Event> await(Duration longest) throws ErrnoException {
        // Rounded up, so that what becomes due at the end of the time is due when this returns.
        int millis = (int) Math.min(Integer.MAX_VALUE, Math.ceilDiv(Math.max(0, longest.toNanos()), 1_000_000L));
        return Sockets.awaitReadable(fd, millis) ? read() : List.of();
    }

    private List<Event> read() throws ErrnoException {
        try (CallState state = CallState.open()) {
            long length = state.check(READ.invoke(state, fd, buffer.address(), (long) ROOM));
            if (length == -Sockets.EAGAIN || length == -Sockets.EINTR) {
                return List.of();
            }
            return events(check("read inotify", length));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    private List<Event> events(long length) {
        List<Event> events = new ArrayList<>();
        long header = inotify_event.layout().byteSize();
        for (long at = 0; at + header <= length; ) {
            MemorySegment event = buffer.asSlice(at);
            int room = inotify_event.len(event);
            byte[] name = event.asSlice(header, room).toArray(ValueLayout.JAVA_BYTE);
            int end = 0;
            while (end < name.length && name[end] != 0) {
                end++;
            }
            events.add(new Event(inotify_event.mask(event), new String(name, 0, end, StandardCharsets.UTF_8)));
            at += header + room;
        }
        return events;
    }

    @Override
    public void close() {
        Process.close(fd);
        arena.close();
    }
}
