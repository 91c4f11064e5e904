/** JMH benchmarks of the inside: codec, buffers, a loop's turn, and the request path with its storage in one process. */
package farsight.benchmarks;
