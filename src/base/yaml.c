/* yaml.c - libfyaml's events into a tree that knows its lines.
 *
 * Events rather than libfyaml's documents: limits can then be applied while the text is
 * read, before a hostile one has been built in memory.  The tree keeps how a scalar was
 * written, because whether `3.10` is a number or a version is for the described field to
 * say.  An alias shares the node it names and is charged for all that lies below.
 */
#include "base/yaml.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdlib.h>

enum { MAX_BYTES = 1 << 20, MAX_NODES = 20000, MAX_DEPTH = 32, MAX_KEYS = 2000, MAX_ANCHORS = 100 };

enum node_kind { NODE_PLAIN, NODE_TEXT, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    int line;
    const char *text; /* scalars, as written */
    size_t len;
    struct node **items; /* lists and maps */
    const char **keys;   /* maps */
    int *key_lines;
    size_t count, room;
    size_t weight; /* nodes in it, aliases counted as often as they repeat */
    int height;
    bool is_open;
};

struct anchor { const char *name; struct node *node; };

struct yaml {
    const char *file_name;
    struct node *root; /* NULL: an empty document */
};

struct reading {
    struct arena *arena;
    struct yaml *yaml;
    struct err *err;
    const char *text;
    size_t len;
    struct node *stack[MAX_DEPTH];
    const char *key[MAX_DEPTH]; /* of an open map: the key that waits for its value */
    int key_line[MAX_DEPTH];
    int depth;
    size_t nodes;
    int documents;
    struct anchor anchors[MAX_ANCHORS];
    size_t anchor_count;
};

