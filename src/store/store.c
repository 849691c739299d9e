/* store.c - opening a home, and reading from it.
 *
 * Every reading call is one view: one moment of the log and the documents, whatever is
 * being committed meanwhile.  Rows become structs here, so that engines know nothing of C
 * types.
 */
#include "store/internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/str.h"
#include "os/files.h"
#include "store/sqlite/sqlite_engine.h"

#include <stdlib.h>
#include <unistd.h>

enum { TAIL_CHECKED = 64, MAX_WORDS = 32, MAKING_MS = 3000, LOOK_US = 10000 };

/* ---- opening ---- */

static int take_lock(struct store *s, const char *path, struct err *e)
{
    int home_fd;
    int code = dir_open(path, true, &home_fd, e);
    if (code < 0)
        return code;
    close(home_fd);
    STR_LOCAL(file);
    str_addf(&file, "%s/lock", path);
    code = lock_take(file.data, &s->lock_fd, e);
    if (code == ERR_BUSY) {
        struct err inner = *e;
        return err_set(e, code, "cannot open the home %s: %s. Wait until it ends, or end it; tandem status looks beside it", path, inner.text);
    }
    if (code < 0)
        return err_prefix(e, "cannot open the home %s", path);
    failpoint("store.locked");
    return 0;
}

/* Of one that is being made just now there is nothing to read yet; that takes its writer a moment. */
static int open_reading(struct store *s, const char *path, struct err *e)
{
    STR_LOCAL(lock);
    str_addf(&lock, "%s/lock", path);
    int64_t until = clock_steady_ms() + MAKING_MS;
    int code = s->engine->open(&s->db, path, false, s->types, s->type_count, e);
    while (code == ERR_NOT_FOUND && lock_has_holder(lock.data) && clock_steady_ms() < until) {
        usleep(LOOK_US);
        code = s->engine->open(&s->db, path, false, s->types, s->type_count, e);
    }
    return code;
}

static int open_home(struct store *s, const char *path, struct err *e)
{
    int code = s->readonly ? open_reading(s, path, e) : take_lock(s, path, e);
    if (code == 0 && !s->readonly)
        code = s->engine->open(&s->db, path, true, s->types, s->type_count, e);
    if (code < 0 || s->readonly)
        return code;
    code = verify_tail(s, TAIL_CHECKED, &s->head, e);
    if (code == ERR_CORRUPT)
        err_prefix(e, "the home %s is damaged (restore it from a copy; `tandem verify` lists all that is wrong)", path);
    if (code < 0)
        return code;
    clock_wall_at_least(s->head.time_ms);
    s->last_seq = s->head.seq;
    return 0;
}

int store_open_on(struct store **ret, const struct store_engine *engine, const char *path,
                  bool writer, const struct doc_type *const *types, size_t type_count,
                  struct err *e)
{
    struct store *s = xcalloc(1, sizeof *s);
    s->engine = engine;
    s->types = xreallocarray(NULL, type_count, sizeof(*types));
    if (type_count)
        memcpy(s->types, types, type_count * sizeof(*types));
    s->type_count = type_count;
    s->readonly = !writer;
    s->lock_fd = -1;
    s->last = &s->first;
    pthread_mutex_init(&s->mutex, NULL);
    clock_cond_init(&s->changed);
    int code = open_home(s, path, e);
    if (code < 0) {
        store_free(s);
        return code;
    }
    *ret = s;
    return 0;
}

int store_open(struct store **ret, const char *path, const struct doc_type *const *types,
               size_t type_count, struct err *e)
{
    return store_open_on(ret, &sqlite_engine, path, true, types, type_count, e);
}

int store_open_reader(struct store **ret, const char *path, const struct doc_type *const *types,
                      size_t type_count, struct err *e)
{
    return store_open_on(ret, &sqlite_engine, path, false, types, type_count, e);
}

void store_free(struct store *s)
{
    if (!s)
        return;
    if (s->db)
        s->engine->close(s->db);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    free(s->types);
    free(s);
}

int type_check(const struct store *s, const struct doc_type *t, struct err *e)
{
    for (size_t i = 0; i < s->type_count; i++)
        if (s->types[i] == t)
            return 0;
    return err_set(e, ERR_INVALID, "documents of type %s were not declared when the home was opened",
                   t->name);
}

/* ---- writing ---- */

