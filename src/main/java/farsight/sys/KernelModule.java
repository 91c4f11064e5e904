package farsight.sys;

import farsight.bindings.linux.Linux;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;

/**
 * Modules of the kernel, loaded as modprobe(8) does: what {@code modules.dep} says that one needs comes first
 * (finit_module(2)).
 */
public final class KernelModule {
    private static final Call FINIT_MODULE = Native.call("syscall", 4);
    private static final Call MEMFD = Native.call("memfd_create", 2);

    private static final List<Path> OPTIONS =
            List.of(Path.of("/etc/modprobe.d"), Path.of("/run/modprobe.d"), Path.of("/lib/modprobe.d"));

    /** Far above any module; what is larger is none. */
    private static final int LARGEST = 256 << 20;

    private final String name;
    private final Path modules;
    private final Kernel kernel;

    /** Who loads a module's file (finit_module(2)); 0 or -errno. */
    interface Kernel {
        int init(int fd, String parameters, int flags);
    }

    private KernelModule(String name, Path modules, Kernel kernel) {
        this.name = name;
        this.modules = modules;
        this.kernel = kernel;
    }

    /** A module of the running kernel. */
    public static KernelModule named(String name) {
        return of(name, Path.of("/lib/modules", release()), KernelModule::init);
    }

    /** @param modules the directory with modules.dep */
    static KernelModule of(String name, Path modules, Kernel kernel) {
        return new KernelModule(name.replace('-', '_'), modules, kernel);
    }

    private static String release() {
        try {
            return java.nio.file.Files.readString(Path.of("/proc/sys/kernel/osrelease"))
                    .strip();
        } catch (IOException e) {
            return System.getProperty("os.version");
        }
    }

    /** Whether it works already, loaded or built into the kernel. */
    public boolean isLoaded() {
        return java.nio.file.Files.isDirectory(Path.of("/sys/module", name));
    }

    /**
     * Loads it, if it is not loaded.
     *
     * @param parameters as on modprobe's command line: {@code "nbds_max=16 max_part=16"}; the options that the
     *     administrator has set for modprobe in {@code modprobe.d} come after them, where they win
     * @throws IOException one line with the remedy
     */
    public void load(String parameters) throws IOException {
        if (isLoaded()) {
            return;
        }
        List<Path> files = files();
        for (Path file : files) {
            load(file, file.equals(files.getLast()) ? (parameters + " " + options(OPTIONS)).strip() : "");
        }
    }

    /** What the files of modprobe.d(5) say in lines such as {@code options nbd nbds_max=64}. */
    String options(List<Path> directories) throws IOException {
        Map<String, Path> files = new TreeMap<>();
        for (Path directory : directories) {
            try (Stream<Path> entries = java.nio.file.Files.list(directory)) {
                // A file hides one of the same name in a later directory.
                entries.filter(file -> file.toString().endsWith(".conf"))
                        .forEach(file -> files.putIfAbsent(file.getFileName().toString(), file));
            } catch (NoSuchFileException e) {
                // Most systems have some of the directories.
            }
        }
        List<String> options = new ArrayList<>();
        for (Path file : files.values()) {
            for (String line : java.nio.file.Files.readString(file, StandardCharsets.ISO_8859_1)
                    .replace("\\\n", " ")
                    .split("\n")) {
                String[] words = line.strip().split("\\s+", 3);
                if (words.length == 3
                        && words[0].equals("options")
                        && words[1].replace('-', '_').equals(name)) {
                    options.add(words[2]);
                }
            }
        }
        return String.join(" ", options);
    }

    /**
     * Its file, with those it needs before it, in the order of loading; empty when it is built into the kernel.
     *
     * @throws IOException one line with the remedy, when the kernel has no such module
     */
    public List<Path> files() throws IOException {
        Path index = modules.resolve("modules.dep");
        if (!java.nio.file.Files.isReadable(index)) {
            throw new IOException("the kernel's driver " + name + " is not loaded, and the modules of this kernel are"
                    + " not here (" + index + "): run 'modprobe " + name + "' on the host");
        }
        Optional<String> line = line(index);
        if (line.isEmpty()) {
            if (isBuiltIn()) {
                return List.of();
            }
            throw new IOException("the kernel's driver " + name + " is not loaded, and not among its modules (" + index
                    + "): install the package with all modules of this kernel, such as linux-modules-extra or"
                    + " kernel-modules-extra");
        }
        int colon = line.get().indexOf(':');
        List<Path> files = new ArrayList<>();
        files.add(modules.resolve(line.get().substring(0, colon)));
        for (String needed : line.get().substring(colon + 1).strip().split("\\s+")) {
            if (!needed.isEmpty()) {
                // depmod writes them so that the last one needs no other.
                files.addFirst(modules.resolve(needed));
            }
        }
        return files;
    }

