package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.ExtentSink;
import farsight.backend.Request;
import farsight.backend.Request.Command;
import farsight.sys.ErrnoException;
import farsight.sys.Native;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CountDownLatch;

/**
 * Storage by calls that wait, for layers that need more than one step for a request. Any thread that may block. What has
 * its completions reaped is given a thread for that ({@link Reaper}), which is then its home.
 */
final class Synchronous implements AutoCloseable {
    private final AsyncBlockDevice device;

    /** Null for devices that complete by themselves. */
    private final Reaper reaper;

    Synchronous(AsyncBlockDevice device) throws IOException {
        this.device = device;
        reaper = device.completionDescriptor() < 0 ? null : new Reaper(device);
    }

    AsyncBlockDevice device() {
        return device;
    }

    long size() {
        return device.size();
    }

    void read(MemorySegment target, long offset) throws IOException {
        pieces(Command.READ, target, offset);
    }

    void write(MemorySegment source, long offset) throws IOException {
        pieces(Command.WRITE, source, offset);
    }

    private void pieces(Command command, MemorySegment memory, long offset) throws IOException {
        long most = device.blockSizes().maximum();
        // Other threads work on it while this one waits, and what it belongs to may allow only this one.
        MemorySegment open = Native.view(memory.address(), memory.byteSize());
        for (long at = 0; at < memory.byteSize(); at += most) {
            long length = Math.min(most, memory.byteSize() - at);
            call(new Call(command, offset + at, length, open.asSlice(at, length), null, false));
        }
    }

    void flush() throws IOException {
        call(new Call(Command.FLUSH, 0, 0, null, null, false));
    }

    void trim(long offset, long length) throws IOException {
        call(new Call(Command.TRIM, offset, length, null, null, false));
    }

    void zero(long offset, long length, boolean mayTrim) throws IOException {
        call(new Call(Command.WRITE_ZEROES, offset, length, null, null, mayTrim));
    }

    void cache(long offset, long length) throws IOException {
        call(new Call(Command.CACHE, offset, length, null, null, false));
    }

    void extents(long offset, long length, ExtentSink sink) throws IOException {
        call(new Call(Command.EXTENTS, offset, length, null, sink, false));
    }

    private void call(Call call) throws IOException {
        if (reaper != null) {
            reaper.submit(call);
        } else {
            device.submit(call);
            device.submitted();
        }
        int errno = call.await();
        if (errno != 0) {
            throw new DeviceException(
                    errno,
                    Commands.name(call.command) + " at " + call.offset + " of what is below: "
                            + ErrnoException.describe(errno));
        }
    }

    /** Ends its thread and leaves the device open. */
    void release() {
        if (reaper != null) {
            reaper.close();
        }
    }

    @Override
    public void close() throws IOException {
        release();
        device.close();
    }

    /** One request that somebody waits for. */
    static final class Call implements Request {
        private final Command command;
        private final long offset;
        private final long length;
        private final MemorySegment buffer;
        private final ExtentSink sink;
        private final boolean mayTrim;
        private final CountDownLatch done = new CountDownLatch(1);
        private volatile int errno;
        private long tag;

        Call(Command command, long offset, long length, MemorySegment buffer, ExtentSink sink, boolean mayTrim) {
            this.command = command;
            this.offset = offset;
            this.length = length;
            this.buffer = buffer;
            this.sink = sink;
            this.mayTrim = mayTrim;
        }

        /** Memory is the device's until it is done, so nothing may end this wait earlier. */
        private int await() {
            boolean interrupted = false;
            while (true) {
                try {
                    done.await();
                    break;
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
            return errno;
        }

        @Override
        public Command command() {
            return command;
        }

        @Override
        public long offset() {
            return offset;
        }

        @Override
        public long length() {
            return length;
        }

        @Override
        public boolean fua() {
            return false;
        }

        @Override
        public boolean mayTrim() {
            return mayTrim;
        }

        @Override
        public boolean fastZero() {
            return false;
        }

        @Override
        public MemorySegment buffer() {
            return buffer;
        }

        @Override
        public long address() {
            return buffer == null ? 0 : buffer.address();
        }

        @Override
        public ExtentSink extents() {
            return sink;
        }

        @Override
        public void tag(long value) {
            tag = value;
        }

        @Override
        public long tag() {
            return tag;
        }

        @Override
        public void complete() {
            done.countDown();
        }

        @Override
        public void fail(int number) {
            errno = number == 0 ? Errno.EIO : number;
            done.countDown();
        }
    }
}
