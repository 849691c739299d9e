/* attempt.c - applying answers, refusing them, and escalating. */
#include "team/attempt.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "team/prompt.h"
#include "team/render.h"
#include "team/tree_limit.h"
#include "team/whole.h"

int tree_of(struct step *s, const char *commit, const char **ret, struct err *e)
{
    struct oid oid = oid_of(commit);
    struct commit_info info;
    int r = repo_commit_info(s->site->repo, s->arena, &oid, &info, e);
    if (r == 0)
        *ret = arena_strdup(s->arena, info.tree.hex);
    return r;
}

struct question attempt_question(struct step *s, enum role role, const char *step_name,
                                 struct conversation_use *c, bool fresh)
{
    int64_t level = s->ticket_id ? s->ticket.level : 0;
    return (struct question){
        .role = role, .step = step_name, .conversation = c, .heavy = level >= LEVEL_HEAVY,
        /* Variety is for the model that has already said what it thinks best. */
        .temperature = level >= LEVEL_HEAVY ? 0.2 : level >= LEVEL_SAMPLING ? 0.7 : 0.1,
        .can_begin_anew = !fresh,
    };
}

bool attempt_capped(struct step *s)
{
    const struct team_limits *l = &s->team->options.limits;
    const struct ticket *t = &s->ticket;
    if (t->attempt >= l->attempts)
        step_block(s, "%s did not succeed in %lld attempts; see `%s`, then `%s --hint \"...\"`",
                   s->stage->name, (long long)t->attempt, step_command(s, "show"), step_command(s, "retry"));
    else if (l->ticket_tokens > 0 && t->prompt_tokens + t->completion_tokens > l->ticket_tokens)
        step_block(s, "the ticket has used %lld tokens, its cap is %lld (setting ticket_tokens)",
                   (long long)(t->prompt_tokens + t->completion_tokens), (long long)l->ticket_tokens);
    else if (l->ticket_minutes > 0 && t->model_us + t->suite_us > l->ticket_minutes * 60000000)
        step_block(s, "the ticket has taken %lld minutes of model and test time, its cap (setting ticket_minutes)",
                   (long long)l->ticket_minutes);
    else
        return false;
    return true;
}

/* ---- refusing ---- */

static int write_wip(struct step *s, const char *tree, const char *fault, struct err *e)
{
    struct commit_intent c = {
        .tree = oid_of(tree), .parents = { oid_of(s->ticket.head) },
        .message = arena_printf(s->arena, "WIP %s: %s\n\n%s\n", s->task.ticket, s->stage->name, fault),
        .time_s = clock_wall_ms() / 1000,
    };
    struct oid commit;
    int r = repo_commit(s->site->repo, &c, &commit, e);
    if (r < 0)
        return r;
    const char *ref = arena_printf(s->arena, "refs/tandem/wip/%s", s->task.ticket);
    return repo_ref_move(s->site->repo, ref, NULL, &commit, e);
}

/* Whether this very answer was tried before in this stage; from now on it was. */
static bool tried_before(struct step *s, const struct failed_attempt *f)
{
    struct ticket *t = &s->ticket;
    const char *text = arena_printf(s->arena, "%s\n%s\n%s", f->tree, f->failing, *f->tree ? "" : f->fault);
    const char *mark = arena_strdup(s->arena, digest_of(text, strlen(text)).hex);
    bool before = texts_has(&t->seen, mark);
    /* A copy, so that the document's array is not grown in place. */
    struct texts seen = { 0 };
    for (size_t i = 0; i < t->seen.count; i++)
        texts_add(&seen, s->arena, t->seen.items[i]);
    texts_add(&seen, s->arena, mark);
    t->seen = seen;
    return before;
}

static bool builds(const struct suite_run *run)
{
    const struct test_result *all = results_find(&run->results, STACK_BUILD_ID);
    return run->completed && !run->broken.count && (!all || all->outcome == TEST_PASSED);
}

