/* git_read.c - reading objects through one long-running `git cat-file --batch-command`.
 *
 * A process per object costs 2 ms, a question over a pipe 0.05 ms, and the cache nothing.
 * Questions are sent in packs, so that a cold checkout waits once for 64 objects and not 64
 * times.  The helper is a convenience that may die at any time: it is started again, once
 * per question.
 */
#include "repo/git_internal.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"

#include <ctype.h>

enum { ASK_AT_ONCE = 64, ANSWER_TIMEOUT_MS = 120 * 1000 };

void helper_init(struct git_helper *h)
{
    pthread_mutex_init(&h->lock, NULL);
    h->process = NULL;
}

void helper_stop(struct git_helper *h)
{
    process_stop(h->process);
    h->process = NULL;
}

void helper_release(struct git_helper *h)
{
    helper_stop(h);
    pthread_mutex_destroy(&h->lock);
}

bool oid_valid(const struct repo *r, const struct oid *oid)
{
    size_t len = 0;
    while (len <= OID_HEX_MAX && ((oid->hex[len] >= '0' && oid->hex[len] <= '9') ||
                                  (oid->hex[len] >= 'a' && oid->hex[len] <= 'f')))
        len++;
    return len == r->hex_len && oid->hex[len] == '\0';
}

int oid_check(const struct repo *r, const struct oid *oid, struct err *e)
{
    char shown[80];
    return oid_valid(r, oid) ? 0
                             : err_set(e, ERR_INVALID, "\"%s\" is not an object id",
                                       path_shown(shown, sizeof shown, oid->hex));
}

void oid_set(struct oid *oid, const char *hex, size_t len)
{
    memset(oid, 0, sizeof *oid);
    memcpy(oid->hex, hex, len < OID_HEX_MAX ? len : OID_HEX_MAX);
}

/* ---- questions and answers ---- */

struct answer {
    bool missing;
    struct oid oid;
    enum object_type type;
    int64_t size;
};

/* "<id> <type> <size>", or "<name> missing" (or "… ambiguous", "… submodule"). */
static int answer_parse(const struct repo *r, const char *line, struct answer *ret, struct err *e)
{
    struct answer a = { 0 };
    size_t n = strcspn(line, " ");
    if (n == r->hex_len && line[n]) {
        oid_set(&a.oid, line, n);
        for (unsigned t = OBJECT_COMMIT; t <= OBJECT_TAG; t++) {
            size_t len = strlen(object_type_names[t]);
            long long size;
            if (strncmp(line + n + 1, object_type_names[t], len) == 0 && line[n + 1 + len] == ' ' &&
                parse_int(line + n + 2 + len, 0, INT64_MAX, &size)) {
                a.type = (enum object_type)t;
                a.size = size;
            }
        }
    }
    if (a.type == OBJECT_ANY && !ends_with(line, " missing"))
        return err_set(e, ERR_CORRUPT, "git cat-file answered \"%.100s\"", line);
    a.missing = a.type == OBJECT_ANY;
    *ret = a;
    return 0;
}

static int read_answer(struct repo *r, struct answer *ret, struct err *e)
{
    STR_LOCAL(line);
    int code = process_read_line(r->reader.process, &line, ANSWER_TIMEOUT_MS, e);
    str_rtrim(&line);
    return code < 0 ? code : answer_parse(r, line.data, ret, e);
}

/* Has `talk` ask the helper and read its answers; once more when the helper had died since. */
static int ask(struct repo *r, int (*talk)(struct repo *r, void *ctx, struct err *e), void *ctx, struct err *e)
{
    pthread_mutex_lock(&r->reader.lock);
    int code = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        bool was_running = r->reader.process != NULL;
        code = was_running ? 0
                           : git_start(r->path, GIT_ARGS("cat-file", "--batch-command"), &r->reader.process, e);
        if (code == 0)
            code = talk(r, ctx, e);
        if (code < 0)
            helper_stop(&r->reader);
        if (code != ERR_UNAVAILABLE || !was_running)
            break;
    }
    pthread_mutex_unlock(&r->reader.lock);
    return code;
}

