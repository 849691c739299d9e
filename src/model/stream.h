/* model/stream.h - one streamed answer, from the bytes of the body to text.
 *
 * Understands what OpenAI-compatible servers send for `stream: true`: events of chunks,
 * with reasoning in a field of its own or in tags, usage with or after the last chunk, an
 * error object in the middle; also a whole completion as one JSON document (servers that do
 * not stream), and web pages (the wrong address).  And what Ollama sends on paths of its own:
 * an object on each line, the last one with the figures.
 *
 * Threads: belongs to one call.
 */
#ifndef TANDEM_MODEL_STREAM_H
#define TANDEM_MODEL_STREAM_H

#include "base/err.h"
#include "http/sse.h"
#include "model/chat.h"
#include "model/fault.h"
#include "model/reasoning.h"

enum stream_form { FORM_UNKNOWN, FORM_EVENTS, FORM_DOCUMENT, FORM_LINES, FORM_PAGE };
enum stream_dialect { DIALECT_OPENAI, DIALECT_OLLAMA };

/* What became of the answer. */
enum stream_end {
    STREAM_OPEN,      /* still coming */
    STREAM_COMPLETE,  /* the server said that it is whole */
    STREAM_REPEATING, /* cut because it repeats itself */
    STREAM_FAULT,     /* the server sent an error: `fault` */
    STREAM_FAILED,    /* `error` says why */
};

struct stream {
    const struct model_options *options;
    struct chat_answer *answer;
    const char *key; /* the API key, to be blanked out of errors; may be NULL */
    enum stream_dialect dialect;
    enum stream_form form;
    enum stream_end end;
    struct fault fault;
    struct err error;
    struct sse_reader events;
    struct reasoning reasoning;
    struct str document;     /* FORM_DOCUMENT, FORM_PAGE; FORM_LINES: a line that is not whole yet */
    bool done;               /* [DONE] came, or Ollama's last line */
    int64_t load_us;         /* what Ollama says that loading its model took; 0: nothing */
    size_t checked_len;      /* bytes of text and reasoning when repetition was last looked for */
    int64_t start_us, first_token_us, last_token_us, complete_us; /* 0: not yet */
};

/* `answer` is fresh; its strings are appended to. */
void stream_init(struct stream *s, enum stream_dialect dialect, const struct model_options *o, struct chat_answer *answer,
                 const char *key, void (*on_text)(const char *, size_t, void *), void *ctx);
void stream_release(struct stream *s);

/* Takes bytes of the body; false: no more are needed, s->end says why. */
bool stream_feed(struct stream *s, const char *bytes, size_t len);
/* Takes one chunk that came otherwise, as the events of a body are taken; false as above. */
bool stream_take(struct stream *s, const json_t *chunk);
/* Looks at the deadlines; false: stop. */
bool stream_tick(struct stream *s);
/* The body ended, well or not.  Afterwards s->end is STREAM_OPEN if the answer is half. */
void stream_finish(struct stream *s);

#endif
