/* coverage.c - covered lines, from LCOV and from gcov's JSON.
 *
 * Both are read into one table of (file, line, count).  A file occurs repeatedly when it
 * was linked into several test programs; a line is covered when any of them ran it.
 */
#include "repo/results.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "repo/results_build.h"

#include <inttypes.h>
#include <stdlib.h>

enum { MAX_FILES = 10000, MAX_LINES = 2000000, MAX_LINE_NUMBER = 10000000, MAX_RANGES = 1000, MAX_PATH = 4096 };

static const struct field coverage_file_fields[] = {
    FIELD(struct coverage_file, path, FIELD_TEXT, .required = true, .max = MAX_PATH),
    FIELD(struct coverage_file, lines, FIELD_INT, .doc = "lines that can run"),
    FIELD(struct coverage_file, covered, FIELD_INT, .doc = "lines that ran"),
    FIELD(struct coverage_file, missing, FIELD_TEXTS, .doc = "lines that did not, as \"12\" or \"14-17\""),
};
const struct record coverage_file_record = RECORD("coverage_file", struct coverage_file, coverage_file_fields);

struct line { int32_t file, number; bool is_covered; };

struct coverage_builder {
    struct arena *arena;
    const char *root;
    size_t root_len;
    const char **files;
    size_t file_count, file_room;
    struct line *lines;
    size_t line_count, line_room;
};

/* The path below the root; NULL: outside, or nonsense. */
static const char *project_path(const struct coverage_builder *b, const char *path)
{
    if (strncmp(path, b->root, b->root_len) == 0 && path[b->root_len] == '/')
        path += b->root_len + 1;
    while (starts_with(path, "./"))
        path += 2;
    if (!*path || *path == '/' || starts_with(path, "../") || strlen(path) > MAX_PATH)
        return NULL;
    return path;
}

/* Begins the lines of a file; *ret_file -1: they do not count. */
static int add_file(struct coverage_builder *b, const char *path, int32_t *ret_file, struct err *e)
{
    *ret_file = -1;
    path = project_path(b, path);
    if (!path)
        return 0;
    if (b->file_count == MAX_FILES)
        return err_set(e, ERR_LIMIT, "coverage of more than %d files", MAX_FILES);
    ARENA_GROW(b->arena, b->files, b->file_room, b->file_count);
    b->files[b->file_count] = arena_strdup(b->arena, path);
    *ret_file = (int32_t)b->file_count++;
    return 0;
}

static int add_line(struct coverage_builder *b, int32_t file, int64_t number, bool is_covered, struct err *e)
{
    if (file < 0 || number < 1 || number > MAX_LINE_NUMBER)
        return 0;
    if (b->line_count == MAX_LINES)
        return err_set(e, ERR_LIMIT, "coverage of more than %d lines", MAX_LINES);
    ARENA_GROW(b->arena, b->lines, b->line_room, b->line_count);
    b->lines[b->line_count++] = (struct line){ file, (int32_t)number, is_covered };
    return 0;
}

/* ---- adding up ---- */

struct named_file { const char *path; int32_t index; };

static int compare_named(const void *x, const void *y)
{
    const struct named_file *a = x, *b = y;
    int by_path = strcmp(a->path, b->path);
    return by_path ? by_path : (a->index > b->index) - (a->index < b->index);
}

static int compare_line(const void *x, const void *y)
{
    const struct line *a = x, *b = y;
    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return (int)b->is_covered - (int)a->is_covered;
}

/* Numbers the files by their place in the sorted list without repetition. */
static struct coverage_file *sort_files(struct coverage_builder *b, size_t *ret_count)
{
    struct named_file *named = ARENA_ARRAY(b->arena, struct named_file, b->file_count);
    int32_t *place = ARENA_ARRAY(b->arena, int32_t, b->file_count);
    struct coverage_file *files = ARENA_ARRAY(b->arena, struct coverage_file, b->file_count);
    for (size_t i = 0; i < b->file_count; i++)
        named[i] = (struct named_file){ b->files[i], (int32_t)i };
    if (b->file_count)
        qsort(named, b->file_count, sizeof *named, compare_named);
    size_t kept = 0;
    for (size_t i = 0; i < b->file_count; i++) {
        if (kept == 0 || !streq(files[kept - 1].path, named[i].path))
            files[kept++].path = named[i].path;
        place[named[i].index] = (int32_t)kept - 1;
    }
    for (size_t i = 0; i < b->line_count; i++)
        b->lines[i].file = place[b->lines[i].file];
    *ret_count = kept;
    return files;
}

static void close_range(struct coverage_builder *b, struct coverage_file *f, int32_t first, int32_t last)
{
    if (first == 0 || f->missing.count == MAX_RANGES)
        return;
    texts_add(&f->missing, b->arena, first == last ? arena_printf(b->arena, "%" PRId32, first)
                                                   : arena_printf(b->arena, "%" PRId32 "-%" PRId32, first, last));
}

static void coverage_finish(struct coverage_builder *b, struct coverage *ret)
{
    struct coverage c = { 0 };
    c.files = sort_files(b, &c.count);
    if (b->line_count)
        qsort(b->lines, b->line_count, sizeof *b->lines, compare_line);
    size_t at = 0;
    for (size_t file = 0; file < c.count; file++) {
        struct coverage_file *f = &c.files[file];
        int32_t first = 0, last = 0, previous = 0; /* of the open range of missing lines */
        for (; at < b->line_count && b->lines[at].file == (int32_t)file; at++) {
            const struct line *line = &b->lines[at];
            if (line->number == previous)
                continue; /* the covered one of the same number came first */
            previous = line->number;
            f->lines++;
            f->covered += line->is_covered;
            if (line->is_covered) {
                close_range(b, f, first, last);
                first = 0;
            } else {
                first = first ? first : line->number;
                last = line->number;
            }
        }
        close_range(b, f, first, last);
        c.lines += f->lines;
        c.covered += f->covered;
    }
    *ret = c;
}