/* ---- contents ---- */

static int read_contents(struct repo *r, const struct oid *asked, struct object **ret, struct err *e)
{
    struct answer a;
    int code = read_answer(r, &a, e);
    if (code < 0 || a.missing)
        return code; /* *ret stays NULL */
    if ((uint64_t)a.size > git_object_max)
        return err_set(e, ERR_LIMIT, "the object %s has %lld bytes; at most %zu are read", asked->hex,
                       (long long)a.size, git_object_max);
    STR_LOCAL(bytes);
    str_reserve(&bytes, (size_t)a.size + 1);
    code = process_read(r->reader.process, (size_t)a.size + 1, &bytes, ANSWER_TIMEOUT_MS, e);
    if (code < 0)
        return code;
    struct object *o = object_new(asked, a.type, (size_t)a.size);
    memcpy(o->data, bytes.data, (size_t)a.size);
    cache_put(&r->cache, o);
    *ret = o;
    return 0;
}

struct fetch {
    const struct oid *oids;
    size_t places[ASK_AT_ONCE]; /* into oids */
    size_t count, done;
    enum object_type type;
    object_fn fn;
    void *ctx;
    struct err *trouble;        /* the first object that is missing or of another type */
    int trouble_code;
};

static int deliver(struct fetch *f, size_t place, struct object *o, struct err *e)
{
    int code = 0;
    if (!o)
        code = err_set(e, ERR_NOT_FOUND, "there is no object %s", f->oids[place].hex);
    else if (f->type != OBJECT_ANY && o->type != f->type)
        code = err_set(e, ERR_INVALID, "%s is a %s, not a %s", o->oid.hex, object_type_names[o->type],
                       object_type_names[f->type]);
    return code < 0 ? code : f->fn(place, o, f->ctx, e);
}

/* Goes on where an attempt ended before.  What is wrong with an object does not end the
 * talk: the answers after it are still to be read. */
static int talk_contents(struct repo *r, void *ctx, struct err *e)
{
    struct fetch *f = ctx;
    STR_LOCAL(questions);
    for (size_t i = f->done; i < f->count; i++)
        str_addf(&questions, "contents %s\n", f->oids[f->places[i]].hex);
    int code = process_write(r->reader.process, questions.data, questions.len, e);
    while (f->done < f->count && code == 0) {
        size_t place = f->places[f->done];
        OBJECT_LOCAL(o);
        code = read_contents(r, &f->oids[place], &o, e);
        if (code == 0 && f->trouble_code == 0)
            f->trouble_code = deliver(f, place, o, f->trouble);
        f->done += code == 0;
    }
    return code;
}

int objects_each(struct repo *r, const struct oid *oids, size_t count, enum object_type type,
                 object_fn fn, void *ctx, struct err *e)
{
    struct fetch f = { .oids = oids, .type = type, .fn = fn, .ctx = ctx, .trouble = e };
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        code = oid_check(r, &oids[i], e);
        OBJECT_LOCAL(known);
        known = code == 0 ? cache_get(&r->cache, &oids[i]) : NULL;
        if (known)
            code = deliver(&f, i, known, e);
        else
            f.places[f.count++] = i;
        if (code == 0 && f.count && (f.count == ASK_AT_ONCE || i + 1 == count)) {
            code = ask(r, talk_contents, &f, e);
            code = code < 0 ? code : f.trouble_code;
            f.count = f.done = 0;
        }
    }
    return code;
}

static int keep(size_t index, struct object *o, void *ctx, struct err *e)
{
    (void)e;
    ((struct object **)ctx)[index] = object_hold(o);
    return 0;
}

