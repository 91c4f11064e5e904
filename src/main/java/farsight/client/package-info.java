/**
 * The user-space NBD client: a handshake that any owner of a socket can use, and {@link farsight.client.NbdClient} with
 * pipelined requests over one connection.
 */
package farsight.client;
