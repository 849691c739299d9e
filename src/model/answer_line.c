/* answer_line.c - the habits of models: where they write the path of a file, and how.
 *
 * Collected from what 7B to 32B code models do when they are told "### path, then a fenced
 * block": they bold it, back-quote it, number it, say "File:" first, put it into the info
 * string or into a comment.  Each rule stands where it is applied; answer.h lists them.
 */
#include "model/answer_line.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- pieces ---- */

static struct piece skip(struct piece a, size_t n)
{
    return (struct piece){ a.p + n, a.len - n };
}

static bool begins(struct piece a, const char *word)
{
    size_t n = strlen(word);
    return a.len >= n && strncasecmp(a.p, word, n) == 0;
}

static struct piece left_trim(struct piece a)
{
    while (a.len && isspace((unsigned char)*a.p))
        a = skip(a, 1);
    return a;
}

struct piece piece_trim(struct piece a)
{
    a = left_trim(a);
    while (a.len && isspace((unsigned char)a.p[a.len - 1]))
        a.len--;
    return a;
}

bool piece_next_line(const char **at, const char *end, struct piece *ret)
{
    if (*at >= end)
        return false;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    const char *stop = newline ? newline : end;
    *ret = (struct piece){ *at, (size_t)(stop - *at) };
    if (ret->len && ret->p[ret->len - 1] == '\r')
        ret->len--;
    *at = newline ? newline + 1 : end;
    return true;
}

static size_t count_of(struct piece a, char c)
{
    size_t n = 0;
    while (n < a.len && a.p[n] == c)
        n++;
    return n;
}

static size_t find(struct piece a, const char *set)
{
    size_t i = 0;
    while (i < a.len && !(a.p[i] && strchr(set, a.p[i])))
        i++;
    return i;
}

/* ---- fences ---- */

bool line_is_fence(struct piece line, struct fence *ret)
{
    struct piece rest = left_trim(line);
    char mark = rest.len ? *rest.p : 0;
    if (mark != '`' && mark != '~')
        return false;
    size_t count = count_of(rest, mark);
    struct piece info = piece_trim(skip(rest, count));
    if (count < 3 || (mark == '`' && memchr(info.p, '`', info.len)))
        return false;
    *ret = (struct fence){ mark, line.len - rest.len, count, info };
    return true;
}

bool info_is_shell(struct piece info)
{
    static const char *const shells[] = { "bash", "sh", "shell", "console", "zsh", "powershell", "cmd" };
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (piece_is(info, shells[i]))
            return true;
    return false;
}

/* ---- what is a path ---- */

