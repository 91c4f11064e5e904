package farsight.backend.http;

import farsight.backend.BlockDevice;
import farsight.backend.BlockSizes;
import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.config.Sizes;
import farsight.tls.Credentials;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodySubscriber;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.CertPathBuilderException;
import java.security.cert.CertificateExpiredException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;

/**
 * A file of a web server by range requests (RFC 9110, 14). A file that changes meanwhile, by its entity tag or date, would
 * be a mixture of two: reads then fail (If-Range, or its size).
 */
final class HttpDevice implements BlockDevice {
    private static final Pattern CONTENT_RANGE = Pattern.compile("bytes (\\d+)-(\\d+)/(\\d+)");
    private static final int OK = 200;
    private static final int PARTIAL = 206;
    private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
    private static final int MOST_REDIRECTS = 5;

    private final HttpClient client;
    private final URI uri;
    private final Duration timeout;
    private final int retries;
    private final Map<String, String> headers;
    private long size;
    private String validator;

    private HttpDevice(HttpClient client, URI uri, Duration timeout, int retries, Map<String, String> headers) {
        this.client = client;
        this.uri = uri;
        this.timeout = timeout;
        this.retries = retries;
        this.headers = headers;
    }

    /** @param certificates a directory as {@link Credentials} says; null for the authorities that the JDK knows */
    static HttpDevice open(URI uri, Path certificates, Duration timeout, int retries, Map<String, String> headers)
            throws IOException {
        HttpClient.Builder client =
                HttpClient.newBuilder().connectTimeout(timeout).followRedirects(HttpClient.Redirect.NEVER);
        if (certificates != null) {
            client.sslContext(context(certificates));
        }
        HttpDevice device = new HttpDevice(client.build(), uri, timeout, retries, headers);
        try {
            device.look();
        } catch (IOException | RuntimeException e) {
            device.close();
            throw e;
        }
        return device;
    }

    private static SSLContext context(Path certificates) throws IOException {
        try {
            return Credentials.client(certificates, true);
        } catch (IOException e) {
            throw new DeviceException(Errno.EINVAL, e.getMessage(), e);
        }
    }

    /** Asks for the first byte: whether ranges are served, of how much, and by which name of this state of the file. */
    private void look() throws IOException {
        Answer answer = first();
        Optional<String> length = answer.headers().firstValue("Content-Range");
        Matcher matcher = CONTENT_RANGE.matcher(length.orElse(""));
        if (answer.status() != PARTIAL || !matcher.matches()) {
            throw new DeviceException(
                    Errno.EIO,
                    uri + ": "
                            + (answer.status() == OK
                                    ? "the server does not serve ranges of it"
                                    : "the server answers with status " + answer.status()));
        }
        size = Long.parseLong(matcher.group(3));
        // Weak tags are of no use for ranges (RFC 9110, 13.1.5).
        validator = answer.headers()
                .firstValue("ETag")
                .filter(tag -> tag.startsWith("\""))
                .or(() -> answer.headers().firstValue("Last-Modified"))
                .orElse(null);
    }

    private Answer first() throws IOException {
        try {
            return ask(0, 1);
        } catch (DeviceException e) {
            throw e;
        } catch (IOException e) {
            throw new DeviceException(Errno.EIO, uri + ": " + e.getMessage(), e);
        }
    }

    /** Asks for a range, wherever that is now: the server may name another place each time. */
    private Answer ask(long offset, int length) throws IOException {
        URI place = uri;
        for (int i = 0; i <= MOST_REDIRECTS; i++) {
            Answer answer = send(range(place, offset, length), length);
            String location = answer.headers().firstValue("Location").orElse(null);
            if (location == null || !REDIRECTS.contains(answer.status())) {
                return answer;
            }
            place = next(place, location);
        }
        throw new IOException("more than " + MOST_REDIRECTS + " redirects");
    }

    private static URI next(URI place, String location) throws IOException {
        URI next;
        try {
            next = place.resolve(location);
        } catch (IllegalArgumentException e) {
            throw new IOException("the server redirects to what is no URL", e);
        }
        boolean secure = "https".equals(next.getScheme());
        boolean plain = "http".equals(next.getScheme()) && "http".equals(place.getScheme());
        if (next.getHost() == null || !secure && !plain) {
            throw new IOException("the server redirects to " + next.getScheme() + ", which is not followed from "
                    + place.getScheme());
        }
        return next;
    }

    private HttpRequest range(URI place, long offset, long length) {
        HttpRequest.Builder request = HttpRequest.newBuilder(place)
                .timeout(timeout)
                .header("Range", "bytes=" + offset + "-" + (offset + length - 1));
        // What proves to one server who is asking is not for another one that it names.
        if (place.getScheme().equals(uri.getScheme()) && place.getAuthority().equals(uri.getAuthority())) {
            headers.forEach(request::setHeader);
        }
        if (validator != null) {
            request.header("If-Range", validator);
        }
        return request.build();
    }

