package farsight.cli;

import farsight.backend.layer.OverlayCare;
import farsight.config.Sizes;
import java.io.IOException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code farsight overlay}. */
@Command(
        name = "overlay",
        mixinStandardHelpOptions = true,
        description = "Look at the file of an overlay, write it into its image, or empty it, while no server uses it.",
        synopsisSubcommandLabel = "COMMAND",
        footer = {"", "  farsight overlay info vm1.cow", "  farsight overlay commit vm1.cow base.img"})
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
            @Parameters(paramLabel = "IMAGE", description = "the file or block device below it") String image)
            throws IOException {
        System.out.println(OverlayCare.commit(file, image) + " blocks written to " + image);
        return 0;
    }

    @Command(name = "discard", mixinStandardHelpOptions = true, description = "Forget what was written to an overlay.")
    int discard(@Parameters(paramLabel = "FILE", description = "the overlay") String file) throws IOException {
        System.out.println(OverlayCare.discard(file) + " blocks discarded");
        return 0;
    }
}
