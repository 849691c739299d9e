/* git_path.c - which names may stand in a tree, and which in a branch.
 *
 * Paths come from models and from repositories nobody has read.  Two measures: a path that
 * we write must be plain (path_check); a name that is in somebody's tree already must only
 * be harmless (name_is_dangerous), since real trees hold backslashes and Latin-1.
 *
 * The disguises of ".git" are git's own list (verify_path, is_hfs_dotgit, is_ntfs_dotgit):
 * a tree is cloned onto Macs and Windows machines as well, where ".g\u200cit" and "git~1"
 * open the same directory.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>
#include <limits.h>
#include <locale.h>
#include <strings.h>
#include <wchar.h>
#include <wctype.h>

enum { PATH_LEN_MAX = 4096, NAME_LEN_MAX = 255, BRANCH_SAFE_MAX = 40, REF_LEN_MAX = 512 };

const char *path_shown(char *buffer, size_t size, const char *text)
{
    char repaired[3 * 200 + 1];
    size_t len = strnlen(text, 200);
    repaired[utf8_repair(repaired, text, len)] = '\0';
    size_t at = 0;
    for (const char *p = repaired; *p && at + 1 < size; p++)
        buffer[at++] = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
    buffer[at] = '\0';
    return buffer;
}

/* Code points that HFS+ ignores when it compares names (git's next_hfs_char). */
static size_t hfs_ignored(const unsigned char *p, size_t len)
{
    if (len < 3)
        return 0;
    if (p[0] == 0xe2 && p[1] == 0x80 &&
        ((p[2] >= 0x8c && p[2] <= 0x8f) || (p[2] >= 0xaa && p[2] <= 0xae)))
        return 3; /* U+200C..200F, U+202A..202E */
    if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xaa && p[2] <= 0xaf)
        return 3; /* U+206A..206F */
    if (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)
        return 3; /* U+FEFF */
    return 0;
}

static bool is_hfs_dotgit(const char *name, size_t len)
{
    const unsigned char *p = (const unsigned char *)name;
    const char *want = ".git";
    for (size_t at = 0;;) {
        size_t skip;
        while (at < len && (skip = hfs_ignored(p + at, len - at)) > 0)
            at += skip;
        if (at == len)
            return *want == '\0';
        if (*want == '\0' || tolower(p[at]) != *want)
            return false;
        at++;
        want++;
    }
}

/* NTFS drops spaces and dots at the end, and a stream's name follows a colon. */
static bool is_ntfs_dotgit(const char *name, size_t len)
{
    size_t at = 0;
    if (len >= 4 && strncasecmp(name, ".git", 4) == 0)
        at = 4;
    else if (len >= 5 && strncasecmp(name, "git~1", 5) == 0)
        at = 5;
    else
        return false;
    while (at < len && (name[at] == ' ' || name[at] == '.'))
        at++;
    return at == len || name[at] == ':' || name[at] == '\\';
}

const char *name_is_dangerous(const char *name, size_t len)
{
    if (len == 0)
        return "it has an empty component";
    if (len > NAME_LEN_MAX)
        return "a component is longer than 255 bytes";
    if (memchr(name, '/', len))
        return "a component holds a slash";
    if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
        return "\".\" and \"..\" are not allowed";
    if (is_hfs_dotgit(name, len) || is_ntfs_dotgit(name, len))
        return "\".git\", however it is spelled, is not allowed";
    return NULL;
}

static const char *path_trouble(const char *path)
{
    size_t len = strnlen(path, PATH_LEN_MAX + 1);
    if (len > PATH_LEN_MAX)
        return "it is longer than 4096 bytes";
    if (len == 0)
        return "it is empty";
    if (path[0] == '/')
        return "it is absolute; paths are relative to the project's root";
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return "it holds a control character";
        if (*p == '\\')
            return "it holds a backslash; use / between directories";
    }
    if (!utf8_valid(path, len, NULL))
        return "it is not UTF-8";
    const char *why = NULL;
    size_t depth = 0;
    for (const char *p = path; !why; p++) {
        size_t n = strcspn(p, "/");
        why = ++depth > TREE_DEPTH_MAX ? "directories are nested too deep" : name_is_dangerous(p, n);
        p += n;
        if (!*p)
            break;
    }
    return why;
}

int path_check(const char *path, struct err *e)
{
    const char *why = path_trouble(path);
    if (!why)
        return 0;
    char shown[256];
    return err_set(e, ERR_REFUSED, "the path \"%s\" is refused: %s",
                   path_shown(shown, sizeof shown, path), why);
}

