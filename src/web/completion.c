/* completion.c - joining chunks.
 *
 * Generic, so that members we do not know are kept: a text is joined to the text before it
 * only in a choice's delta (and its tool calls' functions), where the protocol says that it is
 * a piece.  What is kept is a tree of members whose leaves are text as it was sent, escapes and all.
 */
#include "web/completion.h"

#include "base/err.h"
#include "base/json_text.h"
#include "base/str.h"

#include <stdint.h>
#include <stdlib.h>

enum { MAX_CHOICES = 64, MAX_CALLS = 256, MAX_MEMBERS = 64, MAX_NODES = 4096, MAX_DEPTH = 16 };

enum node_kind {
    NODE_VALUE,    /* text: as it was sent */
    NODE_TEXT,     /* text: what stands between the quotes */
    NODE_LIST,     /* text: the elements */
    NODE_OBJECT,   /* children: members */
    NODE_ELEMENTS, /* children: objects, told apart by their index */
};

struct completion_node {
    struct completion_node *next, *next_of_all;
    struct completion_node *first, **last; /* children, in the order they came */
    size_t count;
    const char *key; /* of a member, as it was sent; NULL: an element */
    size_t key_len;
    int64_t index; /* of an element */
    enum node_kind kind;
    struct str text;
};

/* ---- the tree ---- */

static bool key_is(const char *key, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(key, name, len) == 0;
}

static void become(struct completion_node *n, enum node_kind kind)
{
    n->kind = kind;
    n->first = NULL;
    n->last = &n->first;
    n->count = 0;
    str_clear(&n->text);
}

/* NULL: there are too many. */
static struct completion_node *add_node(struct completion *c, struct completion_node *parent, size_t most, enum node_kind kind)
{
    if (c->count == MAX_NODES || (parent && parent->count >= most))
        return NULL;
    struct completion_node *n = ARENA_NEW(&c->arena, struct completion_node);
    str_init(&n->text);
    become(n, kind);
    n->next_of_all = c->all;
    c->all = n;
    c->count++;
    if (parent) {
        *parent->last = n;
        parent->last = &n->next;
        parent->count++;
    }
    return n;
}

static struct completion_node *find_member(const struct completion_node *object, const char *key, size_t len)
{
    struct completion_node *n = object->first;
    while (n && (n->key_len != len || memcmp(n->key, key, len) != 0))
        n = n->next;
    return n;
}

static struct completion_node *member_named(const struct completion_node *object, const char *name)
{
    return find_member(object, name, strlen(name));
}

/* The member, made when there is none. */
static struct completion_node *member(struct completion *c, struct completion_node *object, const char *key, size_t len, enum node_kind kind)
{
    struct completion_node *n = find_member(object, key, len);
    if (n)
        return n;
    n = add_node(c, object, MAX_MEMBERS, kind);
    if (n) {
        n->key = arena_strndup(&c->arena, key, len);
        n->key_len = len;
    }
    return n;
}

/* The same, made to be of this kind when it is of another. */
static struct completion_node *member_of_kind(struct completion *c, struct completion_node *object, const struct json_span *m,
                                              const char *name, enum node_kind kind)
{
    struct completion_node *n = member(c, object, name ? name : m->key, name ? strlen(name) : m->key_len, kind);
    if (n && n->kind != kind)
        become(n, kind);
    return n;
}

static bool is_null(const struct json_span *v)
{
    return v->len == 4 && memcmp(v->text, "null", 4) == 0;
}

/* What the last chunk has, unless that is nothing. */
static void replace(struct completion *c, struct completion_node *object, const struct json_span *m)
{
    struct completion_node *n = find_member(object, m->key, m->key_len);
    if (n && is_null(m))
        return;
    n = member_of_kind(c, object, m, NULL, NODE_VALUE);
    if (!n || (n->text.len == m->len && memcmp(n->text.data, m->text, m->len) == 0))
        return;
    str_clear(&n->text);
    str_add_bytes(&n->text, m->text, m->len);
}

static void set_value(struct completion *c, struct completion_node *object, const char *key, const char *value)
{
    replace(c, object, &(struct json_span){ key, strlen(key), value, strlen(value) });
}

