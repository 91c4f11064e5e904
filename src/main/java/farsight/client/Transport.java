package farsight.client;

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
