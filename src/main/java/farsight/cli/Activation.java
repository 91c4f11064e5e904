package farsight.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Sockets that this process was started with (sd_listen_fds(3)): from descriptor 3 on, as many as LISTEN_FDS says, when
 * LISTEN_PID says that they are for this process. What LISTEN_FDNAMES calls them makes no difference: every socket
 * serves every export.
 */
final class Activation {
    private static final int FIRST = 3;
    private static final int MOST = 1024;

    private Activation() {}

    /**
     * The descriptors; empty when there are none for this process.
     *
     * @throws IllegalArgumentException when there ought to be, and their number makes no sense
     */
    static List<Integer> sockets(Map<String, String> environment, long pid) {
        String count = environment.get("LISTEN_FDS");
        if (count == null || !Long.toString(pid).equals(environment.get("LISTEN_PID"))) {
            return List.of();
        }
        if (!count.matches("\\d{1,4}") || Integer.parseInt(count) < 1 || Integer.parseInt(count) > MOST) {
            throw new IllegalArgumentException("LISTEN_FDS is '" + count + "'; it must be from 1 to " + MOST
                    + " when LISTEN_PID names this process");
        }
        List<Integer> sockets = new ArrayList<>();
        for (int i = 0; i < Integer.parseInt(count); i++) {
            sockets.add(FIRST + i);
        }
        return sockets;
    }
}
