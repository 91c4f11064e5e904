package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.nlmsgerr;
import farsight.bindings.linux.nlmsghdr;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** One message of a datagram (netlink(7), struct nlmsghdr) with what follows its header. */
record NetlinkMessage(int type, int flags, int sequence, MemorySegment payload) {
    private static final long HEADER = Linux.NLMSG_HDRLEN();
    private static final long GENERIC_HEADER = Linux.GENL_HDRLEN();

    /** All messages of a datagram. */
    static List<NetlinkMessage> parse(MemorySegment datagram) throws NetlinkException {
        List<NetlinkMessage> messages = new ArrayList<>();
        long at = 0;
        while (datagram.byteSize() - at >= HEADER) {
            MemorySegment header = datagram.asSlice(at, HEADER);
            long length = Integer.toUnsignedLong(nlmsghdr.nlmsg_len(header));
            if (length < HEADER || length > datagram.byteSize() - at) {
                throw new NetlinkException(
                        "a message of " + length + " bytes where " + (datagram.byteSize() - at) + " are left");
            }
            messages.add(new NetlinkMessage(
                    Short.toUnsignedInt(nlmsghdr.nlmsg_type(header)),
                    Short.toUnsignedInt(nlmsghdr.nlmsg_flags(header)),
                    nlmsghdr.nlmsg_seq(header),
                    datagram.asSlice(at + HEADER, length - HEADER)));
            at += NetlinkAttribute.aligned(length);
        }
        return messages;
    }

    boolean isError() {
        return type == Linux.NLMSG_ERROR();
    }

    /** Of an error: 0 for an acknowledgement, or else a positive errno. */
    int errno() throws NetlinkException {
        if (payload.byteSize() < nlmsgerr.sizeof()) {
            throw new NetlinkException("an acknowledgement of " + payload.byteSize() + " bytes");
        }
        // Wrong on purpose for the smallest int, whose negation is itself: no errno either way.
        return Math.abs(nlmsgerr.error(payload));
    }

    /** Of an error: what the kernel says to it in words; empty when it says nothing. */
    String text() throws NetlinkException {
        if ((flags & Linux.NLM_F_ACK_TLVS()) == 0) {
            return "";
        }
        long at = nlmsgerr.sizeof();
        if ((flags & Linux.NLM_F_CAPPED()) == 0) {
            // The whole request is repeated before the attributes.
            long request = Integer.toUnsignedLong(nlmsghdr.nlmsg_len(nlmsgerr.msg(payload)));
            at += NetlinkAttribute.aligned(Math.max(request - HEADER, 0));
        }
        if (at > payload.byteSize()) {
            throw new NetlinkException("an acknowledgement that ends before its text");
        }
        return NetlinkAttribute.first(NetlinkAttribute.parse(payload.asSlice(at)), Linux.NLMSGERR_ATTR_MSG())
                .map(NetlinkAttribute::string)
                .orElse("");
    }

    /** Of a message of a generic netlink family: the command. */
    int command() throws NetlinkException {
        return Byte.toUnsignedInt(farsight.bindings.linux.genlmsghdr.cmd(generic()));
    }

    /** Of a message of a generic netlink family. */
    List<NetlinkAttribute> attributes() throws NetlinkException {
        return NetlinkAttribute.parse(generic().asSlice(GENERIC_HEADER));
    }

    private MemorySegment generic() throws NetlinkException {
        if (payload.byteSize() < GENERIC_HEADER) {
            throw new NetlinkException("a generic message of " + payload.byteSize() + " bytes");
        }
        return payload;
    }
}
