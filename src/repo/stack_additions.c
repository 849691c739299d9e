/* stack_additions.c - whether a test file was only added to.
 *
 * A test that passed must stay able to fail.  Whether a changed one is as strict as before no
 * program can say, so an existing test file may grow and nothing else: it is cut into pieces
 * where the stack's pattern fits (a function, a statement at the left margin) or where the
 * indentation of a piece ends, and the old pieces have to be there, whole and in their order.
 * Nothing can then come into the middle of an old one.
 *
 * A new piece must not give the old ones another meaning: it may neither define a name again
 * nor one that they use, nor be a hook of the framework (setUp) in a place where they are, and
 * one without a name has to be of a kind that the stack knows to be harmless (an import).  In
 * a class that is new everything goes.
 *
 * Comparing the lines alone would let a `return` into a test; comparing the bodies of tests
 * alone would let their helpers be emptied.
 */
#include "base/arena.h"
#include "base/str.h"
#include "repo/results_build.h"
#include "repo/stack_file.h"

enum {
    MAX_SHOWN = 100,
    MAX_PIECES = 5000, /* what comes after them is one piece */
    MAX_DEPTH = 10,    /* of classes in classes */
};

struct piece {
    const char *text, *code; /* code: less comments and string literals */
    size_t len, head_len;    /* head: what the pattern fits */
    size_t indent;
    const char *name, *scope; /* what it defines, and in what ("Outer.Inner"); "" */
    bool is_scope, is_titled; /* titled: its name is text, which no code can mention */
};
struct pieces {
    struct piece *items;
    size_t count;
    const char *code;
    size_t len;
};

/* Length of the next line that is not blank, less what is blank at its end; 0: none left. */
static size_t next_line(const char **p, const char *end, const char **ret)
{
    while (*p < end) {
        const char *line = *p, *nl = memchr(line, '\n', (size_t)(end - line));
        size_t len = nl ? (size_t)(nl - line) : (size_t)(end - line);
        *p = nl ? nl + 1 : end;
        while (len && strchr(" \t\r\f", line[len - 1]))
            len--;
        if (len) {
            *ret = line;
            return len;
        }
    }
    return 0;
}

static bool same_piece(const struct piece *x, const struct piece *y)
{
    const char *p = x->text, *q = y->text, *a, *b;
    for (;;) {
        size_t n = next_line(&p, x->text + x->len, &a), m = next_line(&q, y->text + y->len, &b);
        if (n != m || (n && memcmp(a, b, n) != 0))
            return false;
        if (!n)
            return true;
    }
}

static bool is_blank(const char *text, size_t len)
{
    const char *line;
    return next_line(&text, text + len, &line) == 0;
}

/* Whether an old piece is there whole.  A comment may follow, which stands above the next piece:
 * what is blank in the code behind a piece cannot be inside a literal of it. */
static bool keeps_piece(const struct piece *old, const struct piece *new)
{
    const char *p = old->text, *q = new->text, *a, *b;
    for (;;) {
        size_t n = next_line(&p, old->text + old->len, &a);
        if (!n)
            return is_blank(new->code + (q - new->text), new->len - (size_t)(q - new->text));
        if (next_line(&q, new->text + new->len, &b) != n || memcmp(a, b, n) != 0)
            return false;
    }
}

static size_t indent_at(const char *code, size_t len, size_t at)
{
    size_t from = at;
    while (at < len && (code[at] == ' ' || code[at] == '\t'))
        at++;
    return at - from;
}

struct cutting {
    struct arena *arena;
    const char *bytes, *code;
    size_t len, cap;
    struct pieces all;
    struct piece now;
    size_t body;                              /* where the next line to look at behind its head begins */
    struct { size_t indent; const char *path; } scopes[MAX_DEPTH];
    size_t depth;
};

/* Ends the piece that is open, and opens the next one at `at`. */
static void cut_at(struct cutting *c, size_t at)
{
    c->now.len = (size_t)(c->bytes + at - c->now.text);
    if (!is_blank(c->now.text, c->now.len))
        c->all.items[c->all.count++] = c->now;
    c->now = (struct piece){ .text = c->bytes + at, .code = c->code + at, .indent = indent_at(c->code, c->len, at),
                             .name = "", .scope = "" };
}

static void enter_scope(struct cutting *c, bool is_scope)
{
    struct piece *now = &c->now;
    while (c->depth && c->scopes[c->depth - 1].indent >= now->indent)
        c->depth--;
    now->scope = c->depth ? c->scopes[c->depth - 1].path : "";
    now->is_scope = is_scope && c->depth < MAX_DEPTH;
    if (!now->is_scope)
        return;
    c->scopes[c->depth].indent = now->indent;
    c->scopes[c->depth++].path = arena_printf(c->arena, "%s%s%s", now->scope, *now->scope ? "." : "", now->name);
}

static size_t next_line_at(const struct cutting *c, size_t at)
{
    const char *nl = at < c->len ? memchr(c->code + at, '\n', c->len - at) : NULL;
    return nl ? (size_t)(nl + 1 - c->code) : c->len;
}

