package farsight.cli;

import farsight.backend.Settings;
import farsight.backend.rbd.ImageInfo;
import farsight.backend.rbd.RbdAdmin;
import farsight.backend.rbd.SnapshotInfo;
import farsight.config.InstalledBackends;
import farsight.config.Json;
import farsight.config.ServerConfig;
import farsight.config.Sizes;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;

/** {@code farsight rbd}: what Ceph's own tool does with images, where that is not installed. */
@Command(
        name = "rbd",
        mixinStandardHelpOptions = true,
        description = "Make, list, change and remove images of a Ceph cluster.",
        subcommands = RbdSnapCommand.class,
        footer = {
            "",
            "Images are [POOL/[NAMESPACE/]]IMAGE, in the pool rbd when none is said. For example:",
            "  farsight rbd create --size 10GiB rbd/disk --config /etc/farsight/server.toml"
        })
final class RbdCommand {
    @Option(
            names = "--config",
            paramLabel = "FILE",
            scope = ScopeType.INHERIT,
            description = "The server's TOML file, whose section [rbd] says which cluster.")
    private Path config;

    @Option(
            names = "--ceph-conf",
            paramLabel = "FILE",
            scope = ScopeType.INHERIT,
            description = "The cluster's file, in place of ceph_conf (default: /etc/ceph/ceph.conf).")
    private String cephConf;

    @Option(
            names = "--ceph-user",
            paramLabel = "NAME",
            scope = ScopeType.INHERIT,
            description = "The user without \"client.\", in place of ceph_user (default: admin).")
    private String cephUser;

    RbdAdmin connect() throws IOException {
        Map<String, Object> settings = new HashMap<>();
        if (config != null) {
            Settings section = ServerConfig.load(config, InstalledBackends.all())
                    .backends()
                    .get("rbd");
            if (section == null) {
                throw new IOException(config + ": has no section [rbd]");
            }
            settings.putAll(section.values());
        }
        if (cephConf != null) {
            settings.put("ceph_conf", cephConf);
        }
        if (cephUser != null) {
            settings.put("ceph_user", cephUser);
        }
        return RbdAdmin.connect(new Settings(settings));
    }

    static final class Size implements ITypeConverter<Long> {
        @Override
        public Long convert(String word) {
            return Words.checked(word, Sizes::parse);
        }
    }

    // ---- commands ------------------------------------------------------------------------------------------------

    @Command(name = "ls", mixinStandardHelpOptions = true, description = "Print the names of a pool's images.")
    int list(
            @Parameters(paramLabel = "POOL[/NAMESPACE]", arity = "0..1", defaultValue = "") String place,
            @Option(names = "--json", description = "Print JSON.") boolean json)
            throws IOException {
        try (RbdAdmin admin = connect()) {
            List<String> names = admin.list(place);
            if (json) {
                System.out.println(names.stream().map(Json::quote).collect(Collectors.joining(",", "[", "]")));
            } else {
                names.forEach(System.out::println);
            }
        }
        return 0;
    }

    @Command(name = "info", mixinStandardHelpOptions = true, description = "Print what an image is.")
    int info(
            @Parameters(paramLabel = "IMAGE") String image,
            @Option(names = "--json", description = "Print JSON, with the keys of 'rbd info --format json'.")
                    boolean json)
            throws IOException {
        try (RbdAdmin admin = connect()) {
            ImageInfo info = admin.info(image);
            System.out.println(json ? json(info) : text(info));
        }
        return 0;
    }

    private static String json(ImageInfo info) {
        return """
            {
              "name": %s,
              "id": %s,
              "size": %d,
              "objects": %d,
              "order": %d,
              "object_size": %d,
              "snapshot_count": %d,
              "block_name_prefix": %s,
              "features": %s,
              "parent": %s
            }\
            """.formatted(
                        Json.quote(info.name()),
                        Json.quote(info.id()),
                        info.size(),
                        info.objects(),
                        info.order(),
                        info.objectSize(),
                        info.snapshots(),
                        Json.quote(info.prefix()),
                        info.features().stream().map(Json::quote).collect(Collectors.joining(", ", "[", "]")),
                        info.parent().isEmpty() ? "null" : Json.quote(info.parent()));
    }

    private static String text(ImageInfo info) {
        return """
            image:     %s (id %s)
            size:      %d (%s), %d objects of %s
            objects:   %s
            features:  %s
            snapshots: %d%s\
            """.formatted(
                        info.name(),
                        info.id(),
                        info.size(),
                        Sizes.format(info.size()),
                        info.objects(),
                        Sizes.format(info.objectSize()),
                        info.prefix(),
                        String.join(" ", info.features()),
                        info.snapshots(),
                        info.parent().isEmpty() ? "" : "\nparent:    " + info.parent());
    }

    @Command(name = "create", mixinStandardHelpOptions = true, description = "Make an image.")
    int create(
            @Option(
                            names = "--size",
                            paramLabel = "SIZE",
                            required = true,
                            converter = Size.class,
                            description = "Such as 10GiB.")
                    long size,
            @Parameters(paramLabel = "IMAGE") String image)
            throws IOException {
        try (RbdAdmin admin = connect()) {
            admin.create(image, size);
        }
        return 0;
    }

    @Command(
            name = "resize",
            mixinStandardHelpOptions = true,
            description = "Make an image larger, or smaller; servers that have it open notice.")
    int resize(
            @Option(
                            names = "--size",
                            paramLabel = "SIZE",
                            required = true,
                            converter = Size.class,
                            description = "Such as 10GiB.")
                    long size,
            @Option(names = "--allow-shrink", description = "Throw away what is beyond the new end.") boolean shrink,
            @Parameters(paramLabel = "IMAGE") String image)
            throws IOException {
        try (RbdAdmin admin = connect()) {
            admin.resize(image, size, shrink);
        }
        return 0;
    }

    @Command(
            name = "clone",
            mixinStandardHelpOptions = true,
            description = "Make an image that begins as a snapshot of another.")
    int copyOnWrite(
            @Parameters(index = "0", paramLabel = "IMAGE@SNAPSHOT") String parent,
            @Parameters(index = "1", paramLabel = "IMAGE") String child)
            throws IOException {
        try (RbdAdmin admin = connect()) {
            admin.copyOnWrite(parent, child);
        }
        return 0;
    }

    @Command(name = "rm", mixinStandardHelpOptions = true, description = "Remove an image and all that is in it.")
    int remove(@Parameters(paramLabel = "IMAGE") String image) throws IOException {
        try (RbdAdmin admin = connect()) {
            admin.remove(image);
        }
        return 0;
    }

    // ---- for snapshots -------------------------------------------------------------------------------------------

    static String json(SnapshotInfo snapshot) {
        return "{\"id\": %d, \"name\": %s, \"size\": %d, \"protected\": %b}"
                .formatted(snapshot.id(), Json.quote(snapshot.name()), snapshot.size(), snapshot.isProtected());
    }
}
