/**
 * The only callers of the generated bindings: one small class per facility of the system. Calls on a data path take a
 * {@link farsight.sys.CallState} of their thread and raw addresses, allocate nothing and return {@code -errno} on
 * failure; the others throw {@link farsight.sys.ErrnoException}.
 */
package farsight.sys;
