/* place.c - makes paths whole: relative to this process, with the environment of this process. */
#include "cli/place.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/utf8.h"
#include "model/ollama.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

const char *place_here(struct arena *a)
{
    char here[PATH_MAX];
    return getcwd(here, sizeof here) && *here == '/' ? arena_strdup(a, here) : NULL;
}

static const char *below(struct arena *a, const char *dir, const char *name)
{
    return arena_printf(a, "%s/%s", streq(dir, "/") ? "" : dir, name);
}

/* NULL: it cannot be told. */
static const char *resolve(struct arena *a, const char *path)
{
    char real[PATH_MAX];
    char *parent = arena_strdup(a, path), *slash;
    if (realpath(path, real))
        return arena_strdup(a, real);
    while ((slash = strrchr(parent, '/')) && slash > parent && !slash[1]) /* out/ */
        *slash = '\0';
    const char *last = slash ? slash + 1 : parent;
    if (slash)
        *slash = '\0';
    if (!streq(last, "..") && realpath(!slash ? "." : *parent ? parent : "/", real))
        return below(a, real, last);
    const char *here = place_here(a);
    return *path == '/' ? arena_strdup(a, path) : here ? below(a, here, path) : NULL;
}

int place_whole(struct arena *a, const char *what, const char *path, const char **ret, struct err *e)
{
    const char *whole = resolve(a, path);
    if (!whole)
        return err_set(e, ERR_FAILED, "%s is \"%.200s\", and the current directory cannot be told", what, path);
    if (!utf8_valid(whole, strlen(whole), NULL))
        return err_set(e, ERR_INVALID, "%s is \"%.200s\", which is not UTF-8 and could not be stored; name another place", what, whole);
    *ret = whole;
    return 0;
}

/* 0, or the errno of why nothing can be made there. */
static int why_not_written(struct arena *a, const char *path)
{
    char *at = arena_strdup(a, path), *slash;
    while (access(at, F_OK) < 0 && errno == ENOENT && (slash = strrchr(at, '/')))
        slash[slash == at] = '\0';
    return faccessat(AT_FDCWD, arena_printf(a, "%s/.", at), W_OK | X_OK, AT_EACCESS) < 0 ? errno : 0;
}

int place_to_write(struct arena *a, const char *what, const char *path, const char **ret, struct err *e)
{
    int r = place_whole(a, what, path, ret, e);
    int failure = r < 0 ? 0 : why_not_written(a, *ret);
    return failure ? err_set_errno(e, ERR_SETUP, failure, "%s: nothing can be written to %s; name another place", what, *ret) : r;
}

const char *place_beside(struct arena *a, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/'), *here = *file == '/' ? "" : place_here(a);
    if (!*path || *path == '/' || !here)
        return path;
    const char *dir = slash ? arena_strndup(a, file, (size_t)(slash - file)) : "";
    return arena_printf(a, "%s%s%s/%s", here, *here && *dir ? "/" : "", dir, path);
}

int place_of_model(struct arena *a, const char *word, const char **ret, struct err *e)
{
    static const char replay[] = "replay:", ollama[] = "ollama:";
    size_t role = strspn(word, "abcdefghijklmnopqrstuvwxyz");
    const char *url = word[role] == '=' ? word + role + 1 : word, *whole;
    int before = (int)(url - word);
    if (starts_with(url, ollama) && (!url[strlen(ollama)] || url[strlen(ollama)] == '#')) {
        *ret = arena_printf(a, "%.*sollama:%s%s", before, word, ollama_address(a), url + strlen(ollama));
        return 0;
    }
    *ret = word;
    if (!starts_with(url, replay) || !url[strlen(replay)])
        return 0;
    char *path = arena_strdup(a, url + strlen(replay)), *name = strrchr(path, '#');
    if (name)
        *name++ = '\0';
    int r = place_whole(a, "--model", path, &whole, e);
    if (r == 0)
        *ret = arena_printf(a, "%.*sreplay:%s%s%s", before, word, whole, name ? "#" : "", name ? name : "");
    return r;
}
