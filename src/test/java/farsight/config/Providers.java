package farsight.config;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Kinds of storage for these tests: configuration has to work with any, so it is given some that do not exist. */
final class Providers {
    /** {@code disk:PATH}, {@code net:POOL/IMAGE}, and {@code all}, which has a setting of each type. */
    static final Map<String, BackendProvider> SOME = map(new Disk(), new Net(), new All());

    private Providers() {}

    static Map<String, BackendProvider> map(BackendProvider... providers) {
        Map<String, BackendProvider> map = new TreeMap<>();
        for (BackendProvider provider : providers) {
            map.put(provider.name(), provider);
        }
        return map;
    }

    private abstract static class Unusable implements BackendProvider {
        @Override
        public Backend configure(Settings server) {
            throw new AssertionError("reading a configuration must not configure a backend");
        }
    }

    static final class Disk extends Unusable {
        @Override
        public String name() {
            return "disk";
        }

        @Override
        public List<Setting> serverSettings() {
            return List.of(Setting.optional("root", Setting.Type.STRING, "the directory"));
        }

        @Override
        public List<Setting> exportSettings() {
            return List.of(
                    Setting.required("path", Setting.Type.STRING, "the file"),
                    Setting.optional("size", Setting.Type.SIZE, "how large"),
                    Setting.optional("label", Setting.Type.STRING, "for people"),
                    Setting.optional("create", Setting.Type.BOOLEAN, "make it"),
                    Setting.optional("read_only", Setting.Type.BOOLEAN, "refuse writes"));
        }

        @Override
        public Settings parse(String spec) {
            if (spec.isEmpty()) {
                throw new IllegalArgumentException("'disk:' needs a path");
            }
            return new Settings(Map.of("path", spec));
        }

        @Override
        public String format(Settings export) {
            return export.string("path").orElseThrow();
        }
    }

    /** Like Ceph's RBD: it cannot be reached without what the server's section has. */
    static final class Net extends Unusable {
        private final String name;

        Net() {
            this("net");
        }

        Net(String name) {
            this.name = name;
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public List<Setting> serverSettings() {
            return List.of(
                    Setting.required("ceph_conf", Setting.Type.STRING, "where the cluster is"),
                    Setting.optional("ceph_user", Setting.Type.STRING, "who we are"));
        }

        @Override
        public List<Setting> exportSettings() {
            return List.of(
                    Setting.required("pool", Setting.Type.STRING, "the pool"),
                    Setting.required("image", Setting.Type.STRING, "the image"));
        }

        @Override
        public Settings parse(String spec) {
            int slash = spec.indexOf('/');
            return new Settings(Map.of("pool", spec.substring(0, slash), "image", spec.substring(slash + 1)));
        }

        @Override
        public String format(Settings export) {
            String pool = export.string("pool").orElseThrow();
            if (pool.contains("/")) {
                throw new IllegalArgumentException("a pool's name has no slash");
            }
            return pool + "/" + export.string("image").orElseThrow();
        }
    }

    static final class All extends Unusable {
        @Override
        public String name() {
            return "all";
        }

        @Override
        public List<Setting> serverSettings() {
            return List.of(
                    Setting.optional("string", Setting.Type.STRING, ""),
                    Setting.optional("integer", Setting.Type.INTEGER, ""),
                    Setting.optional("boolean", Setting.Type.BOOLEAN, ""),
                    Setting.optional("size", Setting.Type.SIZE, ""),
                    Setting.optional("duration", Setting.Type.DURATION, ""),
                    Setting.optional("strings", Setting.Type.STRINGS, ""),
                    Setting.optional("table", Setting.Type.TABLE, ""));
        }
    }
}
