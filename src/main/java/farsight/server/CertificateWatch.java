package farsight.server;

import java.time.Duration;

/**
 * Looks now and then whether the files of a server's certificates are others, and lets it read them once they have stayed
 * the same for two looks: a certificate and its key are two files. By their dates and not by events, which do not come
 * through links to other directories, as those who renew certificates like to have them.
 */
final class CertificateWatch implements AutoCloseable {
    private static final Duration PAUSE = Duration.ofSeconds(1);

    private final Server server;
    private boolean closed;

    /** What was seen last, and what was found bad. */
    private String seen = "";

    private String bad = "";

    CertificateWatch(Server server) {
        this.server = server;
        Thread.ofPlatform().name("certificates").daemon(true).start(this::run);
    }

    private synchronized void run() {
        try {
            while (!closed) {
                look();
                wait(PAUSE.toMillis());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void look() {
        Security security = server.security();
        if (!security.isOn()) {
            return;
        }
        String now = Security.stamp(security.config());
        if (!now.equals(security.stamp()) && now.equals(seen) && !now.equals(bad)) {
            bad = server.renewCertificates() ? "" : now;
        }
        seen = now;
    }

    @Override
    public synchronized void close() {
        closed = true;
        notifyAll();
    }
}
