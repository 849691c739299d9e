/* adapter_check.c - the conformance checks of adapters.
 *
 * Each check asks something and judges what came, as a caller would see it; what breaks the protocol
 * ends the adapter, which is that check's finding, and the next check gets a new one.
 */
#include "model/adapter_check.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "model/adapter_shelf.h"
#include "model/backend.h"
#include "model/forward_chat.h"

enum { PING_MS = 5000, STOP_MS = 3000, MOST_LATE = 2, SHORT_TOKENS = 64, WAIT_STEP_MS = 50, MAX_PROMPT = 4 << 20, LOUD_BYTES = 100000 };

struct checking {
    const struct adapter_checker *k;
    struct adapter *adapter; /* NULL: it does not run */
    int wrong, late; /* late: requests that did not end */
    struct err e;
};

__attribute__((format(printf, 5, 6)))
static void report(struct checking *c, enum check_verdict verdict, const char *what, const char *remedy, const char *fmt, ...)
{
    STR_LOCAL(found);
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(&found, fmt, ap);
    va_end(ap);
    c->wrong += verdict == CHECK_WRONG;
    c->k->report(verdict, what, found.data, verdict == CHECK_RIGHT ? "" : remedy, c->k->ctx);
}

static bool is_stopped(const struct checking *c)
{
    return is_cancelled(c->k->cancel);
}

static bool can(const struct checking *c, const char *what)
{
    return texts_has(&adapter_said_hello(c->adapter)->can, what);
}

/* ---- running it ---- */

/* Waits for hello in steps; 0, or why not. */
static int await_hello(struct checking *c)
{
    int64_t deadline = clock_steady_ms() + c->k->hello_ms;
    bool ready = false;
    int r = 0;
    while (r == 0 && !ready && !is_stopped(c)) {
        r = adapter_await(c->adapter, WAIT_STEP_MS, &ready, &c->e);
        if (r == 0 && !ready && clock_steady_ms() >= deadline)
            r = err_set(&c->e, ERR_TIMEOUT, "it did not say hello within %.3g s", (double)c->k->hello_ms / 1000);
    }
    return r < 0 ? r : ready ? 0 : err_set(&c->e, ERR_CANCELLED, "stopped");
}

static void end_it(struct checking *c)
{
    adapter_free(c->adapter);
    c->adapter = NULL;
}

static int run_it(struct checking *c)
{
    if (c->adapter && adapter_lives(c->adapter))
        return 0;
    end_it(c);
    int r = adapter_start(&c->adapter, &c->k->adapter, &c->e);
    if (r == 0)
        r = await_hello(c);
    if (r < 0)
        end_it(c);
    return r;
}

/* ---- asking ---- */

struct answer {
    struct str text, shown; /* shown: an error's message */
    const char *finish;     /* of done */
    bool is_error, is_late; /* late: it did not end in time */
    enum adapter_fault fault;
    int64_t prompt_tokens, completion_tokens;
    size_t pieces, vectors, dimensions;
    bool vectors_differ;
};

static void answer_release(struct answer *a)
{
    str_release(&a->text);
    str_release(&a->shown);
}

struct question {
    const struct checking *c;
    const char *prompt;
    int64_t max_tokens;
    json_t *schema;
    const char *const *texts; /* for vectors */
    size_t text_count;
};

static void write_question(struct str *out, int64_t id, void *ctx)
{
    ARENA_LOCAL(a);
    const struct question *q = ctx;
    if (q->texts) {
        adapter_write_embed(out, id, q->texts, q->text_count);
        return;
    }
    struct chat_message messages[] = { { CHAT_SYSTEM, "You are being checked." }, { CHAT_USER, q->prompt } };
    struct chat_request chat = { .messages = messages, .message_count = 2, .max_tokens = q->max_tokens, .seed = 1 };
    struct chat_wish wish;
    chat_wish_of(&a, &chat, &wish);
    wish.schema = q->schema;
    adapter_write_chat(out, id, &wish, 1, 0, q->schema != NULL);
}

static void take_vectors(const json_t *vectors, struct answer *a)
{
    size_t i;
    const json_t *list;
    json_array_foreach(vectors, i, list) {
        size_t n = json_array_size(list);
        a->vectors_differ = a->vectors_differ || !n || (a->vectors && n != a->dimensions);
        a->dimensions = n;
        a->vectors++;
    }
}

/* True: that was its last line. */
static bool take_line(const struct adapter_line *line, struct answer *a)
{
    switch (line->type) {
    case ADAPTER_TEXT:
        str_add(&a->text, line->text);
        a->pieces++;
        return false;
    case ADAPTER_VECTORS:
        take_vectors(line->vectors, a);
        return false;
    case ADAPTER_DONE:
        a->finish = streq(line->finish, "length") ? "length" : streq(line->finish, "stop") ? "stop" : "cancelled";
        a->prompt_tokens = line->prompt_tokens;
        a->completion_tokens = line->completion_tokens;
        return true;
    case ADAPTER_ERROR:
        a->is_error = true;
        a->fault = line->fault;
        str_add(&a->shown, line->text);
        return true;
    default:
        return false;
    }
}

