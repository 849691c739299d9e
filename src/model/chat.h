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

/* A replayed prompt that differs from the recorded one is drift. */
enum drift_rule { DRIFT_FAIL, DRIFT_WARN };

/* "http://127.0.0.1:8080/v1#name" (name optional: the only or first one the server lists;
 * an address without a path gets "/v1"), "unix:/run/model.sock#name" for a server on a Unix
 * socket, "ollama:http://127.0.0.1:11434#name" for an Ollama by its own paths, or "replay:DIR#name"
 * (name optional: the first model recorded). */
struct model_options {
    const char *url, *name;
    const char *api_key;      /* NULL: from here: */
    const char *api_key_env;  /* name of the environment variable that holds the key; NULL: TANDEM_API_KEY */
    const char *api_key_file; /* the key is its first line; NULL: none */
    const char *ca_file;
    const char *called;       /* its server in sentences; NULL: the address */
    int64_t context_tokens;   /* 0: asked of the server, else 8192; an Ollama is told */
    int64_t keep_s;           /* an Ollama keeps its model loaded so long after a call; -1: for ever */
    int64_t connect_ms;
    int64_t first_token_ms;   /* from the request to the first token, the prompt's reading included */
    int64_t stall_ms;         /* between two tokens */
    int64_t total_ms;         /* of one answer; waiting and retries begin anew */
    int64_t max_answer_bytes; /* of text and reasoning together */
    int64_t embed_texts;      /* texts of one request for vectors, */
    int64_t embed_bytes;      /* ... and their bytes, unless it is a single text */
    int64_t patience_ms;      /* how long a server is waited for that is busy, loads, or is away for once */
    int64_t refused_patience_ms; /* the same for one that has never answered */
    enum drift_rule drift;    /* "replay:DIR" only */
};
extern const struct model_options model_default_options;

/* Reads a word of the command line into the default options.  An address with a password in it is
 * refused (and not repeated): it would be stored with the project and shown. */
int model_options_parse(const char *word, struct arena *a, struct model_options *ret, struct err *e);
/* Copies the options and reads the API key; asks nothing yet. */
int model_open(struct model **ret, const struct model_options *o, struct err *e);
void model_free(struct model *m);
/* As the server names it; asks the server on first use, within its patience.  A name that
 * the server does not list is ERR_NOT_FOUND, with the names it does list; "name" stands for
 * "name:latest", for an alias, and for the only id that contains it in any case.  The
 * context size is what the options say, else what the server tells (vLLM in its list,
 * llama-server in /props, Ollama in /api/ps), else 8192.  *ret_name lives as long as the
 * model.  ERR_CANCELLED within 50 ms of *cancel (which may be NULL). */
int model_describe(struct model *m, const atomic_bool *cancel, const char **ret_name, int64_t *ret_context_tokens,
                   struct err *e);

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };
struct chat_message { enum chat_role role; const char *text; };
/* "system", "user", "assistant" */
const char *chat_role_name(enum chat_role role);

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
    int64_t max_tokens;          /* 0: the server decides */
    double temperature;
    int64_t seed;
    const json_t *sampling;      /* further members of the request ({"top_p": 0.9}), borrowed; NULL: none */
    const char *conversation;    /* whose prompt this call continues; NULL: a call by the side */
    int slot;                    /* of a llama-server, from 1; 0: the server chooses */
    struct call_key key;
    const atomic_bool *cancel;
    /* Sees visible text as it is generated; may be NULL.  (NULL, 0): what was shown so far
     * does not count, the answer starts over (a retry, or it turned out to be reasoning). */
    void (*on_text)(const char *text, size_t len, void *ctx);
    void *ctx;
};

struct chat_answer {
    struct str text;      /* reasoning stripped; chat_answer_release */
    struct str reasoning; /* what was stripped, for the Run */
    char finish[24];      /* "stop", "length", "repetition" (cut after the first copy), ... */
    char model[128];      /* as reported with the answer, else as described */
    int64_t version;      /* of the registry; 0: none */
    int64_t prompt_tokens, cached_tokens, completion_tokens; /* -1: not reported */
    int64_t queue_us;       /* waited for the server to be ready */
    int64_t first_token_us; /* from the successful request to its first token */
    int64_t total_us;       /* of the whole call */
    int64_t retries;
};

/* Retries by itself, at most twice (changed seed after a broken, stalled or empty answer),
 * and waits within its patience (Retry-After, "loading model", no connection).
 *
 * ERR_UNAVAILABLE (patience ended), ERR_TIMEOUT, ERR_CANCELLED (within 50 ms), ERR_LIMIT
 * (the answer is too large, or the server says that the context is too small), ERR_INVALID
 * (the server rejected the request; the text carries its words), ERR_REFUSED (it wants
 * another API key, or its certificate is not trusted), ERR_NOT_FOUND (it has no such model;
 * in a replay: no such call was recorded), ERR_CONFLICT (replay: the prompt drifted),
 * ERR_FAILED (anything else, three times).  `ret` is untouched on failure. */
int model_chat(struct model *m, const struct chat_request *q, struct chat_answer *ret, struct err *e);
void chat_answer_release(struct chat_answer *a);

/* For budgeting, without the model's tokenizer: an estimate that is rather too high for code
 * and prose (tokens.c), but no bound: texts of rare characters can cost more. */
int64_t tokens_estimate(const char *text, size_t len);
int64_t tokens_estimate_messages(const struct chat_message *messages, size_t count);

/* ---- recordings ---- */

/* Files below `dir` (TICKET/ROLE/STEP.N.txt; format: recording.h), one for each answered call
 * on the models that are recorded into it.  Close it after they are freed. */
struct recording;
int recording_open(struct recording **ret, const char *dir, struct err *e);
void recording_close(struct recording *r);
/* Before the first call on the model.  A replay may be recorded too, into another directory:
 * that is how drifted prompts are renewed. */
void model_record(struct model *m, struct recording *r);
int replay_open(struct model **ret, const char *dir, enum drift_rule rule, struct err *e);
/* How many prompts drifted so far, and a diff of the first (appended; may be NULL). */
int64_t replay_drift(struct model *m, struct str *ret_first_diff);

#endif
