/* hand_over.c - the result: a clone, or branches in the person's repository.
 *
 * What DEV has when the team comes to an end is handed over, also when tickets are blocked; what
 * a later sitting adds is brought to the same place.  refs/tandem/source/<branch> is where we left
 * a branch there.  It moves on from that commit or from a later one of ours (a kill before we
 * could note it, or the person fetched it); from any other it is the person's to move.
 */
#include "team/talk.h"

#include "base/failpoint.h"

/* What is under way. */
struct handing {
    struct talk k;
    struct repo *repo;
    const char *place; /* the person's repository, or the clone */
    struct str note;
    bool left_alone;   /* some branch was, for the reason in the note; */
    bool dev_waits;    /* DEV was */
};

static const char *local_ref(struct handing *h, const char *branch)
{
    return arena_printf(h->k.arena, "refs/heads/%s", branch);
}

static const char *known_ref(struct handing *h, const char *branch)
{
    return arena_printf(h->k.arena, "refs/tandem/source/%s", branch);
}

/* ---- one branch ---- */

/* It is in use there, or was changed there. */
static void note_left_alone(struct handing *h, const char *branch, const char *why, const char *checked_out)
{
    bool can_pull = *checked_out == '/'; /* not "a rebase or bisect" */
    str_addf(&h->note, "%s was left alone: %s.\n  `tandem resume %s` tries again; this %s:\n  git -C ", branch, why, h->k.id,
             can_pull ? "merges what is new there" : "brings what is new as FETCH_HEAD");
    str_add_shell_word(&h->note, can_pull ? checked_out : h->place);
    str_add(&h->note, can_pull ? " pull --no-rebase " : " fetch ");
    str_add_shell_word(&h->note, project_repo_path(h->k.arena, h->k.team->home, h->k.id));
    str_addf(&h->note, " %s\n", branch);
    h->left_alone = true;
    h->dev_waits |= streq(branch, "DEV");
}

static bool comes_after(struct handing *h, const struct oid *since, const struct oid *commit)
{
    bool after = false;
    return repo_is_ancestor(h->repo, since, commit, &after, NULL) == 0 && after;
}

/* Whether we made what stands there, after what we know of (a DEV that is replaced is not before it). */
static bool is_later(struct handing *h, const struct oid *known, const struct oid *there, const struct oid *ours)
{
    const struct oid base = oid_of(h->k.project.base), *since = comes_after(h, known, ours) ? known : &base;
    struct commit_info info;
    return !streq(there->hex, since->hex) && repo_commit_info(h->repo, h->k.arena, there, &info, NULL) == 0 &&
           comes_after(h, since, there) && comes_after(h, there, ours);
}

static int give(struct handing *h, const char *branch, const struct oid *from, const struct oid *to, struct err *e)
{
    return *h->k.project.source ? repo_export(h->repo, h->place, branch, from, to, e) : repo_forward(h->repo, h->place, branch, from, to, e);
}

/* What seems to be in the way may be nothing, at a closer look. */
static int give_looking(struct handing *h, const char *branch, const struct oid *known, const struct oid *ours, struct peek *there,
                        struct err *e)
{
    int r = give(h, branch, known, ours, e);
    if ((r != ERR_BUSY && r != ERR_CONFLICT) || repo_peek(h->repo, h->k.arena, h->place, branch, ours, there, NULL) < 0)
        return r;
    if (there->has)
        return 0;
    return r == ERR_CONFLICT && is_later(h, known, &there->tip, ours) ? give(h, branch, &there->tip, ours, e) : r;
}

static int give_branch(struct handing *h, const char *branch, struct err *e)
{
    struct oid ours, known = { "" };
    struct peek there = { .checked_out = "" };
    int r = repo_ref(h->repo, local_ref(h, branch), &ours, e);
    if (r == ERR_NOT_FOUND)
        return 0; /* not begun */
    if (r == 0 && repo_ref(h->repo, known_ref(h, branch), &known, NULL) < 0)
        known.hex[0] = '\0';
    if (r < 0 || streq(known.hex, ours.hex))
        return r;
    r = give_looking(h, branch, &known, &ours, &there, e);
    if (r == ERR_BUSY || r == ERR_CONFLICT) {
        note_left_alone(h, branch, e->text, there.checked_out);
        return 0;
    }
    return r < 0 ? r : repo_ref_move(h->repo, known_ref(h, branch), NULL, &ours, e);
}