static int read_answer(struct checking *c, struct adapter_call *call, struct answer *a)
{
    int64_t deadline = clock_steady_ms() + c->k->answer_ms;
    const struct adapter_line *line;
    for (;;) { /* ends with the deadline */
        int r = adapter_call_next(call, WAIT_STEP_MS, &line, &c->e);
        if (r == 0 && take_line(line, a))
            return 0;
        if (is_stopped(c))
            return err_set(&c->e, ERR_CANCELLED, "stopped");
        if (r == ERR_TIMEOUT && clock_steady_ms() >= deadline) {
            a->is_late = true;
            c->late++;
            return 0;
        }
        if (r < 0 && r != ERR_TIMEOUT)
            return r;
    }
}

static int ask(struct checking *c, struct question q, struct answer *ret)
{
    struct adapter_call *call = NULL;
    *ret = (struct answer){ .text = STR_INIT, .shown = STR_INIT, .finish = "", .prompt_tokens = -1, .completion_tokens = -1 };
    q.c = c;
    int r = adapter_call_begin(c->adapter, write_question, &q, c->k->answer_ms, c->k->cancel, &call, &c->e);
    if (r == 0)
        r = read_answer(c, call, ret);
    adapter_call_end(call);
    return r;
}

/* What is wrong whatever was asked: reported, and true. */
static bool is_no_answer(struct checking *c, const char *what, int r, const struct answer *a)
{
    if (r == ERR_CANCELLED)
        return true;
    if (r < 0)
        report(c, CHECK_WRONG, what, "see docs/adapters.md for the lines and their members", "%s", c->e.text);
    else if (a->is_late)
        report(c, CHECK_WRONG, what, "end every request with a line of type \"done\" or \"error\"", "no end came within %.3g s",
               (double)c->k->answer_ms / 1000);
    else if (a->is_error)
        report(c, CHECK_WRONG, what, "answer it", "it was refused: %.300s", a->shown.data);
    return r < 0 || a->is_late || a->is_error;
}

/* ---- the checks ---- */

static void check_ping(struct checking *c)
{
    if (adapter_ping(c->adapter, PING_MS, &c->e) == 0)
        report(c, CHECK_RIGHT, "a ping is answered", "", "%s", "");
    else
        report(c, CHECK_WRONG, "a ping is answered", "answer {\"type\":\"ping\",\"id\":N} with {\"type\":\"pong\",\"id\":N}", "%s", c->e.text);
}

static void check_chat(struct checking *c)
{
    static const char what[] = "a chat is answered";
    struct answer a;
    int r = ask(c, (struct question){ .prompt = "Say hello.", .max_tokens = SHORT_TOKENS }, &a);
    if (is_no_answer(c, what, r, &a))
        ;
    else if (!a.text.len)
        report(c, CHECK_WRONG, what, "say the answer in lines of type \"text\" before \"done\"", "the answer is empty");
    else
        report(c, CHECK_RIGHT, what, "", "%zu pieces, \"%.60s\"", a.pieces, a.text.data);
    if (r == 0 && !a.is_error && !a.is_late && (a.prompt_tokens < 0 || a.completion_tokens < 0))
        report(c, CHECK_NOTE, "tokens are told", "put prompt_tokens and completion_tokens into \"done\", if the model knows them",
               "budgets and figures are estimated without them");
    answer_release(&a);
}

static void check_characters(struct checking *c)
{
    static const char what[] = "texts of any characters come through";
    struct answer a;
    int r = ask(c, (struct question){ .prompt = "Repeat: \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80 \"quoted\" \\ back\tslash\nand a line",
                                    .max_tokens = SHORT_TOKENS }, &a);
    if (!is_no_answer(c, what, r, &a))
        report(c, CHECK_RIGHT, what, "", "%s", "");
    answer_release(&a);
}

static void check_max_tokens(struct checking *c)
{
    static const char what[] = "max_tokens is kept";
    struct answer a;
    int r = ask(c, (struct question){ .prompt = "Count from one to a hundred.", .max_tokens = 2 }, &a);
    if (is_no_answer(c, what, r, &a))
        ;
    else if (a.completion_tokens > 2 || a.text.len > 200)
        report(c, CHECK_WRONG, what, "end the answer after max_tokens tokens, with finish \"length\"",
               "two tokens were allowed, and %lld came", (long long)a.completion_tokens);
    else if (!streq(a.finish, "length"))
        report(c, CHECK_NOTE, what, "finish \"length\" tells that an answer was cut", "it finished with \"%s\"", a.finish);
    else
        report(c, CHECK_RIGHT, what, "", "%s", "");
    answer_release(&a);
}

