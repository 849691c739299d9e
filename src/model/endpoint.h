/* model/endpoint.h - the parts of the OpenAI-compatible backend share this.
 *
 * endpoint.c opens and chats, describe.c finds out what the server is, endpoint_embed.c asks for
 * vectors, endpoint_forward.c passes on; all of them over endpoint_line.c.
 *
 * Threads: options, url, root and key are never written after opening; `lock` guards the
 * rest, apart from the atomic flags.
 */
#ifndef TANDEM_MODEL_ENDPOINT_H
#define TANDEM_MODEL_ENDPOINT_H

#include "base/arena.h"
#include "http/client.h"
#include "model/backend.h"
#include "model/fault.h"

#include <pthread.h>

struct endpoint {
    struct model base;
    struct arena arena; /* what the options point to; written while opening only */
    struct model_options options;
    const char *url;    /* ".../v1", no slash at the end */
    const char *root;   /* `url` without "/v1": where llama-server and Ollama have their own */
    const char *socket; /* path of its Unix socket; NULL: TCP */
    const char *origin; /* for people: no path, no password */
    const char *key;    /* NULL: none */
    atomic_bool answered;          /* it did once: whatever ails it now may pass */
    atomic_bool is_llama;          /* a llama-server: slots can be chosen */
    atomic_bool hung_up;           /* nothing is asked any more */
    atomic_bool no_schema;         /* the server rejects response_format, */
    atomic_bool no_stream_options; /* ... or stream_options */
    pthread_mutex_t lock;
    char *name; /* NULL: not described yet */
    int64_t context_tokens;
};

/* http_ask, but ERR_UNAVAILABLE within 50 ms of endpoint_hang_up (as struct backend says). */
int endpoint_http(struct endpoint *m, const struct http_request *q, struct http_result *ret, struct str *body, struct err *e);
void endpoint_hang_up(struct model *model);

/* One small request with a JSON answer; the status and an error's words come with it.  The
 * value belongs to the arena, NULL when the answer is no JSON object. */
struct endpoint_reply {
    int status;
    int64_t retry_after_ms;
    json_t *value;
    struct fault fault; /* when status is not 2xx */
};
int endpoint_get(struct endpoint *m, const char *url, const char *body, const atomic_bool *cancel,
                 struct arena *a, struct endpoint_reply *ret, struct err *e);

/* The same, until the server says something final: waits within the patience while it is not ready
 * or cannot be reached, and asks again at once when it breaks, as long as *retries, which is raised
 * for each, is below ENDPOINT_RETRIES.  Any other status is a result.  `e` may not be NULL. */
enum { ENDPOINT_RETRIES = 2 };
int endpoint_ask(struct endpoint *m, const char *url, const char *body, const atomic_bool *cancel,
                 struct arena *a, struct endpoint_reply *ret, int64_t *retries, struct err *e);

/* As struct backend says (endpoint_forward.c). */
int endpoint_forward(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret,
                     struct str *refusal, struct err *e);

/* How long the server is waited for while it is not ready or cannot be reached.  One that has
 * never answered is more likely not there at all, which a person wants to know at once. */
int64_t endpoint_patience_ms(const struct endpoint *m);

/* The sentence and the code for a fault. */
int endpoint_fault_err(const struct endpoint *m, int status, const struct fault *f, struct err *e);

int endpoint_describe(struct model *m, const atomic_bool *cancel, const char **ret_name,
                      int64_t *ret_context_tokens, struct err *e);
int endpoint_embed(struct model *m, const struct embed_request *q, struct embeddings *v, struct err *e);

#endif
