/* proof_base.c - is a ticket's base what the ticket builds on, and nothing else?
 *
 * From the base back, by first parents, stand merges that were made for this ticket alone
 * (ticket_base.c), each of which brings in one ticket that it builds on; then comes a commit
 * that was there before: such a ticket's merge, or where the project starts.  A merge that
 * the Developer or a person made has an event behind it, which names the tree, and the tree
 * passes the tests of what it brings together.  One that git made has none: git would make
 * it again, but verify only reads, and so its parents alone are looked at.  All leave tests as
 * they are.
 */
#include "team/proof.h"

static bool builds_on(const struct proof *p, const struct ticket *t, const struct ticket *other)
{
    return *other->merged && texts_has(&t->after, arena_printf(p->arena, "T-%lld", (long long)other->number));
}

/* The ticket it builds on that was merged by this commit; NULL: none was. */
static const struct ticket *merged_by(const struct proof *p, const struct ticket *t, const char *commit)
{
    for (size_t i = 0; i < p->tickets.count; i++)
        if (builds_on(p, t, proof_ticket(p, i)) && streq(proof_ticket(p, i)->merged, commit))
            return proof_ticket(p, i);
    return NULL;
}

/* What it builds on up to `last`, in plan order, passes on the tree. */
static void claim_merge(struct proof *p, const struct ticket *t, const char *about, const struct ticket *last, const char *commit,
                        const char *tree)
{
    struct set tests = SET_IN(p->arena);
    for (size_t i = 0; i < p->tickets.count && proof_ticket(p, i)->number <= last->number; i++)
        if (builds_on(p, t, proof_ticket(p, i)))
            ticket_tests(proof_ticket(p, i), &tests);
    claim_add(p, &(struct claim){ .kind = CLAIM_WHOLE, .about = about, .tree = arena_strdup(p->arena, tree), .ticket = t, .tests = tests.texts,
                                  .what = arena_printf(p->arena, "the merge %.12s in its base", commit) });
}

static void look_at_witness(struct proof *p, const struct ticket *t, const char *about, const struct ticket *other, const char *commit,
                            const struct commit_info *info)
{
    const struct witness *w = NULL;
    bool by_hand = witness_behind(p, info, &w);
    merge_look(p, about, commit, info, w);
    if (!by_hand)
        return; /* by git */
    if (!w)
        proof_fault(p, about, 0, "the merge %.12s in its base rests on an event that the log does not have", commit);
    else if (!streq(w->ticket, about) || !(streq(w->kind, "base.witnessed") || streq(w->kind, "merge.resolved")))
        proof_fault(p, about, 0, "the merge %.12s in its base rests on event %lld, which is \"%s\" of %s", commit, (long long)w->seq,
                    w->kind, w->ticket);
    else if (!streq(w->tree, info->tree.hex))
        proof_fault(p, about, 0, "the merge %.12s in its base has the tree %.12s, but event %lld witnessed %.12s", commit, info->tree.hex,
                    (long long)w->seq, w->tree);
    else if (!streq(json_text_of(w->payload, "with", ""), other->merged))
        proof_fault(p, about, 0, "the merge %.12s in its base brings in T-%lld, but event %lld witnessed %.12s", commit,
                    (long long)other->number, (long long)w->seq, json_text_of(w->payload, "with", ""));
    else
        claim_merge(p, t, about, other, commit, info->tree.hex);
}

/* Each merge brings in one more, so that the walk ends. */
static void look_at_merges(struct proof *p, const struct ticket *t, const char *about)
{
    struct oid at = oid_of(t->base);
    for (size_t n = 0; !streq(at.hex, p->project.base) && !merged_by(p, t, at.hex); n++) {
        struct commit_info info;
        struct err e;
        if (repo_commit_info(p->site->repo, p->arena, &at, &info, &e) < 0) {
            proof_fault(p, about, 0, "the commit %.12s of its base cannot be read: %s", at.hex, e.text);
            return;
        }
        const struct ticket *other = merged_by(p, t, info.parents[1].hex);
        if (!other || n >= t->after.count) {
            proof_fault(p, about, 0, "its base %.12s holds the commit %.12s, which brings in nothing that it builds on", t->base, at.hex);
            return;
        }
        p->count->commits++;
        look_at_witness(p, t, about, other, at.hex, &info);
        at = info.parents[0];
    }
}

void base_prove(struct proof *p, const struct ticket *t, const char *about)
{
    struct oid base = oid_of(t->base);
    look_at_merges(p, t, about);
    for (size_t i = 0; t->started_ms && i < p->tickets.count; i++) {
        const struct ticket *other = proof_ticket(p, i);
        struct oid merged = oid_of(other->merged);
        bool contained = false;
        if (builds_on(p, t, other) && (repo_is_ancestor(p->site->repo, &merged, &base, &contained, NULL) < 0 || !contained))
            proof_fault(p, about, 0, "its base %.12s does not hold T-%lld, on which it builds", t->base, (long long)other->number);
    }
}
