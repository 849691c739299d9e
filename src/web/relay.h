/* web/relay.h - the answer of a model's server on its way to another program.
 *
 * A completion is asked for as a stream whatever the caller wants (web/gateway.h says why), so what
 * comes are events, which leave one by one or are joined.  A caller gets a whole answer or an error,
 * and never half an answer as a whole one: bytes that are not UTF-8 become U+FFFD, a web page is said
 * to be one, and an answer that ends before its end is asked for again as long as the caller has seen
 * nothing of it; later the stream gets an event with the error and is broken off.  While a model reads a
 * long prompt, or others are served first, a stream's reader gets a sign of life now and then: programs
 * and proxies give up on a server that says nothing for minutes.
 *
 * Threads: belongs to the exchange's.
 */
#ifndef TANDEM_WEB_RELAY_H
#define TANDEM_WEB_RELAY_H

#include "base/err.h"
#include "http/server.h"
#include "http/sse.h"
#include "model/forward.h"
#include "web/completion.h"

enum relay_form { RELAY_UNKNOWN, RELAY_EVENTS, RELAY_DOCUMENT, RELAY_PAGE };

struct relay {
    struct http_exchange *x;
    bool completes;              /* what comes is a completion; else vectors, in one piece */
    bool wants_stream, wants_usage;
    /* Called once, before the caller can see the end, who may begin another call then. */
    void (*before_end)(void *ctx);
    void *ctx;

    /* What has come so far; -1: not told. */
    int64_t event_count, first_token_us, prompt_tokens, cached_tokens, completion_tokens;
    bool whole;                  /* all of it came, and it was passed on */

    int64_t begun_us;
    enum relay_form form;
    size_t taken;                /* bytes */
    struct sse_reader events;
    struct completion completion;
    struct str document;
    struct str out;              /* events of one piece, sent together */
    struct http_stream *stream;  /* NULL: not begun */
    bool shown;                  /* something of the answer has left, more than signs of life */
    int64_t sent_us;             /* when something left last */
    bool done, finished;         /* [DONE] was there; a choice said how it ended */
    bool told;                   /* the caller has seen the server's own error */
    struct err fault;            /* what is wrong with it, without the model's name before */
};

/* Of an exchange with a body that is read already; `body` is made to ask for a stream. */
void relay_init(struct relay *r, struct http_exchange *x, json_t *body, bool completes);
void relay_release(struct relay *r);

/* For a struct forward_request, with the relay as its ctx. */
bool relay_take(const char *bytes, size_t len, void *relay);
void relay_wait(void *relay);
int relay_judge(int code, void *relay, struct err *e);
bool relay_start_over(void *relay);

/* Answers, or tells why not: 0, or the error that the exchange is to end with. */
int relay_finish(struct relay *r, int code, const struct forward_result *f, const struct str *refusal, struct err *e);

#endif
