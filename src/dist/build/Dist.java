import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;

/**
 * Makes what is installed where there is no Java: {@code Dist PROJECT TARGET} turns TARGET/farsight into
 * farsight-VERSION-linux-ARCHITECTURE.tar.gz and farsight_VERSION_ARCHITECTURE.deb. The same sources and the same JDK
 * give the same packages, but for the start-up archive, which holds what a start came to load.
 */
final class Dist {
    /** More than what Farsight's own modules ask for: elliptic curves for TLS, and the flight recorder. */
    private static final String MODULES = "farsight,jdk.crypto.ec,jdk.jfr";

    private static final String VERSION = System.getProperty("farsight.version");
    private static final Instant TIME = Instant.parse(System.getProperty("farsight.time"));
    private static final String ARCHITECTURE = switch (System.getProperty("os.arch")) {
        case "aarch64" -> "arm64";
        case String other -> other;
    };

    private final Path project;
    private final Path target;

    private Dist(Path project, Path target) {
        this.project = project;
        this.target = target;
    }

    public static void main(String[] arguments) throws Exception {
        new Dist(Path.of(arguments[0]), Path.of(arguments[1])).make();
    }

    private void make() throws Exception {
        Path all = target.resolve("dist");
        delete(all);
        String name = "farsight-" + VERSION + "-linux-" + ARCHITECTURE;
        Path image = all.resolve(name);
        image(image);
        try (OutputStream out = Files.newOutputStream(target.resolve(name + ".tar.gz"))) {
            out.write(archive(all, List.of(name)));
        }
        Path root = all.resolve("root");
        install(image, root);
        deb(root, target.resolve("farsight_" + debianVersion() + "_" + ARCHITECTURE + ".deb"));
        delete(root);
    }

    // ---- the image ------------------------------------------------------------------------------------------------

    private void image(Path image) throws Exception {
        Files.createDirectories(image.resolve("lib"));
        ToolProvider jlink = ToolProvider.findFirst("jlink")
                .orElseThrow(() -> new IOException(System.getProperty("java.home") + " has no jlink"));
        int status = jlink.run(
                System.out,
                System.err,
                "--module-path=" + target.resolve("farsight/lib"),
                "--add-modules=" + MODULES,
                "--add-options=--enable-native-access=farsight",
                "--no-header-files",
                "--no-man-pages",
                "--compress=zip-0",
                "--output=" + image.resolve("runtime"));
        if (status != 0) {
            throw new IOException("jlink ended with status " + status);
        }
        copy(target.resolve("farsight/bin"), image.resolve("bin"));
        copy(project.resolve("LICENSE"), image.resolve("LICENSE"));
        for (String folder : List.of("systemd", "udev", "tmpfiles", "sysusers")) {
            if (Files.isDirectory(project.resolve("src/dist/" + folder))) {
                copy(project.resolve("src/dist/" + folder), image.resolve(folder));
            }
        }
        try (Stream<Path> examples = Files.list(project.resolve("examples"))) {
            for (Path example :
                    examples.filter(file -> file.toString().endsWith(".toml")).toList()) {
                copy(example, image.resolve("examples").resolve(example.getFileName()));
            }
        }
        java(
                "-cp",
                target.resolve("farsight/lib") + "/*",
                tool("Manual"),
                image.resolve("share").toString(),
                TIME.atZone(ZoneOffset.UTC).toLocalDate().toString(),
                VERSION);
        // The archive remembers the time of the image that it was made for.
        settle(image);
        java(tool("StartupArchive"), image.toString());
        settle(image);
    }

    private String tool(String name) {
        return project.resolve("src/dist/build/" + name + ".java").toString();
    }

