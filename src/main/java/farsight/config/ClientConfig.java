package farsight.config;

import farsight.backend.BackendProvider;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The client's configuration: which export becomes which device.
 *
 * @param device which device, and how
 * @param server where the export is, with its name
 */
public record ClientConfig(DeviceConfig device, NbdUri server) {
    /** The kernel's block layer takes powers of two from 512 to a page, and the smallest page has 4096 bytes. */
    private static final List<Long> BLOCK_SIZES = List.of(512L, 1024L, 2048L, 4096L);

    private static final List<String> ATTACH = List.of("auto", "netlink", "ioctl");
    private static final int MOST_CONNECTIONS = 64;
    private static final Duration MOST_TIMEOUT = Duration.ofHours(24);

    /** The name of the export, as it is sent to the server. */
    public String exportName() {
        return server.export();
    }

    /**
     * Reads a file, whose keys may be overridden by variables of the environment.
     *
     * @param providers the kinds of storage that exist, by name
     * @throws ConfigException with every mistake in it
     */
    public static ClientConfig load(Path path, Map<String, BackendProvider> providers) throws IOException {
        return read(TomlFile.read(path, Environment.ofThisProcess()), providers);
    }

    static ClientConfig parse(String name, String text, Map<String, BackendProvider> providers) throws IOException {
        return parse(name, text, Environment.EMPTY, providers);
    }

    static ClientConfig parse(String name, String text, Environment environment, Map<String, BackendProvider> providers)
            throws IOException {
        return read(TomlFile.parse(name, text, environment), providers);
    }

    private static ClientConfig read(TomlFile file, Map<String, BackendProvider> providers) throws ConfigException {
        Section root = file.root();
        Section nbd = root.requiredTable("nbd");
        Section address = root.requiredTable("server");
        Section backend = root.requiredTable("backend");

        BackendSection storage = new BackendSection(backend, providers);
        DeviceConfig device = device(nbd, storage.readOnly());
        nbd.rejectUnknown();
        NbdUri server = server(address, storage.exportName());
        if (device.swap() && server.tls() != null) {
            nbd.problem(
                    "swap",
                    "[nbd] swap does not go with TLS: what is swapped out would pass through this process, which may"
                            + " have to wait for memory itself");
        }
        root.rejectUnknown();
        file.finish();
        return new ClientConfig(device, server);
    }

    private static DeviceConfig device(Section nbd, boolean readOnly) {
        DeviceConfig preset = DeviceConfig.DEFAULT;
        DeviceConfig.Attach attach = attach(nbd);
        Duration reconnect = time(nbd, "reconnect", preset.reconnect());
        return new DeviceConfig(
                file(nbd, attach),
                attach,
                blockSize(nbd),
                nbd.has("connections") ? (int) nbd.integer("connections", 1, MOST_CONNECTIONS, 1) : 0,
                time(nbd, "timeout", preset.timeout()),
                time(nbd, "dead_timeout", reconnect),
                reconnect,
                nbd.flag("read_only", false) || readOnly,
                nbd.flag("swap", false),
                time(nbd, "resize_poll", preset.resizePoll()),
                queue(nbd));
    }

    /** The names are those of files, and lead nowhere else. */
    private static Map<String, String> queue(Section nbd) {
        Map<String, String> queue = nbd.texts("queue");
        queue.keySet().stream()
                .filter(name -> !name.matches("[a-z][a-z0-9_]*"))
                .findFirst()
                .ifPresent(name -> nbd.problem(
                        "queue",
                        "[nbd] queue: \"" + Values.shorten(name)
                                + "\" is not the name of a setting; they are the files of" + " /sys/block/nbd0/queue"));
        return queue;
    }

    private static Duration time(Section nbd, String key, Duration otherwise) {
        return nbd.duration(key, Duration.ZERO, MOST_TIMEOUT, otherwise);
    }

