/* answer_files.c - the contract for files, whole or edited, read from Markdown.
 *
 * One pass over the lines with one pending path.  At most two parts are read twice: a block
 * whose inner fences turn out not to be closed (from then on inner fences are not followed),
 * and an answer that is wrapped in a block as a whole.
 *
 * Sections of edits are the same in a block and outside: a block of them is read as if its
 * fences were not there.  What looks like a fence within a section belongs to the section.
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
    struct piece edited; /* the path of the last edit, unless a whole file came after it */
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

/* Goes on behind the section of edits that begins with the line read last, at `begin`; false:
 * there is none. */
static bool skip_section(struct reader *r, const char *begin, struct piece line)
{
    size_t len = edits_begin(line.p, line.len) ? edits_section(begin, (size_t)(r->end - begin)) : 0;
    if (len)
        r->at = begin + len;
    return len > 0;
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
        if (skip_section(r, b->to, line)) {
            /* whatever is in it */
        } else if (line_is_fence(line, &f) && f.mark == b->fence.mark && f.count >= b->fence.count) {
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

static struct piece unindented(struct piece line, size_t indent)
{
    while (indent-- && line.len && (*line.p == ' ' || *line.p == '\t'))
        line.p++, line.len--;
    return line;
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
        line = unindented(line, b->fence.indent);
        str_add_bytes(out, line.p, line.len);
        str_add_char(out, '\n');
    }
}

/* ---- files ---- */

/* *ret: the file of that path; new and with nothing but the path where there was none. */
static int find_file(struct reader *r, struct piece path, struct answer_file **ret, struct err *e)
{
    const char *clean;
    int code = answer_check_path(r->arena, path.p, path.len, &clean, e);
    if (code < 0)
        return code;
    for (size_t i = 0; i < r->file_count; i++) {
        *ret = &r->files[i];
        if (streq((*ret)->path, clean))
            return 0;
    }
    if (r->file_count == ANSWER_MAX_FILES)
        return err_set(e, ERR_INVALID, "the answer holds more than %d files", ANSWER_MAX_FILES);
    *ret = &r->files[r->file_count++];
    **ret = (struct answer_file){ .path = clean };
    return 0;
}

static int given_both_ways(struct reader *r, const char *path)
{
    return err_set(r->err, ERR_INVALID, "the file %s is given whole and by search/replace blocks; give it in one of these ways", path);
}

static int add_file(struct reader *r, struct piece path, struct answer_file file)
{
    struct answer_file *to;
    int code = find_file(r, path, &to, r->err);
    if (code < 0)
        return code;
    if (to->edits.count)
        return given_both_ways(r, to->path);
    if (to->bytes)
        return err_set(r->err, ERR_INVALID, "the file %s is given twice; give each file once, whole", to->path);
    file.path = to->path;
    *to = file;
    r->edited = (struct piece){ NULL, 0 };
    return 0;
}

static int check_text(struct reader *r, const char *path, const struct str *text)
{
    size_t bad_at;
    if (memchr(text->data, '\0', text->len))
        return err_set(r->err, ERR_INVALID, "the file %s contains a NUL byte: only text can be given", path);
    if (!utf8_valid(text->data, text->len, &bad_at))
        return err_set(r->err, ERR_INVALID, "the file %s is not UTF-8 at byte %zu: only text can be given", path, bad_at);
    return 0;
}

static int add_block(struct reader *r, struct piece path, const struct block *b, bool skip_first)
{
    STR_LOCAL(text);
    struct answer_file file = { .path = NULL };
    copy_lines(&text, b, skip_first);
    file.deleted = piece_is(piece_trim((struct piece){ text.data, text.len }), "DELETE");
    if (file.deleted)
        str_clear(&text);
    file.bytes = arena_strndup(r->arena, text.data, text.len);
    file.len = text.len;
    int code = add_file(r, path, file);
    return code < 0 ? code : check_text(r, r->files[r->file_count - 1].path, &text);
}

/* `section`: the text of one. */
static int add_edit(struct reader *r, struct piece path, const struct block *section)
{
    STR_LOCAL(text);
    struct answer_file *to;
    int code = find_file(r, path, &to, r->err);
    if (code < 0)
        return code;
    if (to->bytes && !to->edits.count)
        return given_both_ways(r, to->path);
    copy_lines(&text, section, false);
    code = check_text(r, to->path, &text);
    if (code < 0)
        return code;
    to->bytes = "";
    r->edited = path;
    code = edits_read(r->arena, text.data, text.len, &to->edits, r->err);
    return code < 0 ? err_prefix(r->err, "the search/replace blocks of %s", to->path) : 0;
}

/* ---- the lines outside of blocks ---- */

static void forget_pending(struct reader *r)
{
    r->pending = (struct path_line){ .strength = PATH_NONE };
    r->prose_lines = 0;
}

/* Whether the pending path may be that of what follows, a block with this info string. */
static bool fits(struct reader *r, struct piece info)
{
    const char *ignored;
    if (r->pending.strength != PATH_PROSE)
        return r->pending.strength != PATH_NONE;
    /* "Run `tests/x.py` like this:" is no file, nor is "as in `/usr/bin/x.py`:" */
    return !info_is_shell(info) &&
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

/* Whether a block begins with a section of edits, or with a path and then one. */
static bool holds_edits(const struct block *b)
{
    struct reader lines = { .at = b->from, .end = b->to };
    struct piece line;
    for (int paths = 0; paths < 2 && next_line(&lines, &line);) {
        line = unindented(line, b->fence.indent);
        if (edits_begin(line.p, line.len))
            return true;
        if (piece_trim(line).len && !comment_path(line).p && line_path(line).strength < PATH_PLAIN)
            return false;
        paths += piece_trim(line).len > 0;
    }
    return false;
}

static int read_lines(struct reader *r, bool fences);

/* Reads what is in a block of edits as if it stood outside. */
static int take_edits(struct reader *r, const struct block *b)
{
    STR_LOCAL(text);
    struct piece path = info_path(b->fence.info);
    if (!path.p && r->pending.strength != PATH_STRONG)
        path = path_in_comment(b);
    if (path.p)
        r->pending = (struct path_line){ .strength = PATH_STRONG, .path = path };
    else if (!fits(r, b->fence.info))
        forget_pending(r);
    copy_lines(&text, b, false);
    const char *at = r->at, *end = r->end;
    r->at = arena_strndup(r->arena, text.data, text.len);
    r->end = r->at + text.len;
    int code = read_lines(r, false);
    r->at = at;
    r->end = end;
    forget_pending(r);
    return code;
}

static int take_block(struct reader *r, const struct fence *fence)
{
    struct block b = { .fence = *fence };
    read_block(r, &b);
    if (holds_edits(&b))
        return take_edits(r, &b);
    struct piece path = info_path(fence->info), comment = path_in_comment(&b);
    bool skip_first = false;
    if (!path.p && comment.p && r->pending.strength != PATH_STRONG) {
        path = comment;
        skip_first = memmem(b.from, (size_t)(comment.p - b.from), "##", 2) != NULL;
    } else if (!path.p && fits(r, fence->info)) {
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

/* A section of edits that begins with this line, at `begin`. */
static int take_section(struct reader *r, const char *begin, struct piece line)
{
    struct piece path = fits(r, (struct piece){ "", 0 }) ? r->pending.path : r->edited;
    if (!skip_section(r, begin, line)) {
        const char *clean;
        if (!path.p)
            return take_line(r, line);
        int code = answer_check_path(r->arena, path.p, path.len, &clean, r->err);
        return code < 0 ? code : err_set(r->err, ERR_INVALID, "a search/replace block of %s has no line \">>>>>>> REPLACE\" at its end", clean);
    }
    if (!path.p)
        return err_set(r->err, ERR_INVALID, "a search/replace block does not say which file it changes; write a line "
                       "\"### path/of/the/file\" before it");
    forget_pending(r);
    return add_edit(r, path, &(struct block){ .from = begin, .to = r->at });
}

static int read_lines(struct reader *r, bool fences)
{
    struct piece line;
    struct fence fence;
    for (const char *begin = r->at; next_line(r, &line); begin = r->at) {
        int code = edits_begin(line.p, line.len) ? take_section(r, begin, line)
                   : fences && line_is_fence(line, &fence) ? take_block(r, &fence)
                   : take_line(r, line);
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
    int code = read_lines(&r, true);
    if (code == 0 && !r.file_count && r.wrapper.p) {
        r.at = r.wrapper.p;
        r.end = r.wrapper.p + r.wrapper.len;
        str_clear(&r.notes);
        forget_pending(&r);
        code = read_lines(&r, true);
    }
    if (code == 0 && !r.file_count)
        code = no_file(&r);
    if (code == 0)
        *ret = (struct answer_files){ r.files, r.file_count, keep_notes(&r), r.unclosed };
    str_release(&r.notes);
    return code;
}
