package farsight.client;

import farsight.protocol.Nbd;
import farsight.protocol.ProtocolException;
import farsight.protocol.Text;
import farsight.sys.Native;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads replies of all three kinds and puts what they bring where it belongs (proto.md, "Transmission phase"). Every
 * number of the server's is checked against the request before it is used; whatever breaks a rule ends the connection,
 * because nothing that follows could be trusted. One thread.
 */
final class ReplyReader implements AutoCloseable {
    /** Small, because what of a payload comes with its header is copied out of it. */
    private static final int BUFFER = 8 << 10;

    /** For reads without a target: stays in the processor's cache between receiving and passing on. */
    static final int PIECE = 256 << 10;

    /** Less is received together with what comes around it. */
    private static final int LEAST_PIPED = 64 << 10;

    private static final int SIMPLE_HEADER = 16;
    private static final int STRUCTURED_HEADER = 20;
    private static final int EXTENDED_HEADER = 32;

    /** Some servers tell of a million extents at once. */
    private static final int MOST_EXTENTS = 1 << 20;

    private static final int LONGEST_ERROR = 6 + 8 + Nbd.MAX_STRING;

    /** Chunks of a request that bring none of its content: errors, the end. */
    private static final int MOST_OTHER_CHUNKS = 256;

    /** The requests that wait for an answer. */
    interface Waiting {
        /** The request with that cookie, or null. */
        ClientRequest find(long cookie);

        /** It is answered: forgets it, then tells it. */
        void answered(ClientRequest request, IOException failureOrNull);
    }

    private final Transport transport;
    private final boolean structured;
    private final boolean extended;
    private final List<MetaContext> contexts;
    private final Waiting waiting;
    private final Arena arena;
    private final Memory buffer;
    private final ByteBuffer numbers;

    private Memory piece;
    private int start;
    private int end;

    /** How much is received at most before it is known what it is. */
    private int headerRoom = BUFFER;

    ReplyReader(
            Transport transport, boolean structured, boolean extended, List<MetaContext> contexts, Waiting waiting) {
        this.transport = transport;
        arena = transport.arena();
        buffer = transport.allocate(arena, BUFFER);
        numbers = buffer.bytes();
        this.structured = structured;
        this.extended = extended;
        this.contexts = contexts;
        this.waiting = waiting;
    }

    private NbdException wrong(String what) {
        return new NbdException(transport.peer() + ": " + what);
    }

    private NbdException wrong(ClientRequest request, String what) {
        return wrong("the server's answer to " + Nbd.commandName(request.type) + " " + what);
    }

    // ---- bytes ---------------------------------------------------------------------------------------------------

    /** Brings so many bytes to the front of the buffer; they are at {@link #start}. */
    private void need(int bytes) throws NbdException {
        need(bytes, BUFFER);
    }

    /** @param most what is not worth having more than, because the rest had better come another way */
    private void need(int bytes, int most) throws NbdException {
        if (start == end) {
            start = 0;
            end = 0;
        } else if (start + bytes > BUFFER) {
            numbers.clear().put(0, numbers, start, end - start);
            end -= start;
            start = 0;
        }
        while (end - start < bytes) {
            int room = Math.min(BUFFER - end, Math.max(bytes, most) - (end - start));
            end += transport.receiveSome(buffer, end, room);
        }
    }

    private int take(int bytes) {
        int at = start;
        start += bytes;
        return at;
    }

    private int takeInt() throws NbdException {
        need(4);
        return numbers.getInt(take(4));
    }

    private long takeLong() throws NbdException {
        need(8);
        return numbers.getLong(take(8));
    }

    /** By address: the memory may belong to another thread, which waits for it. */
    private void fill(long address, long bytes) throws NbdException {
        int buffered = (int) Math.min(bytes, end - start);
        if (buffered > 0) {
            Native.view(address, buffered).asByteBuffer().put(0, numbers.clear(), start, buffered);
            start += buffered;
        }
        transport.receive(address + buffered, bytes - buffered);
    }

