/* judge.c - red, green, a spec that covers the idea.
 *
 * The plan's judgement is in plan.c, beside the plan's shape.
 */
#include "team/judge.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/set.h"
#include "base/str.h"
#include "team/words.h"

/* Ids of `wanted` but `except` that did not pass. */
static struct texts not_passed(struct arena *a, const struct suite_run *run, const struct texts *wanted, const char *except)
{
    struct texts bad = { 0 };
    for (size_t i = 0; i < wanted->count; i++) {
        const struct test_result *t = results_find(&run->results, wanted->items[i]);
        if ((!t || t->outcome != TEST_PASSED) && !streq(wanted->items[i], except))
            texts_add(&bad, a, wanted->items[i]);
    }
    return bad;
}

static const char *failing_list(struct arena *a, const struct suite_run *run)
{
    STR_LOCAL(out);
    for (size_t i = 0; i < run->results.count; i++)
        if (run->results.tests[i].outcome != TEST_PASSED)
            str_addf(&out, "%s %d %s\n", run->results.tests[i].id, run->results.tests[i].outcome,
                     run->results.tests[i].message ? run->results.tests[i].message : "");
    for (size_t i = 0; i < run->broken.count; i++)
        str_addf(&out, "broken %s\n", run->broken.items[i]);
    if (!run->completed)
        str_addf(&out, "not completed: %s\n", run->trouble);
    return arena_strndup(a, out.data, out.len);
}

/* What makes a run worth nothing, whatever its results say; "": nothing. */
static const char *worthless(struct arena *a, const struct suite_run *run)
{
    if (!run->completed)
        return arena_printf(a, "the test run did not come to its end: %s", run->trouble);
    if (run->modified.count)
        return arena_printf(a, "the run itself changed or deleted test files, which are frozen while they run: %s. Write "
                               "to fresh temporary files instead", texts_join(&run->modified, a, ", ", 5));
    return "";
}

/* ---- Tester ---- */

/* New ids: those of the run and those listed in files that could not run. */
static struct texts new_ids(struct arena *a, const struct red_question *q)
{
    struct set ids = SET_IN(a), known = set_of(a, q->known), broken = set_of(a, &q->run->broken);
    for (size_t i = 0; i < q->run->results.count; i++) {
        const char *id = q->run->results.tests[i].id;
        if (!set_has(&known, id) && !set_has(&broken, id) && !streq(id, STACK_BUILD_ID))
            set_add(&ids, id);
    }
    set_add_but(&ids, q->listed, q->known);
    return ids.texts;
}

/* The result that tells why `id` did not pass: its own, or that of its broken file. */
static const struct test_result *telling_result(const struct suite_run *run, const char *id)
{
    const struct test_result *t = results_find(&run->results, id);
    if (t)
        return t;
    for (size_t i = 0; i < run->broken.count; i++) {
        const char *file = run->broken.items[i];
        size_t len = strlen(file);
        if (strncmp(id, file, len) == 0 && starts_with(id + len, "::"))
            return results_find(&run->results, file);
    }
    return NULL;
}

/* A test that was not run because its file needs something absent. */
static bool waits_for_absent(const struct red_question *q, const char *id)
{
    if (results_find(&q->run->results, id))
        return false;
    const struct test_result *t = telling_result(q->run, id);
    struct failure f = { .kind = FAILURE_FAULT };
    if (t)
        q->explain(t->message, &f, q->ctx);
    return f.kind == FAILURE_ABSENCE;
}

/* New tests that fail, by how. */
struct sorting {
    struct texts wrong;
    const char *advice; /* on the first wrong one */
    bool absence, error;
};

static void sort_failure(struct arena *a, const struct red_question *q, const char *id, struct sorting *out,
                         struct red_judgement *ret)
{
    const struct test_result *t = telling_result(q->run, id);
    struct failure f = { .kind = FAILURE_FAULT, .advice = "it was not run" };
    if (t && t->outcome != TEST_SKIPPED)
        q->explain(t->message, &f, q->ctx);
    if (f.kind == FAILURE_ABSENCE) {
        out->absence = true;
        for (size_t i = 0; i < f.absent.count; i++)
            if (!texts_has(&ret->absent, f.absent.items[i]))
                texts_add(&ret->absent, a, f.absent.items[i]);
    } else if (f.kind == FAILURE_ERROR) {
        out->error = true;
    } else if (f.kind != FAILURE_ASSERTION) {
        texts_add(&out->wrong, a, id);
        if (!out->advice)
            out->advice = f.kind == FAILURE_EXCEPTION
                              ? arena_printf(a, "the test did not come to an assertion: %s; state what is expected as an assertion",
                                             f.reason ? f.reason : "")
                              : f.advice && *f.advice ? f.advice : f.reason;
    }
}

