/* ask.c - the way from a conversation to a stored answer. */
#include "team/ask.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/spent.h"
#include "base/utf8.h"
#include "model/answer.h"
#include "team/prompt.h"

enum { MAX_ANSWER_TOKENS = 4096 };

/* What is to be sent, and where its answer is or will be. */
struct request {
    struct chat_message *messages;
    size_t count;
    struct str text; /* the prompt as it is stored */
    const char *digest;
    const char *of, *id; /* the run's */
    const char *model;   /* who is asked, as it is described */
    int64_t occurrence;
    struct run run;
    int64_t version; /* of its document */
    bool answered; /* `run` was in the store: nothing is sent */
};

/* ---- the call and its run ---- */

static struct model *model_for(const struct step *s, const struct question *q)
{
    const struct team_options *o = &s->team->options;
    return q->heavy && o->heavy[q->role] ? o->heavy[q->role] : o->models[q->role];
}

/* The run that a crash left behind: of this task, with this very prompt.  (A prompt only ever
 * grows within a task.)  Otherwise the next occurrence's number, after all there are: a task
 * that is done again with another prompt, because Tandem or a template changed, does not
 * stumble over its own. */
static int find_run(struct step *s, const char *of, struct request *q, struct err *e)
{
    struct store_found found;
    struct store_query query = { .where = { { "of", of, 0 } }, .where_count = 1 };
    int r = store_find(s->team->store, s->arena, &run_type, &query, &found, e);
    if (r < 0)
        return r;
    const struct run *runs = found.docs;
    q->answered = false;
    q->occurrence = (int64_t)found.count + 1;
    q->version = 1;
    for (size_t i = 0; i < found.count; i++) {
        if (streq(runs[i].task, s->task_id) && streq(runs[i].prompt, q->digest)) {
            q->run = runs[i];
            q->version = found.versions[i];
            q->answered = true;
            q->occurrence = runs[i].occurrence;
        }
    }
    return 0;
}

struct streaming {
    struct step *step;
    struct pulse pulse;
};

static void on_text(const char *text, size_t len, void *ctx)
{
    const struct streaming *st = ctx;
    const struct team_watcher *w = &st->step->team->options.watcher;
    if (w->text)
        w->text(&st->pulse, text, len, w->ctx);
}

static int call_model(struct step *s, const struct question *q, struct model *m, const struct request *r,
                      int64_t max_tokens, struct chat_answer *answer, struct err *e)
{
    struct streaming st = { s, { s->project_id, s->task.ticket, role_names[q->role], q->step, r->occurrence } };
    struct chat_request request = {
        .messages = r->messages, .message_count = r->count, .schema = q->schema,
        .max_tokens = max_tokens, .temperature = q->temperature, .seed = r->occurrence,
        .key = { s->task.ticket, role_names[q->role], q->step, r->occurrence },
        .conversation = q->conversation->id, .cancel = s->cancel, .on_text = on_text, .ctx = &st,
    };
    int64_t start_us = clock_steady_us();
    int code = model_chat(m, &request, answer, e);
    spent_since(SPENT_MODEL, start_us);
    return code;
}

/* Own commit: the answer is safe before anything is done with it. */
static int store_run(struct step *s, const struct conversation_use *c, struct request *r, const struct chat_answer *answer,
                     struct err *e)
{
    struct batch *b = batch_new();
    struct run *run = &r->run;
    if (*c->doc.prompt) {
        struct digest before;
        snprintf(before.hex, sizeof before.hex, "%s", c->doc.prompt);
        batch_blob_after(b, &before, r->text.data, r->text.len);
    } else {
        batch_blob(b, r->text.data, r->text.len);
    }
    run->answer = arena_strdup(s->arena, batch_blob(b, answer->text.data, answer->text.len).hex);
    if (answer->reasoning.len)
        run->reasoning = arena_strdup(s->arena, batch_blob(b, answer->reasoning.data, answer->reasoning.len).hex);
    batch_insert(b, &run_type, r->id, run);
    batch_event(b, &(struct event){ .project = s->project_id, .ticket = s->task.ticket, .actor = run->role,
                                    .kind = "model.answered", .on_behalf = s->task_id });
    failpoint("ask.answered");
    int code = store_commit(s->team->store, b, NULL, e);
    failpoint("ask.stored");
    batch_free(b);
    return code;
}

/* Whether the stored prompt continues the previous one; masking and fresh contexts break it. */
static bool continues(struct step *s, const struct conversation_use *c, const struct str *prompt)
{
    if (!*c->doc.prompt)
        return false;
    const char *before;
    size_t len;
    if (store_blob(s->team->store, s->arena, c->doc.prompt, &before, &len, NULL) < 0)
        return false;
    return len <= prompt->len && memcmp(before, prompt->data, len) == 0;
}