/* Extensions that make a lone "name.ext" a file even where text could stand. */
static bool is_known_extension(struct piece ext)
{
    static const char *const known[] = {
        "py",  "c",   "h",    "cc",  "cpp",  "hpp", "js",   "mjs", "ts",   "tsx",   "jsx", "java", "go",
        "rs",  "rb",  "php",  "sh",  "sql",  "css", "html", "md",  "rst",  "txt",   "json", "yaml", "yml",
        "toml", "ini", "cfg", "xml", "mk",   "in",  "build", "cmake", "csv", "lua", "pl",  "kt",   "cs",
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (piece_is(ext, known[i]))
            return true;
    return false;
}

static bool is_known_name(struct piece name)
{
    static const char *const known[] = { "Makefile", "makefile", "GNUmakefile", "Dockerfile", "LICENSE",
                                         "README", "CHANGELOG", "Jenkinsfile", "Rakefile", "Gemfile" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (piece_is(name, known[i]))
            return true;
    return false;
}

static struct piece last_name(struct piece path)
{
    for (size_t i = path.len; i > 0; i--)
        if (path.p[i - 1] == '/' || path.p[i - 1] == '\\')
            return skip(path, i);
    return path;
}

/* What follows the last dot of the last name, if it is like an extension. */
static struct piece extension(struct piece path)
{
    struct piece name = last_name(path);
    for (size_t i = name.len; i > 1; i--) {
        if (name.p[i - 1] != '.')
            continue;
        struct piece ext = skip(name, i);
        bool good = ext.len >= 1 && ext.len <= 10 && isalpha((unsigned char)*ext.p);
        for (size_t k = 0; k < ext.len; k++)
            good = good && isalnum((unsigned char)ext.p[k]);
        return good ? ext : (struct piece){ NULL, 0 };
    }
    return (struct piece){ NULL, 0 };
}

static bool has_slash(struct piece path)
{
    return find(path, "/\\") < path.len;
}

/* Nothing that belongs to code or prose; control characters are for answer_check_path. */
static bool is_plain(struct piece path)
{
    return path.len > 0 && find(path, "<>()[]{}\"'`*?|$;,=!&#") == path.len &&
           !memmem(path.p, path.len, "://", 3);
}

/* How sure one can be: `marked` if the author marked it as a path. */
static bool is_path(struct piece path, bool marked)
{
    if (!is_plain(path))
        return false;
    if (extension(path).p || is_known_name(last_name(path)))
        return true;
    /* "/etc/passwd", "../up", ".gitignore": seen, so that they can be refused by name */
    bool odd_start = *path.p == '/' || *path.p == '~' || (*path.p == '.' && path.len > 2);
    if (has_slash(path))
        return odd_start || marked;
    return *path.p == '.' && path.len > 2 && isalpha((unsigned char)path.p[1]);
}

/* A path where anything could stand: "asp.net" and "e.g." are none. */
static bool is_sure_path(struct piece path)
{
    struct piece ext = extension(path);
    return is_plain(path) && find(path, " \t") == path.len && ext.p &&
           (has_slash(path) || is_known_extension(ext));
}

/* ---- path lines ---- */

static struct piece skip_list_mark(struct piece a)
{
    if (a.len > 1 && strchr("-*+", *a.p) && a.p[1] == ' ')
        return left_trim(skip(a, 2));
    size_t digits = 0;
    while (digits < a.len && isdigit((unsigned char)a.p[digits]))
        digits++;
    if (digits && digits + 1 < a.len && strchr(".)", a.p[digits]) && a.p[digits + 1] == ' ')
        return left_trim(skip(a, digits + 2));
    return a;
}

/* "File: ", "**Path:** " and their kin; true if one was there. */
static bool skip_word(struct piece *a, bool *deleted)
{
    static const char *const words[] = { "file name:", "filename:", "file path:", "filepath:", "file:",
                                         "path:", "new file:", "create:", "update:", "modify:", "edit:" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (begins(*a, words[i])) {
            *a = left_trim(skip(*a, strlen(words[i])));
            return true;
        }
    }
    if (a->len > 7 && memcmp(a->p, "DELETE", 6) == 0 && (a->p[6] == ' ' || a->p[6] == ':')) {
        *a = left_trim(skip(*a, 7));
        *deleted = true;
        return true;
    }
    return false;
}

static bool is_delete_note(struct piece rest)
{
    return piece_is(rest, "DELETE") || piece_is(rest, "(DELETE)") || begins(rest, "(deleted)");
}

/* Whether what stands behind a path leaves the line a path line. */
static bool is_harmless(struct piece rest, bool strong)
{
    rest = piece_trim(rest);
    if (!rest.len || is_delete_note(rest))
        return true;
    if (*rest.p == '(' && rest.p[rest.len - 1] == ')')
        return true;
    return strong && (*rest.p == '-' || begins(rest, "\xE2\x80\x93") || begins(rest, "\xE2\x80\x94"));
}

/* Takes the path off the front; the rest is left in *a without closing marks and colon. */
static struct piece take_path(struct piece *a, bool *quoted)
{
    *quoted = a->len && (*a->p == '`' || *a->p == '"' || *a->p == '\'');
    size_t len;
    struct piece path;
    if (*quoted) {
        const char quote[] = { *a->p, '\0' };
        *a = skip(*a, 1);
        len = find(*a, quote);
        path = (struct piece){ a->p, len };
        *a = skip(*a, len < a->len ? len + 1 : len);
    } else {
        len = find(*a, " \t*`");
        path = (struct piece){ a->p, len };
        *a = skip(*a, len);
        while (path.len > 2 && path.p[path.len - 1] == ':')
            path.len--;
    }
    while (a->len && strchr("*:` ", *a->p))
        *a = skip(*a, 1);
    return path;
}

/* A sentence with exactly one back-quoted path in it. */
static struct path_line prose_path(struct piece line)
{
    struct path_line none = { .strength = PATH_NONE }, found = none;
    for (size_t at = find(line, "`"); at < line.len; at = find(line, "`")) {
        line = skip(line, at + 1);
        size_t len = find(line, "`");
        if (len == line.len)
            break;
        struct piece path = { line.p, len };
        if (is_path(path, true) && has_slash(path) && extension(path).p) {
            if (found.strength)
                return none;
            found = (struct path_line){ .strength = PATH_PROSE, .path = path };
        }
        line = skip(line, len + 1);
    }
    return found;
}

struct path_line line_path(struct piece line)
{
    struct path_line found = { .strength = PATH_NONE };
    struct piece a = piece_trim(line);
    size_t hashes = count_of(a, '#'), stars;
    bool quoted, strong = hashes > 0;
    a = skip_list_mark(left_trim(skip(a, hashes)));
    for (int i = 0; i < 2; i++) { /* "**File:** `x`" and "File: **x**" */
        stars = count_of(a, '*');
        a = left_trim(skip(a, stars));
        strong = skip_word(&a, &found.deleted) || stars >= 2 || strong;
    }
    a = skip(a, count_of(a, '*'));
    struct piece path = take_path(&a, &quoted);
    /* "### x/y" is the form we ask for: there it need not look like a file's name. */
    if (!is_path(path, quoted || hashes == 3) || !is_harmless(a, strong))
        return prose_path(line);
    found.deleted = found.deleted || is_delete_note(piece_trim(a));
    found.strength = strong ? PATH_STRONG : PATH_PLAIN;
    found.path = path;
    return found;
}

/* ---- info strings and comments ---- */

/* A word of an info string, without key and quotes: title="src/x.py", python:src/x.py */
static struct piece info_word(struct piece word)
{
    size_t at = find(word, "=:");
    bool drive = at == 1 && word.len > 2 && strchr("/\\", word.p[2]);
    if (at < word.len && !drive)
        word = skip(word, at + 1);
    while (word.len && strchr("\"'", *word.p))
        word = skip(word, 1);
    while (word.len && strchr("\"'", word.p[word.len - 1]))
        word.len--;
    return word;
}

struct piece info_path(struct piece info)
{
    struct piece none = { NULL, 0 };
    while (info.len) {
        size_t len = find(info, " \t");
        struct piece word = info_word((struct piece){ info.p, len });
        if (is_sure_path(word))
            return word;
        info = left_trim(skip(info, len));
    }
    return none;
}

struct piece comment_path(struct piece first_line)
{
    static const char *const begin[] = { "//", "#", "--", "/*", "<!--", ";", "%" };
    static const char *const end[] = { "*/", "-->" };
    struct piece a = piece_trim(first_line), none = { NULL, 0 };
    size_t i = 0;
    bool deleted = false;
    while (i < sizeof begin / sizeof *begin && !begins(a, begin[i]))
        i++;
    if (i == sizeof begin / sizeof *begin || begins(a, "#!"))
        return none;
    a = skip(a, strlen(begin[i]));
    a = left_trim(skip(a, *begin[i] == '#' ? count_of(a, '#') : 0));
    skip_word(&a, &deleted);
    for (i = 0; i < 2; i++) {
        size_t n = strlen(end[i]);
        if (a.len > n && memcmp(a.p + a.len - n, end[i], n) == 0)
            a = piece_trim((struct piece){ a.p, a.len - n });
    }
    return !deleted && is_sure_path(a) ? a : none;
}
