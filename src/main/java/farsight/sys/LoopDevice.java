package farsight.sys;

import farsight.bindings.linux.Linux;
import farsight.bindings.linux.loop_config;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A file as a block device (linux/loop.h, loop(4)). Needs root. Closing it detaches the file. */
public final class LoopDevice implements AutoCloseable {
    private static final int ATTEMPTS = 16;

    private final int number;
    private final int fd;

    private LoopDevice(int number, int fd) {
        this.number = number;
        this.fd = fd;
    }

    /** Attaches a file to a free loop device. */
    public static LoopDevice attach(String file) throws ErrnoException {
        int backing = Files.open(file, Files.READ_WRITE);
        try {
            int control = Files.open("/dev/loop-control", Files.READ_WRITE);
            try {
                return attach(control, backing, file);
            } finally {
                Files.close(control);
            }
        } finally {
            Files.close(backing);
        }
    }

    /** Between asking for a free device and taking it somebody else may have taken it. */
    private static LoopDevice attach(int control, int backing, String file) throws ErrnoException {
        for (int attempt = 1; ; attempt++) {
            int number = Ioctl.call("LOOP_CTL_GET_FREE", control, Linux.LOOP_CTL_GET_FREE(), 0);
            int fd = Files.open("/dev/loop" + number, Files.READ_WRITE);
            int result = configure(fd, backing);
            if (result == 0) {
                return new LoopDevice(number, fd);
            }
            Files.close(fd);
            if (result != -Linux.EBUSY() || attempt == ATTEMPTS) {
                throw new ErrnoException("LOOP_CONFIGURE of " + file, -result);
            }
        }
    }

    private static int configure(int fd, int backing) {
        try (Arena arena = Arena.ofConfined();
                CallState state = CallState.open()) {
            MemorySegment config = arena.allocate(loop_config.layout());
            loop_config.fd(config, backing);
            return Ioctl.call(state, fd, Linux.LOOP_CONFIGURE(), config.address());
        }
    }

    /** Such as {@code /dev/loop0}. */
    public String path() {
        return "/dev/loop" + number;
    }

    @Override
    public void close() throws ErrnoException {
        try {
            Ioctl.call("LOOP_CLR_FD of " + path(), fd, Linux.LOOP_CLR_FD(), 0);
        } finally {
            Files.close(fd);
        }
    }
}
