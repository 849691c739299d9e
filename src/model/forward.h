/* model/forward.h - a request of another program, passed on to a model's server as it is.
 *
 * For programs that speak to Tandem as to any OpenAI-compatible server: whatever they ask for
 * (tools, log probabilities) reaches the model, and the answer comes back unchanged.  Only a schema that
 * stands where a llama-server would ignore it is put where it does not.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_FORWARD_H
#define TANDEM_MODEL_FORWARD_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct err;
struct model;
struct str;

/* A member of a body that nobody here looks into: its name as in JSON between quotes, its value as text. */
struct forward_part {
    const char *name, *text;
    size_t len;
};

struct forward_request {
    const char *path;          /* below the server's /v1: "/chat/completions" */
    json_t *body;              /* an object, the caller's; "model" and the slot are set in it.  A completion
                                * asks for a stream: not every kind of model gives it otherwise */
    const struct forward_part *parts; /* the rest of the body: whatever is long */
    size_t part_count;
    const char *conversation;  /* NULL: a call by the side */
    int64_t wait_ms;           /* for a slot; ERR_BUSY then; 0: as long as it takes */
    const atomic_bool *cancel; /* may be NULL */
    /* The body of a good answer as it comes; false: enough, the request ends. */
    bool (*on_body)(const char *bytes, size_t len, void *ctx);
    /* Called every 20 ms or so while nothing comes, in the queue too; may be NULL. */
    void (*on_wait)(void *ctx);
    /* Has the last word on a good answer that has ended (code 0), or on one that broke off: returns what
     * became of it.  NULL: what the server's connection says. */
    int (*judge)(int code, void *ctx, struct err *e);
    /* The server failed under an answer of which something has come: takes that back, so that it can be
     * asked again; false: it has been shown to somebody.  NULL: it always has. */
    bool (*start_over)(void *ctx);
    void *ctx;
};
struct forward_result {
    int status;             /* of the server's answer */
    char content_type[128];
    char model[128];        /* who answered: its id in the registry, or its server's name for it */
    int64_t version;        /* of the registry; 0: none */
    int64_t retry_after_ms; /* -1: not said; with ERR_BUSY: when there should be a slot, as calls lately went */
    int64_t queue_us, first_byte_us, total_us;
};

/* The result is filled in as far as it is known also when the call fails: who was asked, and from when
 * it had a slot on, its version.  ERR_BUSY: too many wait for it, or this one has waited for wait_ms; ERR_CANCELLED within 50 ms; else as model_chat.  `refusal`
 * (emptied first) gets the body of an answer that is not good. */
int model_forward(struct model *m, const struct forward_request *q, struct forward_result *ret, struct str *refusal, struct err *e);

#endif