    /** The front of some memory. */
    private void fill(Memory memory, int bytes) throws NbdException {
        int buffered = Math.min(bytes, end - start);
        memory.bytes().clear().put(0, numbers.clear(), start, buffered);
        start += buffered;
        transport.receive(memory, buffered, bytes - buffered);
    }

    // ---- replies -------------------------------------------------------------------------------------------------

    /** Reads one simple reply or one chunk, with its payload. */
    void next() throws NbdException {
        need(4, headerRoom);
        int magic = numbers.getInt(start);
        if (magic == Nbd.NBD_SIMPLE_REPLY_MAGIC && !extended) {
            simple();
        } else if (magic == Nbd.NBD_STRUCTURED_REPLY_MAGIC && structured && !extended) {
            need(STRUCTURED_HEADER, headerRoom);
            int at = take(STRUCTURED_HEADER);
            ClientRequest request = find(numbers.getLong(at + 8));
            chunk(
                    request,
                    numbers.getShort(at + 4),
                    Short.toUnsignedInt(numbers.getShort(at + 6)),
                    Integer.toUnsignedLong(numbers.getInt(at + 16)));
        } else if (magic == Nbd.NBD_EXTENDED_REPLY_MAGIC && extended) {
            need(EXTENDED_HEADER, headerRoom);
            int at = take(EXTENDED_HEADER);
            ClientRequest request = find(numbers.getLong(at + 8));
            if (numbers.getLong(at + 16) != request.offset) {
                throw wrong(request, "is for another offset");
            }
            chunk(
                    request,
                    numbers.getShort(at + 4),
                    Short.toUnsignedInt(numbers.getShort(at + 6)),
                    numbers.getLong(at + 24));
        } else {
            throw wrong("the server sent something that is no reply (wrong magic)");
        }
    }

    private ClientRequest find(long cookie) throws NbdException {
        ClientRequest request = waiting.find(cookie);
        if (request == null) {
            throw wrong("the server answered a request that was not made (wrong cookie)");
        }
        return request;
    }

    private void simple() throws NbdException {
        need(SIMPLE_HEADER);
        int at = take(SIMPLE_HEADER);
        ClientRequest request = find(numbers.getLong(at + 8));
        boolean read = request.type == Nbd.NBD_CMD_READ;
        if (structured && read || request.type == Nbd.NBD_CMD_BLOCK_STATUS) {
            throw wrong(request, "is a simple reply, which is not allowed after structured replies were agreed on");
        }
        if (request.contentChunks + request.otherChunks > 0) {
            throw wrong(request, "mixes a simple reply with chunks");
        }
        request.error = numbers.getInt(at + 4);
        if (request.error == 0 && read) {
            content(request, request.offset, request.length);
        }
        finish(request);
    }

    private void chunk(ClientRequest request, int flags, int type, long length) throws NbdException {
        switch (type) {
            case Nbd.NBD_REPLY_TYPE_NONE -> {
                if (length != 0 || (flags & Nbd.NBD_REPLY_FLAG_DONE) == 0) {
                    throw wrong(request, "has a chunk without content that is not its end");
                }
            }
            case Nbd.NBD_REPLY_TYPE_OFFSET_DATA -> data(request, length);
            case Nbd.NBD_REPLY_TYPE_OFFSET_HOLE -> hole(request, length);
            case Nbd.NBD_REPLY_TYPE_BLOCK_STATUS -> status(request, length, false);
            case Nbd.NBD_REPLY_TYPE_BLOCK_STATUS_EXT -> status(request, length, true);
            default -> {
                if ((type & 1 << 15) == 0) {
                    throw wrong(request, "has a chunk of the unknown type " + type);
                }
                error(request, type, length);
            }
        }
        if ((flags & Nbd.NBD_REPLY_FLAG_DONE) != 0) {
            finish(request);
        }
    }

    private void isRead(ClientRequest request) throws NbdException {
        if (request.type != Nbd.NBD_CMD_READ) {
            throw wrong(request, "brings data that was not asked for");
        }
        if (++request.contentChunks > 1 && (request.flags & Nbd.NBD_CMD_FLAG_DF) != 0) {
            throw wrong(request, "is in several chunks although one was demanded");
        }
    }

