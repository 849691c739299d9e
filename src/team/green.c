/* green.c - the whole suite on a tree, judged, and looked at twice where a test may be flaky.
 *
 * A test that passed before and fails now is nobody's fault until it fails again: the same
 * tree is run once more.  What passes then has changed its mind; it is named, and proves
 * nothing from then on.
 */
#include "team/green.h"

#include "base/set.h"
#include "team/suite.h"

int suite_again(struct step *s, const char *step_name, const char *tree, unsigned flags, const struct texts *broken,
                struct suite_run *ret, struct run **ret_run, const char **ret_run_id, struct texts *ret_flaky, struct err *e)
{
    struct texts flaky = { 0 };
    struct set all = SET_IN(s->arena);
    int r = suite_on(s, arena_printf(s->arena, "%s-again", step_name), tree, flags, ret, ret_run, ret_run_id, e);
    if (r < 0)
        return r;
    if (s->ticket_id)
        set_add_all(&all, &s->ticket.flaky);
    for (size_t i = 0; i < broken->count; i++) {
        const struct test_result *t = results_find(&ret->results, broken->items[i]);
        if (!t || t->outcome != TEST_PASSED || !set_add(&all, broken->items[i]))
            continue;
        texts_add(&flaky, s->arena, broken->items[i]);
        json_t *payload = json_object();
        json_put_text(payload, "test", broken->items[i]);
        step_event(s, "test.flaky", payload);
    }
    if (s->ticket_id && flaky.count) {
        s->ticket.flaky = all.texts;
        s->ticket_changed = true;
    }
    *ret_flaky = flaky;
    return 0;
}

/* Judges, and puts the Run into the batch. */
static const char *judge(struct step *s, const struct green_wish *w, const struct texts *must_pass, const struct suite_run *run,
                         struct run *doc, const char *run_id, struct green_judgement *j)
{
    struct green_question q = { .run = run, .tests = &w->tests, .must_pass = must_pass };
    const char *fault = developer_is_satisfactory(s->arena, &q, j);
    suite_store(s, run_id, doc, *fault ? arena_printf(s->arena, "refused: %s", fault) : "green");
    return fault;
}

int green_on(struct step *s, const struct green_wish *w, struct suite_run *ret, struct green_judgement *j,
             const char **ret_run_id, const char **ret_fault, struct err *e)
{
    struct run *doc;
    struct texts flaky;
    struct set steady = SET_IN(s->arena);
    int r = suite_on(s, w->step_name, w->tree, w->flags, ret, &doc, ret_run_id, e);
    if (r < 0)
        return r;
    *ret_fault = judge(s, w, &w->must_pass, ret, doc, *ret_run_id, j);
    if (!**ret_fault || !suite_counts(ret) || j->still_failing.count || !j->broken.count || texts_has(&j->broken, STACK_BUILD_ID))
        return 0;
    r = suite_again(s, w->step_name, w->tree, w->flags, &j->broken, ret, &doc, ret_run_id, &flaky, e);
    if (r < 0)
        return r;
    set_add_but(&steady, &w->must_pass, &flaky);
    *ret_fault = judge(s, w, &steady.texts, ret, doc, *ret_run_id, j);
    return 0;
}
