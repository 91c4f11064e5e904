/** The packaged program against other people's: nbdinfo, nbdcopy, nbdsh, qemu, fio, nbdkit, nbd-client. */
package farsight.interop;
