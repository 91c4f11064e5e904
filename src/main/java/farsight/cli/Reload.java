package farsight.cli;

import farsight.config.ServerConfig;
import farsight.server.Server;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.Callable;

/** Reads the server's file anew, and lets the server have it if all of it is right. */
final class Reload implements Runnable {
    private static final Logger LOG = System.getLogger(Reload.class.getName());

    private final Server server;
    private final Service service;
    private final Callable<ServerConfig> file;
    private final ServerConfig started;
    private final String where;
    private ServerConfig current;

    /**
     * @param file reads it
     * @param started what the server was started with
     */
    Reload(Server server, Service service, Callable<ServerConfig> file, ServerConfig started, String where) {
        this.server = server;
        this.service = service;
        this.file = file;
        this.started = started;
        this.where = where;
        current = started;
    }

    @Override
    public synchronized void run() {
        service.reloading();
        ReloadEvent event = new ReloadEvent();
        String status = "serving " + where;
        try {
            ServerConfig next = file.call();
            server.reload(next);
            LOG.log(Level.INFO, "reloaded: {0}", difference(current, next));
            current = next;
            warnOfTheRest(next);
        } catch (Exception e) {
            // Also what a plugin throws: a server that serves does not end by a file.
            String why = e instanceof IOException ? e.getMessage() : e.toString();
            LOG.log(Level.ERROR, "not reloaded, everything stays as it was: {0}", why);
            status += "; the last reload failed";
            event.error = why;
        }
        event.commit();
        service.reloaded(status);
    }

    private static String difference(ServerConfig before, ServerConfig after) {
        List<String> added = new ArrayList<>();
        List<String> changed = new ArrayList<>();
        List<String> removed = new ArrayList<>();
        for (String name : new TreeSet<>(after.exports().keySet())) {
            if (!before.exports().containsKey(name)) {
                added.add(name);
            } else if (!before.exports().get(name).equals(after.exports().get(name))) {
                changed.add(name);
            }
        }
        for (String name : new TreeSet<>(before.exports().keySet())) {
            if (!after.exports().containsKey(name)) {
                removed.add(name);
            }
        }
        List<String> parts = new ArrayList<>();
        say(parts, "new", added);
        say(parts, "changed", changed);
        say(parts, "gone", removed);
        if (!before.limits().equals(after.limits())) {
            parts.add("other limits");
        }
        if (!before.tls().equals(after.tls())) {
            parts.add("other TLS settings");
        }
        if (!before.backends().equals(after.backends())) {
            parts.add("other backends");
        }
        return parts.isEmpty() ? "nothing has changed" : String.join("; ", parts);
    }

    private static void say(List<String> parts, String what, List<String> names) {
        if (!names.isEmpty()) {
            parts.add(what + ": " + Words.printable(String.join(", ", names)));
        }
    }

    private void warnOfTheRest(ServerConfig next) {
        boolean same = next.listen().equals(started.listen())
                && next.loops().equals(started.loops())
                && next.pluginPath().equals(started.pluginPath())
                && next.metrics().equals(started.metrics())
                && next.limits().poolBytes() == started.limits().poolBytes();
        if (!same) {
            LOG.log(
                    Level.WARNING,
                    "addresses, loops, pool, metrics and plugin_path are read at the start only: restart for their"
                            + " change");
        }
    }
}
