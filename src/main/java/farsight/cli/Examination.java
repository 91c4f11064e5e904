package farsight.cli;

import farsight.backend.rbd.RbdProvider;
import farsight.sys.ErrnoException;
import farsight.sys.KernelModule;
import farsight.sys.NbdNetlink;
import farsight.sys.Uring;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Looks at what this machine has of what Farsight can use. Changes nothing: no module is loaded. */
final class Examination {
    private static final int LEAST_JAVA = 22;
    private static final long ENOUGH_FILES = 4096;

    /** What one loop's ring counts for on kernels that charge it (before 5.12). */
    private static final long ENOUGH_LOCKED = 8 << 20;

    /**
     * Something that was looked for.
     *
     * @param essential whether nothing works without it
     * @param found what is there, or why not
     * @param remedy what to do; empty when it is there
     */
    record Finding(String name, boolean ok, boolean essential, String found, String remedy) {}

    private final Path root;
    private final List<Finding> findings = new ArrayList<>();

    /** @param root where /proc, /sys, /dev and /run are */
    Examination(Path root) {
        this.root = root;
    }

    List<Finding> findings() {
        java();
        nativeAccess();
        files();
        locked();
        uring();
        rbd();
        driver();
        netlink();
        systemd();
        return List.copyOf(findings);
    }

    private void ok(String name, boolean essential, String found) {
        findings.add(new Finding(name, true, essential, found, ""));
    }

    private void missing(String name, boolean essential, String found, String remedy) {
        findings.add(
                new Finding(name, false, essential, found.lines().findFirst().orElse(""), remedy));
    }

    private void java() {
        Runtime.Version version = Runtime.version();
        String found = version + " in " + System.getProperty("java.home");
        if (version.feature() >= LEAST_JAVA) {
            ok("java", true, found);
        } else {
            missing("java", true, found, "install a JDK of version 22 or newer and set FARSIGHT_JAVA_HOME to it");
        }
    }

    private void nativeAccess() {
        if (Examination.class.getModule().isNativeAccessEnabled()) {
            ok("native access", true, "enabled for the module farsight");
        } else {
            missing(
                    "native access",
                    true,
                    "not enabled for the module farsight",
                    "start by bin/farsight, or with --enable-native-access=farsight");
        }
    }

    /** The soft limit of a line of /proc/self/limits; empty when there is none, or no such line. */
    private Optional<Long> limit(String name) {
        Pattern line = Pattern.compile(Pattern.quote(name) + " +(\\d+|unlimited) .*");
        try {
            for (String text : Files.readAllLines(root.resolve("proc/self/limits"))) {
                Matcher matcher = line.matcher(text);
                if (matcher.matches()) {
                    return Optional.of(
                            matcher.group(1).equals("unlimited") ? Long.MAX_VALUE : Long.parseLong(matcher.group(1)));
                }
            }
            return Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private static String number(long limit) {
        return limit == Long.MAX_VALUE ? "unlimited" : Long.toString(limit);
    }

    private void files() {
        String remedy = "raise it by ulimit -n, or LimitNOFILE= of the unit";
        limit("Max open files")
                .ifPresentOrElse(
                        files -> {
                            if (files >= ENOUGH_FILES) {
                                ok("open files", false, number(files) + " at the same time");
                            } else {
                                missing(
                                        "open files",
                                        false,
                                        files + " at the same time, each connection needs one",
                                        remedy);
                            }
                        },
                        () -> missing("open files", false, "the limit cannot be read", "mount /proc"));
    }

    private void locked() {
        limit("Max locked memory")
                .ifPresentOrElse(
                        bytes -> {
                            if (bytes >= ENOUGH_LOCKED) {
                                ok("locked memory", false, number(bytes) + (bytes == Long.MAX_VALUE ? "" : " bytes"));
                            } else {
                                missing(
                                        "locked memory",
                                        false,
                                        bytes + " bytes; a client whose device is swap locks all its memory",
                                        "raise it by ulimit -l, or LimitMEMLOCK=infinity of the unit");
                            }
                        },
                        () -> missing("locked memory", false, "the limit cannot be read", "mount /proc"));
    }

    private void uring() {
        try {
            new Uring(8).close();
            ok("io_uring", false, "works");
        } catch (ErrnoException e) {
            missing(
                    "io_uring",
                    false,
                    e.getMessage() + "; epoll serves instead",
                    "Linux 5.17 or newer, sysctl kernel.io_uring_disabled = 0, and a seccomp filter that lets it"
                            + " through");
        }
    }

    private void rbd() {
        Optional<String> why = RbdProvider.missing();
        if (why.isEmpty()) {
            ok("librbd", false, "loaded");
        } else {
            missing(
                    "librbd",
                    false,
                    why.get().split("; ")[0],
                    "install the package librbd1, for exports of Ceph images");
        }
    }

    private void driver() {
        KernelModule module = KernelModule.named("nbd");
        if (module.isLoaded()) {
            ok("nbd driver", false, "loaded");
        } else {
            try {
                List<Path> files = module.files();
                ok(
                        "nbd driver",
                        false,
                        files.isEmpty()
                                ? "built into the kernel"
                                : "not loaded yet; the first client loads " + files.getLast());
            } catch (IOException e) {
                int remedy = e.getMessage().lastIndexOf("): ");
                missing(
                        "nbd driver",
                        false,
                        e.getMessage().substring(0, remedy < 0 ? e.getMessage().length() : remedy + 1),
                        remedy < 0 ? "modprobe nbd" : e.getMessage().substring(remedy + 3));
            }
        }
    }

    private void netlink() {
        try (NbdNetlink netlink = NbdNetlink.open()) {
            ok(
                    "nbd netlink",
                    false,
                    netlink.hasIdentifiers() ? "works" : "works, without identifiers (Linux 5.14 has them)");
        } catch (IOException e) {
            missing(
                    "nbd netlink",
                    false,
                    e.getMessage(),
                    "load the nbd driver (modprobe nbd); without it devices are attached by ioctl and cannot"
                            + " reconnect");
        }
    }

    private void systemd() {
        if (Files.isDirectory(root.resolve("run/systemd/system"))) {
            ok("systemd", false, "runs");
        } else {
            missing("systemd", false, "does not run here", "start farsight by whatever supervises services here");
        }
    }
}
