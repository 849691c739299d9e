/* hand_over.c - the result: a clone, or branches in the person's repository. */
#include "team/talk.h"

/* A branch that is in use there, or was changed there, is the person's to move. */
static void note_left_alone(struct talk *k, const char *branch, const char *why, struct str *note)
{
    str_addf(note, "%s was left alone: %s.\n  `tandem resume` tries again; this brings what is new as FETCH_HEAD:\n  git -C ", branch, why);
    str_add_shell_word(note, k->project.source);
    str_add(note, " fetch ");
    str_add_shell_word(note, project_repo_path(k->arena, k->team->home, k->id));
    str_addf(note, " %s\n", branch);
}

static int give_branch(struct talk *k, const char *branch, struct str *note, struct err *e)
{
    struct repo *repo = k->site->repo;
    const char *known = arena_printf(k->arena, "refs/tandem/source/%s", branch);
    struct oid ours, before = { "" };
    int r = repo_ref(repo, arena_printf(k->arena, "refs/heads/%s", branch), &ours, e);
    if (r == 0 && repo_ref(repo, known, &before, NULL) < 0)
        before.hex[0] = '\0';
    if (r == 0)
        r = repo_export(repo, k->project.source, branch, &before, &ours, e);
    if (r == ERR_BUSY || r == ERR_CONFLICT) {
        note_left_alone(k, branch, e->text, note);
        return 0;
    }
    return r < 0 ? r : repo_ref_move(repo, known, NULL, &ours, e);
}

static int give_back(struct talk *k, const char **ret_note, struct err *e)
{
    STR_LOCAL(note);
    struct store_found found;
    int r = project_functionalities(k->team->store, k->arena, k->id, &found, e);
    const struct functionality *f = found.docs;
    for (size_t i = 0; r == 0 && i < found.count; i++)
        r = give_branch(k, f[i].branch, &note, e);
    if (r == 0)
        r = give_branch(k, "DEV", &note, e);
    if (r == 0)
        *ret_note = arena_strndup(k->arena, note.data, note.len);
    return r;
}

/* The directory may be there already, from before a crash. */
static int make_clone(struct talk *k, struct err *e)
{
    int r = repo_clone_out(k->site->repo, k->project.out, "DEV", e);
    if (r == ERR_EXISTS && repo_is_cloned(k->site->repo, k->project.out, "DEV"))
        return 0;
    return r != ERR_EXISTS ? r : err_set(e, ERR_EXISTS, "%s is not empty any more; all is built: tandem resume %s --out DIR puts "
                                                        "the result elsewhere", k->project.out, k->id);
}

int team_hand_over(struct team *t, struct arena *a, const char *project, const char **ret_note, struct err *e)
{
    struct talk k;
    int r = talk_begin(t, a, project, &k, e);
    if (r < 0)
        return r;
    *ret_note = "";
    if (!k.project.handed_over)
        r = *k.project.source ? give_back(&k, ret_note, e) : make_clone(&k, e);
    if (r == 0 && !k.project.handed_over && !**ret_note) {
        k.project.handed_over = true;
        r = talk_end(&k, role_names[ROLE_ENGINE], "project.handed-over", NULL, NULL, e);
    }
    batch_free(k.batch);
    return r;
}
