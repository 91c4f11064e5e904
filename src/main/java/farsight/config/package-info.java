/**
 * Configuration: TOML files and command-line words to records. Reading is pure; all mistakes of a file are reported at
 * once, each with file:line:column, what is wrong and what to write instead.
 */
package farsight.config;
