package farsight.interop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.tools.Commands;
import farsight.tools.Requires;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is legal and what is not, asked by libnbd with its own checks switched off. */
class ProtocolTest {
    @TempDir
    static Path directory;

    static ServedExports served;

    @BeforeAll
    static void serve() throws IOException {
        served = new ServedExports(directory);
        Path root = Files.createDirectory(directory.resolve("root"));
        Files.write(root.resolve("disk.img"), new byte[1 << 20]);
        Files.write(directory.resolve("secret.img"), new byte[1 << 20]);
        Files.createSymbolicLink(root.resolve("way-out"), directory.resolve("secret.img"));
        Files.createSymbolicLink(root.resolve("up"), Path.of(".."));
        Files.createSymbolicLink(root.resolve("within"), Path.of("disk.img"));
    }

    @AfterAll
    static void stop() throws IOException {
        if (served != null) {
            served.close();
        }
    }

    /** Runs Python with a function {@code errno_of(call)} and a handle {@code h} on an export. */
    private static String nbdsh(String export, String script) {
        Requires.tool("nbdsh", "libnbd-bin python3-libnbd");
        String prelude = """
            import nbd, errno
            def connect(export):
                h = nbd.NBD()
                h.set_strict_mode(0)
                h.set_export_name(export)
                h.connect_unix("%s")
                return h
            def errno_of(call):
                try:
                    call()
                except nbd.Error as e:
                    return e.errno or "refused"
                return "OK"
            h = connect("%s")
            """.formatted(served.socket(), export);
        return Commands.command("/usr/bin/python3", "-c", prelude + script)
                .limit(Duration.ofSeconds(60))
                .run()
                .expectSuccess()
                .stdout()
                .strip();
    }

    @Test
    void readPastTheEndIsEinval() {
        assertThat(nbdsh("file", "print(errno_of(lambda: h.pread(512, h.get_size() - 511)))"))
                .isEqualTo("EINVAL");
    }

    @Test
    void writePastTheEndIsEnospcAndItsPayloadIsPassedOver() {
        assertThat(nbdsh("file", """
            print(errno_of(lambda: h.pwrite(b"x" * 100000, h.get_size() - 10)))
            print(errno_of(lambda: h.pwrite(b"x" * 100, 0)))
            """)).isEqualTo("ENOSPC\nOK");
    }

    @Test
    void zeroesPastTheEndAreEnospcAndTrimIsEinval() {
        assertThat(nbdsh("memory", """
            print(errno_of(lambda: h.zero(512, h.get_size())))
            print(errno_of(lambda: h.trim(512, h.get_size())))
            """)).isEqualTo("ENOSPC\nEINVAL");
    }

    @Test
    void offsetsBeyond2To63AreRefused() {
        assertThat(nbdsh("memory", """
            print(errno_of(lambda: h.pread(512, 2**63)))
            print(errno_of(lambda: h.pread(512, 2**64 - 512)))
            print(errno_of(lambda: h.pwrite(b"x" * 512, 2**64 - 512)))
            """)).isEqualTo("EINVAL\nEINVAL\nENOSPC");
    }

    @Test
    void writingToAReadOnlyExportIsEperm() {
        assertThat(nbdsh("frozen", """
            print(errno_of(lambda: h.pwrite(b"x" * 512, 0)))
            print(errno_of(lambda: h.zero(512, 0)))
            print(errno_of(lambda: h.trim(512, 0)))
            print(errno_of(lambda: h.pread(512, 0)))
            """)).isEqualTo("EPERM\nEPERM\nEPERM\nOK");
    }

    @Test
    void whatIsUnknownOrNotNegotiatedIsEinvalAndTheConnectionLivesOn() {
        assertThat(nbdsh("memory", """
            print(errno_of(lambda: h.pread(512, 0, 0x80)))
            print(errno_of(lambda: h.pwrite(b"x" * 512, 0, nbd.CMD_FLAG_DF)))
            print(errno_of(lambda: h.trim(512, 0, nbd.CMD_FLAG_NO_HOLE)))
            print(errno_of(lambda: h.pread(512, 0)))
            """)).isEqualTo("EINVAL\nEINVAL\nEINVAL\nOK");
    }

    @Test
    void requestsOf64MiBAreServedAndOneByteMoreIsEinval() {
        assertThat(nbdsh("file", """
            data = bytes(range(256)) * 262144
            print(errno_of(lambda: h.pwrite(data, 0)))
            print(h.pread(64 * 1024 * 1024, 0) == data)
            print(h.pread(33 * 1024 * 1024 + 1, 12345) == data[12345:12345 + 33 * 1024 * 1024 + 1])
            """)).isEqualTo("OK\nTrue\nTrue");
    }

    @Test
    void requestsWithoutLengthSucceedAndDoNothing() {
        assertThat(nbdsh("memory", """
            print(errno_of(lambda: h.trim(0, 0)))
            print(errno_of(lambda: h.zero(0, h.get_size())))
            """)).isEqualTo("OK\nOK");
    }

    @Test
    void manyRequestsAtOnceAreAllAnswered() {
        assertThat(nbdsh("file", """
            buffers = [nbd.Buffer.from_bytearray(bytearray([i % 251]) * 4096) for i in range(1000)]
            for i, b in enumerate(buffers):
                h.aio_pwrite(b, i * 4096, completion=lambda e: 1)
            while h.aio_in_flight() > 0:
                h.poll(-1)
            print(all(h.pread(4096, i * 4096) == bytes([i % 251]) * 4096 for i in range(1000)))
            """)).isEqualTo("True");
    }

