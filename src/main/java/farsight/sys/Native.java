package farsight.sys;

import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** Links calls, with pointers as plain addresses. */
@SuppressWarnings("restricted")
public final class Native {
    /** All of the address space, where an offset is an address. */
    private static final MemorySegment EVERYTHING = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private Native() {}

    /** Not before something is linked: views need none of it. */
    private static final class Libc {
        static final Linker LINKER = Linker.nativeLinker();
        static final SymbolLookup SYMBOLS = LINKER.defaultLookup();

        private Libc() {}
    }

    /** A function of libc and the number of its arguments; those that follow are passed to a variadic function as well. */
    static Call call(String name, int arguments) {
        return new Call(name, symbol(name), arguments);
    }

    /** A handle without errno, pointers as long addresses, for a library that was opened at run time. */
    public static MethodHandle link(MemorySegment symbol, FunctionDescriptor descriptor) {
        return Libc.LINKER.downcallHandle(symbol, raw(descriptor));
    }

    private static MemorySegment symbol(String name) {
        return Libc.SYMBOLS.find(name).orElseThrow(() -> new UnsatisfiedLinkError("libc has no function " + name));
    }

    private static FunctionDescriptor raw(FunctionDescriptor descriptor) {
        MemoryLayout[] arguments =
                descriptor.argumentLayouts().stream().map(Native::raw).toArray(MemoryLayout[]::new);
        return descriptor
                .returnLayout()
                .map(result -> FunctionDescriptor.of(raw(result), arguments))
                .orElseGet(() -> FunctionDescriptor.ofVoid(arguments));
    }

    private static MemoryLayout raw(MemoryLayout layout) {
        return layout instanceof AddressLayout ? ValueLayout.JAVA_LONG : layout;
    }

    /** A view of native memory that somebody else owns and keeps alive. */
    public static MemorySegment view(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /** Copies to native memory that somebody else owns, without a view of it: allocates nothing. */
    public static void copy(MemorySegment source, long from, long address, long bytes) {
        MemorySegment.copy(source, from, EVERYTHING, address, bytes);
    }

    /** Copies between native memory of others. */
    static void copy(long source, long target, long bytes) {
        MemorySegment.copy(EVERYTHING, source, EVERYTHING, target, bytes);
    }

    /** A native call threw a Java exception: a mistake of linking, never of the caller. */
    static AssertionError impossible(Throwable cause) {
        return new AssertionError("native call failed to link or run", cause);
    }
}
