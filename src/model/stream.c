/* stream.c - reading a streamed answer.
 *
 * The form is told by the first byte that is not white space, not by the content type,
 * which servers and proxies get wrong: '<' begins a page, '{' a document, anything else
 * events.  Ollama's lines begin as a document does: who asked knows which it is.
 */
#include "model/stream.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"
#include "model/answer.h"

#include <stdlib.h>

enum {
    CHECK_EVERY = 1024,      /* bytes of answer between two looks for repetition */
    PAGE_MAX = 64 << 10,
    EVENT_OVERHEAD = 64 << 10, /* bytes of JSON around the text of one event */
    GRACE_MS = 1000,         /* for usage and [DONE] after the last chunk */
};

static bool on_event(const struct sse_event *event, void *ctx);

void stream_init(struct stream *s, enum stream_dialect dialect, const struct model_options *o, struct chat_answer *answer,
                 const char *key, void (*on_text)(const char *, size_t, void *), void *ctx)
{
    *s = (struct stream){ .dialect = dialect, .options = o, .answer = answer, .key = key, .document = STR_INIT,
                          .start_us = clock_steady_us() };
    answer->prompt_tokens = answer->cached_tokens = answer->completion_tokens = -1;
    reasoning_init(&s->reasoning, &answer->text, &answer->reasoning, on_text, ctx);
    /* JSON may need six bytes for one of text. */
    sse_init(&s->events, 6 * (size_t)o->max_answer_bytes + EVENT_OVERHEAD, on_event, s);
}

void stream_release(struct stream *s)
{
    sse_release(&s->events);
    reasoning_release(&s->reasoning);
    str_release(&s->document);
}

static int fail(struct stream *s, int code, const char *text)
{
    s->end = STREAM_FAILED;
    return err_set(&s->error, code, "%s", text);
}

/* ---- text ---- */

static void cut_repetition(struct stream *s)
{
    struct str *texts[] = { &s->answer->text, &s->answer->reasoning };
    for (size_t i = 0; i < 2 && s->end == STREAM_OPEN; i++) {
        long at = answer_repetition(texts[i]->data, texts[i]->len);
        if (at < 0)
            continue;
        str_truncate(texts[i], utf8_floor(texts[i]->data, (size_t)at));
        snprintf(s->answer->finish, sizeof s->answer->finish, "repetition");
        s->end = STREAM_REPEATING;
    }
}

/* After each piece: the size, and now and then whether it has begun to loop. */
static void check_text(struct stream *s)
{
    size_t len = s->answer->text.len + s->answer->reasoning.len;
    if (len > (size_t)s->options->max_answer_bytes) {
        char text[120];
        snprintf(text, sizeof text, "the answer is longer than the %lld bytes that are allowed",
                 (long long)s->options->max_answer_bytes);
        fail(s, ERR_LIMIT, text);
    } else if (len >= s->checked_len + CHECK_EVERY) {
        s->checked_len = len;
        cut_repetition(s);
    }
}

static void note_token(struct stream *s)
{
    s->last_token_us = clock_steady_us();
    if (!s->first_token_us)
        s->first_token_us = s->last_token_us;
}

static void take_text(struct stream *s, const json_t *value)
{
    if (!json_is_string(value) || !json_string_length(value))
        return;
    note_token(s);
    reasoning_feed(&s->reasoning, json_string_value(value), json_string_length(value));
    check_text(s);
}

static void take_reasoning(struct stream *s, const json_t *value)
{
    if (!json_is_string(value) || !json_string_length(value))
        return;
    note_token(s);
    str_add_bytes(&s->answer->reasoning, json_string_value(value), json_string_length(value));
    check_text(s);
}

/* ---- the members of a chunk ---- */

static void take_usage(struct chat_answer *a, const json_t *usage)
{
    if (!json_is_object(usage))
        return;
    a->prompt_tokens = json_int_of(usage, "prompt_tokens", a->prompt_tokens);
    a->completion_tokens = json_int_of(usage, "completion_tokens", a->completion_tokens);
    const json_t *details = json_object_get(usage, "prompt_tokens_details");
    a->cached_tokens = json_int_of(usage, "prompt_cache_hit_tokens", a->cached_tokens);
    a->cached_tokens = json_int_of(details, "cached_tokens", a->cached_tokens);
}

/* llama-server's own figures: where usage is silent, and for what came from its cache.
 * (Its older "tokens_cached" counts the answer's tokens too, hence the bound.) */