/* Of a list, the one with this index; made when there is none. */
static struct completion_node *element(struct completion *c, struct completion_node *list, int64_t index, size_t most)
{
    struct completion_node *n = list->first;
    while (n && n->index != index)
        n = n->next;
    if (n)
        return n;
    n = add_node(c, list, most, NODE_OBJECT);
    if (n) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)index);
        n->index = index;
        set_value(c, n, "index", text); /* it may have been left out */
    }
    return n;
}

/* ---- one chunk ---- */

static void join_text(struct completion *c, struct completion_node *object, const struct json_span *m)
{
    struct completion_node *n = member_of_kind(c, object, m, NULL, NODE_TEXT);
    if (n)
        str_add_bytes(&n->text, m->text + 1, m->len - 2);
}

static void extend_list(struct completion *c, struct completion_node *object, const struct json_span *m)
{
    struct completion_node *n = member_of_kind(c, object, m, NULL, NODE_LIST);
    const char *from = m->text + 1, *to = m->text + m->len - 1;
    while (from < to && strchr(" \t\r\n", *from))
        from++;
    if (!n || from == to)
        return;
    if (n->text.len)
        str_add_char(&n->text, ',');
    str_add_bytes(&n->text, from, (size_t)(to - from));
}

/* The members of a value that is an object; none of another. */
static size_t members_of(struct arena *a, const struct json_span *value, struct json_span **ret)
{
    size_t count;
    return json_text_members(a, value->text, value->len, ret, &count, NULL) == 0 ? count : 0;
}

static size_t elements_of(struct arena *a, const struct json_span *value, struct json_span **ret)
{
    size_t count;
    return json_text_elements(a, value->text, value->len, ret, &count, NULL) == 0 ? count : 0;
}

static int64_t index_of(const struct json_span *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (key_is(members[i].key, members[i].key_len, "index"))
            return strtoll(members[i].text, NULL, 10);
    return 0;
}

/* Members of a delta that name something, and are no pieces of text. */
static bool is_name(const struct json_span *m)
{
    return key_is(m->key, m->key_len, "role") || key_is(m->key, m->key_len, "id") || key_is(m->key, m->key_len, "type") ||
           key_is(m->key, m->key_len, "name");
}

static void join(struct completion *c, struct arena *a, struct completion_node *into, const struct json_span *members, size_t count, int depth);

static void join_calls(struct completion *c, struct arena *a, struct completion_node *into, const struct json_span *m, int depth)
{
    struct json_span *calls, *members;
    size_t count = elements_of(a, m, &calls);
    struct completion_node *list = count ? member_of_kind(c, into, m, NULL, NODE_ELEMENTS) : NULL;
    for (size_t i = 0; list && i < count; i++) {
        size_t n = members_of(a, &calls[i], &members);
        struct completion_node *place = element(c, list, index_of(members, n), MAX_CALLS);
        if (place)
            join(c, a, place, members, n, depth + 1);
    }
}

/* A delta, or an object within it; what is deeper still is as the last chunk has it. */
static void join(struct completion *c, struct arena *a, struct completion_node *into, const struct json_span *members, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++) {
        const struct json_span *m = &members[i];
        if (key_is(m->key, m->key_len, "tool_calls")) {
            join_calls(c, a, into, m, depth);
        } else if (*m->text == '"' && !is_name(m)) {
            join_text(c, into, m);
        } else if (*m->text == '{' && depth < MAX_DEPTH) {
            struct completion_node *place = member_of_kind(c, into, m, NULL, NODE_OBJECT);
            struct json_span *inner;
            size_t n = place ? members_of(a, m, &inner) : 0;
            if (place)
                join(c, a, place, inner, n, depth + 1);
        } else {
            replace(c, into, m);
        }
    }
}

static void extend_lists(struct completion *c, struct arena *a, struct completion_node *into, const struct json_span *m)
{
    struct json_span *members;
    size_t count = members_of(a, m, &members);
    for (size_t i = 0; i < count; i++)
        if (*members[i].text == '[')
            extend_list(c, into, &members[i]);
}

static void add_choice(struct completion *c, struct arena *a, struct completion_node *into, const struct json_span *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct json_span *m = &members[i];
        struct completion_node *place;
        struct json_span *inner;
        if (key_is(m->key, m->key_len, "delta")) {
            size_t n = members_of(a, m, &inner);
            place = member_of_kind(c, into, m, "message", NODE_OBJECT);
            if (place)
                join(c, a, place, inner, n, 0);
        } else if (key_is(m->key, m->key_len, "text") && *m->text == '"') {
            join_text(c, into, m);
        } else if (key_is(m->key, m->key_len, "logprobs") && *m->text == '{') {
            place = member_of_kind(c, into, m, NULL, NODE_OBJECT);
            if (place)
                extend_lists(c, a, place, m);
        } else {
            replace(c, into, m);
        }
    }
}

