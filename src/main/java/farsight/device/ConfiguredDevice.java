package farsight.device;

import farsight.config.ClientConfig;
import farsight.config.Sizes;
import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A device that is what a file of a {@link ClientDirectory} says, as soon as nobody uses what it was before. It has a
 * thread of its own, so that a server that does not answer holds up no other device.
 */
final class ConfiguredDevice {
    private static final Logger LOG = Logger.getLogger("farsight.device");

    /** How often a device that has to go is looked at while it is used. */
    private static final long IDLE_MILLIS = 500;

    private final String name;
    private final Runnable changed;
    private final CompletableFuture<Void> attempted = new CompletableFuture<>();
    private final Backoff backoff = new Backoff();
    private final Thread thread;

    // Guarded by this.
    private ClientConfig wanted;
    private boolean stopping;
    private boolean over;
    private Attachment lost;
    private IOException why;

    // Of the thread.
    private Attachment attachment;
    private ClientConfig current;
    private ClientConfig dismissed;
    private long notBefore;
    private String complaint = "";
    private volatile boolean attached;

    /**
     * @param name of the file, for messages
     * @param changed called after the device was attached or detached, by its thread
     */
    ConfiguredDevice(String name, ClientConfig wanted, Runnable changed) {
        this.name = name;
        this.wanted = wanted;
        this.changed = changed;
        thread = Thread.ofPlatform().name("file-" + name).daemon(true).start(this::run);
    }

    // ---- other threads -------------------------------------------------------------------------------------------

    /** The file says something new; false when this device is over and another has to be made. */
    synchronized boolean want(ClientConfig config) {
        wanted = config;
        notifyAll();
        return !over;
    }

    /** The file is gone. */
    synchronized void leave() {
        wanted = null;
        notifyAll();
    }

    /** The process ends: the device is detached if nobody uses it, and otherwise left to the next process. */
    synchronized void stop() {
        stopping = true;
        notifyAll();
    }

    void awaitOver(long millis) throws InterruptedException {
        thread.join(Math.max(1, millis));
    }

    /** Done when it has been tried to attach the device for the first time. */
    CompletableFuture<Void> attempted() {
        return attempted;
    }

    /** It has neither a file nor a device any more. */
    synchronized boolean isOver() {
        return over;
    }

    boolean isAttached() {
        return attached;
    }

    // ---- the thread ----------------------------------------------------------------------------------------------

    /** What there is to do next. */
    private enum Step {
        ATTACH,
        DETACH,
        LOST,
        END
    }

    private void run() {
        try {
            while (true) {
                switch (next()) {
                    case ATTACH -> attach();
                    case DETACH -> detach();
                    case LOST -> lost();
                    case END -> {
                        changed.run();
                        return;
                    }
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            attempted.complete(null);
        }
    }

    private synchronized Step next() throws InterruptedException {
        while (true) {
            long wait = 0; // until something changes
            if (attachment != null && lost == attachment) {
                return Step.LOST;
            }
            if (attachment != null && (stopping || wanted == null || !wanted.equals(current))) {
                wait = notBefore - millis();
                if (wait <= 0 || stopping) {
                    return Step.DETACH;
                }
            } else if (attachment == null && (stopping || wanted == null)) {
                over = true;
                return Step.END;
            } else if (attachment == null && !wanted.equals(dismissed)) {
                wait = notBefore - millis();
                if (wait <= 0) {
                    current = wanted;
                    return Step.ATTACH;
                }
            }
            wait(Math.max(0, wait));
        }
    }

    private static long millis() {
        return System.nanoTime() / 1_000_000;
    }

    private void attach() {
        dismissed = null;
        try {
            Driver.load(current.device().chosen().orElse(""));
            attachment = Attachment.attach(current);
            complaint = "";
            backoff.reset();
            notBefore = 0;
            attached = true;
            LOG.log(Level.INFO, "{0}: {1} {2} {3} {4} ({5})", new Object[] {
                name,
                attachment.adopted() ? "took over" : "attached",
                attachment.adopted() ? attachment.device() : current.server(),
                attachment.adopted() ? "with" : "to",
                attachment.adopted() ? current.server() : attachment.device(),
                Sizes.format(attachment.export().size())
            });
            watch(attachment);
        } catch (IOException | RuntimeException e) {
            complain(e.getMessage() + "; trying again");
            notBefore = millis() + backoff.next();
        }
        attempted.complete(null);
        changed.run();
    }

    private void watch(Attachment watched) {
        Thread.ofVirtual().name("watch-" + name).start(() -> {
            IOException end = null;
            try {
                watched.awaitDetached();
            } catch (IOException e) {
                end = e;
            }
            synchronized (this) {
                lost = watched;
                why = end;
                notifyAll();
            }
        });
    }

    /** The same line once, however often it is tried. */
    private void complain(String message) {
        if (!message.equals(complaint)) {
            complaint = message;
            LOG.log(Level.WARNING, "{0}: {1}", new Object[] {name, message});
        }
    }

    /** It ended by itself: for good when somebody wanted that, else it is attached anew. */
    private void lost() {
        boolean asked = Detachment.wasAsked(attachment.device());
        if (asked) {
            dismissed = current;
            LOG.log(
                    Level.INFO,
                    "{0}: {1} was detached by ''farsight detach''; a change of the file attaches it again",
                    new Object[] {name, attachment.device()});
        } else if (why != null) {
            complain(why.getMessage());
        }
        close();
        notBefore = millis() + backoff.next();
    }

    private void detach() {
        Optional<String> use = DeviceUse.of(
                new DeviceFile(attachment.device()),
                Optional.of(ProcessHandle.current().pid()));
        // By ioctl the device ends with this process, whoever uses it.
        if (use.isEmpty() || (isStopping() && !(attachment instanceof NetlinkAttachment))) {
            LOG.log(Level.INFO, "{0}: detaching {1}", new Object[] {name, attachment.device()});
            close();
            notBefore = 0;
        } else if (isStopping()) {
            LOG.log(Level.INFO, "{0}: {1} stays attached: it is {2}; the next client takes it over", new Object[] {
                name, attachment.device(), use.get()
            });
            attachment = null;
        } else {
            complain(attachment.device() + " is " + use.get() + "; it is detached when that has ended");
            notBefore = millis() + IDLE_MILLIS;
        }
    }

    private synchronized boolean isStopping() {
        return stopping;
    }

    private void close() {
        try {
            attachment.close();
            complaint = "";
        } catch (IOException e) {
            complain(e.getMessage());
        }
        attachment = null;
        attached = false;
        changed.run();
    }
}
