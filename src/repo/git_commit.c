/* git_commit.c - commits, history, differences.
 *
 * A commit is text and is written here as such, so that the same intent gives the same
 * bytes and the same id whatever git version runs and however often it is repeated.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/utf8.h"

#include <ctype.h>

enum { NEAR_PARENTS = 32 };

/* ---- writing ---- */

/* What git itself drops from both ends of a name and never allows inside (ident.c). */
static void add_ident_part(struct str *out, const char *text, const char *otherwise)
{
    size_t begin = 0, end = strlen(text);
    while (begin < end && ((unsigned char)text[begin] <= 32 || strchr(".,:;<>\"\\'", text[begin])))
        begin++;
    while (end > begin && ((unsigned char)text[end - 1] <= 32 || strchr(".,:;<>\"\\'", text[end - 1])))
        end--;
    if (begin == end)
        str_add(out, otherwise);
    for (; begin < end; begin++)
        if (text[begin] != '<' && text[begin] != '>' && (unsigned char)text[begin] >= 32)
            str_add_char(out, text[begin]);
}

static void add_ident(struct str *out, const char *role, const char *name, const char *email, int64_t time_s)
{
    str_addf(out, "%s ", role);
    add_ident_part(out, name ? name : "", "Tandem");
    str_add(out, " <");
    add_ident_part(out, email ? email : "", "tandem@localhost");
    str_addf(out, "> %lld +0000\n", (long long)time_s);
}

static int add_parents(struct repo *r, struct str *out, const struct commit_intent *c, struct err *e)
{
    for (size_t i = 0; i < 2; i++) {
        if (oid_none(&c->parents[i]))
            continue;
        OBJECT_LOCAL(parent);
        int code = object_get(r, &c->parents[i], OBJECT_COMMIT, &parent, e);
        if (code < 0)
            return code;
        str_addf(out, "parent %s\n", c->parents[i].hex);
    }
    return 0;
}

/* git stores text as UTF-8; what is not is replaced. */
static void add_message(struct str *out, const char *message)
{
    size_t len = strlen(message);
    str_reserve(out, 3 * len + 1);
    size_t at = out->len, n = utf8_repair(out->data + at, message, len);
    out->len = at + n;
    out->data[out->len] = '\0';
    if (n && out->data[out->len - 1] != '\n')
        str_add_char(out, '\n');
}

int repo_commit(struct repo *r, const struct commit_intent *c, struct oid *ret, struct err *e)
{
    if (c->time_s < 0)
        return err_set(e, ERR_INVALID, "a commit before 1970 cannot be made");
    OBJECT_LOCAL(tree);
    int code = object_get(r, &c->tree, OBJECT_TREE, &tree, e);
    if (code < 0)
        return err_prefix(e, "cannot commit");
    STR_LOCAL(text);
    str_addf(&text, "tree %s\n", c->tree.hex);
    code = add_parents(r, &text, c, e);
    if (code < 0)
        return err_prefix(e, "cannot commit");
    add_ident(&text, "author", c->author_name, c->author_email, c->time_s);
    add_ident(&text, "committer", c->committer_name, c->committer_email, c->time_s);
    str_add_char(&text, '\n');
    add_message(&text, c->message ? c->message : "");
    struct new_object o = { .type = OBJECT_COMMIT, .data = text.data, .len = text.len };
    object_id(r, &o);
    code = objects_write(r, &o, 1, e);
    if (code == 0)
        *ret = o.oid;
    return code;
}

/* ---- reading ---- */

/* "Name <email> 1700000000 +0100": the person, and the time. */
static const char *parse_ident(struct arena *a, const char *line, size_t len, int64_t *ret_time_s)
{
    const char *end = memrchr(line, '>', len);
    if (!end)
        return arena_strndup(a, line, len);
    long long time = 0;
    ARENA_LOCAL(scratch);
    const char *rest = arena_strndup(&scratch, end + 1, len - (size_t)(end + 1 - line));
    rest += *rest == ' ';
    char *number = arena_strndup(&scratch, rest, strcspn(rest, " "));
    if (parse_int(number, INT64_MIN, INT64_MAX, &time))
        *ret_time_s = time;
    return arena_strndup(a, line, (size_t)(end + 1 - line));
}

