package farsight.client;

import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.time.Duration;

/** One connection in the transmission phase: any thread sends requests, one of its own receives the replies. */
final class ClientConnection implements AutoCloseable, ReplyReader.Waiting, ClientSocket.Activity {
    private final ClientSocket socket;
    private final Negotiated negotiated;
    private final ReplyReader replies;
    private final long timeoutNanos;

    /** Cookies are a slot's index and, above it, how often it was used. */
    private final ClientRequest[] slots;

    private final int[] free;
    private int freeCount;
    private long uses;
    private NbdException lost;
    private boolean closing;

    /** The server is stopping: nothing more is asked, and after the last answer it is told goodbye. */
    private boolean retired;

    private boolean saidGoodbye;

    private final Object sendLock = new Object();
    private final Arena arena;
    private final Memory header;
    private final Thread receiver;

    /** When the server last gave a sign of life, or was last asked something after owing nothing. */
    private volatile long lastMove = System.nanoTime();

    ClientConnection(ClientSocket socket, Negotiated negotiated, ClientOptions options) throws NbdException {
        this.socket = socket;
        this.negotiated = negotiated;
        arena = socket.arena();
        header = socket.allocate(arena, Requests.LONGEST + StatusRequest.LONGEST_PAYLOAD);
        replies = new ReplyReader(socket, negotiated.structured(), negotiated.extended(), negotiated.contexts(), this);
        slots = new ClientRequest[options.requests()];
        free = new int[slots.length];
        for (int i = 0; i < free.length; i++) {
            free[i] = free.length - 1 - i;
        }
        freeCount = free.length;
        Duration timeout = options.timeout();
        timeoutNanos = timeout.toNanos();
        if (timeoutNanos > 0) {
            socket.patience(timeout, this);
        }
        receiver = new Thread(null, new Receive(), "nbd-replies");
        receiver.setDaemon(true);
        receiver.start();
    }

    private final class Receive implements Runnable {
        @Override
        public void run() {
            try {
                while (true) {
                    replies.next();
                    lastMove = System.nanoTime();
                }
            } catch (NbdException e) {
                lose(e);
            } catch (RuntimeException | Error e) {
                lose(new NbdException(socket.peer() + ": unexpected: " + e));
                throw e;
            }
        }
    }

    Negotiated negotiated() {
        return negotiated;
    }

    String peer() {
        return socket.peer();
    }

    // ---- requests ------------------------------------------------------------------------------------------------

    /** Sends a request, after waiting for a free slot. Its failure, too, is told to the request. */
    void submit(ClientRequest request) {
        NbdException refused = enter(request);
        if (refused != null) {
            request.done(refused);
            return;
        }
        try {
            synchronized (sendLock) {
                int bytes = Requests.write(
                        header.bytes().clear(),
                        negotiated.extended(),
                        request.flags,
                        request.type,
                        request.cookie,
                        request.offset,
                        request.wireLength());
                request.send(socket, header, bytes);
            }
        } catch (NbdException e) {
            // Half a request may be under way: nothing can follow it. The receiver ends, and fails all that waits.
            lose(e);
        }
    }

    private synchronized NbdException enter(ClientRequest request) {
        boolean interrupted = false;
        while (freeCount == 0 && lost == null && !closing) {
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (lost != null || closing) {
            return lost != null ? lost : new NbdException("the connection is closed");
        }
        if (freeCount == slots.length) {
            lastMove = System.nanoTime();
        }
        int slot = free[--freeCount];
        slots[slot] = request;
        request.cookie = ++uses * slots.length + slot;
        return null;
    }

    @Override
    public synchronized ClientRequest find(long cookie) {
        ClientRequest request = slots[(int) Long.remainderUnsigned(cookie, slots.length)];
        return request == null || request.cookie != cookie ? null : request;
    }

    @Override
    public void answered(ClientRequest request, IOException failureOrNull) {
        if (failureOrNull instanceof NbdException refusal && refusal.error() == Nbd.NBD_ESHUTDOWN) {
            retire();
        }
        if (leave(request)) {
            request.done(failureOrNull);
        }
        if (mayGo()) {
            sayGoodbye();
        }
    }

    /** "If the client receives an NBD_ESHUTDOWN error it MUST initiate a soft disconnect." */
    private synchronized void retire() {
        if (lost == null) {
            lost = new NbdException(socket.peer() + ": the server is stopping", Nbd.NBD_ESHUTDOWN);
            retired = true;
            notifyAll();
        }
    }

    private synchronized boolean mayGo() {
        return retired && freeCount == slots.length;
    }

    private void sayGoodbye() {
        try {
            synchronized (sendLock) {
                if (!saidGoodbye) {
                    saidGoodbye = true;
                    int bytes =
                            Requests.write(header.bytes().clear(), negotiated.extended(), 0, Nbd.NBD_CMD_DISC, 0, 0, 0);
                    socket.send(header, 0, bytes);
                    socket.finish();
                }
            }
        } catch (NbdException e) {
            // It is gone already, which is what was wanted.
        }
    }

    private synchronized boolean leave(ClientRequest request) {
        int slot = (int) Long.remainderUnsigned(request.cookie, slots.length);
        if (slots[slot] != request) {
            return false;
        }
        slots[slot] = null;
        free[freeCount++] = slot;
        if (freeCount == 1) {
            notifyAll();
        }
        return true;
    }

    /** How many requests are not answered yet. */
    synchronized int inFlight() {
        return slots.length - freeCount;
    }

    @Override
    public boolean overdue() {
        return inFlight() > 0 && System.nanoTime() - lastMove >= timeoutNanos;
    }

    /** The first reason is told to every request that waits; the receiver alone does it, for it may be using their memory. */
    private void lose(NbdException cause) {
        synchronized (this) {
            if (lost == null) {
                lost = cause;
            }
            notifyAll();
        }
        socket.shutdown();
        if (Thread.currentThread() == receiver) {
            for (int i = 0; i < slots.length; i++) {
                ClientRequest request;
                synchronized (this) {
                    request = slots[i];
                }
                if (request != null) {
                    answered(request, lost);
                }
            }
        }
    }

    /** Says goodbye (NBD_CMD_DISC) and closes. Requests that are under way fail. */
    @Override
    public void close() {
        boolean polite;
        synchronized (this) {
            if (closing) {
                return;
            }
            closing = true;
            polite = lost == null || retired;
            notifyAll();
        }
        if (polite && inFlight() == 0) {
            sayGoodbye();
        }
        socket.shutdown();
        if (Thread.currentThread() == receiver) {
            return; // closed by a completion: the receiver ends by itself, and the memory stays
        }
        try {
            receiver.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        synchronized (sendLock) {
            socket.close();
            replies.close();
            if (arena != null) {
                arena.close();
            }
        }
    }
}