int store_commit(struct store *s, struct batch *b, int64_t *ret_seq, struct err *e)
{
    int64_t seq = 0;
    int code;
    if (s->readonly)
        code = err_set(e, ERR_READONLY, "the home was opened for reading only");
    else
        code = batch_prepare(b, s, e);
    if (code == 0 && (b->event_count || b->blob_count || b->doc_count))
        code = commit_batch(s, b, &seq, e);
    batch_clear(b);
    if (code == 0 && ret_seq)
        *ret_seq = seq;
    return code;
}

int store_erase_blob(struct store *s, const char *digest_hex, const char *actor, const char *reason,
                     struct err *e)
{
    if (s->readonly)
        return err_set(e, ERR_READONLY, "the home was opened for reading only");
    ARENA_LOCAL(a);
    json_t *payload = json_keep(&a, json_object());
    json_put_text(payload, "digest", digest_hex);
    json_put_text(payload, "reason", reason);
    struct batch *b = batch_new();
    b->erase = digest_hex;
    batch_event(b, &(struct event){ .actor = actor, .kind = "blob.erased", .payload_json = payload });
    int code = store_commit(s, b, NULL, e);
    batch_free(b);
    if (code == 0)
        s->engine->scrub(s->db);
    return code;
}

/* ---- documents ---- */

int doc_read(struct arena *a, const struct doc_type *t, const struct doc_row *row, void *ret, struct err *e)
{
    ARENA_LOCAL(scratch);
    json_t *value;
    int code = json_parse(&scratch, row->body, row->body_len, &value, e);
    if (code == 0)
        code = record_read(t->record, a, value, ret, e);
    return code < 0 ? err_prefix(e, "stored %s %s", t->name, row->id) : 0;
}

struct getting {
    struct arena *arena;
    const struct doc_type *type;
    void *doc;
    int64_t version;
};

static int take_doc(const struct doc_row *row, void *ctx, struct err *e)
{
    struct getting *g = ctx;
    g->version = row->version;
    return doc_read(g->arena, g->type, row, g->doc, e);
}

int store_get(struct store *s, struct arena *a, const struct doc_type *t, const char *id,
              void *ret_doc, int64_t *ret_version, struct err *e)
{
    struct getting g = { a, t, ret_doc, 0 };
    struct view *v;
    int code = type_check(s, t, e);
    if (code == 0)
        code = s->engine->view_open(s->db, &v, e);
    if (code < 0)
        return code;
    code = s->engine->doc_get(v, t, id, take_doc, &g, e);
    s->engine->view_close(v);
    if (code == 0 && ret_version)
        *ret_version = g.version;
    return code;
}

/* Gathers found documents; the arrays double in the arena, which is bounded by the limit. */
struct finding {
    struct arena *arena;
    const struct doc_type *type;
    struct store_found found;
    size_t room;
};

static int add_doc(const struct doc_row *row, void *ctx, struct err *e)
{
    struct finding *f = ctx;
    struct store_found *found = &f->found;
    size_t size = f->type->record->size;
    if (found->count == f->room) {
        f->room = f->room ? 2 * f->room : 16;
        found->ids = arena_resized(f->arena, found->ids, found->count, f->room, sizeof *found->ids);
        found->versions = arena_resized(f->arena, found->versions, found->count, f->room, sizeof *found->versions);
        found->docs = arena_resized(f->arena, found->docs, found->count, f->room, size);
    }
    int code = doc_read(f->arena, f->type, row, (char *)found->docs + found->count * size, e);
    if (code < 0)
        return code;
    found->ids[found->count] = arena_strdup(f->arena, row->id);
    found->versions[found->count++] = row->version;
    return 0;
}

/* The indexed field of that name. */
static const struct field *indexed(const struct doc_type *t, const char *name, struct err *e)
{
    const struct field *f = name ? record_field(t->record, name) : NULL;
    if (f && f->indexed)
        return f;
    err_set(e, ERR_INVALID, "%s cannot be found by \"%.60s\": it is not an indexed field", t->name,
            name ? name : "");
    return NULL;
}

static bool is_choice(const struct field *f, const char *word)
{
    for (size_t i = 0; f->choices[i]; i++)
        if (streq(f->choices[i], word))
            return true;
    return false;
}

