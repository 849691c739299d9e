/* git_tree.c - reading trees.
 *
 * Walked here and not by `git ls-tree`: between two steps most of a tree stays as it is and
 * its objects are in the cache, so that a listing costs no process and hardly any reading.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"

/* "100644 name\0<raw id>".  Old repositories hold modes like 100664: git reads them as
 * one of five kinds, and so do we. */
static int parse_entry(const struct repo *r, const char **at, const char *end, struct tree_entry *ret)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = *at;
    unsigned mode = 0;
    while (p < end && *p >= '0' && *p <= '7' && mode < 01000000)
        mode = mode << 3 | (unsigned)(*p++ - '0');
    if (p == *at || p == end || *p++ != ' ')
        return -1;
    const char *nul = memchr(p, '\0', (size_t)(end - p));
    size_t raw = r->hex_len / 2;
    if (!nul || nul == p || (size_t)(end - nul - 1) < raw)
        return -1;
    *ret = (struct tree_entry){ .name = p, .name_len = (size_t)(nul - p) };
    ret->mode = (mode & 0170000) == 0100000 ? (mode & 0100 ? MODE_EXEC : MODE_FILE) : mode & 0170000;
    if (ret->mode != MODE_DIR && ret->mode != MODE_FILE && ret->mode != MODE_EXEC &&
        ret->mode != MODE_LINK && ret->mode != MODE_GITLINK)
        return -1;
    for (size_t i = 0; i < raw; i++) {
        unsigned char c = (unsigned char)nul[1 + i];
        ret->oid.hex[2 * i] = digits[c >> 4];
        ret->oid.hex[2 * i + 1] = digits[c & 15];
    }
    *at = nul + 1 + raw;
    return 0;
}

int tree_parse(const struct repo *r, struct arena *a, const struct object *tree, struct tree_entry **ret,
               size_t *ret_count, struct err *e)
{
    if (!tree) {
        *ret = NULL;
        *ret_count = 0;
        return 0;
    }
    size_t least = r->hex_len / 2 + 8; /* "40000 x\0" */
    struct tree_entry *entries = ARENA_ARRAY(a, struct tree_entry, tree->len / least + 1);
    size_t count = 0;
    for (const char *at = tree->data, *end = at + tree->len; at < end;)
        if (parse_entry(r, &at, end, &entries[count++]) < 0)
            return err_set(e, ERR_CORRUPT, "the tree %s in %s is damaged", tree->oid.hex, r->path);
    *ret = entries;
    *ret_count = count;
    return 0;
}

int tree_entry_compare(const struct tree_entry *a, const struct tree_entry *b)
{
    size_t least = a->name_len < b->name_len ? a->name_len : b->name_len;
    int c = memcmp(a->name, b->name, least);
    if (c)
        return c;
    unsigned char ca = a->name_len > least ? (unsigned char)a->name[least] : a->mode == MODE_DIR ? '/' : 0;
    unsigned char cb = b->name_len > least ? (unsigned char)b->name[least] : b->mode == MODE_DIR ? '/' : 0;
    return (ca > cb) - (ca < cb);
}

/* ---- walking ---- */

struct walk {
    struct repo *r;
    struct arena *a;
    tree_fn fn;
    void *ctx;
};

static int release_objects(struct object **objects, size_t count, int code)
{
    for (size_t i = 0; i < count; i++)
        object_put(objects[i]);
    return code;
}

static int walk_tree(const struct walk *w, const struct object *tree, const char *prefix, size_t depth, struct err *e);

/* The directories among the entries are fetched together. */
static int walk_entries(const struct walk *w, const struct tree_entry *entries, size_t count,
                        struct object **subtrees, const char *prefix, size_t depth, struct err *e)
{
    size_t next = 0;
    for (size_t i = 0; i < count; i++) {
        const struct tree_entry *t = &entries[i];
        const char *path = arena_printf(w->a, "%s%.*s", prefix, (int)t->name_len, t->name);
        int code = w->fn(&(struct tree_visit){ path, depth, t }, w->ctx, e);
        if (code == 0 && t->mode == MODE_DIR)
            code = walk_tree(w, subtrees[next++], arena_printf(w->a, "%s/", path), depth + 1, e);
        if (code < 0)
            return code;
    }
    return 0;
}

static int walk_tree(const struct walk *w, const struct object *tree, const char *prefix, size_t depth, struct err *e)
{
    ARENA_LOCAL(scratch);
    struct tree_entry *entries;
    size_t count, dirs = 0;
    if (depth > TREE_DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "directories are nested deeper than %d: %.200s", TREE_DEPTH_MAX, prefix);
    int code = tree_parse(w->r, &scratch, tree, &entries, &count, e);
    if (code < 0)
        return code;
    struct oid *oids = ARENA_ARRAY(&scratch, struct oid, count + 1);
    struct object **subtrees = ARENA_ARRAY(&scratch, struct object *, count + 1);
    for (size_t i = 0; i < count; i++)
        if (entries[i].mode == MODE_DIR)
            oids[dirs++] = entries[i].oid;
    code = objects_get(w->r, oids, dirs, OBJECT_TREE, subtrees, e);
    if (code == 0)
        code = walk_entries(w, entries, count, subtrees, prefix, depth, e);
    return release_objects(subtrees, dirs, code);
}

int tree_walk(struct repo *r, struct arena *a, const struct oid *commit_or_tree, tree_fn fn, void *ctx, struct err *e)
{
    OBJECT_LOCAL(tree);
    int code = tree_get(r, commit_or_tree, &tree, e);
    return code < 0 ? code : walk_tree(&(struct walk){ r, a, fn, ctx }, tree, "", 0, e);
}

/* ---- listing ---- */

