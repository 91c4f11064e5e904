package farsight.backend;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/**
 * What every storage tells of itself, whichever way it is read and written. One instance serves all connections of an
 * export; the methods here are called from any thread.
 */
public sealed interface Device extends AutoCloseable permits BlockDevice, AsyncBlockDevice {

    /** Size in bytes, 0 to 2^63-1. May change while the device is open; new connections see the new size. */
    long size();

    /** What this storage can do beyond reading and writing. Constant while the device is open. */
    Set<Feature> features();

    /** Whether writes are refused. Constant while the device is open. */
    default boolean readOnly() {
        return false;
    }

    /** The sizes that requests should, and must, keep to. Constant while the device is open. */
    default BlockSizes blockSizes() {
        return BlockSizes.ANY;
    }

    /** One line for people about what this is, for example {@code rbd image pool/disk}; empty when there is nothing to say. */
    default String description() {
        return "";
    }

    /**
     * The whole storage as memory, when that is what it is; null otherwise. The server then sends reads from it and
     * receives writes into it without asking the device, so flush, trim and the others are all that reaches the device.
     * The segment stays valid and at the same address until {@link #close} and holds at least {@link #size} bytes.
     */
    default MemorySegment memory() {
        return null;
    }

    /**
     * Says that a client's data now lies in a range of {@link #memory}, to storage that keeps account of its holes. Called
     * after every write and before it is answered, from any thread; it must be quick.
     */
    default void written(long offset, long length) {}

    /**
     * Says where in {@link #memory} short writes begin that came together, before the first of them is copied there: to
     * storage that can make that quicker. A hint, which is not given for all writes; what is announced may also never come.
     * From any thread; it must be quick.
     *
     * @param offsets from 0 to below {@link #size}; the array may be changed, and is the caller's afterwards
     * @param count how many of them are meant
     */
    default void announced(long[] offsets, int count) {}

    /**
     * Whether this device will serve nothing any more, although its storage may. The server then closes its connections
     * and opens the storage anew for the next one.
     */
    default boolean lost() {
        return false;
    }

    /**
     * Asks to be told when {@link #lost} becomes true; at once if it is. Called before there are requests, and told on any
     * thread. Storage that can only find out by a request that fails need not do anything; with storage that does, clients
     * do not wait for requests that never come back.
     */
    default void whenLost(Runnable told) {}

    /** Called once, after the last request has completed. */
    @Override
    default void close() throws IOException {}
}
