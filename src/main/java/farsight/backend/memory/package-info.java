/** Storage in memory: the embedded default, sparse and off-heap, which lends its memory to the server. */
package farsight.backend.memory;
