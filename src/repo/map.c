/* map.c - files and symbols of a tree, by universal-ctags.
 *
 * Only blobs that were never seen are written to the sandbox and parsed; ctags reads files
 * nobody has vetted, which is why it runs there.  The cache is keyed by blob and file name
 * extension, since ctags takes the language from the name.
 */
#include "repo/map.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "os/files.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    MAX_FILES = 5000,          /* parsed for one map */
    MAX_FILE_BYTES = 1 << 20,
    MAX_SYMBOLS = 1000,        /* of one file */
    MAX_TAGS_BYTES = 32 << 20, /* what ctags may write */
    MAX_CACHED = 20000,        /* files; then the cache begins anew */
    BUCKETS = 4096,
    MAX_TEXT = 300,            /* bytes of a name, type or signature */
};

/* ---- the cache ---- */

struct cached {
    struct cached *next;
    char key[OID_HEX_MAX + 40];
    struct arena arena;
    struct map_symbol *symbols;
    size_t count;
};

static struct {
    pthread_mutex_t lock;
    struct cached *buckets[BUCKETS];
    size_t count;
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void make_key(char *key, size_t size, const struct tree_file *f)
{
    const char *slash = strrchr(f->path, '/'), *name = slash ? slash + 1 : f->path, *dot = strrchr(name, '.');
    snprintf(key, size, "%s %.30s", f->oid.hex, dot ? dot : name);
}

static size_t bucket_of(const char *key)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash % BUCKETS;
}

static void copy_symbols(struct arena *a, const struct map_symbol *from, size_t count, struct map_symbol *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (struct map_symbol){
            .name = arena_strdup(a, from[i].name),
            .kind = arena_strdup(a, from[i].kind),
            .type = arena_strdup(a, from[i].type),
            .signature = arena_strdup(a, from[i].signature),
            .scope = arena_strdup(a, from[i].scope),
            .line = from[i].line,
            .end_line = from[i].end_line,
            .is_private = from[i].is_private,
        };
}

/* Fills in the symbols of a file that was seen before. */
static bool cache_get(const struct tree_file *f, struct arena *a, struct map_file *ret)
{
    char key[OID_HEX_MAX + 40];
    make_key(key, sizeof key, f);
    pthread_mutex_lock(&cache.lock);
    const struct cached *c = cache.buckets[bucket_of(key)];
    while (c && !streq(c->key, key))
        c = c->next;
    if (c) {
        ret->symbols = ARENA_ARRAY(a, struct map_symbol, c->count);
        ret->count = c->count;
        copy_symbols(a, c->symbols, c->count, ret->symbols);
    }
    pthread_mutex_unlock(&cache.lock);
    return c != NULL;
}

static void cache_empty(void)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (cache.buckets[i]) {
            struct cached *c = cache.buckets[i];
            cache.buckets[i] = c->next;
            arena_release(&c->arena);
            free(c);
        }
    }
    cache.count = 0;
}

static void cache_put(const struct tree_file *f, const struct map_file *file)
{
    struct cached *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    make_key(c->key, sizeof c->key, f);
    c->symbols = ARENA_ARRAY(&c->arena, struct map_symbol, file->count);
    c->count = file->count;
    copy_symbols(&c->arena, file->symbols, file->count, c->symbols);
    pthread_mutex_lock(&cache.lock);
    if (cache.count >= MAX_CACHED)
        cache_empty();
    struct cached **bucket = &cache.buckets[bucket_of(c->key)];
    c->next = *bucket;
    *bucket = c;
    cache.count++;
    pthread_mutex_unlock(&cache.lock);
}

/* ---- ctags ---- */

struct building {
    struct repo *repo;
    struct sandbox *sandbox;
    struct arena *arena;
    struct tree tree;
    struct map map;
    bool *is_new; /* by file: to be parsed */
    struct err *err;
};

