package farsight.config;

import farsight.backend.BackendProvider;
import farsight.backend.Settings;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * The client's configuration: which export becomes which device.
 *
 * @param device path of the block device, such as /dev/nbd0
 * @param blockSize bytes of a block as the kernel shall see it: 512, 1024, 2048 or 4096 (the kernel takes at most a page)
 * @param timeout after which the kernel gives a request up; zero for never
 * @param connections how many sockets the kernel gets; more than one needs a server that allows it
 * @param server where the export is, with its name
 */
public record ClientConfig(String device, int blockSize, Duration timeout, int connections, NbdUri server) {
    private static final List<Long> BLOCK_SIZES = List.of(512L, 1024L, 2048L, 4096L);
    private static final int MOST_CONNECTIONS = 64;

    /**
     * Reads a file.
     *
     * @param providers the kinds of storage that exist, by name
     * @throws ConfigException with every mistake in it
     */
    public static ClientConfig load(Path path, Map<String, BackendProvider> providers) throws IOException {
        return read(TomlFile.read(path), providers);
    }

    static ClientConfig parse(String name, String text, Map<String, BackendProvider> providers) throws IOException {
        return read(TomlFile.parse(name, text), providers);
    }

    private static ClientConfig read(TomlFile file, Map<String, BackendProvider> providers) throws ConfigException {
        Section root = file.root();
        Section nbd = section(root, "nbd");
        String device = nbd.string("file", null);
        if (nbd.isPresent() && !nbd.has("file")) {
            nbd.problem("[nbd] needs file = \"/dev/nbd0\" (or another of the kernel's nbd devices)");
        }
        long blockSize = nbd.integer("blocksize", 512, 65536, 4096);
        if (!BLOCK_SIZES.contains(blockSize)) {
            nbd.problem("blocksize", "[nbd] blocksize is " + blockSize + "; it must be 512, 1024, 2048 or 4096");
        }
        Duration timeout = nbd.duration("timeout", Duration.ZERO);
        int connections = (int) nbd.integer("connections", 1, MOST_CONNECTIONS, 1);
        nbd.rejectUnknown();

        String export = export(section(root, "backend"), providers);
        NbdUri server = server(section(root, "server"), export);
        root.rejectUnknown();
        file.finish();
        return new ClientConfig(device, (int) blockSize, timeout, connections, server);
    }

    private static Section section(Section root, String name) {
        Section section = root.table(name);
        if (!section.isPresent() && !root.has(name)) {
            root.problem("the section [" + name + "] is missing");
        }
        return section;
    }

    private static NbdUri server(Section server, String export) {
        String unix = server.string("unix", null);
        String address = server.string("address", null);
        int port = (int) server.integer("port", 1, 65535, ServerConfig.DEFAULT_PORT);
        if (unix != null && address != null) {
            server.problem("unix", "[server] has both address and unix; leave one out");
        } else if (server.isPresent() && !server.has("unix") && !server.has("address")) {
            server.problem("[server] needs address = \"...\" (or unix = \"/path\")");
        }
        server.rejectUnknown();
        return unix != null ? NbdUri.unix(unix, export) : NbdUri.tcp(address, port, export);
    }

    /** The export name that a {@code [backend]} section stands for. */
    private static String export(Section section, Map<String, BackendProvider> providers) {
        String plain = section.string("export", null);
        String name = section.string("name", null);
        if (plain != null) {
            section.rejectUnknown();
            return plain;
        }
        if (name == null) {
            if (section.isPresent() && !section.has("name") && !section.has("export")) {
                section.problem(
                        "[backend] needs name = \"...\" (a backend) or export = \"...\" (a name of the server's)");
            }
            return "";
        }
        BackendProvider provider = providers.get(name);
        if (provider == null) {
            String hint = Suggestion.of(name, providers.keySet())
                    .map(word -> "did you mean \"" + word + "\"?")
                    .orElse("there are "
                            + String.join(
                                    ", ", providers.keySet().stream().sorted().toList()));
            section.problem("name", "no backend is called \"" + name + "\"; " + hint);
            return "";
        }
        int before = section.problemCount();
        Settings settings = section.settings(provider.exportSettings());
        section.rejectUnknown();
        return section.problemCount() > before ? "" : name + ":" + provider.format(settings);
    }
}