static void check_context(struct checking *c)
{
    static const char what[] = "a prompt that is too long is refused";
    static const char remedy[] = "answer with {\"type\":\"error\",\"id\":N,\"kind\":\"context\",\"message\":...}, and cut nothing";
    STR_LOCAL(prompt);
    struct answer a;
    int64_t words = adapter_said_hello(c->adapter)->context * 2;
    if (words * 6 > MAX_PROMPT) {
        report(c, CHECK_NOTE, what, "", "not tried: a context of %lld tokens is too large for that", (long long)words / 2);
        return;
    }
    for (int64_t i = 0; i < words; i++)
        str_addf(&prompt, "w%lld ", (long long)(i % 1000));
    int r = ask(c, (struct question){ .prompt = prompt.data, .max_tokens = 1 }, &a);
    if (r < 0 || a.is_late)
        is_no_answer(c, what, r, &a);
    else if (!a.is_error)
        report(c, CHECK_WRONG, what, remedy, "%lld words were answered, with a context of %lld tokens", (long long)words, (long long)words / 2);
    else if (a.fault != ADAPTER_CONTEXT)
        report(c, CHECK_WRONG, what, remedy, "the error is of another kind: %.200s", a.shown.data);
    else
        report(c, CHECK_RIGHT, what, "", "%s", "");
    answer_release(&a);
}

/* Cancelled at once: whatever comes, it has to end. */
static void check_cancel(struct checking *c)
{
    static const char what[] = "a request can be cancelled";
    struct adapter_call *call = NULL;
    struct question q = { .c = c, .prompt = "Write a very long story." };
    int r = adapter_call_begin(c->adapter, write_question, &q, c->k->answer_ms, c->k->cancel, &call, &c->e);
    adapter_call_end(call);
    struct answer a = { .text = STR_INIT, .shown = STR_INIT };
    if (r == 0) /* begins when there is a place, or the adapter was ended for its not letting go */
        r = ask(c, (struct question){ .prompt = "Say hello.", .max_tokens = SHORT_TOKENS }, &a);
    if (!is_no_answer(c, what, r, &a))
        report(c, CHECK_RIGHT, what, "", "%s", "");
    answer_release(&a);
}

static void check_together(struct checking *c)
{
    static const char what[] = "several requests at once are told apart";
    enum { MOST = 4 };
    struct adapter_call *calls[MOST] = { NULL };
    struct answer answers[MOST];
    int64_t slots = adapter_said_hello(c->adapter)->slots, n = slots < MOST ? slots : MOST;
    int r = 0, bad = 0;
    if (n < 2)
        return;
    struct question q = { .c = c, .prompt = "Say hello.", .max_tokens = SHORT_TOKENS };
    for (int64_t i = 0; r == 0 && i < n; i++)
        r = adapter_call_begin(c->adapter, write_question, &q, c->k->answer_ms, c->k->cancel, &calls[i], &c->e);
    for (int64_t i = 0; i < n; i++) {
        answers[i] = (struct answer){ .text = STR_INIT, .shown = STR_INIT };
        if (r == 0)
            r = read_answer(c, calls[i], &answers[i]);
        bad += answers[i].is_late || answers[i].is_error;
        adapter_call_end(calls[i]);
        answer_release(&answers[i]);
    }
    if (r < 0 && r != ERR_CANCELLED)
        report(c, CHECK_WRONG, what, "each line carries the id of its own request", "%s", c->e.text);
    else if (r == 0 && bad)
        report(c, CHECK_WRONG, what, "say a smaller number of slots in hello", "of %lld requests at once %d were not answered", (long long)n, bad);
    else if (r == 0)
        report(c, CHECK_RIGHT, what, "", "%lld at once", (long long)n);
}

static void check_schema(struct checking *c)
{
    static const char what[] = "an answer keeps to its schema";
    static const char text[] = "{\"type\":\"object\",\"properties\":{\"word\":{\"type\":\"string\"}},\"required\":[\"word\"],\"additionalProperties\":false}";
    ARENA_LOCAL(arena);
    json_t *schema, *value = NULL;
    struct answer a;
    json_parse(&arena, text, strlen(text), &schema, NULL);
    int r = ask(c, (struct question){ .prompt = "Give a word, as JSON: {\"word\": ...}", .schema = schema, .max_tokens = 100 }, &a);
    if (!is_no_answer(c, what, r, &a)) {
        json_parse(&arena, a.text.data, a.text.len, &value, NULL);
        if (json_object_size(value) == 1 && json_is_string(json_object_get(value, "word")))
            report(c, CHECK_RIGHT, what, "", "%s", "");
        else
            report(c, CHECK_WRONG, what, "take \"schema\" out of what it can, if the model cannot be held to one", "it answered %.200s", a.text.data);
    }
    answer_release(&a);
}

