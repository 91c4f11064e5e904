package farsight.backend.rbd;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/** {@code rbd:pool/image}: images of a Ceph cluster. */
public final class RbdProvider implements BackendProvider {
    @Override
    public String name() {
        return "rbd";
    }

    /** Why librbd is missing on this machine; empty when it is there. */
    public static Optional<String> missing() {
        return RbdLibrary.missing();
    }

    @Override
    public String description() {
        return "images of a Ceph cluster";
    }

    @Override
    public List<Setting> serverSettings() {
        return List.of(
                Setting.optional("ceph_conf", Setting.Type.STRING, "the cluster's file (default /etc/ceph/ceph.conf)"),
                Setting.optional("ceph_user", Setting.Type.STRING, "the user, without \"client.\" (default admin)"),
                Setting.optional("cluster", Setting.Type.STRING, "the cluster's name (default ceph)"),
                Setting.optional(
                        "allow",
                        Setting.Type.STRINGS,
                        "patterns of images that clients may name, such as \"pool/*\" (default: all)"),
                Setting.optional("options", Setting.Type.TABLE, "settings of Ceph, such as rbd_cache = \"false\""),
                Setting.optional(
                        "handles", Setting.Type.INTEGER, "connections to the cluster that images share (default 1)"),
                Setting.optional(
                        "batch",
                        Setting.Type.BOOLEAN,
                        "whether threads of images are scheduled in batches where that is quicker (default true)"));
    }

    @Override
    public List<Setting> exportSettings() {
        return List.of(
                Setting.optional("pool", Setting.Type.STRING, "the pool (default rbd)"),
                Setting.required("image", Setting.Type.STRING, "the image"),
                Setting.optional("namespace", Setting.Type.STRING, "the namespace within the pool"),
                Setting.optional("snapshot", Setting.Type.STRING, "a snapshot of the image; it is read-only"),
                Setting.optional("read_only", Setting.Type.BOOLEAN, "refuse writes"),
                Setting.optional(
                        "passphrase_file", Setting.Type.STRING, "a file with the passphrase of an encrypted image"),
                Setting.optional("encryption", Setting.Type.STRING, "luks1 or luks2 (default)"));
    }

    @Override
    public Settings parse(String spec) {
        return ImageSpec.parse(spec).settings();
    }

    @Override
    public String format(Settings export) {
        return ImageSpec.of(export).toString();
    }

    @Override
    public Backend configure(Settings server) throws IOException {
        return new RbdBackend(server);
    }
}
