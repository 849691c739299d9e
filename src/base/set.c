/* set.c - open addressing over a list that grows.
 *
 * Slots hold places in the list, so that a set is the list and a small table beside it, and the
 * order costs nothing.  Collisions go on to the next slot; at most half of the slots are taken,
 * and nothing is ever removed.  Hashes are not kept: a table that doubles reads each text again,
 * which is twice over its life.
 *
 * The hash has no secret.  Whoever makes texts collide on purpose gets the time that comparing
 * with all of them would take, and the readers of such texts bound how many there are
 * (results.h: 20,000 tests of a run).
 */
#include "base/set.h"

#include "base/hash.h"
#include "base/str.h"

enum { LEAST_SLOTS = 16 };

static uint64_t hash_of(const char *text)
{
    uint64_t hash = HASH_INIT;
    for (; *text; text++)
        hash = hash_add(hash, *text);
    return hash;
}

/* The slot of a text, or the free one where it belongs; there are slots. */
static uint32_t *slot_of(const struct set *s, const char *text)
{
    size_t at = hash_of(text) & (s->slot_count - 1);
    while (s->slots[at] && !streq(s->texts.items[s->slots[at] - 1], text))
        at = (at + 1) & (s->slot_count - 1);
    return &s->slots[at];
}

static void make_slots(struct set *s, size_t count)
{
    s->slots = ARENA_ARRAY(s->arena, uint32_t, count);
    s->slot_count = count;
    for (size_t i = 0; i < s->texts.count; i++)
        *slot_of(s, s->texts.items[i]) = (uint32_t)i + 1;
}

struct set set_of(struct arena *a, const struct texts *t)
{
    struct set s = SET_IN(a);
    size_t slots = LEAST_SLOTS;
    while (slots < 2 * t->count)
        slots *= 2;
    make_slots(&s, slots);
    s.texts.items = ARENA_ARRAY(a, const char *, slots / 2); /* a power of two, as texts_add wants it */
    for (size_t i = 0; i < t->count; i++) {
        uint32_t *slot = slot_of(&s, t->items[i]);
        if (*slot)
            continue;
        s.texts.items[s.texts.count++] = t->items[i];
        *slot = (uint32_t)s.texts.count;
    }
    return s;
}

bool set_has(const struct set *s, const char *text)
{
    return s->slot_count && *slot_of(s, text);
}

bool set_add(struct set *s, const char *text)
{
    if (s->slot_count < 2 * (s->texts.count + 1))
        make_slots(s, s->slot_count ? 2 * s->slot_count : LEAST_SLOTS);
    uint32_t *slot = slot_of(s, text);
    if (*slot)
        return false;
    texts_add(&s->texts, s->arena, text);
    *slot = (uint32_t)s->texts.count;
    return true;
}

void set_add_all(struct set *s, const struct texts *from)
{
    for (size_t i = 0; i < from->count; i++)
        set_add(s, from->items[i]);
}

void set_add_but(struct set *s, const struct texts *from, const struct texts *but)
{
    ARENA_LOCAL(scratch);
    struct set out = set_of(&scratch, but);
    for (size_t i = 0; i < from->count; i++)
        if (!set_has(&out, from->items[i]))
            set_add(s, from->items[i]);
}
