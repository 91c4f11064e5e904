package farsight.sys;

import farsight.bindings.linux.Linux;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Requests and answers of the kernel's generic netlink families. One thread. */
final class GenericNetlink implements AutoCloseable {
    /** The kernel works while a request is sent to it; afterwards its answer is there. */
    private static final int ANSWER_MILLIS = 10_000;

    private static final int LONGEST_ANSWER = 64 << 10;

    private final NetlinkSocket socket;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment buffer = arena.allocate(LONGEST_ANSWER, 8);
    private int sequence;

    /**
     * A family that the kernel has.
     *
     * @param attributes the largest number of an attribute that it knows
     * @param groups multicast groups by name
     */
    record Family(String name, int id, int version, int attributes, Map<String, Integer> groups) {}

    GenericNetlink() throws IOException {
        socket = NetlinkSocket.generic();
    }

    /** Looks a family up; the kernel loads the module that has it, if it can. */
    Family family(String name) throws IOException {
        try (Arena local = Arena.ofConfined()) {
            NetlinkRequest request = new NetlinkRequest(
                            local, "family " + name, Linux.GENL_ID_CTRL(), Linux.CTRL_CMD_GETFAMILY(), 1)
                    .string(Linux.CTRL_ATTR_FAMILY_NAME(), name);
            List<NetlinkMessage> answers = call(request);
            if (answers.isEmpty()) {
                throw new NetlinkException("no answer about family " + name);
            }
            return family(name, answers.getFirst().attributes());
        }
    }

    static Family family(String name, List<NetlinkAttribute> attributes) throws NetlinkException {
        Map<String, Integer> groups = new HashMap<>();
        var list = NetlinkAttribute.first(attributes, Linux.CTRL_ATTR_MCAST_GROUPS());
        if (list.isPresent()) {
            for (NetlinkAttribute group : list.get().nested()) {
                List<NetlinkAttribute> parts = group.nested();
                groups.put(
                        NetlinkAttribute.required(parts, Linux.CTRL_ATTR_MCAST_GRP_NAME())
                                .string(),
                        NetlinkAttribute.required(parts, Linux.CTRL_ATTR_MCAST_GRP_ID())
                                .u32());
            }
        }
        return new Family(
                name,
                NetlinkAttribute.required(attributes, Linux.CTRL_ATTR_FAMILY_ID())
                        .u16(),
                NetlinkAttribute.required(attributes, Linux.CTRL_ATTR_VERSION()).u32(),
                NetlinkAttribute.required(attributes, Linux.CTRL_ATTR_MAXATTR()).u32(),
                Map.copyOf(groups));
    }

    /**
     * Sends a request and waits until the kernel has done it.
     *
     * @return what came before the acknowledgement; valid until the next call
     * @throws NetlinkException when the kernel refused it
     */
    List<NetlinkMessage> call(NetlinkRequest request) throws IOException {
        int number = ++sequence;
        socket.send(request.message(number));
        List<NetlinkMessage> answers = new ArrayList<>();
        long used = 0;
        while (true) {
            MemorySegment room = buffer.asSlice(used);
            long bytes = socket.receive(room, ANSWER_MILLIS);
            if (bytes < 0 || bytes > room.byteSize()) {
                throw new NetlinkException(
                        request.name() + (bytes < 0 ? ": the kernel does not answer" : ": the answer is too long"));
            }
            for (NetlinkMessage message : NetlinkMessage.parse(room.asSlice(0, bytes))) {
                if (message.sequence() != number) {
                    continue; // the late answer of a request that was given up
                }
                if (!message.isError()) {
                    answers.add(message);
                } else if (message.errno() != 0) {
                    throw new NetlinkException(request.name(), message.errno(), message.text());
                } else {
                    return answers;
                }
            }
            used += (bytes + 7) / 8 * 8;
            if (used >= buffer.byteSize()) {
                throw new NetlinkException(request.name() + ": the answer is too long");
            }
        }
    }

    @Override
    public void close() {
        socket.close();
        arena.close();
    }
}