static void take_timings(struct chat_answer *a, const json_t *chunk)
{
    const json_t *t = json_object_get(chunk, "timings");
    int64_t cached = json_int_of(t, "cache_n", -1), read = json_int_of(t, "prompt_n", -1);
    if (a->prompt_tokens < 0 && read >= 0)
        a->prompt_tokens = read + (cached > 0 ? cached : 0);
    if (a->completion_tokens < 0)
        a->completion_tokens = json_int_of(t, "predicted_n", -1);
    if (a->cached_tokens < 0 && cached >= 0)
        a->cached_tokens = cached;
    int64_t total = json_int_of(chunk, "tokens_cached", -1);
    if (a->cached_tokens < 0 && total >= 0 && a->prompt_tokens >= 0)
        a->cached_tokens = total < a->prompt_tokens ? total : a->prompt_tokens;
}

/* A name or word, on one line and whole. */
static void copy_word(char *out, size_t size, const char *word)
{
    size_t len = utf8_floor(word, strnlen(word, size - 1));
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)word[i] < ' ' ? '?' : word[i];
    out[len] = '\0';
}

static void take_choice(struct stream *s, const json_t *choice)
{
    const json_t *said = json_object_get(choice, "delta");
    if (!json_is_object(said))
        said = json_object_get(choice, "message");
    take_reasoning(s, json_object_get(said, "reasoning_content")); /* llama-server, vLLM */
    if (s->end == STREAM_OPEN)
        take_reasoning(s, json_object_get(said, "reasoning")); /* Ollama, newer vLLM */
    if (s->end == STREAM_OPEN)
        take_text(s, json_object_get(said, "content"));
    const char *finish = json_text_of(choice, "finish_reason", NULL);
    if (finish && *finish && s->end == STREAM_OPEN) {
        copy_word(s->answer->finish, sizeof s->answer->finish, finish);
        s->complete_us = clock_steady_us();
    }
}

static void take_chunk(struct stream *s, const json_t *chunk)
{
    take_usage(s->answer, json_object_get(chunk, "usage"));
    take_timings(s->answer, chunk);
    const json_t *choices = json_object_get(chunk, "choices");
    const json_t *choice = json_array_get(choices, 0);
    if (choice && json_int_of(choice, "index", 0) == 0)
        take_choice(s, choice);
}

/* One of Ollama's lines.  What came from its cache it does not tell. */
static void take_frame(struct stream *s, const json_t *frame)
{
    const json_t *said = json_object_get(frame, "message");
    take_reasoning(s, json_object_get(said, "thinking"));
    if (s->end == STREAM_OPEN)
        take_text(s, json_object_get(said, "content"));
    if (s->end != STREAM_OPEN || !json_bool_of(frame, "done", false))
        return;
    copy_word(s->answer->finish, sizeof s->answer->finish, json_text_of(frame, "done_reason", "stop"));
    s->answer->prompt_tokens = json_int_of(frame, "prompt_eval_count", -1);
    s->answer->completion_tokens = json_int_of(frame, "eval_count", -1);
    s->load_us = json_int_of(frame, "load_duration", 0) / 1000;
    s->complete_us = clock_steady_us();
    s->done = true;
}

static void take_object(struct stream *s, const json_t *object)
{
    const json_t *error = json_object_get(object, "error");
    if (error && !json_is_null(error)) {
        s->fault = fault_of_event(error, s->key);
        s->end = STREAM_FAULT;
        return;
    }
    const char *model = json_text_of(object, "model", NULL);
    if (model)
        copy_word(s->answer->model, sizeof s->answer->model, model);
    if (s->dialect == DIALECT_OLLAMA)
        take_frame(s, object);
    else
        take_chunk(s, object);
}

bool stream_take(struct stream *s, const json_t *chunk)
{
    if (s->end == STREAM_OPEN)
        take_object(s, chunk);
    return s->end == STREAM_OPEN;
}

