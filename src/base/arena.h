/* arena.h - memory that lives as long as one request or task.
 *
 * Everything allocated from an arena is freed at once, after its clean-ups ran in
 * reverse order.  Pointers stay valid until clear or release; nothing is freed
 * singly.
 *
 * Threads: an arena belongs to one thread at a time.
 */
#ifndef TANDEM_ARENA_H
#define TANDEM_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena_cleanup;

struct arena {
    struct arena_block *blocks;
    struct arena_cleanup *cleanups;
};

#define ARENA_INIT { NULL, NULL }

void arena_init(struct arena *a);
/* Frees all that was allocated; the arena can be used again. */
void arena_clear(struct arena *a);
void arena_release(struct arena *a);

/* Zeroed memory, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_alloc_array(struct arena *a, size_t count, size_t size);
/* A copy of an array of `count` items with room for `room`. */
void *arena_resized(struct arena *a, const void *items, size_t count, size_t room, size_t size);
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_alloc_array((a), (count), sizeof(type)))
/* Room for one more in an array that is in the arena, as XGROW (alloc.h) makes it in the heap:
 * doubled when it is full, so that adding n items copies O(n). */
#define ARENA_GROW(a, items, cap, count)                                                       \
    do {                                                                                       \
        if ((count) == (cap)) {                                                                \
            (cap) = (cap) ? 2 * (cap) : 16;                                                    \
            (items) = arena_resized((a), (items), (count), (cap), sizeof *(items));            \
        }                                                                                      \
    } while (0)

char *arena_strdup(struct arena *a, const char *s);
/* Copies `len` bytes and a final NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Runs `fn(ptr)` when the arena is cleared or released. */
void arena_defer(struct arena *a, void (*fn)(void *ptr), void *ptr);

/* Clean-up attribute for an arena in a local variable. */
static inline void arena_release_at_end(struct arena *a) { arena_release(a); }
#define ARENA_LOCAL(name) \
    __attribute__((cleanup(arena_release_at_end))) struct arena name = ARENA_INIT

#endif
