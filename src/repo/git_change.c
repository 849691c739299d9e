/* git_change.c - a tree with changes, written from what the engine accepted.
 *
 * Only the directories on the way to a change are read and written again.  An index file
 * (update-index, write-tree) would cost three processes and as much as the tree is large.
 * Every path is checked here, whoever calls: this is the door through which text from a
 * model becomes a file.
 */
#include "repo/git_internal.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"

struct writing {
    struct repo *r;
    struct arena a;
    struct new_object *objects; /* what is below stands before what is above */
    size_t count, cap;
};

/* The changes below one directory, sorted by path. */
struct slice {
    const struct tree_change *const *items;
    size_t count;
    size_t skip; /* bytes of the directory's own path, with its slash */
};

/* The entries of one directory as they shall be. */
struct dir {
    struct tree_entry *entries;
    size_t count;
};

static struct oid add_object(struct writing *w, enum object_type type, const void *data, size_t len)
{
    XGROW(w->objects, w->cap, w->count);
    struct new_object *o = &w->objects[w->count++];
    *o = (struct new_object){ .type = type, .data = data, .len = len };
    object_id(w->r, o);
    return o->oid;
}

static struct tree_entry *dir_find(const struct dir *d, const char *name, size_t len)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->entries[i].name_len == len && memcmp(d->entries[i].name, name, len) == 0)
            return &d->entries[i];
    return NULL;
}

static void dir_remove(struct dir *d, struct tree_entry *t)
{
    *t = d->entries[--d->count];
}

static void dir_set(struct dir *d, const struct tree_entry *t)
{
    struct tree_entry *known = dir_find(d, t->name, t->name_len);
    *(known ? known : &d->entries[d->count++]) = *t;
}

static int compare_sorted(const void *x, const void *y)
{
    return tree_entry_compare(x, y);
}

static char nibble(char c)
{
    return (char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct oid add_tree(struct writing *w, struct dir *d)
{
    if (d->count)
        qsort(d->entries, d->count, sizeof *d->entries, compare_sorted);
    size_t size = 0, raw = w->r->hex_len / 2;
    for (size_t i = 0; i < d->count; i++)
        size += d->entries[i].name_len + 8 + raw;
    char *data = arena_alloc(&w->a, size + 1), *at = data;
    for (size_t i = 0; i < d->count; i++) {
        const struct tree_entry *t = &d->entries[i];
        at += snprintf(at, 9, "%o ", t->mode);
        memcpy(at, t->name, t->name_len);
        at += t->name_len;
        *at++ = '\0';
        for (size_t n = 0; n < raw; n++)
            *at++ = (char)(nibble(t->oid.hex[2 * n]) << 4 | nibble(t->oid.hex[2 * n + 1]));
    }
    return add_object(w, OBJECT_TREE, data, (size_t)(at - data));
}

/* ---- one directory ---- */

static int write_dir(struct writing *w, const struct oid *base, const struct slice *s, struct oid *ret, struct err *e);

static bool is_below(const struct slice *s, size_t i)
{
    return strchr(s->items[i]->path + s->skip, '/') != NULL;
}

static int remove_files(struct dir *d, const struct slice *s, struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        const char *name = s->items[i]->path + s->skip;
        struct tree_entry *t = is_below(s, i) || s->items[i]->bytes ? NULL : dir_find(d, name, strlen(name));
        if (t && (t->mode == MODE_DIR || t->mode == MODE_GITLINK))
            return err_set(e, ERR_REFUSED, "\"%s\" cannot be deleted: it is a directory", s->items[i]->path);
        if (t)
            dir_remove(d, t);
    }
    return 0;
}

static int write_below(struct writing *w, struct dir *d, const struct slice *group, size_t name_len, struct err *e)
{
    const char *path = group->items[0]->path, *name = path + group->skip - name_len - 1;
    struct tree_entry *known = dir_find(d, name, name_len);
    bool adds = false;
    for (size_t i = 0; i < group->count; i++)
        adds |= group->items[i]->bytes != NULL;
    if (known && known->mode != MODE_DIR && adds)
        return err_set(e, ERR_REFUSED, "\"%s\" is refused: \"%.*s\" is a file, not a directory", path,
                       (int)(group->skip - 1), path);
    if (!adds && (!known || known->mode != MODE_DIR))
        return 0; /* deletes what is not there */
    struct tree_entry t = { .name = name, .name_len = name_len, .mode = MODE_DIR };
    int code = write_dir(w, known ? &known->oid : NULL, group, &t.oid, e);
    if (code < 0)
        return code;
    if (!oid_none(&t.oid))
        dir_set(d, &t);
    else if (known)
        dir_remove(d, known);
    return 0;
}

static int write_directories(struct writing *w, struct dir *d, const struct slice *s, struct err *e)
{
    for (size_t i = 0, next; i < s->count; i = next) {
        next = i + 1;
        if (!is_below(s, i))
            continue;
        const char *name = s->items[i]->path + s->skip;
        size_t with_slash = (size_t)(strchr(name, '/') - name) + 1;
        while (next < s->count && strncmp(s->items[next]->path + s->skip, name, with_slash) == 0)
            next++;
        struct slice group = { s->items + i, next - i, s->skip + with_slash };
        int code = write_below(w, d, &group, with_slash - 1, e);
        if (code < 0)
            return code;
    }
    return 0;
}

static int write_files(struct writing *w, struct dir *d, const struct slice *s, struct err *e)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct tree_change *c = s->items[i];
        if (is_below(s, i) || !c->bytes)
            continue;
        struct tree_entry t = { .name = c->path + s->skip };
        t.name_len = strlen(t.name);
        const struct tree_entry *known = dir_find(d, t.name, t.name_len);
        t.mode = c->executable || (known && known->mode == MODE_EXEC) ? MODE_EXEC : MODE_FILE;
        if (known && (known->mode == MODE_DIR || known->mode == MODE_GITLINK))
            return err_set(e, ERR_REFUSED, "\"%s\" is refused: it is a directory, not a file", c->path);
        t.oid = add_object(w, OBJECT_BLOB, c->bytes, c->len);
        dir_set(d, &t);
    }
    return 0;
}

