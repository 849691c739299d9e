/* take_back.c - a red is undone by a commit that is witnessed like any other. */
#include "team/take_back.h"

#include "team/attempt.h"
#include "team/commit.h"

static const char MARK[] = "WRONG TEST:";

const char *take_back_asked(struct arena *a, const struct answer_files *answer)
{
    if (answer->count || !answer->notes)
        return "";
    for (const char *line = answer->notes; *line;) {
        size_t len = strcspn(line, "\n");
        const char *p = line + strspn(line, " \t#*>-");
        if (p < line + len && starts_with(p, MARK)) {
            p += sizeof MARK - 1;
            p += strspn(p, " \t*");
            return arena_strndup(a, p, p < line + len ? (size_t)(line + len - p) : 0);
        }
        line += len + (line[len] == '\n');
    }
    return "";
}

int take_back(struct step *s, size_t index, const struct evidence *red, const char *objection, struct err *e)
{
    struct oid oid = oid_of(red->red_commit);
    struct commit_info info;
    const char *tree;
    int r = repo_commit_info(s->site->repo, s->arena, &oid, &info, e);
    if (r == 0)
        r = tree_of(s, info.parents[0].hex, &tree, e);
    if (r < 0)
        return r;
    struct criterion *c = ticket_criterion(&s->ticket, index);
    c->state = CRITERION_OPEN;
    c->tests = (struct texts){ NULL, 0 };
    c->objection = objection;
    s->ticket_changed = true;
    struct commit_wish w = commit_on_ticket(s, tree);
    w.verb = arena_printf(s->arena, "Take back %zu", index + 1);
    w.text = objection;
    w.event_kind = "red.taken-back";
    w.payload = json_object();
    json_put_int(w.payload, "criterion", (int64_t)index + 1);
    json_put_text(w.payload, "red", red->red_commit);
    json_put_text(w.payload, "why", objection);
    r = commit_intend(s, &w, e);
    return r < 0 ? r : take_back_complete(s, e);
}

int take_back_complete(struct step *s, struct err *e)
{
    const char *commit;
    int r = commit_to_ticket(s, "take-back.committed", &commit, e);
    s->end = STEP_GOTO;
    s->go = playbook_first(&s->site->playbook, FOR_CRITERION)->name;
    return r;
}
