/* git_user.c - who the person is, by git's configuration.
 *
 * The person's own configuration is theirs and may include what it likes.  A repository's may
 * have come in an e-mail: only the two values are taken from its file, without what it
 * includes, and only if they could be a name and an address: they end up in commit messages,
 * where a line break would be another trailer.
 */
#include "repo/git_internal.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/utf8.h"

enum { MAX_VALUE = 255, TIMEOUT_MS = 10 * 1000 };

#define USER_KEYS "^user\\.(name|email)$"

static bool is_plain(const char *value)
{
    size_t len = strlen(value);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)value[i] < ' ' || value[i] == 127 || value[i] == '<' || value[i] == '>')
            return false;
    return len > 0 && len <= MAX_VALUE && utf8_valid(value, len, NULL);
}

/* "key\nvalue\0" each; the last of a key counts. */
static void take(struct git_person *p, const struct process_result *r)
{
    if (r->end != PROCESS_EXITED || r->status != 0)
        return;
    for (const char *at = r->out.data; at < r->out.data + r->out.len; at += strlen(at) + 1) {
        if (starts_with(at, "user.name\n") && is_plain(at + 10))
            snprintf(p->name, sizeof p->name, "%s", at + 10);
        else if (starts_with(at, "user.email\n") && is_plain(at + 11))
            snprintf(p->email, sizeof p->email, "%s", at + 11);
    }
}

/* ---- the person's own configuration ---- */

static pthread_once_t own_once = PTHREAD_ONCE_INIT;
static struct git_person own;

/* The one call that sees it. */
static void own_look(void)
{
    ARENA_LOCAL(a);
    const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
    if (!home)
        return;
    const char *env[] = { "PATH=" PROCESS_PATH, "LC_ALL=C", arena_printf(&a, "HOME=%s", home),
                          xdg ? arena_printf(&a, "XDG_CONFIG_HOME=%s", xdg) : NULL, NULL };
    struct process_options o = {
        .argv = (const char *const[]){ "git", "config", "--null", "--get-regexp", USER_KEYS, NULL },
        .env = env,
        .timeout_ms = TIMEOUT_MS,
        .kind = PROCESS_KIND_GIT,
    };
    struct process_result p;
    if (process_run(&o, &p, NULL) < 0)
        return;
    take(&own, &p);
    process_result_release(&p);
}

/* ---- a repository's ---- */

static void look_in(struct foreign *f, struct git_person *p)
{
    struct process_result r;
    const char *file = arena_printf(&f->arena, "%s/config", f->common_dir);
    struct git_call call = { .args = GIT_ARGS("config", "--file", file, "--no-includes", "--null", "--get-regexp", USER_KEYS),
                             .also_ok = 1, .timeout_ms = TIMEOUT_MS };
    if (git_run(&call, &r, NULL) < 0)
        return;
    take(p, &r);
    process_result_release(&r);
}

struct git_person git_person(const char *source)
{
    pthread_once(&own_once, own_look);
    struct git_person p = own;
    struct foreign f;
    if (!source || !*source)
        return p;
    if (foreign_open(&f, source, NULL) == 0)
        look_in(&f, &p);
    foreign_close(&f);
    return p;
}
