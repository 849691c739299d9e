/* docs.c - the descriptions of all documents of the team layer. */
#include "team/docs.h"

#include "base/arena.h"
#include "base/str.h"
#include "model/key.h"
#include "model/exam.h"
#include "model/registry.h"
#include "model/vectors.h"

const char *const project_state_names[] = { "spec", "spec-approval", "plan", "plan-approval",
                                            "build", "done", "stopped", NULL };
static const char *const functionality_state_names[] = { "open", "review", "done", NULL };
const char *const criterion_state_names[] = { "open", "red", "green", "met", "dropped", NULL };
const char *const ticket_kind_names[] = { "behaviour", "document", "build", "refactor", NULL };
const char *const column_names[] = { "backlog", "todo", "inprogress", "review", "done", NULL };
const char *const severity_names[] = { "critical", "high", "medium", "low", NULL };
static const char *const turn_kind_names[] = { "system", "context", "request", "answer", "observation", NULL };
static const char *const run_kind_names[] = { "model", "suite", "prepare", NULL };
const char *const red_reason_names[] = { "none", "assertion", "absence", "error", NULL };
static const char *const task_state_names[] = { "ready", "leased", "done", "dead", NULL };

#define TEXT(type, member, ...) FIELD(struct type, member, FIELD_TEXT, __VA_ARGS__)
#define INT(type, member, ...) FIELD(struct type, member, FIELD_INT, __VA_ARGS__)
#define BOOLEAN(type, member, ...) FIELD(struct type, member, FIELD_BOOL, __VA_ARGS__)
#define TEXTS(type, member, ...) FIELD(struct type, member, FIELD_TEXTS, __VA_ARGS__)
#define ENUM(type, member, names, ...) FIELD(struct type, member, FIELD_ENUM, .choices = (names), __VA_ARGS__)
#define PART(type, member, record, ...) FIELD(struct type, member, FIELD_RECORD, .of = &(record), __VA_ARGS__)
#define PARTS(type, member, record, ...) FIELD(struct type, member, FIELD_RECORDS, .of = &(record), __VA_ARGS__)

static const struct field project_fields[] = {
    TEXT(project, name, .required = true, .doc = "as a person wrote it"),
    ENUM(project, state, project_state_names, .indexed = true),
    TEXT(project, idea, .searched = true),
    INT(project, spec, .doc = "number of the current spec version"),
    TEXT(project, stack, .doc = "how its tests are run"),
    TEXT(project, playbook, .doc = "how its team works"),
    TEXT(project, source, .doc = "the person's repository it builds on"),
    TEXT(project, branch, .doc = "its protected branch"),
    TEXT(project, base, .doc = "the commit the work starts from"),
    TEXT(project, out, .doc = "where the clone goes"),
    BOOLEAN(project, edited, .doc = "a person edited the spec or plan under approval"),
    TEXT(project, handed_commit, .doc = "the commit of DEV that was handed over last"),
    BOOLEAN(project, handed_over, .doc = "of older versions; not used"),
    TEXT(project, plan, .doc = "the plan under approval"),
    TEXT(project, blocked, .doc = "why it cannot go on"),
    TEXT(project, wish, .doc = "what the person wants changed before approval"),
    TEXT(project, person, .doc = "who started it"),
    TEXTS(project, models, .doc = "as given to --model"),
    TEXTS(project, heard, .doc = "ids of the last words that were fulfilled, so that none is twice"),
    INT(project, coverage_target, .doc = "percent of lines"),
    INT(project, pairs, .doc = "Developer/Tester pairs at work at once"),
    INT(project, steps),
    INT(project, tests_passed, .doc = "on DEV"),
    INT(project, tests_total),
    INT(project, covered, .doc = "lines covered on DEV"),
    INT(project, lines),
    INT(project, created_ms),
    INT(project, finished_ms),
};

