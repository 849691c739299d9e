/* whole.c - edits are applied to the tree that the answer is about. */
#include "team/whole.h"

int whole_file(struct step *s, const struct oid *tree, struct answer_file *f, struct edit_use *use, const char **ret_fault,
               struct err *e)
{
    const char *bytes;
    size_t len;
    struct edited made;
    struct err violation;
    *ret_fault = "";
    if (!f->edits.count)
        return 0;
    int r = repo_file(s->site->repo, s->arena, tree, f->path, &bytes, &len, e);
    if (r == ERR_NOT_FOUND)
        bytes = NULL, len = 0;
    else if (r < 0)
        return r;
    use->edits += (int64_t)f->edits.count;
    if (edits_apply(s->arena, bytes, len, &f->edits, &made, &violation) < 0) {
        use->misfit = true;
        use->shown = made.region;
        *ret_fault = arena_printf(s->arena, "%s: %s", f->path, violation.text);
        return 0;
    }
    use->inexact += (int64_t)made.inexact;
    f->bytes = made.bytes;
    f->len = made.len;
    f->edits = (struct edits){ NULL, 0, 0 };
    return 0;
}

void edit_use_note(struct step *s, enum role role, const struct edit_use *use)
{
    if (!use->edits)
        return;
    json_t *payload = json_object();
    json_put_int(payload, "edits", use->edits);
    json_put_int(payload, "inexact", use->inexact);
    json_put_bool(payload, "fitted", !use->misfit);
    json_put_bool(payload, "asked", s->team->options.edits[role]);
    step_event_of(s, role, "answer.edited", payload);
}

struct tree_change *whole_changes(struct arena *a, const struct answer_files *files)
{
    struct tree_change *changes = ARENA_ARRAY(a, struct tree_change, files->count);
    for (size_t i = 0; i < files->count; i++) {
        const struct answer_file *f = &files->files[i];
        changes[i] = (struct tree_change){ .path = f->path, .bytes = f->deleted ? NULL : f->bytes, .len = f->len };
    }
    return changes;
}