static void count_use(struct step *s, const struct run *run)
{
    if (!s->ticket_id)
        return;
    struct ticket *t = &s->ticket;
    t->prompt_tokens += run->prompt_tokens > 0 ? run->prompt_tokens : 0;
    t->cached_tokens += run->cached_tokens > 0 ? run->cached_tokens : 0;
    t->completion_tokens += run->completion_tokens > 0 ? run->completion_tokens : 0;
    t->model_us += run->total_us;
    s->ticket_changed = true;
}

/* ---- one question ---- */

static int make_request(struct step *s, const struct question *q, const struct conversation_room *room,
                        struct request *r, struct err *e)
{
    int code = conversation_messages(s->arena, q->conversation, room, q->can_begin_anew, &r->messages, &r->count, e);
    if (code < 0)
        return code;
    str_clear(&r->text);
    messages_write(&r->text, r->messages, r->count);
    r->digest = arena_strdup(s->arena, digest_of(r->text.data, r->text.len).hex);
    const char *about = s->ticket_id ? s->ticket_id : s->functionality_id ? s->functionality_id : s->project_id;
    r->of = arena_printf(s->arena, "%s/%s/%s", about, role_names[q->role], q->step);
    code = find_run(s, r->of, r, e);
    r->id = arena_printf(s->arena, "%s/%lld", r->of, (long long)r->occurrence);
    return code;
}

/* A model that is not there, or does not let us in, is no fault of the work: the next try would
 * only hear the same, and when a server that is away comes back no number of tries tells. */
static int no_model(struct step *s, int code, struct err *e)
{
    if (code != ERR_NOT_FOUND && code != ERR_REFUSED && code != ERR_UNAVAILABLE)
        return code;
    return err_set(e, ERR_SETUP, "%.800s. Nothing is lost: `tandem resume %s%s` goes on from here",
                   arena_strdup(s->arena, e->text), s->project_id, code == ERR_UNAVAILABLE ? "" : " --model URL#NAME");
}

static int room_of(struct step *s, struct model *m, struct request *q, struct conversation_room *ret, struct err *e)
{
    const char *name;
    int64_t context = 0, answer = s->team->options.limits.answer_tokens;
    int r = model_describe(m, s->cancel, &name, &context, e);
    if (r < 0)
        return no_model(s, r == ERR_INVALID ? ERR_REFUSED : r, e);
    if (!answer)
        answer = context / 4 < MAX_ANSWER_TOKENS ? context / 4 : MAX_ANSWER_TOKENS;
    q->model = arena_strdup(s->arena, name);
    *ret = (struct conversation_room){ context, answer };
    return 0;
}

/* What is known of a run before the model has answered. */
static struct run run_begun(struct step *s, const struct question *q, const struct request *r)
{
    return (struct run){
        .project = s->project_id, .ticket = s->task.ticket, .kind = RUN_MODEL,
        .role = role_names[q->role], .step = q->step, .of = r->of, .task = s->task_id,
        .occurrence = r->occurrence, .prompt = r->digest, .reasoning = "", .results = "", .verdict = "",
        .escalation = model_for(s, q) != s->team->options.models[q->role],
        .started_ms = clock_wall_ms(),
    };
}

/* The rest, but for the texts: they are blobs (store_run). */
static void run_ended(struct step *s, const struct chat_answer *answer, struct run *run)
{
    run->model = arena_strdup(s->arena, answer->model);
    run->version = answer->version;
    run->outcome = streq(answer->finish, "stop") ? "answered" : arena_printf(s->arena, "cut: %s", answer->finish);
    run->prompt_tokens = answer->prompt_tokens;
    run->cached_tokens = answer->cached_tokens;
    run->completion_tokens = answer->completion_tokens;
    run->queue_us = answer->queue_us;
    run->first_token_us = answer->first_token_us;
    run->total_us = answer->total_us;
    run->retries = answer->retries;
}

/* A call without an answer leaves no run, but an event. */
static void tell_failed(struct step *s, const struct request *r, const struct err *why)
{
    struct batch *b = batch_new();
    json_t *payload = json_keep(s->arena, json_object());
    json_put_text(payload, "model", r->model);
    json_put_text(payload, "step", r->run.step);
    json_put_int(payload, "escalation", r->run.escalation);
    json_put_text(payload, "why", why->text);
    json_put_int(payload, "total_us", (clock_wall_ms() - r->run.started_ms) * 1000);
    batch_event(b, &(struct event){ .project = s->project_id, .ticket = s->task.ticket, .actor = r->run.role,
                                    .kind = "model.failed", .on_behalf = s->task_id, .payload_json = payload });
    store_commit(s->team->store, b, NULL, NULL); /* whatever ails the store is told by the next commit */
    batch_free(b);
}