/* Deletions first, so that a file may take a directory's place and the reverse.
 * *ret: "" when nothing is left. */
static int write_dir(struct writing *w, const struct oid *base, const struct slice *s, struct oid *ret, struct err *e)
{
    OBJECT_LOCAL(tree);
    struct tree_entry *entries;
    size_t count;
    int code = tree_get(w->r, base, &tree, e);
    if (code == 0)
        code = tree_parse(w->r, &w->a, tree, &entries, &count, e);
    if (code < 0)
        return code;
    struct dir d = { ARENA_ARRAY(&w->a, struct tree_entry, count + s->count + 1), count };
    if (count)
        memcpy(d.entries, entries, count * sizeof *entries);
    code = remove_files(&d, s, e);
    if (code == 0)
        code = write_directories(w, &d, s, e);
    if (code == 0)
        code = write_files(w, &d, s, e);
    if (code < 0)
        return code;
    *ret = (struct oid){ "" };
    if (d.count || s->skip == 0)
        *ret = add_tree(w, &d);
    return 0;
}

/* ---- all of it ---- */

static int compare_changes(const void *x, const void *y)
{
    return strcmp((*(const struct tree_change *const *)x)->path, (*(const struct tree_change *const *)y)->path);
}

static int sort_changes(struct arena *a, const struct tree_change *changes, size_t count,
                        const struct tree_change ***ret, struct err *e)
{
    const struct tree_change **sorted = ARENA_ARRAY(a, const struct tree_change *, count + 1);
    for (size_t i = 0; i < count; i++) {
        int code = path_check(changes[i].path, e);
        if (code < 0)
            return code;
        if (changes[i].len > git_object_max)
            return err_set(e, ERR_LIMIT, "\"%s\" has %zu bytes; at most %zu are taken", changes[i].path,
                           changes[i].len, git_object_max);
        sorted[i] = &changes[i];
    }
    if (count)
        qsort(sorted, count, sizeof *sorted, compare_changes);
    for (size_t i = 1; i < count; i++)
        if (streq(sorted[i - 1]->path, sorted[i]->path))
            return err_set(e, ERR_INVALID, "\"%s\" is changed twice", sorted[i]->path);
    *ret = sorted;
    return 0;
}

int repo_write_tree(struct repo *r, const struct oid *base, const struct tree_change *changes,
                    size_t count, struct oid *ret_tree, struct err *e)
{
    struct writing w = { .r = r };
    struct slice all = { .count = count };
    struct oid tree;
    arena_init(&w.a);
    const struct tree_change **sorted = NULL;
    int code = sort_changes(&w.a, changes, count, &sorted, e);
    if (code == 0) {
        all.items = sorted;
        code = write_dir(&w, base, &all, &tree, e);
    }
    if (code == 0)
        code = objects_write(r, w.objects, w.count, e);
    if (code == 0)
        *ret_tree = tree;
    free(w.objects);
    arena_release(&w.a);
    return code;
}
