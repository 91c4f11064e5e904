package farsight.tools;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.opentest4j.AssertionFailedError;
import org.opentest4j.TestAbortedException;

class RequiresTest {
    @Test
    void whatIsThereIsNotReported() {
        assertDoesNotThrow(() -> Requires.that(true, "gold", "dig", true));
    }

    @Test
    void whatIsMissingSkipsTheTestAndNamesTheRemedy() {
        Throwable skipped = assertThrows(TestAbortedException.class, () -> Requires.that(false, "gold", "dig", false));
        assertTrue(skipped.getMessage().endsWith("needs gold: dig"), skipped.getMessage());
    }

    @Test
    void whatIsMissingFailsTheTestWhenAllIsRequired() {
        Throwable failed = assertThrows(AssertionFailedError.class, () -> Requires.that(false, "gold", "dig", true));
        assertTrue(failed.getMessage().startsWith("needs gold: dig"), failed.getMessage());
    }

    @Test
    void aToolIsFoundOnThePathOrInTheSystemsFolders() {
        assertEquals("sh", Requires.tool("sh", "dash").getFileName().toString());
        assertTrue(Requires.find("ldconfig").isPresent());
        assertTrue(Requires.find("no-such-program").isEmpty());
    }
}
