/* answer_path.c - what a path from a model may look like.
 *
 * Only the shape is looked at here; whether the path may be written (tests, production
 * files, links in the tree) is decided where the tree is.  Refused rather than mended, with
 * a sentence for the model: a path that means something else than it says is the one thing
 * not to guess about.
 */
#include "model/answer.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"

#include <ctype.h>
#include <strings.h>

enum { MAX_PATH_LEN = 1024, MAX_NAME_LEN = 255 };

/* What is wrong with one name of the path, or NULL. */
static const char *name_trouble(const char *name, size_t len)
{
    if (len == 2 && name[0] == '.' && name[1] == '.')
        return "it leaves the project (\"..\")";
    if (len >= 4 && strncasecmp(name, ".git", 4) == 0) {
        /* ".git", and what some file systems take for it: ".git." and ".git " */
        size_t rest = 4;
        while (rest < len && (name[rest] == '.' || name[rest] == ' ' || name[rest] == ':'))
            rest++;
        if (rest == len)
            return "it is inside .git";
    }
    if (len == 5 && strncasecmp(name, "git~1", 5) == 0)
        return "it is inside .git";
    return len > MAX_NAME_LEN ? "one of its names is longer than 255 bytes" : NULL;
}

static const char *path_trouble(const char *path, size_t len)
{
    if (len == 0)
        return "it is empty";
    if (len > MAX_PATH_LEN)
        return "it is longer than 1024 bytes";
    if (!utf8_valid(path, len, NULL))
        return "it is not UTF-8";
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)path[i] < ' ' || path[i] == 0x7F)
            return "it contains a control character";
    if (memchr(path, '\\', len))
        return "it contains a backslash; write / between folders";
    if (path[0] == '/' || path[0] == '~')
        return "it is absolute; write it relative to the project";
    if (len > 1 && isalpha((unsigned char)path[0]) && path[1] == ':')
        return "it names a drive; write it relative to the project";
    if (path[0] == '-')
        return "it begins with a dash";
    if (path[len - 1] == '/')
        return "it is a folder; name a file";
    return NULL;
}

int answer_check_path(struct arena *a, const char *path, size_t len, const char **ret, struct err *e)
{
    STR_LOCAL(clean);
    const char *trouble = path_trouble(path, len);
    for (size_t at = 0; !trouble && at < len;) {
        const char *slash = memchr(path + at, '/', len - at);
        size_t n = slash ? (size_t)(slash - path) - at : len - at;
        trouble = name_trouble(path + at, n);
        if (n > 1 || (n == 1 && path[at] != '.')) {
            if (clean.len)
                str_add_char(&clean, '/');
            str_add_bytes(&clean, path + at, n);
        }
        at += n + 1;
    }
    if (!trouble)
        trouble = clean.len ? path_trouble(clean.data, clean.len) : "it names no file"; /* "./~x" was not what it is now */
    if (trouble) {
        size_t shown = len < 100 ? len : utf8_floor(path, 100);
        return err_set(e, ERR_INVALID, "the path \"%.*s\" cannot be used: %s", (int)shown, path, trouble);
    }
    *ret = arena_strndup(a, clean.data, clean.len);
    return 0;
}
