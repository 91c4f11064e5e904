package farsight.backend.file;

import farsight.backend.Request;
import farsight.loop.IoLoop;
import farsight.sys.ErrnoException;
import farsight.sys.Memory;
import java.lang.foreign.MemorySegment;

/**
 * A file as memory, for reads of what is in the page cache: it is sent from there and copied once, not twice. The memory
 * is never touched by this process, so that a file which is cut below us costs a failed send and not the process.
 */
final class MappedFile {
    /** Below it, asking whether it is there costs what the copy costs. */
    private static final int LEAST = 32 << 10;

    private final MemorySegment mapping;

    private MappedFile(MemorySegment mapping) {
        this.mapping = mapping;
    }

    /** @return null when the file cannot be mapped; reads are then copied */
    static MappedFile of(int fd, long size) {
        try {
            return size == 0 ? null : new MappedFile(Memory.view(fd, size));
        } catch (ErrnoException e) {
            return null;
        }
    }

    /** Answers a read, unless a disk would have to be waited for. Loop thread only. */
    boolean answer(IoLoop loop, Request request) {
        if (request.length() < LEAST) {
            return false;
        }
        long address = mapping.address() + request.offset();
        if (!loop.resident(address, request.length()) || !request.lend(address)) {
            return false;
        }
        request.complete();
        return true;
    }

    void close() {
        Memory.unmap(mapping);
    }
}
