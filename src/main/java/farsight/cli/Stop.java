package farsight.cli;

import farsight.sys.Signals;

/** What is done when a signal, or anything else, ends the process. */
final class Stop {
    private static volatile int status;
    private static volatile boolean awaited;

    private Stop() {}

    /** Something to bring to its end. */
    interface Ending {
        void end() throws Exception;
    }

    /**
     * Runs {@code ending} when the process is told to stop by SIGINT or SIGTERM, and then exits with status 0: stopping
     * when told to is success. A second signal ends it at once.
     */
    static void onSignal(Ending ending) {
        awaited = true;
        Runtime.getRuntime()
                .addShutdownHook(new Thread(
                        () -> {
                            Signals.endAtOnce();
                            int result = status;
                            try {
                                ending.end();
                            } catch (Exception e) {
                                System.err.println("farsight: " + e.getMessage());
                                result = Math.max(result, 1);
                            }
                            System.out.flush();
                            Runtime.getRuntime().halt(result);
                        },
                        "stop"));
    }

    /**
     * Exits with a status, whatever {@link #onSignal} was given still being run. Where nothing was, it goes the short way:
     * before an orderly exit Java makes ready to log it, which takes as long as small copies take.
     */
    static void exit(int with) {
        status = with;
        if (awaited) {
            System.exit(with);
        }
        System.out.flush();
        System.err.flush();
        Runtime.getRuntime().halt(with);
    }
}
