package farsight.sys;

import farsight.bindings.linux.Linux;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What the kernel tells everybody when a connection of an nbd device is lost. One thread. */
public final class DeadLinks implements AutoCloseable {
    /** What {@link #drain} says when messages were lost: anything may have happened. */
    public static final int UNKNOWN = -1;

    private static final int LONGEST = 8 << 10;

    private final NetlinkSocket socket;
    private final int family;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(LONGEST, 8);

    /** From now on; so made before the device is. */
    DeadLinks(GenericNetlink.Family family) throws IOException {
        Integer group = family.groups().get(Linux.NBD_GENL_MCAST_GROUP_NAME().getString(0));
        if (group == null) {
            throw new NetlinkException("the nbd driver does not tell of dead connections");
        }
        this.family = family.id();
        socket = NetlinkSocket.generic();
        try {
            socket.join(group);
        } catch (ErrnoException e) {
            close();
            throw e;
        }
    }

    public int fd() {
        return socket.fd();
    }

    /** How many connections of a device were lost since the last call, or {@link #UNKNOWN}. */
    public int drain(int index) throws IOException {
        int dead = 0;
        while (true) {
            try {
                long bytes = socket.receive(buffer, 0);
                if (bytes < 0) {
                    return dead;
                }
                dead += count(buffer.asSlice(0, Math.min(bytes, LONGEST)), family, index);
            } catch (ErrnoException e) {
                if (e.errno() != NetlinkSocket.ENOBUFS) {
                    throw e;
                }
                return UNKNOWN;
            }
        }
    }

    /** Messages of a datagram that tell of this device. */
    static int count(MemorySegment datagram, int family, int index) throws NetlinkException {
        int dead = 0;
        for (NetlinkMessage message : NetlinkMessage.parse(datagram)) {
            if (message.type() == family
                    && message.command() == Linux.NBD_CMD_LINK_DEAD()
                    && NetlinkAttribute.required(message.attributes(), Linux.NBD_ATTR_INDEX())
                                    .u32()
                            == index) {
                dead++;
            }
        }
        return dead;
    }

    @Override
    public void close() {
        socket.close();
        arena.close();
    }
}
