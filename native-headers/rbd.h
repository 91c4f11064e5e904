/*
 * What Farsight calls of librbd and librados, as one translation unit for jextract.
 * rbd.args names the exact symbols; bindings/farsight/bindings/rbd is what jextract printed for them.
 * Regenerate: mvn -Pjextract -Djextract=/path/to/jextract process-sources
 */
#include <rados/librados.h>
#include <rbd/librbd.h>