    @Test
    void memoryAndFilesCanBeNamedByClients() {
        assertThat(nbdsh("memory:8MiB", """
            h.pwrite(b"remember", 4096)
            other = connect("memory:8MiB")
            print(h.get_size(), bytes(other.pread(8, 4096)))
            f = connect("file:disk.img")
            print(f.get_size(), connect("file:within").get_size())
            """)).isEqualTo("8388608 b'remember'\n1048576 1048576");
    }

    @Test
    void noNameLeadsOutOfTheRoot() {
        for (String name : new String[] {
            "file:../secret.img", "file:way-out", "file:up/secret.img", "file:/etc/passwd", "file:.", "file:missing"
        }) {
            String uri = served.uri("unix", name);
            Commands.Result result = Commands.command("nbdinfo", "--size", uri).run();
            assertThat(result.exit()).as(name + ": " + result).isNotEqualTo(0);
        }
    }

    @Test
    void namesThatCannotBeServedAreRefusedWithAReason() {
        assertThat(nbdsh("memory", """
            def refused(name):
                h = nbd.NBD()
                h.set_export_name(name)
                try:
                    h.connect_unix("%s")
                except nbd.Error as e:
                    return e.errno
                return "served"
            for name in ["nothing", "memory:", "memory:2TiB", "memory:x", "rbd:pool/image", "n" * 4096, ""]:
                print(name[:20], refused(name))
            """.formatted(served.socket())))
                .doesNotContain("served")
                .contains("nothing ENOENT");
    }

    @Test
    void structuredReadsWorkInAllTheirForms() {
        assertThat(nbdsh("file", """
            h.pwrite(bytes(range(256)) * 16384, 0)
            print(h.get_structured_replies_negotiated(), h.can_df())
            chunks = []
            def chunk(data, offset, status, error):
                chunks.append((offset, len(data), status))
            h.pread_structured(3000, 1000, chunk)
            print(chunks, bytes(h.pread(3000, 1000)) == (bytes(range(256)) * 16)[1000:4000])
            print(errno_of(lambda: h.pread(4096, 100, nbd.CMD_FLAG_DF)))
            print(errno_of(lambda: h.pread(4096, h.get_size())))
            print(errno_of(lambda: h.pread(4096, 0)))
            """)).isEqualTo("True True\n[(1000, 3000, 1)] True\nOK\nEINVAL\nOK");
    }

    @Test
    void blockStatusTellsHolesFromDataAndKeepsToItsRange() {
        assertThat(nbdsh("file", """
            m = nbd.NBD()
            m.add_meta_context("base:allocation")
            m.set_export_name("file")
            m.connect_unix("%s")
            m.trim(m.get_size(), 0)
            m.pwrite(b"x" * 65536, 1 << 20)
            m.flush()
            seen = []
            def extents(context, offset, entries, error):
                seen.append((context, offset, list(entries)))
            m.block_status(4 << 20, 0, extents)
            m.block_status(4 << 20, 0, extents, nbd.CMD_FLAG_REQ_ONE)
            m.block_status(100, 50, extents)
            for s in seen:
                print(s)
            print(errno_of(lambda: h.block_status(4096, 0, extents)))
            print(errno_of(lambda: m.block_status(4096, m.get_size(), extents)))
            """.formatted(served.socket()))).isEqualTo("""
                ('base:allocation', 0, [1048576, 3, 65536, 0, 3080192, 3])
                ('base:allocation', 0, [1048576, 3])
                ('base:allocation', 50, [100, 3])
                EINVAL
                EINVAL\
                """);
    }

    @Test
    void contextsAreListedAndAskedForByName() {
        assertThat(nbdsh("file", """
            for query in ["base:", "base:allocation", "base:other", "qemu:"]:
                o = nbd.NBD()
                o.set_opt_mode(True)
                o.connect_unix("%s")
                o.set_export_name("file")
                o.add_meta_context(query)
                names = []
                o.opt_list_meta_context(lambda name: names.append(name))
                print(query, names)
                o.opt_abort()
            """.formatted(served.socket()))).isEqualTo("""
                base: ['base:allocation']
                base:allocation ['base:allocation']
                base:other []
                qemu: []\
                """);
    }

    @Test
    void informationMayBeAskedForBeforeAnExportIsOpened() {
        assertThat(nbdsh("memory", """
            o = nbd.NBD()
            o.set_opt_mode(True)
            o.connect_unix("%s")
            o.set_export_name("nothing")
            print(errno_of(lambda: o.opt_info()))
            o.set_export_name("frozen")
            o.opt_info()
            print(o.get_size(), o.is_read_only())
            names = []
            o.opt_list(lambda name, description: names.append(name))
            print(sorted(names))
            o.set_export_name("file")
            o.opt_go()
            print(o.get_size(), o.get_block_size(nbd.SIZE_PREFERRED))
            a = nbd.NBD()
            a.set_opt_mode(True)
            a.connect_unix("%s")
            a.opt_abort()
            print(a.aio_is_closed())
            """.formatted(served.socket(), served.socket())))
                .isEqualTo("ENOENT\n"
                        + "1048576 True\n"
                        + "['file', 'file:disk.img', 'frozen', 'loop', 'memory']\n"
                        + "67108864 4096\n"
                        + "True");
    }
}