static int check_query(const struct doc_type *t, const struct store_query *q, struct err *e)
{
    if (q->where_count > STORE_MAX_WHERE || q->limit > STORE_MAX_LIMIT)
        return err_set(e, ERR_INVALID, "a query has at most %d conditions and %d results",
                       STORE_MAX_WHERE, STORE_MAX_LIMIT);
    for (size_t i = 0; i < q->where_count; i++) {
        const struct field *f = indexed(t, q->where[i].field, e);
        if (!f)
            return ERR_INVALID;
        bool textual = f->kind == FIELD_TEXT || f->kind == FIELD_ENUM;
        if (textual != (q->where[i].text != NULL))
            return err_set(e, ERR_INVALID, "%s.%s is compared with a %s", t->name, f->name,
                           textual ? "text" : "number");
        if (f->kind == FIELD_ENUM && !is_choice(f, q->where[i].text))
            return err_set(e, ERR_INVALID, "%s.%s is never \"%.60s\"", t->name, f->name, q->where[i].text);
    }
    const struct field *range = q->range_field ? indexed(t, q->range_field, e) : NULL;
    if (q->range_field && !range)
        return ERR_INVALID;
    if (range && range->kind != FIELD_INT)
        return err_set(e, ERR_INVALID, "%s.%s has no range: it is not a number", t->name, range->name);
    return q->order_by && !indexed(t, q->order_by, e) ? ERR_INVALID : 0;
}

/* Checks the query and opens a view for it. */
static int query_open(struct store *s, const struct doc_type *t, const struct store_query *q,
                      struct view **ret, struct err *e)
{
    int code = type_check(s, t, e);
    if (code == 0)
        code = check_query(t, q, e);
    return code < 0 ? code : s->engine->view_open(s->db, ret, e);
}

int find_each(struct store *s, const struct doc_type *t, const struct store_query *q, doc_fn *fn, void *ctx, struct err *e)
{
    struct store_query all = q ? *q : (struct store_query){ 0 };
    struct view *v;
    if (!all.limit)
        all.limit = STORE_MAX_LIMIT;
    int code = query_open(s, t, &all, &v, e);
    if (code < 0)
        return code;
    code = s->engine->doc_find(v, t, &all, fn, ctx, e);
    s->engine->view_close(v);
    return code;
}

int store_find(struct store *s, struct arena *a, const struct doc_type *t,
               const struct store_query *q, struct store_found *ret, struct err *e)
{
    struct finding f = { .arena = a, .type = t };
    int code = find_each(s, t, q, add_doc, &f, e);
    if (code == 0)
        *ret = f.found;
    return code;
}

int store_count(struct store *s, const struct doc_type *t, const struct store_query *q,
                int64_t *ret, struct err *e)
{
    struct store_query all = q ? *q : (struct store_query){ 0 };
    struct view *v;
    int code = query_open(s, t, &all, &v, e);
    if (code < 0)
        return code;
    code = s->engine->doc_count(v, t, &all, ret, e);
    s->engine->view_close(v);
    return code;
}

/* Splits at white space into words of the arena; more than MAX_WORDS are ignored. */
static size_t split(struct arena *a, const char *text, const char **words)
{
    static const char space[] = " \t\r\n";
    size_t count = 0;
    for (text += strspn(text, space); *text && count < MAX_WORDS; text += strspn(text, space)) {
        size_t len = strcspn(text, space);
        words[count++] = arena_strndup(a, text, len);
        text += len;
    }
    return count;
}

int store_search(struct store *s, struct arena *a, const struct doc_type *t, const char *text,
                 size_t limit, struct store_found *ret, struct err *e)
{
    const char *words[MAX_WORDS];
    size_t word_count = split(a, text, words);
    struct finding f = { .arena = a, .type = t };
    struct view *v;
    int code = type_check(s, t, e);
    bool searched = false;
    for (size_t i = 0; i < t->record->field_count; i++)
        searched |= t->record->fields[i].searched;
    if (code == 0 && !searched)
        code = err_set(e, ERR_INVALID, "%s has no text to search", t->name);
    if (code == 0 && word_count)
        code = s->engine->view_open(s->db, &v, e);
    if (code == 0 && word_count) {
        limit = limit && limit < STORE_MAX_LIMIT ? limit : STORE_MAX_LIMIT;
        code = s->engine->doc_search(v, t, words, word_count, limit, add_doc, &f, e);
        s->engine->view_close(v);
    }
    if (code == 0)
        *ret = f.found;
    return code;
}

int store_blob(struct store *s, struct arena *a, const char *digest_hex, const char **ret,
               size_t *ret_len, struct err *e)
{
    struct view *v;
    const char *bytes;
    size_t len;
    int code = s->engine->view_open(s->db, &v, e);
    if (code < 0)
        return code;
    code = s->engine->blob_get(v, a, digest_hex, &bytes, &len, e);
    s->engine->view_close(v);
    if (code < 0)
        return code;
    if (!streq(digest_of(bytes, len).hex, digest_hex))
        return err_set(e, ERR_CORRUPT, "the stored bytes of blob %s were altered", digest_hex);
    *ret = bytes;
    *ret_len = len;
    return 0;
}
