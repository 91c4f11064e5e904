package farsight.cli;

import farsight.config.ListenAddress;
import farsight.config.NbdUri;
import farsight.config.Sizes;
import java.util.function.Function;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** From words of the command line to what they mean; a wrong one is a usage error. */
final class Words {
    private static final char DELETE = 0x7f;

    private Words() {}

    static final class Address implements ITypeConverter<ListenAddress> {
        @Override
        public ListenAddress convert(String word) {
            return checked(word, ListenAddress::parse);
        }
    }

    static final class Uri implements ITypeConverter<NbdUri> {
        @Override
        public NbdUri convert(String word) {
            return checked(word, NbdUri::parse);
        }
    }

    static final class Size implements ITypeConverter<Long> {
        @Override
        public Long convert(String word) {
            return checked(word, Sizes::parse);
        }
    }

    static <T> T checked(String word, Function<String, T> meaning) {
        try {
            return meaning.apply(word);
        } catch (IllegalArgumentException e) {
            throw new TypeConversionException(e.getMessage());
        }
    }

    /** What a server said, without characters that could confuse a terminal. */
    static String printable(String text) {
        StringBuilder out = new StringBuilder(text);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c == DELETE) {
                out.setCharAt(i, '?');
            }
        }
        return out.toString();
    }
}
