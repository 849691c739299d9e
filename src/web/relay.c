/* relay.c - events in, events or one answer out.
 *
 * The form is told by the first byte that is not white space, as model/stream.c does: servers and
 * proxies get the content type wrong.  Of events that only pass nothing is parsed that need not be.
 */
#include "web/relay.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "model/fault.h"

enum {
    MAX_EVENT = 8 << 20,
    MAX_WHOLE = 128 << 20, /* of what is collected for a caller who wants one answer */
    MAX_PAGE = 64 << 10,
    SECOND_MS = 1000,
    BAD_GATEWAY = 502,
    LIFE_US = 15000000, /* of silence, and there is a sign of life */
};

static bool on_event(const struct sse_event *event, void *ctx);

static void ask_for_a_stream(struct relay *r, json_t *body)
{
    json_t *options = json_object_get(body, "stream_options");
    r->wants_stream = json_is_true(json_object_get(body, "stream"));
    r->wants_usage = json_is_true(json_object_get(options, "include_usage"));
    json_put_bool(body, "stream", true);
    if (!json_is_object(options)) {
        json_put(body, "stream_options", json_object());
        options = json_object_get(body, "stream_options");
    }
    json_put_bool(options, "include_usage", true);
}

/* Nothing has come yet. */
static void begin(struct relay *r)
{
    r->form = RELAY_UNKNOWN;
    r->event_count = 0;
    r->first_token_us = r->prompt_tokens = r->cached_tokens = r->completion_tokens = -1;
    r->done = r->finished = r->told = false;
    r->taken = 0;
    r->fault = (struct err){ 0 };
    sse_init(&r->events, MAX_EVENT, on_event, r);
}

void relay_init(struct relay *r, struct http_exchange *x, json_t *body, bool completes)
{
    *r = (struct relay){ .x = x, .completes = completes, .begun_us = clock_steady_us(), .sent_us = clock_steady_us(), .completion = COMPLETION_INIT,
                          .document = STR_INIT, .out = STR_INIT };
    if (completes)
        ask_for_a_stream(r, body);
    begin(r);
}

void relay_release(struct relay *r)
{
    sse_release(&r->events);
    completion_release(&r->completion);
    str_release(&r->document);
    str_release(&r->out);
}

bool relay_start_over(void *relay)
{
    struct relay *r = relay;
    if (r->shown)
        return false;
    sse_release(&r->events);
    completion_release(&r->completion);
    str_clear(&r->document);
    str_clear(&r->out);
    begin(r);
    return true;
}

static bool fail(struct relay *r, int code, const char *what)
{
    if (!r->fault.code)
        err_set(&r->fault, code, "%s", what);
    return false;
}

/* ---- events ---- */

static void note_usage(struct relay *r, const json_t *chunk)
{
    const json_t *usage = json_object_get(chunk, "usage");
    r->prompt_tokens = json_int_of(usage, "prompt_tokens", r->prompt_tokens);
    r->completion_tokens = json_int_of(usage, "completion_tokens", r->completion_tokens);
    r->cached_tokens = json_int_of(json_object_get(usage, "prompt_tokens_details"), "cached_tokens", r->cached_tokens);
}

/* A chunk that holds nothing but the figures. */
static bool is_figures(const json_t *chunk)
{
    return json_is_object(json_object_get(chunk, "usage")) && json_array_size(json_object_get(chunk, "choices")) == 0;
}

/* Whether some choice says how it ended.  (Within a text the name's quotation marks are escaped.) */
static bool says_finish(const char *p, size_t len)
{
    static const char name[] = "\"finish_reason\"";
    const char *end = p + len;
    while ((p = memmem(p, (size_t)(end - p), name, sizeof name - 1))) {
        p += sizeof name - 1;
        while (p < end && (*p == ' ' || *p == ':'))
            p++;
        if (p < end && *p == '"')
            return true;
    }
    return false;
}

static bool has_member(const struct sse_event *event, const char *quoted)
{
    return memmem(event->data, event->len, quoted, strlen(quoted)) != NULL;
}

