package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.ExtentSink;
import farsight.backend.Request;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** A range of what is below, by its place or by its number in a table of partitions. */
final class PartitionLayer extends PassThrough {
    static final List<Setting> SETTINGS = List.of(
            Setting.optional("offset", Setting.Type.SIZE, "where it begins"),
            Setting.optional("size", Setting.Type.SIZE, "how large it is; to the end unless told"),
            Setting.optional("number", Setting.Type.INTEGER, "which partition of an MBR or GPT it is, instead"));

    private final long start;
    private final long size;

    /** Under its own lock: those that wait to be used again. */
    private Moved free;

    private PartitionLayer(AsyncBlockDevice below, long start, long size) {
        super(below);
        this.start = start;
        this.size = size;
    }

    static Device over(AsyncBlockDevice below, Settings settings) throws IOException {
        if (settings.number("number").isPresent()) {
            if (settings.has("offset") || settings.has("size")) {
                throw wrong("number says where it is; leave offset and size out");
            }
            Synchronous disk = new Synchronous(below);
            try {
                PartitionTable.Range range =
                        PartitionTable.find(disk, settings.number("number").getAsLong());
                return inside(below, range.offset(), range.size());
            } finally {
                disk.release();
            }
        }
        long offset = settings.number("offset").orElse(0);
        return inside(below, offset, settings.number("size").orElse(below.size() - offset));
    }

    private static Device inside(AsyncBlockDevice below, long offset, long size) throws IOException {
        if (offset < 0 || size < 0 || offset > below.size() || size > below.size() - offset) {
            throw wrong(size + " bytes at " + offset + " are not within the " + below.size() + " below");
        }
        return new PartitionLayer(below, offset, size);
    }

    static DeviceException wrong(String why) {
        return new DeviceException(Errno.EINVAL, "layer partition: " + why);
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public void submit(Request request) {
        if (request.command() == Request.Command.FLUSH) {
            below.submit(request);
            return;
        }
        Moved moved = take();
        moved.request = request;
        try {
            below.submit(moved);
        } catch (RuntimeException e) {
            moved.fail(Errno.EIO);
        }
    }

    private synchronized Moved take() {
        Moved moved = free;
        if (moved == null) {
            return new Moved();
        }
        free = moved.next;
        moved.tag = 0;
        return moved;
    }

    private synchronized Request give(Moved moved) {
        Request request = moved.request;
        moved.request = null;
        moved.next = free;
        free = moved;
        return request;
    }

    /** A request at its place below. */
    private final class Moved implements Request {
        private Request request;
        private Moved next;
        private long tag;

        @Override
        public Command command() {
            return request.command();
        }

        @Override
        public long offset() {
            return start + request.offset();
        }

        @Override
        public long length() {
            return request.length();
        }

        @Override
        public boolean fua() {
            return request.fua();
        }

        @Override
        public boolean mayTrim() {
            return request.mayTrim();
        }

        @Override
        public boolean fastZero() {
            return request.fastZero();
        }

        @Override
        public MemorySegment buffer() {
            return request.buffer();
        }

        @Override
        public long address() {
            return request.address();
        }

        @Override
        public ExtentSink extents() {
            return request.extents();
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
            give(this).complete();
        }

        @Override
        public void fail(int errno) {
            give(this).fail(errno);
        }
    }
}
