/* model/endpoint.h - the parts of the backends that are asked over HTTP share this.
 *
 * endpoint.c opens and chats, describe.c finds out what the server is, endpoint_embed.c asks for
 * vectors, endpoint_forward.c passes on; all of them over endpoint_line.c, and in the words of an
 * OpenAI-compatible server, unless a protocol (ollama.c) has others.
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
#include "model/stream.h"

#include <pthread.h>

struct endpoint;

/* The forms in which a server may be asked for an answer of a shape, the best first.  A server that
 * refuses one is asked in the next. */
enum schema_form {
    SCHEMA_GRAMMAR, /* llama-server: `grammar`, which leaves no room for white space */
    SCHEMA_FORMAT,  /* response_format with json_schema inside; an Ollama: `format` */
    SCHEMA_OTHER,   /* vLLM before response_format: guided_json; others: json_object with a schema */
    SCHEMA_NONE,
};

/* One try of a call. */
struct attempt {
    const char *name;
    int64_t context; /* tokens */
    int64_t seed;
    enum schema_form schema;
    bool stream_options;         /* whether they are sent */
    int slot;                    /* 0: none is asked for */
    bool progress;               /* it shall tell how far it has read: only when it writes does it see that we left */
};

/* What differs between the servers. */
struct protocol {
    const char *name;
    const char *hint;         /* for people whose address is wrong: ""; or a clause that begins with "; " */
    const char *chat_path, *embed_path; /* below the url */
    const char *accept;       /* a header */
    enum stream_dialect dialect;
    /* The body of a request; of one for vectors `body` has the name and the texts already. */
    void (*write_chat)(const struct endpoint *m, const struct chat_request *q, const struct attempt *a, json_t *body);
    void (*write_embed)(const struct endpoint *m, int64_t context, json_t *body);
    /* Finds name and context (arena, or whatever lives as long); waits within the patience. */
    int (*ask_server)(struct endpoint *m, const atomic_bool *cancel, struct arena *a, const char **ret_name,
                      int64_t *ret_context, struct err *e);
    /* Before a call: whether its prompt can be sent at all.  May be NULL. */
    int (*check_request)(struct endpoint *m, const struct chat_request *q, const struct attempt *a, struct err *e);
    /* After an answer, for which the model was loaded in `load_us`: whether it can be trusted.  May be NULL. */
    int (*check_answer)(struct endpoint *m, const struct attempt *a, const struct chat_answer *answer, int64_t load_us,
                        const atomic_bool *cancel, struct err *e);
    /* The list of vectors in an answer, as [{"embedding": [...], "index"?: n}], in the arena; and its tokens. */
    const json_t *(*vectors)(const json_t *value, struct arena *a, int64_t *ret_tokens);
};
extern const struct protocol openai_protocol, ollama_protocol;

struct endpoint {
    struct model base;
    const struct protocol *protocol;
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
    atomic_bool is_vllm;
    atomic_int schema_form;        /* enum: the server rejects all before it */
    atomic_bool no_stream_options; /* it rejects stream_options */
    atomic_bool cuts;              /* an Ollama that knows no "truncate": what is too long is cut without a word */
    atomic_bool checked;           /* an Ollama: its model has the context that was asked for */
    pthread_mutex_t lock;
    char *name; /* NULL: not described yet */
    int64_t context_tokens;
};

/* http_ask, but ERR_UNAVAILABLE within 50 ms of endpoint_hang_up (as struct backend says). */
int endpoint_http(struct endpoint *m, const struct http_request *q, struct http_result *ret, struct str *body, struct err *e);
void endpoint_hang_up(struct model *model);

json_t *endpoint_messages(const struct chat_request *q);
/* The entry whose `member` ("id") is what `name` means; NULL: none, or more than one. */
const json_t *endpoint_find_entry(const json_t *list, const char *member, const char *name);
/* ERR_NOT_FOUND with the names that it does list. */
int endpoint_no_such_model(const struct endpoint *m, const json_t *list, const char *member, struct err *e);

/* One small request with a JSON answer; the status and an error's words come with it.  The
 * value belongs to the arena, NULL when the answer is no JSON object.  total_ms 0: as long as a
 * request of its kind may take. */
struct endpoint_reply {
    int status;
    int64_t retry_after_ms;
    json_t *value;
    struct fault fault; /* when status is not 2xx */
};
int endpoint_get(struct endpoint *m, const char *url, const char *body, int64_t total_ms, const atomic_bool *cancel,
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

int ollama_forward(struct model *model, const struct forward_request *q, int slot, struct forward_result *ret,
                   struct str *refusal, struct err *e);

/* What every request to an Ollama says: how large the context is, that nothing may be cut, and how
 * long the model stays loaded. */
void ollama_put_terms(const struct endpoint *m, int64_t context, json_t *body);

/* How long the server is waited for while it is not ready or cannot be reached.  One that has
 * never answered is more likely not there at all, which a person wants to know at once. */
int64_t endpoint_patience_ms(const struct endpoint *m);

/* The sentence and the code for a fault. */
int endpoint_fault_err(const struct endpoint *m, int status, const struct fault *f, struct err *e);

int endpoint_describe(struct model *m, const atomic_bool *cancel, const char **ret_name,
                      int64_t *ret_context_tokens, struct err *e);
int endpoint_embed(struct model *m, const struct embed_request *q, struct embeddings *v, struct err *e);

/* ---- of openai_protocol ---- */
int openai_ask_server(struct endpoint *m, const atomic_bool *cancel, struct arena *a, const char **ret_name,
                      int64_t *ret_context, struct err *e);
void openai_write_embed(const struct endpoint *m, int64_t context, json_t *body);
const json_t *openai_vectors(const json_t *value, struct arena *a, int64_t *ret_tokens);

#endif
