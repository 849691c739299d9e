/* answer_files.c - the contract "whole files", read from Markdown.
 *
 * One pass over the lines with one pending path.  At most two parts are read twice: a block
 * whose inner fences turn out not to be closed (from then on inner fences are not followed),
 * and an answer that is wrapped in a block as a whole.
 */
#include "model/answer.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include "model/answer_line.h"

enum { STRONG_REACH = 8 }; /* lines of prose between a heading and its block */

struct reader {
    struct arena *arena;
    const char *at, *end;
    struct answer_file *files; /* ANSWER_MAX_FILES */
    size_t file_count, block_count;
    struct path_line pending;
    int prose_lines;     /* since the pending path line */
    bool follow_inner;   /* inner fences */
    bool unclosed;
    struct piece wrapper; /* contents of the first block without a path that may wrap all */
    struct str notes;
    struct err *err;
};

static bool next_line(struct reader *r, struct piece *ret)
{
    return piece_next_line(&r->at, r->end, ret);
}

static void note_line(struct reader *r, struct piece line)
{
    if (!line.len && !r->notes.len)
        return;
    str_add_bytes(&r->notes, line.p, line.len);
    str_add_char(&r->notes, '\n');
}

/* ---- blocks ---- */

struct block {
    struct fence fence;
    const char *from, *to; /* the lines between the fences */
    bool closed;
};

/* Whether the next line that is not blank opens a block with a language. */
static bool block_follows(const struct reader *r)
{
    struct reader ahead = { .at = r->at, .end = r->end };
    struct piece line = { NULL, 0 };
    struct fence f;
    int blank = 0;
    while (next_line(&ahead, &line) && !piece_trim(line).len && blank < 2)
        blank++;
    return line_is_fence(line, &f) && f.info.len;
}

/* Finds the closing fence.  False: inner fences were followed and do not add up, or led
 * past the path line of another file; without following them that line ends the block, for
 * then its fence was forgotten. */
static bool find_close(struct reader *r, struct block *b)
{
    struct piece line;
    struct fence f;
    size_t depth = 0;
    bool passed_file = false;
    b->from = b->to = r->at;
    while (next_line(r, &line)) {
        if (line_is_fence(line, &f) && f.mark == b->fence.mark && f.count >= b->fence.count) {
            if (f.info.len && r->follow_inner && !memchr(f.info.p, ' ', f.info.len)) {
                depth++;
            } else if (!f.info.len) {
                b->closed = depth == 0;
                if (depth == 0)
                    return true;
                depth--;
            }
        } else if (line_path(line).strength == PATH_STRONG && block_follows(r)) {
            passed_file = true;
            b->closed = !r->follow_inner;
            if (b->closed) {
                r->at = b->to;
                return true;
            }
        }
        b->to = r->at;
    }
    return !r->follow_inner || (depth == 0 && !passed_file);
}

static void read_block(struct reader *r, struct block *b)
{
    const char *begin = r->at;
    r->block_count++;
    if (!find_close(r, b)) {
        r->follow_inner = false;
        r->at = begin;
        find_close(r, b);
    }
    r->unclosed = r->unclosed || !b->closed;
}

/* The block's lines as a file: LF, the fence's indentation taken off. */
static void copy_lines(struct str *out, const struct block *b, bool skip_first)
{
    struct reader lines = { .at = b->from, .end = b->to };
    struct piece line;
    for (bool first = true; next_line(&lines, &line); first = false) {
        if (first && line.len >= 3 && memcmp(line.p, "\xEF\xBB\xBF", 3) == 0)
            line.p += 3, line.len -= 3;
        if (first && skip_first)
            continue;
        for (size_t n = 0; n < b->fence.indent && line.len && (*line.p == ' ' || *line.p == '\t'); n++)
            line.p++, line.len--;
        str_add_bytes(out, line.p, line.len);
        str_add_char(out, '\n');
    }
}

/* ---- files ---- */

static int add_file(struct reader *r, struct piece path, struct answer_file file)
{
    int code = answer_check_path(r->arena, path.p, path.len, &file.path, r->err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < r->file_count; i++)
        if (streq(r->files[i].path, file.path))
            return err_set(r->err, ERR_INVALID, "the file %s is given twice; give each file once, whole",
                           file.path);
    if (r->file_count == ANSWER_MAX_FILES)
        return err_set(r->err, ERR_INVALID, "the answer holds more than %d files", ANSWER_MAX_FILES);
    r->files[r->file_count++] = file;
    return 0;
}

static int add_block(struct reader *r, struct piece path, const struct block *b, bool skip_first)
{
    STR_LOCAL(text);
    struct answer_file file = { .path = NULL };
    size_t bad_at;
    copy_lines(&text, b, skip_first);
    file.deleted = piece_is(piece_trim((struct piece){ text.data, text.len }), "DELETE");
    if (file.deleted)
        str_clear(&text);
    file.bytes = arena_strndup(r->arena, text.data, text.len);
    file.len = text.len;
    int code = add_file(r, path, file);
    if (code < 0)
        return code;
    const char *added = r->files[r->file_count - 1].path;
    if (memchr(text.data, '\0', text.len))
        return err_set(r->err, ERR_INVALID, "the file %s contains a NUL byte: only text can be given", added);
    if (!utf8_valid(text.data, text.len, &bad_at))
        return err_set(r->err, ERR_INVALID, "the file %s is not UTF-8 at byte %zu: only text can be given",
                       added, bad_at);
    return 0;
}

/* ---- the lines outside of blocks ---- */

