package farsight.server;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.backend.BackendContract;
import farsight.backend.Device;
import org.junit.jupiter.api.AfterEach;

/** Any byte of storage that takes blocks of 4096 only keeps the contract of storage. */
class WholeBlocksContractTest extends BackendContract {
    private Sectors sectors;

    @Override
    protected Device open() {
        sectors = new Sectors((int) SIZE, 4096, (int) SIZE);
        return new WholeBlocks(sectors);
    }

    @AfterEach
    void theStorageSawWholeBlocksOnly() {
        assertThat(sectors.mistakes).isEmpty();
    }
}
