/* suite.c - stack_run with memory: the Run, its output and its results are kept. */
#include "team/suite.h"

#include "base/clock.h"
#include "base/set.h"

static struct texts ids_of(struct arena *a, const struct suite_run *run, bool passed)
{
    struct texts ids = { 0 };
    for (size_t i = 0; i < run->results.count; i++)
        if ((run->results.tests[i].outcome == TEST_PASSED) == passed)
            texts_add(&ids, a, run->results.tests[i].id);
    return ids;
}

struct texts suite_passed(struct arena *a, const struct suite_run *run)
{
    return ids_of(a, run, true);
}

struct texts suite_failed(struct arena *a, const struct suite_run *run)
{
    return ids_of(a, run, false);
}

void suite_tolerate(struct arena *a, struct suite_run *run, const struct texts *rewritten)
{
    struct set left = SET_IN(a);
    set_add_but(&left, &run->modified, rewritten);
    run->modified = left.texts;
}

/* The step's ticket knows what the suite rewrites; for a functionality, each of its tickets. */
static int tolerate(struct step *s, struct suite_run *run, struct err *e)
{
    struct store_found found;
    if (!run->modified.count)
        return 0;
    if (s->ticket_id) {
        suite_tolerate(s->arena, run, &s->ticket.rewritten);
        return 0;
    }
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    for (size_t i = 0; r == 0 && i < found.count; i++)
        suite_tolerate(s->arena, run, &((const struct ticket *)found.docs)[i].rewritten);
    return r;
}

static const char *store_results(struct step *s, const struct suite_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->results.count; i++)
        json_array_append_new(list, record_write(&test_result_record, &run->results.tests[i]));
    STR_LOCAL(text);
    json_write(&text, json_keep(s->arena, list));
    const char *kept = arena_strndup(s->arena, text.data, text.len); /* the batch borrows it */
    return arena_strdup(s->arena, batch_blob(s->batch, kept, text.len).hex);
}

/* The build is no test. */
static void count_tests(struct step *s, const struct suite_run *run, int64_t *passed, int64_t *total)
{
    struct texts ids = suite_passed(s->arena, run);
    *passed = (int64_t)ids.count - texts_has(&ids, STACK_BUILD_ID);
    *total = (int64_t)run->results.count - (results_find(&run->results, STACK_BUILD_ID) != NULL);
}

/* A functionality's runs are of all its code, so that the last one tells of DEV when it comes in. */
static void count_for_functionality(struct step *s, const struct suite_run *run)
{
    struct functionality *f = &s->functionality;
    if (!run->completed)
        return;
    count_tests(s, run, &f->tests_passed, &f->tests_total);
    f->covered = f->lines = 0;
    for (size_t i = 0; i < run->coverage.count; i++) {
        if (stack_is_test(s->site->stack, run->coverage.files[i].path))
            continue;
        f->covered += run->coverage.files[i].covered;
        f->lines += run->coverage.files[i].lines;
    }
    s->functionality_changed = true;
}

static void count_use(struct step *s, const struct suite_run *run)
{
    if (!s->ticket_id) {
        if (s->functionality_id)
            count_for_functionality(s, run);
        return;
    }
    s->ticket.suite_us += run->wall_us;
    if (run->completed)
        count_tests(s, run, &s->ticket.tests_passed, &s->ticket.tests_total);
    s->ticket_changed = true;
}

/* A Run of the engine's, with its number among those of the same step. */
static int new_run(struct step *s, int kind, const char *step_name, struct run **ret, const char **ret_id, struct err *e)
{
    const char *about = s->ticket_id ? s->ticket_id : s->functionality_id ? s->functionality_id : s->project_id;
    const char *of = arena_printf(s->arena, "%s/engine/%s", about, step_name);
    int64_t before = 0;
    struct store_query q = { .where = { { "of", of, 0 } }, .where_count = 1 };
    int r = store_count(s->team->store, &run_type, &q, &before, e);
    if (r < 0)
        return r;
    struct run *run = ARENA_NEW(s->arena, struct run);
    *run = (struct run){
        .project = s->project_id, .ticket = s->task.ticket, .kind = kind, .role = role_names[ROLE_ENGINE],
        .step = arena_strdup(s->arena, step_name), .of = of, .task = s->task_id, .occurrence = before + 1,
        .model = stack_name(s->site->stack), .reasoning = "", .results = "", .verdict = "", .prompt_tokens = -1, .cached_tokens = -1,
        .completion_tokens = -1,
    };
    *ret = run;
    *ret_id = arena_printf(s->arena, "%s/%lld", of, (long long)run->occurrence);
    return 0;
}

/* The installation of dependencies, when there was one: a Run, and a line in the log. */
static int store_prepared(struct step *s, const struct stack_prepared *p, int64_t started_ms, struct err *e)
{
    struct run *run;
    const char *id;
    bool failed = *p->trouble;
    int r = p->ran ? new_run(s, RUN_PREPARE, "prepare", &run, &id, e) : 0;
    if (r < 0 || !p->ran)
        return r;
    run->started_ms = started_ms;
    run->total_us = p->wall_us;
    run->prompt = arena_strdup(s->arena, batch_blob(s->batch, p->command, strlen(p->command)).hex);
    run->answer = arena_strdup(s->arena, batch_blob(s->batch, p->output, strlen(p->output)).hex);
    suite_store(s, id, run, failed ? p->trouble : p->network ? "installed, with the network" : "installed, without network");
    json_t *payload = json_object();
    json_put_text(payload, "digest", p->digest);
    json_put_text(payload, "run", id);
    json_put_text(payload, "why", failed ? p->trouble : p->network ? "with the network" : "without network");
    step_event(s, failed ? "dependencies.failed" : "dependencies.installed", payload);
    return 0;
}

int suite_on(struct step *s, const char *step_name, const char *tree, unsigned flags,
             struct suite_run *ret, struct run **ret_run, const char **ret_run_id, struct err *e)
{
    if (!s->site->stack)
        return err_set(e, ERR_INVALID, "the project has no stack yet: give --stack");
    struct oid oid = oid_of(tree);
    int64_t started = clock_wall_ms();
    struct suite_options o = { .flags = flags, .prepare = &s->team->prepare, .limits = &s->team->options.limits.suite,
                               .cancel = s->cancel, .on_output = step_pulse_text, .ctx = s };
    int r = stack_run(s->site->stack, s->team->sandbox, s->site->repo, &oid, &o, s->arena, ret, e);
    if (r == 0)
        r = tolerate(s, ret, e);
    if (r == 0)
        r = store_prepared(s, &ret->prepared, started, e);
    if (r < 0)
        return r;
    count_use(s, ret);
    struct run *run;
    r = new_run(s, RUN_SUITE, step_name, &run, ret_run_id, e);
    if (r < 0)
        return r;
    if (*ret->command)
        run->model = ret->command;
    run->prompt = arena_strdup(s->arena, tree);
    run->started_ms = started;
    run->total_us = ret->wall_us;
    run->answer = arena_strdup(s->arena, batch_blob(s->batch, ret->output, strlen(ret->output)).hex);
    run->results = store_results(s, ret);
    *ret_run = run;
    return 0;
}

void suite_store(struct step *s, const char *run_id, struct run *run, const char *outcome)
{
    run->outcome = outcome;
    batch_insert(s->batch, &run_type, run_id, run);
}
