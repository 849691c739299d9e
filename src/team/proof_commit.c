/* proof_commit.c - does every commit rest on an event, and every event's commit stand where
 * it was put?
 *
 * A commit names the event that witnessed it by hash, in its Evidence trailer, and the event
 * names the tree.  The log is chained, so that neither can be exchanged without the other,
 * and nothing behind the event can be changed without the commit.
 */
#include "team/merge.h"
#include "team/proof.h"

#include <stdlib.h>

enum { PAGE = 1000, MAX_WALK = 100000 };

/* ---- events ---- */

static int compare_hash(const void *a, const void *b)
{
    return strcmp(((const struct witness *)a)->hash, ((const struct witness *)b)->hash);
}

static void add_witness(struct proof *p, const struct witness *w)
{
    struct witnesses *all = &p->witnesses;
    ARENA_GROW(p->arena, all->items, all->cap, all->count);
    all->items[all->count++] = *w;
}

/* commit_intend puts both members into the payload, and nobody else. */
static void look_at_event(struct proof *p, const struct event *ev)
{
    const char *text;
    size_t len;
    json_t *payload;
    if (!*ev->payload || starts_with(ev->kind, "task.") || starts_with(ev->kind, "queue."))
        return;
    if (store_blob(p->team->store, p->arena, ev->payload, &text, &len, NULL) < 0 ||
        json_parse(p->arena, text, len, &payload, NULL) < 0)
        return; /* store_verify has said so */
    const char *tree = json_text_of(payload, "tree", "");
    if (!*tree || !*json_text_of(payload, "task", ""))
        return;
    add_witness(p, &(struct witness){ .seq = ev->seq, .hash = ev->hash, .kind = ev->kind, .ticket = ev->ticket,
                                      .tree = tree, .payload = payload });
}

int witnesses_load(struct proof *p, struct err *e)
{
    struct event *events;
    size_t count;
    int64_t after = 0;
    do {
        int r = store_events(p->team->store, p->arena, after, p->id, NULL, NULL, PAGE, &events, &count, e);
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++)
            look_at_event(p, &events[i]);
        after = count ? events[count - 1].seq : after;
    } while (count == PAGE);
    if (p->witnesses.count)
        qsort(p->witnesses.items, p->witnesses.count, sizeof *p->witnesses.items, compare_hash);
    return 0;
}

static const struct witness *witness_find(const struct proof *p, const char *hash)
{
    struct witness key = { .hash = hash };
    if (!p->witnesses.count)
        return NULL;
    return bsearch(&key, p->witnesses.items, p->witnesses.count, sizeof key, compare_hash);
}

/* ---- commits ---- */

/* The value of a trailer: a "Key: value" line of the message's last paragraph. */
static const char *trailer_of(struct arena *a, const char *message, const char *key)
{
    size_t len = strlen(message), key_len = strlen(key);
    while (len && message[len - 1] == '\n')
        len--;
    const char *start = message;
    for (size_t i = 0; i + 1 < len; i++)
        if (message[i] == '\n' && message[i + 1] == '\n')
            start = message + i + 2;
    const char *found = "";
    for (const char *line = start; line < message + len;) {
        size_t n = strcspn(line, "\n");
        if (n > key_len + 2 && memcmp(line, key, key_len) == 0 && memcmp(line + key_len, ": ", 2) == 0)
            found = arena_strndup(a, line + key_len + 2, n - key_len - 2);
        line += n + (line[n] == '\n');
    }
    return found;
}

bool witness_behind(struct proof *p, const struct commit_info *info, const struct witness **ret)
{
    const char *hash = trailer_of(p->arena, info->message, "Evidence");
    *ret = *hash ? witness_find(p, hash) : NULL;
    return *hash;
}

static const struct witness *witness_of(struct proof *p, const struct commit_known *k, const struct commit_info *info)
{
    const struct witness *w;
    if (!witness_behind(p, info, &w)) {
        proof_fault(p, k->about, k->criterion, "the %s commit %.12s has no Evidence trailer", k->name, k->commit);
        return NULL;
    }
    if (!w)
        proof_fault(p, k->about, k->criterion, "the %s commit %.12s rests on an event that the log does not have", k->name, k->commit);
    else if (!streq(w->kind, k->kind) || !streq(w->ticket, k->about))
        proof_fault(p, k->about, k->criterion, "the %s commit %.12s rests on event %lld, which is \"%s\" of %s, not \"%s\" of %s",
                    k->name, k->commit, (long long)w->seq, w->kind, w->ticket, k->kind, k->about);
    else if (!streq(w->tree, info->tree.hex))
        proof_fault(p, k->about, k->criterion, "the %s commit %.12s has the tree %.12s, but event %lld witnessed %.12s", k->name,
                    k->commit, info->tree.hex, (long long)w->seq, w->tree);
    return w;
}

