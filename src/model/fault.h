/* model/fault.h - what a model server means when it says no.
 *
 * Servers agree on little more than the status code: llama-server, Ollama, vLLM, proxies
 * and web servers each have their own words.  All that is known about them is here.
 */
#ifndef TANDEM_MODEL_FAULT_H
#define TANDEM_MODEL_FAULT_H

#include <jansson.h>
#include <stddef.h>

enum fault_kind {
    FAULT_REJECTED, /* the request is wrong: asking again does not help */
    FAULT_CONTEXT,  /* prompt and answer do not fit the model's context */
    FAULT_KEY,      /* an API key is missing or wrong */
    FAULT_MISSING,  /* no such model, or no such address */
    FAULT_UNABLE,   /* this model, or the server as it was started, does not do that at all */
    FAULT_WAIT,     /* busy or loading: ask again later */
    FAULT_BROKEN,   /* it failed: ask again now */
};

struct fault {
    enum fault_kind kind;
    char words[400]; /* what the server said, on one line; never the API key */
};

/* Of an answer with an error status; a NUL follows the body.  `key`: the API key, which is blanked out; may be NULL. */
struct fault fault_of_answer(int status, const char *body, size_t len, const char *key);
/* Of the `error` member of an event within a stream. */
struct fault fault_of_event(const json_t *error, const char *key);
/* The first words a reader of a text or web page would see, on one line; returns `out`.
 * A NUL follows the body. */
char *fault_first_words(const char *body, size_t len, char *out, size_t size);

#endif
