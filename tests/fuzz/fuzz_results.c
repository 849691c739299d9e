/* fuzz_results.c - the readers of what tests print, on any bytes.
 *
 * The first byte chooses the reader: t TAP, j JUnit XML, l LCOV, g gcov's JSON; others by
 * remainder.  Whatever is read must hold what results.h promises.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/utf8.h"
#include "repo/results.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    if (!text || !utf8_valid(text, strlen(text), NULL))
        abort();
}

static void check_results(const struct test_results *r)
{
    check_text(r->incomplete);
    for (size_t i = 0; i < r->count; i++) {
        check_text(r->tests[i].id);
        check_text(r->tests[i].message);
        if (i && strcmp(r->tests[i - 1].id, r->tests[i].id) >= 0)
            abort();
        if (results_find(r, r->tests[i].id) != &r->tests[i])
            abort();
    }
}

static void check_coverage(const struct coverage *c)
{
    int64_t lines = 0, covered = 0;
    for (size_t i = 0; i < c->count; i++) {
        check_text(c->files[i].path);
        lines += c->files[i].lines;
        covered += c->files[i].covered;
        if (c->files[i].covered > c->files[i].lines || c->files[i].path[0] == '/')
            abort();
    }
    if (lines != c->lines || covered != c->covered)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    static const char kinds[] = "tjlg";
    const char *named = strchr(kinds, data[0]);
    char kind = data[0] && named ? *named : kinds[data[0] % 4];
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    ARENA_LOCAL(a);
    struct err e = { 0 };
    struct test_results r;
    struct coverage c;
    int code = kind == 't'   ? results_read_tap(&a, text, len, &r, &e)
               : kind == 'j' ? results_read_junit(&a, text, len, &r, &e)
               : kind == 'l' ? coverage_read_lcov(&a, "/work", text, len, &c, &e)
                             : coverage_read_gcov(&a, "/work", text, len, &c, &e);
    if (code < 0)
        check_text(e.text);
    else if (kind == 't' || kind == 'j')
        check_results(&r);
    else
        check_coverage(&c);
    return 0;
}
