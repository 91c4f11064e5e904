package farsight.cli;

import farsight.sys.ErrnoException;
import farsight.sys.Notification;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.Map;
import java.util.function.BooleanSupplier;

/** What the service manager is told while a command runs. That it does not listen is a warning and no more. */
final class Service {
    private static final Logger LOG = System.getLogger(Service.class.getName());

    private final Notification notification;
    private volatile boolean warned;

    private Service(Notification notification) {
        this.notification = notification;
    }

    /** The one that started this process, if one did. */
    static Service ofThisProcess() {
        try {
            return new Service(Notification.of(System.getenv()));
        } catch (IOException e) {
            LOG.log(Level.WARNING, e.getMessage());
            return new Service(nobody());
        }
    }

    private static Notification nobody() {
        try {
            return Notification.of(Map.of());
        } catch (IOException e) {
            throw new AssertionError("nothing is asked for", e);
        }
    }

    /**
     * The command does what it is for.
     *
     * @param status one line for people
     * @param works asked at least twice in the time that the service manager's watchdog gives, on a thread of its own;
     *     when it says no, the watchdog is not told, and ends the process in the end
     */
    void ready(String status, BooleanSupplier works) {
        tell(() -> notification.ready(status));
        notification
                .watchdog()
                .ifPresent(time ->
                        Thread.ofPlatform().name("watchdog").daemon(true).start(() -> watch(time.dividedBy(2), works)));
    }

    /** The configuration is read anew; {@link #reloaded} ends this, whatever came of it. */
    void reloading() {
        tell(notification::reloading);
    }

    /** @param status one line for people */
    void reloaded(String status) {
        tell(() -> notification.ready(status));
    }

    /** A new line for people. */
    void status(String status) {
        tell(() -> notification.status(status));
    }

    /** The end has begun. */
    void stopping() {
        tell(notification::stopping);
    }

    private void watch(Duration pause, BooleanSupplier works) {
        try {
            while (true) {
                if (works.getAsBoolean()) {
                    tell(notification::alive);
                }
                Thread.sleep(pause);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private interface Message {
        void send() throws ErrnoException;
    }

    private void tell(Message message) {
        try {
            message.send();
        } catch (ErrnoException e) {
            if (!warned) {
                warned = true;
                LOG.log(Level.WARNING, e.getMessage() + "; check NOTIFY_SOCKET");
            }
        }
    }
}
