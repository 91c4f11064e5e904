package farsight.backend;

import java.io.IOException;
import java.util.List;

/** A kind of storage as one server has it configured. Methods may block and are never called on an event loop. */
public interface Backend extends AutoCloseable {

    /**
     * Opens one storage. The server keeps it open while clients use it and gives all connections to the same export the
     * same instance.
     *
     * @param export values for {@link BackendProvider#exportSettings}
     * @throws IOException with a message for people; a {@link DeviceException} also tells the client why
     */
    Device open(Settings export) throws IOException;

    /**
     * Like {@link #open} for an export that a client named itself, so that nothing about it is to be trusted.
     *
     * @throws IOException also for what is only allowed to the server's own configuration
     */
    default Device openTyped(Settings export) throws IOException {
        return open(export);
    }

    /**
     * What could be opened by {@link #openTyped}, as export specs without the backend's name; empty when this cannot be
     * listed. Clients get no answer that comes late. {@link #close} may be called meanwhile.
     */
    default List<String> list() throws IOException {
        return List.of();
    }

    @Override
    default void close() throws IOException {}
}