/* How far from good: by the tests that are open, and among equals by whether it builds. */
static int64_t attempt_distance(const struct failed_attempt *f)
{
    return 1 + 2 * f->open + !builds(f->run);
}

static bool came_closer(struct ticket *t, const struct failed_attempt *f)
{
    if (!f->tests || !*f->tree)
        return false;
    int64_t distance = attempt_distance(f), before = t->nearest;
    if (!before || distance < before)
        t->nearest = distance;
    return before && distance < before;
}

int64_t attempt_level(int64_t level, int64_t nth, int64_t attempts, enum trend trend, bool has_heavy)
{
    int64_t last = has_heavy ? LEVEL_HEAVY : LEVEL_FRESH, by_count = nth * LEVEL_PERSON / attempts;
    if (nth >= attempts || (trend == TREND_REPEATED && level >= last))
        return LEVEL_PERSON;
    if (trend == TREND_CLOSER)
        return level;
    level += trend == TREND_REPEATED;
    if (level < by_count)
        level = by_count;
    return level < last ? level : last;
}

static enum trend note_attempt(struct step *s, const struct failed_attempt *f)
{
    struct ticket *t = &s->ticket;
    bool closer = came_closer(t, f), before = tried_before(s, f);
    enum trend trend = closer ? TREND_CLOSER : before ? TREND_REPEATED : TREND_NONE;
    int role = role_parse(s->task.role);
    bool has_heavy = role > ROLE_ENGINE && s->team->options.heavy[role];
    t->attempt++;
    t->level = attempt_level(t->level, t->attempt, s->team->options.limits.attempts, trend, has_heavy);
    s->ticket_changed = true;
    return trend;
}

static const char *hint_for(struct step *s, const struct failed_attempt *f, enum trend trend)
{
    const struct ticket *t = &s->ticket;
    const char *hint = "";
    if (trend == TREND_CLOSER)
        hint = f->open < f->tests ? arena_printf(s->arena, "Closer: %lld of %lld tests pass now.", (long long)(f->tests - f->open), (long long)f->tests)
                                  : "Closer: it builds now.";
    else if (t->level > LEVEL_NORMAL && f->tests && *f->tree)
        hint = "This did not get further than before. Say in one sentence what the failing test expects and what it "
               "got, then answer with something different.";
    else if (t->level > LEVEL_NORMAL)
        hint = arena_printf(s->arena, "%lld answers were refused so far; answer with something different.", (long long)t->attempt);
    if (*t->hint)
        hint = arena_printf(s->arena, "%s%sA person adds: %s", hint, *hint ? "\n" : "", t->hint);
    return hint;
}

/* What the new level brings, for the log, which shows when help of which kind was called. */
static void begin_level(struct step *s, struct conversation_use *c)
{
    static const char *const kinds[] = { [LEVEL_HINT] = "attempt.hinted", [LEVEL_SAMPLING] = "attempt.sampled",
                                         [LEVEL_FRESH] = "attempt.fresh", [LEVEL_HEAVY] = "attempt.heavier" };
    step_event(s, kinds[s->ticket.level], NULL);
    if (s->ticket.level == LEVEL_FRESH)
        conversation_restart(c);
}

