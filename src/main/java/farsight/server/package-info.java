/**
 * The NBD server: listeners, connections (a handshake, then transmission), exports and limits. A connection belongs to
 * one loop; an export's device is shared by all connections that use it. {@link farsight.server.NbdServer} is for other
 * programs to use.
 */
package farsight.server;