const char *tester_is_satisfactory(struct arena *a, const struct red_question *q, struct red_judgement *ret)
{
    *ret = (struct red_judgement){ .tests = new_ids(a, q), .failing = failing_list(a, q->run) };
    const char *fault = worthless(a, q->run);
    if (*fault)
        return fault;
    if (!ret->tests.count)
        return "the answer contains no new test; add at least one test for this criterion";
    /* The Tester writes no part of the program: where that does not build, it did not before. */
    struct texts broken = not_passed(a, q->run, q->must_pass, STACK_BUILD_ID);
    struct texts waiting = not_passed(a, q->run, q->proven, "");
    for (size_t i = 0; i < waiting.count; i++)
        if (!waits_for_absent(q, waiting.items[i]))
            texts_add(&broken, a, waiting.items[i]);
    ret->broken = broken;
    if (broken.count)
        return arena_printf(a, "tests that passed before do not pass any more, cannot be loaded or are gone: %s. Leave "
                               "them as they are; new tests that need something absent go into a file of their own",
                            texts_join(&broken, a, ", ", 5));
    struct sorting sorted = { .advice = NULL };
    for (size_t i = 0; i < ret->tests.count; i++) {
        const char *id = ret->tests.items[i];
        const struct test_result *t = results_find(&q->run->results, id);
        if (t && t->outcome == TEST_PASSED)
            texts_add(&ret->passing, a, id);
        else
            sort_failure(a, q, id, &sorted, ret);
    }
    if (ret->passing.count) {
        ret->passes_at_once = ret->passing.count == ret->tests.count;
        return arena_printf(a, "new tests pass at once, without any new code: %s. Where part of the criterion holds "
                               "already, leave that test out and test the part that does not hold yet; the review is told what was left out",
                            texts_join(&ret->passing, a, ", ", 5));
    }
    if (sorted.wrong.count)
        return arena_printf(a, "new tests fail, but neither at an assertion, nor by an error inside production code, "
                               "nor because something is absent that this ticket will create: %s (%s)", texts_join(&sorted.wrong, a, ", ", 5), sorted.advice ? sorted.advice : "");
    ret->reason = sorted.absence ? RED_ABSENCE : sorted.error ? RED_ERROR : RED_ASSERTION;
    return "";
}

/* ---- Developer ---- */

/* The program's build is a result as well, but no test. */
static int64_t count_tests(const struct texts *ids)
{
    return (int64_t)ids->count - texts_has(ids, STACK_BUILD_ID);
}

const char *developer_is_satisfactory(struct arena *a, const struct green_question *q, struct green_judgement *ret)
{
    *ret = (struct green_judgement){
        .failing = failing_list(a, q->run),
        .broken = not_passed(a, q->run, q->must_pass, ""),
        .still_failing = not_passed(a, q->run, q->tests, ""),
    };
    const char *fault = worthless(a, q->run);
    ret->wanted = count_tests(q->tests) + count_tests(q->must_pass);
    ret->open = *fault ? ret->wanted : count_tests(&ret->still_failing) + count_tests(&ret->broken);
    if (*fault)
        return fault;
    if (texts_has(&ret->broken, STACK_BUILD_ID))
        return "the program does not build any more; " STACK_BUILD_ID " shows what the tools say";
    if (ret->still_failing.count)
        return arena_printf(a, "these tests still fail: %s", texts_join(&ret->still_failing, a, ", ", 8));
    if (ret->broken.count)
        return arena_printf(a, "tests that passed before fail now: %s", texts_join(&ret->broken, a, ", ", 8));
    return "";
}

/* ---- PM ---- */

const char *pm_wrote_specification(struct arena *a, const char *spec)
{
    struct err e;
    const char *text;
    if (spec_read(a, spec, strlen(spec), &text, &e) < 0)
        return arena_strdup(a, e.text);
    return text[strspn(text, " \n")] == '#' ? "" : "the specification must begin with a title line (# Name)";
}

const char *pm_leaves_out(struct arena *a, const char *idea, const char *spec)
{
    struct texts missing = { 0 };
    size_t significant = 0;
    const char *word;
    for (const char *p = idea; (word = next_telling_word(a, &p));) {
        significant++;
        if (!mentions_word(spec, word) && !texts_has(&missing, word))
            texts_add(&missing, a, word);
    }
    /* Paraphrase is allowed: a third may be said in other words. */
    return missing.count * 3 > significant ? texts_join(&missing, a, ", ", 12) : "";
}

const char *pm_is_satisfactory(struct arena *a, const char *idea, const char *spec)
{
    const char *fault = pm_wrote_specification(a, spec), *missing = *fault ? "" : pm_leaves_out(a, idea, spec);
    return *missing ? arena_printf(a, "the specification does not speak of: %s. Cover everything the person said", missing) : fault;
}
