package farsight.server;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.concurrent.locks.LockSupport;

/**
 * Connections from another address of loopback, spread over a time: some that say nothing, and some that say what no
 * client does. At most as many are open as a process may well have.
 */
final class Flood implements AutoCloseable {
    private static final int MOST_OPEN = 400;

    private final InetSocketAddress target;
    private final int silent;
    private final int hostile;
    private final long nanos;
    private final ArrayDeque<SocketChannel> open = new ArrayDeque<>();
    private final Thread thread;
    private volatile Throwable failure;

    Flood(InetSocketAddress target, int silent, int hostile, long nanos) {
        this.target = target;
        this.silent = silent;
        this.hostile = hostile;
        this.nanos = nanos;
        thread = Thread.ofPlatform().name("flood").start(this::run);
    }

    private void run() {
        long began = System.nanoTime();
        int all = silent + hostile;
        try {
            for (int i = 0; i < all; i++) {
                long due = began + nanos * i / all;
                while (System.nanoTime() < due) {
                    LockSupport.parkNanos(due - System.nanoTime());
                }
                // Evenly spread, every kind in turn.
                boolean speaks = (long) (i + 1) * hostile / all > (long) i * hostile / all;
                connect(speaks ? i : -1);
            }
        } catch (IOException | RuntimeException e) {
            failure = e;
        }
    }

    private void connect(int kind) throws IOException {
        SocketChannel channel = SocketChannel.open();
        open.add(channel);
        channel.bind(new InetSocketAddress("127.0.0.2", 0));
        channel.connect(target);
        if (kind >= 0) {
            try {
                channel.write(nonsense(kind));
            } catch (IOException e) {
                // It was refused, which is as it should be.
            }
        }
        if (open.size() > MOST_OPEN) {
            open.remove().close();
        }
    }

    private static ByteBuffer nonsense(int kind) {
        ByteBuffer bytes = ByteBuffer.allocate(4096).putInt(3);
        switch (kind % 4) {
            case 0 -> bytes.putLong(0x1234_5678_9abc_def0L);
            case 1 -> bytes.putLong(0x49484156454f5054L).putInt(7).putInt(-1).put(new byte[1000]);
            case 2 ->
                bytes.putLong(0x49484156454f5054L).putInt(3).putInt(30_000).put(new byte[500]);
            default -> {
                byte[] name = "disk".getBytes();
                bytes.putLong(0x49484156454f5054L).putInt(1).putInt(name.length).put(name);
                // And then requests that are none.
                bytes.put(new byte[1000]);
            }
        }
        return bytes.flip();
    }

    /** Waits until all have come. */
    void await() throws InterruptedException {
        thread.join();
        if (failure != null) {
            throw new AssertionError("the flood ran dry", failure);
        }
    }

    @Override
    public void close() throws IOException {
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        for (SocketChannel channel : open) {
            channel.close();
        }
    }
}
