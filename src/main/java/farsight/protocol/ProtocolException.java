package farsight.protocol;

import java.io.IOException;

/** The other side sent what the protocol does not allow. The message says what, for people. */
public final class ProtocolException extends IOException {
    private static final long serialVersionUID = 1;

    public ProtocolException(String message) {
        super(message);
    }
}
