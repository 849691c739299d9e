/* web/gateway.h - the models of a home for other programs: an OpenAI-compatible address.
 *
 * POST /v1/chat/completions, /v1/completions and /v1/embeddings, GET /v1/models; the model of a
 * request is one of the registry or a role.  What a request says beyond that is passed on as it
 * is.  A call waits for its slot like those of the team, and is told 429 when too many do, or when it
 * has waited too long.  Who may ask is the keyring's business.
 *
 * Threads: handlers run on the server's workers.
 */
#ifndef TANDEM_WEB_GATEWAY_H
#define TANDEM_WEB_GATEWAY_H

#include "http/server.h"
#include "office/office.h"
#include "web/keyring.h"

/* One call, when it has ended. */
struct gateway_call {
    const char *path;     /* "/v1/chat/completions" */
    const char *asked;    /* as the request named the model */
    const char *model;    /* who answered; "" */
    const char *key;      /* the caller's; "": it needs none */
    int64_t version;
    int status;           /* of the answer */
    int64_t prompt_tokens, cached_tokens, completion_tokens; /* -1: not reported */
    int64_t queue_us, first_token_us, total_us; /* first_token_us -1: none came */
    bool cancelled;
};

struct gateway {
    struct office *office;
    struct store *store;
    struct keyring *keys;
    int64_t wait_ms;      /* for a slot; 0: as long as it takes */
    int64_t vectors_kept; /* setting; 0: none, they are passed on */
    /* Behind the answer, on the worker's thread; may be NULL. */
    void (*on_call)(const struct gateway_call *c, void *ctx);
    void *ctx;
};

/* What a call is counted as against the tokens of a key where the model does not say what it read. */
int64_t gateway_tokens_read(const struct http_exchange *x);

/* For the table, whose context is a struct gateway. */
int gateway_allow(struct http_exchange *x, void *ctx, struct err *e);
extern const struct http_route gateway_routes[];
extern const size_t gateway_route_count;

#endif
