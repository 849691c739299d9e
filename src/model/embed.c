/* embed.c - what asking for vectors has in common, whatever makes them. */
#include "model/embed.h"

#include "base/clock.h"
#include "base/err.h"
#include "model/backend.h"

#include <stdlib.h>

static int check_texts(const struct embed_request *q, struct err *e)
{
    for (size_t i = 0; i < q->count; i++)
        if (!*q->texts[i])
            return err_set(e, ERR_INVALID, "text %zu of %zu is empty, which has no vector", i + 1, q->count);
    return 0;
}

int model_embed(struct model *m, const struct embed_request *q, struct embeddings *ret, struct err *e)
{
    struct embeddings v = { .prompt_tokens = -1 };
    struct err ignored;
    int64_t start = clock_steady_us();
    e = e ? e : &ignored;
    if (!m->backend->embed)
        return err_set(e, ERR_SETUP, "a model of this kind (%s) makes no vectors; choose another one for that", m->backend->name);
    int r = is_cancelled(q->cancel) ? ERR_CANCELLED : check_texts(q, e);
    if (r == 0)
        r = m->backend->embed(m, q, &v, e);
    if (r < 0) {
        embeddings_release(&v);
        return r == ERR_CANCELLED ? err_set(e, r, "the call was cancelled") : r;
    }
    v.total_us = clock_steady_us() - start;
    *ret = v;
    return 0;
}

void embeddings_release(struct embeddings *v)
{
    free(v->values);
    v->values = NULL;
    v->count = v->dimensions = 0;
}
