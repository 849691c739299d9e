/* git_diff.c - what differs between two commits or trees.
 *
 * Object to object, never against files, with every program that a configuration or an
 * attribute could name switched off, and with all that varies between repositories and git
 * versions fixed: a diff goes into prompts and must be the same bytes each time.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"

/* The tree of each side, so that the empty one can be named. */
static int side(struct repo *r, const struct oid *commit_or_tree, struct oid *ret, struct err *e)
{
    OBJECT_LOCAL(tree);
    int code = tree_get(r, commit_or_tree, &tree, e);
    if (code < 0)
        return code;
    struct new_object empty = { .type = OBJECT_TREE, .data = "" };
    object_id(r, &empty);
    *ret = tree ? tree->oid : empty.oid;
    return 0;
}

/* The lines "index 1234..5678 100644" say nothing to a reader and much to a token count. */
static void add_without_index_lines(struct str *out, const char *text, size_t len)
{
    for (const char *line = text, *end = text + len; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next + 1 : end;
        if (next - line < 6 || memcmp(line, "index ", 6) != 0)
            str_add_bytes(out, line, (size_t)(next - line));
        line = next;
    }
}

static void cut_at_line(struct str *s, size_t max)
{
    str_truncate(s, max);
    while (s->len && s->data[s->len - 1] != '\n')
        str_truncate(s, s->len - 1);
}

int repo_diff(struct repo *r, const struct oid *from, const struct oid *to, size_t max, struct str *out, struct err *e)
{
    static const char note[] = "(the rest of the diff is left out)\n";
    struct oid a, b;
    int code = side(r, from, &a, e);
    if (code == 0)
        code = side(r, to, &b, e);
    if (code < 0 || oid_same(&a, &b))
        return code;
    struct process_result p;
    struct git_call call = {
        .git_dir = r->path,
        .args = GIT_ARGS("diff-tree", "-r", "-p", "--unified=3", "--find-renames=50%", "-l1000", "--no-ext-diff",
                         "--no-textconv", "--no-color", "--diff-algorithm=myers", "--no-indent-heuristic",
                         "--src-prefix=a/", "--dst-prefix=b/", "--abbrev=12", a.hex, b.hex),
        .max_output = max + max / 2 + 65536, /* index lines are dropped from it */
        .cut_ok = true,
    };
    code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    STR_LOCAL(text);
    add_without_index_lines(&text, p.out.data, p.out.len);
    if (p.end == PROCESS_FLOODED || text.len > max) {
        cut_at_line(&text, max > sizeof note ? max - (sizeof note - 1) : 0);
        str_add(&text, note);
        str_truncate(&text, max);
    }
    process_result_release(&p);
    str_add_str(out, &text);
    return 0;
}

/* "12\t3\tpath\0", "-" for counts of a binary file. */
static void add_stats(struct arena *a, const char *text, size_t len, struct diff_stats *ret)
{
    size_t count = 0;
    for (const char *p = text; p < text + len; p += strlen(p) + 1)
        count++;
    ret->files = ARENA_ARRAY(a, struct diff_stat, count + 1);
    for (const char *p = text; p < text + len; p += strlen(p) + 1) {
        struct diff_stat *f = &ret->files[ret->count];
        const char *path = strchr(p, '\t');
        path = path ? strchr(path + 1, '\t') : NULL;
        if (!path)
            continue;
        if (sscanf(p, "%lld\t%lld\t", &f->added, &f->removed) != 2)
            f->added = f->removed = -1;
        f->path = arena_strdup(a, path + 1);
        ret->count++;
    }
}

int repo_diff_stats(struct repo *r, struct arena *a, const struct oid *from, const struct oid *to, struct diff_stats *ret, struct err *e)
{
    struct oid x, y;
    int code = side(r, from, &x, e);
    if (code == 0)
        code = side(r, to, &y, e);
    if (code < 0)
        return code;
    struct diff_stats stats = { 0 };
    if (!oid_same(&x, &y)) {
        struct process_result p;
        struct git_call call = { .git_dir = r->path,
                                 .args = GIT_ARGS("diff-tree", "-r", "--numstat", "-z", "--no-renames", "--no-ext-diff",
                                                  "--no-textconv", "--diff-algorithm=myers", x.hex, y.hex) };
        code = git_run(&call, &p, e);
        if (code < 0)
            return code;
        add_stats(a, p.out.data, p.out.len, &stats);
        process_result_release(&p);
    }
    *ret = stats;
    return 0;
}
