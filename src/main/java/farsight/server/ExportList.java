package farsight.server;

import farsight.backend.Backend;
import farsight.protocol.Text;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * All that can be listed: what the configuration names, and what backends know that clients may name. Each backend is
 * asked on a thread of its own, once at a time however many clients want to know, and waited for only so long: storage
 * that hangs neither holds up the others nor gathers threads. Any thread; never blocks.
 */
final class ExportList {
    private static final Logger LOG = System.getLogger(ExportList.class.getName());

    /** How many exports are listed at most. */
    private static final int MOST = 10_000;

    static final Duration LIMIT = Duration.ofSeconds(5);

    /** An export as NBD_OPT_LIST tells it. */
    record Listed(String name, String description) {}

    private final Duration limit;

    /** What backends are being asked now. */
    private final Map<Backend, CompletableFuture<List<String>>> asked = new IdentityHashMap<>();

    /** @param limit how long a backend is waited for; its exports are left out of the answer after that */
    ExportList(Duration limit) {
        this.limit = limit;
    }

    CompletableFuture<List<Listed>> of(Catalog offered) {
        Map<String, CompletableFuture<List<String>>> typed = new TreeMap<>();
        for (String name : offered.typed()) {
            typed.put(
                    name,
                    ask(name, offered.backends().get(name))
                            .copy()
                            .completeOnTimeout(List.of(), limit.toNanos(), TimeUnit.NANOSECONDS)
                            .exceptionally(error -> List.of()));
        }
        return CompletableFuture.allOf(typed.values().toArray(CompletableFuture[]::new))
                .thenApply(nothing -> joined(offered, typed));
    }

    private static List<Listed> joined(Catalog offered, Map<String, CompletableFuture<List<String>>> typed) {
        List<Listed> all = new ArrayList<>();
        offered.configured().keySet().stream()
                .sorted()
                .forEach(name ->
                        all.add(new Listed(name, offered.configured().get(name).description())));
        typed.forEach((backend, specs) -> specs.join().stream()
                .limit(Math.max(0, MOST - all.size()))
                .forEach(spec -> all.add(new Listed(backend + ":" + spec, ""))));
        return all;
    }

    /** What a backend is being asked already, or from now on. */
    private CompletableFuture<List<String>> ask(String name, Backend backend) {
        CompletableFuture<List<String>> answer = new CompletableFuture<>();
        synchronized (this) {
            CompletableFuture<List<String>> before = asked.putIfAbsent(backend, answer);
            if (before != null) {
                return before;
            }
        }
        // Here, so that it is said once for all clients that wait for the same answer.
        answer.copy().orTimeout(limit.toNanos(), TimeUnit.NANOSECONDS).whenComplete((specs, error) -> {
            if (error != null) {
                complain(name, error);
            }
        });
        Thread.ofPlatform().name("list-" + name).daemon(true).start(() -> {
            try {
                List<String> specs = backend.list();
                settle(backend).complete(specs);
            } catch (IOException | RuntimeException | Error e) {
                settle(backend).completeExceptionally(e);
            }
        });
        return answer;
    }

    /** Whoever comes from now on asks anew. */
    private synchronized CompletableFuture<List<String>> settle(Backend backend) {
        return asked.remove(backend);
    }

    private void complain(String backend, Throwable error) {
        Throwable cause = error.getCause() == null ? error : error.getCause();
        String why = error instanceof TimeoutException
                ? "no answer within " + limit.toMillis() + " ms; is its storage reachable?"
                : cause.getMessage();
        LOG.log(Level.WARNING, "backend {0} cannot list its exports: {1}", Text.quote(backend), why);
    }
}