/* The server's own words: a stream's reader gets them as they are, unless it could be asked again. */
static bool take_error(struct relay *r, const struct sse_event *event, const json_t *error)
{
    struct fault f = fault_of_event(error, NULL);
    int code = f.kind == FAULT_WAIT ? ERR_UNAVAILABLE : f.kind == FAULT_BROKEN ? ERR_FAILED : ERR_INVALID;
    if (r->shown || r->out.len) {
        http_event_write(&r->out, event->data, event->len);
        r->told = true;
    }
    if (!r->fault.code)
        err_set(&r->fault, code, "says: %s", f.words);
    return false;
}

/* Other values than objects are well-formed, and nothing to join. */
static bool join_chunk(struct relay *r, const struct sse_event *event)
{
    ARENA_LOCAL(a);
    json_t *value;
    if (completion_add(&r->completion, event->data, event->len, NULL) == 0)
        return true;
    bool is_json = json_parse(&a, event->data, event->len, &value, NULL) == 0 && !json_is_object(value);
    return is_json || fail(r, ERR_FAILED, "sent an event that is no JSON");
}

static bool take_chunk(struct relay *r, const struct sse_event *event, const json_t *chunk)
{
    const json_t *error = json_object_get(chunk, "error");
    if (error && !json_is_null(error))
        return take_error(r, event, error);
    if (chunk)
        note_usage(r, chunk);
    r->finished = r->finished || says_finish(event->data, event->len);
    if (!r->wants_stream)
        return join_chunk(r, event);
    if (!chunk || r->wants_usage || !is_figures(chunk))
        http_event_write(&r->out, event->data, event->len);
    return true;
}

static bool take_event(struct relay *r, const struct sse_event *event)
{
    ARENA_LOCAL(a);
    json_t *chunk = NULL;
    if (r->done)
        return true; /* nothing comes after the end */
    r->event_count++;
    if (r->first_token_us < 0)
        r->first_token_us = clock_steady_us() - r->begun_us;
    if (event->len == 6 && memcmp(event->data, "[DONE]", 6) == 0) {
        if (!r->wants_stream && !r->completion.root)
            return fail(r, ERR_UNAVAILABLE, "ended without an answer");
        r->done = true;
        if (r->wants_stream)
            http_event_write(&r->out, event->data, event->len);
        return true;
    }
    bool is_looked_at = has_member(event, "\"usage\"") || has_member(event, "\"error\"");
    if (is_looked_at && json_parse(&a, event->data, event->len, &chunk, NULL) < 0 && !r->wants_stream)
        return fail(r, ERR_FAILED, "sent an event that is no JSON");
    return take_chunk(r, event, chunk);
}

static bool on_event(const struct sse_event *event, void *ctx)
{
    if (utf8_valid(event->data, event->len, NULL))
        return take_event(ctx, event);
    STR_LOCAL(mended);
    str_reserve(&mended, 3 * event->len);
    mended.len = utf8_repair(mended.data, event->data, event->len);
    mended.data[mended.len] = '\0';
    struct sse_event whole = { event->type, event->id, mended.data, mended.len };
    return take_event(ctx, &whole);
}

/* What a piece brought leaves as one. */
static bool send_events(struct relay *r)
{
    if (!r->out.len)
        return true;
    if (!r->stream)
        r->stream = http_stream_begin(r->x, 200, "text/event-stream");
    r->shown = true;
    r->sent_us = clock_steady_us();
    if (r->done)
        r->before_end(r->ctx);
    int code = r->done ? http_stream_finish(r->stream, r->out.data, r->out.len, NULL)
                       : http_stream_write(r->stream, r->out.data, r->out.len, NULL);
    str_clear(&r->out);
    return code == 0;
}

/* A comment, which readers of events skip.  From then on whatever goes wrong is an event. */
void relay_wait(void *relay)
{
    static const char comment[] = ":\n\n";
    struct relay *r = relay;
    if (!r->wants_stream || clock_steady_us() - r->sent_us < LIFE_US || atomic_load(r->x->cancel))
        return;
    if (!r->stream)
        r->stream = http_stream_begin(r->x, 200, "text/event-stream");
    http_stream_write(r->stream, comment, sizeof comment - 1, NULL);
    r->sent_us = clock_steady_us();
}

/* ---- what comes ---- */

static enum relay_form form_of(const char *bytes, size_t len)
{
    size_t blank = 0;
    while (blank < len && strchr(" \t\r\n", bytes[blank]) && bytes[blank])
        blank++;
    return blank == len           ? RELAY_UNKNOWN
           : bytes[blank] == '<' ? RELAY_PAGE
           : bytes[blank] == '{' ? RELAY_DOCUMENT
                                 : RELAY_EVENTS;
}

