/** Storage that a web server has, read in ranges. */
package farsight.backend.http;
