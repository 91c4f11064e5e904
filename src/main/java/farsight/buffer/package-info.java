/**
 * Off-heap memory for requests: page-aligned buffers of a few sizes from one bounded mapping per loop. A buffer has an
 * owner count; whoever keeps a part of it beyond a call retains it, and releases it once. The pool counts what is out,
 * so that a leak is seen.
 */
package farsight.buffer;