    private void cover(ClientRequest request, long offset, long length) throws NbdException {
        if (length <= 0
                || offset < request.offset
                || offset - request.offset > request.length
                || length > request.length - (offset - request.offset)) {
            throw wrong(
                    request,
                    "has " + Long.toUnsignedString(length) + " bytes at offset " + Long.toUnsignedString(offset)
                            + ", which are not within what was asked for");
        }
        if (request.coverage == null) {
            request.coverage = new Coverage();
        }
        switch (request.coverage.add(offset, offset + length)) {
            case OVERLAPPING -> throw wrong(request, "has bytes twice, at offset " + offset);
            case TOO_SCATTERED -> throw wrong(request, "is in too many scattered pieces");
            case NEW -> {}
        }
    }

    private void data(ClientRequest request, long length) throws NbdException {
        isRead(request);
        if (length < 8) {
            throw wrong(request, "has a chunk of data of " + length + " bytes, which is too short");
        }
        long offset = takeLong();
        cover(request, offset, length - 8);
        content(request, offset, length - 8);
    }

    private void hole(ClientRequest request, long length) throws NbdException {
        isRead(request);
        if (length != 12) {
            throw wrong(request, "has a hole chunk of " + Long.toUnsignedString(length) + " bytes, not 12");
        }
        need(12, headerRoom);
        long offset = takeLong();
        long bytes = Integer.toUnsignedLong(takeInt());
        cover(request, offset, bytes);
        if (request.memory != null) {
            Native.view(request.memory.address() + offset - request.offset, bytes)
                    .fill((byte) 0);
        } else if (request.failure == null) {
            try {
                request.zeroes(offset, bytes);
            } catch (IOException e) {
                request.failure = e;
            }
        }
    }

    /** Data of a read whose range is checked. */
    private void content(ClientRequest request, long offset, long length) throws NbdException {
        if (request.memory != null) {
            fill(request.memory.address() + offset - request.offset, length);
            return;
        }
        boolean much = length >= LEAST_PIPED;
        headerRoom = much && request.pipe() != null ? longestDataHeader() : BUFFER;
        for (long done = 0; done < length; ) {
            long rest = length - done;
            SocketPipe pipe = much && request.failure == null ? request.pipe() : null;
            long piped = pipe == null || start != end ? 0 : transport.receiveSome(pipe, rest);
            if (piped > 0) {
                try {
                    request.pipedData(piped, offset + done);
                } catch (IOException e) {
                    request.failure = e; // the rest still has to be received
                }
                done += piped;
                continue;
            }
            if (piece == null) {
                piece = transport.allocate(arena, PIECE);
            }
            int part = (int) Math.min(pipe == null || start == end ? PIECE : end - start, rest);
            fill(piece, part);
            if (request.failure == null) {
                try {
                    piece = request.data(piece, part, offset + done);
                } catch (IOException e) {
                    request.failure = e; // the rest still has to be received
                }
            }
            done += part;
        }
    }

    /** What comes before data that goes through a pipe. */
    private int longestDataHeader() {
        return extended ? EXTENDED_HEADER + Long.BYTES : structured ? STRUCTURED_HEADER + Long.BYTES : SIMPLE_HEADER;
    }

