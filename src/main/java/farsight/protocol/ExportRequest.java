package farsight.protocol;

import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.TreeSet;

/**
 * Which export a client asks for (proto.md, NBD_OPT_EXPORT_NAME, NBD_OPT_INFO, NBD_OPT_GO).
 *
 * @param name empty for the default export
 * @param information NBD_INFO_* that it wants to know
 */
public record ExportRequest(String name, Set<Integer> information) {

    /** The data of NBD_OPT_EXPORT_NAME: the name and nothing else. */
    public static ExportRequest named(MemorySegment data) throws ProtocolException {
        return new ExportRequest(Text.read(data, "export name"), Set.of());
    }

    /** The data of NBD_OPT_INFO and NBD_OPT_GO. Inner lengths must fill the outer one exactly. */
    public static ExportRequest parse(MemorySegment data) throws ProtocolException {
        if (data.byteSize() < 6) {
            throw new ProtocolException("the option has " + data.byteSize() + " bytes; at least 6 are needed");
        }
        long nameLength = Integer.toUnsignedLong(data.get(Wire.INT, 0));
        if (nameLength > data.byteSize() - 6) {
            throw new ProtocolException(
                    "the export name is said to have " + nameLength + " bytes in an option of " + data.byteSize());
        }
        String name = Text.read(data.asSlice(4, nameLength), "export name");
        int count = Short.toUnsignedInt(data.get(Wire.SHORT, 4 + nameLength));
        if (4 + nameLength + 2 + 2L * count != data.byteSize()) {
            throw new ProtocolException("the option is said to have " + count + " information requests in "
                    + (data.byteSize() - nameLength - 6) + " bytes");
        }
        Set<Integer> information = new TreeSet<>();
        for (int i = 0; i < count; i++) {
            information.add(Short.toUnsignedInt(data.get(Wire.SHORT, 4 + nameLength + 2 + 2L * i)));
        }
        return new ExportRequest(name, information);
    }

    public boolean wants(int type) {
        return information.contains(type);
    }
}
