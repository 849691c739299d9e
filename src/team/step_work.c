/* step_work.c - changes without new tests: tickets without behaviour, and refactorings.
 *
 * Their proof is the unchanged suite.  A refactoring that breaks it and does not mend is
 * dropped; the ticket goes on with what was green before.
 */
#include "team/attempt.h"
#include "team/commit.h"
#include "team/green.h"
#include "team/prompt.h"
#include "team/red.h"
#include "team/render.h"

struct job {
    const char *step_name;
    const char *template;  /* of the request */
    const char *comment;
    const char *verb;
    const char *event_kind;
    struct texts files;    /* shown with the request */
};

static int add_request(struct step *s, const struct attempt *a, struct err *e)
{
    const struct job *job = a->ctx;
    const char *files, *text;
    int r = render_files(s, a->head_tree, &job->files, &files, e);
    if (r < 0)
        return r;
    struct prompt_value values[] = {
        { "comment", job->comment }, { "files", *files ? arena_printf(s->arena, "The files as they are now:\n\n%s", files) : "" },
        { "hint", *s->ticket.hint ? arena_printf(s->arena, "A person adds: %s", s->ticket.hint) : "" }, { NULL, NULL },
    };
    r = prompt_make(s->arena, job->template, s->site->overrides.dirs, values, &text, e);
    if (r == 0)
        conversation_add(s, a->conversation, TURN_REQUEST, text);
    return r;
}

static int complete(struct step *s, struct err *e)
{
    const char *commit;
    int r = commit_to_ticket(s, "work.committed", &commit, e);
    if (r == 0)
        s->ticket.comment = "";
    return r;
}

static int intend(struct step *s, const struct job *job, const char *tree, const char *run_id, struct err *e)
{
    struct commit_wish w = commit_on_ticket(s, tree);
    w.verb = job->verb;
    w.text = *job->comment ? job->comment : s->ticket.title;
    w.event_kind = job->event_kind;
    w.payload = json_object();
    json_put_text(w.payload, "run", run_id);
    return commit_intend(s, &w, e);
}

/* *ret_failed with a fault of "": the step is through, or goes on with a fresh context. */
static int try_job(struct step *s, const struct job *job, struct conversation_use **ret_c, struct failed_attempt *ret_failed,
                   struct err *e)
{
    struct attempt a = { .role = ROLE_DEVELOPER, .step_name = job->step_name, .request = add_request, .ctx = job };
    bool answered;
    int r = attempt_make(s, &a, &answered, e);
    *ret_failed = (struct failed_attempt){ .fault = "" };
    if (r < 0 || !answered)
        return r;
    struct suite_run *run = ARENA_NEW(s->arena, struct suite_run); /* outlives this function */
    run->output = a.shown;
    struct green_judgement j = { .failing = "" };
    if (!*a.fault) {
        const char *run_id;
        struct green_wish w = { job->step_name, a.tree, { NULL, 0 }, ticket_must_pass(s), 0 };
        r = green_on(s, &w, run, &j, &run_id, &a.fault, e);
        if (r == 0 && !*a.fault)
            r = intend(s, job, a.tree, run_id, e);
        if (r == 0 && !*a.fault)
            r = complete(s, e);
    }
    *ret_c = a.conversation;
    *ret_failed = (struct failed_attempt){ .fault = a.fault, .run = run, .tree = a.tree, .failing = j.failing,
                                           .template = "developer-retry", .number = "", .criterion = "",
                                           .open = j.open, .tests = j.wanted };
    return r;
}

int step_work(struct step *s, struct err *e)
{
    if (commit_pending(s))
        return complete(s, e);
    if (attempt_capped(s))
        return 0;
    struct job job = { .step_name = "work", .template = "developer-task", .comment = s->ticket.description,
                       .verb = arena_printf(s->arena, "%s", s->task.ticket), .event_kind = "work.witnessed" };
    const struct texts *lists[] = { &s->ticket.scope.read, &s->ticket.scope.change };
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->count; i++)
            texts_add(&job.files, s->arena, lists[k]->items[i]);
    struct conversation_use *c;
    struct failed_attempt failed;
    int r = try_job(s, &job, &c, &failed, e);
    return r < 0 || !*failed.fault ? r : attempt_failed(s, c, &failed, e);
}

/* Production files the ticket has changed so far. */
static int changed_files(struct step *s, struct texts *ret, struct err *e)
{
    struct oid base = oid_of(s->ticket.base), head = oid_of(s->ticket.head);
    struct texts changed;
    int r = repo_changed(s->site->repo, s->arena, &base, &head, &changed, e);
    for (size_t i = 0; r == 0 && i < changed.count; i++)
        if (!stack_is_test(s->site->stack, changed.items[i]))
            texts_add(ret, s->arena, changed.items[i]);
    return r;
}

int step_refactor(struct step *s, struct err *e)
{
    if (commit_pending(s))
        return complete(s, e);
    struct job job = { .step_name = arena_printf(s->arena, "refactor-%lld", (long long)s->ticket.review_rounds),
                       .template = "developer-refactor", .comment = s->ticket.comment,
                       .verb = "Refactor",
                       .event_kind = "refactoring.witnessed" };
    int r = changed_files(s, &job.files, e);
    if (r < 0)
        return r;
    struct conversation_use *c;
    struct failed_attempt failed;
    r = try_job(s, &job, &c, &failed, e);
    if (r < 0 || !*failed.fault)
        return r;
    if (s->ticket.attempt + 1 < s->team->options.limits.attempts / 2 + 1) {
        r = attempt_failed(s, c, &failed, e);
        if (r < 0 || s->end != STEP_BLOCK)
            return r;
    }
    json_t *payload = json_object();
    json_put_text(payload, "fault", failed.fault);
    step_event(s, "refactoring.dropped", payload);
    s->ticket.comment = "";
    s->ticket_changed = true;
    s->end = STEP_NEXT;
    return 0;
}
