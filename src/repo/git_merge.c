/* git_merge.c - three-way merges, by `git merge-tree --write-tree` (merge-ort).
 *
 * It needs neither a working tree nor an index, and says which paths conflict.  It labels
 * the two sides with the names it was given, which here are commit ids; those hold times,
 * so they are replaced by "ours" and "theirs": what is in a conflict goes into a prompt,
 * and prompts are the same bytes each time.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/set.h"

const char *merge_relabel_path(struct arena *a, const struct merge_sides *s, const char *path)
{
    const struct oid *ids[] = { s->ours, s->theirs };
    static const char *const names[] = { "ours", "theirs" };
    for (size_t i = 0; i < 2; i++) {
        const char *tilde = strstr(path, arena_printf(a, "~%s", ids[i]->hex));
        if (tilde)
            return arena_printf(a, "%.*s~%s%s", (int)(tilde - path), path, names[i],
                                tilde + 1 + strlen(ids[i]->hex));
    }
    return path;
}

static void relabel_text(struct str *out, const struct merge_sides *s, const char *text, size_t len)
{
    STR_LOCAL(ours);
    STR_LOCAL(theirs);
    str_addf(&ours, "<<<<<<< %s", s->ours->hex);
    str_addf(&theirs, ">>>>>>> %s", s->theirs->hex);
    for (const char *line = text, *end = text + len; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next + 1 : end;
        if ((size_t)(next - line) > ours.len && memcmp(line, ours.data, ours.len) == 0) {
            str_add(out, "<<<<<<< ours");
            line += ours.len;
        } else if ((size_t)(next - line) >= theirs.len && memcmp(line, theirs.data, theirs.len) == 0) {
            str_add(out, ">>>>>>> theirs");
            line += theirs.len;
        }
        str_add_bytes(out, line, (size_t)(next - line));
        line = next;
    }
}

struct relabelled {
    struct tree_change *changes;
    size_t count;
};

static int relabel_one(struct repo *r, struct arena *a, const struct merge_sides *s, const struct tree *tree,
                       const char *path, const char *new_path, struct relabelled *out, struct err *e)
{
    const struct tree_file *f = tree_find(tree, path);
    if (!f || f->symlink)
        return 0; /* deleted on one side; or nothing in it to relabel */
    const char *bytes;
    size_t len;
    int code = repo_blob(r, a, &f->oid, &bytes, &len, e);
    if (code < 0)
        return code;
    STR_LOCAL(text);
    relabel_text(&text, s, bytes, len);
    bool moved = !streq(path, new_path);
    if (!moved && text.len == len)
        return 0;
    if (moved)
        out->changes[out->count++] = (struct tree_change){ .path = path };
    out->changes[out->count++] = (struct tree_change){ .path = new_path, .bytes = arena_strndup(a, text.data, text.len),
                                                       .len = text.len, .executable = f->executable };
    return 0;
}

static int relabel(struct repo *r, struct arena *a, const struct merge_sides *s, struct merge_result *m, struct err *e)
{
    struct tree tree;
    struct texts names = { 0 };
    int code = repo_tree(r, a, &m->tree, &tree, e);
    struct relabelled out = { ARENA_ARRAY(a, struct tree_change, 2 * m->conflicts.count + 1), 0 };
    for (size_t i = 0; i < m->conflicts.count && code == 0; i++) {
        const char *path = m->conflicts.items[i], *new_path = merge_relabel_path(a, s, path);
        texts_add(&names, a, new_path);
        code = relabel_one(r, a, s, &tree, path, new_path, &out, e);
    }
    m->conflicts = names;
    if (code == 0 && out.count)
        code = repo_write_tree(r, &m->tree, out.changes, out.count, &m->tree, e);
    return code;
}

/* "<tree>\0<path>\0<path>\0" */
static int parse_result(const struct repo *r, struct arena *a, const struct str *out, struct merge_result *ret, struct err *e)
{
    oid_set(&ret->tree, out->data, r->hex_len);
    if (out->len <= r->hex_len || out->data[r->hex_len] || !oid_valid(r, &ret->tree))
        return err_set(e, ERR_CORRUPT, "git merge-tree answered \"%.100s\"", out->data);
    struct set conflicts = SET_IN(a);
    for (const char *p = out->data + r->hex_len + 1; p < out->data + out->len; p += strlen(p) + 1)
        if (*p)
            set_add(&conflicts, p);
    ret->conflicts = conflicts.texts;
    return 0;
}

int repo_merge(struct repo *r, struct arena *a, const struct oid *ours, const struct oid *theirs,
               struct merge_result *ret, struct err *e)
{
    OBJECT_LOCAL(one);
    OBJECT_LOCAL(other);
    int code = object_get(r, ours, OBJECT_COMMIT, &one, e);
    if (code == 0)
        code = object_get(r, theirs, OBJECT_COMMIT, &other, e);
    if (code < 0)
        return err_prefix(e, "cannot merge");
    struct timespec since = sync_mark();
    struct process_result p;
    struct git_call call = { .git_dir = r->path,
                             .args = GIT_ARGS("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages",
                                              ours->hex, theirs->hex),
                             .also_ok = 1 };
    struct err why;
    code = git_run(&call, &p, &why);
    if (code < 0 && strstr(why.text, "unrelated histories"))
        return err_set(e, ERR_INVALID, "%s and %s have no commit in common and cannot be merged", ours->hex, theirs->hex);
    if (code < 0)
        return err_set(e, code, "%s", why.text);
    struct merge_result m = { .tree = { "" } };
    code = parse_result(r, a, &p.out, &m, e);
    if (code == 0 && p.status == 1 && !m.conflicts.count)
        code = err_set(e, ERR_CORRUPT, "git merge-tree found conflicts and did not name them");
    process_result_release(&p);
    if (code == 0)
        code = sync_objects(r, since, e);
    if (code == 0 && m.conflicts.count)
        code = relabel(r, a, &(struct merge_sides){ ours, theirs }, &m, e);
    if (code == 0)
        *ret = m;
    return code;
}