/* A method ends where a line stands as far left as it does, though no pattern fits it: otherwise
 * what follows a new method in an old class would pass as a part of it.  A bracket there closes
 * the method, one further left what the method is in. */
static void cut_behind_body(struct cutting *c, size_t end)
{
    while (c->now.indent && c->body < end && c->all.count + 2 < c->cap) {
        size_t indent = c->now.indent, line = c->body, next = next_line_at(c, line), blanks = indent_at(c->code, next, line);
        if (next > end)
            return;
        c->body = next;
        bool is_closing = blanks == indent && strchr(")]}", c->code[line + blanks]);
        if (is_blank(c->code + line, next - line) || blanks > indent || is_closing)
            continue;
        cut_at(c, line);
        enter_scope(c, false);
    }
}

static struct pieces cut(const struct stack *s, struct arena *a, const char *bytes, size_t len)
{
    static const char *const groups[] = { "name", "scope" };
    const struct pattern *begin = stack_pattern(s, s->spec.additions.begin);
    struct cutting c = { .arena = a, .bytes = bytes, .len = len, .cap = 3 };
    c.code = stack_blank(s, a, ((const struct stack_listing *)s->spec.listing.items)->blank, bytes, len);
    for (size_t i = 0; i < len && c.cap < MAX_PIECES; i++)
        c.cap += bytes[i] == '\n';
    c.all = (struct pieces){ ARENA_ARRAY(a, struct piece, c.cap), 0, c.code, len };
    c.now = (struct piece){ .text = bytes, .code = c.code, .indent = SIZE_MAX, .name = "", .scope = "" };
    c.body = len;
    struct pattern_match m, found[2];
    for (size_t at = 0; c.all.count + 2 < c.cap && pattern_find_places(begin, c.code, len, at, false, &m, groups, found, 2);
         at = m.end > m.start ? m.end : m.end + 1) {
        cut_behind_body(&c, m.start);
        if (indent_at(c.code, len, m.start) > c.now.indent && !c.now.is_scope)
            continue; /* in a function */
        cut_at(&c, m.start);
        c.now.name = stack_name_at(a, bytes, c.code, found[0], &c.now.is_titled);
        c.now.head_len = m.end - m.start;
        c.body = next_line_at(&c, m.end);
        enter_scope(&c, found[1].start < found[1].end && found[1].start != PATTERN_NOWHERE);
    }
    cut_behind_body(&c, len);
    cut_at(&c, len);
    return c.all;
}

static const char *first_line(struct arena *a, const struct piece *piece)
{
    const char *p = piece->text, *line = p;
    size_t len = next_line(&p, piece->text + piece->len, &line);
    while (len && strchr(" \t", *line))
        line++, len--;
    return text_clean(a, line, len, MAX_SHOWN, true);
}

static bool defines(const struct pieces *pieces, const struct piece *again)
{
    for (size_t i = 0; *again->name && i < pieces->count; i++) {
        const struct piece *p = &pieces->items[i];
        if (p->is_titled == again->is_titled && streq(p->name, again->name) && streq(p->scope, again->scope))
            return true;
    }
    return false;
}

static bool has_piece(const struct pieces *pieces, const struct piece *piece)
{
    for (size_t i = 0; i < pieces->count; i++)
        if (streq(pieces->items[i].scope, piece->scope) && same_piece(&pieces->items[i], piece))
            return true;
    return false;
}

