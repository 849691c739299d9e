/* ticket_base.c - what a ticket builds on, brought together.
 *
 * What it builds on is merged in plan order, so that the base does not depend on what other
 * pairs are doing at that moment.  As a rule git does that.  Tickets of one functionality
 * contain each other; those of two may conflict, and then the merge is made like any other:
 * by the Developer under the suite, or by a person.  The ticket's branch and `base` stand at
 * what is merged so far.
 */
#include "team/ticket_base.h"

#include "team/attempt.h"
#include "team/commit.h"
#include "team/merge.h"
#include "team/render.h"

int base_fold(struct step *s, struct oid *base, const char *other_hex, const char **ret_conflict, struct err *e)
{
    struct repo *repo = s->site->repo;
    struct oid other = oid_of(other_hex);
    bool contains = false;
    *ret_conflict = "";
    int r = repo_is_ancestor(repo, &other, base, &contains, e);
    if (r < 0 || contains)
        return r;
    r = repo_is_ancestor(repo, base, &other, &contains, e);
    if (r < 0)
        return r;
    if (contains) {
        *base = other;
        return 0;
    }
    struct merge_result merged;
    r = repo_merge(repo, s->arena, base, &other, &merged, e);
    if (r < 0)
        return r;
    if (merged.conflicts.count) {
        *ret_conflict = render_list(s->arena, &merged.conflicts, "");
        return 0;
    }
    struct merge_judged judged = { base->hex, other.hex, merged.tree.hex, "one side", "the other" };
    r = merge_keeps_tests(s->site, s->arena, &judged, ret_conflict, e);
    if (r < 0 || **ret_conflict)
        return r;
    struct commit_info info;
    r = repo_commit_info(repo, s->arena, &other, &info, e);
    if (r < 0)
        return r;
    struct commit_intent c = {
        .tree = merged.tree, .parents = { *base, other }, .time_s = info.time_s,
        .message = arena_printf(s->arena, "Merge what %s builds on\n\nTicket: %s\n", s->task.ticket, s->task.ticket),
    };
    return repo_commit(repo, &c, base, e);
}

static bool builds_on(struct step *s, const struct ticket *other)
{
    return texts_has(&s->ticket.after, arena_printf(s->arena, "T-%lld", (long long)other->number));
}

int base_find(struct step *s, struct oid *ret, const struct ticket **ret_other, struct err *e)
{
    struct store_found found;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    if (r < 0)
        return r;
    struct oid base = oid_of(*s->ticket.base ? s->ticket.base : s->project.base);
    const struct ticket *tickets = found.docs, *other = NULL;
    for (size_t i = 0; i < found.count && !other; i++) {
        const char *conflict;
        if (!builds_on(s, &tickets[i]))
            continue;
        r = base_fold(s, &base, tickets[i].merged, &conflict, e);
        if (r < 0)
            return r;
        if (*conflict)
            other = &tickets[i];
    }
    *ret = base;
    *ret_other = other;
    return 0;
}

int base_must_pass(struct step *s, const struct ticket *other, struct set *to, struct err *e)
{
    struct store_found found;
    int r = project_tickets(s->team->store, s->arena, s->project_id, &found, e);
    const struct ticket *tickets = found.docs;
    for (size_t i = 0; r == 0 && i < found.count; i++)
        if (builds_on(s, &tickets[i]) && tickets[i].number <= other->number)
            ticket_add_tests(&tickets[i], to);
    return r;
}

int base_merged(struct step *s, const char *commit, struct err *e)
{
    struct conversation_use *c;
    /* The ticket's own work begins with a fresh context. */
    int r = conversation_open(s, ROLE_DEVELOPER, &c, e);
    if (r < 0)
        return r;
    conversation_restart(c);
    s->ticket.base = s->ticket.head = commit;
    s->ticket.attempt = 0;
    s->ticket_changed = true;
    return 0;
}

static int complete(struct step *s, struct err *e)
{
    const char *commit;
    int r = commit_make(s, &commit, e);
    if (r == 0)
        r = base_merged(s, commit, e);
    s->end = STEP_AGAIN; /* there may be more */
    return r;
}

int base_merge(struct step *s, const struct oid *base, const struct ticket *other, struct err *e)
{
    if (commit_pending(s))
        return complete(s, e);
    struct set must_pass = SET_IN(s->arena);
    struct merge_made made;
    const char *ours = arena_strdup(s->arena, base->hex), *ref = arena_printf(s->arena, "refs/heads/%s", s->ticket.branch);
    struct merge_wish w = {
        .ours = ours, .theirs = other->merged, .ours_name = s->ticket.branch, .theirs_name = other->branch,
        .step_name = arena_printf(s->arena, "start-%lld", (long long)other->number),
        .must_pass = &must_pass.texts, .hint = s->ticket.hint, .attempt = s->ticket.attempt,
    };
    int r = repo_ref_move(s->site->repo, ref, NULL, base, e);
    s->ticket.base = s->ticket.head = ours;
    s->ticket_changed = true;
    if (r == 0)
        r = base_must_pass(s, other, &must_pass, e);
    if (r == 0)
        r = merge_attempt(s, &w, &made, e);
    if (r < 0)
        return r;
    if (!*made.tree) {
        merge_failed(s, &s->ticket.attempt, &made,
                     arena_printf(s->arena, "what it builds on (%s) changes the same places and cannot be merged",
                                  render_list(s->arena, &s->ticket.after, "")));
        return 0;
    }
    json_t *payload = json_object();
    json_put_text(payload, "run", made.run_id);
    json_put_text(payload, "with", other->merged);
    struct commit_wish c = {
        .ref = ref, .expected = ours, .tree = made.tree, .parent = ours, .second_parent = other->merged,
        .verb = "", .text = arena_printf(s->arena, "Merge what %s builds on: %s", s->task.ticket, other->branch),
        .event_kind = "base.witnessed", .payload = payload,
    };
    r = commit_intend(s, &c, e);
    return r < 0 ? r : complete(s, e);
}