static int parse_commit(const struct repo *r, struct arena *a, const struct object *o, struct commit_info *ret, struct err *e)
{
    struct commit_info c = { .author = "", .message = "" };
    const char *at = o->data, *end = o->data + o->len;
    while (at < end && *at != '\n') {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((eol ? eol : end) - at);
        if (starts_with(at, "tree ") && len == 5 + r->hex_len) {
            oid_set(&c.tree, at + 5, r->hex_len);
        } else if (starts_with(at, "parent ") && len == 7 + r->hex_len) {
            if (c.parent_count < 2)
                oid_set(&c.parents[c.parent_count], at + 7, r->hex_len);
            c.parent_count++;
        } else if (starts_with(at, "author ")) {
            c.author = parse_ident(a, at + 7, len - 7, &c.time_s);
        }
        at += len + (eol != NULL);
    }
    if (oid_none(&c.tree))
        return err_set(e, ERR_CORRUPT, "the commit %s in %s is damaged", o->oid.hex, r->path);
    if (at < end)
        c.message = arena_strndup(a, at + 1, (size_t)(end - at - 1));
    *ret = c;
    return 0;
}

int repo_commit_info(struct repo *r, struct arena *a, const struct oid *commit, struct commit_info *ret, struct err *e)
{
    OBJECT_LOCAL(o);
    int code = object_get(r, commit, OBJECT_COMMIT, &o, e);
    return code < 0 ? code : parse_commit(r, a, o, ret, e);
}

/* ---- history ---- */

int repo_log(struct repo *r, struct arena *a, const struct oid *tip, const struct oid *not_from,
             size_t limit, struct oid **ret, size_t *ret_count, struct err *e)
{
    int code = oid_check(r, tip, e);
    if (code == 0 && !oid_none(not_from))
        code = oid_check(r, not_from, e);
    if (code < 0)
        return code;
    /* Parents never before children, also where clocks disagree. */
    struct process_result p;
    struct git_call call = {
        .git_dir = r->path,
        .args = GIT_ARGS("rev-list", "--topo-order", arena_printf(a, "--max-count=%zu", limit), tip->hex,
                         oid_none(not_from) ? NULL : arena_printf(a, "^%s", not_from->hex)),
        .max_output = (limit + 1) * (OID_HEX_MAX + 1),
    };
    code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    size_t count = p.out.len / (r->hex_len + 1);
    struct oid *oids = ARENA_ARRAY(a, struct oid, count + 1);
    for (size_t i = 0; i < count; i++)
        oid_set(&oids[i], p.out.data + i * (r->hex_len + 1), r->hex_len);
    process_result_release(&p);
    *ret = oids;
    *ret_count = count;
    return 0;
}

/* Whether it is one of the nearest by first parents: the usual case, which needs no process. */
static int follow_first_parents(struct repo *r, const struct oid *ancestor, const struct oid *of, bool *ret, struct err *e)
{
    struct oid at = *of;
    for (int i = 0; i < NEAR_PARENTS; i++) {
        if (oid_same(&at, ancestor)) {
            *ret = true;
            return 0;
        }
        ARENA_LOCAL(a);
        struct commit_info info;
        int code = repo_commit_info(r, &a, &at, &info, e);
        if (code < 0 || !info.parent_count)
            return code;
        at = info.parents[0];
    }
    return 0;
}

int repo_is_ancestor(struct repo *r, const struct oid *ancestor, const struct oid *of, bool *ret, struct err *e)
{
    int code = oid_check(r, ancestor, e);
    if (code == 0)
        code = oid_check(r, of, e);
    if (code < 0)
        return code;
    bool found = false;
    code = follow_first_parents(r, ancestor, of, &found, e);
    if (code < 0 || found) {
        *ret = found;
        return code;
    }
    struct process_result p;
    struct git_call call = { .git_dir = r->path,
                             .args = GIT_ARGS("merge-base", "--is-ancestor", ancestor->hex, of->hex),
                             .also_ok = 1 };
    code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    *ret = p.status == 0;
    process_result_release(&p);
    return 0;
}

int repo_merge_base(struct repo *r, const struct oid *one, const struct oid *other, struct oid *ret, struct err *e)
{
    int code = oid_check(r, one, e);
    if (code == 0)
        code = oid_check(r, other, e);
    if (code < 0)
        return code;
    struct process_result p;
    struct git_call call = { .git_dir = r->path, .args = GIT_ARGS("merge-base", one->hex, other->hex), .also_ok = 1 };
    code = git_run(&call, &p, e);
    if (code < 0)
        return code;
    *ret = (struct oid){ "" };
    if (p.status == 0 && p.out.len >= r->hex_len)
        oid_set(ret, p.out.data, r->hex_len);
    process_result_release(&p);
    return 0;
}