static const struct field spec_fields[] = {
    TEXT(spec, project, .required = true, .indexed = true),
    INT(spec, number),
    TEXT(spec, text, .required = true, .searched = true),
    TEXT(spec, origin, .doc = "file, pm or person"),
    TEXT(spec, doubt, .doc = "words of the idea that it does not have"),
    BOOLEAN(spec, approved),
    TEXT(spec, approved_by),
};

static const struct field functionality_fields[] = {
    TEXT(functionality, project, .required = true, .indexed = true),
    INT(functionality, number, .indexed = true),
    TEXT(functionality, title, .required = true),
    TEXT(functionality, summary),
    TEXT(functionality, branch),
    ENUM(functionality, state, functionality_state_names),
    TEXT(functionality, blocked, .doc = "why it cannot go on"),
    INT(functionality, review_rounds),
    TEXTS(functionality, asked, .doc = "by its reviews"),
    TEXT(functionality, stage),
    TEXT(functionality, hint, .doc = "from a person"),
    INT(functionality, attempt),
    INT(functionality, steps),
    TEXT(functionality, merged, .doc = "the commit on DEV that brought it in"),
    INT(functionality, tests_passed, .doc = "in its last run"),
    INT(functionality, tests_total),
    INT(functionality, covered, .doc = "lines covered in its last run"),
    INT(functionality, lines),
};

static const struct field criterion_fields[] = {
    TEXT(criterion, text, .required = true, .max = 2000, .doc = "what must hold"),
    INT(criterion, clause, .doc = "of the spec"),
    ENUM(criterion, state, criterion_state_names),
    TEXT(criterion, origin),
    TEXT(criterion, objection, .doc = "of the Developer, for which its tests were taken back"),
    INT(criterion, reworded),
    TEXTS(criterion, tests, .doc = "ids that prove it"),
    TEXTS(criterion, left_out, .doc = "ids of tests that passed before its code was there"),
};
const struct record criterion_record = RECORD("criterion", struct criterion, criterion_fields);

#define SCOPE_FIELDS(is_answer) \
    TEXTS(scope, read, .max = 40, .doc = "existing files, or file:symbol, needed for understanding"), \
    TEXTS(scope, change, .max = 40, .doc = "existing files that will be changed"), \
    TEXTS(scope, create, .max = 40, .doc = "new files"), \
    TEXT(scope, how, .max = 4000, .required = (is_answer), \
         .doc = "where and how to implement: names and signatures other code and the tests can rely on")
static const struct field scope_fields[] = { SCOPE_FIELDS(false) };
const struct record scope_record = RECORD("scope", struct scope, scope_fields);
static const struct field scope_answer_fields[] = { SCOPE_FIELDS(true) };
const struct record scope_answer_record = RECORD("scope", struct scope, scope_answer_fields);

static const struct field ticket_fields[] = {
    TEXT(ticket, project, .required = true, .indexed = true),
    INT(ticket, number, .indexed = true),
    INT(ticket, functionality, .indexed = true),
    TEXT(ticket, title, .required = true, .searched = true),
    TEXT(ticket, description, .searched = true),
    ENUM(ticket, kind, ticket_kind_names),
    ENUM(ticket, column, column_names, .indexed = true),
    ENUM(ticket, severity, severity_names),
    INT(ticket, estimate_minutes),
    TEXTS(ticket, after, .doc = "tickets it builds on"),
    PARTS(ticket, criteria, criterion_record),
    TEXT(ticket, blocked, .doc = "why it cannot go on"),
    TEXT(ticket, hint, .doc = "from a person"),
    TEXT(ticket, branch),
    TEXT(ticket, base),
    TEXT(ticket, head),
    TEXT(ticket, merged),
    PART(ticket, scope, scope_record),
    TEXTS(ticket, baseline, .doc = "tests that passed at its base"),
    TEXTS(ticket, failing, .doc = "tests that did not pass at its base"),
    TEXTS(ticket, rewritten, .doc = "test files that the suite itself rewrites"),
    TEXTS(ticket, flaky, .doc = "tests that changed their mind"),
    TEXT(ticket, stage),
    INT(ticket, attempt),
    INT(ticket, level),
    TEXTS(ticket, seen),
    INT(ticket, nearest),
    INT(ticket, passed_at_once),
    INT(ticket, review_rounds),
    TEXTS(ticket, asked, .doc = "by its reviews"),
    INT(ticket, coverage_rounds),
    TEXT(ticket, checked),
    INT(ticket, steps),
    TEXT(ticket, comment),
    INT(ticket, pair),
    INT(ticket, tests_passed),
    INT(ticket, tests_total),
    INT(ticket, covered),
    INT(ticket, lines),
    INT(ticket, prompt_tokens),
    INT(ticket, cached_tokens),
    INT(ticket, completion_tokens),
    INT(ticket, model_us),
    INT(ticket, suite_us),
    INT(ticket, started_ms),
    INT(ticket, finished_ms),
    TEXTS(ticket, files),
};