static bool collect(struct relay *r, const char *bytes, size_t len)
{
    size_t most = r->form == RELAY_PAGE ? MAX_PAGE : MAX_WHOLE;
    str_add_bytes(&r->document, bytes, r->document.len + len <= most ? len : most - r->document.len);
    return true;
}

bool relay_take(const char *bytes, size_t len, void *relay)
{
    struct relay *r = relay;
    if (atomic_load(r->x->cancel))
        return false;
    if (r->form == RELAY_UNKNOWN)
        r->form = form_of(bytes, len);
    r->taken += len;
    if (r->taken > MAX_WHOLE && (!r->wants_stream || r->form == RELAY_DOCUMENT))
        return fail(r, ERR_SETUP, "gave an answer that is larger than the 128 MiB that are allowed");
    if (r->form != RELAY_EVENTS)
        return r->form == RELAY_UNKNOWN || collect(r, bytes, len);
    enum sse_state state = sse_feed(&r->events, bytes, len);
    if (state == SSE_TOO_LARGE)
        fail(r, ERR_SETUP, "sent an event that is larger than allowed");
    return send_events(r) && state == SSE_MORE;
}

/* An answer in one piece, from a server that does not stream. */
static bool read_document(struct relay *r)
{
    ARENA_LOCAL(a);
    json_t *whole;
    if (json_parse(&a, r->document.data, r->document.len, &whole, NULL) < 0)
        return fail(r, ERR_FAILED, "ended in the middle of its answer");
    const json_t *error = json_object_get(whole, "error");
    if (error && !json_is_null(error))
        return take_error(r, &(struct sse_event){ .data = "" }, error);
    note_usage(r, whole);
    return true;
}

static bool say_that_it_is_a_page(struct relay *r)
{
    char words[200];
    fault_first_words(r->document.data, r->document.len, words, sizeof words);
    err_set(&r->fault, ERR_UNAVAILABLE, "answered with a web page (\"%s\")", words);
    return false;
}

static bool is_whole(struct relay *r)
{
    if (r->form == RELAY_EVENTS && !r->done && sse_end(&r->events) == SSE_MORE)
        send_events(r);
    if (r->fault.code)
        return false;
    if (r->form == RELAY_PAGE)
        return say_that_it_is_a_page(r);
    if (r->form == RELAY_DOCUMENT)
        return read_document(r);
    if (r->form == RELAY_UNKNOWN || !r->completes)
        return fail(r, r->form == RELAY_UNKNOWN ? ERR_UNAVAILABLE : ERR_FAILED, "ended without an answer");
    return r->done || r->finished || fail(r, ERR_FAILED, "ended in the middle of its answer");
}

int relay_judge(int code, void *relay, struct err *e)
{
    struct relay *r = relay;
    if (r->done && !r->fault.code)
        return 0; /* whatever became of the connection behind it */
    if (code == 0 && is_whole(r))
        return 0;
    if (atomic_load(r->x->cancel))
        return code < 0 ? code : err_set(e, ERR_CANCELLED, "the client has left");
    if (!r->fault.code)
        return code;
    *e = r->fault;
    return e->code;
}

/* ---- answers ---- */

static void say_when(struct http_exchange *x, int64_t ms)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", ms < SECOND_MS ? 1 : (long long)(ms + SECOND_MS - 1) / SECOND_MS);
    http_answer_header(x, "Retry-After", seconds);
}

/* The caller has seen some of it: an event says what happened, and then it is broken off, for those
 * who do not look for such an event. */
static void break_off(struct relay *r, const struct err *why)
{
    STR_LOCAL(text);
    bool stops = http_cancel_reason(r->x) == HTTP_STOPPING;
    json_t *event = json_pack("{s:{s:o, s:s, s:s}}", "error", "message", stops ? json_string("Tandem is being stopped") : json_text(why->text, strlen(why->text)),
                              "type", "server_error", "code", stops ? "cancelled" : err_name(why->code));
    if (!event)
        out_of_memory();
    json_write(&text, event);
    json_decref(event);
    if (!r->told)
        http_stream_event(r->stream, NULL, text.data, text.len, NULL);
}

