package farsight.backend.rbd;

import farsight.backend.DeviceException;
import farsight.backend.Errno;
import farsight.sys.ErrnoException;

/** Error numbers of librados and librbd as people and clients need them. */
final class RbdError {
    private static final int EPERM = 1;
    private static final int ENOENT = 2;
    private static final int EACCES = 13;
    private static final int EBUSY = 16;
    private static final int EEXIST = 17;
    private static final int EINVAL = 22;
    private static final int ENOTEMPTY = 39;
    private static final int EROFS = 30;
    private static final int ETIMEDOUT = 110;
    private static final int ESHUTDOWN = 108;

    private RbdError() {}

    /** @throws DeviceException when the result is negative */
    static void check(int result, String what) throws DeviceException {
        if (result < 0) {
            throw of(-result, what);
        }
    }

    private static DeviceException of(int errno, String what) {
        String remedy = switch (errno) {
            case ENOENT -> "; it does not exist: check pool, namespace, image and snapshot";
            case EPERM, EACCES -> "; check ceph_user, its keyring and its capabilities";
            case ETIMEDOUT -> "; no monitor answers: check ceph_conf and the network";
            case EROFS -> "; another client holds its lock";
            case ESHUTDOWN -> "; this client is blocklisted: see 'ceph osd blocklist ls'";
            case EEXIST -> "; choose another name, or remove that one first";
            case EBUSY -> "; it is protected, or somebody still uses it: see 'rbd status' and its clones";
            case ENOTEMPTY -> "; remove its snapshots first";
            case EINVAL -> "; check the settings";
            default -> "";
        };
        int shown = switch (errno) {
            case EPERM, EACCES, EROFS -> Errno.EPERM;
            case ESHUTDOWN -> Errno.ESHUTDOWN;
            default -> Errno.EIO;
        };
        return new DeviceException(shown, what + ": " + ErrnoException.describe(errno) + remedy);
    }
}
