/* evidence.c - one document for each criterion, which red begins and green completes. */
#include "team/evidence.h"

static const char *id_of(struct step *s, size_t index)
{
    return arena_printf(s->arena, "%s/%zu", s->ticket_id, index + 1);
}

int evidence_get(struct step *s, size_t index, struct evidence *ret, struct err *e)
{
    return store_get(s->team->store, s->arena, &evidence_type, id_of(s, index), ret, NULL, e);
}

int evidence_put(struct step *s, size_t index, const struct evidence *ev, struct err *e)
{
    const char *id = id_of(s, index);
    struct evidence old;
    int64_t version;
    int r = store_get(s->team->store, s->arena, &evidence_type, id, &old, &version, e);
    if (r == ERR_NOT_FOUND)
        batch_insert(s->batch, &evidence_type, id, ev);
    else if (r == 0)
        batch_update(s->batch, &evidence_type, id, version, ev);
    return r == ERR_NOT_FOUND ? 0 : r;
}