bool commit_holds(struct proof *p, const struct commit_known *k, struct commit_info *ret, const struct witness **ret_witness)
{
    struct oid oid = oid_of(k->commit);
    struct err e;
    *ret_witness = NULL;
    p->count->commits++;
    if (repo_commit_info(p->site->repo, p->arena, &oid, ret, &e) < 0) {
        proof_fault(p, k->about, k->criterion, "the %s commit %.12s cannot be read: %s", k->name, k->commit, e.text);
        return false;
    }
    if (!streq(ret->tree.hex, k->tree))
        proof_fault(p, k->about, k->criterion, "the %s commit %.12s has the tree %.12s, not %.12s as its evidence says", k->name,
                    k->commit, ret->tree.hex, k->tree);
    const char *ticket = trailer_of(p->arena, ret->message, "Ticket");
    if (starts_with(k->about, "T-") && !streq(ticket, k->about))
        proof_fault(p, k->about, k->criterion, "the %s commit %.12s says that it is for %s", k->name, k->commit,
                    *ticket ? ticket : "no ticket");
    *ret_witness = witness_of(p, k, ret);
    return true;
}

/* ---- branches ---- */

static const struct oid *ref_find(const struct proof *p, const char *branch)
{
    const char *ref = arena_printf(p->arena, "refs/heads/%s", branch);
    for (size_t i = 0; i < p->refs.count; i++)
        if (streq(p->refs.names[i], ref))
            return &p->refs.oids[i];
    return NULL;
}

void merge_look(struct proof *p, const char *about, const char *commit, const struct commit_info *info, const struct witness *w)
{
    struct merge_judged judged = { info->parents[0].hex, info->parents[1].hex, info->tree.hex, "its first parent", "its second parent" };
    const char *fault;
    struct err e;
    if (info->parent_count < 2 || !p->site->stack)
        return;
    if (merge_keeps_tests(p->site, p->arena, &judged, &fault, &e) < 0)
        proof_fault(p, about, 0, "what the merge %.12s did to tests cannot be seen: %s", commit, e.text);
    else if (*fault && w && streq(w->kind, "merge.resolved") && *json_text_of(w->payload, "changed_tests", ""))
        proof_note(p, about, "the merge %.12s, which a person made, changes tests: %s", commit, fault);
    else if (*fault)
        proof_fault(p, about, 0, "the merge %.12s changes tests: %s", commit, fault);
}

/* By first parents: what was merged in was walked on its own branch. */
struct texts branch_walk(struct proof *p, const char *about, const char *branch, const char *base)
{
    struct texts commits = { 0 };
    const struct oid *tip = ref_find(p, branch);
    if (!tip) {
        proof_fault(p, about, 0, "the branch %s is gone", branch);
        return commits;
    }
    struct oid at = *tip;
    while (*at.hex && !streq(at.hex, base) && commits.count < MAX_WALK) {
        struct commit_info info;
        struct err e;
        if (repo_commit_info(p->site->repo, p->arena, &at, &info, &e) < 0) {
            proof_fault(p, about, 0, "the commit %.12s of the branch %s cannot be read: %s", at.hex, branch, e.text);
            return commits;
        }
        const struct witness *w;
        witness_behind(p, &info, &w);
        if (!w)
            proof_fault(p, about, 0, "the branch %s holds the commit %.12s, which no event of the log witnessed", branch, at.hex);
        else if (!streq(w->tree, info.tree.hex))
            proof_fault(p, about, 0, "the branch %s holds the commit %.12s with the tree %.12s, but event %lld witnessed %.12s",
                        branch, at.hex, info.tree.hex, (long long)w->seq, w->tree);
        merge_look(p, about, at.hex, &info, w);
        texts_add(&commits, p->arena, arena_strdup(p->arena, at.hex));
        at = info.parents[0];
    }
    if (!*at.hex && *base)
        proof_fault(p, about, 0, "the branch %s does not come from its base %.12s any more", branch, base);
    return commits;
}
