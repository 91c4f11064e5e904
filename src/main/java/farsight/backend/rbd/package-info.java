/**
 * Storage in Ceph RBD images: librbd's asynchronous calls, made directly on the memory that requests were received into.
 * The libraries are opened at run time; without them everything else works.
 */
package farsight.backend.rbd;
