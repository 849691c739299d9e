/* str.c - growing strings; git's strbuf is the model. */
#include "base/str.h"

#include "base/alloc.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

char str_empty[1];

void str_init(struct str *s)
{
    *s = (struct str)STR_INIT;
}

void str_release(struct str *s)
{
    if (s->cap)
        free(s->data);
    str_init(s);
}

void str_clear(struct str *s)
{
    s->len = 0;
    if (s->cap)
        s->data[0] = '\0';
}

char *str_detach(struct str *s)
{
    char *p = s->cap ? s->data : xcalloc(1, 1);
    str_init(s);
    return p;
}

void str_reserve(struct str *s, size_t more)
{
    if (more > SIZE_MAX / 2 - s->len)
        out_of_memory();
    size_t need = s->len + more + 1;
    if (need <= s->cap)
        return;
    size_t cap = s->cap < 64 ? 64 : s->cap + s->cap / 2;
    if (cap < need)
        cap = need;
    char *data = xrealloc(s->cap ? s->data : NULL, cap);
    if (!s->cap)
        data[0] = '\0';
    s->data = data;
    s->cap = cap;
}

void str_add_bytes(struct str *s, const void *bytes, size_t len)
{
    if (!len)
        return;
    str_reserve(s, len);
    memcpy(s->data + s->len, bytes, len);
    s->len += len;
    s->data[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
    str_add_bytes(s, text, strlen(text));
}

void str_add_char(struct str *s, char c)
{
    str_add_bytes(s, &c, 1);
}

void str_add_shell_word(struct str *s, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
    if (*word && !word[strspn(word, plain)]) {
        str_add(s, word);
        return;
    }
    str_add_char(s, '\'');
    for (; *word; word++)
        if (*word == '\'')
            str_add(s, "'\\''");
        else
            str_add_char(s, *word);
    str_add_char(s, '\'');
}

void str_add_str(struct str *s, const struct str *other)
{
    str_add_bytes(s, other->data, other->len);
}

void str_vaddf(struct str *s, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        out_of_memory();
    str_reserve(s, (size_t)len);
    vsnprintf(s->data + s->len, (size_t)len + 1, fmt, ap);
    s->len += (size_t)len;
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str_vaddf(s, fmt, ap);
    va_end(ap);
}

void str_add_words(struct str *s, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        str_addf(s, "%s%s", i ? ", " : "", words[i]);
}

void str_truncate(struct str *s, size_t len)
{
    if (len < s->len) {
        s->len = len;
        s->data[len] = '\0';
    }
}

void str_rtrim(struct str *s)
{
    size_t len = s->len;
    while (len && isspace((unsigned char)s->data[len - 1]))
        len--;
    str_truncate(s, len);
}

bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool parse_int(const char *s, long long min, long long max, long long *ret)
{
    if (!*s || isspace((unsigned char)*s))
        return false;
    char *end;
    errno = 0;
    long long n = strtoll(s, &end, 10);
    if (errno || *end || n < min || n > max)
        return false;
    *ret = n;
    return true;
}
