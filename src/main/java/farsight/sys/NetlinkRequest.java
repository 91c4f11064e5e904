package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.genlmsghdr;
import farsight.bindings.linux.nlattr;
import farsight.bindings.linux.nlmsghdr;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** A request to a generic netlink family while it is written; the kernel acknowledges it. */
final class NetlinkRequest {
    /** More than any request needs: the longest identifier, and sockets. */
    static final int CAPACITY = 16 << 10;

    private static final long LONGEST_ATTRIBUTE = 0xffff;

    private final MemorySegment memory;
    private final String name;
    private long end = Linux.NLMSG_HDRLEN() + Linux.GENL_HDRLEN();

    /** @param name of the request, for messages */
    NetlinkRequest(Arena arena, String name, int family, int command, int version) {
        this.name = name;
        memory = arena.allocate(CAPACITY, 8);
        nlmsghdr.nlmsg_type(memory, (short) family);
        nlmsghdr.nlmsg_flags(memory, (short) (Linux.NLM_F_REQUEST() | Linux.NLM_F_ACK()));
        MemorySegment generic = memory.asSlice(Linux.NLMSG_HDRLEN());
        genlmsghdr.cmd(generic, (byte) command);
        genlmsghdr.version(generic, (byte) version);
    }

    String name() {
        return name;
    }

    NetlinkRequest u32(int type, int value) {
        attribute(type, 4).set(ValueLayout.JAVA_INT_UNALIGNED, 0, value);
        return this;
    }

    NetlinkRequest u64(int type, long value) {
        attribute(type, 8).set(ValueLayout.JAVA_LONG_UNALIGNED, 0, value);
        return this;
    }

    /** Text, ended by a NUL. */
    NetlinkRequest string(int type, String value) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        MemorySegment.copy(bytes, 0, attribute(type, bytes.length + 1L), ValueLayout.JAVA_BYTE, 0, bytes.length);
        return this;
    }

    /** Begins an attribute of attributes; what comes next is in it, until {@link #close} with the result. */
    long open(int type) {
        long at = end;
        attribute(type, 0);
        return at;
    }

    NetlinkRequest close(long opened) {
        nlattr.nla_len(memory.asSlice(opened), (short) length(end - opened));
        return this;
    }

    private MemorySegment attribute(int type, long bytes) {
        long length = NetlinkAttribute.HEADER + bytes;
        if (NetlinkAttribute.aligned(length) > memory.byteSize() - end) {
            throw new IllegalArgumentException("a netlink request of more than " + CAPACITY + " bytes");
        }
        MemorySegment header = memory.asSlice(end, length);
        nlattr.nla_len(header, (short) length(length));
        nlattr.nla_type(header, (short) type);
        end += NetlinkAttribute.aligned(length);
        return header.asSlice(NetlinkAttribute.HEADER);
    }

    private static long length(long length) {
        if (length > LONGEST_ATTRIBUTE) {
            throw new IllegalArgumentException("a netlink attribute of " + length + " bytes");
        }
        return length;
    }

    /** The whole message. */
    MemorySegment message(int sequence) {
        nlmsghdr.nlmsg_seq(memory, sequence);
        nlmsghdr.nlmsg_len(memory, (int) end);
        return memory.asSlice(0, end);
    }
}
