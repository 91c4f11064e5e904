package farsight.sys;

import farsight.bindings.linux.Linux;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;

/** The nbd driver by its netlink interface (linux/nbd-netlink.h, drivers/block/nbd.c). One thread. */
public final class NbdNetlink implements AutoCloseable {
    private final GenericNetlink netlink;
    private final GenericNetlink.Family family;

    /**
     * What a device is made with.
     *
     * @param size bytes
     * @param timeout seconds; 0 for none
     * @param deadTimeout seconds
     * @param flags NBD_FLAG_*
     * @param identifier of what is behind the device; null for none
     */
    public record Setup(long size, int blockSize, long timeout, long deadTimeout, int flags, String identifier) {}

    /** A device that the driver knows. */
    public record Status(int index, boolean connected) {}

    private NbdNetlink(GenericNetlink netlink, GenericNetlink.Family family) {
        this.netlink = netlink;
        this.family = family;
    }

    /** @throws IOException with the reason when the kernel has no such interface, or the driver is not loaded */
    public static NbdNetlink open() throws IOException {
        GenericNetlink netlink = new GenericNetlink();
        try {
            return new NbdNetlink(
                    netlink, netlink.family(Linux.NBD_GENL_FAMILY_NAME().getString(0)));
        } catch (IOException | RuntimeException e) {
            netlink.close();
            throw e;
        }
    }

    /** Whether devices can say what is behind them (since Linux 5.14). */
    public boolean hasIdentifiers() {
        return family.attributes() >= Linux.NBD_ATTR_BACKEND_IDENTIFIER();
    }

    /** Listens from now on for connections that are lost. */
    public DeadLinks deadLinks() throws IOException {
        return new DeadLinks(family);
    }

    /**
     * Makes a device of connected sockets, which the kernel takes references of.
     *
     * @param index which device; empty for any that is free
     * @return the device's index
     */
    public int connect(OptionalInt index, Setup setup, List<Integer> sockets) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            NetlinkRequest request = request(arena, "NBD_CMD_CONNECT", Linux.NBD_CMD_CONNECT());
            index.ifPresent(number -> request.u32(Linux.NBD_ATTR_INDEX(), number));
            request.u64(Linux.NBD_ATTR_SIZE_BYTES(), setup.size())
                    .u64(Linux.NBD_ATTR_BLOCK_SIZE_BYTES(), setup.blockSize())
                    .u64(Linux.NBD_ATTR_TIMEOUT(), setup.timeout())
                    .u64(Linux.NBD_ATTR_DEAD_CONN_TIMEOUT(), setup.deadTimeout())
                    .u64(Linux.NBD_ATTR_SERVER_FLAGS(), setup.flags());
            identify(request, setup.identifier());
            sockets(request, sockets);
            List<NetlinkMessage> answers = netlink.call(request);
            if (answers.isEmpty()) {
                throw new NetlinkException(request.name() + ": the kernel does not say which device it made");
            }
            return NetlinkAttribute.required(answers.getFirst().attributes(), Linux.NBD_ATTR_INDEX())
                    .u32();
        }
    }

    /**
     * Gives a device a socket in the place of a dead one.
     *
     * <p>The kernel says nothing when none is dead. But it sets the device's timeout as the socket's time for sending,
     * which is how it shows; so the device must have one while this is done.
     *
     * @param timeout seconds, at least 1; the device's timeout is this afterwards
     * @return whether the kernel has taken it
     */
    public boolean offer(int index, String identifier, int socket, long timeout) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            NetlinkRequest request = reconfigure(arena, index, identifier).u64(Linux.NBD_ATTR_TIMEOUT(), timeout);
            sockets(request, List.of(socket));
            netlink.call(request);
            return Sockets.hasSendTimeout(socket);
        }
    }

    /** Changes the size of a device in use. */
    public void resize(int index, String identifier, long size) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            netlink.call(reconfigure(arena, index, identifier).u64(Linux.NBD_ATTR_SIZE_BYTES(), size));
        }
    }

    /** Changes the timeouts of a device in use; seconds, 0 for none. */
    public void timeouts(int index, String identifier, long timeout, long deadTimeout) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            netlink.call(reconfigure(arena, index, identifier)
                    .u64(Linux.NBD_ATTR_TIMEOUT(), timeout)
                    .u64(Linux.NBD_ATTR_DEAD_CONN_TIMEOUT(), deadTimeout));
        }
    }

    private NetlinkRequest reconfigure(Arena arena, int index, String identifier) {
        NetlinkRequest request = request(arena, "NBD_CMD_RECONFIGURE", Linux.NBD_CMD_RECONFIGURE())
                .u32(Linux.NBD_ATTR_INDEX(), index);
        // "must specify backend": what the device was made with has to be repeated.
        identify(request, identifier);
        return request;
    }

    /** Ends a device. It is free when the last who has it open has closed it. */
    public void disconnect(int index) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            netlink.call(request(arena, "NBD_CMD_DISCONNECT", Linux.NBD_CMD_DISCONNECT())
                    .u32(Linux.NBD_ATTR_INDEX(), index));
        }
    }

    /** All devices of the driver. */
    public List<Status> status() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            List<NetlinkMessage> answers = netlink.call(request(arena, "NBD_CMD_STATUS", Linux.NBD_CMD_STATUS()));
            List<Status> devices = new ArrayList<>();
            for (NetlinkMessage answer : answers) {
                List<NetlinkAttribute> list = NetlinkAttribute.required(
                                answer.attributes(), Linux.NBD_ATTR_DEVICE_LIST())
                        .nested();
                for (NetlinkAttribute item : list) {
                    List<NetlinkAttribute> parts = item.nested();
                    devices.add(new Status(
                            NetlinkAttribute.required(parts, Linux.NBD_DEVICE_INDEX())
                                    .u32(),
                            NetlinkAttribute.required(parts, Linux.NBD_DEVICE_CONNECTED())
                                            .u8()
                                    != 0));
                }
            }
            return devices;
        }
    }

    private NetlinkRequest request(Arena arena, String name, int command) {
        return new NetlinkRequest(arena, name, family.id(), command, Linux.NBD_GENL_VERSION());
    }

    private void identify(NetlinkRequest request, String identifier) {
        if (identifier != null) {
            request.string(Linux.NBD_ATTR_BACKEND_IDENTIFIER(), identifier);
        }
    }

    private static void sockets(NetlinkRequest request, List<Integer> sockets) {
        long all = request.open(Linux.NBD_ATTR_SOCKETS());
        for (int socket : sockets) {
            long one = request.open(Linux.NBD_SOCK_ITEM());
            request.u32(Linux.NBD_SOCK_FD(), socket).close(one);
        }
        request.close(all);
    }

    @Override
    public void close() {
        netlink.close();
    }
}
