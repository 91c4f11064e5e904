package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.BlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.ExtentSink;
import farsight.backend.Feature;
import farsight.backend.Setting;
import farsight.backend.Settings;
import farsight.sys.Memory;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Collections;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * Blocks that were read stay in memory, so many bytes of them, and those used longest ago go first. Writes go through:
 * the cache holds nothing that the storage has not.
 */
final class CacheLayer implements BlockDevice {
    static final List<Setting> SETTINGS = List.of(
            Setting.optional("size", Setting.Type.SIZE, "how much memory it may take, 64MiB unless told"),
            Setting.optional("block", Setting.Type.SIZE, "what is read at a time, 64KiB unless told"));

    private final Synchronous base;
    private final int block;
    private final MemorySegment memory;

    /** Places in memory by the numbers of blocks, in the order of use. With {@link #taken} under the lock of this. */
    private final LinkedHashMap<Long, Integer> places = new LinkedHashMap<>(16, 0.75f, true);

    private final java.util.BitSet taken = new java.util.BitSet();
    private final int most;

    /** Blocks come into the cache and change in it by one thread each, so that none is older than the storage. */
    private final ReadWriteLock[] locks = new ReadWriteLock[64];

    private CacheLayer(AsyncBlockDevice below, long size, int block) throws IOException {
        base = new Synchronous(below);
        this.block = block;
        most = Math.toIntExact(size / block);
        memory = Memory.map((long) most * block);
        for (int i = 0; i < locks.length; i++) {
            locks[i] = new ReentrantReadWriteLock();
        }
    }

    static Device over(AsyncBlockDevice below, Settings settings) throws IOException {
        long size = settings.number("size").orElse(64 << 20);
        long block = settings.number("block").orElse(64 << 10);
        if (Long.bitCount(block) != 1 || block < 512 || block > 1 << 20) {
            throw new DeviceException(Errno.EINVAL, "layer cache: block is a power of two from 512 to 1MiB");
        }
        if (size < block || size / block > 1 << 24) {
            throw new DeviceException(Errno.EINVAL, "layer cache: size is from one block to 16777216 of them");
        }
        return new CacheLayer(below, size, (int) block);
    }

    private ReadWriteLock lock(long index) {
        return locks[(int) (index % locks.length)];
    }

    @Override
    public void read(MemorySegment target, long offset) throws IOException {
        long end = offset + target.byteSize();
        for (long at = offset; at < end; ) {
            long to = Math.min(end, (at / block + 1) * block);
            piece(target.asSlice(at - offset, to - at), at);
            at = to;
        }
    }

    private void piece(MemorySegment target, long at) throws IOException {
        long index = at / block;
        if (copy(target, index, at % block)) {
            return;
        }
        lock(index).writeLock().lock();
        try {
            if (!copy(target, index, at % block)) {
                fill(target, index, at % block);
            }
        } finally {
            lock(index).writeLock().unlock();
        }
    }

    private synchronized boolean copy(MemorySegment target, long index, long within) {
        Integer place = places.get(index);
        if (place == null) {
            return false;
        }
        target.copyFrom(memory.asSlice((long) place * block + within, target.byteSize()));
        return true;
    }

    private void fill(MemorySegment target, long index, long within) throws IOException {
        long start = index * block;
        try (java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined()) {
            MemorySegment whole = arena.allocate(Math.min(block, size() - start));
            base.read(whole, start);
            target.copyFrom(whole.asSlice(within, target.byteSize()));
            keep(index, whole);
        }
    }

    private synchronized void keep(long index, MemorySegment content) {
        int place = places.size() < most ? taken.nextClearBit(0) : evict();
        taken.set(place);
        MemorySegment.copy(content, 0, memory, (long) place * block, content.byteSize());
        places.put(index, place);
    }

    private int evict() {
        Map.Entry<Long, Integer> eldest = places.entrySet().iterator().next();
        places.remove(eldest.getKey());
        return eldest.getValue();
    }

