/* model/nearby.h - finding a model server that runs already, where nothing was said.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_NEARBY_H
#define TANDEM_MODEL_NEARBY_H

#include <stdbool.h>

struct arena;
struct err;

/* Asks each of these addresses (separated by blanks) what models it has, for a fraction of a second,
 * and chooses one to work with: of the first server that answers, the first whose name speaks of
 * code, else the first that is not for embeddings.  An address is that of an OpenAI-compatible
 * server, of an Ollama ("ollama:http://127.0.0.1:11434"), or "ollama:" for the one that OLLAMA_HOST
 * names.  *ret is a word as for --model ("http://127.0.0.1:8080/v1#name"); false: there is none. */
bool model_nearby(struct arena *a, const char *addresses, const char **ret);

#endif