    private Optional<String> line(Path index) throws IOException {
        try (Stream<String> lines = java.nio.file.Files.lines(index)) {
            return lines.filter(line -> line.indexOf(':') > 0 && isMine(line.substring(0, line.indexOf(':'))))
                    .findFirst();
        }
    }

    private boolean isBuiltIn() throws IOException {
        Path index = modules.resolve("modules.builtin");
        if (!java.nio.file.Files.isReadable(index)) {
            return false;
        }
        try (Stream<String> lines = java.nio.file.Files.lines(index)) {
            return lines.anyMatch(this::isMine);
        }
    }

    /** File names have dashes where names have underscores, or not. */
    private boolean isMine(String path) {
        String file = path.substring(path.lastIndexOf('/') + 1).replace('-', '_');
        return file.startsWith(name + ".ko") && file.substring(name.length()).matches("\\.ko(\\.(gz|xz|zst))?");
    }

    private void load(Path file, String parameters) throws IOException {
        boolean compressed = !file.toString().endsWith(".ko");
        int fd = Files.open(file.toString(), Files.READ_ONLY);
        try {
            int flags = compressed ? Linux.MODULE_INIT_COMPRESSED_FILE() : 0;
            int result = kernel.init(fd, parameters, flags);
            if (compressed && (result == -Linux.EINVAL() || result == -Linux.EOPNOTSUPP())) {
                result = decompressed(file, parameters);
            }
            // Somebody else was faster.
            if (result < 0 && result != -Linux.EEXIST()) {
                throw refused(file, -result, compressed);
            }
        } finally {
            Files.close(fd);
        }
    }

    /** For kernels that cannot decompress modules (before 5.17, or built so). */
    private int decompressed(Path file, String parameters) throws IOException {
        if (!file.toString().endsWith(".gz")) {
            return -Linux.EOPNOTSUPP();
        }
        byte[] module;
        try (InputStream in = new GZIPInputStream(java.nio.file.Files.newInputStream(file))) {
            module = in.readNBytes(LARGEST);
        }
        int fd = memory(file.getFileName().toString(), module);
        try {
            return kernel.init(fd, parameters, 0);
        } finally {
            Files.close(fd);
        }
    }

    static int init(int fd, String parameters, int flags) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            long text = arena.allocateFrom(parameters).address();
            long number = Linux.SYS_finit_module();
            return (int) state.check(FINIT_MODULE.invoke(state, number, (long) fd, text, (long) flags));
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    /** A file that is nowhere but in memory. */
    private static int memory(String name, byte[] content) throws ErrnoException {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            long text = arena.allocateFrom(name).address();
            int flags = Linux.MFD_CLOEXEC();
            int fd = ErrnoException.check("memfd_create", state.check((int) MEMFD.invoke(state, text, flags)));
            MemorySegment bytes = arena.allocateFrom(ValueLayout.JAVA_BYTE, content);
            for (long at = 0; at < content.length; ) {
                long written = Files.pwrite(state, fd, bytes.address() + at, content.length - at, at);
                if (written < 0) {
                    Files.close(fd);
                }
                at += ErrnoException.check("write memory", written);
            }
            return fd;
        } catch (ErrnoException e) {
            throw e;
        } catch (Throwable e) {
            throw Native.impossible(e);
        }
    }

    private static IOException refused(Path file, int errno, boolean compressed) {
        String remedy;
        if (errno == Linux.EPERM() || errno == Linux.EACCES()) {
            remedy = "run as root (CAP_SYS_MODULE) where the kernel still takes modules (kernel.modules_disabled), or"
                    + " load it beforehand with 'modprobe'";
        } else if (errno == Linux.EKEYREJECTED() || errno == Linux.ENOKEY()) {
            remedy = "the kernel only takes modules with a signature it knows (secure boot): use the distribution's"
                    + " own, or sign it";
        } else if (errno == Linux.ENOEXEC()) {
            remedy = "it is not made for this kernel; see 'dmesg', and run 'depmod' after installing modules";
        } else if (compressed && (errno == Linux.EINVAL() || errno == Linux.EOPNOTSUPP())) {
            remedy = "this kernel cannot decompress modules itself: run 'modprobe' beforehand";
        } else {
            remedy = "see 'dmesg'";
        }
        return new IOException("cannot load " + file + ": " + ErrnoException.describe(errno) + "; " + remedy);
    }
}
