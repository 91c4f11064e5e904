package farsight.benchmarks;

import farsight.protocol.Nbd;
import farsight.protocol.RequestHeader;
import farsight.protocol.SimpleReply;
import farsight.sys.CallState;
import farsight.sys.SocketAddress;
import farsight.sys.Sockets;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** The cheapest client: batches of equal requests in one send, replies received in bulk. One thread. Allocates nothing. */
final class Requester implements AutoCloseable {
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final int INPUT = 1 << 20;

    private final CallState state = CallState.forever();
    private final int fd;
    private final boolean write;
    private final int block;
    private final int depth;
    private final MemorySegment out;
    private final MemorySegment in;
    private final long blocks;
    private long random = 88172645463325252L;

    Requester(Path socket, String export, boolean write, int block, int depth) throws IOException {
        this.write = write;
        this.block = block;
        this.depth = depth;
        fd = Sockets.connect(SocketAddress.Unix.of(socket), 10_000);
        out = Arena.global().allocate((long) depth * (RequestHeader.SIZE + (write ? block : 0)), 4096);
        in = Arena.global().allocate(INPUT, 4096);
        blocks = handshake(export) / block;
    }

    /** proto.md, "Fixed newstyle negotiation": NBD_OPT_GO and nothing else. */
    private long handshake(String export) throws IOException {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        receive(18);
        in.set(INT, 0, 3);
        in.set(LONG, 4, 0x49484156454F5054L);
        in.set(INT, 12, 7);
        in.set(INT, 16, name.length + 6);
        in.set(INT, 20, name.length);
        MemorySegment.copy(name, 0, in, ValueLayout.JAVA_BYTE, 24, name.length);
        in.set(ValueLayout.JAVA_SHORT_UNALIGNED, 24 + name.length, (short) 0);
        send(in, 26 + name.length);
        long size = 0;
        while (true) {
            receive(20);
            int type = in.get(INT, 12);
            int length = in.get(INT, 16);
            if (type < 0) {
                throw new IOException("export '" + export + "' is refused");
            }
            if (length > 0) {
                receive(length);
                size = length == 12 ? in.get(LONG, 2) : size;
            }
            if (type == 1) {
                return size;
            }
        }
    }

    /** One batch of {@code depth} requests at random places, until all are answered. */
    long batch() throws IOException {
        long at = 0;
        for (int i = 0; i < depth; i++) {
            random ^= random << 13;
            random ^= random >>> 7;
            random ^= random << 17;
            long offset = Long.remainderUnsigned(random, blocks) * block;
            RequestHeader.write(out, at, 0, write ? Nbd.NBD_CMD_WRITE : Nbd.NBD_CMD_READ, i, offset, block);
            at += RequestHeader.SIZE + (write ? block : 0);
        }
        send(out, at);
        long left = (long) depth * (SimpleReply.SIZE + (write ? 0 : block));
        boolean first = true;
        while (left > 0) {
            long n = Sockets.receive(state, fd, in.address(), Math.min(left, INPUT));
            if (n <= 0) {
                throw new EOFException("the server is gone: " + n);
            }
            if (first && (SimpleReply.magic(in, 0) != Nbd.NBD_SIMPLE_REPLY_MAGIC || SimpleReply.error(in, 0) != 0)) {
                throw new IOException("not a good reply");
            }
            first = false;
            left -= n;
        }
        return left;
    }

    private void send(MemorySegment from, long length) throws IOException {
        for (long sent = 0; sent < length; ) {
            long n = Sockets.send(state, fd, from.address() + sent, length - sent);
            if (n < 0) {
                throw new IOException("send: errno " + -n);
            }
            sent += n;
        }
    }

    private void receive(long length) throws IOException {
        for (long got = 0; got < length; ) {
            long n = Sockets.receive(state, fd, in.address() + got, length - got);
            if (n <= 0) {
                throw new EOFException("the server is gone");
            }
            got += n;
        }
    }

    @Override
    public void close() {
        Sockets.close(fd);
    }
}
