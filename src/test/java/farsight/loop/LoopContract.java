package farsight.loop;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.buffer.Buffer;
import farsight.sys.CallState;
import farsight.sys.ErrnoException;
import farsight.sys.EventFd;
import farsight.sys.IoVec;
import farsight.sys.Memory;
import farsight.sys.Native;
import farsight.sys.SocketAddress;
import farsight.sys.Sockets;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What every loop does, whatever of the system it stands on. */
@Timeout(120)
abstract class LoopContract {
    private static final int POOL = 16 << 20;

    IoLoop loop;

    /** The loop under test. */
    abstract IoLoop start(LoopOptions options) throws ErrnoException;

    @BeforeEach
    void startLoop() throws ErrnoException {
        loop = start(LoopOptions.of(POOL));
    }

    /** Closing the pool fails when a buffer is still out. */
    @AfterEach
    void stopLoop() {
        if (loop != null) {
            loop.close();
        }
    }

    /** Runs something on the loop and waits for it. */
    void onLoop(Runnable work) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        loop.execute(() -> {
            try {
                work.run();
                done.complete(null);
            } catch (Throwable e) {
                done.completeExceptionally(e);
            }
        });
        done.orTimeout(60, TimeUnit.SECONDS).join();
    }

    // ---- a channel and its peer ----------------------------------------------------------------------------------

    /** Keeps what arrives, and what happened. Its other end is a blocking socket in the test's hand. */
    class Pair implements ChannelHandler, AutoCloseable {
        final int peer;
        final CallState state = CallState.forever();
        final java.io.ByteArrayOutputStream received = new java.io.ByteArrayOutputStream();
        final List<String> events = new ArrayList<>();
        final CompletableFuture<Integer> closed = new CompletableFuture<>();
        final AtomicLong receivedBytes = new AtomicLong();
        final AtomicInteger sent = new AtomicInteger();
        final AtomicInteger filled = new AtomicInteger();
        Channel channel;
        Runnable onReceive = () -> {};
        Runnable onFilled = () -> {};
        Runnable onTurnOver = () -> {};
        Runnable onSent = () -> {};

        Pair() throws ErrnoException {
            this(Sockets.pair());
        }

        /** @param two the channel's end, and the test's */
        Pair(int[] two) throws ErrnoException {
            Sockets.nonBlocking(two[0], true);
            peer = two[1];
            onLoop(() -> channel = loop.open(two[0], this));
        }

        @Override
        public void received(Buffer buffer, int from, int length) {
            byte[] bytes = buffer.memory().asSlice(from, length).toArray(ValueLayout.JAVA_BYTE);
            received.write(bytes, 0, length);
            receivedBytes.addAndGet(length);
            events.add("received");
            onReceive.run();
        }

        @Override
        public void filled(boolean more) {
            events.add("filled");
            filled.incrementAndGet();
            onFilled.run();
        }

        @Override
        public void sent() {
            events.add("sent");
            onSent.run();
            sent.incrementAndGet();
        }

        @Override
        public void turnOver() {
            events.add("turnOver");
            onTurnOver.run();
        }

        @Override
        public void detached() {
            events.add("detached");
        }

        @Override
        public void closed(int errno) {
            closed.complete(errno);
        }

        void write(byte[] bytes) {
            MemorySegment memory = map(Math.max(1, bytes.length));
            memory.copyFrom(MemorySegment.ofArray(bytes));
            long done = 0;
            while (done < bytes.length) {
                long n = Sockets.send(state, peer, memory.address() + done, bytes.length - done);
                assertThat(n).isPositive();
                done += n;
            }
            Memory.unmap(memory);
        }

        byte[] read(int length) {
            MemorySegment memory = map(length);
            long done = 0;
            while (done < length) {
                long n = Sockets.receive(state, peer, memory.address() + done, length - done);
                assertThat(n).as("bytes after " + done).isPositive();
                done += n;
            }
            byte[] bytes = memory.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
            Memory.unmap(memory);
            return bytes;
        }

        /** Whether nothing more comes, and nothing is lost. */
        boolean ends() {
            MemorySegment memory = map(1);
            try {
                return Sockets.receive(state, peer, memory.address(), 1) == 0;
            } finally {
                Memory.unmap(memory);
            }
        }

        /** What has arrived so far. */
        byte[] bytes() {
            CompletableFuture<byte[]> answer = new CompletableFuture<>();
            onLoop(() -> answer.complete(received.toByteArray()));
            return answer.join();
        }

        int awaitClosed() {
            return closed.orTimeout(60, TimeUnit.SECONDS).join();
        }

        void closePeer() {
            Sockets.close(peer);
        }

        @Override
        public void close() {
            onLoop(channel::close);
            closePeer();
        }
    }

    static MemorySegment map(long bytes) {
        try {
            return Memory.map(bytes);
        } catch (ErrnoException e) {
            throw new AssertionError(e);
        }
    }

    static byte[] random(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    static void await(String what, java.util.function.BooleanSupplier condition) {
        long start = System.nanoTime();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime() - start).as(what).isLessThan(60_000_000_000L);
            Thread.onSpinWait();
        }
    }

    // ---- tasks and timers ----------------------------------------------------------------------------------------

    @Test
    void tasksOfOtherThreadsRunOnTheLoopInTheirOrder() throws InterruptedException {
        int threads = 4;
        int each = 20_000;
        List<List<Integer>> seen = new ArrayList<>();
        CountDownLatch done = new CountDownLatch(threads * each);
        for (int t = 0; t < threads; t++) {
            List<Integer> mine = new ArrayList<>();
            seen.add(mine);
            Thread.ofPlatform().start(() -> {
                for (int i = 0; i < each; i++) {
                    int number = i;
                    loop.execute(() -> {
                        assertThat(loop.inLoop()).isTrue();
                        assertThat(IoLoop.current()).isSameAs(loop);
                        mine.add(number);
                        done.countDown();
                    });
                }
            });
        }
        assertThat(done.await(60, TimeUnit.SECONDS)).isTrue();
        for (List<Integer> mine : seen) {
            assertThat(mine).hasSize(each).isSorted();
        }
        assertThat(loop.inLoop()).isFalse();
        assertThat(IoLoop.current()).isNull();
    }

    @Test
    void aTaskMayHandOverAnother() {
        CompletableFuture<String> answer = new CompletableFuture<>();
        loop.execute(() -> loop.execute(() -> loop.execute(() -> answer.complete("third"))));
        assertThat(answer.orTimeout(60, TimeUnit.SECONDS).join()).isEqualTo("third");
    }

    @Test
    void aTaskThatFailsCostsNobodyElse() {
        loop.execute(() -> {
            throw new IllegalStateException("on purpose");
        });
        onLoop(() -> {});
    }

    @Test
    void timersRunInTheirOrderUnlessTheyAreCancelled() {
        List<String> order = new ArrayList<>();
        CompletableFuture<Void> last = new CompletableFuture<>();
        long start = System.nanoTime();
        onLoop(() -> {
            loop.after(Duration.ofMillis(60), () -> {
                order.add("third");
                last.complete(null);
            });
            loop.after(Duration.ofMillis(1), () -> order.add("first"));
            loop.after(Duration.ofMillis(20), () -> order.add("second"));
            loop.after(Duration.ofMillis(10), () -> order.add("cancelled")).cancel();
        });
        last.orTimeout(60, TimeUnit.SECONDS).join();
        assertThat(order).containsExactly("first", "second", "third");
        assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(60_000_000);
    }

    @Test
    void aTimerOfNoTimeRunsSoon() {
        CompletableFuture<Void> ran = new CompletableFuture<>();
        onLoop(() -> loop.after(Duration.ZERO, () -> ran.complete(null)));
        ran.orTimeout(60, TimeUnit.SECONDS).join();
    }

    @Test
    void tasksThatAreQueuedStillRunWhenTheLoopEnds() {
        AtomicInteger ran = new AtomicInteger();
        for (int i = 0; i < 1000; i++) {
            loop.execute((Runnable) ran::incrementAndGet);
        }
        loop.close();
        loop = null;
        assertThat(ran).hasValue(1000);
    }

    // ---- watching descriptors ------------------------------------------------------------------------------------

    @Test
    void aWatchTellsAgainOfWhatWasLeftUnread() throws ErrnoException {
        try (EventFd event = new EventFd()) {
            CountDownLatch calls = new CountDownLatch(3);
            CompletableFuture<Runnable> end = new CompletableFuture<>();
            onLoop(() -> end.complete(loop.watch(event.fd(), calls::countDown)));
            event.signal();
            await("calls for one signal", () -> calls.getCount() == 0);
            onLoop(end.join());
        }
    }

    @Test
    void aWatchThatEndedTellsNothing() throws ErrnoException {
        try (EventFd event = new EventFd();
                EventFd other = new EventFd()) {
            AtomicInteger calls = new AtomicInteger();
            CallState state = CallState.forever();
            AtomicInteger others = new AtomicInteger();
            CompletableFuture<Runnable> endOther = new CompletableFuture<>();
            onLoop(() -> {
                loop.watch(event.fd(), calls::incrementAndGet).run();
                endOther.complete(loop.watch(other.fd(), () -> {
                    other.drain(state);
                    others.incrementAndGet();
                }));
            });
            event.signal();
            other.signal();
            await("the other watch", () -> others.get() > 0);
            onLoop(endOther.join());
            assertThat(calls).hasValue(0);
        }
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    @Test
    void whatArrivesIsHandedOverInItsOrder() throws ErrnoException {
        byte[] bytes = random(3_000_000);
        try (Pair pair = new Pair()) {
            pair.write(bytes);
            await("all bytes", () -> pair.receivedBytes.get() == bytes.length);
            assertThat(pair.bytes()).isEqualTo(bytes);
        }
    }

    @Test
    void bytesAreDivertedToMemoryAndThoseBehindItAreNot() throws ErrnoException {
        byte[] bytes = random(900_000);
        MemorySegment target = map(700_000);
        try (Pair pair = new Pair()) {
            onLoop(() -> pair.channel.fill(target.address(), 700_000));
            pair.write(bytes);
            await("all bytes", () -> pair.filled.get() == 1 && pair.receivedBytes.get() == 200_000);
            assertThat(target.asSlice(0, 700_000).toArray(ValueLayout.JAVA_BYTE))
                    .isEqualTo(java.util.Arrays.copyOf(bytes, 700_000));
            assertThat(pair.bytes()).isEqualTo(java.util.Arrays.copyOfRange(bytes, 700_000, 900_000));
        } finally {
            Memory.unmap(target);
        }
    }

    @Test
    void oneDiversionMayFollowAnother() throws ErrnoException {
        byte[] bytes = random(64 * 5000);
        MemorySegment target = map(bytes.length);
        try (Pair pair = new Pair()) {
            pair.onFilled = () -> {
                int next = pair.filled.get();
                if (next < 64) {
                    pair.channel.fill(target.address() + next * 5000L, 5000);
                }
            };
            // What comes with the first bytes behind a diversion is handed over, so they come one by one.
            onLoop(() -> pair.channel.fill(target.address(), 5000));
            for (int i = 0; i < 64; i++) {
                int wanted = i + 1;
                pair.write(java.util.Arrays.copyOfRange(bytes, i * 5000, i * 5000 + 5000));
                await("filled " + wanted, () -> pair.filled.get() == wanted);
            }
            onLoop(() -> {});
            assertThat(target.asSlice(0, bytes.length).toArray(ValueLayout.JAVA_BYTE))
                    .isEqualTo(bytes);
            assertThat(pair.receivedBytes).hasValue(0);
        } finally {
            Memory.unmap(target);
        }
    }

    @Test
    void aPausedChannelReceivesNothingUntilItGoesOn() throws ErrnoException {
        byte[] bytes = random(100_000);
        try (Pair pair = new Pair();
                Pair other = new Pair()) {
            onLoop(pair.channel::pause);
            pair.write(bytes);
            other.write(bytes);
            await("the other channel", () -> other.receivedBytes.get() == bytes.length);
            onLoop(() -> {});
            assertThat(pair.receivedBytes).hasValue(0);
            onLoop(pair.channel::resume);
            await("all bytes", () -> pair.receivedBytes.get() == bytes.length);
            assertThat(pair.bytes()).isEqualTo(bytes);
        }
    }

    @Test
    void aChannelThatPausesInEveryReceiveLosesNothing() throws ErrnoException {
        byte[] bytes = random(2_000_000);
        try (Pair pair = new Pair()) {
            pair.onReceive = () -> {
                pair.channel.pause();
                loop.after(Duration.ofNanos(1000), pair.channel::resume);
            };
            pair.write(bytes);
            await("all bytes", () -> pair.receivedBytes.get() == bytes.length);
            assertThat(pair.bytes()).isEqualTo(bytes);
        }
    }

    @Test
    void whenThePoolIsEmptyReceivingWaitsForABuffer() throws ErrnoException {
        List<Buffer> taken = new ArrayList<>();
        try (Pair pair = new Pair()) {
            onLoop(() -> {
                Buffer buffer = loop.pool().take(EventLoop.RECEIVE_SIZE);
                while (buffer != null) {
                    taken.add(buffer);
                    buffer = loop.pool().take(EventLoop.RECEIVE_SIZE);
                }
            });
            byte[] bytes = random(5000);
            pair.write(bytes);
            long turns = loop.counters().turns();
            await("the attempt", () -> {
                onLoop(() -> {});
                return loop.counters().turns() > turns + 2;
            });
            assertThat(pair.receivedBytes).hasValue(0);
            onLoop(() -> taken.forEach(Buffer::release));
            await("all bytes", () -> pair.receivedBytes.get() == bytes.length);
            assertThat(pair.bytes()).isEqualTo(bytes);
        }
    }

    @Test
    void whoRetainsABufferKeepsItsContent() throws ErrnoException {
        List<Buffer> kept = new ArrayList<>();
        List<byte[]> parts = new ArrayList<>();
        byte[] bytes = random(20 * 1000);
        int[] fds = Sockets.pair();
        Sockets.nonBlocking(fds[0], true);
        CompletableFuture<Channel> channel = new CompletableFuture<>();
        AtomicLong count = new AtomicLong();
        onLoop(() -> channel.complete(loop.open(fds[0], new Ignore() {
            @Override
            public void received(Buffer buffer, int from, int length) {
                buffer.retain();
                kept.add(buffer);
                parts.add(buffer.memory().asSlice(from, length).toArray(ValueLayout.JAVA_BYTE));
                count.addAndGet(length);
            }
        })));
        MemorySegment memory = map(bytes.length);
        memory.copyFrom(MemorySegment.ofArray(bytes));
        CallState state = CallState.forever();
        for (int i = 0; i < 20; i++) {
            assertThat(Sockets.send(state, fds[1], memory.address() + i * 1000L, 1000))
                    .isEqualTo(1000);
            long wanted = (i + 1) * 1000L;
            await("part " + i, () -> count.get() == wanted);
        }
        onLoop(() -> {
            for (int i = 0; i < kept.size(); i++) {
                byte[] now =
                        kept.get(i).memory().asSlice(0, parts.get(i).length).toArray(ValueLayout.JAVA_BYTE);
                assertThat(now).isEqualTo(parts.get(i));
                kept.get(i).release();
            }
            channel.join().close();
        });
        Sockets.close(fds[1]);
        Memory.unmap(memory);
    }

    /** A handler that does nothing. */
    private static class Ignore implements ChannelHandler {
        @Override
        public void received(Buffer buffer, int from, int length) {}

        @Override
        public void filled(boolean more) {}

        @Override
        public void sent() {}

        @Override
        public void turnOver() {}

        @Override
        public void detached() {}

        @Override
        public void closed(int errno) {}
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    @Test
    void aSendThatTheSocketDoesNotTakeAtOnceGoesOn() throws ErrnoException {
        byte[] bytes = random(6_000_000);
        MemorySegment memory = map(bytes.length);
        memory.copyFrom(MemorySegment.ofArray(bytes));
        try (Pair pair = new Pair();
                IoVec vector = new IoVec(1000)) {
            onLoop(() -> {
                for (int i = 0; i < 1000; i++) {
                    // Neighbours would be joined: the pieces go backwards, and so does what is compared below.
                    vector.add(memory.address() + (999 - i) * 6000L, 6000);
                }
                pair.channel.send(vector);
                assertThat(pair.channel.sending()).isTrue();
            });
            byte[] arrived = pair.read(bytes.length);
            await("the send", () -> pair.sent.get() == 1);
            for (int i = 0; i < 1000; i++) {
                assertThat(java.util.Arrays.mismatch(
                                arrived, i * 6000, i * 6000 + 6000, bytes, (999 - i) * 6000, (999 - i) * 6000 + 6000))
                        .isEqualTo(-1);
            }
        } finally {
            Memory.unmap(memory);
        }
    }

    @Test
    void receivingGoesOnWhileASendWaits() throws ErrnoException {
        MemorySegment memory = map(4_000_000);
        try (Pair pair = new Pair();
                IoVec vector = new IoVec(1)) {
            onLoop(() -> {
                vector.add(memory.address(), 4_000_000);
                pair.channel.send(vector);
            });
            byte[] bytes = random(50_000);
            pair.write(bytes);
            await("what arrives", () -> pair.receivedBytes.get() == bytes.length);
            assertThat(pair.sent).hasValue(0);
            pair.read(4_000_000);
            await("the send", () -> pair.sent.get() == 1);
        } finally {
            Memory.unmap(memory);
        }
    }

    @Test
    void aChannelMayBeClosedWithASendUnderWay() throws ErrnoException {
        MemorySegment memory = map(4_000_000);
        Pair pair = new Pair();
        IoVec vector = new IoVec(1);
        onLoop(() -> {
            vector.add(memory.address(), 4_000_000);
            pair.channel.send(vector);
            assertThat(pair.channel.sending()).isTrue();
            pair.channel.close();
            assertThat(pair.channel.isClosed()).isTrue();
            // Nobody may use these any more.
            vector.close();
        });
        Memory.unmap(memory);
        // The peer gets what had left, then the end.
        MemorySegment rest = map(1 << 20);
        long n;
        do {
            n = Sockets.receive(pair.state, pair.peer, rest.address(), rest.byteSize());
        } while (n > 0);
        assertThat(n).isZero();
        pair.closePeer();
        onLoop(() -> {});
        assertThat(pair.sent).hasValue(0);
        assertThat(pair.closed).isNotDone();
        Memory.unmap(rest);
    }

    @Test
    void touchedChannelsAreToldOnceAtTheEndOfTheTurn() throws ErrnoException {
        try (Pair pair = new Pair()) {
            onLoop(() -> {
                pair.channel.touch();
                pair.channel.touch();
                assertThat(pair.events).isEmpty();
            });
            onLoop(() -> assertThat(pair.events).containsExactly("turnOver"));
        }
    }

    // ---- how much is received at once ----------------------------------------------------------------------------

    /** A client whose requests are answered in the turn in which they come, and who knows what came in one receive. */
    private final class Client extends Pair {
        private static final int WAITING = 150 << 10;

        private int requests = 1;
        private int largest;

        Client() throws ErrnoException {
            onReceive = () -> channel.touch();
            onTurnOver = () -> {
                for (int i = 0; i < requests; i++) {
                    loop.counters().request();
                }
            };
        }

        @Override
        public void received(Buffer buffer, int from, int length) {
            largest = Math.max(largest, length);
            super.received(buffer, from, length);
        }

        /** Sends that much and waits until the loop has dealt with it. */
        void ask(int bytes) {
            long before = receivedBytes.get();
            write(random(bytes));
            await("bytes of a client", () -> receivedBytes.get() == before + bytes);
            onLoop(() -> {});
        }

        /** What is taken at once of much that waits. */
        int takes() {
            long before = receivedBytes.get();
            onLoop(channel::pause);
            write(random(WAITING));
            onLoop(() -> {
                largest = 0;
                channel.resume();
            });
            await("what waited", () -> receivedBytes.get() == before + WAITING);
            CompletableFuture<Integer> answer = new CompletableFuture<>();
            onLoop(() -> answer.complete(largest));
            return answer.join();
        }
    }

    @Test
    void aReceiveTakesEverythingOfBusyClientsWithShortRequests() throws ErrnoException {
        try (Client one = new Client();
                Client other = new Client()) {
            // Alone, it shall get answers while the rest is dealt with.
            for (int i = 0; i < 20; i++) {
                one.ask(100);
            }
            assertThat(one.takes()).isEqualTo(EventLoop.RECEIVE_AT_ONCE);

            other.ask(100);
            one.ask(100);
            assertThat(one.takes()).isEqualTo(Client.WAITING);

            // Long requests are better received to where they belong.
            other.ask(40 << 10);
            assertThat(one.takes()).isEqualTo(EventLoop.RECEIVE_AT_ONCE);
            other.requests = 10;
            other.ask(40 << 10);
            assertThat(one.takes()).isEqualTo(Client.WAITING);

            // The other one has gone quiet.
            for (int i = 0; i < 20; i++) {
                one.ask(100);
            }
            assertThat(one.takes()).isEqualTo(EventLoop.RECEIVE_AT_ONCE);
        }
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    @Test
    void theEndComesAfterTheLastBytes() throws ErrnoException {
        Pair pair = new Pair();
        byte[] bytes = random(700_000);
        pair.write(bytes);
        pair.closePeer();
        assertThat(pair.awaitClosed()).isZero();
        assertThat(pair.bytes()).isEqualTo(bytes);
    }

    @Test
    void aPeerThatOnlyStoppedSendingIsSentToUntilTheHandlerSeesTheEnd() throws ErrnoException {
        Pair pair = new Pair();
        byte[] bytes = random(1000);
        pair.write(bytes);
        Sockets.shutdown(pair.peer);
        assertThat(pair.awaitClosed()).isZero();
        assertThat(pair.bytes()).isEqualTo(bytes);
        pair.closePeer();
    }

    @Test
    void theLossOfThePeerIsSeenWhilePaused() throws ErrnoException {
        Pair pair = new Pair();
        onLoop(pair.channel::pause);
        pair.closePeer();
        pair.awaitClosed();
    }

    @Test
    void aBrokenSendClosesTheChannel() throws ErrnoException {
        MemorySegment memory = map(4_000_000);
        Pair pair = new Pair();
        IoVec vector = new IoVec(1);
        onLoop(() -> {
            vector.add(memory.address(), 4_000_000);
            pair.channel.send(vector);
        });
        pair.closePeer();
        pair.awaitClosed();
        onLoop(() -> assertThat(pair.channel.isClosed()).isTrue());
        vector.close();
        Memory.unmap(memory);
    }

    @Test
    void aHandlerThatFailsLosesItsOwnChannelOnly() throws ErrnoException {
        Pair broken = new Pair();
        try (Pair other = new Pair()) {
            broken.onReceive = () -> {
                throw new IllegalStateException("on purpose");
            };
            broken.write(random(10));
            broken.awaitClosed();
            other.write(random(10));
            await("the other channel", () -> other.receivedBytes.get() == 10);
        }
        broken.closePeer();
    }

    @Test
    void manyChannelsComeAndGo() throws Exception {
        int rounds = 20;
        int channels = 64;
        for (int round = 0; round < rounds; round++) {
            List<Pair> pairs = new ArrayList<>();
            for (int i = 0; i < channels; i++) {
                pairs.add(new Pair());
            }
            for (int i = 0; i < channels; i++) {
                pairs.get(i).write(random(100 + i));
            }
            for (int i = 0; i < channels; i++) {
                Pair pair = pairs.get(i);
                int wanted = 100 + i;
                await("channel " + i, () -> pair.receivedBytes.get() == wanted);
                if (i % 2 == 0) {
                    pair.closePeer();
                    assertThat(pair.awaitClosed()).isZero();
                } else {
                    pair.close();
                }
            }
        }
        onLoop(() -> assertThat(loop.pool().inUse()).isLessThanOrEqualTo(1));
    }

    @Test
    void aChannelMayMoveToAnotherLoopAndLosesNothing() throws Exception {
        IoLoop other = start(LoopOptions.of(POOL));
        Pair pair = new Pair();
        byte[] bytes = random(300_000);
        pair.write(java.util.Arrays.copyOf(bytes, 100_000));
        await("the first bytes", () -> pair.receivedBytes.get() == 100_000);
        int fd = pair.channel.fd();
        onLoop(() -> {
            pair.channel.detach();
            assertThat(pair.events).last().isEqualTo("detached");
        });
        pair.write(java.util.Arrays.copyOfRange(bytes, 100_000, 200_000));
        CompletableFuture<Channel> moved = new CompletableFuture<>();
        other.execute(() -> moved.complete(other.open(fd, pair)));
        moved.orTimeout(60, TimeUnit.SECONDS).join();
        pair.write(java.util.Arrays.copyOfRange(bytes, 200_000, 300_000));
        await("the other bytes", () -> pair.receivedBytes.get() == 300_000);
        pair.closePeer();
        assertThat(pair.awaitClosed()).isZero();
        assertThat(pair.bytes()).isEqualTo(bytes);
        other.close();
    }

    // ---- how it works --------------------------------------------------------------------------------------------

    @Test
    void itCountsWhatItDoes() throws ErrnoException {
        MemorySegment memory = map(4096);
        try (Pair pair = new Pair();
                IoVec vector = new IoVec(1)) {
            pair.write(random(1234));
            await("bytes", () -> pair.receivedBytes.get() == 1234);
            onLoop(() -> {
                vector.add(memory.address(), 321);
                pair.channel.send(vector);
            });
            Counters counters = loop.counters();
            assertThat(counters.receivedBytes()).isEqualTo(1234);
            assertThat(counters.receives()).isPositive();
            assertThat(counters.sentBytes()).isEqualTo(321);
            assertThat(counters.sends()).isEqualTo(1);
            assertThat(counters.turns()).isPositive();
            await("a sleep", () -> counters.sleeps() > 0);
        } finally {
            Memory.unmap(memory);
        }
    }

    @Test
    void aLoopThatSpinsAndWorksInBatchesDoesTheSame() throws ErrnoException {
        loop.close();
        loop = start(new LoopOptions(POOL, Duration.ofMillis(1), true, ZeroCopy.OFF, System::nanoTime));
        try (Pair pair = new Pair()) {
            for (int i = 1; i <= 200; i++) {
                pair.write(random(10));
                long wanted = 10L * i;
                await("part " + i, () -> pair.receivedBytes.get() == wanted);
                onLoop(() -> {});
            }
            CompletableFuture<Void> timer = new CompletableFuture<>();
            onLoop(() -> loop.after(Duration.ofMillis(5), () -> timer.complete(null)));
            timer.orTimeout(60, TimeUnit.SECONDS).join();
        }
    }

    // ---- sends in place ------------------------------------------------------------------------------------------

    private static final int IN_PLACE = 512 << 10;

    private Pair inPlace() throws ErrnoException {
        return inPlace(ZeroCopy.WHERE_IT_PAYS);
    }

    private Pair inPlace(ZeroCopy zeroCopy) throws ErrnoException {
        loop.close();
        loop = start(new LoopOptions(POOL, Duration.ZERO, false, zeroCopy, System::nanoTime));
        Pair pair = new Pair(tcp());
        onLoop(() -> {
            assertThat(pair.channel.wantsInPlace()).isFalse();
            pair.channel.allowInPlace();
            assertThat(pair.channel.wantsInPlace()).isTrue();
        });
        return pair;
    }

    /** On this machine, where the system copies after all, and says so. */
    private static int[] tcp() throws ErrnoException {
        int listener = Sockets.listen(new SocketAddress.Tcp(InetAddress.getLoopbackAddress(), 0), 1);
        try (CallState state = CallState.open()) {
            int peer = Sockets.connect(Sockets.local(listener), 1000);
            return new int[] {Sockets.accept(state, listener), peer};
        } finally {
            Sockets.close(listener);
        }
    }

    /** Sends random bytes from a buffer, and lets go of it as soon as the send is over; what it sends. */
    private byte[] sendInPlace(Pair pair, IoVec vector) {
        byte[] bytes = random(IN_PLACE);
        onLoop(() -> {
            Buffer buffer = loop.pool().take(IN_PLACE);
            buffer.memory().copyFrom(MemorySegment.ofArray(bytes));
            vector.add(buffer.address(), IN_PLACE);
            pair.onSent = () -> pair.channel.release(buffer);
            pair.channel.sendInPlace(vector);
        });
        return bytes;
    }

    private int buffersInUse() {
        AtomicInteger inUse = new AtomicInteger();
        onLoop(() -> inUse.set(loop.pool().inUse()));
        return inUse.get();
    }

    @Test
    void whatIsSentInPlaceArrivesAndItsBufferComesBack() throws ErrnoException {
        try (Pair pair = inPlace();
                IoVec vector = new IoVec(1)) {
            onLoop(() -> pair.channel.pause()); // so that only the error queue has something to tell
            int before = buffersInUse();
            byte[] bytes = sendInPlace(pair, vector);
            assertThat(pair.read(IN_PLACE)).isEqualTo(bytes);
            await("the buffer", () -> buffersInUse() == before);
            assertThat(loop.counters().sentInPlaceBytes()).isPositive().isLessThanOrEqualTo(IN_PLACE);
            onLoop(() -> {
                assertThat(pair.channel.wantsInPlace())
                        .as("after copies all the same")
                        .isFalse();
                pair.channel.resume();
            });
            pair.write(random(100));
            await("what the peer sends", () -> pair.receivedBytes.get() == 100);
            assertThat(pair.closed).isNotDone();
        }
    }

    @Test
    void aChannelThatIsClosedBetweenGivesItsBuffersBackWhenTheSystemDoes() throws ErrnoException {
        try (Pair pair = inPlace();
                IoVec vector = new IoVec(1)) {
            int before = buffersInUse();
            Sockets.bufferSizes(pair.channel.fd(), 4 << 20); // takes all at once
            byte[] bytes = sendInPlace(pair, vector);
            await("the send", () -> pair.sent.get() == 1);
            onLoop(() -> pair.channel.close());
            assertThat(buffersInUse()).isEqualTo(before + 1);
            // Nothing of it is lost, and the end follows.
            assertThat(pair.read(IN_PLACE)).isEqualTo(bytes);
            assertThat(pair.ends()).isTrue();
            await("the buffer", () -> buffersInUse() == before);
            assertThat(pair.closed).isNotDone(); // it was closed from here
        }
    }

    @Test
    void aPeerThatTakesNothingLosesWhatWasSentToAClosedChannel() throws ErrnoException {
        try (Pair pair = inPlace();
                IoVec vector = new IoVec(1)) {
            int before = buffersInUse();
            Sockets.bufferSizes(pair.channel.fd(), 4 << 20);
            sendInPlace(pair, vector);
            await("the send", () -> pair.sent.get() == 1);
            long began = System.nanoTime();
            onLoop(() -> pair.channel.close());
            await("the buffer", () -> buffersInUse() == before);
            assertThat(Duration.ofNanos(System.nanoTime() - began))
                    .isBetween(Duration.ofSeconds(2), Duration.ofSeconds(20));
        }
    }

    /** The socket is full again and again, so that notices come while the loop waits for room as well. */
    @Test
    void noticesKeepNeitherAPausedChannelFromLivingNorTheLoopFromSleeping() throws ErrnoException {
        int sends = 60;
        try (Pair pair = inPlace(ZeroCopy.ALWAYS);
                IoVec vector = new IoVec(1)) {
            onLoop(() -> pair.channel.pause());
            Sockets.bufferSizes(pair.channel.fd(), 128 << 10);
            Sockets.bufferSizes(pair.peer, 128 << 10);
            int before = buffersInUse();
            byte[] bytes = random(IN_PLACE);
            for (int i = 0; i < sends; i++) {
                int sent = i;
                await("room", () -> pair.sent.get() == sent && buffersInUse() < before + 8);
                sendInPlace(pair, vector);
                assertThat(pair.read(IN_PLACE)).isEqualTo(bytes);
            }
            await("the buffers", () -> buffersInUse() == before);
            assertThat(loop.counters().sentInPlaceBytes()).isGreaterThan(IN_PLACE * 2L);
            assertThat(pair.closed).isNotDone();
            onLoop(() -> pair.channel.resume());
            pair.write(random(100));
            await("what the peer sends", () -> pair.receivedBytes.get() == 100);
            long turns = loop.counters().turns();
            pause(200);
            assertThat(loop.counters().turns() - turns).isLessThan(20);
        }
    }

    private static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aPeerThatGoesAwayIsNoticedBesideSendsInPlace() throws ErrnoException {
        try (Pair pair = inPlace();
                IoVec vector = new IoVec(1)) {
            pair.write(random(1));
            await("a receive", () -> pair.receivedBytes.get() == 1); // has a buffer from now on
            int before = buffersInUse();
            sendInPlace(pair, vector);
            Sockets.disconnect(pair.peer);
            assertThat(pair.closed.orTimeout(60, TimeUnit.SECONDS).join()).isNotNull();
            onLoop(() -> {
                if (pair.sent.get() == 0) {
                    pair.onSent.run(); // what a handler does when its channel is closed in the middle
                }
            });
            await("the buffer", () -> buffersInUse() == before);
        }
    }

    @Test
    void smallPiecesAreSentAsEver() throws ErrnoException {
        MemorySegment memory = map(IN_PLACE);
        try (Pair pair = inPlace();
                IoVec vector = new IoVec(32)) {
            onLoop(() -> {
                for (int i = 0; i < 32; i++) {
                    vector.add(memory.address() + i * 8192L, 4096);
                }
                pair.channel.sendInPlace(vector);
            });
            assertThat(pair.read(32 * 4096)).hasSize(32 * 4096);
            assertThat(loop.counters().sentInPlaceBytes()).isZero();
            onLoop(() -> assertThat(pair.channel.wantsInPlace()).isTrue());
        } finally {
            Memory.unmap(memory);
        }
    }

    @Test
    void unixSocketsSendNothingInPlace() throws ErrnoException {
        loop.close();
        loop = start(new LoopOptions(POOL, Duration.ZERO, false, ZeroCopy.ALWAYS, System::nanoTime));
        try (Pair pair = new Pair()) {
            onLoop(() -> {
                pair.channel.allowInPlace();
                assertThat(pair.channel.wantsInPlace()).isFalse();
            });
        }
    }

    @Test
    void theContentOfAFileThatIsInMemoryIsReadAtOnce(@org.junit.jupiter.api.io.TempDir java.nio.file.Path directory)
            throws Exception {
        byte[] bytes = random(10_000);
        java.nio.file.Path file = java.nio.file.Files.write(directory.resolve("file"), bytes);
        int fd = farsight.sys.Files.open(file.toString(), farsight.sys.Files.READ_ONLY);
        MemorySegment memory = map(8192);
        onLoop(() -> {
            long result = loop.readCached(fd, memory.address(), 5000, 3000);
            // A file system that cannot tell says so; any other has it, since it was just written.
            if (result != -farsight.sys.Files.EOPNOTSUPP) {
                assertThat(result).isEqualTo(5000);
                assertThat(Native.view(memory.address(), 5000).toArray(ValueLayout.JAVA_BYTE))
                        .isEqualTo(java.util.Arrays.copyOfRange(bytes, 3000, 8000));
            }
        });
        farsight.sys.Files.close(fd);
        Memory.unmap(memory);
    }

    @Test
    void whatOfAMappedFileIsInMemoryIsKnown(@org.junit.jupiter.api.io.TempDir java.nio.file.Path directory)
            throws Exception {
        java.nio.file.Path file = java.nio.file.Files.write(directory.resolve("file"), random(3_000_000));
        int fd = farsight.sys.Files.open(file.toString(), farsight.sys.Files.READ_WRITE);
        farsight.sys.Files.truncate(fd, 4_000_000);
        MemorySegment mapping = Memory.view(fd, 4_000_000);
        onLoop(() -> {
            assertThat(loop.resident(mapping.address() + 5, 2_999_995)).isTrue();
            // Nobody has ever read what lies behind.
            assertThat(loop.resident(mapping.address() + 3_500_000, 1)).isFalse();
            assertThat(loop.resident(mapping.address(), 4_000_000)).isFalse();
        });
        Memory.unmap(mapping);
        farsight.sys.Files.close(fd);
    }
}