static bool is_wanted(const struct tree_file *f)
{
    return !f->symlink && f->size >= 0 && f->size <= MAX_FILE_BYTES && !strpbrk(f->path, "\n\r") && *f->path != '-';
}

/* Writes the new files into the room, and their names into its list. */
static int fill_room(struct building *b, const struct sandbox_room *room)
{
    STR_LOCAL(list);
    int r = 0;
    for (size_t i = 0; r == 0 && i < b->tree.count; i++) {
        if (!b->is_new[i])
            continue;
        ARENA_LOCAL(scratch);
        const char *bytes;
        size_t len;
        r = repo_blob(b->repo, &scratch, &b->tree.files[i].oid, &bytes, &len, b->err);
        if (r == 0)
            r = file_create(room->work_fd, b->tree.files[i].path, bytes, len, 0644, b->err);
        str_addf(&list, "%s\n", b->tree.files[i].path);
    }
    return r < 0 ? r : file_create(room->out_fd, "list", list.data, list.len, 0644, b->err);
}

/* A member on one line, white space collapsed. */
static const char *short_text(struct arena *a, const json_t *tag, const char *key)
{
    const char *text = json_text_of(tag, key, "");
    STR_LOCAL(line);
    for (; *text && line.len < MAX_TEXT; text++) {
        bool is_blank = (unsigned char)*text <= ' ';
        if (!is_blank || (line.len && line.data[line.len - 1] != ' '))
            str_add_char(&line, is_blank ? ' ' : *text);
    }
    str_rtrim(&line);
    return arena_strndup(a, line.data, utf8_floor(line.data, line.len));
}

static bool is_kind_of_interest(const char *kind)
{
    static const char *const dull[] = { "local", "parameter", "label", "header", "macroparam", "module", "namespace",
                                        "unknown", "externvar", "chapter", "section", "subsection", "id" };
    for (size_t i = 0; i < sizeof dull / sizeof *dull; i++)
        if (streq(kind, dull[i]))
            return false;
    return true;
}

/* An include guard, or a switch without a value. */
static bool says_nothing(const json_t *tag)
{
    return streq(json_text_of(tag, "kind", ""), "macro") && !*json_text_of(tag, "macrodef", "") &&
           !*json_text_of(tag, "signature", "");
}

/* What a function without a name holds is its own business: JavaScript's callbacks. */
static bool is_in_callback(const json_t *tag)
{
    return strstr(json_text_of(tag, "name", ""), "nonymousFunction") || strstr(json_text_of(tag, "scope", ""), "nonymousFunction");
}

/* The last line; of what has a body and no end, since ctags tells none in this language, 0. */
static int64_t end_of(const json_t *tag, int64_t line)
{
    static const char *const with_body[] = { "function", "method", "class", "generator", "getter", "setter" };
    int64_t end = json_int_of(tag, "end", 0);
    for (size_t i = 0; end <= 0 && i < sizeof with_body / sizeof *with_body; i++)
        if (streq(json_text_of(tag, "kind", ""), with_body[i]))
            return 0;
    return end > line ? end : line;
}

static void add_tag(struct building *b, const json_t *tag)
{
    struct map_file *file = (struct map_file *)(uintptr_t)map_find(&b->map, json_text_of(tag, "path", ""));
    const char *kind = json_text_of(tag, "kind", "");
    if (!file || !b->is_new[file - b->map.files] || file->count == MAX_SYMBOLS || !is_kind_of_interest(kind) || says_nothing(tag) ||
        is_in_callback(tag))
        return;
    if (!file->symbols)
        file->symbols = ARENA_ARRAY(b->arena, struct map_symbol, MAX_SYMBOLS);
    const char *type = short_text(b->arena, tag, "typeref");
    if (starts_with(type, "typename:"))
        type += strlen("typename:");
    int64_t line = json_int_of(tag, "line", 0);
    line = line > 0 ? line : 1;
    file->symbols[file->count++] = (struct map_symbol){
        .name = short_text(b->arena, tag, "name"),
        .kind = short_text(b->arena, tag, "kind"),
        .type = type,
        .signature = short_text(b->arena, tag, "signature"),
        .scope = short_text(b->arena, tag, "scope"),
        .line = line,
        .end_line = end_of(tag, line),
        .is_private = json_is_true(json_object_get(tag, "file")),
    };
}

