package farsight.server;

import java.io.IOException;

/** No export has the name that a client asked for. */
final class UnknownExportException extends IOException {
    private static final long serialVersionUID = 1;

    UnknownExportException(String message) {
        super(message);
    }
}