/* ---- all of them ---- */

static int note_given(struct handing *h, const char *branch, struct err *e)
{
    struct oid ours;
    int r = repo_ref(h->repo, local_ref(h, branch), &ours, e);
    if (r == ERR_NOT_FOUND)
        return 0;
    return r < 0 ? r : repo_ref_move(h->repo, known_ref(h, branch), NULL, &ours, e);
}

/* Those of the functionalities, then DEV. */
static int each_branch(struct handing *h, int (*fn)(struct handing *h, const char *branch, struct err *e), struct err *e)
{
    struct store_found found;
    int r = project_functionalities(h->k.team->store, h->k.arena, h->k.id, &found, e);
    const struct functionality *f = found.docs;
    for (size_t i = 0; r == 0 && i < found.count; i++)
        r = fn(h, f[i].branch, e);
    return r < 0 ? r : fn(h, "DEV", e);
}

/* The commit that the work started from is nowhere else: we made it. */
static bool is_our_clone(struct handing *h)
{
    struct peek there;
    const struct oid base = oid_of(h->k.project.base);
    return repo_peek(h->repo, h->k.arena, h->place, "DEV", &base, &there, NULL) == 0 && there.holds;
}

/* The directory may be there already: from an earlier time, or from before a crash. */
static int to_clone(struct handing *h, struct err *e)
{
    const struct project *p = &h->k.project;
    int r = repo_clone_out(h->repo, p->out, "DEV", e);
    if (r == 0 && *p->handed_commit)
        str_addf(&h->note, "The clone was gone; %s is a new one.\n", p->out);
    if (r == 0)
        return each_branch(h, note_given, e);
    if (r != ERR_EXISTS)
        return r;
    if (is_our_clone(h))
        return each_branch(h, give_branch, e);
    return err_set(e, ERR_EXISTS, "%s is %s any more; %s: tandem resume %s --out DIR puts the result elsewhere", p->out,
                   *p->handed_commit ? "not the clone" : "not empty", p->state == PROJECT_DONE ? "all is built" : "what is finished waits",
                   h->k.id);
}

static int record_it(struct handing *h, const struct oid *dev, struct err *e)
{
    failpoint("team.handed_over");
    h->k.project.handed_commit = arena_strdup(h->k.arena, dev->hex);
    return talk_end(&h->k, role_names[ROLE_ENGINE], "project.handed-over", "commit", dev->hex, e);
}

static int hand_over(struct handing *h, struct handed *ret, struct err *e)
{
    const struct project *p = &h->k.project;
    struct oid dev = { "" };
    int r = repo_ref(h->repo, "refs/heads/DEV", &dev, e);
    if (r < 0 && r != ERR_NOT_FOUND)
        return r;
    struct oid main;
    if (r == 0 && repo_ref(h->repo, local_ref(h, p->branch), &main, NULL) == 0)
        ret->released = streq(main.hex, dev.hex) || comes_after(h, &dev, &main);
    ret->nothing = r == ERR_NOT_FOUND || (p->state != PROJECT_DONE && streq(dev.hex, p->base));
    if (ret->nothing || streq(dev.hex, p->handed_commit))
        return 0;
    r = *p->source ? each_branch(h, give_branch, e) : to_clone(h, e);
    return r < 0 || h->left_alone ? r : record_it(h, &dev, e);
}

int team_hand_over(struct team *t, struct arena *a, const char *project, struct handed *ret, struct err *e)
{
    struct handing h = { .dev_waits = false };
    *ret = (struct handed){ .note = "" };
    int r = talk_begin(t, a, project, &h.k, e);
    if (r < 0)
        return r;
    h.repo = h.k.site->repo;
    h.place = *h.k.project.source ? h.k.project.source : h.k.project.out;
    str_init(&h.note);
    struct house_name place = { .id = h.place }; /* two projects may have been given the same one */
    r = house_wait_name(t->house, &place, team_cancel(t), e);
    if (r == 0) {
        r = hand_over(&h, ret, e);
        house_give_name(t->house, &place);
    }
    ret->note = arena_strndup(a, h.note.data, h.note.len);
    ret->waits = h.dev_waits;
    str_release(&h.note);
    batch_free(h.k.batch);
    return r;
}
