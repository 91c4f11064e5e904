/**
 * Layers: storage over other storage, put together by configuration. Each is one small class that sees any range of bytes
 * of what is below it.
 */
package farsight.backend.layer;