static const struct field turn_fields[] = {
    ENUM(turn, kind, turn_kind_names),
    TEXT(turn, body, .required = true),
    INT(turn, tokens),
};
const struct record turn_record = RECORD("turn", struct turn, turn_fields);

static const struct field conversation_fields[] = {
    TEXT(conversation, project, .required = true, .indexed = true),
    TEXT(conversation, ticket, .indexed = true),
    TEXT(conversation, role, .required = true),
    INT(conversation, generation),
    PARTS(conversation, turns, turn_record),
    TEXT(conversation, prompt),
};

static const struct field run_fields[] = {
    TEXT(run, project, .required = true, .indexed = true),
    TEXT(run, ticket, .indexed = true),
    ENUM(run, kind, run_kind_names, .indexed = true),
    TEXT(run, role, .required = true),
    TEXT(run, step, .required = true),
    TEXT(run, of, .indexed = true),
    TEXT(run, task),
    INT(run, occurrence),
    TEXT(run, model),
    TEXT(run, prompt),
    TEXT(run, answer),
    TEXT(run, reasoning),
    TEXT(run, outcome),
    TEXT(run, results),
    INT(run, prompt_tokens),
    INT(run, cached_tokens),
    INT(run, completion_tokens),
    INT(run, started_ms, .indexed = true),
    INT(run, queue_us),
    INT(run, first_token_us),
    INT(run, total_us),
    INT(run, retries),
    INT(run, version, .quiet = true),
    INT(run, escalation, .quiet = true),
    TEXT(run, verdict),
};

static const struct field evidence_fields[] = {
    TEXT(evidence, project, .required = true, .indexed = true),
    TEXT(evidence, ticket, .required = true, .indexed = true),
    INT(evidence, criterion),
    TEXTS(evidence, tests),
    ENUM(evidence, reason, red_reason_names),
    TEXTS(evidence, absent),
    TEXT(evidence, red_tree),
    TEXT(evidence, red_commit),
    TEXT(evidence, red_run),
    INT(evidence, red_event),
    TEXT(evidence, green_tree),
    TEXT(evidence, green_commit),
    TEXT(evidence, green_run),
    INT(evidence, green_event),
    TEXT(evidence, met_by),
    TEXT(evidence, mutation),
};

static const struct field task_fields[] = {
    TEXT(task, project, .required = true, .indexed = true),
    TEXT(task, ticket, .indexed = true),
    TEXT(task, stage, .required = true),
    TEXT(task, role),
    INT(task, order, .indexed = true),
    ENUM(task, state, task_state_names, .indexed = true),
    INT(task, attempt),
    INT(task, not_before_ms),
    TEXT(task, owner),
    INT(task, epoch),
    INT(task, lease_until_ms),
    TEXT(task, error),
};

