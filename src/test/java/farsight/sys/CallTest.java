package farsight.sys;

import static org.assertj.core.api.Assertions.assertThat;

import farsight.bindings.linux.Linux;
import java.lang.foreign.FunctionDescriptor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls are made with as many arguments as the headers say. */
class CallTest {
    @ParameterizedTest
    @ValueSource(
            classes = {
                Epoll.class,
                EventFd.class,
                FileLock.class,
                Files.class,
                Ioctl.class,
                Memory.class,
                NetlinkSocket.class,
                Poll.class,
                Process.class,
                Scheduling.class,
                Sockets.class,
                Uring.class
            })
    void callsHaveTheArgumentsOfTheHeaders(Class<?> type) throws ReflectiveOperationException {
        List<Call> calls = new ArrayList<>();
        for (Field field : type.getDeclaredFields()) {
            if (field.getType() == Call.class) {
                field.setAccessible(true);
                calls.add((Call) field.get(null));
            }
        }
        assertThat(calls).isNotEmpty().allSatisfy(call -> {
            Optional<FunctionDescriptor> fixed = descriptor(call.name());
            if (fixed.isPresent()) {
                assertThat(call.arguments())
                        .isEqualTo(fixed.get().argumentLayouts().size());
            } else {
                assertThat(Linux.class.getClasses())
                        .anyMatch(variadic -> variadic.getSimpleName().equals(call.name()));
            }
        });
    }

    @Test
    void anIntThatIsNegativeIsNegative() {
        try (CallState state = CallState.open()) {
            Call close = Native.call("close", 1);
            assertThat((int) close.invoke(state, -1)).isEqualTo(-1);
            assertThat(state.errno()).isEqualTo(Linux.EBADF());
        }
    }

    private static Optional<FunctionDescriptor> descriptor(String name) throws ReflectiveOperationException {
        Optional<Method> method = Arrays.stream(Linux.class.getMethods())
                .filter(candidate -> candidate.getName().equals(name + "$descriptor"))
                .findFirst();
        return method.isPresent()
                ? Optional.of((FunctionDescriptor) method.get().invoke(null))
                : Optional.empty();
    }
}
