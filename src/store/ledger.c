/* ledger.c - a hash table from a document's name to what is known of it. */
#include "store/ledger.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>

static uint64_t mix(uint64_t hash, const char *text)
{
    do {
        hash = (hash ^ (unsigned char)*text) * 1099511628211U;
    } while (*text++);
    return hash;
}

/* Where the name is, or where it belongs. */
static struct ledger_entry *slot_of(const struct ledger *l, const char *type, const char *id)
{
    size_t i = mix(mix(14695981039346656037U, type), id) & (l->cap - 1);
    while (l->slots[i].type && !(streq(l->slots[i].id, id) && streq(l->slots[i].type, type)))
        i = (i + 1) & (l->cap - 1);
    return &l->slots[i];
}

static void grow(struct ledger *l)
{
    struct ledger larger = { .cap = l->cap ? 2 * l->cap : 256, .count = l->count };
    larger.slots = xcalloc(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < l->cap; i++)
        if (l->slots[i].type)
            *slot_of(&larger, l->slots[i].type, l->slots[i].id) = l->slots[i];
    free(l->slots);
    l->slots = larger.slots;
    l->cap = larger.cap;
}

struct ledger_entry *ledger_find(struct ledger *l, const char *type, const char *id, bool add)
{
    if (add && l->count * 4 >= l->cap * 3)
        grow(l);
    if (!l->cap)
        return NULL;
    struct ledger_entry *entry = slot_of(l, type, id);
    if (entry->type || !add)
        return entry->type ? entry : NULL;
    entry->type = arena_strdup(&l->arena, type);
    entry->id = arena_strdup(&l->arena, id);
    l->count++;
    return entry;
}

void ledger_release(struct ledger *l)
{
    arena_release(&l->arena);
    free(l->slots);
    *l = (struct ledger){ 0 };
}
