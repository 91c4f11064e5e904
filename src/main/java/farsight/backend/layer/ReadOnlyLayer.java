package farsight.backend.layer;

import farsight.backend.AsyncBlockDevice;
import farsight.backend.Errno;
import farsight.backend.Feature;
import farsight.backend.Request;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;

/** Refuses all that changes what is below. */
final class ReadOnlyLayer extends PassThrough {
    private final Set<Feature> features;

    ReadOnlyLayer(AsyncBlockDevice below) {
        super(below);
        EnumSet<Feature> reading = EnumSet.noneOf(Feature.class);
        reading.addAll(below.features());
        reading.removeAll(Set.of(Feature.FLUSH, Feature.FUA, Feature.TRIM, Feature.WRITE_ZEROES, Feature.FAST_ZERO));
        features = Collections.unmodifiableSet(reading);
    }

    @Override
    public void submit(Request request) {
        switch (request.command()) {
            case READ, EXTENTS, CACHE -> below.submit(request);
            case FLUSH -> request.complete();
            case WRITE, TRIM, WRITE_ZEROES -> request.fail(Errno.EPERM);
        }
    }

    @Override
    public Set<Feature> features() {
        return features;
    }

    @Override
    public boolean readOnly() {
        return true;
    }
}