    private void status(ClientRequest request, long length, boolean wide) throws NbdException {
        if (request.type != Nbd.NBD_CMD_BLOCK_STATUS) {
            throw wrong(request, "tells the status of blocks, which was not asked for");
        }
        if (wide != extended) {
            throw wrong(request, "has a status chunk of the wrong width");
        }
        int head = wide ? 8 : 4;
        int each = wide ? 16 : 8;
        if (length < head + each || (length - head) % each != 0 || (length - head) / each > MOST_EXTENTS) {
            throw wrong(request, "has a status chunk of " + Long.toUnsignedString(length) + " bytes");
        }
        int count = (int) ((length - head) / each);
        int id = takeInt();
        int said = wide ? takeInt() : 0;
        if (said != 0 && said != count) {
            throw wrong(request, "is said to have " + Integer.toUnsignedString(said) + " extents, but has " + count);
        }
        if (!known(id) || !request.asksFor(id) || request.hasStatus(id)) {
            throw wrong(
                    request, "tells of a metadata context that was not agreed on or not asked for, or twice of one");
        }
        boolean one = (request.flags & Nbd.NBD_CMD_FLAG_REQ_ONE) != 0;
        if (one && count > 1) {
            throw wrong(request, "has " + count + " extents although one was demanded");
        }
        List<Extent> extents = new ArrayList<>(Math.min(count, 1024));
        long at = request.offset;
        long stop = request.offset + request.length;
        for (int i = 0; i < count; i++) {
            long bytes = wide ? takeLong() : Integer.toUnsignedLong(takeInt());
            long kind = wide ? takeLong() : Integer.toUnsignedLong(takeInt());
            if (bytes <= 0 || at >= stop || bytes > Long.MAX_VALUE - at || one && bytes > request.length) {
                throw wrong(request, "has an extent of " + Long.toUnsignedString(bytes) + " bytes at offset " + at);
            }
            extents.add(new Extent(at, bytes, kind));
            at += bytes;
        }
        request.status(id, extents);
    }

    private boolean known(int id) {
        for (MetaContext context : contexts) {
            if (context.id() == id) {
                return true;
            }
        }
        return false;
    }

    private void error(ClientRequest request, int type, long length) throws NbdException {
        if (length < 6 || length > LONGEST_ERROR) {
            throw wrong(request, "has an error chunk of " + Long.toUnsignedString(length) + " bytes");
        }
        if (++request.otherChunks > MOST_OTHER_CHUNKS) {
            throw wrong(request, "does not end");
        }
        need((int) length);
        int at = take((int) length);
        int error = numbers.getInt(at);
        int text = Short.toUnsignedInt(numbers.getShort(at + 4));
        boolean located = type == Nbd.NBD_REPLY_TYPE_ERROR_OFFSET;
        long rest = length - 6 - text;
        if (error == 0 || text > Nbd.MAX_STRING || rest < 0 || located && rest != 8) {
            throw wrong(request, "has an error chunk that is not well formed");
        }
        long place = located ? numbers.getLong(at + 6 + text) : -1;
        if (located && (place < request.offset || place - request.offset >= Math.max(1, request.length))) {
            throw wrong(
                    request,
                    "has an error at offset " + Long.toUnsignedString(place)
                            + ", which is not within what was asked for");
        }
        if (request.error == 0) {
            request.error = error;
            request.errorText = text(numbers.slice(at + 6, text));
            request.errorOffset = place;
        }
    }

    /** A text that is not one is left out: the error counts. */
    private static String text(ByteBuffer data) {
        try {
            return Text.read(data, "error message");
        } catch (ProtocolException e) {
            return "";
        }
    }

    private void finish(ClientRequest request) throws NbdException {
        if (request.error == 0 && structured) {
            if (request.coverage != null
                    ? !request.coverage.is(request.offset, request.offset + request.length)
                    : request.type == Nbd.NBD_CMD_READ && request.length > 0) {
                throw wrong(request, "leaves out a part of what was asked for");
            }
            if (request.type == Nbd.NBD_CMD_BLOCK_STATUS && request.statuses == null) {
                throw wrong(request, "has no extents");
            }
        }
        waiting.answered(request, request.error != 0 ? refusal(request) : request.failure);
    }

    private NbdException refusal(ClientRequest request) {
        StringBuilder message = new StringBuilder(transport.peer())
                .append(": ")
                .append(Nbd.commandName(request.type))
                .append(" failed: ")
                .append(Nbd.errorName(request.error));
        if (!request.errorText.isEmpty()) {
            message.append(", ").append(Text.quote(request.errorText));
        }
        if (request.errorOffset >= 0) {
            message.append(", at offset ").append(request.errorOffset);
        }
        // "The client SHOULD treat an unexpected error value as if it had been NBD_EINVAL."
        int error = Nbd.isError(request.error) ? request.error : Nbd.NBD_EINVAL;
        return new NbdException(message.toString(), error, request.errorOffset);
    }

    @Override
    public void close() {
        if (arena != null) {
            arena.close();
        }
    }
}