void coverage_filter(struct coverage *c, bool (*is_out)(const char *path, void *ctx), void *ctx)
{
    size_t kept = 0;
    c->lines = c->covered = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (is_out(c->files[i].path, ctx))
            continue;
        c->lines += c->files[i].lines;
        c->covered += c->files[i].covered;
        c->files[kept++] = c->files[i];
    }
    c->count = kept;
}

/* ---- LCOV: SF:path, DA:line,count[,checksum], end_of_record ---- */

/* A line of `len` bytes; `file` is the open section's. */
static int lcov_line(struct coverage_builder *b, const char *line, size_t len, int32_t *file, bool *is_lcov,
                     struct err *e)
{
    if (len > 3 && memcmp(line, "SF:", 3) == 0) {
        *is_lcov = true;
        return add_file(b, text_clean(b->arena, line + 3, len - 3, MAX_PATH, true), file, e);
    }
    if (len >= 13 && memcmp(line, "end_of_record", 13) == 0)
        *file = -1;
    if (len <= 3 || memcmp(line, "DA:", 3) != 0)
        return 0;
    char numbers[64], *end;
    snprintf(numbers, sizeof numbers, "%.*s", (int)(len - 3 < 60 ? len - 3 : 60), line + 3);
    long long number = strtoll(numbers, &end, 10);
    if (*end != ',')
        return err_set(e, ERR_INVALID, "not LCOV: \"DA:%s\"",
                       text_clean(b->arena, numbers, strlen(numbers), 40, true));
    return add_line(b, *file, number, strtoll(end + 1, NULL, 10) > 0, e);
}

int coverage_read_lcov(struct arena *a, const char *root, const char *text, size_t len, struct coverage *ret, struct err *e)
{
    int r = results_check_size("coverage report", len, e);
    struct coverage_builder b = { .arena = a, .root = root, .root_len = strlen(root) };
    bool is_lcov = len == 0; /* nothing ran */
    int32_t file = -1;
    for (size_t at = 0; r == 0 && at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - (text + at)) : len - at;
        bool has_cr = line_len && text[at + line_len - 1] == '\r';
        r = lcov_line(&b, text + at, line_len - has_cr, &file, &is_lcov, e);
        at += line_len + 1;
    }
    if (r == 0 && !is_lcov)
        return err_set(e, ERR_INVALID, "not LCOV: it names no file");
    if (r == 0)
        coverage_finish(&b, ret);
    return r;
}

/* ---- gcov's JSON (https://gcc.gnu.org/onlinedocs/gcc/Invoking-Gcov.html) ---- */

/* gcov names files as the compiler was called: relative to `cwd`, often through "..". */
static const char *gcov_path(struct arena *a, const char *cwd, const char *file)
{
    STR_LOCAL(path);
    if (*file == '/')
        cwd = "";
    while (starts_with(file, "../") && *cwd) {
        const char *slash = strrchr(cwd, '/');
        cwd = arena_strndup(a, cwd, slash ? (size_t)(slash - cwd) : 0);
        file += 3;
    }
    str_addf(&path, "%s%s%s", cwd, *cwd ? "/" : "", file);
    return text_clean(a, path.data, path.len, MAX_PATH, true);
}

static int gcov_file(struct coverage_builder *b, const char *cwd, const json_t *file, struct err *e)
{
    int32_t index;
    int r = add_file(b, gcov_path(b->arena, cwd, json_text_of(file, "file", "")), &index, e);
    size_t i;
    const json_t *line;
    json_array_foreach(json_object_get(file, "lines"), i, line) {
        if (r == 0)
            r = add_line(b, index, json_int_of(line, "line_number", 0), json_int_of(line, "count", 0) > 0, e);
    }
    return r;
}

static int gcov_document(struct coverage_builder *b, const char *text, size_t len, struct err *e)
{
    ARENA_LOCAL(scratch);
    json_t *document;
    int r = json_parse(&scratch, text, len, &document, e);
    if (r < 0)
        return err_prefix(e, "the coverage report is not gcov's");
    size_t i;
    const json_t *file;
    json_array_foreach(json_object_get(document, "files"), i, file) {
        if (r == 0)
            r = gcov_file(b, json_text_of(document, "current_working_directory", ""), file, e);
    }
    return r;
}

static bool is_blank(const char *text, size_t len)
{
    while (len && (*text == ' ' || *text == '\t' || *text == '\r'))
        text++, len--;
    return len == 0;
}

int coverage_read_gcov(struct arena *a, const char *root, const char *text, size_t len, struct coverage *ret, struct err *e)
{
    int r = results_check_size("coverage report", len, e);
    struct coverage_builder b = { .arena = a, .root = root, .root_len = strlen(root) };
    for (size_t at = 0; r == 0 && at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - (text + at)) : len - at;
        if (!is_blank(text + at, line_len))
            r = gcov_document(&b, text + at, line_len, e);
        at += line_len + 1;
    }
    if (r == 0)
        coverage_finish(&b, ret);
    return r;
}
