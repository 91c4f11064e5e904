package farsight.loop;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** For Java's flight recorder: a turn of a loop that took long. The event's thread is the loop. */
@Name("farsight.LoopStall")
@Label("Loop Stall")
@Description("A turn of an event loop took so long that its clients had to wait for it")
@Category("Farsight")
@StackTrace(false)
final class StallEvent extends Event {
    @Label("Turn")
    @Timespan(Timespan.NANOSECONDS)
    long turn;

    static void tell(long nanos) {
        StallEvent event = new StallEvent();
        if (event.shouldCommit()) {
            event.turn = nanos;
            event.commit();
        }
    }
}
