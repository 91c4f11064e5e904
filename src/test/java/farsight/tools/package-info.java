/**
 * What the tests need of the machine around them: external commands that never outlive their test, a kernel with
 * nbd in it, and one rule for what is missing. Nothing of this is in the product, which starts no process at all.
 */
package farsight.tools;
