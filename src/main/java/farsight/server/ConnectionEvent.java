package farsight.server;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** For Java's flight recorder: a client's use of an export, from the end of its handshake on. */
@Name("farsight.Connection")
@Label("NBD Connection")
@Description("A client's use of an export, from the end of its handshake to its leaving")
@Category("Farsight")
@StackTrace(false)
final class ConnectionEvent extends Event {
    @Label("Client")
    final String client;

    @Label("Export")
    final String export;

    @Label("TLS")
    final boolean tls;

    ConnectionEvent(String client, String export, boolean tls) {
        this.client = client;
        this.export = export;
        this.tls = tls;
        begin();
    }
}