/* What is meant for Tandem, its key or another address, is no refusal of the caller's. */
static bool is_ours(const struct forward_result *f, const struct fault *fault)
{
    return f->status < 400 || fault->kind == FAULT_KEY;
}

static void say_refused(const struct forward_result *f, const struct fault *fault, struct err *e)
{
    err_set(e, ERR_FAILED, fault->kind == FAULT_KEY ? "the server of %s wants another API key (status %d: %s)"
            : f->status < 400 ? "the server of %s points elsewhere (status %d: %s)" : "the server of %s refused (status %d: %s)",
            f->model, f->status, fault->words);
}

/* In its own words where they are an API's, and nothing was begun. */
static void answer_refused(struct relay *r, const struct forward_result *f, const struct str *refusal)
{
    struct fault fault = fault_of_answer(f->status, refusal->data, refusal->len, NULL);
    struct err why;
    say_refused(f, &fault, &why);
    if (r->stream) {
        break_off(r, &why);
        return;
    }
    if (f->retry_after_ms >= 0)
        say_when(r->x, f->retry_after_ms);
    if (is_ours(f, &fault) || form_of(refusal->data, refusal->len) != RELAY_DOCUMENT)
        http_answer_error(r->x, is_ours(f, &fault) ? BAD_GATEWAY : f->status, NULL, "upstream", "%s", why.text);
    else
        http_answer(r->x, f->status, "application/json", refusal->data, refusal->len);
}

/* Of an answer in one piece the chunk that a stream would have had. */
static void make_chunk(json_t *whole, bool is_chat)
{
    size_t i, k;
    json_t *choice, *call;
    if (is_chat)
        json_put_text(whole, "object", "chat.completion.chunk");
    json_array_foreach(json_object_get(whole, "choices"), i, choice) {
        json_t *message = json_object_get(choice, "message");
        if (!message)
            continue;
        json_array_foreach(json_object_get(message, "tool_calls"), k, call)
            json_put_int(call, "index", (int64_t)k);
        json_put(choice, "delta", json_incref(message));
        json_object_del(choice, "message");
    }
}

static void write_event(struct relay *r, const json_t *chunk)
{
    STR_LOCAL(text);
    json_write(&text, chunk);
    http_event_write(&r->out, text.data, text.len);
}

static void stream_document(struct relay *r)
{
    ARENA_LOCAL(a);
    json_t *whole;
    if (json_parse(&a, r->document.data, r->document.len, &whole, NULL) < 0)
        return; /* it was read before */
    make_chunk(whole, streq(json_text_of(whole, "object", ""), "chat.completion"));
    json_t *usage = json_incref(json_object_get(whole, "usage"));
    json_object_del(whole, "usage");
    write_event(r, whole);
    if (usage && r->wants_usage) {
        json_put(whole, "choices", json_array());
        json_put(whole, "usage", json_incref(usage));
        write_event(r, whole);
    }
    json_decref(usage);
    r->done = true;
    http_event_write(&r->out, "[DONE]", 6);
    send_events(r);
}

static void answer_whole(struct relay *r)
{
    r->whole = true;
    if (r->form == RELAY_DOCUMENT && r->wants_stream) {
        stream_document(r);
    } else if (r->form == RELAY_DOCUMENT) {
        http_answer(r->x, 200, "application/json", r->document.data, r->document.len);
    } else if (!r->wants_stream) {
        completion_take(&r->completion, &r->out);
        http_answer(r->x, 200, "application/json", r->out.data, r->out.len);
    } else if (!r->done) {
        http_stream_end(r->stream); /* a server that sends no [DONE] */
    }
}

int relay_finish(struct relay *r, int code, const struct forward_result *f, const struct str *refusal, struct err *e)
{
    if (code < 0 && code == r->fault.code)
        err_set(e, code, "%s %s", f->model, r->fault.text);
    r->before_end(r->ctx);
    if (code < 0 && r->stream) {
        break_off(r, e);
        return 0;
    }
    if (code == ERR_BUSY)
        say_when(r->x, f->retry_after_ms);
    if (code < 0)
        return code;
    if (f->status / 100 != 2 && !r->done)
        answer_refused(r, f, refusal);
    else
        answer_whole(r);
    return 0;
}
