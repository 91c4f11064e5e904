package farsight.config;

/**
 * How much clients together may ask of an export in a second.
 *
 * @param bytes read and written; 0 for any number
 * @param requests of all kinds; 0 for any number
 */
public record ExportRates(long bytes, long requests) {
    private static final long LEAST_BYTES = 4096;
    private static final long MOST_BYTES = 1L << 50;
    private static final long MOST_REQUESTS = 1L << 30;

    /** As much as there is. */
    public static final ExportRates NONE = new ExportRates(0, 0);

    /** What the table of an export says. */
    static ExportRates read(Section table) {
        return new ExportRates(
                table.size("rate_bytes", LEAST_BYTES, MOST_BYTES, 0), table.integer("rate_iops", 1, MOST_REQUESTS, 0));
    }
}
