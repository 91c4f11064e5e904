package farsight.cli;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** For Java's flight recorder: the configuration was changed, or was to be. */
@Name("farsight.Reload")
@Label("Reload")
@Category("Farsight")
@StackTrace(false)
final class ReloadEvent extends Event {
    /** Null when all went well. */
    @Label("Error")
    String error;

    ReloadEvent() {
        begin();
    }
}
