/**
 * The public interface for storage. A new kind of storage is a class that implements {@link farsight.backend.BlockDevice}
 * (simple, blocking) or {@link farsight.backend.AsyncBlockDevice} (requests that are completed later), and a
 * {@link farsight.backend.BackendProvider} that is found by {@link java.util.ServiceLoader}. All offsets and lengths are
 * in bytes.
 */
package farsight.backend;