    @Override
    public void write(MemorySegment source, long offset) throws IOException {
        changing(offset, source.byteSize(), () -> base.write(source, offset), source);
    }

    @Override
    public void zero(long offset, long length, boolean mayTrim) throws IOException {
        changing(offset, length, () -> base.zero(offset, length, mayTrim), null);
    }

    @Override
    public void trim(long offset, long length) throws IOException {
        changing(offset, length, () -> base.trim(offset, length), null);
    }

    private interface Change {
        void make() throws IOException;
    }

    /** While the storage changes nobody fills these blocks; whether or not that succeeds, what is known of them changes. */
    private void changing(long offset, long length, Change change, MemorySegment content) throws IOException {
        long first = offset / block;
        long last = (offset + length - 1) / block;
        long touched = 0;
        for (long index = first; index <= last && touched != -1; index++) {
            touched |= 1L << index % locks.length;
        }
        // In one order, so that no two wait for each other.
        for (int i = 0; i < locks.length; i++) {
            if ((touched >> i & 1) != 0) {
                locks[i].writeLock().lock();
            }
        }
        boolean done = false;
        try {
            change.make();
            done = true;
        } finally {
            update(offset, length, first, last, done ? content : null);
            for (int i = 0; i < locks.length; i++) {
                if ((touched >> i & 1) != 0) {
                    locks[i].writeLock().unlock();
                }
            }
        }
    }

    /** Blocks get what was written; those of which nothing is known any more are forgotten. */
    private synchronized void update(long offset, long length, long first, long last, MemorySegment content) {
        if (content == null && last - first > places.size()) {
            places.entrySet().removeIf(entry -> {
                boolean changed = entry.getKey() >= first && entry.getKey() <= last;
                if (changed) {
                    taken.clear(entry.getValue());
                }
                return changed;
            });
            return;
        }
        for (long index = first; index <= last; index++) {
            Integer place = places.get(index);
            if (place == null) {
                continue;
            }
            long from = Math.max(offset, index * block);
            long to = Math.min(offset + length, (index + 1) * block);
            if (content == null) {
                places.remove(index);
                taken.clear(place);
            } else {
                MemorySegment.copy(content, from - offset, memory, (long) place * block + from % block, to - from);
            }
        }
    }

    @Override
    public void flush() throws IOException {
        base.flush();
    }

    /** Reads it into the cache, or asks what is below. */
    @Override
    public void cache(long offset, long length) throws IOException {
        long end = Math.min(offset + length, offset / block * block + (long) most * block);
        for (long at = offset; at < end; at = (at / block + 1) * block) {
            try (java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined()) {
                piece(arena.allocate(1), at);
            }
        }
    }

    @Override
    public void extents(long offset, long length, ExtentSink sink) throws IOException {
        base.extents(offset, length, sink);
    }

    @Override
    public long size() {
        return base.size();
    }

    @Override
    public Set<Feature> features() {
        EnumSet<Feature> features = EnumSet.of(Feature.CACHE);
        features.addAll(base.device().features());
        // Single stable writes and quick refusals are not passed on, and extents wait for a thread here.
        features.removeAll(Set.of(Feature.FUA, Feature.FAST_ZERO, Feature.QUICK_EXTENTS));
        return Collections.unmodifiableSet(features);
    }

    @Override
    public boolean readOnly() {
        return base.device().readOnly();
    }

    @Override
    public int concurrency() {
        return 16;
    }

    @Override
    public BlockSizes blockSizes() {
        return new BlockSizes(1, Math.max(4096, block), 32 << 20);
    }

    @Override
    public String description() {
        return base.device().description();
    }

    @Override
    public boolean lost() {
        return base.device().lost();
    }

    @Override
    public void whenLost(Runnable told) {
        base.device().whenLost(told);
    }

    @Override
    public void close() throws IOException {
        Memory.unmap(memory);
        base.close();
    }
}
