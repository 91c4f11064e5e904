/** The commands. They read words and files, call the other packages, and print. */
package farsight.cli;
