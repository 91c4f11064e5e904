/** Fuzzers that are guided by coverage, each in a process of its own. */
package farsight.fuzz;
