package farsight.cli;

import farsight.backend.BackendProvider;
import farsight.config.ClientConfig;
import farsight.config.InstalledBackends;
import farsight.device.ClientDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code farsight client}. */
@Command(
        name = "client",
        mixinStandardHelpOptions = true,
        description =
                "Attach exports to block devices of the kernel until a signal ends it: the one of a file, or those"
                        + " of all files in a directory, which is watched for changes.")
final class ClientCommand implements Callable<Integer> {
    @Parameters(
            paramLabel = "CONFIG",
            description = "The client's TOML file, or a directory with several (*.toml; not .* and tmp.*).")
    private Path file;

    @Override
    public Integer call() throws IOException {
        Map<String, BackendProvider> providers = InstalledBackends.all();
        if (Files.isDirectory(file)) {
            serve(file, providers);
        } else {
            AttachedDevice.watch(ClientConfig.load(file, providers));
        }
        return 0;
    }

    private static void serve(Path folder, Map<String, BackendProvider> providers) throws IOException {
        Service service = Service.ofThisProcess();
        ClientDirectory directory =
                ClientDirectory.watch(folder, file -> ClientConfig.load(file, providers), service::status);
        Stop.onSignal(() -> {
            service.stopping();
            directory.close();
        });
        directory.start();
        System.out.println("farsight: " + directory.status());
        System.out.flush();
        service.ready(directory.status(), () -> true);
        directory.run();
    }
}
