package farsight.config;

import java.util.function.ToIntFunction;

/** Clients that a rule is about: those of a network, a user, a group, or with a certificate for some name. */
public sealed interface Who permits Network, Who.User, Who.Group, CertificateName {

    /** Whether a client is one of them. */
    boolean includes(ClientIdentity client);

    /** Processes of a user that connect to a unix socket. */
    record User(int number) implements Who {
        @Override
        public boolean includes(ClientIdentity client) {
            return client.user() != ClientIdentity.NOBODY && client.user() == number;
        }
    }

    /** Processes that have a group, as their own or as a further one, and connect to a unix socket. */
    record Group(int number) implements Who {
        @Override
        public boolean includes(ClientIdentity client) {
            return client.groups().contains(number);
        }
    }

    /** @throws IllegalArgumentException with a message for people */
    static Who user(String word) {
        return new User(number(word, "user", Accounts.USERS, Accounts::user));
    }

    /** @throws IllegalArgumentException with a message for people */
    static Who group(String word) {
        return new Group(number(word, "group", Accounts.GROUPS, Accounts::group));
    }

    private static int number(String word, String what, String file, ToIntFunction<String> named) {
        int number = word.matches("\\d{1,9}") ? Integer.parseInt(word) : named.applyAsInt(word);
        if (number < 0) {
            throw new IllegalArgumentException("no " + what + " is called \"" + Values.shorten(word) + "\" in " + file
                    + "; write the number of one that is elsewhere");
        }
        return number;
    }

    /**
     * Reads any of them: {@code 10.0.0.0/8}, {@code user:alice}, {@code group:100}, {@code CN:guest*}.
     *
     * @throws IllegalArgumentException with a message for people
     */
    static Who parse(String word) {
        int colon = word.indexOf(':');
        String kind = colon < 0 ? "" : word.substring(0, colon);
        if (kind.equals("user")) {
            return user(word.substring(colon + 1));
        }
        if (kind.equals("group")) {
            return group(word.substring(colon + 1));
        }
        if (CertificateName.isKind(kind)) {
            return CertificateName.parse(word);
        }
        try {
            return Network.parse(word);
        } catch (IllegalArgumentException e) {
            if (word.indexOf('/') > 0) {
                throw e;
            }
            throw new IllegalArgumentException("\"" + Values.shorten(word) + "\" is no network such as 10.0.0.0/8, and"
                    + " does not begin with user:, group:, " + CertificateName.kinds());
        }
    }
}
