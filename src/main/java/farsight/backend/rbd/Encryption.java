package farsight.backend.rbd;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Settings;
import farsight.bindings.rbd.Rbd;
import farsight.bindings.rbd.rbd_encryption_luks1_format_options_t;
import farsight.bindings.rbd.rbd_encryption_luks2_format_options_t;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;

/** Opens the encryption of an image (rbd_encryption_load). The image's size shrinks by its header. */
final class Encryption {
    private Encryption() {}

    static void load(MemorySegment image, ImageSpec spec, Settings export) throws IOException {
        String format = export.string("encryption").orElse("luks2");
        if (!format.equals("luks1") && !format.equals("luks2")) {
            throw new DeviceException(
                    Errno.EINVAL, "rbd image " + spec + ": encryption is '" + format + "'; it must be luks1 or luks2");
        }
        String file = export.string("passphrase_file").orElseThrow();
        byte[] passphrase;
        try {
            passphrase = Files.readAllBytes(Path.of(file));
        } catch (IOException e) {
            throw new DeviceException(Errno.EIO, "rbd image " + spec + ": passphrase_file cannot be read: " + e, e);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment secret = arena.allocateFrom(ValueLayout.JAVA_BYTE, passphrase);
            int result = format.equals("luks1") ? luks1(arena, image, secret) : luks2(arena, image, secret);
            secret.fill((byte) 0);
            RbdError.check(result, "rbd image " + spec + ": loading its encryption with " + file);
        } finally {
            java.util.Arrays.fill(passphrase, (byte) 0);
        }
    }

    private static int luks1(Arena arena, MemorySegment image, MemorySegment secret) {
        MemorySegment options = rbd_encryption_luks1_format_options_t.allocate(arena);
        rbd_encryption_luks1_format_options_t.passphrase(options, secret);
        rbd_encryption_luks1_format_options_t.passphrase_size(options, secret.byteSize());
        return Rbd.rbd_encryption_load(image, Rbd.RBD_ENCRYPTION_FORMAT_LUKS1(), options, options.byteSize());
    }

    private static int luks2(Arena arena, MemorySegment image, MemorySegment secret) {
        MemorySegment options = rbd_encryption_luks2_format_options_t.allocate(arena);
        rbd_encryption_luks2_format_options_t.passphrase(options, secret);
        rbd_encryption_luks2_format_options_t.passphrase_size(options, secret.byteSize());
        return Rbd.rbd_encryption_load(image, Rbd.RBD_ENCRYPTION_FORMAT_LUKS2(), options, options.byteSize());
    }
}
