package farsight.config;

import java.time.Duration;

/**
 * The threads that serve connections.
 *
 * @param count how many; 0 for one per processor
 * @param io what they stand on
 * @param spin how long one looks for work before it sleeps; zero sleeps at once
 * @param batch whether they, and storage's threads, let others finish what they do when they are woken
 * @param zeroCopy whether large replies to other machines leave without a copy
 */
public record Loops(int count, Io io, Duration spin, boolean batch, boolean zeroCopy) {
    public static final Loops DEFAULT = new Loops(0, Io.AUTO, Duration.ofNanos(40_000), false, false);

    /** So many, all else as it is by default. */
    public static Loops of(int count) {
        return new Loops(count, DEFAULT.io, DEFAULT.spin, DEFAULT.batch, DEFAULT.zeroCopy);
    }
}
