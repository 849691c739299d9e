/* mutate.c - a table of replacements, tried at each place where one fits. */
#include "team/mutate.h"

#include "base/arena.h"
#include "base/str.h"

#include <ctype.h>

static const struct { const char *from, *to; } replacements[] = {
    { "==", "!=" }, { "!=", "==" }, { "<=", ">" }, { ">=", "<" }, { " < ", " >= " }, { " > ", " <= " },
    { " + ", " - " }, { " - ", " + " }, { " * ", " + " }, { " / ", " * " }, { " && ", " || " }, { " || ", " && " },
    { " and ", " or " }, { " or ", " and " }, { "True", "False" }, { "False", "True" }, { "true", "false" },
    { "false", "true" }, { "return ", "return not " }, { "return ", "return !" }, { "return ", "return -" },
};

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Words are replaced as whole words only. */
static bool fits(const char *bytes, size_t len, size_t at, const char *from)
{
    size_t n = strlen(from);
    if (at + n > len || memcmp(bytes + at, from, n) != 0)
        return false;
    if (isalpha((unsigned char)from[0]) && at && word_char(bytes[at - 1]))
        return false;
    return !(isalpha((unsigned char)from[n - 1]) && at + n < len && word_char(bytes[at + n]));
}

static bool number_starts(const char *bytes, size_t at)
{
    return isdigit((unsigned char)bytes[at]) && (at == 0 || (!word_char(bytes[at - 1]) && bytes[at - 1] != '.'));
}

static const struct mutant *make(struct arena *a, const char *bytes, size_t len, size_t at, size_t cut,
                                 const char *put)
{
    struct mutant *m = ARENA_NEW(a, struct mutant);
    size_t n = strlen(put);
    char *out = arena_alloc(a, len - cut + n + 1);
    memcpy(out, bytes, at);
    memcpy(out + at, put, n);
    memcpy(out + at + n, bytes + at + cut, len - at - cut);
    m->bytes = out;
    m->len = len - cut + n;
    m->line = 1;
    for (size_t i = 0; i < at; i++)
        m->line += bytes[i] == '\n';
    m->what = arena_printf(a, "%.*s -> %s", (int)cut, bytes + at, put);
    return m;
}

const struct mutant *mutant_of(struct arena *a, const char *bytes, size_t len, size_t nth)
{
    for (size_t at = 0; at < len; at++) {
        if (number_starts(bytes, at)) {
            size_t n = 0;
            while (at + n < len && isdigit((unsigned char)bytes[at + n]))
                n++;
            if (nth-- == 0)
                return make(a, bytes, len, at, n, arena_printf(a, "%.*s1", (int)n, bytes + at));
        }
        for (size_t k = 0; k < sizeof replacements / sizeof *replacements; k++)
            if (fits(bytes, len, at, replacements[k].from) && nth-- == 0)
                return make(a, bytes, len, at, strlen(replacements[k].from), replacements[k].to);
    }
    return NULL;
}