static int send(struct step *s, const struct question *q, struct model *m, struct request *r, int64_t answer_tokens,
                struct err *e)
{
    struct chat_answer answer = { .text = STR_INIT, .reasoning = STR_INIT };
    r->run = run_begun(s, q, r);
    int code = call_model(s, q, m, r, answer_tokens, &answer, e);
    if (code < 0) {
        if (code != ERR_CANCELLED)
            tell_failed(s, r, e);
        err_prefix(e, "%s, %s", role_names[q->role], q->step);
        code = no_model(s, code, e);
    } else {
        run_ended(s, &answer, &r->run);
        code = store_run(s, q->conversation, r, &answer, e);
    }
    chat_answer_release(&answer);
    return code;
}

/* The answer that is stored already, which needs no server; else the model's. */
static int answer_to(struct step *s, const struct question *q, struct model *m, struct request *r, struct err *e)
{
    struct conversation_room room;
    int code = make_request(s, q, &conversation_room_for_all, r, e);
    if (code == 0 && !r->answered)
        code = room_of(s, m, r, &room, e);
    if (code == 0 && !r->answered)
        code = make_request(s, q, &room, r, e);
    if (code < 0)
        return code;
    struct conversation_use *c = q->conversation;
    if (!continues(s, c, &r->text))
        c->doc.prompt = "";
    return r->answered ? 0 : send(s, q, m, r, room.answer_tokens, e);
}

/* What was answered becomes a turn of the conversation, and what it cost is counted. */
static void take_answer(struct step *s, const struct question *q, const struct request *r, const struct reply *reply)
{
    count_use(s, &r->run);
    s->answered_by = *r->run.model ? r->run.model : NULL;
    s->unjudged = (struct unjudged){ *r->run.verdict ? NULL : r->id, r->run, r->version };
    q->conversation->doc.prompt = r->digest;
    conversation_add(s, q->conversation, TURN_ANSWER, reply->len ? reply->text : "(no answer)");
}

int ask(struct step *s, const struct question *q, struct reply *ret, struct err *e)
{
    struct model *m = model_for(s, q);
    if (!m)
        return err_set(e, ERR_SETUP,
                       "no model is set for the role %s: give --model %s=URL#name (or --model URL#name for all roles)",
                       role_names[q->role], role_names[q->role]);
    struct request request = { .text = STR_INIT };
    struct reply reply = { 0 };
    int r = answer_to(s, q, m, &request, e);
    if (r == 0)
        r = store_blob(s->team->store, s->arena, request.run.answer, &reply.text, &reply.len, e);
    str_release(&request.text);
    if (r < 0)
        return r;
    reply.run_id = request.id;
    reply.cut = !streq(request.run.outcome, "answered");
    take_answer(s, q, &request, &reply);
    *ret = reply;
    return 0;
}

/* ---- what became of it ---- */

void ask_judge(struct step *s, const char *fault)
{
    enum { MAX_FAULT = 400 };
    struct unjudged *a = &s->unjudged;
    if (!a->run)
        return;
    a->doc.verdict = *fault ? arena_strndup(s->arena, fault, utf8_floor(fault, strnlen(fault, MAX_FAULT))) : "satisfied";
    batch_update(s->batch, &run_type, a->run, a->version, &a->doc);
    a->run = NULL;
}

/* ---- answers in JSON ---- */

/* What JSON has to be, and who judges what it says. */
struct contract {
    const struct record *record;
    answer_check *check;
    void *ctx;
};

/* Reads an answer into `value`; "" or what is wrong with it, for the model. */
static const char *read_answer(struct step *s, const struct contract *c, const struct reply *reply, void *value)
{
    struct err violation = { 0 };
    if (reply->cut)
        return "it was cut off before its end; be shorter.";
    if (answer_read_json(s->arena, reply->text, reply->len, c->record, value, &violation) < 0)
        return arena_strdup(s->arena, violation.text);
    return c->check ? c->check(s, value, c->ctx) : "";
}

static int tell_fault(struct step *s, const struct question *q, const char *fault, struct err *e)
{
    const char *text;
    int r = prompt_make(s->arena, "json-retry", s->site->overrides.dirs,
                        (struct prompt_value[]){ { "fault", fault }, { NULL, NULL } }, &text, e);
    if (r == 0)
        conversation_add(s, q->conversation, TURN_OBSERVATION, text);
    return r;
}

int ask_json(struct step *s, const struct question *q, const struct record *r, void *ret,
             answer_check *check, void *ctx, struct err *e)
{
    const struct contract contract = { r, check, ctx };
    const char *fault = "";
    int64_t tries = s->team->options.limits.replans;
    for (int64_t nth = 1; nth <= tries; nth++) {
        struct reply reply;
        struct question again = *q;
        again.schema = r;
        again.heavy = q->heavy || (nth > 1 && nth == tries);
        int code = nth > 1 ? tell_fault(s, q, fault, e) : 0;
        if (code == 0)
            code = ask(s, &again, &reply, e);
        if (code < 0)
            return code;
        void *value = arena_alloc(s->arena, r->size);
        fault = read_answer(s, &contract, &reply, value);
        ask_judge(s, fault);
        if (!*fault) {
            memcpy(ret, value, r->size);
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "the %s's answer cannot be used: %s", role_names[q->role], fault);
}
