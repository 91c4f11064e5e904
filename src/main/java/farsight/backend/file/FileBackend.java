package farsight.backend.file;

import farsight.backend.Backend;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Settings;
import farsight.config.Sizes;
import farsight.sys.ErrnoException;
import farsight.sys.Files;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;

/** The files of one server. */
final class FileBackend implements Backend {
    private static final int LISTED_DEPTH = 4;
    private static final int MOST_LISTED = 1000;

    private final String root;

    /** @param root where files that clients name are looked for; null when they may name none */
    FileBackend(String root) {
        this.root = root;
    }

    @Override
    public Device open(Settings export) throws IOException {
        String path = export.string("path").orElseThrow();
        boolean create = export.flag("create");
        OptionalLong size = export.number("size");
        if (create && size.isEmpty()) {
            throw new DeviceException(Errno.EINVAL, path + ": create = true needs size = \"...\" as well");
        }
        int flags = (export.flag("read_only") ? Files.READ_ONLY : Files.READ_WRITE)
                | (export.flag("direct") ? Files.DIRECT : 0);
        int fd = create ? openOrCreate(path, flags, size.getAsLong()) : open(path, flags);
        return device(fd, path, export);
    }

    @Override
    public Device openTyped(Settings export) throws IOException {
        String path = export.string("path").orElseThrow();
        if (root == null) {
            throw new DeviceException(
                    Errno.EPERM, "files cannot be named by clients here: the server's [file] section has no root");
        }
        int directory = Files.openDirectory(root);
        try {
            // A name that begins with a slash would be no name below the root.
            int fd = Files.openBeneath(directory, path.replaceFirst("^/+", ""), Files.READ_WRITE);
            return device(fd, path, export);
        } catch (ErrnoException e) {
            throw explained(path, e);
        } finally {
            Files.close(directory);
        }
    }

    /** The files below the root, as clients name them; not those that would be reached through symbolic links. */
    @Override
    public List<String> list() throws IOException {
        if (root == null) {
            return List.of();
        }
        Path top = Path.of(root);
        try (Stream<Path> files = java.nio.file.Files.walk(top, LISTED_DEPTH)) {
            return files.filter(file -> java.nio.file.Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS))
                    .map(file -> top.relativize(file).toString())
                    .filter(FileBackend::canBeNamed)
                    .limit(MOST_LISTED)
                    .sorted()
                    .toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /** Hidden files are not shown, and some names are not what the protocol allows. */
    private static boolean canBeNamed(String name) {
        return !name.startsWith(".") && !name.contains("/.") && name.indexOf('\ufffd') < 0 && name.length() < 1024;
    }

    private static int open(String path, int flags) throws IOException {
        try {
            return Files.open(path, flags);
        } catch (ErrnoException e) {
            throw explained(path, e);
        }
    }

    private static int openOrCreate(String path, int flags, long size) throws IOException {
        try {
            int fd = Files.open(path, flags | Files.CREATE | Files.EXCLUSIVE);
            try {
                Files.truncate(fd, size);
            } catch (ErrnoException e) {
                Files.close(fd);
                throw explained(path, e);
            }
            return fd;
        } catch (ErrnoException e) {
            // It is there already, or cannot be made: opening it tells which.
            return open(path, flags);
        }
    }

    private static Device device(int fd, String path, Settings export) throws IOException {
        try {
            Files.Kind kind = Files.kind(fd);
            if (!kind.isRegular() && !kind.isBlockDevice()) {
                throw new DeviceException(Errno.EINVAL, path + ": is neither a regular file nor a block device");
            }
            OptionalLong size = export.number("size");
            if (size.isPresent() && size.getAsLong() != kind.size()) {
                throw new DeviceException(
                        Errno.EINVAL,
                        path + ": has " + Sizes.format(kind.size()) + " and not the configured size of "
                                + Sizes.format(size.getAsLong()) + "; correct size, or resize the file");
            }
            return new FileDevice(fd, path, kind, export.flag("read_only"), export.flag("direct"));
        } catch (IOException | RuntimeException e) {
            Files.close(fd);
            throw e;
        }
    }

    /** What a failed open means for a person, and for the client. */
    private static DeviceException explained(String path, ErrnoException e) {
        int errno = e.errno();
        if (errno == Files.EXDEV || errno == Files.ELOOP) {
            return new DeviceException(Errno.EPERM, path + ": leads out of the server's root directory", e);
        }
        if (errno == Files.ENOENT) {
            return new DeviceException(
                    Errno.EINVAL, path + ": no such file; make it, or set create = true and size", e);
        }
        if (errno == Files.EACCES || errno == Files.EROFS) {
            return new DeviceException(
                    Errno.EPERM,
                    path + ": " + ErrnoException.describe(errno) + "; check its owner and mode, or set read_only",
                    e);
        }
        if (errno == Files.EINVAL) {
            return new DeviceException(
                    Errno.EINVAL, path + ": cannot be opened so; the file system may not support direct = true", e);
        }
        return new DeviceException(errno, path + ": " + ErrnoException.describe(errno), e);
    }
}