static int fault_at(const struct yaml *y, int line, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int fault_at(const struct yaml *y, int line, struct err *e, const char *fmt, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(e, ERR_INVALID, "%s:%d: %s", y->file_name, line, text);
}

/* ---- building ---- */

static void node_add(struct arena *a, struct node *parent, const char *key, int key_line, struct node *child)
{
    if (parent->count == parent->room) {
        parent->room = parent->room ? parent->room * 2 : 4;
        parent->items = arena_resized(a, parent->items, parent->count, parent->room, sizeof *parent->items);
        if (key) {
            parent->keys = arena_resized(a, parent->keys, parent->count, parent->room, sizeof *parent->keys);
            parent->key_lines = arena_resized(a, parent->key_lines, parent->count, parent->room,
                                              sizeof *parent->key_lines);
        }
    }
    if (key) {
        parent->keys[parent->count] = key;
        parent->key_lines[parent->count] = key_line;
    }
    parent->items[parent->count++] = child;
}

static int set_key(struct reading *rd, const struct node *n)
{
    struct node *map = rd->stack[rd->depth - 1];
    if (n->kind == NODE_LIST || n->kind == NODE_MAP)
        return fault_at(rd->yaml, n->line, rd->err, "a key must be text");
    if (map->count >= MAX_KEYS)
        return fault_at(rd->yaml, n->line, rd->err, "more than %d keys in one mapping", MAX_KEYS);
    for (size_t i = 0; i < map->count; i++)
        if (streq(map->keys[i], n->text))
            return fault_at(rd->yaml, n->line, rd->err, "\"%.60s\" is here twice (first in line %d)", n->text,
                            map->key_lines[i]);
    rd->key[rd->depth - 1] = n->text;
    rd->key_line[rd->depth - 1] = n->line;
    return 0;
}

/* Charges a finished child to the collection it is in. */
static void weigh(struct node *parent, const struct node *child)
{
    parent->weight += child->weight;
    if (parent->height <= child->height)
        parent->height = child->height + 1;
}

/* Puts a node where the text is; a collection stays open until its end event. */
static int place(struct reading *rd, struct node *n)
{
    rd->nodes += n->weight;
    if (rd->nodes > MAX_NODES)
        return fault_at(rd->yaml, n->line, rd->err, "more than %d values", MAX_NODES);
    if (rd->depth + n->height > MAX_DEPTH)
        return fault_at(rd->yaml, n->line, rd->err, "nested more than %d levels deep", MAX_DEPTH);
    if (rd->depth == 0) {
        rd->yaml->root = n;
        return 0;
    }
    struct node *parent = rd->stack[rd->depth - 1];
    if (parent->kind == NODE_MAP) {
        const char *key = rd->key[rd->depth - 1];
        if (!key)
            return set_key(rd, n);
        node_add(rd->arena, parent, key, rd->key_line[rd->depth - 1], n);
        rd->key[rd->depth - 1] = NULL;
    } else {
        node_add(rd->arena, parent, NULL, 0, n);
    }
    if (!n->is_open)
        weigh(parent, n);
    return 0;
}

static const char *token_text(struct reading *rd, struct fy_token *token, size_t *ret_len)
{
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : "";
    if (ret_len)
        *ret_len = len;
    return arena_strndup(rd->arena, text ? text : "", text ? len : 0);
}

static int line_of(struct fy_token *token)
{
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    return mark ? mark->line + 1 : 1;
}

static struct node *node_new(struct reading *rd, enum node_kind kind, struct fy_token *token)
{
    struct node *n = ARENA_NEW(rd->arena, struct node);
    n->kind = kind;
    n->line = line_of(token);
    n->text = "";
    n->weight = 1;
    n->height = 1;
    return n;
}

static int remember_anchor(struct reading *rd, struct fy_token *anchor, struct node *n)
{
    if (!anchor)
        return 0;
    if (rd->anchor_count == MAX_ANCHORS)
        return fault_at(rd->yaml, n->line, rd->err, "more than %d anchors", MAX_ANCHORS);
    rd->anchors[rd->anchor_count++] = (struct anchor){ token_text(rd, anchor, NULL), n };
    return 0;
}

/* libfyaml 0.7.12 loses its place (and memory) after two quotes escaped in a row
 * ('a''''b'), so that single-quoted texts are unescaped here; those of several lines, which
 * also need folding, are left to it where it gets them right. */
static int read_quoted(struct reading *rd, struct fy_token *value, struct node *n)
{
    const struct fy_mark *start = fy_token_start_mark(value), *end = fy_token_end_mark(value);
    if (!start || !end || start->input_pos > end->input_pos || end->input_pos > rd->len)
        return fault_at(rd->yaml, n->line, rd->err, "this text cannot be read");
    const char *raw = rd->text + start->input_pos;
    size_t raw_len = end->input_pos - start->input_pos;
    if (memchr(raw, '\n', raw_len) || memchr(raw, '\r', raw_len)) {
        if (memmem(raw, raw_len, "''''", 4))
            return fault_at(rd->yaml, n->line, rd->err, "two quotes in a row in a quoted text of several lines; use | instead");
        n->text = token_text(rd, value, &n->len);
        return 0;
    }
    STR_LOCAL(plain);
    for (size_t i = 0; i < raw_len; i++) {
        str_add_char(&plain, raw[i]);
        i += raw[i] == '\'' && i + 1 < raw_len && raw[i + 1] == '\'';
    }
    n->text = arena_strndup(rd->arena, plain.data, plain.len);
    n->len = plain.len;
    return 0;
}

static int on_scalar(struct reading *rd, const struct fy_event *ev)
{
    struct fy_token *value = ev->scalar.value;
    if (ev->scalar.tag)
        return fault_at(rd->yaml, line_of(ev->scalar.tag), rd->err, "tags (\"!...\") are not used here");
    bool is_plain = !value || fy_token_scalar_style(value) == FYSS_PLAIN;
    struct node *n = node_new(rd, is_plain ? NODE_PLAIN : NODE_TEXT, value);
    if (!value && rd->depth)
        n->line = rd->key_line[rd->depth - 1] ? rd->key_line[rd->depth - 1] : rd->stack[rd->depth - 1]->line;
    if (is_plain || fy_token_scalar_style(value) != FYSS_SINGLE_QUOTED)
        n->text = token_text(rd, value, &n->len);
    else if (read_quoted(rd, value, n) < 0)
        return ERR_INVALID;
    if (memchr(n->text, '\0', n->len))
        return fault_at(rd->yaml, n->line, rd->err, "a text contains a NUL character");
    int r = remember_anchor(rd, ev->scalar.anchor, n);
    return r < 0 ? r : place(rd, n);
}

static int on_start(struct reading *rd, enum node_kind kind, struct fy_token *anchor, struct fy_token *tag,
                    struct fy_token *start)
{
    if (tag)
        return fault_at(rd->yaml, line_of(tag), rd->err, "tags (\"!...\") are not used here");
    struct node *n = node_new(rd, kind, start);
    n->is_open = true;
    int r = remember_anchor(rd, anchor, n);
    if (r == 0)
        r = place(rd, n);
    if (r < 0)
        return r;
    if (rd->depth == MAX_DEPTH)
        return fault_at(rd->yaml, n->line, rd->err, "nested more than %d levels deep", MAX_DEPTH);
    rd->key[rd->depth] = NULL;
    rd->key_line[rd->depth] = 0;
    rd->stack[rd->depth++] = n;
    return 0;
}

static int on_end(struct reading *rd)
{
    struct node *n = rd->stack[--rd->depth];
    n->is_open = false;
    if (rd->depth)
        weigh(rd->stack[rd->depth - 1], n);
    return 0;
}

static int on_alias(struct reading *rd, const struct fy_event *ev)
{
    const char *name = token_text(rd, ev->alias.anchor, NULL);
    int line = line_of(ev->alias.anchor);
    for (size_t i = rd->anchor_count; i-- > 0;) {
        if (!streq(rd->anchors[i].name, name))
            continue;
        if (rd->anchors[i].node->is_open)
            return fault_at(rd->yaml, line, rd->err, "*%.60s contains itself", name);
        return place(rd, rd->anchors[i].node);
    }
    return fault_at(rd->yaml, line, rd->err, "*%.60s refers to nothing above it", name);
}

static int on_event(struct reading *rd, const struct fy_event *ev)
{
    switch (ev->type) {
    case FYET_DOCUMENT_START:
        if (rd->documents++)
            return fault_at(rd->yaml, line_of(ev->document_start.document_start), rd->err,
                            "one document is allowed, a second begins here");
        return 0;
    case FYET_SCALAR: return on_scalar(rd, ev);
    case FYET_ALIAS: return on_alias(rd, ev);
    case FYET_MAPPING_START:
        return on_start(rd, NODE_MAP, ev->mapping_start.anchor, ev->mapping_start.tag,
                        ev->mapping_start.mapping_start);
    case FYET_SEQUENCE_START:
        return on_start(rd, NODE_LIST, ev->sequence_start.anchor, ev->sequence_start.tag,
                        ev->sequence_start.sequence_start);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END: return on_end(rd);
    default: return 0;
    }
}

/* What libfyaml had to say, or a general sentence. */
static int syntax_fault(struct reading *rd, struct fy_diag *diag)
{
    void *prev = NULL;
    const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &prev);
    if (!first || !first->msg)
        return fault_at(rd->yaml, 1, rd->err, "this is not YAML");
    return fault_at(rd->yaml, first->line > 0 ? first->line : 1, rd->err, "not YAML: %.300s", first->msg);
}

