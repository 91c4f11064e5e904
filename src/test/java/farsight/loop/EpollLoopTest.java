package farsight.loop;

import farsight.sys.ErrnoException;

class EpollLoopTest extends LoopContract {
    @Override
    IoLoop start(LoopOptions options) throws ErrnoException {
        return new EpollLoop("test", options);
    }
}
