package farsight.loop;

/** Whether channels may send in place. */
public enum ZeroCopy {
    OFF,
    /** Until the system says of a channel that it copies all the same. */
    WHERE_IT_PAYS,
    /** Even then: shows that it works where there is no link on which it pays. */
    ALWAYS
}
