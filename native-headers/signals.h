/*
 * What Farsight calls of the system's signals, as one translation unit for jextract.
 * signals.args names the exact symbols; bindings/farsight/bindings/signals is what jextract printed for them.
 * Regenerate: mvn -Pjextract -Djextract=/path/to/jextract process-sources
 */
#include <signal.h>