struct listing {
    struct arena *a;
    struct tree_file *files;
    size_t count, cap;
};

static int list_file(const struct tree_visit *v, void *ctx, struct err *e)
{
    struct listing *l = ctx;
    (void)e;
    if (v->entry->mode == MODE_DIR || v->entry->mode == MODE_GITLINK)
        return 0;
    ARENA_GROW(l->a, l->files, l->cap, l->count);
    l->files[l->count++] = (struct tree_file){
        .path = v->path,
        .oid = v->entry->oid,
        .executable = v->entry->mode == MODE_EXEC,
        .symlink = v->entry->mode == MODE_LINK,
        .size = -1,
    };
    return 0;
}

int repo_tree(struct repo *r, struct arena *a, const struct oid *commit_or_tree, struct tree *ret, struct err *e)
{
    struct listing l = { .a = a };
    int code = tree_walk(r, a, commit_or_tree, list_file, &l, e);
    if (code == 0)
        *ret = (struct tree){ l.files, l.count };
    return code;
}

static int compare_path(const void *path, const void *file)
{
    return strcmp(path, ((const struct tree_file *)file)->path);
}

const struct tree_file *tree_find(const struct tree *t, const char *path)
{
    return t->count ? bsearch(path, t->files, t->count, sizeof *t->files, compare_path) : NULL;
}

/* ---- one file ---- */

static const struct tree_entry *entry_find(const struct tree_entry *entries, size_t count, const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].name_len == len && memcmp(entries[i].name, name, len) == 0)
            return &entries[i];
    return NULL;
}

/* The entry at `path`, down from `tree`; *ret untouched when there is none. */
static int descend(struct repo *r, const struct oid *commit_or_tree, const char *path, struct tree_entry *ret,
                   bool *ret_found, struct err *e)
{
    struct oid at = *commit_or_tree;
    for (const char *p = path;;) {
        ARENA_LOCAL(a);
        OBJECT_LOCAL(tree);
        struct tree_entry *entries;
        size_t count, n = strcspn(p, "/");
        int code = tree_get(r, &at, &tree, e);
        if (code == 0)
            code = tree_parse(r, &a, tree, &entries, &count, e);
        if (code < 0)
            return code;
        const struct tree_entry *t = entry_find(entries, count, p, n);
        if (!t || (p[n] && t->mode != MODE_DIR))
            return 0;
        if (!p[n]) {
            *ret = *t;
            *ret_found = true;
            return 0;
        }
        at = t->oid;
        p += n + 1;
    }
}

int repo_file(struct repo *r, struct arena *a, const struct oid *commit_or_tree, const char *path,
              const char **ret, size_t *ret_len, struct err *e)
{
    struct tree_entry t;
    bool found = false;
    int code = oid_none(commit_or_tree) ? 0 : descend(r, commit_or_tree, path, &t, &found, e);
    if (code < 0)
        return code;
    if (!found || t.mode == MODE_DIR || t.mode == MODE_GITLINK) {
        char shown[256];
        return err_set(e, ERR_NOT_FOUND, "there is no file %s in %s", path_shown(shown, sizeof shown, path),
                       oid_none(commit_or_tree) ? "the empty tree" : commit_or_tree->hex);
    }
    return repo_blob(r, a, &t.oid, ret, ret_len, e);
}

/* ---- whether a tree of others may be written to disk ---- */

struct link {
    struct oid oid;
    const char *path;
    size_t depth;
};
struct check {
    struct arena *a;
    struct link *links;
    size_t count, cap;
};

int entry_check(const struct tree_visit *v, struct err *e)
{
    char shown[256];
    path_shown(shown, sizeof shown, v->path);
    const char *why = name_is_dangerous(v->entry->name, v->entry->name_len);
    if (!why && strlen(v->path) >= 4096)
        why = "it is longer than 4095 bytes";
    if (why)
        return err_set(e, ERR_REFUSED, "the path \"%s\" is refused: %s", shown, why);
    if (v->entry->mode == MODE_GITLINK)
        return err_set(e, ERR_REFUSED, "\"%s\" is a submodule, which Tandem cannot work with", shown);
    return 0;
}

static int check_entry(const struct tree_visit *v, void *ctx, struct err *e)
{
    struct check *c = ctx;
    int code = entry_check(v, e);
    if (code < 0 || v->entry->mode != MODE_LINK)
        return code;
    ARENA_GROW(c->a, c->links, c->cap, c->count);
    c->links[c->count++] = (struct link){ v->entry->oid, v->path, v->depth };
    return 0;
}

int link_check(const char *path, size_t depth, const struct object *target, struct err *e)
{
    if (link_stays_inside(depth, target->data, target->len))
        return 0;
    char shown[256], shown_target[256];
    return err_set(e, ERR_REFUSED, "the link \"%s\" is refused: it leads out of the tree, to \"%s\"",
                   path_shown(shown, sizeof shown, path),
                   path_shown(shown_target, sizeof shown_target, target->data));
}

static int check_link(size_t index, struct object *o, void *ctx, struct err *e)
{
    const struct check *c = ctx;
    return link_check(c->links[index].path, c->links[index].depth, o, e);
}

int tree_check(struct repo *r, const struct oid *commit_or_tree, struct err *e)
{
    ARENA_LOCAL(a);
    struct check c = { .a = &a };
    int code = tree_walk(r, &a, commit_or_tree, check_entry, &c, e);
    struct oid *oids = ARENA_ARRAY(&a, struct oid, c.count + 1);
    for (size_t i = 0; i < c.count; i++)
        oids[i] = c.links[i].oid;
    return code < 0 ? code : objects_each(r, oids, c.count, OBJECT_BLOB, check_link, &c, e);
}