/* What is declared by means of a type without a name: its typedef or variable. */
static struct map_symbol *user_of(struct map_file *f, const char *anonymous)
{
    for (size_t i = 0; i < f->count; i++) {
        const char *at = strstr(f->symbols[i].type, anonymous);
        if (at && !starts_with(at + strlen(anonymous), "::")) /* there a type inside it is meant */
            return &f->symbols[i];
    }
    return NULL;
}

/* `scope` with the component `anonymous` called `name`, or left out where that is "". */
static const char *rename_scope(struct arena *a, const char *scope, const char *anonymous, const char *name)
{
    const char *at = strstr(scope, anonymous);
    if (!at)
        return scope;
    const char *rest = at + strlen(anonymous);
    size_t before = (size_t)(at - scope);
    if (!*name && before >= 2)
        before -= 2; /* the "::" */
    else if (!*name && starts_with(rest, "::"))
        rest += 2;
    return arena_printf(a, "%.*s%s%s", (int)before, scope, name, rest);
}

/* ctags makes up names for types without one ("__anon40c021760103", a hash of the path).  The
 * type takes over the name of its typedef or variable; without one it goes, and its members
 * belong to what surrounds it, if anything.  A class of JavaScript without a name is what its
 * file exports as "default". */
static void name_anonymous(struct arena *a, struct map_file *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct map_symbol *s = &f->symbols[i];
        const char *anonymous = s->name;
        bool is_class = starts_with(anonymous, "AnonymousClass") || starts_with(anonymous, "anonymousClass");
        if (!is_class && !starts_with(anonymous, "__anon"))
            continue;
        struct map_symbol *user = user_of(f, anonymous);
        const char *name = user ? user->name : is_class ? "default" : "";
        s->name = name;
        if (user) {
            s->kind = user->kind;
            s->is_private = user->is_private;
            user->name = "";
        }
        for (size_t n = 0; n < f->count; n++) {
            struct map_symbol *member = &f->symbols[n];
            bool is_inside = strstr(member->scope, anonymous) != NULL;
            member->scope = rename_scope(a, member->scope, anonymous, name);
            if (is_inside && !*member->scope && streq(member->kind, "member"))
                member->name = "";
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (strstr(f->symbols[i].type, "__anon"))
            f->symbols[i].type = "";
        if (*f->symbols[i].name)
            f->symbols[kept++] = f->symbols[i];
    }
    f->count = kept;
}

static void read_tags(struct building *b, const struct str *tags)
{
    for (size_t at = 0; at < tags->len;) {
        size_t len = strcspn(tags->data + at, "\n");
        ARENA_LOCAL(scratch);
        json_t *tag;
        struct err ignored; /* a line that is not JSON names a file oddly; it is left out */
        if (len && json_parse(&scratch, tags->data + at, len, &tag, &ignored) == 0)
            add_tag(b, tag);
        at += len + 1;
    }
    for (size_t i = 0; i < b->map.count; i++)
        if (b->is_new[i])
            name_anonymous(b->arena, &b->map.files[i]);
}