static const struct field intent_fields[] = {
    TEXT(intent, project, .required = true),
    TEXT(intent, ref, .required = true),
    TEXT(intent, expected),
    TEXT(intent, tree, .required = true),
    TEXT(intent, parent),
    TEXT(intent, second_parent),
    TEXT(intent, message, .required = true),
    TEXT(intent, role),
    TEXT(intent, author),
    INT(intent, event),
    INT(intent, time_s),
    TEXT(intent, commit),
};

static const struct field queue_state_fields[] = { INT(queue_state, epoch) };

#define DOC_TYPE(type)                                                                         \
    static const struct record type##_record_ = RECORD(#type, struct type, type##_fields);     \
    const struct doc_type type##_type = { .name = #type, .record = &type##_record_ }

DOC_TYPE(project);
DOC_TYPE(spec);
DOC_TYPE(functionality);
DOC_TYPE(ticket);
DOC_TYPE(conversation);
DOC_TYPE(run);
DOC_TYPE(evidence);
DOC_TYPE(task);
DOC_TYPE(intent);
DOC_TYPE(queue_state);

const struct doc_type *const team_doc_types[] = {
    &project_type, &spec_type, &functionality_type, &ticket_type, &conversation_type,
    &run_type, &evidence_type, &task_type, &intent_type, &queue_state_type,
    &backend_type, &model_type, &route_type, &vector_type, &vector_source_type, &exam_type,
    &key_type, &key_use_type,
};
const size_t team_doc_type_count = sizeof team_doc_types / sizeof *team_doc_types;

size_t ticket_current(const struct ticket *t)
{
    for (size_t i = 0; i < t->criteria.count; i++) {
        const struct criterion *c = ticket_criterion(t, i);
        if (!criterion_proven(c) && (t->kind == TICKET_BEHAVIOUR || streq(c->origin, "review")))
            return i;
    }
    return t->criteria.count;
}

static bool builds_on_stuck(const struct ticket *t, const struct ticket *before, const bool *stuck, size_t count)
{
    for (size_t i = 0; i < t->after.count; i++) {
        long long number = 0;
        parse_int(t->after.items[i] + 2, 1, INT32_MAX, &number);
        for (size_t k = 0; k < count; k++)
            if (before[k].number == number && stuck[k])
                return true;
    }
    return false;
}

const bool *tickets_stuck(struct arena *a, const struct ticket *tickets, size_t count)
{
    bool *stuck = ARENA_ARRAY(a, bool, count);
    for (size_t i = 0; i < count; i++) /* what a ticket builds on comes before it */
        stuck[i] = *tickets[i].blocked || builds_on_stuck(&tickets[i], tickets, stuck, i);
    return stuck;
}

struct texts tickets_merged_before(struct arena *a, const struct ticket *tickets, size_t count, const struct ticket *t)
{
    const bool *stuck = tickets_stuck(a, tickets, count);
    struct texts before = { 0 };
    for (size_t i = 0; i < count; i++)
        if (tickets[i].functionality == t->functionality && tickets[i].number < t->number &&
            tickets[i].column != COLUMN_DONE && !stuck[i])
            texts_add(&before, a, arena_printf(a, "T-%lld", (long long)tickets[i].number));
    return before;
}

static int find_all(struct store *s, struct arena *a, const struct doc_type *type, const char *project,
                    struct store_found *ret, struct err *e)
{
    struct store_query q = { .where = { { "project", project, 0 } }, .where_count = 1, .order_by = "number" };
    return store_find(s, a, type, &q, ret, e);
}

int project_tickets(struct store *s, struct arena *a, const char *project, struct store_found *ret, struct err *e)
{
    return find_all(s, a, &ticket_type, project, ret, e);
}

int project_functionalities(struct store *s, struct arena *a, const char *project, struct store_found *ret,
                            struct err *e)
{
    return find_all(s, a, &functionality_type, project, ret, e);
}
