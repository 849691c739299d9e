/* model/chat.h - asking a model, wherever it runs.
 *
 * A backend turns messages into an answer: an OpenAI-compatible endpoint, or a recording.
 * Answers are always streamed, so that a person sees progress and a caller can stop it.
 *
 * Threads: a struct model may be asked from several threads at once.
 */
#ifndef TANDEM_CHAT_H
#define TANDEM_CHAT_H

#include "base/record.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct model;

/* "http://127.0.0.1:8080/v1#name" (name optional: the only or first one the server lists),
 * or "replay:DIR". */
struct model_options {
    const char *url, *name;
    const char *api_key_env;  /* name of the environment variable that holds the key; NULL: TANDEM_API_KEY */
    const char *api_key_file; /* NULL: none */
    const char *ca_file;
    int64_t context_tokens;   /* 0: asked of the server, else 8192 */
    int64_t connect_ms, first_token_ms, stall_ms, total_ms;
    int64_t max_answer_bytes;
    int64_t patience_ms;      /* how long 503, "loading model" and refused connections are waited for */
};
extern const struct model_options model_default_options;

int model_options_parse(const char *word, struct arena *a, struct model_options *ret, struct err *e);
int model_open(struct model **ret, const struct model_options *o, struct err *e);
void model_free(struct model *m);
/* As the server names it; asks the server on first use. */
int model_describe(struct model *m, const char **ret_name, int64_t *ret_context_tokens, struct err *e);

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };
struct chat_message { enum chat_role role; const char *text; };

/* What identifies a call in a recording. */
struct call_key {
    const char *ticket; /* "" for project-level calls */
    const char *role;   /* "tester" */
    const char *step;   /* "red-1" */
    int64_t occurrence; /* 1, 2, ... within (ticket, role, step) */
};

struct chat_request {
    const struct chat_message *messages;
    size_t message_count;
    const struct record *schema; /* the answer shall be JSON of this shape; NULL: text */
    int64_t max_tokens;
    double temperature;
    int64_t seed;
    struct call_key key;
    const atomic_bool *cancel;
    /* Sees visible text as it is generated; may be NULL. */
    void (*on_text)(const char *text, size_t len, void *ctx);
    void *ctx;
};

struct chat_answer {
    struct str text;      /* reasoning stripped; chat_answer_release */
    struct str reasoning; /* what was stripped, for the Run */
    char finish[24];      /* "stop", "length", "repetition" */
    char model[128];      /* as reported with the answer */
    int64_t prompt_tokens, cached_tokens, completion_tokens; /* -1: not reported */
    int64_t queue_us, first_token_us, total_us;
    int64_t retries;
};

/* Retries by itself (changed seed after a broken or empty answer; Retry-After and "loading
 * model" waited for within patience_ms).  ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELLED,
 * ERR_LIMIT (answer too large), ERR_INVALID (the server rejected the request; the text
 * carries its words; code ERR_LIMIT when it says that the context is too small). */
int model_chat(struct model *m, const struct chat_request *q, struct chat_answer *ret, struct err *e);
void chat_answer_release(struct chat_answer *a);

/* An upper bound for budgeting, without the model's tokenizer. */
int64_t tokens_estimate(const char *text, size_t len);

/* ---- recordings ---- */
/* Makes every answered call on any model also a file below `dir`; NULL: stop. */
int recording_start(const char *dir, struct err *e);
/* A replayed prompt that differs from the recorded one is drift. */
enum drift_rule { DRIFT_FAIL, DRIFT_WARN };
int replay_open(struct model **ret, const char *dir, enum drift_rule rule, struct err *e);
/* How many prompts drifted so far, and a diff of the first. */
int64_t replay_drift(struct model *m, struct str *ret_first_diff);

#endif
