package farsight.config;

import farsight.backend.BackendProvider;
import java.io.IOException;
import java.lang.module.Configuration;
import java.lang.module.FindException;
import java.lang.module.ModuleFinder;
import java.lang.module.ResolutionException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Backends from elsewhere: each entry of {@code plugin_path} is a jar, or a directory of jars that belong together. Each
 * becomes a layer of modules of its own, so that plugins do not meet each other's libraries. Jars without a module
 * descriptor are modules too, that read everything.
 */
@SuppressWarnings("restricted") // native access is given to plugins
final class Plugins {
    private Plugins() {}

    /**
     * The backends of all entries, in their order.
     *
     * @throws IOException one line: which entry, what is wrong with it
     */
    static List<BackendProvider> load(List<Path> path) throws IOException {
        List<BackendProvider> all = new ArrayList<>();
        for (Path entry : path) {
            try {
                all.addAll(load(entry));
            } catch (FindException | ResolutionException | LayerInstantiationException e) {
                throw broken(entry, e);
            } catch (ServiceConfigurationError | LinkageError e) {
                throw broken(entry, e);
            }
        }
        return all;
    }

    private static List<BackendProvider> load(Path entry) throws IOException {
        if (!Files.exists(entry)) {
            throw new IOException("plugin_path: " + entry + " does not exist");
        }
        ModuleLayer own = Plugins.class.getModule().getLayer();
        if (own == null) {
            throw new IOException("plugin_path: farsight is on the class path; put it, or the backend's jar as well, on"
                    + " the module path");
        }
        ModuleFinder finder = ModuleFinder.of(entry);
        Set<String> names = finder.findAll().stream()
                .map(module -> module.descriptor().name())
                .collect(Collectors.toSet());
        Configuration configuration = own.configuration().resolve(finder, ModuleFinder.of(), names);
        ModuleLayer.Controller plugins =
                ModuleLayer.defineModulesWithOneLoader(configuration, List.of(own), Plugins.class.getClassLoader());
        // Storage is what native calls are for.
        plugins.layer().modules().forEach(plugins::enableNativeAccess);
        List<BackendProvider> providers = new ArrayList<>();
        for (BackendProvider provider : ServiceLoader.load(plugins.layer(), BackendProvider.class)) {
            if (plugins.layer().modules().contains(provider.getClass().getModule())) {
                providers.add(provider);
            }
        }
        if (providers.isEmpty()) {
            throw new IOException("plugin_path: " + entry + " has no backend: no jar in it declares a provider in"
                    + " module-info or in META-INF/services/" + BackendProvider.class.getName());
        }
        return providers;
    }

    private static IOException broken(Path entry, Throwable failure) {
        Throwable cause = failure;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return new IOException("plugin_path: " + entry + " cannot be loaded: " + cause.getMessage(), failure);
    }
}
