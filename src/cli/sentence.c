/* sentence.c - words for events.
 *
 * One table from kind to words; the payload's telling members follow.
 */
#include "cli/sentence.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/str.h"

static const struct { const char *kind, *words; } table[] = {
    { "project.created", "project begun" },
    { "repository.dirty", "the repository has changes that are not committed: they stay there and are not built upon" },
    { "repository.failing", "tests of the repository did not pass before anything was changed" },
    { "sandbox.none", "NO SANDBOX, the project's code runs unprotected" },
    { "work.resumed", "work goes on" },
    { "work.stopped", "stopped by a person" },
    { "project.done", "every functionality is in DEV" },
    { "project.blocked", "cannot go on" },
    { "project.retried", "started again" },
    { "spec.written", "spec written" },
    { "spec.doubted", "the specification may leave out what was asked for, it does not speak of" },
    { "spec.approved", "spec approved" },
    { "spec.edited", "spec edited" },
    { "spec.change-asked", "a change of the spec was asked for" },
    { "plan.written", "plan made" },
    { "plan.approved", "plan approved" },
    { "plan.edited", "plan edited" },
    { "plan.change-asked", "a change of the plan was asked for" },
    { "ticket.started", "begun" },
    { "ticket.scoped", "scope fixed" },
    { "red.witnessed", "red witnessed" },
    { "red.refused", "red refused" },
    { "red.taken-back", "red taken back, the Developer objects" },
    { "green.witnessed", "green witnessed" },
    { "green.refused", "green refused" },
    { "criterion.met", "criterion is met already" },
    { "criterion.dropped", "criterion dropped by the Architect" },
    { "criterion.reworded", "criterion put into other words by the Architect" },
    { "work.witnessed", "work done, the suite still passes" },
    { "work.refused", "work refused" },
    { "refactoring.witnessed", "refactored, the suite still passes" },
    { "refactor.refused", "refactoring refused" },
    { "refactoring.dropped", "refactoring dropped" },
    { "task.waits", "finished, waits to be merged after" },
    { "coverage.short", "coverage is short" },
    { "test.flaky", "a test changed its mind and is named as flaky" },
    { "dependencies.installed", "dependencies installed" },
    { "dependencies.failed", "dependencies cannot be installed" },
    { "attempt.hinted", "tries again with a hint" },
    { "attempt.sampled", "tries again, with more variety" },
    { "attempt.fresh", "begins with a fresh context" },
    { "attempt.heavier", "asks the heavier model" },
    { "merge.refused", "merge refused" },
    { "model.failed", "a model did not answer" },
    { "conversation.renewed", "the conversation grew too long for the model and begins anew" },
    { "base.witnessed", "what it builds on is merged" },
    { "merge.witnessed", "merged with what its functionality has meanwhile" },
    { "conflict.opened", "conflict opened for a person" },
    { "merge.resolved", "merged by a person, the suite passes" },
    { "ticket.integrated", "measured, to the review" },
    { "review.accepted", "review: accepted" },
    { "review.commented", "review: sent back" },
    { "ticket.done", "done and merged" },
    { "ticket.blocked", "blocked" },
    { "ticket.retried", "started again" },
    { "functionality.accepted", "functionality accepted" },
    { "functionality.commented", "functionality's review asks for more" },
    { "functionality.delivered", "functionality merged into DEV" },
    { "functionality.blocked", "functionality blocked" },
    { "functionality.retried", "started again" },
    { "blocked", "blocked" },
    { "project.models-set", "other models were named" },
    { "project.out-set", "another directory for the result was named" },
    { "project.handed-over", "the result is handed over" },
    { "release.made", "released" },
};

static const char *words_for(const char *kind)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (streq(table[i].kind, kind))
            return table[i].words;
    return NULL;
}

static void add_comments(struct str *out, const json_t *comments)
{
    size_t i;
    json_t *c;
    if (json_array_size(comments) > 1)
        str_addf(out, " with %zu comments", json_array_size(comments));
    json_array_foreach((json_t *)comments, i, c)
        str_addf(out, "%s%s", i ? "; " : ": ", json_text_of(c, "text", ""));
}

/* "units.py:3: == -> !=": `==` became `!=` there, and the tests noticed. */
static void add_mutation(struct str *out, const char *mutation)
{
    const char *arrow = strstr(mutation, " -> "), *line = strchr(mutation, ':'), *what = line ? strchr(line + 1, ' ') : NULL;
    if (!arrow || !what || what >= arrow)
        return;
    str_addf(out, ", for its tests fail when `%.*s` becomes `%s` in %.*s", (int)(arrow - what - 1), what + 1, arrow + 4,
             (int)(what - mutation - 1), mutation);
}

static void add_payload(struct str *out, const json_t *p)
{
    int64_t criterion = json_int_of(p, "criterion", 0);
    if (criterion)
        str_addf(out, ", criterion %lld", (long long)criterion);
    const char *reason = json_text_of(p, "reason", "");
    if (*reason)
        str_addf(out, " by %s", reason);
    const json_t *tests = json_object_get(p, "tests");
    if (tests)
        str_addf(out, " (%zu test%s)", json_array_size(tests), json_array_size(tests) == 1 ? "" : "s");
    add_mutation(out, json_text_of(p, "mutation", ""));
    static const char *const telling[] = { "fault", "why", "test", "wish", "hint", "new", "for" };
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++) {
        const char *text = json_text_of(p, telling[i], "");
        if (*text)
            str_addf(out, ": %s", text);
    }
    add_comments(out, json_object_get(p, "comments"));
}

const char *event_sentence(struct store *s, struct arena *a, const struct event *ev, bool all)
{
    const char *words = words_for(ev->kind);
    if (!words && !all)
        return NULL;
    STR_LOCAL(out);
    if (ev->ticket && *ev->ticket)
        str_addf(&out, "%s ", ev->ticket);
    str_add(&out, words ? words : ev->kind);
    const char *text;
    size_t len;
    json_t *payload;
    if (*ev->payload && store_blob(s, a, ev->payload, &text, &len, NULL) == 0 &&
        json_parse(a, text, len, &payload, NULL) == 0)
        add_payload(&out, payload);
    return arena_strndup(a, out.data, out.len);
}
