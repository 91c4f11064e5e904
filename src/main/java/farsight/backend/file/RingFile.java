package farsight.backend.file;

import farsight.backend.Request;
import farsight.loop.FileIo;
import farsight.loop.FileOperation;
import farsight.loop.IoLoop;
import farsight.sys.Files;
import farsight.sys.Uring;

/**
 * The operations on a file that a loop's ring can do without anybody's waiting. What it cannot goes to the workers. Each
 * request stays on the loop that it came from.
 */
final class RingFile implements FileOperation.Owner {
    private final int fd;
    private final boolean blockDevice;
    private final BlockingFile blocking;
    private final Workers workers;

    RingFile(int fd, boolean blockDevice, BlockingFile blocking, Workers workers) {
        this.fd = fd;
        this.blockDevice = blockDevice;
        this.blocking = blocking;
        this.workers = workers;
    }

    void submit(FileIo files, Request request) {
        switch (request.command()) {
            case READ, WRITE -> {
                if (blocking.takes(request.address())) {
                    transfer(files, files.take(this, request), request);
                } else {
                    workers.submit(request);
                }
            }
            case FLUSH -> files.sync(files.take(this, request), fd);
            case TRIM -> zero(files, request, true);
            case WRITE_ZEROES -> zero(files, request, request.mayTrim());
            case CACHE, EXTENTS -> workers.submit(request);
        }
    }

    private void transfer(FileIo files, FileOperation operation, Request request) {
        operation.address = request.address();
        operation.length = request.length();
        operation.offset = request.offset();
        next(files, operation, request);
    }

    private void next(FileIo files, FileOperation operation, Request request) {
        int length = (int) Math.min(operation.length, Uring.LARGEST);
        if (request.command() == Request.Command.READ) {
            files.read(operation, fd, operation.address, length, operation.offset);
        } else {
            files.write(operation, fd, operation.address, length, operation.offset, request.fua());
        }
    }

    /** Zeroes that may not become a hole are for the workers too when the file system cannot make them otherwise. */
    private void zero(FileIo files, Request request, boolean hole) {
        if (blockDevice) {
            workers.submit(request);
        } else {
            files.zero(files.take(this, request), fd, hole, request.offset(), request.length());
        }
    }

    @Override
    public void completed(FileOperation operation, int result) {
        FileIo files = IoLoop.current().files();
        Request request = (Request) operation.request();
        switch (request.command()) {
            case READ, WRITE -> transferred(files, operation, request, result);
            case FLUSH -> finish(files, operation, request, result);
            default -> zeroed(files, operation, request, result);
        }
    }

    /** Short reads and writes go on where they stopped. */
    private void transferred(FileIo files, FileOperation operation, Request request, int result) {
        if (result > 0) {
            operation.address += result;
            operation.offset += result;
            operation.length -= result;
            if (operation.length == 0) {
                finish(files, operation, request, 0);
            } else {
                next(files, operation, request);
            }
        } else if (result == -Uring.EINTR) {
            next(files, operation, request);
        } else if (result == -Uring.EAGAIN) {
            // Not to be had without waiting after all: those who may wait do it.
            files.giveBack(operation);
            workers.submit(request);
        } else {
            // Nothing at all was read when the file was cut below us.
            finish(files, operation, request, result == 0 ? -Files.EIO : result);
        }
    }

    private void zeroed(FileIo files, FileOperation operation, Request request, int result) {
        if (BlockingFile.unsupported(result) || result == -Uring.EINTR) {
            files.giveBack(operation);
            workers.submit(request);
        } else if (result == 0 && request.fua() && !operation.last) {
            operation.last = true;
            files.sync(operation, fd);
        } else {
            finish(files, operation, request, result);
        }
    }

    private static void finish(FileIo files, FileOperation operation, Request request, int result) {
        files.giveBack(operation);
        if (result == 0) {
            request.complete();
        } else {
            request.fail(-result);
        }
    }
}