static int run_ctags(struct building *b, const struct sandbox_room *room)
{
    const char *tags_path = arena_printf(b->arena, "%s/tags", room->out_seen);
    const char *list_path = arena_printf(b->arena, "%s/list", room->out_seen);
    const char *const argv[] = {
        "ctags", "--options=NONE", "--quiet", "--output-format=json", "--fields=-P", "--fields=+neSKstf", "--fields-C=+{macrodef}",
        "--fields-C++=+{macrodef}", "--sort=no",
        "--map-C++=-.h", "--map-C=+.h", "--kinds-C=+p", "-f", tags_path, "-L", list_path, NULL,
    };
    struct sandbox_run run = { .argv = argv, .room = room };
    struct sandbox_result done;
    int r = sandbox_run(b->sandbox, &run, &done, b->err);
    if (r == ERR_NOT_FOUND)
        return err_set(b->err, ERR_UNAVAILABLE, "ctags is missing (lists symbols): apt-get install universal-ctags");
    if (r < 0)
        return r;
    if (done.limit_hit)
        r = err_set(b->err, ERR_LIMIT, "ctags did not end: %s", done.limit_text);
    else if (done.process.end != PROCESS_EXITED || done.process.status != 0)
        r = err_set(b->err, ERR_FAILED, "ctags failed: %.300s", done.process.err.data);
    sandbox_result_release(&done);
    STR_LOCAL(tags);
    if (r == 0)
        r = file_read(room->out_fd, "tags", MAX_TAGS_BYTES, &tags, b->err);
    if (r == 0)
        read_tags(b, &tags);
    return r;
}

static int parse_new(struct building *b)
{
    struct sandbox_room room;
    int r = sandbox_room_make(b->sandbox, &room, b->err);
    if (r < 0)
        return r;
    r = fill_room(b, &room);
    if (r == 0)
        r = run_ctags(b, &room);
    sandbox_room_remove(b->sandbox, &room);
    for (size_t i = 0; r == 0 && i < b->tree.count; i++)
        if (b->is_new[i])
            cache_put(&b->tree.files[i], &b->map.files[i]);
    return r;
}

int map_build(struct repo *r, struct sandbox *sb, const struct oid *tree, struct arena *a, struct map *ret, struct err *e)
{
    struct building b = { .repo = r, .sandbox = sb, .arena = a, .err = e };
    int code = repo_tree(r, a, tree, &b.tree, e);
    if (code == 0)
        code = repo_tree_sizes(r, &b.tree, e);
    if (code < 0)
        return code;
    b.map.files = ARENA_ARRAY(a, struct map_file, b.tree.count);
    b.map.count = b.tree.count;
    b.is_new = ARENA_ARRAY(a, bool, b.tree.count);
    size_t fresh = 0;
    for (size_t i = 0; i < b.tree.count; i++) {
        const struct tree_file *f = &b.tree.files[i];
        b.map.files[i].path = f->path;
        b.map.files[i].size = f->size;
        if (!is_wanted(f) || cache_get(f, a, &b.map.files[i]) || fresh == MAX_FILES)
            continue;
        b.is_new[i] = true;
        fresh++;
    }
    if (fresh)
        code = parse_new(&b);
    if (code == 0)
        *ret = b.map;
    return code;
}

/* ---- looking up ---- */

static int compare_path(const void *key, const void *element)
{
    return strcmp(key, ((const struct map_file *)element)->path);
}

const struct map_file *map_find(const struct map *m, const char *path)
{
    return m->count ? bsearch(path, m->files, m->count, sizeof *m->files, compare_path) : NULL;
}

/* "add", "Table.add" and "Table::add" name the symbol add of Table. */
static bool is_named(const struct map_symbol *s, const char *wanted)
{
    if (streq(s->name, wanted))
        return true;
    size_t scope_len = strlen(s->scope);
    if (!scope_len || strncmp(wanted, s->scope, scope_len) != 0)
        return false;
    const char *rest = wanted + scope_len;
    return (*rest == '.' && streq(rest + 1, s->name)) || (starts_with(rest, "::") && streq(rest + 2, s->name));
}

const struct map_symbol *map_symbol_find(const struct map *m, const char *path, const char *symbol)
{
    const struct map_file *file = map_find(m, path);
    const struct map_symbol *first = NULL;
    for (size_t i = 0; file && i < file->count; i++) {
        const struct map_symbol *s = &file->symbols[i];
        if (!is_named(s, symbol))
            continue;
        if (!streq(s->kind, "prototype"))
            return s;
        first = first ? first : s;
    }
    return first;
}
