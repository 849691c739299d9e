/* Tandem's protocol for adapters, version 1, for models that answer one request at a time.
 *
 * Nothing but the C library is needed.  Texts are UTF-8.
 */
#ifndef TANDEM_ADAPTER_H
#define TANDEM_ADAPTER_H

#include <stddef.h>

struct tandem_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
};

struct tandem_chat {
    /* What is asked. */
    const struct tandem_message *messages;
    size_t message_count;
    long max_tokens;    /* 0: as many as there is room for */
    double temperature; /* negative: not said */
    long seed;
    /* What `chat` fills in. */
    const char *finish; /* "stop", which it is before; "length" */
    long prompt_tokens, completion_tokens;
    /* Of tandem_adapter.c. */
    long id;
    int cancelled;
};

struct tandem_model {
    const char *name, *version;
    long context; /* tokens of prompt and answer together */
    /* Answers by tandem_say; returns NULL, or the result of tandem_refuse.  NULL: it does not chat. */
    const char *(*chat)(void *model, struct tandem_chat *q);
    /* Fills `dimensions` numbers; returns NULL, or why not ("context", "invalid", "failed").  NULL: it
     * makes no vectors. */
    const char *(*embed)(void *model, const char *text, double *vector);
    size_t dimensions;
};

/* Says a piece of the answer, whole characters; 0: the request was cancelled, return. */
int tandem_say(struct tandem_chat *q, const char *text, size_t len);
/* The request is refused; `kind` is "context" (the prompt does not fit), "invalid" (it is wrong),
 * "unable" (the model does not do that at all), "busy" (later) or "failed" (asking again may help). */
const char *tandem_refuse(struct tandem_chat *q, const char *kind, const char *message);

/* Says hello and answers until Tandem hangs up; the exit status.  `model` is passed on to chat and
 * embed.  Standard output is the protocol's from then on: printf writes to standard error. */
int tandem_serve(const struct tandem_model *m, void *model);

#endif
