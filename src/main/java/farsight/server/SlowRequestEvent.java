package farsight.server;

import farsight.protocol.Nbd;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** For Java's flight recorder: a request that took {@link #LEAST_NANOS} or longer, and where its time went. */
@Name("farsight.SlowRequest")
@Label("Slow NBD Request")
@Description("A request that took 10 ms or longer from its receipt to its reply")
@Category("Farsight")
@StackTrace(false)
final class SlowRequestEvent extends Event {
    static final long LEAST_NANOS = 10_000_000;

    /** Asked before an event is made, so that nothing is when nobody records. */
    private static final SlowRequestEvent PROBE = new SlowRequestEvent();

    @Label("Export")
    String export;

    @Label("Client")
    String client;

    @Label("Command")
    String command;

    @Label("Offset")
    @DataAmount
    long offset;

    @Label("Length")
    @DataAmount
    long length;

    @Label("Error")
    @Description("Linux error number, 0 for success")
    int error;

    @Label("Total")
    @Timespan(Timespan.NANOSECONDS)
    long total;

    @Label("In Storage")
    @Timespan(Timespan.NANOSECONDS)
    long storage;

    static boolean wanted() {
        return PROBE.isEnabled();
    }

    static void tell(IoRequest request, String export, String client, long total) {
        SlowRequestEvent event = new SlowRequestEvent();
        event.export = export;
        event.client = client;
        event.command = Nbd.commandName(request.type);
        event.offset = request.start;
        event.length = request.wanted;
        event.error = request.errno;
        event.total = total;
        event.storage = request.inStorage();
        event.commit();
    }
}
