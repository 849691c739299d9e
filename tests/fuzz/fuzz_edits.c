/* fuzz_edits.c - search/replace blocks, on any file: the input is the file up to the line end
 * before the first line that begins a section, and the edits from there on. */
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include "model/edits.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

static size_t line_len(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? (size_t)(newline - at) : (size_t)(end - at);
}

/* Where the edits begin; the end when there are none. */
static const char *split(const char *text, const char *end)
{
    while (text < end && !edits_begin(text, line_len(text, end))) {
        size_t len = line_len(text, end);
        text += len + (text + len < end);
    }
    return text;
}

/* ---- the obvious way, for one edit that fits exactly ---- */

/* Whether the lines at `at` are these; *ret: behind them. */
static int fits_at(const char *at, const char *end, const struct edit *e, const char **ret)
{
    const char *s = e->search, *s_end = e->search + e->search_len;
    while (s < s_end) {
        size_t len = line_len(s, s_end);
        if (at >= end || line_len(at, end) != len || memcmp(at, s, len) != 0)
            return 0;
        s += len + 1;
        at += len + (at + len < end);
    }
    *ret = at;
    return 1;
}

/* The number of places; *ret: the file with the edit at the last of them. */
static size_t apply_obviously(const char *file, const char *end, const struct edit *e, struct str *ret)
{
    size_t places = 0;
    for (const char *at = file, *behind; at < end; at += line_len(at, end), at += at < end) {
        if (!fits_at(at, end, e, &behind))
            continue;
        places++;
        str_clear(ret);
        str_add_bytes(ret, file, (size_t)(at - file));
        str_add_bytes(ret, e->replace, e->replace_len);
        str_add_bytes(ret, behind, (size_t)(end - behind));
    }
    if (ret->len && end[-1] != '\n' && ret->data[ret->len - 1] == '\n')
        str_truncate(ret, ret->len - 1);
    return places;
}

static int is_plain(const char *text, size_t len)
{
    return len < 4096 && !memchr(text, '\r', len) && !memchr(text, '\0', len) && !(len && *text == '\xEF');
}

static int says_something(const char *text)
{
    return text[strspn(text, " \t\n\v\f\r")] != '\0';
}

static void compare(const char *file, size_t len, const struct edit *e, int code, const struct edited *made)
{
    STR_LOCAL(wanted);
    if (!len || !is_plain(file, len) || !is_plain(e->search, e->search_len) || !is_plain(e->replace, e->replace_len) ||
        !says_something(e->search))
        return;
    size_t places = apply_obviously(file, file + len, e, &wanted);
    must(places == 0 || (places == 1) == (code == 0));
    must(places != 1 || (made->len == wanted.len && memcmp(made->bytes, wanted.data, wanted.len) == 0 && !made->inexact));
    must(places != 0 || code < 0 || made->inexact == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ARENA_LOCAL(a);
    struct edits edits = { 0 };
    struct edited made;
    struct err e = { 0 };
    const char *file = (const char *)data, *text = split(file, file + size);
    size_t edits_len = size - (size_t)(text - file), len = (size_t)(text - file) - (text > file && edits_len);
    if (edits_read(&a, text, edits_len, &edits, &e) < 0) {
        must(e.code == ERR_INVALID && e.text[0]);
        return 0;
    }
    must(edits.count <= EDITS_MAX);
    int r = edits_apply(&a, file, len, &edits, &made, &e);
    must(r == 0 ? made.len <= EDITS_MAX_BYTES && !made.bytes[made.len] : r == ERR_INVALID && e.text[0]);
    must(strlen(made.region) <= EDITS_MAX_REGION && utf8_valid(made.region, strlen(made.region), NULL));
    must(r < 0 || edits.count || (made.len == len && memcmp(made.bytes, file, len) == 0));
    if (edits.count == 1)
        compare(file, len, &edits.items[0], r, &made);
    return 0;
}
