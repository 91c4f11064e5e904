package farsight.backend.rbd;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.bindings.rbd.Rbd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A connection to a Ceph cluster (rados_t), shared by the images that were opened by it. Any thread; connecting blocks for
 * a bounded time. Once the cluster has blocklisted it, it is of no more use: the last image then closes it.
 */
final class RadosCluster implements AutoCloseable {
    /** How long a cluster may take to answer at first; librados asks for ever by itself. */
    private static final String CONNECT_SECONDS = "10";

    /**
     * What is better for a server than librbd's own defaults; the configuration's options come after them. A cache of
     * writes would lose what was acknowledged when the cluster blocklists this client. Writes are sent from the request's
     * memory, which stays as it is until the completion, whatever became of the client.
     */
    private static final Map<String, String> DEFAULTS = Map.of(
            "client_mount_timeout", CONNECT_SECONDS, "rbd_cache", "false", "rbd_disable_zero_copy_writes", "false");

    private final MemorySegment handle;
    private int users;
    private boolean lost;

    private RadosCluster(MemorySegment handle) {
        this.handle = handle;
    }

    /**
     * Connects.
     *
     * @param cluster usually "ceph"
     * @param user without "client."
     * @param conf path of a ceph.conf
     * @param options settings of Ceph that go before those of the file
     */
    static RadosCluster connect(String cluster, String user, String conf, Map<String, String> options)
            throws DeviceException {
        String what = "cluster '" + cluster + "' by " + conf + " as client." + user;
        if (!Files.exists(Path.of(conf))) {
            throw new DeviceException(Errno.EIO, what + ": there is no such file; set ceph_conf");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            RbdError.check(
                    Rbd.rados_create2(out, arena.allocateFrom(cluster), arena.allocateFrom("client." + user), 0), what);
            MemorySegment handle = out.get(ValueLayout.ADDRESS, 0);
            try {
                RbdError.check(Rbd.rados_conf_read_file(handle, arena.allocateFrom(conf)), what + ": reading " + conf);
                set(handle, arena, DEFAULTS, what);
                set(handle, arena, options, what);
                RbdError.check(Rbd.rados_connect(handle), what);
                return new RadosCluster(handle);
            } catch (DeviceException e) {
                Rbd.rados_shutdown(handle);
                throw e;
            }
        }
    }

    private static void set(MemorySegment handle, Arena arena, Map<String, String> options, String what)
            throws DeviceException {
        for (Map.Entry<String, String> option : options.entrySet()) {
            MemorySegment key = arena.allocateFrom(option.getKey());
            MemorySegment value = arena.allocateFrom(option.getValue());
            RbdError.check(
                    Rbd.rados_conf_set(handle, key, value),
                    what + ": option " + option.getKey() + " = \"" + option.getValue() + "\"");
        }
    }

    /** A pool, and a namespace within it (rados_ioctx_t); to be given to {@link #closePool}. */
    MemorySegment openPool(String pool, String namespace) throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            RbdError.check(Rbd.rados_ioctx_create(handle, arena.allocateFrom(pool), out), "pool '" + pool + "'");
            MemorySegment context = out.get(ValueLayout.ADDRESS, 0);
            if (!namespace.isEmpty()) {
                Rbd.rados_ioctx_set_namespace(context, arena.allocateFrom(namespace));
            }
            return context;
        }
    }

    /** The names of all pools, whether this user may use them or not. */
    List<String> pools() throws DeviceException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment names = MemorySegment.NULL;
            while (true) {
                int needed = Rbd.rados_pool_list(handle, names, names.byteSize());
                RbdError.check(needed, "the pools of the cluster");
                if (needed <= names.byteSize()) {
                    return strings(names, needed);
                }
                names = arena.allocate(needed);
            }
        }
    }

    /** Strings that follow each other, each with its NUL; an empty one may end them before the memory does. */
    static List<String> strings(MemorySegment memory, long length) {
        List<String> strings = new ArrayList<>();
        long end;
        for (long at = 0; at < length && memory.get(ValueLayout.JAVA_BYTE, at) != 0; at = end + 1) {
            end = at;
            while (memory.get(ValueLayout.JAVA_BYTE, end) != 0) {
                end++;
            }
            strings.add(memory.getString(at));
        }
        return strings;
    }

    static void closePool(MemorySegment context) {
        Rbd.rados_ioctx_destroy(context);
    }

    /** One more image uses it; false when it is lost. */
    synchronized boolean use() {
        if (!lost) {
            users++;
        }
        return !lost;
    }

    /** The cluster does not listen to it any more. */
    synchronized void lost() {
        lost = true;
    }

    /** One image fewer uses it. */
    void release() {
        boolean last;
        synchronized (this) {
            last = --users == 0 && lost;
        }
        if (last) {
            Rbd.rados_shutdown(handle);
        }
    }

    /** With its last user, who may be waiting for the cluster; that one has closed it, or will, when it is lost. */
    @Override
    public void close() {
        boolean mine;
        synchronized (this) {
            mine = users == 0 && !lost;
            lost = true;
        }
        if (mine) {
            Rbd.rados_shutdown(handle);
        }
    }
}
