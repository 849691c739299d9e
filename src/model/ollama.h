/* model/ollama.h - what can be asked of an Ollama beside answers: to load a model, and to let it go.
 *
 * For models that model_open made of a word that begins with "ollama:".
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_OLLAMA_H
#define TANDEM_MODEL_OLLAMA_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;
struct model;

/* "http://127.0.0.1:11434", or what OLLAMA_HOST of the environment says: "box", "0.0.0.0:11500",
 * "https://box/ollama".  In the arena. */
const char *ollama_address(struct arena *a);

/* Whether an entry of its list is a model that it would pass on to another host. */
bool ollama_is_elsewhere(const json_t *entry);

/* Whether it is loaded now, with a context of at least what model_describe tells.  0 and false: it
 * is not, or not so. */
int ollama_is_loaded(struct model *m, const atomic_bool *cancel, bool *ret, struct err *e);
/* Loads it as calls will ask for it, and makes sure that it has the context that was asked for
 * (else ERR_SETUP).  Takes as long as it takes, at most total_ms (0: the options' first_token_ms). */
int ollama_load(struct model *m, int64_t total_ms, const atomic_bool *cancel, struct err *e);
/* One token, or one vector: whether it works. */
int ollama_try(struct model *m, bool embeds, int64_t total_ms, const atomic_bool *cancel, struct err *e);
/* Whether the server answers at all. */
int ollama_ping(struct model *m, struct err *e);
/* Lets its model go, when those who use it are done. */
int ollama_unload(struct model *m, struct err *e);

#endif
