/* hand_over.c - the result: a clone, or branches in the person's repository. */
#include "team/talk.h"

static int give_back(struct talk *k, const char **ret_note, struct err *e)
{
    struct repo_refs refs;
    int r = repo_refs(k->site->repo, k->arena, "refs/heads/", &refs, e);
    if (r < 0)
        return r;
    STR_LOCAL(note);
    for (size_t i = 0; i < refs.count; i++) {
        const char *branch = refs.names[i] + strlen("refs/heads/");
        if (!streq(branch, "DEV") && !starts_with(branch, "feature/"))
            continue;
        struct oid before;
        const char *imported = arena_printf(k->arena, "refs/tandem/source/%s", branch);
        if (repo_ref(k->site->repo, imported, &before, NULL) < 0)
            before.hex[0] = '\0';
        r = repo_export(k->site->repo, k->project.source, branch, &before, &refs.oids[i], e);
        if (r == 0)
            r = repo_ref_move(k->site->repo, imported, NULL, &refs.oids[i], e);
        if (r == ERR_BUSY || r == ERR_CONFLICT)
            str_addf(&note, "%s was left alone: %s\n", branch, e->text);
        else if (r < 0)
            return r;
    }
    *ret_note = arena_strndup(k->arena, note.data, note.len);
    return 0;
}

/* The directory may be there already, from before a crash. */
static int make_clone(struct talk *k, struct err *e)
{
    int r = repo_clone_out(k->site->repo, k->project.out, "DEV", e);
    return r == ERR_EXISTS && repo_is_cloned(k->site->repo, k->project.out, "DEV") ? 0 : r;
}

int team_hand_over(struct team *t, struct arena *a, const char *project, const char **ret_note, struct err *e)
{
    struct talk k;
    int r = talk_begin(t, a, project, &k, e);
    if (r < 0)
        return r;
    *ret_note = "";
    if (!k.project.handed_over) {
        r = *k.project.source ? give_back(&k, ret_note, e) : make_clone(&k, e);
        k.project.handed_over = true;
        if (r == 0)
            r = talk_end(&k, role_names[ROLE_ENGINE], "project.handed-over", NULL, NULL, e);
    }
    batch_free(k.batch);
    return r;
}
