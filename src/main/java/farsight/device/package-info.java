/** Exports as block devices of the Linux kernel: attaching, watching and detaching /dev/nbdX. */
package farsight.device;
