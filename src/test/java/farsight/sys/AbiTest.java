package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Project;
import farsight.tools.Requires;
import java.io.IOException;
import java.lang.foreign.MemoryLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The bindings say what this machine's C compiler says of the installed headers: sizes, offsets, constants. */
class AbiTest {
    @TempDir
    Path directory;

    @ParameterizedTest
    @CsvSource({
        "linux, Linux, linux-libc-dev libc6-dev, 600",
        "rbd, Rbd, librbd-dev librados-dev, 40",
        "signals, Signals, libc6-dev, 1"
    })
    void bindingsAgreeWithTheInstalledHeaders(String set, String header, String packages, int least) throws Exception {
        Map<String, Long> expected = expectations(set, header);
        assertThat(expected).hasSizeGreaterThan(least);
        assertThat(measured(set, packages, expected)).isEqualTo(expected);
    }

    @Test
    void aWrongValueWouldBeSeen() throws Exception {
        Map<String, Long> wrong =
                new TreeMap<>(Map.of("sizeof(struct nbd_request)", 27L, "(int)(NBD_SET_SOCK)", 43777L));
        assertThat(measured("linux", "linux-libc-dev", wrong))
                .containsEntry("sizeof(struct nbd_request)", 28L)
                .containsEntry("(int)(NBD_SET_SOCK)", 43776L);
    }

    /** What is not taken from the generated class, for it takes long to be linked. */
    @Test
    void unixSocketsHaveTheirPathWhereTheHeadersSay() {
        assertThat(SocketAddress.UNIX_PATH).isEqualTo(farsight.bindings.linux.sockaddr_un.sun_path$offset());
        assertThat(farsight.bindings.linux.sockaddr_un.sun_family$offset()).isZero();
    }

    /** C expressions and what the bindings hold for them. */
    private static Map<String, Long> expectations(String set, String header) throws Exception {
        Map<String, Long> expected = new TreeMap<>();
        for (Class<?> type : bindings(set)) {
            if (type.getSimpleName().equals(header)) {
                constants(type, expected);
            } else {
                structure(type, expected);
            }
        }
        return expected;
    }

    private static List<Class<?>> bindings(String set) throws Exception {
        Path sources = Project.ROOT.resolve("bindings/farsight/bindings").resolve(set);
        List<Class<?>> types = new java.util.ArrayList<>();
        try (Stream<Path> files = Files.list(sources)) {
            for (Path file : files.sorted().toList()) {
                String name = file.getFileName().toString().replace(".java", "");
                types.add(Class.forName("farsight.bindings." + set + "." + name));
            }
        }
        return types;
    }

    private static void constants(Class<?> type, Map<String, Long> expected) throws Exception {
        Set<String> functions = new HashSet<>();
        for (Method method : type.getMethods()) {
            if (method.getName().endsWith("$descriptor")) {
                functions.add(method.getName().replace("$descriptor", ""));
            }
        }
        for (Method method : type.getMethods()) {
            boolean number = method.getReturnType() == int.class || method.getReturnType() == long.class;
            if (Modifier.isStatic(method.getModifiers())
                    && method.getParameterCount() == 0
                    && number
                    && !functions.contains(method.getName())) {
                String width = method.getReturnType() == int.class ? "(int)(" : "(long long)(";
                expected.put(width + method.getName() + ")", ((Number) method.invoke(null)).longValue());
            }
        }
    }

    private static void structure(Class<?> type, Map<String, Long> expected) throws Exception {
        Method layout = Arrays.stream(type.getMethods())
                .filter(method -> method.getName().equals("layout") && method.getParameterCount() == 0)
                .findFirst()
                .orElse(null);
        if (layout == null) {
            return; // the type of a function
        }
        MemoryLayout bytes = (MemoryLayout) layout.invoke(null);
        String kind = bytes instanceof java.lang.foreign.UnionLayout ? "union " : "struct ";
        String name = type.getSimpleName().endsWith("_t") ? type.getSimpleName() : kind + type.getSimpleName();
        expected.put("sizeof(" + name + ")", bytes.byteSize());
        for (Method method : type.getMethods()) {
            if (method.getName().endsWith("$offset")) {
                String field = method.getName().replace("$offset", "");
                expected.put("offsetof(" + name + ", " + field + ")", (Long) method.invoke(null));
            }
        }
    }

    /** What the compiler says of the same expressions. */
    private Map<String, Long> measured(String set, String packages, Map<String, Long> expected) throws IOException {
        Requires.tool("gcc", "gcc " + packages);
        Path source = directory.resolve("probe.c");
        Path probe = directory.resolve("probe");
        String lines = expected.keySet().stream()
                .map(expression ->
                        "    printf(\"%s=%lld\\n\", \"" + expression + "\", (long long)" + expression + ");\n")
                .collect(Collectors.joining());
        Files.writeString(
                source,
                "#include \"" + Project.ROOT.resolve("native-headers").resolve(set + ".h") + "\"\n"
                        + "#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n" + lines + "    return 0;\n}\n");
        Commands.command("gcc", "-w", "-o", probe.toString(), source.toString())
                .limit(Duration.ofSeconds(60))
                .run()
                .expectSuccess();
        return Commands.command(probe.toString())
                .run()
                .expectSuccess()
                .stdout()
                .lines()
                .map(line -> line.split("=(?=-?\\d+$)"))
                .collect(Collectors.toMap(part -> part[0], part -> Long.valueOf(part[1]), (a, b) -> a, TreeMap::new));
    }
}
