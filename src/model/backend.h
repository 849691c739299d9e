/* model/backend.h - what a kind of model must be able to do.
 *
 * An implementation embeds struct model as its first member, and passes the conformance suite
 * (tests/unit/backend_suite.h).  Threads: all but `free` are called from several threads at once.
 */
#ifndef TANDEM_MODEL_BACKEND_H
#define TANDEM_MODEL_BACKEND_H

#include "model/chat.h"
#include "model/embed.h"
#include "model/forward.h"

struct backend {
    const char *name;
    /* As model_describe; stops within 50 ms of *cancel (which may be NULL). */
    int (*describe)(struct model *m, const atomic_bool *cancel, const char **ret_name,
                    int64_t *ret_context_tokens, struct err *e);
    /* Fills a fresh `answer`, whose strings are initialised and released by the caller; may
     * leave anything in it when it fails. */
    int (*chat)(struct model *m, const struct chat_request *q, struct chat_answer *answer,
                struct err *e);
    /* As model_forward, in this slot (from 1; 0: the server chooses); NULL: it cannot. */
    int (*forward)(struct model *m, const struct forward_request *q, int slot, struct forward_result *ret,
                   struct str *refusal, struct err *e);
    /* As model_embed: fills a fresh `v`, whose values are released by the caller, who also sets
     * total_us.  NULL: this kind of model makes no vectors. */
    int (*embed)(struct model *m, const struct embed_request *q, struct embeddings *v, struct err *e);
    /* All calls, under way and to come, end within 50 ms with ERR_UNAVAILABLE: its server is about to
     * be ended.  NULL: they end with the server. */
    void (*hang_up)(struct model *m);
    void (*free)(struct model *m);
    /* `forward` takes a request whose body is in parts; else they are put together before. */
    bool takes_parts;
};

struct model {
    const struct backend *backend;
    struct recording *recording; /* borrowed; NULL: it is not recorded */
};

/* "http://..." and "ollama:..." (endpoint.c), and "replay:..." (replay.c). */
int endpoint_open(struct model **ret, const struct model_options *o, struct err *e);
int replay_open_named(struct model **ret, const char *dir, const char *name, enum drift_rule rule,
                      struct err *e);

/* The caller's wish to stop. */
static inline bool is_cancelled(const atomic_bool *cancel)
{
    return cancel && atomic_load(cancel);
}

#endif