/* Bytes that are not UTF-8 become U+FFFD; NULL: not a JSON object. */
static json_t *parse_object(const char *text, size_t len)
{
    json_t *value;
    if (utf8_valid(text, len, NULL)) {
        value = json_loadb(text, len, 0, NULL);
    } else {
        char *fixed = xmalloc(3 * len + 1);
        value = json_loadb(fixed, utf8_repair(fixed, text, len), 0, NULL);
        free(fixed);
    }
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

static void take_json(struct stream *s, const char *text, size_t len)
{
    json_t *object = parse_object(text, len);
    if (object)
        take_object(s, object);
    else
        fail(s, ERR_FAILED, "the answer contains an event that is not JSON");
    json_decref(object);
}

static bool on_event(const struct sse_event *event, void *ctx)
{
    struct stream *s = ctx;
    if (event->len == 6 && memcmp(event->data, "[DONE]", 6) == 0) {
        s->done = true;
        if (!s->complete_us)
            s->complete_us = clock_steady_us();
    } else if (event->len && !s->done) {
        take_json(s, event->data, event->len);
    }
    return s->end == STREAM_OPEN;
}

/* ---- bytes ---- */

static size_t skip_blank(const char *bytes, size_t len)
{
    size_t i = 0;
    while (i < len && strchr(" \t\r\n", bytes[i]) && bytes[i])
        i++;
    return i;
}

static enum stream_form form_of(const struct stream *s, char first)
{
    if (first == '<')
        return FORM_PAGE;
    if (s->dialect == DIALECT_OLLAMA)
        return FORM_LINES;
    return first == '{' ? FORM_DOCUMENT : FORM_EVENTS;
}

static void take_line(struct stream *s)
{
    if (skip_blank(s->document.data, s->document.len) < s->document.len && !s->done)
        take_json(s, s->document.data, s->document.len);
    str_clear(&s->document);
}

static bool feed_lines(struct stream *s, const char *bytes, size_t len)
{
    while (len && s->end == STREAM_OPEN) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end ? (size_t)(end - bytes) : len;
        if (s->document.len + n > s->events.max_event) {
            fail(s, ERR_LIMIT, "the answer contains a line that is larger than allowed");
            break;
        }
        str_add_bytes(&s->document, bytes, n);
        if (end)
            take_line(s);
        n += end != NULL;
        bytes += n;
        len -= n;
    }
    return s->end == STREAM_OPEN;
}

bool stream_feed(struct stream *s, const char *bytes, size_t len)
{
    if (s->end != STREAM_OPEN)
        return false;
    if (s->form == FORM_UNKNOWN) {
        size_t blank = skip_blank(bytes, len);
        bytes += blank;
        len -= blank;
        if (!len)
            return true;
        s->form = form_of(s, *bytes);
    }
    if (s->form == FORM_LINES)
        return feed_lines(s, bytes, len);
    if (s->form == FORM_EVENTS) {
        if (sse_feed(&s->events, bytes, len) == SSE_TOO_LARGE)
            fail(s, ERR_LIMIT, "the answer contains an event that is larger than allowed");
        return s->end == STREAM_OPEN;
    }
    str_add_bytes(&s->document, bytes, len);
    if (s->form == FORM_PAGE)
        return s->document.len < PAGE_MAX;
    if (s->document.len > s->events.max_event)
        fail(s, ERR_LIMIT, "the answer is larger than allowed");
    return s->end == STREAM_OPEN;
}

static int64_t since_ms(int64_t then_us, int64_t now_us)
{
    return (now_us - then_us) / 1000;
}

bool stream_tick(struct stream *s)
{
    int64_t now = clock_steady_us();
    const struct model_options *o = s->options;
    char text[120];
    if (s->complete_us)
        return since_ms(s->complete_us, now) < (s->done ? GRACE_MS / 10 : GRACE_MS);
    if (!s->first_token_us && o->first_token_ms &&
        since_ms(s->start_us, now) >= o->first_token_ms) {
        snprintf(text, sizeof text, "no token came within %.3g s", (double)o->first_token_ms / 1000);
        fail(s, ERR_TIMEOUT, text);
    } else if (s->first_token_us && o->stall_ms && since_ms(s->last_token_us, now) >= o->stall_ms) {
        /* ERR_FAILED: it had begun, so it is worth another try. */
        snprintf(text, sizeof text, "the answer stopped in the middle for %.3g s",
                 (double)o->stall_ms / 1000);
        fail(s, ERR_FAILED, text);
    }
    return s->end == STREAM_OPEN;
}

static void finish_page(struct stream *s)
{
    char words[120], text[400];
    fault_first_words(s->document.data, s->document.len, words, sizeof words);
    snprintf(text, sizeof text, "it sent a web page (\"%s\") instead of an answer; is the address right?%s", words,
             s->dialect == DIALECT_OPENAI ? " It usually ends in /v1" : "");
    fail(s, ERR_INVALID, text);
}

void stream_finish(struct stream *s)
{
    if (s->end == STREAM_OPEN && s->form == FORM_EVENTS)
        sse_end(&s->events);
    if (s->end == STREAM_OPEN && s->form == FORM_DOCUMENT)
        take_json(s, s->document.data, s->document.len);
    if (s->end == STREAM_OPEN && s->form == FORM_LINES)
        take_line(s);
    if (s->end == STREAM_OPEN && s->form == FORM_PAGE)
        finish_page(s);
    if (s->end != STREAM_OPEN || !s->complete_us)
        return;
    reasoning_end(&s->reasoning);
    if (!s->answer->finish[0])
        snprintf(s->answer->finish, sizeof s->answer->finish, "stop");
    s->end = STREAM_COMPLETE;
}