int attempt_failed(struct step *s, struct conversation_use *c, const struct failed_attempt *f, struct err *e)
{
    int64_t level_before = s->ticket.level;
    enum trend trend = note_attempt(s, f);
    json_t *payload = json_object();
    ask_judge(s, f->fault);
    json_put_text(payload, "fault", f->fault);
    json_put_int(payload, "attempt", s->ticket.attempt);
    json_put_int(payload, "level", s->ticket.level);
    if (*f->tree)
        json_put_text(payload, "tree", f->tree);
    step_event(s, arena_printf(s->arena, "%s.refused", s->stage->name), payload);
    if (*f->tree) {
        int r = write_wip(s, f->tree, f->fault, e);
        if (r < 0)
            return r;
    }
    if (s->ticket.level >= LEVEL_PERSON) {
        step_block(s, "%s did not succeed in %lld attempts; the last was refused: %s", s->stage->name,
                   (long long)s->ticket.attempt, f->fault);
        return 0;
    }
    if (s->ticket.level > level_before)
        begin_level(s, c);
    const char *text;
    struct prompt_value values[] = {
        { "fault", f->fault }, { "output", render_failures(s->arena, &f->run->results, f->run->output, 6000) }, { "hint", hint_for(s, f, trend) },
        { "number", f->number }, { "criterion", f->criterion }, { "form", render_form(s, ROLE_DEVELOPER) }, { NULL, NULL },
    };
    int r = prompt_make(s->arena, f->template, s->site->overrides.dirs, values, &text, e);
    if (r < 0)
        return r;
    if (!conversation_empty(c))
        conversation_add(s, c, TURN_OBSERVATION, text);
    s->end = STEP_AGAIN;
    return 0;
}

/* ---- asking ---- */

int attempt_conversation(struct step *s, enum role role, const char *tree, struct conversation_use **ret,
                         bool *ret_new, struct err *e)
{
    struct conversation_use *c;
    int r = conversation_open(s, role, &c, e);
    if (r < 0)
        return r;
    *ret = c;
    *ret_new = conversation_empty(c);
    if (!*ret_new)
        return 0;
    const char *role_text, *context;
    r = render_system(s, role, &role_text, e);
    if (r == 0)
        r = render_context(s, tree, &context, e);
    if (r < 0)
        return r;
    conversation_add(s, c, TURN_SYSTEM, role_text);
    conversation_add(s, c, TURN_CONTEXT, context);
    return 0;
}

const char *attempt_refuse_path(struct step *s, enum role role, const struct answer_file *f)
{
    struct err e;
    const struct stack *stack = s->site->stack;
    if (path_check(f->path, &e) < 0)
        return arena_strdup(s->arena, e.text);
    if (stack_is_protected(stack, f->path))
        return arena_printf(s->arena, "%s belongs to the test framework and is not changed", f->path);
    bool test = stack_is_test(stack, f->path);
    if (role == ROLE_TESTER && !test)
        return arena_printf(s->arena, "%s is not a test file; the Tester writes only test files", f->path);
    if (role == ROLE_TESTER && f->deleted)
        return arena_printf(s->arena, "%s: tests are not deleted", f->path);
    if (stack_is_refused(stack, f->path))
        return arena_printf(s->arena, "%s would change or replace the test framework, or a part of the language that it needs; "
                                      "choose another name, or do without it", f->path);
    if (role == ROLE_DEVELOPER && test)
        return arena_printf(s->arena, "%s is a test file; test files are frozen and belong to the Tester", f->path);
    return "";
}

