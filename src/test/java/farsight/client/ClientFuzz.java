package farsight.client;

import farsight.protocol.Nbd;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.QuickCalls;
import farsight.sys.Sockets;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * What a fuzzer calls: all that a server says in one connection, to a client that must end in an {@link NbdException} of
 * one line or in what it asked for, without a byte outside of that. The first byte chooses what the client wants; see
 * {@link Wish}. {@code GuidedFuzzTest} lets Jazzer guide it by coverage; {@link ClientFuzzTest} mutates
 * the same corpus by chance.
 */
public final class ClientFuzz {
    /** Fits into a socket's buffer, so that one thread can play both ends. */
    static final int LONGEST = 8 << 10;

    private static final int GUARD = 4096;
    private static final byte CANARY = 0x5c;

    /** What the client wants of the server, in the order of the first byte. */
    enum Wish {
        OPEN_SIMPLE,
        OPEN_STRUCTURED,
        OPEN_EXTENDED,
        LIST,
        INFORM,
        DESCRIBE
    }

    private ClientFuzz() {}

    /** One server. */
    public static void fuzzerTestOneInput(byte[] input) throws IOException {
        if (input.length == 0 || input.length > LONGEST) {
            return;
        }
        try {
            outcome(input);
        } catch (RuntimeException | Error e) {
            throw new AssertionError(e + "; the server said " + HexFormat.of().formatHex(input), e);
        }
    }

    /** What became of it, in words. */
    static String outcome(byte[] input) throws IOException {
        Wish wish = Wish.values()[Byte.toUnsignedInt(input[0]) % Wish.values().length];
        int[] pair = Sockets.pair();
        try (DescriptorSocket socket = DescriptorSocket.of(pair[0], Integer.MAX_VALUE)) {
            say(pair[1], input);
            return switch (wish) {
                case OPEN_SIMPLE -> transmit(socket, options(false, false));
                case OPEN_STRUCTURED -> transmit(socket, options(true, false));
                case OPEN_EXTENDED -> transmit(socket, options(true, true));
                case LIST -> ClientHandshake.list(socket).toString();
                case INFORM -> ClientHandshake.inform(socket, "disk").toString();
                case DESCRIBE -> ClientHandshake.describe(socket, "disk").toString();
            };
        } catch (NbdException e) {
            check(e);
            return e.getMessage();
        } finally {
            Sockets.close(pair[1]);
        }
    }

    private static void say(int fd, byte[] input) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment bytes = arena.allocateFrom(ValueLayout.JAVA_BYTE, Arrays.copyOfRange(input, 1, input.length));
            if (bytes.byteSize() > 0
                    && Sockets.send(state, fd, bytes.address(), bytes.byteSize()) != bytes.byteSize()) {
                throw new AssertionError("the socket does not take " + bytes.byteSize() + " bytes");
            }
            QuickCalls.endSending(fd);
        }
    }

    private static ClientOptions options(boolean structured, boolean extended) {
        return ClientOptions.DEFAULT
                .withStructured(structured)
                .withExtended(extended)
                .withContexts(List.of(ClientOptions.ALLOCATION, "x:y"));
    }

    private static void check(NbdException e) {
        if (e.getMessage().chars().anyMatch(Character::isISOControl)) {
            throw new AssertionError("not one line: " + e.getMessage());
        }
    }

    private static String transmit(ClientSocket socket, ClientOptions options) throws NbdException {
        Negotiated negotiated = ClientHandshake.open(socket, "disk", options);
        try (Requested requested = new Requested(negotiated);
                ReplyReader reader = new ReplyReader(
                        socket, negotiated.structured(), negotiated.extended(), negotiated.contexts(), requested)) {
            try {
                while (true) {
                    reader.next();
                }
            } catch (NbdException e) {
                check(e);
                return requested.results.append(e.getMessage()).toString();
            } finally {
                requested.guard();
            }
        }
    }

    /** Requests of every kind, whose cookies are 1 to 8. */
    private static final class Requested implements ReplyReader.Waiting, AutoCloseable {
        final StringBuilder results = new StringBuilder();
        private final Arena arena = Arena.ofConfined();
        private final MemorySegment guarded = arena.allocate(3 * GUARD).fill(CANARY);
        private final List<ClientRequest> open = new ArrayList<>();

        Requested(Negotiated negotiated) {
            add(new Ordinary(Nbd.NBD_CMD_READ, 0, 8192, GUARD, guarded.asSlice(GUARD, GUARD)));
            add(new Ordinary(Nbd.NBD_CMD_READ, 0, 1 << 20, 3000, null));
            add(new Ordinary(Nbd.NBD_CMD_READ, Nbd.NBD_CMD_FLAG_DF, 4096, 1000, null));
            add(new Ordinary(Nbd.NBD_CMD_FLUSH, 0, 0, 0, null));
            add(new Ordinary(Nbd.NBD_CMD_WRITE_ZEROES, 0, 4096, 1L << 33, null));
            if (!negotiated.contexts().isEmpty()) {
                List<MetaContext> first = negotiated.contexts().subList(0, 1);
                add(new StatusRequest(0, 0, 1 << 20, negotiated.contexts(), false));
                add(new StatusRequest(Nbd.NBD_CMD_FLAG_REQ_ONE, 512, 1 << 20, negotiated.contexts(), false));
                add(new StatusRequest(0, 4096, 1 << 20, first, negotiated.choosesContexts()));
            }
        }

        private void add(ClientRequest request) {
            open.add(request);
            request.cookie = open.size();
        }

        private final class Ordinary extends ClientRequest {
            Ordinary(int type, int flags, long offset, long length, MemorySegment memory) {
                super(type, flags, offset, length, memory);
            }

            @Override
            Memory data(Memory memory, int bytes, long at) {
                zeroes(at, bytes);
                results.append(memory.bytes().get(bytes - 1));
                return memory;
            }

            @Override
            void zeroes(long at, long bytes) {
                if (bytes <= 0 || at < offset || at + bytes > offset + length) {
                    throw new AssertionError(bytes + " bytes at " + at + " of " + length + " at " + offset);
                }
            }

            @Override
            void done(IOException failureOrNull) {
                // said by answered()
            }
        }

        @Override
        public ClientRequest find(long cookie) {
            return cookie < 1 || cookie > open.size() ? null : open.get((int) cookie - 1);
        }

        @Override
        public void answered(ClientRequest request, IOException failureOrNull) {
            if (failureOrNull instanceof NbdException e) {
                check(e);
            }
            open.set((int) request.cookie - 1, null);
            results.append(request.cookie).append(": ").append(failureOrNull).append('\n');
            request.done(failureOrNull);
            if (request instanceof StatusRequest status && failureOrNull == null) {
                status.result
                        .join()
                        .forEach((name, extents) -> extents.forEach(extent -> {
                            if (extent.length() <= 0 || extent.offset() < request.offset || extent.end() < 0) {
                                throw new AssertionError(name + ": " + extent);
                            }
                            results.append(extent);
                        }));
            }
        }

        /** Nothing beside what was asked for was touched. */
        void guard() {
            for (long i = 0; i < GUARD; i += Long.BYTES) {
                long canaries = 0x0101_0101_0101_0101L * CANARY;
                if (guarded.get(ValueLayout.JAVA_LONG_UNALIGNED, i) != canaries
                        || guarded.get(ValueLayout.JAVA_LONG_UNALIGNED, 2 * GUARD + i) != canaries) {
                    throw new AssertionError("a byte outside of what was asked for was written");
                }
            }
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
