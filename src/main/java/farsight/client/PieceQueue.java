package farsight.client;

import java.io.IOException;
import java.util.ArrayDeque;

/**
 * Pieces that one thread plans and several connections ask for, each as soon as one of its requests is answered: so no
 * thread has to be woken for the next one. The planner gets ahead by a bounded number. Connections may join later. Any
 * thread.
 */
final class PieceQueue {
    private static final int MOST = 64;

    /** As many pieces last for as long as it takes to connect. */
    private static final int ENOUGH = 16;

    private final ArrayDeque<CopyPlan.Piece> planned = new ArrayDeque<>(MOST);

    /** How many more requests each connection may have under way. */
    private final int[] idle;

    private final int requests;
    private int joined;
    private int turn;
    private boolean stopped;

    /**
     * @param connections how many there may be; none has joined yet
     * @param requests under way on each connection, at least 1
     */
    PieceQueue(int connections, int requests) {
        idle = new int[connections];
        this.requests = requests;
    }

    /** The next connection is there. */
    synchronized void join() {
        idle[joined++] = requests;
    }

    /** Whether all connections are busy for longer than it takes to make another one, which there may be. */
    synchronized boolean needsAnother() {
        return joined < idle.length && planned.size() >= Math.min(ENOUGH, requests);
    }

    /**
     * Adds a piece, after waiting for room: the connection that the caller has to ask for it on, or -1 when one of them
     * will take it by itself.
     *
     * @throws IOException when interrupted
     */
    synchronized int add(CopyPlan.Piece piece) throws IOException {
        while (!stopped) {
            for (int i = 0; i < idle.length; i++) {
                turn = turn + 1 == idle.length ? 0 : turn + 1;
                if (idle[turn] > 0) {
                    idle[turn]--;
                    return turn;
                }
            }
            if (planned.size() < MOST) {
                planned.add(piece);
                break;
            }
            try {
                wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IOException("interrupted", e);
            }
        }
        return -1;
    }

    /** What a connection that has just been answered asks for next; null for nothing now. */
    synchronized CopyPlan.Piece next(int connection) {
        CopyPlan.Piece piece = planned.poll();
        if (piece == null) {
            idle[connection]++;
        } else if (planned.size() == MOST / 2) {
            notifyAll();
        }
        return piece;
    }

    /** Nothing more is asked for. */
    synchronized void stop() {
        stopped = true;
        planned.clear();
        notifyAll();
    }
}