/* Whether the old pieces stand where a piece of this scope can be seen: in the same class, or file. */
static bool is_among(const struct pieces *pieces, const char *scope)
{
    for (size_t i = 0; *scope && i < pieces->count; i++) {
        const struct piece *p = &pieces->items[i];
        size_t len = strlen(p->scope);
        const char *last = scope + (len ? len + 1 : 0);
        if (p->is_scope && starts_with(scope, p->scope) && strlen(scope) > len && streq(last, p->name))
            return true;
    }
    return !*scope;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

/* Whether the pieces mention a name otherwise than by defining it: behind a dot where it is one
 * of a class, without one where it is the file's. */
static bool uses(const struct pieces *pieces, const char *name, bool in_class)
{
    size_t len = strlen(name), found = 0, defined = 0;
    const char *code = pieces->code, *end = code + pieces->len;
    for (const char *at = code; len && (at = memmem(at, (size_t)(end - at), name, len)); at += len) {
        bool begins = at == code || !is_word(at[-1]), ends = at + len == end || !is_word(at[len]);
        found += begins && ends && (at > code && at[-1] == '.') == in_class;
    }
    for (size_t i = 0; !in_class && i < pieces->count; i++)
        defined += streq(pieces->items[i].name, name);
    return found > defined;
}

/* What became of the old pieces. */
struct comparison {
    struct pieces old, added;
    size_t kept; /* of the old ones, from the first */
};

static struct comparison compare(const struct stack *s, struct arena *a, const char *before, size_t before_len, const char *after,
                                 size_t after_len)
{
    struct pieces new = cut(s, a, after, after_len);
    struct comparison c = { .old = cut(s, a, before, before_len), .added = { .items = ARENA_ARRAY(a, struct piece, new.count + 1) } };
    for (size_t i = 0; i < new.count; i++) {
        if (c.kept < c.old.count && keeps_piece(&c.old.items[c.kept], &new.items[i]))
            c.kept++;
        else
            c.added.items[c.added.count++] = new.items[i];
    }
    return c;
}

static bool can_be_cut(const struct stack *s, const char *path, const char *bytes, size_t len)
{
    return stack_fits(&s->spec.additions.files, path) && !memchr(bytes, '\0', len) && len <= RESULTS_MAX_BYTES;
}

/* A piece without a name: only what the stack knows to be harmless, and brings no name that is used. */
static const char *judge_plain(const struct stack *s, struct arena *a, const struct pieces *old, const struct piece *p)
{
    static const char *const groups[] = { "name" };
    const struct pattern *plain = stack_pattern(s, s->spec.additions.plain), *binds = stack_pattern(s, s->spec.additions.binds);
    struct pattern_match m;
    const char *name;
    if (!plain || !pattern_find(plain, p->code, p->len, 0, true, &m))
        return arena_printf(a, "has the new line `%s`, which could change what the tests that are there mean", first_line(a, p));
    for (size_t at = 0; binds && pattern_find_groups(binds, a, p->code, p->len, at, false, &m, groups, &name, 1);
         at = m.end > m.start ? m.end : m.end + 1)
        if (uses(old, name, false))
            return arena_printf(a, "gives `%s`, which the tests that are there use, a new meaning by `%s`", name, first_line(a, p));
    return "";
}

/* `other`: of a merge, the other side, whose pieces may come as they are; or NULL. */
static const char *judge_piece(const struct stack *s, struct arena *a, const struct pieces *old, const struct piece *p,
                               const struct pieces *other)
{
    const struct pattern *hooks = stack_pattern(s, s->spec.additions.hooks);
    struct pattern_match m;
    if (defines(old, p))
        return arena_printf(a, "defines `%s` a second time", p->name);
    if (!is_among(old, p->scope) || is_blank(p->code, p->len) || (other && has_piece(other, p)))
        return "";
    if (!*p->name)
        return judge_plain(s, a, old, p);
    if (hooks && pattern_find(hooks, p->code, p->head_len, 0, false, &m))
        return arena_printf(a, "defines `%s`, which acts on the tests that are there", p->name);
    if (*s->spec.additions.binds && !p->is_titled && uses(old, p->name, *p->scope != '\0'))
        return arena_printf(a, "defines `%s`, a name that the tests that are there use", p->name);
    return "";
}

static const char *judge_change(const struct stack *s, struct arena *a, const char *path, const struct stack_text *before,
                                const struct stack_text *after, const struct stack_text *other)
{
    if (before->len == after->len && memcmp(before->bytes, after->bytes, before->len) == 0)
        return "";
    if (!can_be_cut(s, path, before->bytes, before->len) || !can_be_cut(s, path, after->bytes, after->len) ||
        (other && !can_be_cut(s, path, other->bytes, other->len)))
        return "is there already and stays as it is";
    struct comparison c = compare(s, a, before->bytes, before->len, after->bytes, after->len);
    if (c.kept < c.old.count)
        return arena_printf(a, "is there already and was changed or cut at `%s`", first_line(a, &c.old.items[c.kept]));
    struct pieces theirs = { 0 };
    if (other)
        theirs = cut(s, a, other->bytes, other->len);
    const char *fault = "";
    for (size_t i = 0; i < c.added.count && !*fault; i++)
        fault = judge_piece(s, a, &c.old, &c.added.items[i], other ? &theirs : NULL);
    return fault;
}

const char *stack_added_only(const struct stack *s, struct arena *a, const char *path, const char *before, size_t before_len,
                             const char *after, size_t after_len)
{
    return judge_change(s, a, path, &(struct stack_text){ before, before_len }, &(struct stack_text){ after, after_len }, NULL);
}

const char *stack_merged_only(const struct stack *s, struct arena *a, const char *path, const struct stack_text *side,
                              const struct stack_text *other, const struct stack_text *merged)
{
    return judge_change(s, a, path, side, merged, other);
}

const char *stack_added(const struct stack *s, struct arena *a, const char *path, const char *before, size_t before_len,
                        const char *after, size_t after_len)
{
    if (!can_be_cut(s, path, before, before_len) || !can_be_cut(s, path, after, after_len))
        return after;
    STR_LOCAL(out);
    struct comparison c = compare(s, a, before, before_len, after, after_len);
    for (size_t i = 0; i < c.added.count; i++)
        str_add_bytes(&out, c.added.items[i].text, c.added.items[i].len);
    return arena_strndup(a, out.data, out.len);
}