static int read_events(struct reading *rd, const char *text, size_t len)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (!diag)
        out_of_memory();
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = { .search_path = "", .diag = diag,
                                .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE
                                         | FYPCF_DEFAULT_VERSION_1_2 };
    struct fy_parser *parser = fy_parser_create(&cfg);
    if (!parser || fy_parser_set_string(parser, text, len) < 0)
        out_of_memory();
    int r = 0;
    for (struct fy_event *ev; r == 0 && (ev = fy_parser_parse(parser));) {
        r = on_event(rd, ev);
        fy_parser_event_free(parser, ev);
    }
    if (r == 0 && fy_parser_get_stream_error(parser))
        r = syntax_fault(rd, diag);
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return r;
}

static int line_at(const char *text, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

int yaml_parse(struct arena *a, const char *file_name, const char *text, size_t len,
               struct yaml **ret, struct err *e)
{
    struct yaml *y = ARENA_NEW(a, struct yaml);
    y->file_name = arena_strdup(a, file_name);
    if (len > MAX_BYTES)
        return fault_at(y, 1, e, "the file is larger than %d KiB", MAX_BYTES >> 10);
    size_t bad_at;
    if (!utf8_valid(text, len, &bad_at))
        return fault_at(y, line_at(text, bad_at), e, "a byte that is not UTF-8");
    const char *nul = len ? memchr(text, '\0', len) : NULL;
    if (nul)
        return fault_at(y, line_at(text, (size_t)(nul - text)), e, "a NUL byte");
    struct reading *rd = ARENA_NEW(a, struct reading);
    rd->arena = a;
    rd->yaml = y;
    rd->err = e;
    rd->text = text;
    rd->len = len;
    int r = read_events(rd, text, len);
    if (r < 0)
        return r;
    *ret = y;
    return 0;
}

/* ---- as JSON ---- */

static bool is_integer(const struct node *n, json_int_t *ret)
{
    const char *digits = n->text + (*n->text == '-' || *n->text == '+');
    if (!*digits || digits[strspn(digits, "0123456789")] || (*digits == '0' && digits[1]))
        return false;
    errno = 0;
    *ret = strtoll(n->text, NULL, 10);
    return errno == 0;
}

static bool is_real(const struct node *n, double *ret)
{
    const char *p = n->text + (*n->text == '-' || *n->text == '+');
    size_t whole = strspn(p, "0123456789");
    p += whole;
    if (!whole || *p != '.')
        return false;
    p++;
    p += strspn(p, "0123456789");
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        size_t digits = strspn(p, "0123456789");
        if (!digits)
            return false;
        p += digits;
    }
    if (*p)
        return false;
    *ret = strtod(n->text, NULL);
    return *ret - *ret == 0; /* neither infinite nor NaN */
}

static bool is_word(const char *text, const char *lower, const char *title, const char *upper)
{
    return streq(text, lower) || streq(text, title) || streq(text, upper);
}

