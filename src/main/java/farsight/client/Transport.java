package farsight.client;

import java.lang.foreign.Arena;

/** Bytes to and from a server: a socket, or what stands in its place. One thread may receive while another sends. */
interface Transport {
    /** The server, for messages. */
    String peer();

    /**
     * Receives what is there, at least one byte.
     *
     * @return how many, from 1 to {@code length}
     * @throws NbdException when the stream ended, broke, or was silent for too long
     */
    long receiveSome(long address, long length) throws NbdException;

    /** Sends all of it. */
    void send(long address, long length) throws NbdException;

    /** Receives exactly that many bytes. */
    default void receive(long address, long length) throws NbdException {
        for (long done = 0; done < length; ) {
            done += receiveSome(address + done, length - done);
        }
    }

    /** For memory that is needed as long as this is, by any thread; null when such memory is not given back. */
    default Arena arena() {
        return Arena.ofShared();
    }

    /**
     * Memory for what is received and sent.
     *
     * @param arena which it may be of; it lives as long as that or longer
     */
    default Memory allocate(Arena arena, int size) {
        return Memory.allocate(arena, size);
    }

    /** Like {@link #receiveSome(long, long)}, into a part of some memory. */
    default int receiveSome(Memory memory, int at, int length) throws NbdException {
        return (int) receiveSome(memory.address() + at, length);
    }

    /** Receives exactly that many bytes into some memory. */
    default void receive(Memory memory, int at, int length) throws NbdException {
        receive(memory.address() + at, length);
    }

    /** Sends all of a part of some memory. */
    default void send(Memory memory, int at, int length) throws NbdException {
        send(memory.address() + at, length);
    }

    /**
     * Receives what is there, at least one byte, into an empty pipe.
     *
     * @return how many, up to {@code length}; 0 when it cannot, after which the pipe is not usable
     * @throws NbdException like {@link #receiveSome}
     */
    default long receiveSome(SocketPipe pipe, long length) throws NbdException {
        pipe.giveUp();
        return 0;
    }
}
