/* model/embed.h - texts as vectors, for finding what is alike.
 *
 * Vectors of two models, or of two versions of one, cannot be compared: who keeps vectors keeps
 * `model`, `version` and `dimensions` beside them, as vectors.h does.
 *
 * Threads: as model_chat.
 */
#ifndef TANDEM_MODEL_EMBED_H
#define TANDEM_MODEL_EMBED_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct model;

struct embed_request {
    const char *const *texts; /* none empty; bytes that are not UTF-8 are sent as U+FFFD */
    size_t count;
    const atomic_bool *cancel; /* may be NULL */
    int64_t wait_ms;           /* for a slot of a model that Tandem shares, then ERR_BUSY; 0: as long as it takes */
};

struct embeddings {
    float *values;           /* count * dimensions numbers, text after text; embeddings_release */
    size_t count;
    size_t dimensions;       /* 0 when no text was given */
    char model[128];         /* as reported with the answer, else as described */
    int64_t version;         /* of the registry; 0: none */
    int64_t prompt_tokens;   /* of all texts; -1: not reported */
    int64_t retries;
    int64_t total_us;
};

/* Asks in as many requests as the options' embed_texts and embed_bytes make necessary, one after
 * the other; all or nothing.  Values are finite, and as the server gives them: most are of length
 * 1, but a caller who needs that makes sure.
 *
 * Waits and retries as model_chat, and fails as it, with: ERR_INVALID (a text is empty),
 * ERR_LIMIT (a text is longer than the model reads; nothing is cut), ERR_SETUP (this model, or
 * this kind of model, makes no vectors), ERR_FAILED (three times something else than as many
 * vectors of one size as texts).  `ret` is untouched on failure. */
int model_embed(struct model *m, const struct embed_request *q, struct embeddings *ret, struct err *e);
void embeddings_release(struct embeddings *v);

#endif