static json_t *plain_json(const struct node *n)
{
    json_int_t whole;
    double real;
    if (!*n->text || streq(n->text, "~") || is_word(n->text, "null", "Null", "NULL"))
        return json_null();
    if (is_word(n->text, "true", "True", "TRUE"))
        return json_true();
    if (is_word(n->text, "false", "False", "FALSE"))
        return json_false();
    if (is_integer(n, &whole))
        return json_integer(whole);
    if (is_real(n, &real))
        return json_real(real);
    return json_text(n->text, n->len);
}

static bool wants_text(const struct field *f)
{
    return f && (f->kind == FIELD_TEXT || f->kind == FIELD_ENUM || f->kind == FIELD_TEXTS);
}

/* `f` describes this value (for an item: its list), `r` what an object in it must be; both
 * may be NULL.  A new reference. */
static json_t *node_json(const struct node *n, const struct field *f, const struct record *r)
{
    switch (n->kind) {
    case NODE_PLAIN: {
        json_t *v = plain_json(n);
        if (!wants_text(f) || json_is_null(v) || json_is_string(v))
            return v;
        json_decref(v);
        return json_text(n->text, n->len);
    }
    case NODE_TEXT: return json_text(n->text, n->len);
    case NODE_LIST: {
        json_t *list = json_array();
        for (size_t i = 0; i < n->count; i++)
            if (json_array_append_new(list, node_json(n->items[i], f, r)) < 0)
                out_of_memory();
        return list;
    }
    case NODE_MAP: {
        json_t *object = json_object();
        for (size_t i = 0; i < n->count; i++) {
            const struct field *member = r ? record_field(r, n->keys[i]) : NULL;
            json_put(object, n->keys[i], node_json(n->items[i], member, member ? member->of : NULL));
        }
        return object;
    }
    }
    return NULL;
}

json_t *yaml_json(const struct yaml *y, struct arena *a)
{
    return yaml_json_as(y, a, NULL);
}

json_t *yaml_json_as(const struct yaml *y, struct arena *a, const struct record *r)
{
    return json_keep(a, y->root ? node_json(y->root, NULL, r) : json_null());
}

/* ---- lines and records ---- */

/* The member of `map` whose key begins `path` and is followed by '.', '[' or the end. */
static bool find_member(const struct node *map, const char *path, size_t *ret_index, size_t *ret_len)
{
    for (size_t i = 0; i < map->count; i++) {
        size_t len = strlen(map->keys[i]);
        if (len && strncmp(path, map->keys[i], len) == 0 && (!path[len] || path[len] == '.' || path[len] == '[')) {
            *ret_index = i;
            *ret_len = len;
            return true;
        }
    }
    return false;
}

int yaml_line(const struct yaml *y, const char *path)
{
    const struct node *n = y->root;
    int line = n ? n->line : 1;
    while (n && *path) {
        size_t index, len;
        if (n->kind == NODE_LIST && *path == '[') {
            char *end;
            errno = 0;
            unsigned long long number = strtoull(path + 1, &end, 10);
            if (errno || *end != ']' || number >= n->count)
                break;
            index = (size_t)number;
            len = (size_t)(end + 1 - path);
            line = n->items[index]->line;
        } else if (n->kind == NODE_MAP && find_member(n, path, &index, &len)) {
            line = n->key_lines[index];
        } else {
            break;
        }
        n = n->items[index];
        path += len;
        path += *path == '.';
    }
    return line;
}

int yaml_record(const struct yaml *y, struct arena *a, const struct record *r, void *ret, struct err *e)
{
    if (!y->root)
        return fault_at(y, 1, e, "the file is empty; it must describe a %s", r->name);
    char where[256] = "";
    struct err inner = { 0 };
    json_t *value = yaml_json_as(y, a, r);
    int code = record_read_at(r, a, value, ret, where, sizeof where, &inner);
    if (code < 0)
        return fault_at(y, yaml_line(y, where), e, "%s", inner.text);
    return 0;
}

void yaml_inherit(struct yaml *y, const struct yaml *base, struct arena *a)
{
    if (!y->root || y->root->kind != NODE_MAP || !base->root || base->root->kind != NODE_MAP)
        return;
    const struct node *from = base->root;
    size_t own = y->root->count;
    for (size_t i = 0; i < from->count; i++) {
        bool has = false;
        for (size_t k = 0; k < own && !has; k++)
            has = streq(y->root->keys[k], from->keys[i]);
        if (!has)
            node_add(a, y->root, from->keys[i], from->key_lines[i], from->items[i]);
    }
}

int yaml_fault(const struct yaml *y, const char *path, struct err *e, const char *fmt, ...)
{
    char text[800];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return fault_at(y, yaml_line(y, path), e, "%s %s", path, text);
}

int yaml_read_record(const char *file_name, const char *text, size_t len, const struct record *r,
                     struct arena *a, void *ret, struct err *e)
{
    struct yaml *y;
    int code = yaml_parse(a, file_name, text, len, &y, e);
    return code < 0 ? code : yaml_record(y, a, r, ret, e);
}
