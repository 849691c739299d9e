/* scratch.h - a private directory for a test, and real programs run in it. */
#ifndef TANDEM_SCRATCH_H
#define TANDEM_SCRATCH_H

#include "base/arena.h"
#include "base/str.h"

struct scratch {
    char path[64];
    struct arena arena; /* for paths and output */
};

void scratch_make(struct scratch *s);
void scratch_remove(struct scratch *s);
/* "path/…", in the arena. */
const char *scratch_path(struct scratch *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void scratch_write(struct scratch *s, const char *name, const char *text);
/* The file's text; fails the test when it cannot be read. */
const char *scratch_read(struct scratch *s, const char *name);
bool scratch_has(struct scratch *s, const char *name);
/* Runs a shell script in the directory with a plain git identity; returns its standard
 * output less white space at the end; fails the test when the script fails. */
const char *scratch_sh(struct scratch *s, const char *script);

#endif
