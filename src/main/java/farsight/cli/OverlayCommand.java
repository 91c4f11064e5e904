package farsight.cli;

import farsight.backend.layer.OverlayCare;
import farsight.client.NbdClient;
import farsight.config.NbdUri;
import farsight.config.Sizes;
import farsight.protocol.Nbd;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code farsight overlay}. */
@Command(
        name = "overlay",
        mixinStandardHelpOptions = true,
        description = "Look at the file of an overlay, write it into its image, or empty it, while no server uses it.",
        synopsisSubcommandLabel = "COMMAND",
        footer = {
            "",
            "  farsight overlay info vm1.cow",
            "  farsight overlay commit vm1.cow base.img",
            "  farsight overlay commit vm1.cow 'nbd+unix:///base?socket=/tmp/disk.sock'"
        })
final class OverlayCommand {

    @Command(name = "info", mixinStandardHelpOptions = true, description = "Print what an overlay is and holds.")
    int info(@Parameters(paramLabel = "FILE", description = "the overlay") String file) throws IOException {
        OverlayCare.Info info = OverlayCare.info(file);
        System.out.println("size: " + Sizes.format(info.size()));
        System.out.println("block: " + Sizes.format(info.block()));
        System.out.println("blocks: " + info.blocks() + " of " + Math.ceilDiv(info.size(), (long) info.block()));
        System.out.println("made over: " + info.base());
        return 0;
    }

    @Command(
            name = "commit",
            mixinStandardHelpOptions = true,
            description = "Write what an overlay has into the image below it, and empty it.")
    int commit(
            @Parameters(paramLabel = "FILE", description = "the overlay") String file,
            @Parameters(paramLabel = "IMAGE", description = "the file, block device or export (nbd://...) below it")
                    String image)
            throws IOException {
        long blocks = image.contains("://") ? commitTo(file, image) : OverlayCare.commit(file, image);
        System.out.println(blocks + " blocks written to " + image);
        return 0;
    }

    /** By way of a server that has the image, without the overlay, as another export: whatever storage that is. */
    private static long commitTo(String file, String uri) throws IOException {
        Words.checked(uri, NbdUri::parse);
        try (NbdClient client = NbdClient.connect(uri)) {
            boolean flushes = client.negotiated().has(Nbd.NBD_FLAG_SEND_FLUSH);
            if (!flushes && !client.negotiated().has(Nbd.NBD_FLAG_SEND_FUA)) {
                throw new IOException(
                        uri + ": the server has neither NBD_FLAG_SEND_FLUSH nor NBD_FLAG_SEND_FUA, so that"
                                + " nobody knows when what it was sent is stable; commit to the image itself");
            }
            return OverlayCare.commit(file, uri, new OverlayCare.Image() {
                @Override
                public long size() {
                    return client.size();
                }

                @Override
                public void write(MemorySegment source, long offset) throws IOException {
                    client.write(source, offset, !flushes);
                }

                @Override
                public void sync() throws IOException {
                    if (flushes) {
                        client.flush();
                    }
                }
            });
        }
    }

    @Command(name = "discard", mixinStandardHelpOptions = true, description = "Forget what was written to an overlay.")
    int discard(@Parameters(paramLabel = "FILE", description = "the overlay") String file) throws IOException {
        System.out.println(OverlayCare.discard(file) + " blocks discarded");
        return 0;
    }
}