    private static void java(String... words) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin/java").toString()));
        command.addAll(List.of("-XX:TieredStopAtLevel=1", "-Xshare:auto"));
        command.addAll(List.of(words));
        int status = new ProcessBuilder(command).inheritIO().start().waitFor();
        if (status != 0) {
            throw new IOException("exit status " + status + " of " + String.join(" ", command));
        }
    }

    /** Permissions and times that do not depend on who builds when. */
    private static void settle(Path root) throws IOException {
        for (Path path : all(root)) {
            if (Files.isSymbolicLink(path)) {
                continue;
            }
            boolean open = Files.isDirectory(path)
                    || Files.getPosixFilePermissions(path).contains(PosixFilePermission.OWNER_EXECUTE);
            Set<PosixFilePermission> permissions = PosixFilePermissions.fromString(open ? "rwxr-xr-x" : "rw-r--r--");
            Files.setPosixFilePermissions(path, permissions);
            Files.setLastModifiedTime(path, FileTime.from(TIME));
        }
    }

    // ---- the Debian package ---------------------------------------------------------------------------------------

    private static String debianVersion() {
        return VERSION.replace('-', '~');
    }

    /** Where Debian wants it all. */
    private void install(Path image, Path root) throws IOException {
        copy(image.resolve("bin"), root.resolve("usr/lib/farsight/bin"));
        copy(image.resolve("lib"), root.resolve("usr/lib/farsight/lib"));
        copy(image.resolve("runtime"), root.resolve("usr/lib/farsight/runtime"));
        copy(image.resolve("share"), root.resolve("usr/share"));
        copy(image.resolve("examples"), root.resolve("usr/share/doc/farsight/examples"));
        copy(project.resolve("src/dist/deb/copyright"), root.resolve("usr/share/doc/farsight/copyright"));
        place(image.resolve("systemd"), root.resolve("usr/lib/systemd/system"));
        place(image.resolve("udev"), root.resolve("usr/lib/udev/rules.d"));
        place(image.resolve("tmpfiles"), root.resolve("usr/lib/tmpfiles.d"));
        place(image.resolve("sysusers"), root.resolve("usr/lib/sysusers.d"));
        Files.createDirectories(root.resolve("etc/farsight"));
        Files.createDirectories(root.resolve("usr/bin"));
        Files.createSymbolicLink(root.resolve("usr/bin/farsight"), Path.of("../lib/farsight/bin/farsight"));
        settle(root);
    }

    private static void place(Path from, Path to) throws IOException {
        if (Files.isDirectory(from)) {
            copy(from, to);
        }
    }

    private void deb(Path root, Path deb) throws IOException {
        Path control = root.resolveSibling("control");
        Files.createDirectories(control);
        Files.writeString(
                control.resolve("control"),
                Files.readString(project.resolve("src/dist/deb/control"))
                        .replace("${version}", debianVersion())
                        .replace("${architecture}", ARCHITECTURE)
                        .replace("${kibibytes}", Long.toString(size(root) / 1024)));
        Files.writeString(control.resolve("md5sums"), sums(root));
        for (String script : List.of("postinst", "postrm")) {
            copy(project.resolve("src/dist/deb").resolve(script), control.resolve(script));
            Files.setPosixFilePermissions(control.resolve(script), PosixFilePermissions.fromString("rwxr-xr-x"));
        }
        settle(control);
        try (OutputStream out = Files.newOutputStream(deb)) {
            out.write("!<arch>\n".getBytes(StandardCharsets.US_ASCII));
            member(out, "debian-binary", "2.0\n".getBytes(StandardCharsets.US_ASCII));
            member(out, "control.tar.gz", archive(control, List.of(".")));
            member(out, "data.tar.gz", archive(root, List.of(".")));
        }
        delete(control);
    }

    private static long size(Path root) throws IOException {
        long size = 0;
        for (Path path : all(root)) {
            size += Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS) ? Files.size(path) : 1024;
        }
        return size;
    }

    private static String sums(Path root) throws IOException {
        StringBuilder sums = new StringBuilder();
        for (Path path : all(root)) {
            if (Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
                try {
                    byte[] sum = MessageDigest.getInstance("MD5").digest(Files.readAllBytes(path));
                    sums.append(HexFormat.of().formatHex(sum))
                            .append("  ")
                            .append(root.relativize(path))
                            .append('\n');
                } catch (java.security.NoSuchAlgorithmException e) {
                    throw new IOException(e);
                }
            }
        }
        return sums.toString();
    }

    /** A member of an ar(5) archive. */
    private static void member(OutputStream out, String name, byte[] bytes) throws IOException {
        out.write("%-16s%-12d%-6d%-6d%-8s%-10d`\n"
                .formatted(name, TIME.getEpochSecond(), 0, 0, "100644", bytes.length)
                .getBytes(StandardCharsets.US_ASCII));
        out.write(bytes);
        if (bytes.length % 2 == 1) {
            out.write('\n');
        }
    }

    // ---- tar ------------------------------------------------------------------------------------------------------

    /** A compressed tar archive, in the format of POSIX (ustar), of what lies in a folder below the given names. */
    private static byte[] archive(Path folder, List<String> names) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = new GZIPOutputStream(bytes)) {
            for (String name : names) {
                for (Path path : all(folder.resolve(name).normalize())) {
                    String relative = folder.relativize(path).toString();
                    entry(out, path, name.equals(".") ? "./" + relative : relative);
                }
            }
            out.write(new byte[1024]);
        }
        return bytes.toByteArray();
    }

    private static void entry(OutputStream out, Path path, String name) throws IOException {
        boolean link = Files.isSymbolicLink(path);
        boolean directory = !link && Files.isDirectory(path);
        byte[] content = link || directory ? new byte[0] : Files.readAllBytes(path);
        String full = directory && !name.endsWith("/") ? name + "/" : name;
        String prefix = "";
        if (full.length() > 100) {
            int cut = full.indexOf('/', full.length() - 101);
            prefix = full.substring(0, cut);
            full = full.substring(cut + 1);
        }
        byte[] header = new byte[512];
        put(header, 0, full);
        boolean open = directory || link || Files.isExecutable(path);
        put(header, 100, open ? "0000755" : "0000644");
        put(header, 108, "0000000");
        put(header, 116, "0000000");
        put(header, 124, "%011o".formatted(content.length));
        put(header, 136, "%011o".formatted(TIME.getEpochSecond()));
        put(header, 148, "        ");
        put(header, 156, directory ? "5" : link ? "2" : "0");
        put(header, 157, link ? Files.readSymbolicLink(path).toString() : "");
        put(header, 257, "ustar");
        put(header, 263, "00");
        put(header, 265, "root");
        put(header, 297, "root");
        put(header, 345, prefix);
        int sum = 0;
        for (byte value : header) {
            sum += value & 0xff;
        }
        put(header, 148, "%06o\0 ".formatted(sum));
        out.write(header);
        out.write(content);
        out.write(new byte[Math.floorMod(-content.length, 512)]);
    }

    private static void put(byte[] header, int at, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        System.arraycopy(bytes, 0, header, at, bytes.length);
    }

    // ---- files ----------------------------------------------------------------------------------------------------

    /** A path and all below it, parents first, in an order that is always the same. */
    private static List<Path> all(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            return files.sorted().toList();
        }
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to.getParent());
        for (Path path : all(from)) {
            Path copy = to.resolve(from.relativize(path).toString());
            if (Files.isDirectory(path) && Files.isDirectory(copy)) {
                continue;
            }
            Files.copy(path, copy, StandardCopyOption.COPY_ATTRIBUTES, LinkOption.NOFOLLOW_LINKS);
        }
    }

    private static void delete(Path root) throws IOException {
        if (Files.exists(root, LinkOption.NOFOLLOW_LINKS)) {
            for (Path path : all(root).reversed()) {
                Files.delete(path);
            }
        }
    }
}
