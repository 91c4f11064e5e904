/** Storage in files and block devices. Calls that may block run on threads of the device's own, never on a loop. */
package farsight.backend.file;
