package farsight.tools;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** All that a process printed to one of its streams so far, read by a thread of its own. */
final class CapturedOutput {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final StringBuilder text = new StringBuilder();
    private boolean ended;

    CapturedOutput(InputStream stream) {
        Thread.ofPlatform().daemon().name("captured-output").start(() -> read(stream));
    }

    /** The first match of a pattern, waited for; empty if the stream ends or the limit passes without one. */
    Optional<MatchResult> await(Pattern pattern, Duration limit) {
        long left = limit.toNanos();
        lock.lock();
        try {
            while (true) {
                Matcher matcher = pattern.matcher(text);
                if (matcher.find()) {
                    return Optional.of(matcher.toMatchResult());
                }
                if (ended || left <= 0) {
                    return Optional.empty();
                }
                left = changed.awaitNanos(left);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        } finally {
            lock.unlock();
        }
    }

    /** Everything, once the stream has ended. */
    String all() {
        lock.lock();
        try {
            while (!ended) {
                if (!changed.await(10, TimeUnit.SECONDS)) {
                    throw new AssertionError("a process that is unknown still holds the output: " + text);
                }
            }
            return text.toString();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return text.toString();
        } finally {
            lock.unlock();
        }
    }

    /** What there is so far. */
    @Override
    public String toString() {
        lock.lock();
        try {
            return text.toString();
        } finally {
            lock.unlock();
        }
    }

    private void read(InputStream stream) {
        char[] piece = new char[8192];
        try (Reader reader = new InputStreamReader(stream, StandardCharsets.UTF_8)) {
            for (int n = reader.read(piece); n >= 0; n = reader.read(piece)) {
                append(piece, n);
            }
        } catch (IOException e) {
            append(("[not all read: " + e.getMessage() + "]\n").toCharArray(), -1);
        } finally {
            end();
        }
    }

    private void append(char[] piece, int length) {
        lock.lock();
        try {
            text.append(piece, 0, length < 0 ? piece.length : length);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void end() {
        lock.lock();
        try {
            ended = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }
}
