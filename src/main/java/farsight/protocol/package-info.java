/** The NBD wire format (doc/proto.md of the NBD project): constants, codecs and the rules for requests. Pure: no sockets, no threads. */
package farsight.protocol;
