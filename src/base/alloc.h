/* alloc.h - memory that is there or the process ends.
 *
 * Out of memory ends the process in one place (alloc.c): a crash loses nothing
 * here, and half-handled exhaustion would.  Release with free().
 */
#ifndef TANDEM_ALLOC_H
#define TANDEM_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
/* An array of `count` elements of `size`; a product that overflows ends the process. */
void *xreallocarray(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);

/* Says that memory ran out and aborts.  For libraries that report it themselves. */
_Noreturn void out_of_memory(void);

/* Grows `*items` (elements of `size`) so that index `count` fits; *cap is doubled. */
void xgrow(void **items, size_t *cap, size_t count, size_t size);
#define XGROW(items, cap, count) xgrow((void **)&(items), &(cap), (count), sizeof *(items))

#endif