    private static DeviceConfig.Attach attach(Section nbd) {
        String attach = nbd.string("attach", "auto");
        if (!ATTACH.contains(attach)) {
            nbd.problem(
                    "attach",
                    "[nbd] attach is \"" + Values.shorten(attach) + "\"; it must be \"auto\", \"netlink\" or"
                            + " \"ioctl\"");
            return DeviceConfig.Attach.AUTO;
        }
        return DeviceConfig.Attach.valueOf(attach.toUpperCase(Locale.ROOT));
    }

    private static String file(Section nbd, DeviceConfig.Attach attach) {
        String file = nbd.string("file", null);
        if (attach == DeviceConfig.Attach.IOCTL && !nbd.has("file")) {
            nbd.problem("[nbd] needs file = \"/dev/nbd0\" (or another of the kernel's nbd devices) with attach ="
                    + " \"ioctl\"; only netlink finds a free one");
        } else if (file != null && !file.startsWith("/")) {
            nbd.problem(
                    "file",
                    "[nbd] file \"" + Values.shorten(file) + "\" is not the path of a device; write it like /dev/nbd0");
        }
        return file;
    }

    private static int blockSize(Section nbd) {
        if (!nbd.has("blocksize")) {
            return 0;
        }
        long blockSize = nbd.integer("blocksize", Long.MIN_VALUE, Long.MAX_VALUE, 512);
        if (!BLOCK_SIZES.contains(blockSize)) {
            nbd.problem(
                    "blocksize",
                    "[nbd] blocksize is " + blockSize
                            + "; it must be 512, 1024, 2048 or 4096 (the kernel takes powers of two up to a page)");
        }
        return (int) blockSize;
    }

    private static NbdUri server(Section server, String export) {
        String unix = server.string("unix", null);
        String address = server.string("address", null);
        int port = (int) server.integer("port", 1, 65535, ServerConfig.DEFAULT_PORT);
        if (server.has("unix") && (server.has("address") || server.has("port"))) {
            server.problem("unix", "[server] has a TCP address or port and unix; leave one out");
        } else if (server.isPresent() && !server.has("unix") && !server.has("address")) {
            server.problem("[server] needs address = \"...\" (or unix = \"/path\")");
        }
        if (unix != null && !ListenAddress.Unix.fits(unix)) {
            server.problem("unix", "[server] unix must be a path of 1 to " + ListenAddress.Unix.LONGEST + " bytes");
        }
        if (address != null) {
            Host.problem(address)
                    .ifPresent(problem -> server.problem(
                            "address", "[server] address \"" + Values.shorten(address) + "\" " + problem));
        }
        TlsPlace tls = tls(server);
        server.rejectUnknown();
        NbdUri clear = unix != null ? NbdUri.unix(unix, export) : NbdUri.tcp(address, port, export);
        return new NbdUri(clear.host(), clear.port(), clear.socket(), clear.export(), tls);
    }

    /** The parameters of {@code nbds://} as keys; null for no TLS. */
    private static TlsPlace tls(Section server) {
        String tls = server.string("tls", "off");
        String certificates = server.string("tls_certificates", null);
        String hostname = server.string("tls_hostname", null);
        boolean verify = server.flag("tls_verify_peer", true);
        if (tls.equals("require")) {
            if (hostname != null && hostname.isEmpty()) {
                server.problem("tls_hostname", "[server] tls_hostname must be a name or an address");
            }
            if (certificates != null && (certificates.isEmpty() || certificates.indexOf('\0') >= 0)) {
                server.problem("tls_certificates", "[server] tls_certificates must be a directory");
            }
            return new TlsPlace(certificates, hostname, verify);
        }
        if (!tls.equals("off")) {
            server.problem(
                    "tls",
                    "[server] tls is \"" + Values.shorten(tls) + "\"; for a client it must be \"off\" or \"require\"");
            return null;
        }
        for (String key : List.of("tls_certificates", "tls_hostname", "tls_verify_peer")) {
            if (server.has(key)) {
                server.problem(key, "[server] " + key + " goes with tls = \"require\"");
            }
        }
        return null;
    }
}
