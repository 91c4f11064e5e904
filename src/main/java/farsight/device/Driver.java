package farsight.device;

import farsight.sys.KernelModule;
import java.io.IOException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The kernel's nbd driver. */
public final class Driver {
    /** What the kernel's own default is. */
    private static final int DEVICES = 16;

    private static final int PARTITIONS = 16;

    /** The most devices that the ioctl interface is given room for; minor numbers end somewhere. */
    private static final int MOST_DEVICES = 4096;

    private static final Pattern NUMBERED = Pattern.compile("/dev/nbd(\\d{1,9})");

    private Driver() {}

    /**
     * Loads the driver, if it is not loaded, with enough devices that there is the named one.
     *
     * @param device a path such as /dev/nbd20; others ask for nothing special
     * @throws IOException one line with the remedy
     */
    public static void load(String device) throws IOException {
        Matcher numbered = NUMBERED.matcher(device);
        int needed = numbered.matches() ? Integer.parseInt(numbered.group(1)) + 1 : 0;
        int devices = needed > MOST_DEVICES ? DEVICES : Math.max(DEVICES, needed);
        KernelModule.named("nbd").load("nbds_max=" + devices + " max_part=" + PARTITIONS);
    }
}
