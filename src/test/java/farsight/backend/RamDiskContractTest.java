package farsight.backend;

import farsight.tools.Commands;
import farsight.tools.Project;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.Map;
import java.util.ServiceLoader;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** The example of the guide keeps the contract. */
class RamDiskContractTest extends BackendContract {
    @TempDir
    static Path classes;

    private static URLClassLoader loader;

    @BeforeAll
    static void compile() throws IOException {
        Path example = Project.ROOT.resolve("examples/backend-ramdisk");
        Path library = Project.launcher().getParent().getParent().resolve("lib/farsight.jar");
        Commands.command(
                        Path.of(System.getProperty("java.home"), "bin/javac").toString(),
                        "--release",
                        "22",
                        "-cp",
                        library.toString(),
                        "-d",
                        classes.toString(),
                        example.resolve("ramdisk/RamDisk.java").toString(),
                        example.resolve("ramdisk/RamDiskProvider.java").toString())
                .run()
                .expectSuccess();
        loader = new URLClassLoader(
                new URL[] {classes.toUri().toURL(), example.toUri().toURL()}, BackendProvider.class.getClassLoader());
    }

    @AfterAll
    static void close() throws IOException {
        loader.close();
    }

    @Override
    protected Device open() throws IOException {
        BackendProvider provider = ServiceLoader.load(BackendProvider.class, loader).stream()
                .filter(found -> found.type().getClassLoader() == loader)
                .findFirst()
                .orElseThrow()
                .get();
        return provider.configure(Settings.NONE).open(new Settings(Map.of("size", SIZE)));
    }
}
