package farsight.loop;

/** One operation on a file, on its way through a loop's ring. Used again and again. Loop thread only. */
public final class FileOperation implements UringLoop.Target {
    /** Who started it. */
    public interface Owner {
        /** It is over, and nothing of the system uses its memory any more. */
        void completed(FileOperation operation, int result);
    }

    private int slot;
    FileOperation next;
    private Owner owner;
    private Object request;

    // For the owner, whose operation may take several steps.
    public long address;
    public long length;
    public long offset;
    public boolean last;

    void slot(int number) {
        slot = number;
    }

    int slot() {
        return slot;
    }

    void begin(Owner newOwner, Object newRequest) {
        owner = newOwner;
        request = newRequest;
        last = false;
    }

    void end() {
        owner = null;
        request = null;
    }

    /** What the owner has given it. */
    public Object request() {
        return request;
    }

    @Override
    public void completed(int kind, int result, int flags) {
        owner.completed(this, result);
    }
}
