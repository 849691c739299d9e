/* upstream_grammar.c - the plainest text that a grammar in GBNF allows: of alternatives the first,
 * of repetitions the fewest, of characters the first that can be named.
 *
 * A grammar that it does not understand gives false, as a real server answers 400. */
#include "fake.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 100, MAX_TEXT = 1 << 20 };

struct maker {
    const char *grammar;
    struct str *out; /* NULL: it is only read over */
    int depth;
    bool wrong;
};

static const char *alternatives(struct maker *m, const char *p);

static const char *skip_blank(const char *p)
{
    return p + strspn(p, " \t");
}

/* The expression behind "name ::="; NULL: there is none. */
static const char *find_rule(const char *grammar, const char *name, size_t len)
{
    for (const char *line = grammar; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && strncmp(skip_blank(line + len), "::=", 3) == 0)
            return skip_blank(line + len) + 3;
    }
    return NULL;
}

static const char *fail(struct maker *m)
{
    m->wrong = true;
    return "";
}

static void put(struct maker *m, char c)
{
    if (m->out && m->out->len < MAX_TEXT)
        str_add_char(m->out, c);
}

static const char *literal(struct maker *m, const char *p)
{
    for (p++; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1])
            p++;
        put(m, *p);
    }
    return *p ? p + 1 : fail(m);
}

static const char *class(struct maker *m, const char *p)
{
    bool negated = p[1] == '^';
    put(m, negated ? 'x' : p[1] == '\\' ? p[2] : p[1]);
    for (p++; *p && *p != ']'; p++)
        p += *p == '\\' && p[1];
    return *p ? p + 1 : fail(m);
}

static const char *name(struct maker *m, const char *p)
{
    size_t len = 0;
    while (isalnum((unsigned char)p[len]) || p[len] == '-')
        len++;
    const char *rule = len ? find_rule(m->grammar, p, len) : NULL;
    if (!rule || m->depth == MAX_DEPTH)
        return fail(m);
    if (m->out) {
        m->depth++;
        alternatives(m, rule);
        m->depth--;
    }
    return p + len;
}

static const char *one(struct maker *m, const char *p)
{
    if (*p == '"')
        return literal(m, p);
    if (*p == '[')
        return class(m, p);
    if (*p != '(')
        return name(m, p);
    p = skip_blank(alternatives(m, p + 1));
    return *p == ')' ? p + 1 : fail(m);
}

/* How often at least; the index behind the suffix. */
static const char *least(const char *p, long *ret)
{
    *ret = *p == '?' || *p == '*' ? 0 : 1;
    if (*p == '{') {
        *ret = strtol(p + 1, NULL, 10);
        return p + strcspn(p, "}") + 1;
    }
    return p + (*p == '?' || *p == '*' || *p == '+');
}

static const char *repeated(struct maker *m, const char *p)
{
    struct maker silent = *m;
    long times;
    silent.out = NULL;
    const char *end = one(&silent, p);
    m->wrong = m->wrong || silent.wrong;
    end = least(end, &times);
    for (long i = 0; i < times && m->out && !m->wrong; i++)
        one(m, p);
    return end;
}

static const char *alternatives(struct maker *m, const char *p)
{
    struct maker silent = *m;
    silent.out = NULL;
    struct maker *now = m;
    for (p = skip_blank(p); *p && *p != '\n' && *p != ')' && !m->wrong && !silent.wrong; p = skip_blank(p)) {
        if (*p == '|') {
            now = &silent;
            p++;
        } else {
            p = repeated(now, p);
        }
    }
    m->wrong = m->wrong || silent.wrong;
    return p;
}

bool write_by_grammar(struct str *out, const char *grammar)
{
    struct maker m = { .grammar = grammar, .out = out };
    const char *root = find_rule(grammar, "root", 4);
    if (root)
        alternatives(&m, root);
    return root && !m.wrong;
}