bool link_stays_inside(size_t depth, const char *target, size_t len)
{
    if (len == 0 || len >= PATH_LEN_MAX || target[0] == '/' || memchr(target, '\0', len))
        return false;
    bool named = false; /* a name was passed: what it is may itself be a link, so no ".." after it */
    for (size_t at = 0; at < len;) {
        const char *slash = memchr(target + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - (target + at)) : len - at;
        if (n == 2 && target[at] == '.' && target[at + 1] == '.') {
            if (named || depth == 0)
                return false;
            depth--;
        } else if (n > 0 && !(n == 1 && target[at] == '.')) {
            named = true;
        }
        at += n + 1;
    }
    return true;
}

/* git check-ref-format, for names below refs/. */
static const char *ref_trouble(const char *ref)
{
    size_t len = strnlen(ref, REF_LEN_MAX + 1);
    if (len > REF_LEN_MAX)
        return "it is too long";
    if (!starts_with(ref, "refs/") || !strchr(ref + 5, '/'))
        return "it must begin with refs/heads/ or the like";
    for (const char *p = ref; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || strchr("~^:?*[\\", *p))
            return "it holds a character that git does not allow";
    if (strstr(ref, "..") || strstr(ref, "@{") || strstr(ref, "//") || strstr(ref, "/.") ||
        strstr(ref, ".lock/") || ends_with(ref, ".lock") || ends_with(ref, "/") || ends_with(ref, "."))
        return "git does not allow such a name";
    return NULL;
}

int ref_check(const char *ref, struct err *e)
{
    const char *why = ref_trouble(ref);
    if (!why)
        return 0;
    char shown[256];
    return err_set(e, ERR_INVALID, "\"%s\" cannot be the name of a ref: %s",
                   path_shown(shown, sizeof shown, ref), why);
}

/* By the C library's tables; in a locale that has them. */
static const char *safe_name(struct arena *a, const char *text)
{
    wctype_t marks = wctype("combining");
    char *out = arena_alloc(a, BRANCH_SAFE_MAX + 1);
    size_t len = 0, left = strlen(text);
    bool gap = false;
    while (left) {
        wchar_t c;
        char letter[MB_LEN_MAX];
        size_t n = mbrtowc(&c, text, left, &(mbstate_t){ 0 });
        if (n > left) { /* no well-formed character */
            c = L' ';
            n = 1;
        }
        text += n;
        left -= n;
        if (!iswalnum((wint_t)c) && (gap || !len || !iswctype((wint_t)c, marks))) {
            gap = true;
            continue;
        }
        size_t dash = gap && len, size = wcrtomb(letter, (wchar_t)towlower((wint_t)c), &(mbstate_t){ 0 });
        if (len + dash + size > BRANCH_SAFE_MAX)
            break;
        memcpy(out + len, "-", dash);
        memcpy(out + len + dash, letter, size);
        len += dash + size;
        gap = false;
    }
    out[len] = '\0';
    return len ? out : "unnamed";
}

const char *branch_safe(struct arena *a, const char *text)
{
    locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = uselocale(unicode);
    const char *name = safe_name(a, text);
    uselocale(before);
    if (unicode)
        freelocale(unicode);
    return name;
}

/* Whether two branches cannot stand side by side as files, on whatever file system. */
static bool names_collide(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b), len = a_len < b_len ? a_len : b_len;
    if (strncasecmp(a, b, len) != 0)
        return false;
    const char *rest = a_len < b_len ? b + len : a + len;
    return *rest == '\0' || *rest == '/';
}

static bool is_free(const struct texts *taken, const char *name)
{
    for (size_t i = 0; i < taken->count; i++)
        if (names_collide(taken->items[i], name))
            return false;
    return true;
}

static bool is_branch(const struct texts *taken, const char *name)
{
    for (size_t i = 0; i < taken->count; i++)
        if (strcasecmp(taken->items[i], name) == 0)
            return true;
    return false;
}

/* Each taken name is in the way of one number at most, so that the loops end. */
const char *branch_free(struct arena *a, struct texts *taken, const char *prefix, const char *name)
{
    const char *directory = prefix;
    for (size_t n = 2; is_branch(taken, directory); n++)
        directory = arena_printf(a, "%s-%zu", prefix, n);
    const char *branch = arena_printf(a, "%s/%s", directory, name);
    for (size_t n = 2; !is_free(taken, branch); n++)
        branch = arena_printf(a, "%s/%s-%zu", directory, name, n);
    texts_add(taken, a, branch);
    return branch;
}
