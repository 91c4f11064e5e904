package farsight.cli;

import farsight.backend.rbd.RbdAdmin;
import farsight.backend.rbd.SnapshotInfo;
import farsight.config.Sizes;
import java.io.IOException;
import java.util.List;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** {@code farsight rbd snap}. */
@Command(
        name = "snap",
        mixinStandardHelpOptions = true,
        description = "Make, list, protect and remove snapshots of an image.")
final class RbdSnapCommand {
    @ParentCommand
    private RbdCommand rbd;

    /** What is done to one snapshot. */
    private interface Call {
        void on(RbdAdmin admin, String snapshot) throws IOException;
    }

    private int call(String snapshot, Call call) throws IOException {
        try (RbdAdmin admin = rbd.connect()) {
            call.on(admin, snapshot);
        }
        return 0;
    }

    @Command(name = "ls", mixinStandardHelpOptions = true, description = "Print an image's snapshots.")
    int list(
            @Parameters(paramLabel = "IMAGE") String image,
            @Option(names = "--json", description = "Print JSON.") boolean json)
            throws IOException {
        try (RbdAdmin admin = rbd.connect()) {
            List<SnapshotInfo> snapshots = admin.snapshots(image);
            if (json) {
                System.out.println(
                        snapshots.stream().map(RbdCommand::json).collect(Collectors.joining(", ", "[", "]")));
            } else {
                snapshots.forEach(snapshot -> System.out.printf(
                        "%6d  %-30s %12s%s%n",
                        snapshot.id(),
                        snapshot.name(),
                        Sizes.format(snapshot.size()),
                        snapshot.isProtected() ? "  protected" : ""));
            }
        }
        return 0;
    }

    @Command(name = "create", mixinStandardHelpOptions = true, description = "Make a snapshot.")
    int create(@Parameters(paramLabel = "IMAGE@SNAPSHOT") String snapshot) throws IOException {
        return call(snapshot, RbdAdmin::createSnapshot);
    }

    @Command(name = "rm", mixinStandardHelpOptions = true, description = "Remove a snapshot.")
    int remove(@Parameters(paramLabel = "IMAGE@SNAPSHOT") String snapshot) throws IOException {
        return call(snapshot, RbdAdmin::removeSnapshot);
    }

    @Command(
            name = "protect",
            mixinStandardHelpOptions = true,
            description = "Keep a snapshot from being removed, so that clones of it can be made.")
    int keep(@Parameters(paramLabel = "IMAGE@SNAPSHOT") String snapshot) throws IOException {
        return call(snapshot, RbdAdmin::protectSnapshot);
    }

    @Command(
            name = "unprotect",
            mixinStandardHelpOptions = true,
            description = "Let a snapshot be removed again that has no clones.")
    int release(@Parameters(paramLabel = "IMAGE@SNAPSHOT") String snapshot) throws IOException {
        return call(snapshot, RbdAdmin::unprotectSnapshot);
    }
}