static void add_choices(struct completion *c, struct arena *a, struct completion_node *list, const struct json_span *m)
{
    struct json_span *choices, *members;
    size_t count = elements_of(a, m, &choices);
    for (size_t i = 0; i < count; i++) {
        if (*choices[i].text != '{')
            continue;
        size_t n = members_of(a, &choices[i], &members);
        struct completion_node *place = element(c, list, index_of(members, n), MAX_CHOICES);
        if (place)
            add_choice(c, a, place, members, n);
    }
}

int completion_add(struct completion *c, const char *chunk, size_t len, struct err *e)
{
    ARENA_LOCAL(a);
    struct json_span *members;
    size_t count;
    int r = json_text_members(&a, chunk, len, &members, &count, e);
    if (r < 0)
        return r;
    if (!c->root)
        c->root = add_node(c, NULL, 1, NODE_OBJECT);
    struct completion_node *choices = member(c, c->root, "choices", strlen("choices"), NODE_ELEMENTS);
    for (size_t i = 0; i < count; i++) {
        if (key_is(members[i].key, members[i].key_len, "choices"))
            add_choices(c, &a, choices, &members[i]);
        else
            replace(c, c->root, &members[i]);
    }
    return 0;
}

/* ---- the whole ---- */

/* A message without text has one that is null. */
static void finish_message(struct completion *c, struct completion_node *message)
{
    if (!member_named(message, "role"))
        set_value(c, message, "role", "\"assistant\"");
    if (!member_named(message, "content"))
        set_value(c, message, "content", "null");
}

static void finish(struct completion *c)
{
    const struct completion_node *object = member_named(c->root, "object");
    if (object && streq(object->text.data, "\"chat.completion.chunk\""))
        set_value(c, c->root, "object", "\"chat.completion\"");
    for (struct completion_node *choice = member_named(c->root, "choices")->first; choice; choice = choice->next) {
        struct completion_node *message = member_named(choice, "message");
        if (message && message->kind == NODE_OBJECT)
            finish_message(c, message);
    }
}

static void write_node(struct str *out, const struct completion_node *n);

/* Calls do not carry their index. */
static void write_children(struct str *out, const struct completion_node *n, bool is_call)
{
    bool first = true;
    for (const struct completion_node *child = n->first; child; child = child->next) {
        if (is_call && child->key && key_is(child->key, child->key_len, "index"))
            continue;
        if (!first)
            str_add_char(out, ',');
        first = false;
        if (child->key) {
            str_add_char(out, '"');
            str_add_bytes(out, child->key, child->key_len);
            str_add(out, "\":");
        }
        if (n->kind == NODE_ELEMENTS) {
            str_add_char(out, '{');
            write_children(out, child, key_is(n->key, n->key_len, "tool_calls"));
            str_add_char(out, '}');
        } else {
            write_node(out, child);
        }
    }
}

static void write_node(struct str *out, const struct completion_node *n)
{
    static const char *const borders[] = {
        [NODE_VALUE] = "", [NODE_TEXT] = "\"\"", [NODE_LIST] = "[]", [NODE_OBJECT] = "{}", [NODE_ELEMENTS] = "[]",
    };
    const char *border = borders[n->kind];
    str_add_bytes(out, border, *border ? 1 : 0);
    if (n->kind == NODE_OBJECT || n->kind == NODE_ELEMENTS)
        write_children(out, n, false);
    else
        str_add_str(out, &n->text);
    str_add_bytes(out, border + (*border != 0), *border ? 1 : 0);
}

bool completion_take(struct completion *c, struct str *out)
{
    if (!c->root)
        return false;
    finish(c);
    write_node(out, c->root);
    completion_release(c);
    return true;
}

void completion_release(struct completion *c)
{
    for (struct completion_node *n = c->all; n; n = n->next_of_all)
        str_release(&n->text);
    arena_release(&c->arena);
    *c = (struct completion)COMPLETION_INIT;
}
