/* model/ollama_translate.h - between OpenAI's words for chats and texts and those of Ollama's own paths.
 *
 * Beside what model/forward_chat.h knows Ollama has pictures, tools and probabilities.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_OLLAMA_TRANSLATE_H
#define TANDEM_MODEL_OLLAMA_TRANSLATE_H

#include "model/forward_chat.h"

/* The body of "/chat/completions", or of "/completions", as one for /api/chat or /api/generate,
 * without model, options.num_ctx, truncate, shift and keep_alive.  A new reference.  ERR_INVALID:
 * Ollama cannot do what is asked; nothing that would change the answer is left out without a word. */
int ollama_chat_of(const json_t *body, json_t **ret, struct err *e);
int ollama_text_of(const json_t *body, json_t **ret, struct err *e);

/* What is known of the answer to one request. */
struct ollama_answer {
    struct chunk_head head;
    bool is_chat;
    bool begun, done;
    int64_t calls; /* of tools so far */
};

/* A line of the answer as a chunk; sets `done` with the last one.  A new reference. */
json_t *ollama_chunk_of(struct ollama_answer *a, const json_t *line);

#endif
