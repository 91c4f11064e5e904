package farsight.config;

import java.net.InetAddress;
import java.util.Arrays;

/**
 * The addresses that begin with the same bits, such as {@code 10.0.0.0/8} or {@code fd00::/8}.
 *
 * @param address 4 or 16 bytes
 * @param bits how many of them count
 */
public record Network(InetAddress address, int bits) implements Who {

    /** @throws IllegalArgumentException with a message for people */
    static Network parse(String word) {
        int slash = word.indexOf('/');
        String host = slash < 0 ? word : word.substring(0, slash);
        InetAddress address;
        try {
            address = InetAddress.ofLiteral(host);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "\"" + Values.shorten(word) + "\" is not an address or a network such as 10.0.0.0/8 or fd00::/8");
        }
        int most = address.getAddress().length * 8;
        int bits = most;
        if (slash >= 0) {
            String digits = word.substring(slash + 1);
            if (!digits.matches("\\d{1,3}") || Integer.parseInt(digits) > most) {
                throw new IllegalArgumentException(
                        "\"" + Values.shorten(word) + "\" must have from 0 to " + most + " after the slash");
            }
            bits = Integer.parseInt(digits);
        }
        Network network = new Network(address, bits);
        if (!Arrays.equals(network.masked(address.getAddress()), address.getAddress())) {
            throw new IllegalArgumentException("\"" + Values.shorten(word) + "\" has bits set beyond the first " + bits
                    + "; is that the network?");
        }
        return network;
    }

    @Override
    public boolean includes(ClientIdentity client) {
        return client.address() != null && contains(client.address());
    }

    /** Whether an address is of it. */
    boolean contains(InetAddress other) {
        byte[] bytes = other.getAddress();
        return bytes.length == address.getAddress().length && Arrays.equals(masked(bytes), address.getAddress());
    }

    private byte[] masked(byte[] bytes) {
        byte[] result = bytes.clone();
        for (int i = 0; i < result.length; i++) {
            int counting = Math.clamp(bits - i * 8, 0, 8);
            result[i] &= (byte) (0xff << (8 - counting));
        }
        return result;
    }
}