static void check_embed(struct checking *c)
{
    static const char what[] = "texts become vectors";
    static const char *const texts[] = { "one text", "another \xC3\xA4", "a third" };
    struct answer a;
    int r = ask(c, (struct question){ .texts = texts, .text_count = 3 }, &a);
    if (is_no_answer(c, what, r, &a))
        ;
    else if (a.vectors != 3)
        report(c, CHECK_WRONG, what, "one vector for each text, in their order, before \"done\"", "%zu vectors came for 3 texts", a.vectors);
    else if (a.vectors_differ)
        report(c, CHECK_WRONG, what, "all vectors have the same length", "they are not of one length");
    else
        report(c, CHECK_RIGHT, what, "", "%zu dimensions", a.dimensions);
    answer_release(&a);
}

/* A line of a type that does not exist yet, before a ping. */
static void check_unknown(struct checking *c)
{
    static const char what[] = "lines of types it does not know are let pass";
    adapter_send(c->adapter, "{\"type\":\"of_a_later_version\"}\n");
    if (adapter_ping(c->adapter, PING_MS, &c->e) == 0)
        report(c, CHECK_RIGHT, what, "", "%s", "");
    else
        report(c, CHECK_WRONG, what, "read on when a line's type is unknown: later versions may say more", "%s", c->e.text);
}

static void check_quiet(struct checking *c)
{
    STR_LOCAL(last);
    int64_t bytes = adapter_complaints(c->adapter, &last);
    if (bytes > LOUD_BYTES)
        report(c, CHECK_NOTE, "standard error is for what matters", "say less: only the last words are kept",
               "%lld bytes%.200s", (long long)bytes, last.data);
}

static void check_end(struct checking *c)
{
    static const char what[] = "it ends when its input does";
    bool orderly;
    adapter_stop(c->adapter, STOP_MS, &orderly);
    if (orderly)
        report(c, CHECK_RIGHT, what, "", "%s", "");
    else if (adapter_why(c->adapter, &c->e) < 0)
        report(c, CHECK_WRONG, what, "return from reading standard input at its end, within three seconds, and exit with status 0", "%s", c->e.text);
}

static const struct {
    void (*run)(struct checking *c);
    const char *needs; /* what it says it can; NULL: nothing */
} checks[] = {
    { check_ping, NULL }, { check_chat, "chat" }, { check_characters, "chat" }, { check_max_tokens, "chat" }, { check_context, "chat" },
    { check_cancel, "chat" }, { check_together, "chat" }, { check_schema, "schema" }, { check_embed, "embed" }, { check_unknown, NULL },
    { check_quiet, NULL }, { check_end, NULL },
};

static bool check_hello(struct checking *c)
{
    static const char what[] = "it starts and says hello";
    int r = run_it(c);
    if (r < 0) {
        if (r != ERR_CANCELLED)
            report(c, CHECK_WRONG, what, "its first line is {\"type\":\"hello\",\"protocol\":1,\"name\":...,\"context\":...,\"can\":[\"chat\"]}", "%s",
                   c->e.text);
        return false;
    }
    ARENA_LOCAL(a);
    const struct adapter_hello *h = adapter_said_hello(c->adapter);
    report(c, CHECK_RIGHT, what, "", "%s, a context of %lld tokens, %lld at once; can %s", h->name, (long long)h->context, (long long)h->slots,
           texts_join(&h->can, &a, ", ", 0));
    return true;
}

int adapter_check(const struct adapter_checker *k, struct err *e)
{
    struct checking c = { .k = k };
    if (adapter_folder_check(k->adapter.folder, &c.e) < 0) {
        report(&c, CHECK_WRONG, "the folder can be taken in", "", "%s", c.e.text);
        return c.wrong;
    }
    report(&c, CHECK_RIGHT, "the folder can be taken in", "", "%s", "");
    bool runs = check_hello(&c);
    for (size_t i = 0; runs && !is_stopped(&c) && i < sizeof checks / sizeof *checks; i++) {
        if (c.late == MOST_LATE) {
            report(&c, CHECK_NOTE, "the other checks", "", "not tried, because it does not answer");
            break;
        }
        if (run_it(&c) < 0) {
            report(&c, CHECK_WRONG, "it starts again", "it has to start every time", "%s", c.e.text);
            break;
        }
        if (!checks[i].needs || can(&c, checks[i].needs))
            checks[i].run(&c);
    }
    end_it(&c);
    return is_stopped(&c) ? err_set(e, ERR_CANCELLED, "stopped") : c.wrong;
}
