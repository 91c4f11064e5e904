import java.io.IOException;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.ModuleVisitor;
import org.objectweb.asm.Opcodes;

/**
 * Copies the libraries that Farsight needs, made fit for packaging: {@code Libraries FROM TO}. Class files in the format
 * of Java 5 would be left out of the start-up archive, so that they are raised to that of Java 8; a library without a
 * module descriptor could not become part of a run-time image, so that it is given one. Code stays what it is.
 */
final class Libraries {
    /** The oldest format that the verifier checks by the frames that are computed here. */
    private static final int FORMAT = Opcodes.V1_8;

    private static final LocalDateTime TIME = LocalDateTime.of(2026, 1, 1, 0, 0);

    private Libraries() {}

    public static void main(String[] arguments) throws IOException {
        Path to = Path.of(arguments[1]);
        Files.createDirectories(to);
        try (Stream<Path> all = Files.list(Path.of(arguments[0]))) {
            for (Path jar : all.sorted().toList()) {
                copy(jar, to.resolve(jar.getFileName()));
            }
        }
    }

    private static void copy(Path from, Path to) throws IOException {
        try (JarFile jar = new JarFile(from.toFile());
                URLClassLoader loader =
                        new URLClassLoader(new URL[] {from.toUri().toURL()});
                OutputStream file = Files.newOutputStream(to);
                ZipOutputStream out = new ZipOutputStream(file)) {
            List<JarEntry> entries = jar.stream()
                    .filter(entry -> !entry.isDirectory())
                    .sorted(Comparator.comparing(JarEntry::getName))
                    .toList();
            String automatic = jar.getManifest().getMainAttributes().getValue("Automatic-Module-Name");
            TreeSet<String> packages = new TreeSet<>();
            boolean described = false;
            for (JarEntry entry : entries) {
                String name = entry.getName();
                byte[] bytes = jar.getInputStream(entry).readAllBytes();
                if (name.endsWith("module-info.class")) {
                    described = true;
                } else if (name.endsWith(".class") && !name.startsWith("META-INF/")) {
                    packages.add(name.substring(0, name.lastIndexOf('/')));
                    bytes = raised(bytes, loader);
                }
                put(out, name, bytes);
            }
            if (!described && automatic != null) {
                put(out, "module-info.class", descriptor(automatic, packages));
            }
        }
    }

    private static void put(ZipOutputStream out, String name, byte[] bytes) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setTimeLocal(TIME);
        out.putNextEntry(entry);
        out.write(bytes);
        out.closeEntry();
    }

    private static byte[] raised(byte[] bytes, ClassLoader loader) {
        ClassReader reader = new ClassReader(bytes);
        if (reader.readShort(6) >= FORMAT) {
            return bytes;
        }
        ClassWriter writer = new ClassWriter(ClassWriter.COMPUTE_FRAMES) {
            @Override
            protected ClassLoader getClassLoader() {
                return loader;
            }
        };
        reader.accept(
                new ClassVisitor(Opcodes.ASM9, writer) {
                    @Override
                    public void visit(
                            int version, int access, String name, String signature, String parent, String[] types) {
                        super.visit(FORMAT, access, name, signature, parent, types);
                    }
                },
                0);
        return writer.toByteArray();
    }

    /** Exports what is not called internal, and needs nothing but java.base: enough for what is packaged today. */
    private static byte[] descriptor(String module, TreeSet<String> packages) {
        ClassWriter writer = new ClassWriter(0);
        writer.visit(Opcodes.V9, Opcodes.ACC_MODULE, "module-info", null, null, null);
        ModuleVisitor descriptor = writer.visitModule(module, 0, null);
        descriptor.visitRequire("java.base", Opcodes.ACC_MANDATED, null);
        packages.stream().filter(name -> !name.contains("/internal")).forEach(name -> descriptor.visitExport(name, 0));
        packages.forEach(descriptor::visitPackage);
        descriptor.visitEnd();
        writer.visitEnd();
        return writer.toByteArray();
    }
}
