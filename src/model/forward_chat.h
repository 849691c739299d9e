/* model/forward_chat.h - OpenAI's form of requests and answers, for backends that speak another one.
 *
 * What another program asks becomes a wish, without what only OpenAI's form knows; what the model
 * says becomes chunks, which model/stream.h reads as those of a server, and which go to the other
 * program as events.  So a backend has one way to answer, whoever asks.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_FORWARD_CHAT_H
#define TANDEM_MODEL_FORWARD_CHAT_H

#include "base/record.h"
#include "model/forward.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct chat_request;
struct embeddings;
struct err;
struct str;

/* ---- asking ---- */

struct chat_wish {
    json_t *messages;    /* [{"role": "system"|"user"|"assistant", "content": text}] */
    json_t *schema;      /* JSON Schema of the answer; NULL: text */
    bool any_json;       /* some JSON object */
    json_t *stop;        /* texts that end the answer; NULL */
    json_t *sampling;    /* an object: top_p and the like; may be empty */
    bool has_temperature, has_seed;
    double temperature;
    int64_t seed;
    int64_t max_tokens;  /* 0: not said */
    bool wants_usage;    /* stream_options.include_usage */
};

/* Reads a body of /chat/completions; values belong to the arena, or to the body.  ERR_INVALID says
 * what cannot be had of such a model: tools, images, several choices. */
int chat_wish_read(struct arena *a, const json_t *body, struct chat_wish *ret, struct err *e);
/* The same of a request of ours. */
void chat_wish_of(struct arena *a, const struct chat_request *q, struct chat_wish *ret);

/* ---- answering ---- */

/* The head of all chunks of one answer. */
struct chunk_head {
    const char *model;
    char id[40];       /* "chatcmpl-..." */
    int64_t created_s;
};
void chunk_head_init(struct chunk_head *h, const char *model);

/* New chunks, of a piece of text or of reasoning; of the end ("stop", "length"); of the figures (-1:
 * not reported), of which there is NULL when none was. */
json_t *chunk_text(const struct chunk_head *h, const char *text);
json_t *chunk_reasoning(const struct chunk_head *h, const char *text);
json_t *chunk_finish(const struct chunk_head *h, const char *finish);
json_t *chunk_usage(const struct chunk_head *h, int64_t prompt_tokens, int64_t cached_tokens, int64_t completion_tokens);

/* One chunk as an event to q->on_body, and the event after the last; false: no more are wanted. */
bool chunk_send(const struct forward_request *q, const json_t *chunk);
bool chunk_send_done(const struct forward_request *q);

/* A refusal in OpenAI's form, with the sentence of `e`. */
void forward_refuse(struct forward_result *ret, struct str *refusal, int status, const struct err *e);

/* ---- vectors ---- */

/* The texts of a body of /embeddings, and whether numbers are wanted as base64; ERR_INVALID. */
int embed_wish_read(struct arena *a, const json_t *body, struct texts *ret, bool *ret_base64, struct err *e);
/* Appends the answer to it. */
void embed_answer_write(struct str *out, const struct embeddings *v, bool base64);

#endif