static bool answered(const struct answer_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (streq(files->files[i].path, path))
            return true;
    return false;
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A new file of the name of one that the scope plans elsewhere, which is not there yet and not in
 * the answer either: the folder was forgotten, and nothing would say so but the linker. */
static const char *misplaced(struct step *s, const struct oid *tree, const struct answer_files *files, const char *path)
{
    const char *bytes;
    size_t len;
    const struct texts *planned = &s->ticket.scope.create;
    if (!s->ticket_id || texts_has(planned, path))
        return "";
    for (size_t i = 0; i < planned->count; i++) {
        const char *wanted = planned->items[i];
        if (streq(file_name(wanted), file_name(path)) && !answered(files, wanted) &&
            repo_file(s->site->repo, s->arena, tree, wanted, &bytes, &len, NULL) == ERR_NOT_FOUND &&
            repo_file(s->site->repo, s->arena, tree, path, &bytes, &len, NULL) == ERR_NOT_FOUND)
            return arena_printf(s->arena, "you wrote %s; the scope says %s", path, wanted);
    }
    return "";
}

/* One file of the answer; "" in a->fault when it may be as it is now, which is whole. */
static int look_at_file(struct step *s, struct attempt *a, const struct oid *base, struct answer_file *f, struct edit_use *use,
                        struct err *e)
{
    a->fault = attempt_refuse_path(s, a->role, f);
    if (!*a->fault && a->role == ROLE_DEVELOPER)
        a->fault = misplaced(s, base, &a->files, f->path);
    return *a->fault ? 0 : whole_file(s, base, f, use, &a->fault, e);
}

static int look_at_files(struct step *s, struct attempt *a, const struct oid *base, struct err *e)
{
    struct edit_use use = EDIT_USE_INIT;
    int r = 0;
    for (size_t i = 0; r == 0 && !*a->fault && i < a->files.count; i++)
        r = look_at_file(s, a, base, &a->files.files[i], &use, e);
    if (r == 0)
        edit_use_note(s, a->role, &use);
    a->shown = use.shown;
    return r;
}

/* Applies the answer's files to the head's tree, or says why not. */
static int apply(struct step *s, struct attempt *a, struct err *e)
{
    struct oid base = oid_of(a->head_tree), result;
    int r = look_at_files(s, a, &base, e);
    if (r < 0 || *a->fault)
        return r;
    r = repo_write_tree(s->site->repo, &base, whole_changes(s->arena, &a->files), a->files.count, &result, e);
    failpoint("attempt.tree-written");
    if (r == 0)
        r = tree_within(s->site->repo, &result, &s->team->options.limits, e);
    if (r == ERR_REFUSED || r == ERR_LIMIT) {
        a->fault = arena_strdup(s->arena, e->text);
        return 0;
    }
    if (r < 0)
        return r;
    if (streq(result.hex, a->head_tree))
        a->fault = "the answer changes nothing: every file is as it was";
    else
        a->tree = arena_strdup(s->arena, result.hex);
    return 0;
}

static int ask_files(struct step *s, const struct question *q, struct attempt *a, struct err *e)
{
    struct reply reply;
    a->tree = a->fault = a->shown = "";
    a->files = (struct answer_files){ .notes = "" };
    int r = ask(s, q, &reply, e);
    if (r < 0)
        return r;
    struct err violation = { 0 };
    if (reply.cut) {
        a->fault = "the answer was cut off before its end, or repeats itself; answer with fewer words and only the files needed";
        return 0;
    }
    if (answer_read_files(s->arena, reply.text, reply.len, &a->files, &violation) < 0) {
        a->fault = arena_strdup(s->arena, violation.text);
        a->files = (struct answer_files){ .notes = arena_strndup(s->arena, reply.text, reply.len) };
        return 0;
    }
    return apply(s, a, e);
}

/* After an error of asking: whether the conversation was too long for the model and the step
 * ends with a fresh context instead (which is too long only if even that does not fit). */
static bool begins_anew(struct step *s, const struct attempt *a, int code)
{
    if (code != ERR_LIMIT || a->fresh)
        return false;
    conversation_restart(a->conversation);
    step_event(s, "conversation.renewed", NULL);
    s->end = STEP_AGAIN;
    return true;
}

int attempt_make(struct step *s, struct attempt *a, bool *ret_answered, struct err *e)
{
    int r = tree_of(s, s->ticket.head, &a->head_tree, e);
    if (r == 0)
        r = attempt_conversation(s, a->role, a->head_tree, &a->conversation, &a->fresh, e);
    if (r == 0 && (a->fresh || s->ticket.attempt == 0))
        r = a->request(s, a, e);
    if (r < 0)
        return r;
    struct question q = attempt_question(s, a->role, a->step_name, a->conversation, a->fresh);
    r = ask_files(s, &q, a, e);
    *ret_answered = r == 0;
    return r < 0 && begins_anew(s, a, r) ? 0 : r;
}