    /** What came of a request. */
    private record Answer(int status, HttpHeaders headers, byte[] body) {}

    /** The body is taken from the client's threads by way of the heap: they may go on after a time-out. */
    private Answer send(HttpRequest request, int length) throws IOException {
        CompletableFuture<HttpResponse<byte[]>> sent = client.sendAsync(
                request, head -> head.statusCode() == PARTIAL ? body(length) : BodySubscribers.replacing(null));
        try {
            HttpResponse<byte[]> response = sent.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
            return new Answer(response.statusCode(), response.headers(), response.body());
        } catch (TimeoutException e) {
            sent.cancel(true);
            throw new IOException("no answer within " + Sizes.formatTime(timeout), e);
        } catch (ExecutionException e) {
            throw new IOException(reason(e.getCause()), e.getCause());
        } catch (InterruptedException e) {
            sent.cancel(true);
            Thread.currentThread().interrupt();
            throw new DeviceException(Errno.EIO, uri + ": interrupted", e);
        }
    }

    /** Some of the client's exceptions say nothing but their class, and those of TLS what only programmers know. */
    private static String reason(Throwable e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            switch (cause) {
                case CertificateExpiredException expired -> {
                    return "TLS: the server's certificate has expired (" + expired.getMessage() + ")";
                }
                case CertPathBuilderException unknown -> {
                    return "TLS: the server's certificate is signed by none of the authorities that are trusted;"
                            + " tls_certificates names a directory with the ca-cert.pem of others";
                }
                case GeneralSecurityException wrong
                when wrong.getCause() == null -> {
                    return "TLS: the server's certificate: " + wrong.getMessage();
                }
                default -> {}
            }
        }
        String message = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        return e instanceof SSLException ? "TLS: " + message : message;
    }

    /** As many bytes as were asked for; more or fewer are a failure. */
    private static BodySubscriber<byte[]> body(int length) {
        byte[] bytes = new byte[length];
        AtomicInteger taken = new AtomicInteger();
        BodySubscriber<Void> parts = BodySubscribers.ofByteArrayConsumer(next -> next.ifPresent(part -> {
            int at = taken.getAndAdd(part.length);
            if (part.length > length - at) {
                throw new IllegalStateException("the answer is longer than was asked for");
            }
            System.arraycopy(part, 0, bytes, at, part.length);
        }));
        return BodySubscribers.mapping(parts, done -> {
            if (taken.get() != length) {
                throw new IllegalStateException("the answer has " + taken + " bytes instead of " + length);
            }
            return bytes;
        });
    }

    @Override
    public void read(MemorySegment target, long offset) throws IOException {
        IOException failure = null;
        for (int attempt = 0; attempt <= retries; attempt++) {
            try {
                Answer answer = ask(offset, (int) target.byteSize());
                if (checked(answer, offset, target.byteSize())) {
                    target.copyFrom(MemorySegment.ofArray(answer.body()));
                    return;
                }
                failure = new IOException("status " + answer.status());
            } catch (DeviceException e) {
                throw e;
            } catch (IOException e) {
                failure = e;
            }
        }
        throw new DeviceException(
                Errno.EIO, uri + ": cannot be read at " + offset + ": " + failure.getMessage(), failure);
    }

    /** False when it may be better another time. */
    private boolean checked(Answer answer, long offset, long length) throws IOException {
        if (answer.status() >= 500 || answer.status() == 429) {
            return false;
        }
        String expected = "bytes " + offset + "-" + (offset + length - 1) + "/" + size;
        String range = answer.headers().firstValue("Content-Range").orElse("");
        if (answer.status() == PARTIAL && range.equals(expected)) {
            return true;
        }
        throw new DeviceException(
                Errno.EIO,
                uri + ": "
                        + (answer.status() == OK || answer.status() == PARTIAL
                                ? "the file has changed since it was opened"
                                : "the server answers with status " + answer.status()));
    }

    @Override
    public void write(MemorySegment source, long offset) throws IOException {
        throw new DeviceException(Errno.EPERM, uri + ": is read-only");
    }

    @Override
    public boolean readOnly() {
        return true;
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public int concurrency() {
        return 16;
    }

    @Override
    public BlockSizes blockSizes() {
        return new BlockSizes(1, 64 << 10, 8 << 20);
    }

    @Override
    public String description() {
        return uri.toString();
    }

    @Override
    public void close() {
        client.shutdownNow();
    }
}
