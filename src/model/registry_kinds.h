/* registry_kinds.h - the three kinds of entries, for what is done with each alike (internal to
 * the registry).
 */
#ifndef TANDEM_REGISTRY_KINDS_H
#define TANDEM_REGISTRY_KINDS_H

#include "model/registry.h"

/* The backend that needs no entry. */
#define BUILT_IN_BACKEND "llama-server"

struct kind {
    const struct doc_type *type;
    size_t offset; /* of its list in struct registry */
    const char *changed, *removed; /* events */
};
extern const struct kind registry_kinds[REGISTRY_KINDS];
static inline struct records *list_of(const struct registry *r, const struct kind *k)
{
    return (struct records *)((char *)(uintptr_t)r + k->offset);
}

static inline void *entry_at(const struct records *list, const struct kind *k, size_t index)
{
    return (char *)list->items + index * k->type->record->size;
}

static inline const char *id_of(const void *entry)
{
    return *(const char *const *)entry;
}

/* ERR_REFUSED while something refers to the entry, which the text names. */
int registry_check_unused(const struct registry *r, enum registry_kind kind, const char *id, struct err *e);

#endif
