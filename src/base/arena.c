/* arena.c - bump allocation in blocks, the first of 1 KiB, which is enough for most, then twice as
 * large each time up to 8 KiB.
 *
 * Large requests get a block of their own behind the current one, so that a big
 * body does not waste the rest of a small block.
 */
#include "base/arena.h"

#include "base/alloc.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK_SIZE = 1024, BLOCK_SIZE = 8192 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(max_align_t) char data[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*fn)(void *);
    void *ptr;
};

void arena_init(struct arena *a)
{
    *a = (struct arena)ARENA_INIT;
}

void arena_clear(struct arena *a)
{
    while (a->cleanups) {
        struct arena_cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->ptr);
    }
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
}

void arena_release(struct arena *a)
{
    arena_clear(a);
}

static struct arena_block *block_new(size_t size)
{
    struct arena_block *b = xcalloc(1, sizeof *b + size);
    b->size = size;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        out_of_memory();
    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *b = a->blocks;
    if (b && b->size - b->used >= size) {
        void *p = b->data + b->used;
        b->used += size;
        return p;
    }
    if (b && size > BLOCK_SIZE / 2) {
        struct arena_block *own = block_new(size);
        own->used = size;
        own->next = b->next;
        b->next = own;
        return own->data;
    }
    size_t usual = !b ? FIRST_BLOCK_SIZE : b->size < BLOCK_SIZE / 2 ? 2 * b->size : BLOCK_SIZE;
    struct arena_block *fresh = block_new(size > usual ? size : usual);
    fresh->used = size;
    fresh->next = a->blocks;
    a->blocks = fresh;
    return fresh->data;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        out_of_memory();
    return arena_alloc(a, count * size);
}

void *arena_resized(struct arena *a, const void *items, size_t count, size_t room, size_t size)
{
    void *resized = arena_alloc_array(a, room, size);
    if (count)
        memcpy(resized, items, count * size);
    return resized;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *p = arena_alloc(a, len + 1);
    if (len)
        memcpy(p, s, len);
    return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        out_of_memory();
    char *p = arena_alloc(a, (size_t)len + 1);
    vsnprintf(p, (size_t)len + 1, fmt, again);
    va_end(again);
    return p;
}

void arena_defer(struct arena *a, void (*fn)(void *), void *ptr)
{
    struct arena_cleanup *c = ARENA_NEW(a, struct arena_cleanup);
    *c = (struct arena_cleanup){ a->cleanups, fn, ptr };
    a->cleanups = c;
}
