package farsight.sys;

import farsight.bindings.linux.Linux;
import java.lang.foreign.MemorySegment;

/** Anonymous mappings: memory outside every arena, freed by its owner alone. */
public final class Memory {
    private static final Call MMAP = Native.call("mmap", 6);
    private static final Call MUNMAP = Native.call("munmap", 2);
    private static final Call MINCORE = Native.call("mincore", 3);
    private static final Call MADVISE = Native.call("madvise", 3);

    private static final Call MLOCKALL = Native.call("mlockall", 1);

    private static final int READ_WRITE = Linux.PROT_READ() | Linux.PROT_WRITE();

    private Memory() {}

    /**
     * Asks which pages of a range are in memory (mincore(2)): a byte for each, whose lowest bit says it. Of a file only
     * the truth when the caller may write it.
     *
     * @param address of a page
     * @return false when it cannot be asked
     */
    public static boolean residence(CallState state, long address, long bytes, MemorySegment pages) {
        try {
            return (int) MINCORE.invoke(state, address, bytes, pages.address()) == 0;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Keeps all memory of this process, also what it gets later, from being swapped out (mlockall(2)). */
    public static void lockAll() throws ErrnoException {
        try (CallState state = CallState.open()) {
            int flags = Linux.MCL_CURRENT() | Linux.MCL_FUTURE();
            ErrnoException.check("mlockall", state.check((int) MLOCKALL.invoke(state, flags)));
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /**
     * Reserves zeroed, page-aligned memory; pages become real when they are first written.
     *
     * @throws ErrnoException ENOMEM when the address space or a limit (ulimit -v, vm.overcommit_memory=2) forbids it
     */
    public static MemorySegment map(long bytes) throws ErrnoException {
        return map(bytes, READ_WRITE, Linux.MAP_PRIVATE() | Linux.MAP_ANONYMOUS() | Linux.MAP_NORESERVE(), -1, 0);
    }

    /** Memory that is shared with the kernel by way of a descriptor, for example the rings of io_uring. */
    static MemorySegment share(int fd, long bytes, long offset) throws ErrnoException {
        return map(bytes, READ_WRITE, Linux.MAP_SHARED() | Linux.MAP_POPULATE(), fd, offset);
    }

    /** The content of a file, to be read only. Whoever touches what the file has no longer gets SIGBUS. */
    public static MemorySegment view(int fd, long bytes) throws ErrnoException {
        return map(bytes, Linux.PROT_READ(), Linux.MAP_SHARED(), fd, 0);
    }

    private static MemorySegment map(long bytes, int protection, int flags, int fd, long offset) throws ErrnoException {
        try (CallState state = CallState.open()) {
            long address = MMAP.invoke(state, 0L, bytes, protection, flags, fd, offset);
            if (address == -1) {
                throw new ErrnoException("mmap of " + bytes + " bytes", state.errno());
            }
            return Native.view(address, bytes);
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Gives back what {@link #map} gave. Nothing may use the memory any more. */
    public static void unmap(MemorySegment memory) {
        try (CallState state = CallState.open()) {
            int ignored = (int) MUNMAP.invoke(state, memory.address(), memory.byteSize());
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** Gives the pages of a range back; they read as zeroes afterwards. Address and length are multiples of a page. */
    public static void discard(CallState state, long address, long bytes) throws ErrnoException {
        advise(state, address, bytes, Linux.MADV_DONTNEED());
    }

    /** Asks for huge pages; without effect where the system has none. */
    public static void preferHugePages(CallState state, long address, long bytes) {
        try {
            advise(state, address, bytes, Linux.MADV_HUGEPAGE());
        } catch (ErrnoException e) {
            // A kernel without transparent huge pages says EINVAL: the memory works all the same.
        }
    }

    private static void advise(CallState state, long address, long bytes, int advice) throws ErrnoException {
        int result;
        try {
            result = state.check((int) MADVISE.invoke(state, address, bytes, advice));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
        ErrnoException.check("madvise", result);
    }
}
