package farsight.client;

import farsight.protocol.Nbd;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** A server that says what a test wants it to say, to one client after the other. */
final class ScriptedServer implements AutoCloseable {
    private final ServerSocketChannel listener;
    private final Path socket;
    private final Thread thread;
    private volatile SocketChannel client;

    /** What is said to a client. It ends with the connection closed. */
    interface Script {
        void play(Talk talk) throws IOException;
    }

    ScriptedServer(Path socket, Script script) throws IOException {
        this.socket = socket;
        listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(socket));
        thread = Thread.ofPlatform().daemon(true).start(() -> serve(script));
    }

    private void serve(Script script) {
        while (listener.isOpen()) {
            try (SocketChannel accepted = listener.accept()) {
                client = accepted;
                Talk talk = new Talk(accepted);
                script.play(talk);
                talk.out.flush();
            } catch (IOException e) {
                // The client went away, which is what these tests are about.
            }
        }
    }

    String uri() {
        return "nbd+unix:///disk?socket=" + socket;
    }

    @Override
    public void close() throws IOException {
        listener.close();
        SocketChannel last = client;
        if (last != null) {
            last.close();
        }
        try {
            thread.join(20_000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Some bytes. */
    interface Message {
        void write(DataOutputStream out) throws IOException;
    }

    static byte[] bytes(Message message) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        message.write(new DataOutputStream(bytes));
        return bytes.toByteArray();
    }

    /** A request as it came. */
    record Asked(int flags, int type, long cookie, long offset, long length) {}

    /** One conversation. */
    static final class Talk {
        final DataInputStream in;
        final DataOutputStream out;
        long size = 1 << 20;
        int flags = 0xded; // everything but read-only and rotational
        boolean structured;
        boolean extended;

        Talk(SocketChannel channel) {
            in = new DataInputStream(Channels.newInputStream(channel));
            out = new DataOutputStream(new BufferedOutputStream(Channels.newOutputStream(channel)));
        }

        void greet() throws IOException {
            out.writeLong(Nbd.NBD_MAGIC);
            out.writeLong(Nbd.IHAVEOPT);
            out.writeShort(3);
            out.flush();
            in.readInt();
        }

        /** The next option; its data is passed over. */
        int option() throws IOException {
            in.readLong();
            int option = in.readInt();
            in.skipNBytes(in.readInt());
            return option;
        }

        void reply(int option, int type, byte[] data) throws IOException {
            out.writeLong(Nbd.NBD_REP_MAGIC);
            out.writeInt(option);
            out.writeInt(type);
            out.writeInt(data.length);
            out.write(data);
            out.flush();
        }

        void ack(int option) throws IOException {
            reply(option, Nbd.NBD_REP_ACK, new byte[0]);
        }

        /** Answers options until one comes that is {@code last}, which is left to the script. */
        void until(int last) throws IOException {
            greet();
            for (int option = option(); option != last; option = option()) {
                switch (option) {
                    case Nbd.NBD_OPT_EXTENDED_HEADERS -> offer(option, extended);
                    case Nbd.NBD_OPT_STRUCTURED_REPLY -> offer(option, structured);
                    case Nbd.NBD_OPT_SET_META_CONTEXT -> {
                        reply(option, Nbd.NBD_REP_META_CONTEXT, context(7, "base:allocation"));
                        ack(option);
                    }
                    default -> reply(option, Nbd.NBD_REP_ERR_UNSUP, new byte[0]);
                }
            }
        }

        private void offer(int option, boolean has) throws IOException {
            reply(option, has ? Nbd.NBD_REP_ACK : Nbd.NBD_REP_ERR_UNSUP, new byte[0]);
        }

        static byte[] context(int id, String name) throws IOException {
            return bytes(o -> {
                o.writeInt(id);
                o.write(name.getBytes(StandardCharsets.UTF_8));
            });
        }

        byte[] export() throws IOException {
            return bytes(o -> {
                o.writeShort(Nbd.NBD_INFO_EXPORT);
                o.writeLong(size);
                o.writeShort(flags);
            });
        }

        /** The whole handshake. */
        void open() throws IOException {
            until(Nbd.NBD_OPT_GO);
            reply(Nbd.NBD_OPT_GO, Nbd.NBD_REP_INFO, export());
            ack(Nbd.NBD_OPT_GO);
        }

        Asked request() throws IOException {
            in.readInt();
            int requestFlags = in.readUnsignedShort();
            int type = in.readUnsignedShort();
            long cookie = in.readLong();
            long offset = in.readLong();
            long length = extended ? in.readLong() : Integer.toUnsignedLong(in.readInt());
            return new Asked(requestFlags, type, cookie, offset, length);
        }

        void simple(long cookie, int error) throws IOException {
            out.writeInt(Nbd.NBD_SIMPLE_REPLY_MAGIC);
            out.writeInt(error);
            out.writeLong(cookie);
            out.flush();
        }

        /** A chunk whose length is what {@code length} says, not what it is. */
        void chunk(Asked asked, int chunkFlags, int type, long length, Message payload) throws IOException {
            out.writeInt(extended ? Nbd.NBD_EXTENDED_REPLY_MAGIC : Nbd.NBD_STRUCTURED_REPLY_MAGIC);
            out.writeShort(chunkFlags);
            out.writeShort(type);
            out.writeLong(asked.cookie());
            if (extended) {
                out.writeLong(asked.offset());
                out.writeLong(length);
            } else {
                out.writeInt((int) length);
            }
            payload.write(out);
            out.flush();
        }

        void chunk(Asked asked, int chunkFlags, int type, Message payload) throws IOException {
            chunk(asked, chunkFlags, type, bytes(payload).length, payload);
        }

        void data(Asked asked, int chunkFlags, long offset, int length) throws IOException {
            chunk(asked, chunkFlags, Nbd.NBD_REPLY_TYPE_OFFSET_DATA, o -> {
                o.writeLong(offset);
                o.write(new byte[length]);
            });
        }

        void hole(Asked asked, int chunkFlags, long offset, int length) throws IOException {
            chunk(asked, chunkFlags, Nbd.NBD_REPLY_TYPE_OFFSET_HOLE, o -> {
                o.writeLong(offset);
                o.writeInt(length);
            });
        }
    }
}
