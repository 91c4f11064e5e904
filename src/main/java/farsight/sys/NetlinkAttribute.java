package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.nlattr;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A type, a length and a value (netlink(7), struct nlattr). What is read stays within the memory it was found in,
 * whatever its lengths say.
 */
record NetlinkAttribute(int type, MemorySegment value) {
    static final long HEADER = Linux.NLA_HDRLEN();

    /** Attributes begin at multiples of this. */
    static final long ALIGNMENT = Linux.NLA_ALIGNTO();

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    /** All attributes of a payload; what is left over and too small for one must be padding. */
    static List<NetlinkAttribute> parse(MemorySegment payload) throws NetlinkException {
        List<NetlinkAttribute> attributes = new ArrayList<>();
        long at = 0;
        while (payload.byteSize() - at >= HEADER) {
            MemorySegment header = payload.asSlice(at, HEADER);
            long length = Short.toUnsignedInt(nlattr.nla_len(header));
            if (length < HEADER || length > payload.byteSize() - at) {
                throw new NetlinkException(
                        "an attribute of " + length + " bytes where " + (payload.byteSize() - at) + " are left");
            }
            int type = Short.toUnsignedInt(nlattr.nla_type(header)) & Linux.NLA_TYPE_MASK();
            attributes.add(new NetlinkAttribute(type, payload.asSlice(at + HEADER, length - HEADER)));
            at += aligned(length);
        }
        return attributes;
    }

    /** The first of a type. */
    static Optional<NetlinkAttribute> first(List<NetlinkAttribute> attributes, int type) {
        return attributes.stream().filter(attribute -> attribute.type() == type).findFirst();
    }

    /** The first of a type, which must be there. */
    static NetlinkAttribute required(List<NetlinkAttribute> attributes, int type) throws NetlinkException {
        return first(attributes, type).orElseThrow(() -> new NetlinkException("an answer without attribute " + type));
    }

    static long aligned(long length) {
        return (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    int u8() throws NetlinkException {
        return Byte.toUnsignedInt(sized(1).get(ValueLayout.JAVA_BYTE, 0));
    }

    int u16() throws NetlinkException {
        return Short.toUnsignedInt(sized(2).get(ValueLayout.JAVA_SHORT_UNALIGNED, 0));
    }

    int u32() throws NetlinkException {
        return sized(4).get(INT, 0);
    }

    private MemorySegment sized(long bytes) throws NetlinkException {
        if (value.byteSize() != bytes) {
            throw new NetlinkException("attribute " + type + " has " + value.byteSize() + " bytes, not " + bytes);
        }
        return value;
    }

    /** Text up to the first NUL, or all of it. */
    String string() {
        byte[] bytes = value.toArray(ValueLayout.JAVA_BYTE);
        int end = 0;
        while (end < bytes.length && bytes[end] != 0) {
            end++;
        }
        return new String(bytes, 0, end, StandardCharsets.UTF_8);
    }

    List<NetlinkAttribute> nested() throws NetlinkException {
        return parse(value);
    }
}