int objects_get(struct repo *r, const struct oid *oids, size_t count, enum object_type type,
                struct object **ret, struct err *e)
{
    memset(ret, 0, count * sizeof *ret);
    int code = objects_each(r, oids, count, type, keep, ret, e);
    for (size_t i = 0; i < count && code < 0; i++) {
        object_put(ret[i]);
        ret[i] = NULL;
    }
    return code;
}

int object_get(struct repo *r, const struct oid *oid, enum object_type type, struct object **ret, struct err *e)
{
    struct object *o;
    int code = objects_get(r, oid, 1, type, &o, e);
    if (code == 0)
        *ret = o;
    return code;
}

/* ---- what a name stands for, and sizes ---- */

struct info {
    const char *const *names;
    struct answer *answers;
    size_t count;
};

static int talk_info(struct repo *r, void *ctx, struct err *e)
{
    struct info *info = ctx;
    STR_LOCAL(questions);
    for (size_t i = 0; i < info->count; i++)
        str_addf(&questions, "info %s\n", info->names[i]);
    int code = process_write(r->reader.process, questions.data, questions.len, e);
    for (size_t i = 0; i < info->count && code == 0; i++)
        code = read_answer(r, &info->answers[i], e);
    return code;
}

int object_resolve(struct repo *r, const char *name, struct oid *ret, struct err *e)
{
    struct answer answer;
    int code = ask(r, talk_info, &(struct info){ &name, &answer, 1 }, e);
    if (code < 0)
        return code;
    if (answer.missing)
        return err_set(e, ERR_NOT_FOUND, "there is no %s in %s", name, r->path);
    *ret = answer.oid;
    return 0;
}

static int sizes_some(struct repo *r, struct tree_file *files, size_t count, struct err *e)
{
    const char *names[ASK_AT_ONCE];
    struct answer answers[ASK_AT_ONCE];
    for (size_t i = 0; i < count; i++)
        names[i] = files[i].oid.hex;
    int code = ask(r, talk_info, &(struct info){ names, answers, count }, e);
    for (size_t i = 0; i < count && code == 0; i++) {
        if (answers[i].missing)
            return err_set(e, ERR_NOT_FOUND, "there is no object %s", files[i].oid.hex);
        files[i].size = answers[i].size;
    }
    return code;
}

int repo_tree_sizes(struct repo *r, struct tree *t, struct err *e)
{
    int code = 0;
    for (size_t at = 0; at < t->count && code == 0; at += ASK_AT_ONCE) {
        size_t count = t->count - at < ASK_AT_ONCE ? t->count - at : ASK_AT_ONCE;
        code = sizes_some(r, t->files + at, count, e);
    }
    return code;
}

/* ---- what a commit or tree stands for ---- */

int tree_get(struct repo *r, const struct oid *commit_or_tree, struct object **ret, struct err *e)
{
    if (oid_none(commit_or_tree)) {
        *ret = NULL;
        return 0;
    }
    OBJECT_LOCAL(o);
    int code = object_get(r, commit_or_tree, OBJECT_ANY, &o, e);
    if (code < 0)
        return code;
    if (o->type == OBJECT_TREE) {
        *ret = object_hold(o);
        return 0;
    }
    struct oid tree;
    if (o->type != OBJECT_COMMIT || !starts_with(o->data, "tree ") || o->len < 5 + r->hex_len)
        return err_set(e, ERR_INVALID, "%s is a %s, not a commit or tree", commit_or_tree->hex,
                       object_type_names[o->type]);
    oid_set(&tree, o->data + 5, r->hex_len);
    return object_get(r, &tree, OBJECT_TREE, ret, e);
}

int repo_blob(struct repo *r, struct arena *a, const struct oid *blob, const char **ret, size_t *ret_len, struct err *e)
{
    OBJECT_LOCAL(o);
    int code = object_get(r, blob, OBJECT_BLOB, &o, e);
    if (code < 0)
        return code;
    *ret = arena_strndup(a, o->data, o->len);
    *ret_len = o->len;
    return 0;
}
