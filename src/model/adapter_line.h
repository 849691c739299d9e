/* model/adapter_line.h - the lines that an adapter and Tandem say to each other.
 *
 * One JSON object a line, each with its "type"; docs/adapters.md describes them all.  What is not
 * described there is an error, so that a slip of the pen is found by its first line.
 *
 * Threads: any.
 */
#ifndef TANDEM_MODEL_ADAPTER_LINE_H
#define TANDEM_MODEL_ADAPTER_LINE_H

#include "base/record.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct chat_wish;
struct err;
struct str;

enum {
    ADAPTER_PROTOCOL = 1,
    ADAPTER_MAX_LINE = 8 << 20, /* bytes, of an adapter's */
    ADAPTER_MAX_SLOTS = 64,
};

/* ---- what an adapter says ---- */

enum adapter_type {
    ADAPTER_HELLO, ADAPTER_TEXT, ADAPTER_REASONING, ADAPTER_VECTORS, ADAPTER_DONE, ADAPTER_ERROR, ADAPTER_PONG,
};
extern const char *const adapter_type_names[];

/* What an error means to whoever asked. */
enum adapter_fault {
    ADAPTER_FAILED,  /* asking again may help */
    ADAPTER_CONTEXT, /* the prompt does not fit */
    ADAPTER_INVALID, /* the request is wrong */
    ADAPTER_UNABLE,  /* it does not do that at all */
    ADAPTER_BUSY,    /* later */
};

struct adapter_hello {
    const char *type;
    int64_t protocol;
    const char *name, *version;
    int64_t context; /* tokens */
    int64_t slots;   /* requests at once */
    struct texts can; /* "chat", "embed", "schema" */
};

/* One line; texts belong to the arena. */
struct adapter_line {
    enum adapter_type type;
    int64_t id;                  /* of its request; 0: hello */
    struct adapter_hello hello;
    const char *text;            /* text, reasoning; an error's message */
    const char *finish;          /* done: "stop", "length" or "cancelled" */
    int64_t prompt_tokens, cached_tokens, completion_tokens; /* done; -1: not told */
    enum adapter_fault fault;    /* error */
    const json_t *vectors;       /* vectors: a list of lists of numbers */
};

/* ERR_INVALID says what is wrong with the line. */
int adapter_line_read(struct arena *a, const char *text, size_t len, struct adapter_line *ret, struct err *e);

/* ---- what it is sent; each ends with its '\n' ---- */

/* `slot`: from 0; negative: none is told.  A schema is sent only if the adapter can do that. */
void adapter_write_chat(struct str *out, int64_t id, const struct chat_wish *w, int64_t seed, int slot, bool with_schema);
void adapter_write_embed(struct str *out, int64_t id, const char *const *texts, size_t count);
/* "cancel" of the request `id`, or "ping" with an id of its own. */
void adapter_write_word(struct str *out, const char *type, int64_t id);

#endif
