/**
 * TLS by the JDK's engine: credentials from PEM files, and a {@link farsight.loop.Channel} that encrypts for the one
 * below it, so that whoever uses a channel need not know which of the two it has. Nothing here knows of NBD.
 */
package farsight.tls;