static void forget_pending(struct reader *r)
{
    r->pending = (struct path_line){ .strength = PATH_NONE };
    r->prose_lines = 0;
}

/* Whether the pending path may be that of this block. */
static bool fits(struct reader *r, const struct block *b)
{
    const char *ignored;
    if (r->pending.strength != PATH_PROSE)
        return r->pending.strength != PATH_NONE;
    /* "Run `tests/x.py` like this:" is no file, nor is "as in `/usr/bin/x.py`:" */
    return !info_is_shell(b->fence.info) &&
           answer_check_path(r->arena, r->pending.path.p, r->pending.path.len, &ignored, NULL) == 0;
}

static bool may_wrap(const struct block *b)
{
    static const char *const wrappers[] = { "", "markdown", "md", "text", "txt", "plaintext" };
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        if (piece_is(b->fence.info, wrappers[i]))
            return true;
    return false;
}

/* Keeps a block that is not a file as prose, and as the wrapper it may be. */
static void note_block(struct reader *r, const struct block *b)
{
    struct piece content = { b->from, (size_t)(b->to - b->from) };
    if (!r->wrapper.p && may_wrap(b))
        r->wrapper = content;
    str_add_bytes(&r->notes, content.p, content.len);
}

/* The path in a comment on the block's first line; a heading with a block below it is no
 * comment, but the beginning of a wrapped answer. */
static struct piece path_in_comment(const struct block *b)
{
    struct reader lines = { .at = b->from, .end = b->to };
    struct piece first = { b->from, 0 };
    next_line(&lines, &first);
    struct piece path = comment_path(first);
    if (path.p && may_wrap(b) && block_follows(&lines))
        path.p = NULL;
    return path;
}

static int take_block(struct reader *r, const struct fence *fence)
{
    struct block b = { .fence = *fence };
    read_block(r, &b);
    struct piece path = info_path(fence->info), comment = path_in_comment(&b);
    bool skip_first = false;
    if (!path.p && comment.p && r->pending.strength != PATH_STRONG) {
        path = comment;
        skip_first = memmem(b.from, (size_t)(comment.p - b.from), "##", 2) != NULL;
    } else if (!path.p && fits(r, &b)) {
        path = r->pending.path;
    }
    forget_pending(r);
    if (path.p)
        return add_block(r, path, &b, skip_first);
    note_block(r, &b);
    return 0;
}

static int take_delete(struct reader *r, struct piece path)
{
    forget_pending(r);
    return add_file(r, path, (struct answer_file){ .bytes = "", .deleted = true });
}

static int take_line(struct reader *r, struct piece line)
{
    struct piece words = piece_trim(line);
    while (words.len > 2 && strchr("*`", *words.p) && strchr("*`", words.p[words.len - 1]))
        words = (struct piece){ words.p + 1, words.len - 2 };
    if (r->pending.strength >= PATH_PLAIN && piece_is(words, "DELETE"))
        return take_delete(r, r->pending.path);
    struct path_line found = line_path(line);
    /* A sentence below a heading that names the same or another path does not replace it. */
    bool replaces = found.strength > PATH_PROSE ||
                    (found.strength == PATH_PROSE && r->pending.strength < PATH_STRONG);
    if (replaces && found.deleted)
        return take_delete(r, found.path);
    if (replaces) {
        r->pending = found;
        r->prose_lines = 0;
    } else if (words.len && r->pending.strength) {
        int reach = r->pending.strength == PATH_STRONG ? STRONG_REACH : 0;
        if (++r->prose_lines > reach)
            forget_pending(r);
    }
    if (found.strength <= PATH_PROSE)
        note_line(r, line);
    return 0;
}

static int read_all(struct reader *r)
{
    struct piece line;
    struct fence fence;
    while (next_line(r, &line)) {
        int code = line_is_fence(line, &fence) ? take_block(r, &fence) : take_line(r, line);
        if (code < 0)
            return code;
    }
    return 0;
}

static const char *keep_notes(struct reader *r)
{
    str_rtrim(&r->notes);
    char *out = arena_alloc(r->arena, 3 * r->notes.len + 1);
    out[utf8_repair(out, r->notes.data, r->notes.len)] = '\0';
    return out;
}

static int no_file(struct reader *r)
{
    if (r->block_count)
        return err_set(r->err, ERR_INVALID, "none of the %zu blocks says which file it is; write a line "
                       "\"### path/of/the/file\" before each block", r->block_count);
    return err_set(r->err, ERR_INVALID, "the answer holds no file; for each file write a line "
                   "\"### path/of/the/file\" and then its whole text in a fenced block");
}

int answer_read_files(struct arena *a, const char *text, size_t len, struct answer_files *ret,
                      struct err *e)
{
    struct reader r = { .arena = a, .at = text, .end = text + len, .follow_inner = true,
                        .files = ARENA_ARRAY(a, struct answer_file, ANSWER_MAX_FILES),
                        .notes = STR_INIT, .err = e };
    int code = read_all(&r);
    if (code == 0 && !r.file_count && r.wrapper.p) {
        r.at = r.wrapper.p;
        r.end = r.wrapper.p + r.wrapper.len;
        str_clear(&r.notes);
        forget_pending(&r);
        code = read_all(&r);
    }
    if (code == 0 && !r.file_count)
        code = no_file(&r);
    if (code == 0)
        *ret = (struct answer_files){ r.files, r.file_count, keep_notes(&r), r.unclosed };
    str_release(&r.notes);
    return code;
}
