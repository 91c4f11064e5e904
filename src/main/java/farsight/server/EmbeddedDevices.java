package farsight.server;

import farsight.backend.Backend;
import farsight.backend.BackendProvider;
import farsight.backend.Device;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.backend.Setting;
import farsight.backend.Settings;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The storage {@code device} of an embedded server: devices that the program has given, by name. They stay open as long
 * as the server runs, and each serves one export. Any thread.
 */
final class EmbeddedDevices implements BackendProvider, Backend {
    static final String NAME = "device";

    /** The key of an export that names the device. */
    static final String KEY = "device";

    private final Map<String, Device> left;

    EmbeddedDevices(Map<String, Device> devices) {
        left = new HashMap<>(devices);
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String description() {
        return "devices of the program that the server is part of";
    }

    @Override
    public List<Setting> exportSettings() {
        return List.of(Setting.required(KEY, Setting.Type.STRING, "the name that the program has given it by"));
    }

    @Override
    public Backend configure(Settings server) {
        return this;
    }

    @Override
    public synchronized Device open(Settings export) throws IOException {
        String name = export.string(KEY).orElseThrow();
        Device device = left.remove(name);
        if (device == null) {
            throw new IOException("there is no device '" + name + "', or another export has it");
        }
        return device;
    }

    @Override
    public Device openTyped(Settings export) throws IOException {
        throw new DeviceException(Errno.EPERM, "devices of the program are not opened by name");
    }

    /** Those that no client has asked for. */
    @Override
    public synchronized void close() throws IOException {
        IOException failure = null;
        for (Device device : left.values()) {
            try {
                device.close();
            } catch (IOException e) {
                failure = e;
            }
        }
        left.clear();
        if (failure != null) {
            throw failure;
        }
    }
}
